// Enqueuing operations in order, and completing their events.
#include "gpu/cuda/queue.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "base/clock.hpp"

namespace sparse_run::gpu::cuda {

namespace {

/// The event of an operation. `enqueued_` becomes true once `end` may be waited for natively.
class QueueEvent final : public Event {
 public:
  explicit QueueEvent(std::shared_ptr<Gpu> gpu) : gpu_(std::move(gpu)) {}

  const Gpu* gpu() const noexcept { return gpu_.get(); }
  bool enqueued() const noexcept { return enqueued_.load(std::memory_order_acquire); }
  /// Valid once enqueued: the failure of enqueuing, and what marks the end on the stream.
  const std::exception_ptr& failure() const noexcept { return failure_; }
  const NativeEvent* end() const noexcept { return end_.get(); }

  void set_enqueued(std::unique_ptr<NativeEvent> end, std::exception_ptr failure) {
    end_ = std::move(end);
    failure_ = std::move(failure);
    enqueued_.store(true, std::memory_order_release);
  }

 private:
  std::shared_ptr<Gpu> gpu_;  // shared: events outlive devices
  std::unique_ptr<NativeEvent> end_;
  std::exception_ptr failure_;
  std::atomic<bool> enqueued_{false};
};

}  // namespace

NativeEvent::NativeEvent(std::shared_ptr<Gpu> gpu) : gpu_(std::move(gpu)) {
  gpu_->check(gpu_->driver().event_create(&handle_, kEventBlockingSync), "creating an event");
}

NativeEvent::~NativeEvent() { gpu_->driver().event_destroy(handle_); }  // fails only when the device is lost

std::int64_t elapsed_ns(const Gpu& gpu, const NativeEvent& begin, const NativeEvent& end) {
  float milliseconds = 0;
  gpu.check(gpu.driver().event_elapsed(&milliseconds, begin.handle(), end.handle()), "reading its clock");
  return static_cast<std::int64_t>(static_cast<double>(milliseconds) * 1e6);
}

struct Queue::Operation {
  std::vector<EventPtr> after;
  Work work;
  Finish finish;
  std::shared_ptr<QueueEvent> event;
  std::size_t pending = 0;  ///< events that have to be over before this can be enqueued, and one for submitting
  std::unique_ptr<NativeEvent> begin;
};

struct Queue::State {
  explicit State(std::shared_ptr<Gpu> opened) : gpu(std::move(opened)) {
    gpu->enter();
    gpu->check(gpu->driver().stream_create(&stream, kStreamNonBlocking), "creating a stream");
  }
  ~State() { gpu->driver().stream_destroy(stream); }

  /// One thing less that the operation waits for.
  void release(const std::shared_ptr<Operation>& operation) {
    const std::lock_guard lock(mutex);
    if (--operation->pending > 0) return;
    while (!waiting.empty() && waiting.front()->pending == 0) {
      enqueue(*waiting.front());
      in_flight.push_back(std::move(waiting.front()));
      waiting.pop_front();
    }
    changed.notify_all();
  }

  void enqueue(Operation& operation) {
    std::exception_ptr failure;
    std::unique_ptr<NativeEvent> end;
    try {
      gpu->enter();
      for (const EventPtr& event : operation.after) wait_for(*event);
      end = std::make_unique<NativeEvent>(gpu);
      operation.begin = std::make_unique<NativeEvent>(gpu);
      gpu->check(gpu->driver().event_record(operation.begin->handle(), stream), "recording an event");
      try {
        operation.work(stream);
      } catch (...) {
        failure = std::current_exception();  // part of the work may be under way: its end is recorded all the same
      }
      gpu->check(gpu->driver().event_record(end->handle(), stream), "recording an event");
    } catch (...) {
      if (!failure) failure = std::current_exception();
      end.reset();
    }
    operation.event->set_enqueued(std::move(end), std::move(failure));
  }

  /// Makes the stream wait, or throws the failure that is known already.
  void wait_for(const Event& event) {
    if (event.ready()) {
      event.wait();
      return;
    }
    const auto& native = dynamic_cast<const QueueEvent&>(event);  // others are over: see submit
    if (native.failure()) std::rethrow_exception(native.failure());
    gpu->check(gpu->driver().stream_wait(stream, native.end()->handle(), 0), "waiting for another stream");
  }

  /// The thread that waits for the GPU.
  void serve(const std::string& name) {
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return !in_flight.empty() || (closing && waiting.empty()); });
      if (in_flight.empty()) return;
      const std::shared_ptr<Operation> operation = std::move(in_flight.front());
      in_flight.pop_front();
      lock.unlock();
      finish(*operation);
      lock.lock();
    }
  }

  void finish(Operation& operation) {
    std::exception_ptr error = operation.event->failure();
    std::int64_t begin_ns = now_ns();
    std::int64_t end_ns = begin_ns;
    try {
      gpu->enter();
      if (const NativeEvent* end = operation.event->end()) {
        gpu->check(gpu->driver().event_synchronize(end->handle()), "its work");
        end_ns = now_ns();
        begin_ns = std::max(last_end_ns, end_ns - elapsed_ns(*gpu, *operation.begin, *end));
      }
      // Events of other queues are completed by their threads: in the order in which the GPU reached them.
      for (const EventPtr& event : operation.after) {
        if (const std::exception_ptr failure = event->outcome(); failure && !error) error = failure;
        begin_ns = std::max(begin_ns, event->end_ns());
      }
      end_ns = std::max(end_ns, begin_ns);
      if (!error && operation.finish) operation.finish(begin_ns, end_ns);
    } catch (...) {
      if (!error) error = std::current_exception();
    }
    last_end_ns = end_ns;
    operation.work = nullptr;  // operands go before those who wait can look at the memory
    operation.finish = nullptr;
    operation.after.clear();
    operation.event->complete(begin_ns, end_ns, std::move(error));
  }

  std::shared_ptr<Gpu> gpu;
  StreamHandle stream = nullptr;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::shared_ptr<Operation>> waiting;
  std::deque<std::shared_ptr<Operation>> in_flight;
  bool closing = false;
  std::int64_t last_end_ns = 0;  ///< of the serving thread
};

Queue::Queue(std::shared_ptr<Gpu> gpu, const std::string& name)
    : state_(std::make_shared<State>(std::move(gpu))), thread_([state = state_.get(), name] { state->serve(name); }) {}

Queue::~Queue() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->closing = true;
  }
  state_->changed.notify_all();
  thread_.join();
}

EventPtr Queue::submit(std::vector<EventPtr> after, Work work, Finish finish) {
  auto operation = std::make_shared<Operation>();
  operation->event = std::make_shared<QueueEvent>(state_->gpu);
  std::vector<EventPtr> foreign;
  for (const EventPtr& event : after) {
    const auto* native = dynamic_cast<const QueueEvent*>(event.get());
    if (native != nullptr && native->gpu() == state_->gpu.get() && native->enqueued()) continue;
    if (!event->ready()) foreign.push_back(event);
  }
  operation->after = std::move(after);
  operation->work = std::move(work);
  operation->finish = std::move(finish);
  operation->pending = foreign.size() + 1;
  EventPtr event = operation->event;
  {
    const std::lock_guard lock(state_->mutex);
    state_->waiting.push_back(operation);
  }
  for (const EventPtr& awaited : foreign) {
    awaited->then([state = state_, operation](const std::exception_ptr&) { state->release(operation); });
  }
  state_->release(operation);
  return event;
}

}  // namespace sparse_run::gpu::cuda
