// The flow graph of a stage.
#include "runtime/distributed/pipeline_form.hpp"

#include <tbb/flow_graph.h>

#include <algorithm>
#include <exception>
#include <mutex>
#include <tuple>

#include "base/clock.hpp"
#include "runtime/distributed/busy_clock.hpp"
#include "runtime/distributed/flow_ticket.hpp"
#include "runtime/distributed/part_graph.hpp"
#include "runtime/distributed/wire.hpp"

namespace sparse_run {

namespace {

std::span<std::byte> bytes_of(Tensor& tensor) { return {static_cast<std::byte*>(tensor.raw()), tensor.bytes()}; }
std::span<const std::byte> bytes_of(const Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.raw()), tensor.bytes()};
}

std::size_t index_of(std::span<const ValueId> values, ValueId value) {
  return static_cast<std::size_t>(std::find(values.begin(), values.end(), value) - values.begin());
}

}  // namespace

/// One signature as this rank sees it.
struct PipelineForm::Signature {
  PipelineLayout layout;
  std::unique_ptr<Session> session;  // of this rank's stage
  std::size_t bytes_in = 0;          // of the buffers of one request on this rank
};

/// One stream on this rank.
class PipelineForm::Round {
 public:
  /// `kinds`: the signature of each request. `stream`: on rank 0.
  Round(PipelineForm& form, std::vector<int> kinds, const RequestStream* stream)
      : form_(form), cluster_(form.cluster_), kinds_(std::move(kinds)), stream_(stream) {}

  RankReport execute() {
    namespace flow = tbb::flow;
    flow::graph graph;
    flow::input_node<TokenPtr> source(graph, [this](tbb::flow_control& control) { return next(control); });
    flow::limiter_node<TokenPtr> limiter(graph, window());
    Async arrive(graph, flow::serial, [this](const TokenPtr& token, Gateway& gateway) { receive(token, gateway); });
    // Requests of other pipelines pass rank 0 without waiting for its own computation.
    using Route = flow::multifunction_node<TokenPtr, std::tuple<TokenPtr, TokenPtr>>;
    Route route(graph, flow::unlimited, [](const TokenPtr& token, Route::output_ports_type& ports) {
      token->here ? std::get<0>(ports).try_put(token) : std::get<1>(ports).try_put(token);
    });
    flow::sequencer_node<TokenPtr> arrived(graph, [](const TokenPtr& token) { return token->number_of_its_kind; });
    // Sends and receives of a channel are posted in the order of requests. A serial node of oneTBB does not keep order:
    // it lets its next message begin before it hands on its last result.
    flow::sequencer_node<TokenPtr> passed(graph, [](const TokenPtr& token) { return token->number_of_its_kind; });
    flow::function_node<TokenPtr, TokenPtr> work(graph, flow::serial, [this](const TokenPtr& token) {
      compute(*token);
      return token;
    });
    flow::sequencer_node<TokenPtr> worked(graph, [](const TokenPtr& token) { return token->number_of_its_kind; });
    Async depart(graph, flow::serial, [this](const TokenPtr& token, Gateway& gateway) { send(token, gateway); });
    flow::sequencer_node<TokenPtr> departed(graph, [](const TokenPtr& token) { return token->number; });
    flow::function_node<TokenPtr, flow::continue_msg> last(graph, flow::serial, [this](const TokenPtr& token) {
      finish(*token);
      return flow::continue_msg();
    });
    flow::make_edge(source, limiter);
    flow::make_edge(limiter, arrive);
    flow::make_edge(arrive, route);
    flow::make_edge(flow::output_port<0>(route), arrived);
    flow::make_edge(flow::output_port<1>(route), passed);
    flow::make_edge(passed, depart);
    flow::make_edge(arrived, work);
    flow::make_edge(work, worked);
    flow::make_edge(worked, depart);
    flow::make_edge(depart, departed);
    flow::make_edge(departed, last);
    flow::make_edge(last, limiter.decrementer());
    source.activate();
    graph.wait_for_all();
    for (int loose = loose_; loose != 0; loose = loose_) loose_.wait(loose);
    if (error_) std::rethrow_exception(error_);
    if (stopped_)
      throw_error(ErrorKind::interrupted, "the job was cancelled after {} of {} requests", finished_, kinds_.size());
    const std::int64_t busy_ns = busy_.at(now_ns());
    report_.busy_s = static_cast<double>(busy_ns) / 1e9;
    report_.waiting_s = static_cast<double>(last_ns_ - first_ns_ - busy_ns) / 1e9;
    report_.hidden_s = static_cast<double>(hidden_ns_.load()) / 1e9;
    report_.transfer_s = static_cast<double>(transfer_ns_.load()) / 1e9;
    return report_;
  }

 private:
  /// One request on its way through this rank.
  struct Token {
    std::size_t number = 0;              // of those that pass this rank
    std::size_t number_of_its_kind = 0;  // of those that its stage works on, or of those that only pass
    std::size_t position = 0;            // in the stream
    int group = 0;
    bool here = false;           // this rank's stage works on it
    std::vector<Value> request;  // rank 0: the inputs of the graph
    std::vector<Value> inputs;   // of the stage
    std::vector<Value> outputs;  // of the stage
    std::vector<Value> results;  // rank 0: the outputs of the graph
  };
  using TokenPtr = std::shared_ptr<Token>;  // shared: flow graph messages are copied between nodes
  using Async = tbb::flow::async_node<TokenPtr, TokenPtr>;
  using Gateway = Async::gateway_type;
  using Ticket = FlowTicket<Gateway, TokenPtr>;

  bool leads() const { return stream_ != nullptr; }
  Signature& signature(const Token& token) {
    return form_.signatures_[static_cast<std::size_t>(kinds_[token.position])];
  }
  int rank_of(const Token& token, int stage) const {
    return stage == Crossing::kLeader ? 0 : token.group * form_.stages_ + stage;
  }

  std::size_t window() const {
    std::size_t bytes = 1;
    for (const Signature& signature : form_.signatures_) bytes = std::max(bytes, signature.bytes_in);
    const std::size_t wanted = leads() ? static_cast<std::size_t>(form_.options_.groups * (form_.stages_ + 2)) : 4;
    return std::clamp<std::size_t>(form_.options_.window_bytes / bytes, 2, wanted);
  }

  TokenPtr next(tbb::flow_control& control) {
    for (; next_position_ < kinds_.size(); ++next_position_) {
      const int group = static_cast<int>(next_position_ % static_cast<std::size_t>(form_.options_.groups));
      const bool here = group == form_.group_;
      if (!here && !leads()) continue;
      if (failed_) break;
      if (leads() && stream_->stopped()) {
        stopped_ = true;
        break;
      }
      auto token = std::make_shared<Token>();
      token->number = next_number_++;
      token->position = next_position_++;
      token->group = group;
      token->here = here;
      token->number_of_its_kind = here ? next_here_++ : next_passing_++;
      return token;
    }
    control.stop();
    return nullptr;
  }

  /// Posts receives for the stage's inputs; on rank 0 reads the request and posts the results' receives, too.
  void receive(const TokenPtr& token, Gateway& gateway) {
    const auto ticket = std::make_shared<Ticket>(gateway, token);
    try {
      if (failed_) return;
      Signature& signature = this->signature(*token);
      const PipelineLayout& layout = signature.layout;
      if (leads()) {
        token->request = stream_->inputs(stream_->requests[token->position]);
        token->results.resize(layout.graph->outputs().size());
        answer_at_once(*token, *layout.graph);
      }
      if (token->here) token->inputs.resize(layout.stages[static_cast<std::size_t>(form_.stage_)].inputs.size());
      for (const Crossing& crossing : layout.crossings) {
        const int from = rank_of(*token, crossing.from), to = rank_of(*token, crossing.to);
        if (leads() && crossing.from == Crossing::kLeader && to != from) {
          feed(token, layout, crossing, to);
          continue;
        }
        const bool into_stage = token->here && crossing.to == form_.stage_ && crossing.to != Crossing::kLeader;
        if (!into_stage) continue;
        Value& input =
            token->inputs[index_of(layout.stages[static_cast<std::size_t>(form_.stage_)].inputs, crossing.value)];
        if (from == to) {
          input = token->request[index_of(layout.graph->inputs(), crossing.value)];
        } else {
          input = post_receive(token, layout, crossing, from, ticket);
        }
      }
    } catch (...) {
      fail(std::current_exception());
    }
  }

  /// Sends an input of the graph on its way. The request does not wait for it, the end of the stream does.
  void feed(const TokenPtr& token, const PipelineLayout& layout, const Crossing& crossing, int to) {
    const Tensor& tensor = token->request[index_of(layout.graph->inputs(), crossing.value)].tensor;
    check_size(tensor, layout, crossing);
    ++loose_;
    const Departure begin = departure();
    cluster_.transport().post_send({to, crossing.channel}, bytes_of(tensor),
                                   [this, token, tensor, begin, &layout, &crossing](const comm::Result& result) {
                                     sent(*token, layout, crossing, begin, result);
                                     if (--loose_ == 0) loose_.notify_all();
                                   });
  }

  /// When a transfer began, and how much this rank had computed until then.
  struct Departure {
    std::int64_t time_ns = 0;
    std::int64_t busy_ns = 0;
  };
  Departure departure() const {
    const std::int64_t now = now_ns();
    return {now, busy_.at(now)};
  }

  void sent(const Token& token, const PipelineLayout& layout, const Crossing& crossing, const Departure& departed,
            const comm::Result& result) {
    const std::int64_t begin = departed.time_ns;
    const std::int64_t end = now_ns();
    transfer_ns_ += end - begin;
    hidden_ns_ += busy_.at(end) - departed.busy_ns;
    if (form_.trace_ != nullptr) {
      form_.trace_->add({layout.graph->value(crossing.value).name, "transfer", begin, end,
                         fmt::format("request {} to rank {}, {} bytes", token.position, rank_of(token, crossing.to),
                                     layout.bytes(crossing))});
    }
    if (result.outcome != comm::Outcome::done) lost(token, layout, crossing, result);
  }

  static void check_size(const Tensor& tensor, const PipelineLayout& layout, const Crossing& crossing) {
    if (tensor.bytes() == layout.bytes(crossing)) return;
    throw_error(ErrorKind::internal, "'{}' has {} bytes where the plan says {}",
                layout.graph->value(crossing.value).name, tensor.bytes(), layout.bytes(crossing));
  }

  Tensor post_receive(const TokenPtr& token, const PipelineLayout& layout, const Crossing& crossing, int from,
                      const std::shared_ptr<Ticket>& ticket) {
    const Type& type = layout.graph->value(crossing.value).type;
    Tensor buffer = Tensor::allocate(type.dtype, *type.shape);
    cluster_.transport().post_receive({from, crossing.channel}, bytes_of(buffer),
                                      [this, token, ticket, buffer, &layout, &crossing](const comm::Result& result) {
                                        if (result.outcome != comm::Outcome::done)
                                          lost(*token, layout, crossing, result);
                                      });
    return buffer;
  }

  /// Outputs of the graph that no stage computes.
  static void answer_at_once(Token& token, const Graph& graph) {
    for (std::size_t i = 0; i < graph.outputs().size(); ++i) {
      const ValueId id = graph.outputs()[i];
      if (graph.producer(id)) continue;
      const ValueDef& def = graph.value(id);
      if (def.tensor() != nullptr) {
        token.results[i] = def.tensor()->clone();
      } else if (def.sparse() != nullptr) {
        token.results[i] = def.sparse()->to_dense();
      } else {
        token.results[i] = token.request[index_of(graph.inputs(), id)];
      }
    }
  }

  void compute(Token& token) {
    if (!token.here || failed_) return;
    Signature& signature = this->signature(token);
    const std::int64_t begin = now_ns();
    busy_.begin(begin);
    try {
      cluster_.doing(fmt::format("stage {}, request {}", form_.stage_, token.position));
      const comm::Computing computing(cluster_.transport());
      if (signature.session) token.outputs = signature.session->run(token.inputs);
    } catch (Error& error) {
      error.add_context(fmt::format("stage {}, request {}", form_.stage_, token.position));
      fail(std::current_exception());
    } catch (...) {
      fail(std::current_exception());
    }
    const std::int64_t end = now_ns();
    if (report_.requests++ == 0) first_ns_ = begin;
    last_ns_ = end;
    busy_.end(end);
    if (form_.trace_ != nullptr) {
      form_.trace_->add(
          {fmt::format("request {}", token.position), "request", begin, end, fmt::format("stage {}", form_.stage_)});
    }
    cluster_.doing(fmt::format("waiting after request {}", token.position));
  }

  /// Posts sends of what leaves this rank; on rank 0 waits for the results.
  void send(const TokenPtr& token, Gateway& gateway) {
    const auto ticket = std::make_shared<Ticket>(gateway, token);
    try {
      if (failed_) return;
      const PipelineLayout& layout = signature(*token).layout;
      for (const Crossing& crossing : layout.crossings) {
        const int from = rank_of(*token, crossing.from), to = rank_of(*token, crossing.to);
        const int here = cluster_.rank();
        if (from != here && to == here && crossing.to == Crossing::kLeader) {
          result_of(*token, layout, crossing) = post_receive(token, layout, crossing, from, ticket);
        } else if (from == here && crossing.from != Crossing::kLeader && token->here) {
          const Value& output =
              token->outputs[index_of(layout.stages[static_cast<std::size_t>(form_.stage_)].outputs, crossing.value)];
          if (to == here) {
            result_of(*token, layout, crossing) = output;
          } else {
            post_send(token, layout, crossing, to, output.tensor, ticket);
          }
        }
      }
    } catch (...) {
      fail(std::current_exception());
    }
  }

  Value& result_of(Token& token, const PipelineLayout& layout, const Crossing& crossing) {
    return token.results[index_of(layout.graph->outputs(), crossing.value)];
  }

  void post_send(const TokenPtr& token, const PipelineLayout& layout, const Crossing& crossing, int to,
                 const Tensor& tensor, const std::shared_ptr<Ticket>& ticket) {
    check_size(tensor, layout, crossing);
    const Departure begin = departure();
    cluster_.transport().post_send({to, crossing.channel}, bytes_of(tensor),
                                   [this, token, ticket, tensor, begin, &layout, &crossing](
                                       const comm::Result& result) { sent(*token, layout, crossing, begin, result); });
  }

  void finish(Token& token) {
    if (failed_ || !leads()) return;
    try {
      // A graph may name one value several times among its outputs.
      const Graph& graph = *signature(token).layout.graph;
      for (std::size_t i = 0; i < token.results.size(); ++i) {
        if (token.results[i].absent()) token.results[i] = token.results[index_of(graph.outputs(), graph.outputs()[i])];
      }
      stream_->sink(stream_->requests[token.position], std::move(token.results));
      ++finished_;
    } catch (...) {
      fail(std::current_exception());
    }
  }

  void lost(const Token& token, const PipelineLayout& layout, const Crossing& crossing, const comm::Result& result) {
    const auto failure = cluster_.transport().failure();
    fail(std::make_exception_ptr(
        Error(failure ? failure->kind : ErrorKind::comm,
              fmt::format("{}; edge '{}' from rank {} to rank {}, request {}", result.what,
                          layout.graph->value(crossing.value).name, rank_of(token, crossing.from),
                          rank_of(token, crossing.to), token.position))));
  }

  void fail(std::exception_ptr error) {
    const std::lock_guard lock(error_mutex_);
    if (!error_) error_ = std::move(error);
    failed_ = true;
    if (cluster_.transport().failure() || told_) return;
    told_ = true;  // nobody else must wait for what will not come
    try {
      std::rethrow_exception(error_);
    } catch (...) {
      abort_with_current_exception(cluster_);
    }
  }

  PipelineForm& form_;
  Cluster& cluster_;
  std::vector<int> kinds_;
  const RequestStream* stream_;
  RankReport report_;
  std::size_t next_position_ = 0;  // of the source
  std::size_t next_number_ = 0, next_here_ = 0, next_passing_ = 0;
  std::size_t finished_ = 0;  // of the last node
  std::atomic<bool> stopped_{false};
  std::int64_t first_ns_ = 0, last_ns_ = 0;  // of the working node
  BusyClock busy_;
  std::atomic<std::int64_t> transfer_ns_{0}, hidden_ns_{0};
  std::atomic<int> loose_{0};  // sends that no request waits for
  std::atomic<bool> failed_{false};
  std::mutex error_mutex_;
  std::exception_ptr error_;
  bool told_ = false;
};

PipelineForm::PipelineForm(Cluster& cluster, const std::vector<PipelineSignature>& signatures, PipelineOptions options,
                           const std::function<std::unique_ptr<Session>(std::shared_ptr<const Graph>)>& make_session,
                           Trace* trace)
    : cluster_(cluster), options_(std::move(options)), trace_(trace) {
  int channel = 0;
  for (const PipelineSignature& signature : signatures) {
    PipelineLayout layout(signature.graph, signature.plan, cluster.size(), channel);
    channel = std::max(channel, layout.end_channel());
    stages_ = std::max(stages_, static_cast<int>(layout.stages.size()));
    signatures_.push_back({std::move(layout), nullptr, 0});
  }
  if (stages_ * options_.groups > cluster.size()) {
    throw_error(ErrorKind::usage, "{} pipelines of {} stages need {} ranks, and there are {}", options_.groups, stages_,
                stages_ * options_.groups, cluster.size());
  }
  if (cluster.rank() < stages_ * options_.groups) {
    group_ = cluster.rank() / stages_;
    stage_ = cluster.rank() % stages_;
  }
  for (Signature& signature : signatures_) {
    for (const Crossing& crossing : signature.layout.crossings) {
      if (crossing.to == stage_ || (cluster.leads() && crossing.to == Crossing::kLeader)) {
        signature.bytes_in += signature.layout.bytes(crossing);
      }
    }
    signature.layout.stages.resize(static_cast<std::size_t>(stages_));  // a signature may have fewer
    if (stage_ < 0) continue;
    Partition& stage = signature.layout.stages[static_cast<std::size_t>(stage_)];
    if (stage.nodes.empty()) continue;
    signature.session = make_session(graph_of(stage, fmt::format("stage {}", stage_)));
    std::vector<Type> types;
    for (const ValueId value : stage.inputs) types.push_back(signature.layout.graph->value(value).type);
    signature.session->prepare(types);
  }
}

PipelineForm::~PipelineForm() = default;

std::string PipelineForm::name() const {
  return options_.groups == 1 ? fmt::format("pipeline of {} stages", stages_)
                              : fmt::format("{} pipelines of {} stages", options_.groups, stages_);
}

const Session* PipelineForm::session() const noexcept { return signatures_.front().session.get(); }

RankReport PipelineForm::lead(const RequestStream& stream) {
  std::vector<int> kinds;
  for (const std::int64_t request : stream.requests) kinds.push_back(options_.signature_of(request));
  WireWriter round;
  round.put(kinds.size());
  for (const int kind : kinds) round.put(static_cast<std::uint8_t>(kind));
  const auto bytes = round.take();
  for (int rank = 1; rank < cluster_.size(); ++rank) cluster_.send(rank, Topic::round, bytes);
  return Round(*this, std::move(kinds), &stream).execute();
}

RankReport PipelineForm::follow() {
  WireReader round(cluster_.wait(Topic::round).body);
  std::vector<int> kinds(round.count(1));
  for (int& kind : kinds) {
    kind = round.get<std::uint8_t>();
    if (static_cast<std::size_t>(kind) >= signatures_.size())
      throw_error(ErrorKind::comm, "rank 0 names a signature that there is not");
  }
  if (stage_ < 0) return {};
  return Round(*this, std::move(kinds), nullptr).execute();
}

}  // namespace sparse_run
