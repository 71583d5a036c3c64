// Dividing a graph, giving out its rows, exchanging them and collecting results.
#include "runtime/distributed/graph_form.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <list>
#include <set>

#include "base/clock.hpp"
#include "runtime/distributed/busy_clock.hpp"
#include "runtime/distributed/graph_layout.hpp"
#include "runtime/distributed/local_graph.hpp"
#include "runtime/distributed/part_graph.hpp"
#include "runtime/distributed/wire.hpp"
#include "runtime/partition_boundary.hpp"

namespace sparse_run {

namespace {

std::span<std::byte> bytes_of(Tensor& tensor) { return {static_cast<std::byte*>(tensor.raw()), tensor.bytes()}; }
std::span<const std::byte> const_bytes_of(const Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.raw()), tensor.bytes()};
}

std::size_t row_bytes(const Tensor& tensor) {
  std::size_t bytes = element_size(tensor.dtype());
  for (std::size_t d = 1; d < tensor.rank(); ++d) bytes *= static_cast<std::size_t>(tensor.shape()[d]);
  return bytes;
}

Tensor with_rows(const Type& type, std::int64_t rows) {
  Shape shape = *type.shape;
  shape.front() = rows;
  return Tensor::allocate(type.dtype, std::move(shape));
}

/// The chosen rows, packed.
Tensor pick(const Tensor& from, std::span<const std::uint32_t> rows) {
  Shape shape = from.shape();
  shape.front() = static_cast<std::int64_t>(rows.size());
  Tensor picked = Tensor::allocate(from.dtype(), std::move(shape));
  const std::size_t bytes = row_bytes(from);
  const auto* const source = static_cast<const std::byte*>(from.raw());
  auto* to = static_cast<std::byte*>(picked.raw());
  for (const std::uint32_t row : rows) {
    std::memcpy(to, source + row * bytes, bytes);
    to += bytes;
  }
  return picked;
}

bool same(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         (a.bytes() == 0 || std::memcmp(a.raw(), b.raw(), a.bytes()) == 0);
}

}  // namespace

/// Nodes that a session of their own runs.
struct GraphForm::Part {
  Partition part;
  std::unique_ptr<Session> session;
  std::vector<std::size_t> waits_for;  // exchanges whose rows it reads

  void run(std::vector<Value>& values) const {
    std::vector<Value> inputs;
    inputs.reserve(part.inputs.size());
    for (const ValueId id : part.inputs) inputs.push_back(values[id]);
    auto outputs = session->run(inputs);
    for (std::size_t i = 0; i < outputs.size(); ++i) values[part.outputs[i]] = std::move(outputs[i]);
  }
};

/// One graph as the ranks share it, and what this rank runs for it.
struct GraphForm::Division {
  RankLayout layout;
  LocalGraph local;
  std::vector<Part> stages;
  std::vector<std::vector<ValueId>> last_read;  // by stage: values that nothing reads after it
  // On rank 0:
  std::vector<Tensor> lists;  // targets of sets, then numbers of gathers: what the division was made for
  GraphLayout all;
};

/// Operations that are waited for together; lives until all of them have ended.
class GraphForm::Transfers {
 public:
  Transfers() = default;
  Transfers(const Transfers&) = delete;
  Transfers& operator=(const Transfers&) = delete;
  ~Transfers() { drain(); }

  /// `ended`, where there is one, is called with the time at which the operation began and that at which it ended.
  comm::Completion expect(std::string what, std::function<void(std::int64_t begin_ns, std::int64_t end_ns)> ended) {
    ++open_;
    return [this, what = std::move(what), ended = std::move(ended), begin = now_ns()](const comm::Result& result) {
      if (ended) ended(begin, now_ns());
      if (result.outcome != comm::Outcome::done && !failed_) {
        text_ = fmt::format("{}; {}", result.what, what);
        failed_ = true;
      }
      open_.fetch_sub(1);
      open_.notify_all();
    };
  }

  /// Error(comm), or what brought the job down, when one failed.
  void await(comm::Transport& transport) {
    if (open_ != 0 && !transport.help([&] { return open_ == 0; })) {
      transport.hurry(1);
      drain();
      transport.hurry(-1);
    }
    if (!failed_) return;
    const auto failure = transport.failure();
    throw Error(failure ? failure->kind : ErrorKind::comm, text_);
  }

 private:
  void drain() {
    for (int left = open_; left != 0; left = open_) open_.wait(left);
  }

  std::atomic<int> open_{0};
  std::atomic<bool> failed_{false};
  std::string text_;  // of the first failure; read after `failed_`
};

/// One stream on this rank.
class GraphForm::Runner {
 public:
  explicit Runner(GraphForm& form)
      : form_(form), split_(form.split_), cluster_(form.cluster_), transport_(form.cluster_.transport()) {}

  /// Rank 0: one request, all of it.
  std::vector<Value> lead(std::size_t position, const std::vector<Value>& inputs) {
    begin(position);
    const Graph& graph = *split_.graph;
    std::vector<Value> values(graph.values().size());
    for (std::size_t i = 0; i < inputs.size(); ++i) values[graph.inputs()[i]] = inputs[i];
    for (ValueId id = 0; id < values.size(); ++id) {
      if (graph.value(id).tensor() != nullptr) values[id] = *graph.value(id).tensor();
    }
    if (form_.head_) compute("head", [&] { form_.head_->run(values); });
    divide(values);
    std::vector<Tensor> results = work(&values);
    for (std::size_t i = 0; i < results.size(); ++i) values[split_.results[i]] = std::move(results[i]);
    if (form_.tail_) compute("tail", [&] { form_.tail_->run(values); });
    std::vector<Value> outputs;
    for (const ValueId id : graph.outputs()) {
      const ValueDef& def = graph.value(id);
      if (def.sparse() != nullptr) {
        outputs.emplace_back(def.sparse()->to_dense());
      } else {
        outputs.push_back(def.tensor() != nullptr ? Value(def.tensor()->clone()) : values[id]);
      }
    }
    end();
    return outputs;
  }

  void follow(std::size_t position) {
    begin(position);
    WireReader message(cluster_.wait(Topic::work).body);
    if (message.get<bool>()) {
      form_.division_.reset();
      make_division(RankLayout::read(message, split_, cluster_.size()));
    }
    if (!form_.division_) throw_error(ErrorKind::comm, "rank 0 sent a request before the division of its graph");
    work(nullptr);
    end();
  }

  RankReport report() const {
    RankReport report = report_;
    report.transfer_s = static_cast<double>(transfer_ns_.load()) / 1e9;
    report.hidden_s = static_cast<double>(hidden_ns_.load()) / 1e9;
    return report;
  }

 private:
  void begin(std::size_t position) {
    position_ = position;
    begin_ns_ = now_ns();
    begin_busy_ns_ = busy_.at(begin_ns_);
    cluster_.doing(fmt::format("request {}", position));
  }
  void end() {
    const std::int64_t now = now_ns();
    ++report_.requests;
    const std::int64_t busy_ns = busy_.at(now) - begin_busy_ns_;
    report_.busy_s += static_cast<double>(busy_ns) / 1e9;
    report_.waiting_s += static_cast<double>(now - begin_ns_ - busy_ns) / 1e9;
    trace(fmt::format("request {}", position_), "request", begin_ns_);
  }
  template <class Body>
  void compute(std::string_view name, Body&& body) {
    const comm::Computing computing(transport_);
    const std::int64_t start = now_ns();
    busy_.begin(start);
    body();
    busy_.end(now_ns());
    trace(std::string(name), "stage", start);
  }
  void trace(std::string name, const char* category, std::int64_t begin_ns) const {
    if (form_.options_.trace == nullptr) return;
    form_.options_.trace->add({std::move(name), category, begin_ns, now_ns(), fmt::format("request {}", position_)});
  }

  /// Rank 0: uses the last division when lists of edges are the same, otherwise makes one; tells the others.
  void divide(const std::vector<Value>& values) {
    std::vector<Tensor> lists;
    for (const EdgeSet& set : split_.sets) lists.push_back(values[set.targets].tensor);
    for (const GatheredBy& gather : split_.gathers) lists.push_back(values[gather.numbers].tensor);
    const bool known = form_.division_ && std::equal(lists.begin(), lists.end(), form_.division_->lists.begin(),
                                                     form_.division_->lists.end(), same);
    std::optional<GraphLayout> made;
    if (!known) {
      compute("divide", [&] { made = layout_for(lists); });
    }
    for (int rank = 1; rank < cluster_.size(); ++rank) {
      WireWriter message;
      message.put(!known);
      if (made) made->ranks[static_cast<std::size_t>(rank)].write(message);
      cluster_.send(rank, Topic::work, message.take());
    }
    if (known) return;
    form_.division_.reset();
    RankLayout own = std::move(made->ranks[0]);
    made->ranks.clear();
    make_division(std::move(own));
    form_.division_->all = std::move(*made);
    for (const Tensor& list : lists) form_.division_->lists.push_back(list.clone());
  }

  GraphLayout layout_for(const std::vector<Tensor>& lists) {
    std::vector<std::vector<std::uint32_t>> targets, sources;
    for (std::size_t i = 0; i < lists.size(); ++i)
      (i < split_.sets.size() ? targets : sources).push_back(checked_rows(lists[i], split_.nodes));
    // The set that most is gathered along decides; the others are much the same edges.
    EdgeList edges;
    for (std::size_t i = 0; i < split_.gathers.size(); ++i) {
      const GatheredBy& gather = split_.gathers[i];
      if (gather.numbers == split_.sets[gather.set].targets) continue;
      if (targets[gather.set].size() > edges.targets.size() || edges.targets.empty())
        edges = {sources[i], targets[gather.set]};
    }
    const auto [owners, by] = cut_nodes(form_.options_.cut, split_.nodes, edges, cluster_.size());
    GraphLayout made = lay_out_graph(split_, owners, cluster_.size(), targets, sources);
    if (form_.options_.notice) {
      std::int64_t border = 0, rows = 0;
      for (const RankLayout& rank : made.ranks) {
        border += rank.nodes[kBorder];
        for (const HaloExchange& exchange : split_.exchanges) rows += rank.halos[exchange.halo].received_rows();
      }
      form_.options_.notice(fmt::format(
          "{} nodes over {} ranks by {}: {} of them need rows of others, {} rows in {} exchange{}", split_.nodes,
          cluster_.size(), by, border, rows, split_.exchanges.size(), split_.exchanges.size() == 1 ? "" : "s"));
    }
    return made;
  }

  void make_division(RankLayout layout) {
    auto division = std::make_unique<Division>();
    division->layout = std::move(layout);
    division->local = make_local_graph(split_, division->layout);
    const LocalGraph& local = division->local;
    for (const std::vector<NodeId>& nodes : local.stages) {
      Part stage;
      stage.part = boundary_of(local.graph, nodes);
      for (std::size_t i = 0; i < local.halos.size(); ++i) {
        const auto& reads = stage.part.inputs;
        if (std::find(reads.begin(), reads.end(), local.halos[i]) != reads.end()) stage.waits_for.push_back(i);
      }
      if (!nodes.empty()) {
        stage.session = form_.make_session_(graph_of(stage.part, fmt::format("stage {}", division->stages.size())));
        std::vector<Type> types;
        for (const ValueId id : stage.part.inputs) types.push_back(local.graph->value(id).type);
        stage.session->prepare(types);
      }
      division->stages.push_back(std::move(stage));
    }
    // What is sent or collected is kept; everything else goes with the last stage that reads it.
    std::set<ValueId> seen(local.results.begin(), local.results.end());
    seen.insert(local.exchanged.begin(), local.exchanged.end());
    division->last_read.resize(division->stages.size());
    for (std::size_t i = division->stages.size(); i-- > 0;) {
      for (const ValueId id : division->stages[i].part.inputs) {
        if (seen.insert(id).second) division->last_read[i].push_back(id);
      }
    }
    form_.division_ = std::move(division);
  }

  int leaf_channel(std::size_t leaf) const { return static_cast<int>(leaf); }
  int exchange_channel(std::size_t exchange) const { return static_cast<int>(split_.leaves.size() + exchange); }
  int result_channel(std::size_t result) const {
    return static_cast<int>(split_.leaves.size() + split_.exchanges.size() + result);
  }

  void send(int peer, int channel, const Tensor& bytes, const std::string& name, Transfers& transfers) {
    if (bytes.bytes() == 0) return;
    sent_.push_back(bytes);
    const auto sent = [this, was_busy_ns = busy_.at(now_ns())](std::int64_t begin_ns, std::int64_t end_ns) {
      transfer_ns_ += end_ns - begin_ns;
      hidden_ns_ += busy_.at(end_ns) - was_busy_ns;
    };
    transport_.post_send({peer, channel}, const_bytes_of(sent_.back()),
                         transfers.expect(describe(name, cluster_.rank(), peer), sent));
  }
  void receive(int peer, int channel, std::span<std::byte> bytes, const std::string& name, Transfers& transfers) {
    if (bytes.empty()) return;
    transport_.post_receive({peer, channel}, bytes, transfers.expect(describe(name, peer, cluster_.rank()), nullptr));
  }
  std::string describe(const std::string& name, int from, int to) const {
    return fmt::format("edge '{}' from rank {} to rank {}, request {}", name, from, to, position_);
  }
  const std::string& name_of(ValueId id) const { return split_.graph->value(id).name; }

  /// This rank's rows, from leaves to results, which rank 0 returns. `given`: values of the whole graph, on rank 0.
  std::vector<Tensor> work(const std::vector<Value>* given) {
    const Division& division = *form_.division_;
    const LocalGraph& local = division.local;
    std::vector<Value> values(local.graph->values().size());
    std::vector<Tensor> halos(split_.exchanges.size());
    std::vector<std::vector<Tensor>> collected(split_.results.size());
    sent_.clear();
    // Declared after what they read and write, so that they end before it.
    std::vector<Transfers> arriving(split_.exchanges.size());
    Transfers leaves, departing, results;

    for (std::size_t i = 0; i < split_.exchanges.size(); ++i) receive_halo(division, i, halos[i], arriving[i]);
    if (given != nullptr) post_results(division, collected, results);
    share_leaves(division, given, values, leaves, departing);
    leaves.await(transport_);
    std::vector<bool> is_sent(split_.exchanges.size(), false);
    const auto send_halos = [&] {
      for (std::size_t i = 0; i < split_.exchanges.size(); ++i) {
        const ValueId id = local.exchanged[i];
        if (is_sent[i] || id == kNoValue || values[id].absent()) continue;
        is_sent[i] = true;
        send_halo(division, i, values[id].tensor, departing);
      }
    };
    send_halos();
    for (std::size_t stage = 0; stage < division.stages.size(); ++stage) {
      const Part& part = division.stages[stage];
      for (const std::size_t exchange : part.waits_for) {
        const std::int64_t start = now_ns();
        arriving[exchange].await(transport_);
        values[local.halos[exchange]] = halos[exchange];
        trace(fmt::format("wait for rows of '{}'", name_of(split_.exchanges[exchange].value)), "wait", start);
      }
      if (part.session) compute(fmt::format("stage {}", stage), [&] { part.run(values); });
      send_halos();
      for (const ValueId id : division.last_read[stage]) values[id] = Value();
    }
    for (Transfers& transfers : arriving) transfers.await(transport_);
    auto whole = collect(division, values, given != nullptr, collected, results, departing);
    departing.await(transport_);
    sent_.clear();
    return whole;
  }

  /// Rank 0 has the values; everybody gets its rows.
  void share_leaves(const Division& division, const std::vector<Value>* given, std::vector<Value>& values,
                    Transfers& arriving, Transfers& departing) {
    const LocalGraph& local = division.local;
    for (std::size_t i = 0; i < split_.leaves.size(); ++i) {
      const SharedLeaf& leaf = split_.leaves[i];
      const ValueId id = local.leaves[i];
      if (given == nullptr) {
        const Type& type = split_.graph->value(leaf.value).type;
        const std::int64_t rows = leaf.space == kNodeRows ? division.layout.own()
                                  : leaf.space == kWhole  ? 0
                                                          : division.layout.edges(static_cast<std::size_t>(leaf.space));
        Tensor tensor = leaf.space == kWhole ? Tensor::allocate(type.dtype, *type.shape) : with_rows(type, rows);
        receive(0, leaf_channel(i), bytes_of(tensor), name_of(leaf.value), arriving);
        if (id != kNoValue) values[id] = tensor;
        received_.push_back(std::move(tensor));
        continue;
      }
      const Tensor& whole = (*given)[leaf.value].tensor;
      for (int rank = cluster_.size(); rank-- > 0;) {
        const auto at = static_cast<std::size_t>(rank);
        Tensor rows =
            leaf.space == kWhole
                ? whole
                : pick(whole, leaf.space == kNodeRows ? division.all.nodes[at]
                                                      : division.all.edges[static_cast<std::size_t>(leaf.space)][at]);
        if (rank != 0) {
          send(rank, leaf_channel(i), rows, name_of(leaf.value), departing);
        } else if (id != kNoValue) {
          values[id] = std::move(rows);
        }
      }
    }
    if (given == nullptr) {
      arriving.await(transport_);
      received_.clear();
    }
  }

  void receive_halo(const Division& division, std::size_t index, Tensor& rows, Transfers& transfers) {
    const HaloExchange& exchange = split_.exchanges[index];
    const RankLayout::Halo& halo = division.layout.halos[exchange.halo];
    rows = with_rows(split_.graph->value(exchange.value).type, halo.received_rows());
    std::size_t at = 0;
    for (int rank = 0; rank < cluster_.size(); ++rank) {
      const std::size_t bytes =
          static_cast<std::size_t>(halo.received[static_cast<std::size_t>(rank)]) * row_bytes(rows);
      receive(rank, exchange_channel(index), bytes_of(rows).subspan(at, bytes), name_of(exchange.value), transfers);
      at += bytes;
    }
  }

  void send_halo(const Division& division, std::size_t index, const Tensor& own, Transfers& transfers) {
    const HaloExchange& exchange = split_.exchanges[index];
    const RankLayout::Halo& halo = division.layout.halos[exchange.halo];
    for (int rank = 0; rank < cluster_.size(); ++rank) {
      const auto& wanted = halo.sent[static_cast<std::size_t>(rank)];
      if (wanted.empty()) continue;
      const Tensor rows = pick(own, wanted);
      report_.halo_rows += static_cast<std::int64_t>(wanted.size());
      report_.halo_bytes += rows.bytes();
      send(rank, exchange_channel(index), rows, name_of(exchange.value), transfers);
    }
  }

  /// Rank 0: receives everybody's rows of results.
  void post_results(const Division& division, std::vector<std::vector<Tensor>>& collected, Transfers& transfers) {
    for (std::size_t i = 0; i < split_.results.size(); ++i) {
      const Type& type = split_.graph->value(split_.results[i]).type;
      for (int rank = 0; rank < cluster_.size(); ++rank) {
        const auto& nodes = division.all.nodes[static_cast<std::size_t>(rank)];
        collected[i].push_back(rank == 0 ? Tensor() : with_rows(type, static_cast<std::int64_t>(nodes.size())));
        if (rank == 0) continue;
        receive(rank, result_channel(i), bytes_of(collected[i].back()), name_of(split_.results[i]), transfers);
      }
    }
  }

  std::vector<Tensor> collect(const Division& division, const std::vector<Value>& values, bool leads,
                              std::vector<std::vector<Tensor>>& collected, Transfers& arriving, Transfers& departing) {
    std::vector<Tensor> whole;
    if (!leads) {
      for (std::size_t i = 0; i < split_.results.size(); ++i)
        send(0, result_channel(i), values[division.local.results[i]].tensor, name_of(split_.results[i]), departing);
      return whole;
    }
    arriving.await(transport_);
    for (std::size_t i = 0; i < split_.results.size(); ++i) {
      collected[i][0] = values[division.local.results[i]].tensor;
      whole.push_back(with_rows(split_.graph->value(split_.results[i]).type, split_.nodes));
      const std::size_t bytes = row_bytes(whole.back());
      auto* const to = static_cast<std::byte*>(whole.back().raw());
      for (std::size_t rank = 0; rank < collected[i].size(); ++rank) {
        const auto* from = static_cast<const std::byte*>(std::as_const(collected[i][rank]).raw());
        for (const std::uint32_t node : division.all.nodes[rank]) {
          std::memcpy(to + node * bytes, from, bytes);
          from += bytes;
        }
      }
    }
    return whole;
  }

  GraphForm& form_;
  const GraphSplit& split_;
  Cluster& cluster_;
  comm::Transport& transport_;
  RankReport report_;
  std::size_t position_ = 0;
  std::int64_t begin_ns_ = 0, begin_busy_ns_ = 0;
  BusyClock busy_;
  std::atomic<std::int64_t> transfer_ns_{0}, hidden_ns_{0};
  std::list<Tensor> sent_;        // alive until they have left
  std::vector<Tensor> received_;  // leaves, alive until they are there
};

GraphForm::GraphForm(Cluster& cluster, GraphSplit split, GraphFormOptions options,
                     std::function<std::unique_ptr<Session>(std::shared_ptr<const Graph>)> make_session)
    : cluster_(cluster),
      split_(std::move(split)),
      options_(std::move(options)),
      make_session_(std::move(make_session)) {
  if (!cluster_.leads()) return;
  const auto part_of = [&](const std::vector<NodeId>& nodes, const std::set<ValueId>& outputs, const char* name) {
    auto made = std::make_unique<Part>();
    made->part = boundary_of(split_.graph, nodes);
    made->part.outputs.assign(outputs.begin(), outputs.end());
    made->session = make_session_(graph_of(made->part, name));
    std::vector<Type> types;
    for (const ValueId id : made->part.inputs) types.push_back(split_.graph->value(id).type);
    made->session->prepare(types);
    return made;
  };
  std::set<ValueId> wanted;
  const auto want = [&](ValueId id) {
    if (split_.graph->producer(id)) wanted.insert(id);
  };
  for (const SharedLeaf& leaf : split_.leaves) want(leaf.value);
  for (const EdgeSet& set : split_.sets) want(set.targets);
  for (const GatheredBy& gather : split_.gathers) want(gather.numbers);
  if (!split_.head.empty()) head_ = part_of(split_.head, wanted, "before the ranks' share");
  const std::set<ValueId> results(split_.results.begin(), split_.results.end());
  wanted.clear();
  for (const ValueId id : split_.graph->outputs()) {
    if (!results.contains(id)) want(id);
  }
  if (!split_.tail.empty()) tail_ = part_of(split_.tail, wanted, "after the ranks' share");
}

GraphForm::~GraphForm() = default;

RankReport GraphForm::lead(const RequestStream& stream) {
  for (int rank = 1; rank < cluster_.size(); ++rank) {
    WireWriter round;
    round.put(stream.requests.size());
    cluster_.send(rank, Topic::round, round.take());
  }
  Runner runner(*this);
  try {
    for (std::size_t i = 0; i < stream.requests.size(); ++i) {
      if (stream.stopped())
        throw_error(ErrorKind::interrupted, "the job was cancelled after {} of {} requests", i, stream.requests.size());
      const std::vector<Value> inputs = stream.inputs(stream.requests[i]);
      auto outputs = runner.lead(i, inputs);
      stream.sink(stream.requests[i], std::move(outputs));
    }
  } catch (...) {
    abort_with_current_exception(cluster_);
    throw;
  }
  return runner.report();
}

RankReport GraphForm::follow() {
  WireReader round(cluster_.wait(Topic::round).body);
  const auto requests = round.get<std::size_t>();
  Runner runner(*this);
  try {
    for (std::size_t i = 0; i < requests; ++i) runner.follow(i);
  } catch (...) {
    abort_with_current_exception(cluster_);
    throw;
  }
  return runner.report();
}

}  // namespace sparse_run
