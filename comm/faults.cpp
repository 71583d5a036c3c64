// A link around a link.
#include "comm/faults.hpp"

#include <charconv>
#include <deque>
#include <functional>
#include <set>

#include "base/clock.hpp"

namespace sparse_run::comm {

namespace {

double parse_seconds(std::string_view text) {
  double scale = 1;
  if (text.ends_with("ms")) {
    scale = 1e-3;
    text.remove_suffix(2);
  } else if (text.ends_with("us")) {
    scale = 1e-6;
    text.remove_suffix(2);
  } else if (text.ends_with("s")) {
    text.remove_suffix(1);
  }
  double value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !(value >= 0 && value < 1e6)) {
    throw_error(ErrorKind::usage, "'{}' is no time; write 1ms, 250us or 2s", text);
  }
  return value * scale;
}

std::uint64_t parse_count(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    throw_error(ErrorKind::usage, "'{}' is no count of sends", text);
  }
  return value;
}

class FaultyLink final : public Link {
 public:
  FaultyLink(std::unique_ptr<Link> inner, const Faults& faults) : inner_(std::move(inner)), faults_(faults) {}

  void open() override {
    inner_->open();
    opened_ = Clock::now();
  }
  int rank() const noexcept override { return inner_->rank(); }
  int size() const noexcept override { return inner_->size(); }
  void send(std::uint64_t token, Address to, std::span<const std::byte> bytes) override {
    const std::uint64_t number = sends_++;
    if (faults_.fail == number) {
      own_.finished.push_back({token, false, "a fault was injected here", 0});
    } else if (faults_.lose == number || broken_.contains(key(to)) || silent()) {
      // A network that keeps order delivers nothing behind what it lost.
      broken_.insert(key(to));
      own_.finished.push_back({token, true, {}, bytes.size()});
    } else {
      later(token, [this, token, to, bytes] { inner_->send(token, to, bytes); });
    }
  }
  void receive(std::uint64_t token, Address from, std::span<std::byte> bytes) override {
    inner_->receive(token, from, bytes);
  }
  void cancel(std::uint64_t token) override {
    std::erase_if(held_, [&](const Held& held) { return held.token == token; });
    inner_->cancel(token);
  }
  void send_bytes(int peer, std::vector<std::byte> bytes) override {
    if (silent()) return;
    later(0, [this, peer, bytes = std::move(bytes)]() mutable { inner_->send_bytes(peer, std::move(bytes)); });
  }
  void poll(LinkEvents& events) override {
    const std::int64_t now = now_ns();
    while (!held_.empty() && held_.front().due_ns <= now) {
      held_.front().act();
      held_.pop_front();
    }
    inner_->poll(events);
    events.finished.insert(events.finished.end(), own_.finished.begin(), own_.finished.end());
    own_.clear();
    if (silent()) events.arrived.clear();
  }
  bool flushed() const override { return held_.empty() && inner_->flushed(); }
  bool moving() const override { return !held_.empty() || inner_->moving(); }
  void close() override { inner_->close(); }

 private:
  struct Held {
    std::int64_t due_ns = 0;
    std::uint64_t token = 0;
    std::function<void()> act;
  };
  static std::pair<int, int> key(const Address& to) { return {to.peer, to.channel}; }
  bool silent() const { return faults_.silent_after_s && seconds_since(opened_) > *faults_.silent_after_s; }
  void later(std::uint64_t token, std::function<void()> act) {
    if (faults_.delay_s <= 0) return act();
    held_.push_back({now_ns() + static_cast<std::int64_t>(faults_.delay_s * 1e9), token, std::move(act)});
  }

  std::unique_ptr<Link> inner_;
  Faults faults_;
  Clock::time_point opened_;
  std::uint64_t sends_ = 0;
  std::set<std::pair<int, int>> broken_;
  std::deque<Held> held_;
  LinkEvents own_;
};

}  // namespace

Faults parse_faults(std::string_view text) {
  Faults faults;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    const std::size_t equals = part.find('=');
    const std::string_view name = part.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
    if (name == "delay") {
      faults.delay_s = parse_seconds(value);
    } else if (name == "lose") {
      faults.lose = parse_count(value);
    } else if (name == "fail") {
      faults.fail = parse_count(value);
    } else if (name == "silent") {
      faults.silent_after_s = parse_seconds(value);
    } else {
      throw_error(ErrorKind::usage, "'{}' is no fault; there are delay=TIME, lose=N, fail=N and silent=TIME", part);
    }
  }
  return faults;
}

std::unique_ptr<Link> with_faults(std::unique_ptr<Link> link, const Faults& faults) {
  return faults.any() ? std::make_unique<FaultyLink>(std::move(link), faults) : std::move(link);
}

}  // namespace sparse_run::comm
