// Collective calls over messages.
#include "runtime/distributed/cluster.hpp"

#include <new>
#include <set>
#include <stdexcept>

#include "runtime/distributed/wire.hpp"

namespace sparse_run {

Trouble trouble_of_current_exception() {
  try {
    throw;
  } catch (const Error& error) {
    return {error.kind(), error.what()};
  } catch (const std::bad_alloc&) {
    return {ErrorKind::limit, "memory is exhausted; use smaller inputs, --micro-batch or a larger machine"};
  } catch (const std::exception& error) {
    return {ErrorKind::internal, fmt::format("internal error: {}; please report it", error.what())};
  }
}

bool is_a_rank_s_own(ErrorKind kind) noexcept {
  return kind == ErrorKind::limit || kind == ErrorKind::device || kind == ErrorKind::internal ||
         kind == ErrorKind::comm;
}

void abort_with_current_exception(Cluster& cluster) {
  const Trouble trouble = trouble_of_current_exception();
  if (cluster.transport().failure()) return;
  cluster.transport().abort({is_a_rank_s_own(trouble.kind) ? ErrorKind::comm : trouble.kind, cluster.rank(),
                             fmt::format("rank {}: {}", cluster.rank(), trouble.text)});
}

Cluster::Cluster(comm::Transport& transport, std::function<void(const comm::Failure&)> on_failure)
    : transport_(transport) {
  transport_.on_message([this](comm::Message message) {
    std::function<void()> listener;
    {
      const std::lock_guard lock(mutex_);
      const int topic = message.topic;
      inbox_[topic].push_back(std::move(message));
      const auto found = listeners_.find(topic);
      if (found != listeners_.end()) listener = found->second;
      changed_.notify_all();
    }
    if (listener) listener();
  });
  transport_.on_failure([this, on_failure = std::move(on_failure)](const comm::Failure& failure) {
    std::vector<std::function<void()>> listeners;
    {
      const std::lock_guard lock(mutex_);
      failed_ = true;
      for (const auto& [topic, listener] : listeners_) listeners.push_back(listener);
      changed_.notify_all();
    }
    for (const auto& listener : listeners) {
      if (listener) listener();
    }
    if (on_failure) on_failure(failure);
  });
}

Cluster::~Cluster() {
  transport_.on_message([](comm::Message) {});  // none is expected after the last agreement
  transport_.on_failure([](const comm::Failure&) {});
}

void Cluster::send(int to, Topic topic, std::vector<std::byte> body) {
  transport_.send_message(to, static_cast<int>(topic), std::move(body));
}

comm::Message Cluster::wait(Topic topic) {
  std::unique_lock lock(mutex_);
  auto& queue = inbox_[static_cast<int>(topic)];
  changed_.wait(lock, [&] { return failed_ || !queue.empty(); });
  if (queue.empty()) {
    lock.unlock();
    check_failure();
  }
  comm::Message message = std::move(queue.front());
  queue.pop_front();
  return message;
}

std::optional<comm::Message> Cluster::poll(Topic topic) {
  const std::lock_guard lock(mutex_);
  auto& queue = inbox_[static_cast<int>(topic)];
  if (queue.empty()) return std::nullopt;
  comm::Message message = std::move(queue.front());
  queue.pop_front();
  return message;
}

void Cluster::notify(Topic topic, std::function<void()> listener) {
  const std::lock_guard lock(mutex_);
  listeners_[static_cast<int>(topic)] = std::move(listener);
}

std::vector<std::byte> Cluster::broadcast(std::vector<std::byte> bytes) {
  if (!leads()) return wait(Topic::broadcast).body;
  for (int to = 1; to < size(); ++to) send(to, Topic::broadcast, bytes);
  return bytes;
}

std::vector<std::vector<std::byte>> Cluster::gather(std::vector<std::byte> bytes) {
  if (!leads()) {
    send(0, Topic::gather, std::move(bytes));
    return {};
  }
  std::vector<std::vector<std::byte>> all(static_cast<std::size_t>(size()));
  all[0] = std::move(bytes);
  std::vector<comm::Message> early;  // of ranks that are already a call ahead
  std::set<int> heard;
  while (heard.size() + 1 < all.size()) {
    comm::Message message = wait(Topic::gather);
    if (!heard.insert(message.from).second) {
      early.push_back(std::move(message));
    } else {
      all[static_cast<std::size_t>(message.from)] = std::move(message.body);
    }
  }
  const std::lock_guard lock(mutex_);
  auto& queue = inbox_[static_cast<int>(Topic::gather)];
  queue.insert(queue.begin(), std::make_move_iterator(early.begin()), std::make_move_iterator(early.end()));
  return all;
}

void Cluster::agree(std::string_view phase, const std::optional<Trouble>& own) {
  WireWriter mine;
  mine.put(own.has_value());
  if (own) {
    mine.put(own->kind);
    mine.put(std::string_view(own->text));
  }
  const auto all = gather(mine.take());
  WireWriter verdict;
  if (leads()) {
    int first = -1;
    std::size_t troubled = 0;
    bool same_kind = true;
    Trouble trouble;
    for (std::size_t rank = 0; rank < all.size(); ++rank) {
      WireReader reader(all[rank]);
      if (!reader.get<bool>()) continue;
      const auto kind = reader.get<ErrorKind>();
      std::string text = reader.text();
      if (troubled++ == 0) {
        first = static_cast<int>(rank);
        trouble = {kind, std::move(text)};
      } else {
        same_kind = same_kind && kind == trouble.kind;
      }
    }
    const bool everywhere = troubled == all.size() && same_kind;
    if (troubled > 0 && !everywhere) {
      if (is_a_rank_s_own(trouble.kind)) trouble.kind = ErrorKind::comm;
      trouble.text = fmt::format("rank {}, phase {}: {}", first, phase, trouble.text);
    }
    verdict.put(troubled > 0);
    verdict.put(trouble.kind);
    verdict.put(std::string_view(trouble.text));
  }
  WireReader reader(broadcast(verdict.take()));
  if (!reader.get<bool>()) return;
  agreed_to_fail_ = true;
  const auto kind = reader.get<ErrorKind>();
  throw Error(kind, reader.text());
}

void Cluster::doing(std::string what) {
  const std::lock_guard lock(mutex_);
  doing_ = std::move(what);
}

std::string Cluster::doing() const {
  const std::lock_guard lock(mutex_);
  return doing_;
}

void Cluster::check_failure() const {
  if (const auto failure = transport_.failure()) comm::throw_failure(*failure);
}

}  // namespace sparse_run
