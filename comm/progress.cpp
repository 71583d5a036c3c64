// The transport object: posts requests to the progress thread and waits for its beginning and end.
#include "comm/progress.hpp"

#include <algorithm>

#include "comm/message_bytes.hpp"
#include "comm/progress_state.hpp"

namespace sparse_run::comm {

namespace {

constexpr std::chrono::milliseconds kLookAtOpening(200);

/// What keeps peers from coming; nothing, when looking fails.
std::string look_around(const ProgressOptions& options) noexcept {
  try {
    return options.obstacle ? options.obstacle() : std::string();
  } catch (const std::exception&) {
    return {};
  }
}

}  // namespace

Progress::Progress(std::unique_ptr<Link> link, const ProgressOptions& options)
    : shared_(std::make_shared<Shared>()), deadline_s_(options.deadline_s) {
  shared_->link = std::move(link);
  shared_->options = options;
  auto opened = shared_->opened.get_future();
  thread_ = std::thread(run_loop, shared_);
  const double opening_s = std::max(deadline_s_, options.opening_s);
  const auto start = Clock::now();
  auto unhindered = start;
  while (opened.wait_for(kLookAtOpening) != std::future_status::ready) {
    const std::string obstacle = look_around(options);
    if (obstacle.empty()) unhindered = Clock::now();
    const bool over = seconds_since(start) >= opening_s;
    if (!over && seconds_since(unhindered) < deadline_s_) continue;
    thread_.detach();
    if (!over) throw_error(ErrorKind::comm, "the ranks do not find each other: {}", obstacle);
    throw_error(ErrorKind::comm,
                "the ranks did not find each other within {} s: at least one did not start or is stopped", opening_s);
  }
  try {
    std::tie(rank_, size_) = opened.get();
  } catch (...) {
    thread_.join();
    throw;
  }
}

Progress::~Progress() {
  shared_->stop = true;
  shared_->doorbell.ring();
  auto ended = shared_->ended.get_future();
  if (ended.wait_for(std::chrono::duration<double>(deadline_s_)) != std::future_status::ready) {
    thread_.detach();
    closed_in_order_ = false;
    return;
  }
  thread_.join();
}

OperationId Progress::post(Request request) {
  const OperationId id = shared_->next_id.fetch_add(1, std::memory_order_relaxed);
  request.id = id;
  shared_->queue.push(std::move(request));
  if (shared_->helpers.load(std::memory_order_relaxed) == 0 || shared_->failed) shared_->doorbell.ring();
  return id;
}

OperationId Progress::post_send(Address to, std::span<const std::byte> bytes, Completion completion, double seconds) {
  require(to.peer >= 0 && to.peer < size_, "a send to a rank that is not there");
  Request request;
  request.kind = Request::Kind::send;
  request.address = to;
  request.bytes = {const_cast<std::byte*>(bytes.data()), bytes.size()};
  request.completion = std::move(completion);
  request.seconds = seconds;
  return post(std::move(request));
}

OperationId Progress::post_receive(Address from, std::span<std::byte> bytes, Completion completion, double seconds,
                                   Length length) {
  require(from.peer >= 0 && from.peer < size_, "a receive from a rank that is not there");
  require(length == Length::exact || bytes.size() <= kLongestUnknownLength, "a long receive of unknown length");
  Request request;
  request.kind = Request::Kind::receive;
  request.address = from;
  request.bytes = bytes;
  request.length = length;
  request.completion = std::move(completion);
  request.seconds = seconds;
  return post(std::move(request));
}

void Progress::cancel(OperationId id) {
  Request request;
  request.kind = Request::Kind::cancel;
  request.id = id;
  shared_->queue.push(std::move(request));
  shared_->doorbell.ring();
}

void Progress::send_message(int peer, int topic, std::vector<std::byte> body) {
  require(peer >= 0 && peer < size_ && topic >= 0, "a message to a rank that is not there");
  Request request;
  request.kind = Request::Kind::message;
  request.address.peer = peer;
  request.message = envelope(topic, body);
  post(std::move(request));
}

void Progress::on_message(std::function<void(Message)> handler) {
  std::vector<Message> waiting;
  {
    const std::lock_guard lock(shared_->mutex);
    waiting = std::exchange(shared_->undelivered, {});
    shared_->on_message = handler;
    for (Message& message : waiting) handler(std::move(message));
  }
}

void Progress::abort(const Failure& failure) {
  Request request;
  request.kind = Request::Kind::abort;
  request.failure = failure;
  post(std::move(request));
}

std::optional<Failure> Progress::failure() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->failure;
}

void Progress::on_failure(std::function<void(const Failure&)> handler) {
  std::optional<Failure> happened;
  {
    const std::lock_guard lock(shared_->mutex);
    happened = shared_->failure;
    shared_->on_failure = handler;
  }
  if (happened) handler(*happened);
}

void Progress::hurry(int change) noexcept {
  if (change > 0) shared_->waits.fetch_add(1, std::memory_order_relaxed);
  const int before = shared_->hurry.fetch_add(change, std::memory_order_relaxed);
  if (before == 0 && change > 0) shared_->doorbell.ring();
}

void Progress::expect_help(int change) noexcept { shared_->helpers.fetch_add(change, std::memory_order_relaxed); }

void Progress::computing(int change) noexcept { shared_->computing.fetch_add(change, std::memory_order_relaxed); }

void Progress::ping() {
  Request request;
  request.kind = Request::Kind::ping;
  post(std::move(request));
}

std::vector<double> Progress::silence() const {
  const std::lock_guard lock(shared_->mutex);
  const std::int64_t now = now_ns();
  std::vector<double> seconds;
  for (const std::int64_t heard : shared_->heard_ns) seconds.push_back(static_cast<double>(now - heard) / 1e9);
  if (!seconds.empty()) seconds[static_cast<std::size_t>(rank_)] = 0;
  return seconds;
}

std::int64_t Progress::clock_offset_ns() const { return shared_->clock_offset_ns; }

Traffic Progress::traffic() const {
  return {shared_->sent_bytes, shared_->received_bytes, shared_->sent_operations, shared_->received_operations};
}

}  // namespace sparse_run::comm
