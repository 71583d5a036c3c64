// A lock-free queue of many producers and one consumer.
#pragma once

#include <atomic>
#include <memory>
#include <utility>

namespace sparse_run::comm {

/// Producers push onto an atomic list, the consumer takes the whole list and turns it round: first in, first out per
/// producer. push() is lock-free and thread-safe; drain() belongs to one thread.
template <class T>
class RequestQueue {
 public:
  RequestQueue() = default;
  RequestQueue(const RequestQueue&) = delete;
  RequestQueue& operator=(const RequestQueue&) = delete;
  ~RequestQueue() {
    drain([](T&&) {});
  }

  void push(T value) {
    auto* node = new Node{std::move(value), nullptr};
    node->next = head_.load(std::memory_order_relaxed);
    while (!head_.compare_exchange_weak(node->next, node, std::memory_order_release, std::memory_order_relaxed)) {
    }
  }
  /// Gives every value to `take`, oldest first. True when there was one.
  template <class Take>
  bool drain(const Take& take) {
    Node* newest = head_.exchange(nullptr, std::memory_order_acquire);
    Node* oldest = nullptr;
    while (newest != nullptr) {
      Node* next = newest->next;
      newest->next = oldest;
      oldest = newest;
      newest = next;
    }
    const bool any = oldest != nullptr;
    while (oldest != nullptr) {
      const std::unique_ptr<Node> node(oldest);
      oldest = node->next;
      take(std::move(node->value));
    }
    return any;
  }
  bool empty() const noexcept { return head_.load(std::memory_order_acquire) == nullptr; }

 private:
  struct Node {
    T value;
    Node* next;
  };
  std::atomic<Node*> head_{nullptr};
};

}  // namespace sparse_run::comm
