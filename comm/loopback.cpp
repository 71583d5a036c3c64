// Matching sends and receives under one lock.
#include "comm/loopback.hpp"

#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <tuple>

namespace sparse_run::comm {

struct LoopbackHub::State {
  struct Send {
    std::uint64_t token = 0;
    std::span<const std::byte> bytes;
  };
  struct Receive {
    std::uint64_t token = 0;
    std::span<std::byte> bytes;
  };
  struct Lane {
    std::deque<Send> sends;
    std::deque<Receive> receives;
  };
  std::mutex mutex;
  std::map<std::tuple<int, int, int>, Lane> lanes;  // from, to, channel
  std::vector<LinkEvents> events;                   // of each rank, until it polls
  std::vector<bool> silent;

  void match(int from, int to, Lane& lane) {
    while (!lane.sends.empty() && !lane.receives.empty() && !silent[index(from)] && !silent[index(to)]) {
      const Send send = lane.sends.front();
      const Receive receive = lane.receives.front();
      lane.sends.pop_front();
      lane.receives.pop_front();
      if (send.bytes.size() > receive.bytes.size()) {
        events[index(to)].finished.push_back(
            {receive.token, false,
             fmt::format("{} bytes came where {} were expected", send.bytes.size(), receive.bytes.size()), 0});
      } else {
        if (!send.bytes.empty()) std::memcpy(receive.bytes.data(), send.bytes.data(), send.bytes.size());
        events[index(to)].finished.push_back({receive.token, true, {}, send.bytes.size()});
      }
      events[index(from)].finished.push_back({send.token, true, {}, send.bytes.size()});
    }
  }
  static std::size_t index(int rank) { return static_cast<std::size_t>(rank); }
};

class LoopbackHub::LoopbackLink final : public Link {
 public:
  LoopbackLink(std::shared_ptr<State> state, int rank) : state_(std::move(state)), rank_(rank) {}

  void open() override {}
  int rank() const noexcept override { return rank_; }
  int size() const noexcept override { return static_cast<int>(state_->silent.size()); }
  void send(std::uint64_t token, Address to, std::span<const std::byte> bytes) override {
    const std::lock_guard lock(state_->mutex);
    State::Lane& lane = state_->lanes[{rank_, to.peer, to.channel}];
    lane.sends.push_back({token, bytes});
    state_->match(rank_, to.peer, lane);
  }
  void receive(std::uint64_t token, Address from, std::span<std::byte> bytes) override {
    const std::lock_guard lock(state_->mutex);
    State::Lane& lane = state_->lanes[{from.peer, rank_, from.channel}];
    lane.receives.push_back({token, bytes});
    state_->match(from.peer, rank_, lane);
  }
  void cancel(std::uint64_t token) override {
    const std::lock_guard lock(state_->mutex);
    for (auto& [key, lane] : state_->lanes) {
      const auto [from, to, channel] = key;
      if (from == rank_) std::erase_if(lane.sends, [&](const auto& send) { return send.token == token; });
      if (to == rank_) std::erase_if(lane.receives, [&](const auto& receive) { return receive.token == token; });
    }
  }
  void send_bytes(int peer, std::vector<std::byte> bytes) override {
    const std::lock_guard lock(state_->mutex);
    if (state_->silent[State::index(rank_)] || state_->silent[State::index(peer)]) return;
    state_->events[State::index(peer)].arrived.push_back({rank_, std::move(bytes)});
  }
  void poll(LinkEvents& events) override {
    const std::lock_guard lock(state_->mutex);
    LinkEvents& mine = state_->events[State::index(rank_)];
    std::swap(events, mine);
    mine.clear();
  }
  bool flushed() const override { return true; }
  bool moving() const override { return false; }
  void close() override {}

 private:
  std::shared_ptr<State> state_;  // shared with the other links
  int rank_;
};

LoopbackHub::LoopbackHub(int size) : state_(std::make_shared<State>()) {
  state_->events.resize(static_cast<std::size_t>(size));
  state_->silent.resize(static_cast<std::size_t>(size), false);
}

LoopbackHub::~LoopbackHub() = default;

std::unique_ptr<Link> LoopbackHub::link(int rank) { return std::make_unique<LoopbackLink>(state_, rank); }

void LoopbackHub::silence(int rank) {
  const std::lock_guard lock(state_->mutex);
  state_->silent[State::index(rank)] = true;
}

}  // namespace sparse_run::comm
