// Running levels and exchanging between them.
#include "runtime/distributed/row_form.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/clock.hpp"
#include "partitioner/rank_stages.hpp"
#include "runtime/distributed/part_graph.hpp"
#include "runtime/distributed/wire.hpp"
#include "runtime/partition_boundary.hpp"

namespace sparse_run {

namespace {

std::span<std::byte> bytes_of(Tensor& tensor) { return {static_cast<std::byte*>(tensor.raw()), tensor.bytes()}; }
std::span<const std::byte> bytes_of(const Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.raw()), tensor.bytes()};
}

/// Copies a part to its place along an axis of the whole.
void paste(Tensor& whole, const Tensor& part, std::size_t axis, std::int64_t begin) {
  const Shape& shape = whole.shape();
  std::size_t inner = sizeof(float), outer = 1;
  for (std::size_t d = axis + 1; d < shape.size(); ++d) inner *= static_cast<std::size_t>(shape[d]);
  for (std::size_t d = 0; d < axis; ++d) outer *= static_cast<std::size_t>(shape[d]);
  const std::size_t stride = static_cast<std::size_t>(shape[axis]) * inner;
  const std::size_t bytes = static_cast<std::size_t>(part.shape()[axis]) * inner;
  const auto* from = static_cast<const std::byte*>(part.raw());
  auto* to = static_cast<std::byte*>(whole.raw()) + static_cast<std::size_t>(begin) * inner;
  for (std::size_t row = 0; row < outer; ++row) std::memcpy(to + row * stride, from + row * bytes, bytes);
}

/// c = a + b; c may be a. In blocks of a fixed size, which compilers turn into vectors.
void add(float* c, const float* a, const float* b, std::size_t count) {
  constexpr std::size_t kBlock = 16;
  std::size_t i = 0;
  for (; i + kBlock <= count; i += kBlock) {
    float block[kBlock];
    for (std::size_t j = 0; j < kBlock; ++j) block[j] = a[i + j] + b[i + j];
    std::memcpy(c + i, block, sizeof block);
  }
  for (; i < count; ++i) c[i] = a[i] + b[i];
}

}  // namespace

struct RowForm::Level {
  Partition part;
  std::unique_ptr<Session> session;
  std::vector<std::size_t> waits_for;  // exchanges whose wholes it reads
};

struct RowForm::Program {
  RowProgram rows;
  std::vector<Level> levels;
  int first_channel = 0;                     // one per exchange, then one per input
  std::vector<std::vector<Tensor>> buffers;  // by exchange and rank; reused by every request
  std::vector<Tensor> wholes;                // by exchange

  int channel_of_input(std::size_t input) const {
    return first_channel + static_cast<int>(rows.exchanges.size() + input);
  }
  int end_channel() const { return channel_of_input(rows.inputs.size()); }
};

/// One stream on this rank.
class RowForm::Runner {
 public:
  explicit Runner(RowForm& form) : form_(form), cluster_(form.cluster_), transport_(form.cluster_.transport()) {}

  std::vector<Value> run(std::size_t position, int kind, const std::vector<Value>* inputs) {
    position_ = position;
    Program& program = *form_.programs_[static_cast<std::size_t>(kind)];
    const RowProgram& rows = program.rows;
    const std::int64_t begin = now_ns();
    std::int64_t busy = 0;
    cluster_.doing(fmt::format("request {}", position));
    const Helping helping(transport_);
    std::vector<Value> values(rows.graph->values().size());
    std::vector<Pending> pending(rows.exchanges.size() + 1);  // receives by exchange, then of inputs
    Pending departing;                                        // sends, which nothing waits for before the end
    for (std::size_t i = 0; i < rows.exchanges.size(); ++i) post_receives(program, i, pending[i]);
    share_inputs(program, inputs, values, pending.back(), departing);
    transport_.help([] { return true; });
    await(pending.back());
    for (std::size_t level = 0; level < program.levels.size(); ++level) {
      Level& work = program.levels[level];
      for (const std::size_t exchange : work.waits_for) complete(program, exchange, pending[exchange], values);
      if (work.session) {
        const std::int64_t start = now_ns();
        run_level(work, values);
        busy += now_ns() - start;
        trace(fmt::format("level {}", level), "level", start);
      }
      for (std::size_t i = 0; i < rows.exchanges.size(); ++i) {
        if (rows.exchanges[i].level == level) post_sends(program, i, pending[i], departing, values);
      }
      transport_.help([] { return true; });
    }
    std::vector<Value> outputs;
    for (std::size_t i = 0; i < rows.exchanges.size(); ++i) complete(program, i, pending[i], values);
    await(departing);
    for (const ValueId id : rows.outputs) {
      const ValueDef& def = rows.graph->value(id);
      if (def.tensor() != nullptr) {
        outputs.emplace_back(def.tensor()->clone());
      } else if (def.sparse() != nullptr) {
        outputs.emplace_back(def.sparse()->to_dense());
      } else {
        outputs.push_back(is_whole(rows, id) ? Value(values[id].tensor.clone()) : values[id]);
      }
    }
    const std::int64_t end = now_ns();
    ++report_.requests;
    report_.busy_s += static_cast<double>(busy) / 1e9;
    report_.waiting_s += static_cast<double>(end - begin - busy) / 1e9;
    if (form_.trace_ != nullptr)
      form_.trace_->add({fmt::format("request {}", position), "request", begin, end, "rows"});
    return outputs;
  }

  RankReport report() const {
    RankReport report = report_;
    report.transfer_s = static_cast<double>(transfer_ns_.load()) / 1e9;
    return report;
  }

 private:
  /// Operations that are waited for together; lives until all of them have ended.
  struct Pending {
    std::atomic<int> open{0};
    std::atomic<bool> failed{false};
    std::string what;  // of the first failure; read after `failed`
    bool complete = false;
    Tensor part;  // being sent
    Pending() = default;
    Pending(const Pending&) = delete;
    ~Pending() { drain(); }
    void drain() {
      for (int left = open; left != 0; left = open) open.wait(left);
    }
  };

  /// While it lives, this thread moves the transport whenever it waits.
  class Helping {
   public:
    explicit Helping(comm::Transport& transport) : transport_(transport) { transport_.expect_help(1); }
    ~Helping() { transport_.expect_help(-1); }
    Helping(const Helping&) = delete;
    Helping& operator=(const Helping&) = delete;

   private:
    comm::Transport& transport_;
  };

  void trace(std::string name, const char* category, std::int64_t begin_ns) const {
    if (form_.trace_ == nullptr) return;
    form_.trace_->add({std::move(name), category, begin_ns, now_ns(), fmt::format("request {}", position_)});
  }

  static bool is_whole(const RowProgram& rows, ValueId id) {
    return std::any_of(rows.exchanges.begin(), rows.exchanges.end(), [&](const auto& e) { return e.whole == id; });
  }

  comm::Completion on_end(Pending& pending, std::string edge, int from, int to, bool counts) {
    ++pending.open;
    return [this, &pending, edge = std::move(edge), from, to, counts, begin = now_ns()](const comm::Result& result) {
      if (counts) transfer_ns_ += now_ns() - begin;
      trace(edge, counts ? "send" : "receive", begin);
      if (result.outcome != comm::Outcome::done && !pending.failed) {
        pending.what =
            fmt::format("{}; edge '{}' from rank {} to rank {}, request {}", result.what, edge, from, to, position_);
        pending.failed = true;
      }
      pending.open.fetch_sub(1);
      pending.open.notify_all();
    };
  }

  void await(Pending& pending) {
    if (pending.open != 0 && !transport_.help([&] { return pending.open == 0; })) {
      transport_.hurry(1);
      pending.drain();
      transport_.hurry(-1);
    }
    if (!pending.failed) return;
    const auto failure = transport_.failure();
    throw Error(failure ? failure->kind : ErrorKind::comm, pending.what);
  }

  void post_receives(Program& program, std::size_t index, Pending& pending) {
    const RowExchange& exchange = program.rows.exchanges[index];
    for (int peer = 0; peer < cluster_.size(); ++peer) {
      if (peer == cluster_.rank()) continue;
      Tensor& buffer = program.buffers[index][static_cast<std::size_t>(peer)];
      auto completion = on_end(pending, program.rows.graph->value(exchange.whole).name, peer, cluster_.rank(), false);
      transport_.post_receive({peer, program.first_channel + static_cast<int>(index)}, bytes_of(buffer),
                              std::move(completion));
    }
  }

  void post_sends(Program& program, std::size_t index, Pending& pending, Pending& departing,
                  std::vector<Value>& values) {
    const RowExchange& exchange = program.rows.exchanges[index];
    pending.part = values[exchange.part].tensor;
    for (int peer = 0; peer < cluster_.size(); ++peer) {
      if (peer == cluster_.rank()) continue;
      auto completion = on_end(departing, program.rows.graph->value(exchange.whole).name, cluster_.rank(), peer, true);
      transport_.post_send({peer, program.first_channel + static_cast<int>(index)},
                           bytes_of(std::as_const(pending.part)), std::move(completion));
    }
  }

  void complete(Program& program, std::size_t index, Pending& pending, std::vector<Value>& values) {
    if (pending.complete) return;
    const std::int64_t start = now_ns();
    await(pending);
    trace(fmt::format("wait {}", index), "wait", start);
    pending.complete = true;
    const RowExchange& exchange = program.rows.exchanges[index];
    Tensor& whole = program.wholes[index];
    const auto part_of = [&](int rank) -> const Tensor& {
      return rank == cluster_.rank() ? pending.part : program.buffers[index][static_cast<std::size_t>(rank)];
    };
    if (exchange.kind == RowExchange::Kind::gather) {
      for (int rank = 0; rank < cluster_.size(); ++rank) {
        paste(whole, part_of(rank), exchange.axis, exchange.bounds[static_cast<std::size_t>(rank)]);
      }
    } else {
      add_up(whole, part_of);
    }
    values[exchange.whole] = whole;
  }

  template <class PartOf>
  void add_up(Tensor& whole, const PartOf& part_of) const {
    const auto sum = whole.data<float>();
    add(sum.data(), part_of(0).template data<float>().data(), part_of(1).template data<float>().data(), sum.size());
    for (int rank = 2; rank < cluster_.size(); ++rank)
      add(sum.data(), sum.data(), part_of(rank).template data<float>().data(), sum.size());
  }

  /// Rank 0 has them; everybody gets them.
  void share_inputs(Program& program, const std::vector<Value>* inputs, std::vector<Value>& values, Pending& in,
                    Pending& out) {
    const RowProgram& rows = program.rows;
    for (std::size_t i = 0; i < rows.inputs.size(); ++i) {
      const ValueId id = rows.inputs[i];
      const int channel = program.channel_of_input(i);
      if (id == kNoValue) continue;  // nothing reads it
      const std::string& name = rows.graph->value(id).name;
      if (inputs == nullptr) {
        const Type& type = rows.graph->value(id).type;
        Tensor buffer = Tensor::allocate(type.dtype, *type.shape);
        transport_.post_receive({0, channel}, bytes_of(buffer), on_end(in, name, 0, cluster_.rank(), false));
        values[id] = buffer;
      } else {
        values[id] = (*inputs)[i];
        for (int peer = 1; peer < cluster_.size(); ++peer) {
          transport_.post_send({peer, channel}, bytes_of(std::as_const((*inputs)[i].tensor)),
                               on_end(out, name, 0, peer, true));
        }
      }
    }
  }

  static void run_level(Level& level, std::vector<Value>& values) {
    std::vector<Value> inputs;
    inputs.reserve(level.part.inputs.size());
    for (const ValueId id : level.part.inputs) inputs.push_back(values[id]);
    auto outputs = level.session->run(inputs);
    for (std::size_t i = 0; i < outputs.size(); ++i) values[level.part.outputs[i]] = std::move(outputs[i]);
  }

  RowForm& form_;
  Cluster& cluster_;
  comm::Transport& transport_;
  RankReport report_;
  std::size_t position_ = 0;
  std::atomic<std::int64_t> transfer_ns_{0};
};

RowForm::RowForm(Cluster& cluster, std::vector<RowProgram> programs, std::function<int(std::int64_t)> signature_of,
                 const std::function<std::unique_ptr<Session>(std::shared_ptr<const Graph>)>& make_session,
                 Trace* trace)
    : cluster_(cluster), signature_of_(std::move(signature_of)), trace_(trace) {
  int channel = 0;
  for (RowProgram& rows : programs) {
    auto program = std::make_unique<Program>();
    program->rows = std::move(rows);
    program->first_channel = channel;
    channel = program->end_channel();
    for (const RowExchange& exchange : program->rows.exchanges) {
      std::vector<Tensor> buffers(static_cast<std::size_t>(cluster.size()));
      for (std::size_t rank = 0; rank < buffers.size(); ++rank) {
        Shape shape = exchange.shape;
        if (exchange.kind == RowExchange::Kind::gather)
          shape[exchange.axis] = exchange.bounds[rank + 1] - exchange.bounds[rank];
        if (static_cast<int>(rank) != cluster.rank()) buffers[rank] = Tensor::allocate(DType::f32, std::move(shape));
      }
      program->buffers.push_back(std::move(buffers));
      program->wholes.push_back(Tensor::allocate(DType::f32, exchange.shape));
    }
    for (std::size_t level = 0; level < program->rows.levels.size(); ++level) {
      Level made;
      made.part = boundary_of(program->rows.graph, program->rows.levels[level]);
      for (std::size_t i = 0; i < program->rows.exchanges.size(); ++i) {
        const auto& reads = made.part.inputs;
        if (std::find(reads.begin(), reads.end(), program->rows.exchanges[i].whole) != reads.end())
          made.waits_for.push_back(i);
      }
      if (!made.part.nodes.empty()) {
        made.session = make_session(graph_of(made.part, fmt::format("level {}", level)));
        std::vector<Type> types;
        for (const ValueId id : made.part.inputs) types.push_back(program->rows.graph->value(id).type);
        made.session->prepare(types);
      }
      program->levels.push_back(std::move(made));
    }
    programs_.push_back(std::move(program));
  }
}

RowForm::~RowForm() = default;

RankReport RowForm::lead(const RequestStream& stream) {
  std::vector<int> kinds;
  WireWriter round;
  round.put(stream.requests.size());
  for (const std::int64_t request : stream.requests) {
    kinds.push_back(signature_of_(request));
    round.put(static_cast<std::uint8_t>(kinds.back()));
  }
  const auto bytes = round.take();
  for (int rank = 1; rank < cluster_.size(); ++rank) cluster_.send(rank, Topic::round, bytes);
  Runner runner(*this);
  try {
    for (std::size_t i = 0; i < kinds.size(); ++i) {
      if (stream.stopped())
        throw_error(ErrorKind::interrupted, "the job was cancelled after {} of {} requests", i, kinds.size());
      const std::vector<Value> inputs = stream.inputs(stream.requests[i]);
      auto outputs = runner.run(i, kinds[i], &inputs);
      stream.sink(stream.requests[i], std::move(outputs));
    }
  } catch (...) {
    abort_with_current_exception(cluster_);
    throw;
  }
  return runner.report();
}

RankReport RowForm::follow() {
  WireReader round(cluster_.wait(Topic::round).body);
  std::vector<int> kinds(round.count(1));
  for (int& kind : kinds) {
    kind = round.get<std::uint8_t>();
    if (static_cast<std::size_t>(kind) >= programs_.size())
      throw_error(ErrorKind::comm, "rank 0 names a signature that there is not");
  }
  Runner runner(*this);
  try {
    for (std::size_t i = 0; i < kinds.size(); ++i) runner.run(i, kinds[i], nullptr);
  } catch (...) {
    abort_with_current_exception(cluster_);
    throw;
  }
  return runner.report();
}

}  // namespace sparse_run
