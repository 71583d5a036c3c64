// Running one request through the flow graph of its stages.
#include "runtime/request_flow.hpp"

#include <utility>

#include "base/clock.hpp"

namespace sparse_run {

/// Keeps a flow waiting for a stage of a device, and lets the stage's successors go when it is dropped, however that
/// comes about.
class RequestFlow::Ticket {
 public:
  explicit Ticket(Asynchronous::gateway_type& gateway) : gateway_(gateway) { gateway_.reserve_wait(); }
  ~Ticket() {
    gateway_.try_put(Message{});
    gateway_.release_wait();
  }
  Ticket(const Ticket&) = delete;
  Ticket& operator=(const Ticket&) = delete;

 private:
  Asynchronous::gateway_type& gateway_;
};

tbb::flow::sender<tbb::flow::continue_msg>& RequestFlow::Nodes::sender() const {
  if (device) return tbb::flow::output_port<0>(*device);
  return *join;
}

namespace {

/// Which values one stage alone reads on the host, so that it may have them.
std::vector<bool> values_of_sole_readers(const Graph& graph, const StageGraph& stages) {
  std::vector<int> readers(graph.values().size(), 0);
  for (const Stage& stage : stages.stages) {
    if (stage.kind == Stage::Kind::compute && stage.location == kHost) {
      for (const ValueId id : stage.work.inputs) ++readers[id];
    }
    if (stage.kind == Stage::Kind::copy_in) {
      for (const ValueId id : stage.values) ++readers[id];
    }
  }
  std::vector<bool> sole(readers.size());
  for (ValueId id = 0; id < readers.size(); ++id) sole[id] = readers[id] == 1 && !graph.is_output(id);
  return sole;
}

}  // namespace

RequestFlow::RequestFlow(const Graph& graph, const StageGraph& stages, StagingPool& staging)
    : graph_(graph),
      stages_(stages),
      staging_(staging),
      sole_reader_(values_of_sole_readers(graph, stages)),
      source_(flow_),
      sink_(flow_, [this](const Message&) { finished_.release(); }),
      values_(stages.asynchronous ? stages.devices.size() + 1 : 1, std::vector<Value>(graph.values().size())),
      events_(stages.stages.size()),
      times_(stages.stages.size()) {
  std::vector<bool> has_successor(stages.stages.size(), false);
  for (std::size_t i = 0; i < stages.stages.size(); ++i) {
    nodes_.push_back(make_nodes(i));
    const std::vector<std::size_t>& after = stages.stages[i].after;
    for (const std::size_t before : after) {
      tbb::flow::make_edge(nodes_[before].sender(), *nodes_[i].join);
      has_successor[before] = true;
    }
    if (after.empty()) tbb::flow::make_edge(source_, *nodes_[i].join);
  }
  if (!stages.asynchronous) return;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (!has_successor[i]) tbb::flow::make_edge(nodes_[i].sender(), sink_);
  }
}

RequestFlow::~RequestFlow() { flow_.wait_for_all(); }

RequestFlow::Nodes RequestFlow::make_nodes(std::size_t index) {
  Nodes nodes;
  if (stages_.stages[index].location == kHost) {
    nodes.join = std::make_unique<Join>(flow_, [this, index](const Message&) { execute(index); });
    return nodes;
  }
  nodes.join = std::make_unique<Join>(flow_, [](const Message&) {});
  nodes.device = std::make_unique<Asynchronous>(
      flow_, tbb::flow::unlimited,
      [this, index](const Message&, Asynchronous::gateway_type& gateway) { start(index, gateway); });
  tbb::flow::make_edge(*nodes.join, *nodes.device);
  return nodes;
}

void RequestFlow::fail(std::exception_ptr error) {
  const std::lock_guard lock(error_mutex_);
  if (!error_) error_ = std::move(error);
  failed_.store(true, std::memory_order_relaxed);
}

std::string RequestFlow::describe(const Stage& stage) const {
  return stage.describe(stage.location == kHost ? "the host"
                                                : stages_.devices[static_cast<std::size_t>(stage.location)]->name());
}

void RequestFlow::execute(std::size_t index) {
  if (failed_.load(std::memory_order_relaxed)) return;  // the messages still drain through the graph
  times_[index].begin_ns = now_ns();
  try {
    const Stage& stage = stages_.stages[index];
    std::vector<Value>& values = at(kHost);
    std::vector<Value> inputs;
    inputs.reserve(stage.work.inputs.size());
    for (const ValueId id : stage.work.inputs) {
      inputs.push_back(sole_reader_[id] ? std::exchange(values[id], Value{}) : values[id]);
    }
    std::vector<Value> outputs(stage.work.outputs.size());
    stage.executable->run_consuming(std::move(inputs), outputs, states_[static_cast<std::size_t>(stage.partition)]);
    for (std::size_t i = 0; i < outputs.size(); ++i) values[stage.work.outputs[i]] = std::move(outputs[i]);
  } catch (...) {
    fail(std::current_exception());
  }
  times_[index].end_ns = now_ns();
}

EventPtr RequestFlow::submit_work(const Stage& stage) {
  DeviceMemory& memory = *stages_.devices[static_cast<std::size_t>(stage.location)]->memory();
  std::vector<Value>& values = at(stage.location);
  std::vector<Value> inputs;
  for (const ValueId id : stage.work.inputs) inputs.push_back(values[id]);
  std::vector<Value> outputs;
  for (const ValueId id : stage.work.outputs) {
    const Type& type = graph_.value(id).type;
    outputs.push_back(memory.allocate(type.dtype, *type.shape));
    values[id] = outputs.back();
  }
  return stage.executable->submit(std::move(inputs), std::move(outputs),
                                  states_[static_cast<std::size_t>(stage.partition)], {});
}

EventPtr RequestFlow::submit_copy(const Stage& stage) {
  DeviceMemory& memory = *stages_.devices[static_cast<std::size_t>(stage.location)]->memory();
  std::vector<Value>& on_device = at(stage.location);
  std::vector<Value>& on_host = at(kHost);
  const bool inward = stage.kind == Stage::Kind::copy_in;
  std::vector<TensorCopy> copies;
  for (const ValueId id : stage.values) {
    const Type& type = graph_.value(id).type;
    if (inward) {
      on_device[id] = memory.allocate(type.dtype, *type.shape);
      copies.push_back({on_host[id].tensor, on_device[id].tensor});
    } else {
      // What the caller gets is its own; what only passes through comes from the pool.
      on_host[id] = graph_.is_output(id) ? Tensor::allocate(type.dtype, *type.shape)
                                         : staging_.take(memory, type.dtype, *type.shape);
      copies.push_back({on_device[id].tensor, on_host[id].tensor});
    }
  }
  return inward ? memory.copy_in(std::move(copies), {}) : memory.copy_out(std::move(copies), {});
}

EventPtr RequestFlow::submit(const Stage& stage) {
  return with_context([&] { return describe(stage); },
                      [&] { return stage.kind == Stage::Kind::compute ? submit_work(stage) : submit_copy(stage); });
}

void RequestFlow::start(std::size_t index, Asynchronous::gateway_type& gateway) {
  const auto ticket = std::make_shared<Ticket>(gateway);  // shared: callbacks are copied
  if (failed_.load(std::memory_order_relaxed)) return;
  try {
    events_[index] = submit(stages_.stages[index]);
    events_[index]->then([this, index, ticket](const std::exception_ptr& error) {
      times_[index] = {events_[index]->begin_ns(), events_[index]->end_ns()};
      if (!error) return;
      try {
        std::rethrow_exception(error);
      } catch (const Error& failure) {
        Error here = failure;  // a copy: others may hold the same exception
        here.add_context(describe(stages_.stages[index]));
        fail(std::make_exception_ptr(here));
      } catch (...) {
        fail(error);
      }
    });
  } catch (...) {
    fail(std::current_exception());
  }
}

std::vector<Value> RequestFlow::collect() const {
  std::vector<Value> outputs;
  for (const ValueId id : graph_.outputs()) {
    const Tensor* constant = graph_.value(id).tensor();
    const SparseTensor* sparse = graph_.value(id).sparse();
    outputs.push_back(constant ? Value(constant->clone()) : sparse ? Value(sparse->to_dense()) : at(kHost)[id]);
  }
  return outputs;
}

std::vector<Value> RequestFlow::run(std::vector<Value> inputs, std::span<RunState> states) {
  states_ = states;
  for (std::size_t i = 0; i < inputs.size(); ++i) at(kHost)[graph_.inputs()[i]] = std::move(inputs[i]);
  for (StageTime& time : times_) time = {};
  if (!nodes_.empty()) {
    source_.try_put(Message{});
    if (stages_.asynchronous) {
      finished_.acquire();
    } else {
      flow_.wait_for_all();
    }
  }
  const std::exception_ptr error = std::exchange(error_, nullptr);
  failed_.store(false, std::memory_order_relaxed);
  std::vector<Value> outputs;
  if (!error) outputs = collect();
  for (auto& values : values_) {
    for (Value& value : values) value = Value{};
  }
  for (EventPtr& event : events_) event.reset();
  if (error) std::rethrow_exception(error);
  return outputs;
}

}  // namespace sparse_run
