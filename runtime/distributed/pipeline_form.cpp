// The flow graph of a stage.
#include "runtime/distributed/pipeline_form.hpp"

#include <tbb/flow_graph.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <map>
#include <mutex>
#include <tuple>

#include "base/clock.hpp"
#include "runtime/distributed/busy_clock.hpp"
#include "runtime/distributed/flow_ticket.hpp"
#include "runtime/distributed/part_graph.hpp"
#include "runtime/distributed/stage_packer.hpp"
#include "runtime/distributed/wire.hpp"

namespace sparse_run {

namespace {

std::span<std::byte> bytes_of(Tensor& tensor) { return {static_cast<std::byte*>(tensor.raw()), tensor.bytes()}; }
std::span<const std::byte> bytes_of(const Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.raw()), tensor.bytes()};
}

constexpr std::size_t kTimings = 15;
constexpr double kTimingSeconds = 0.3;

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
      : form_(form),
        cluster_(form.cluster_),
        kinds_(std::move(kinds)),
        stream_(stream),
        packer_(form.options_.link_bytes_per_s) {}

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
    report_.plain_bytes = packer_.plain_bytes();
    report_.packed_bytes = packer_.packed_bytes();
    return report_;
  }

 private:
  /// An input of the stage that came packed.
  struct Packed {
    Tensor tensor;
    std::size_t bytes = 0;  // of the message at its beginning
  };
  using Message = std::shared_ptr<const std::vector<std::byte>>;  // shared: a send's completion is copied

  /// One request on its way through this rank.
  struct Token {
    std::size_t number = 0;              // of those that pass this rank
    std::size_t number_of_its_kind = 0;  // of those that its stage works on, or of those that only pass
    std::size_t position = 0;            // in the stream
    int group = 0;
    bool here = false;                // this rank's stage works on it
    std::vector<Value> request;       // rank 0: the inputs of the graph
    std::vector<Value> inputs;        // of the stage
    std::vector<Packed> packed;       // among them; completions, which come one at a time, add to it
    std::vector<Value> outputs;       // of the stage
    std::map<int, Message> messages;  // by channel: what leaves the stage packed
    std::vector<Value> results;       // rank 0: the outputs of the graph
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
    return stage == Parcel::kLeader ? 0 : token.group * form_.stages_ + stage;
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
        token->results.resize(layout.outputs.size());
        answer_at_once(*token, layout);
      }
      if (token->here) token->inputs.resize(layout.stages[static_cast<std::size_t>(form_.stage_)].inputs.size());
      for (const Parcel& parcel : layout.parcels) {
        const int from = rank_of(*token, parcel.from), to = rank_of(*token, parcel.to);
        if (leads() && parcel.from == Parcel::kLeader && to != from) {
          feed(token, layout, parcel, to);
          continue;
        }
        const bool into_stage = token->here && parcel.to == form_.stage_ && parcel.to != Parcel::kLeader;
        if (!into_stage) continue;
        std::vector<Value*> inputs;
        for (const ValueId value : parcel.values) {
          inputs.push_back(
              &token->inputs[index_of(layout.stages[static_cast<std::size_t>(form_.stage_)].inputs, value)]);
          if (from == to) *inputs.back() = token->request[index_of(layout.inputs, value)];
        }
        if (from != to) post_receive(token, layout, parcel, from, inputs, ticket);
      }
    } catch (...) {
      fail(std::current_exception());
    }
  }

  /// Sends an input of the graph on its way. The request does not wait for it, the end of the stream does.
  void feed(const TokenPtr& token, const PipelineLayout& layout, const Parcel& parcel, int to) {
    std::vector<Tensor> tensors;
    for (const ValueId value : parcel.values) tensors.push_back(token->request[index_of(layout.inputs, value)].tensor);
    check_sizes(tensors, layout, parcel);
    ++loose_;
    post_send(token, layout, parcel, to, tensors, [this] {
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

  void sent(const Token& token, const PipelineLayout& layout, const Parcel& parcel, const Departure& departed,
            std::size_t bytes, const comm::Result& result) {
    const std::int64_t begin = departed.time_ns;
    const std::int64_t end = now_ns();
    transfer_ns_ += end - begin;
    hidden_ns_ += busy_.at(end) - departed.busy_ns;
    if (form_.trace_ != nullptr) {
      form_.trace_->add(
          {layout.name(parcel), "transfer", begin, end,
           fmt::format("request {} to rank {}, {} bytes", token.position, rank_of(token, parcel.to), bytes)});
    }
    if (result.outcome != comm::Outcome::done) lost(token, layout, parcel, result);
  }

  static void check_sizes(const std::vector<Tensor>& tensors, const PipelineLayout& layout, const Parcel& parcel) {
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const ValueId value = parcel.values[i];
      if (tensors[i].bytes() == layout.bytes(value)) continue;
      throw_error(ErrorKind::internal, "'{}' has {} bytes where the plan says {}", layout.name(value),
                  tensors[i].bytes(), layout.bytes(value));
    }
  }

  /// Fills `values`, those of the parcel, when the message comes.
  void post_receive(const TokenPtr& token, const PipelineLayout& layout, const Parcel& parcel, int from,
                    const std::vector<Value*>& values, const std::shared_ptr<Ticket>& ticket) {
    std::vector<Tensor> tensors;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Type& type = layout.type(parcel.values[i]);
      tensors.push_back(Tensor::allocate(type.dtype, *type.shape));
      *values[i] = tensors.back();
    }
    const comm::Address address{from, parcel.channel};
    if (tensors.size() == 1) {
      Tensor& tensor = tensors.front();
      const std::span<std::byte> bytes = bytes_of(tensor);
      const auto length = parcel.may_be_packed ? comm::Length::at_most : comm::Length::exact;
      cluster_.transport().post_receive(
          address, bytes,
          [this, token, ticket, tensor, &layout, &parcel](const comm::Result& result) {
            if (result.outcome != comm::Outcome::done) return lost(*token, layout, parcel, result);
            if (result.bytes < parcel.bytes) token->packed.push_back({tensor, result.bytes});
          },
          0, length);
      return;
    }
    const auto message = std::make_shared<std::vector<std::byte>>(parcel.bytes);  // shared: the completion is copied
    cluster_.transport().post_receive(
        address, *message, [this, token, ticket, tensors, message, &layout, &parcel](const comm::Result& result) {
          if (result.outcome != comm::Outcome::done) return lost(*token, layout, parcel, result);
          const std::byte* at = message->data();
          for (Tensor tensor : tensors) {
            if (tensor.bytes() != 0) std::memcpy(tensor.raw(), at, tensor.bytes());
            at += tensor.bytes();
          }
        });
  }

  /// Outputs of the graph that no stage computes.
  static void answer_at_once(Token& token, const PipelineLayout& layout) {
    for (std::size_t i = 0; i < layout.outputs.size(); ++i) {
      const ValueId id = layout.outputs[i];
      if (layout.is_computed(id)) continue;
      const std::optional<Constant>& constant = layout.constant(id);
      const auto* dense = constant ? std::get_if<Tensor>(&*constant) : nullptr;
      const auto* sparse = constant ? std::get_if<SparseTensor>(&*constant) : nullptr;
      if (dense != nullptr) {
        token.results[i] = dense->clone();
      } else if (sparse != nullptr) {
        token.results[i] = sparse->to_dense();
      } else {
        token.results[i] = token.request[index_of(layout.inputs, id)];
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
      for (Packed& packed : token.packed) packer_.unpack(bytes_of(packed.tensor), packed.bytes);
      if (signature.session) token.outputs = signature.session->run(token.inputs);
      pack(token, signature.layout, static_cast<double>(now_ns() - begin) / 1e9);
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

  /// What leaves this stage for another, where that is faster packed.
  void pack(Token& token, const PipelineLayout& layout, double stage_s) {
    const auto leaves = [&](const Parcel& parcel) {
      return parcel.from == form_.stage_ && rank_of(token, parcel.to) != cluster_.rank();
    };
    std::size_t bytes = 0;
    for (const Parcel& parcel : layout.parcels) bytes += leaves(parcel) ? parcel.bytes : 0;
    for (const Parcel& parcel : layout.parcels) {
      if (!parcel.may_be_packed || !leaves(parcel)) continue;
      const Tensor& tensor = output_of(token, layout, parcel.values.front()).tensor;
      if (auto message = packer_.pack(bytes_of(tensor), bytes - parcel.bytes, stage_s))
        token.messages[parcel.channel] = std::move(message);
    }
  }

  const Value& output_of(const Token& token, const PipelineLayout& layout, ValueId value) const {
    return token.outputs[index_of(layout.stages[static_cast<std::size_t>(form_.stage_)].outputs, value)];
  }

  /// Posts sends of what leaves this rank; on rank 0 waits for the results.
  void send(const TokenPtr& token, Gateway& gateway) {
    const auto ticket = std::make_shared<Ticket>(gateway, token);
    try {
      if (failed_) return;
      const PipelineLayout& layout = signature(*token).layout;
      for (const Parcel& parcel : layout.parcels) {
        const int from = rank_of(*token, parcel.from), to = rank_of(*token, parcel.to);
        const int here = cluster_.rank();
        if (from != here && to == here && parcel.to == Parcel::kLeader) {
          std::vector<Value*> results;
          for (const ValueId value : parcel.values) results.push_back(&result_of(*token, layout, value));
          post_receive(token, layout, parcel, from, results, ticket);
        } else if (from == here && parcel.from != Parcel::kLeader && token->here) {
          std::vector<Tensor> tensors;
          for (const ValueId value : parcel.values) {
            tensors.push_back(output_of(*token, layout, value).tensor);
            if (to == here) result_of(*token, layout, value) = output_of(*token, layout, value);
          }
          if (to == here) continue;
          check_sizes(tensors, layout, parcel);
          post_send(token, layout, parcel, to, tensors, [ticket] {});
        }
      }
    } catch (...) {
      fail(std::current_exception());
    }
  }

  Value& result_of(Token& token, const PipelineLayout& layout, ValueId value) {
    return token.results[index_of(layout.outputs, value)];
  }

  /// `tensors`: the parcel's values, of its sizes. `gone` is called, and let go, when the message has left.
  template <class Gone>
  void post_send(const TokenPtr& token, const PipelineLayout& layout, const Parcel& parcel, int to,
                 const std::vector<Tensor>& tensors, Gone gone) {
    const auto packed = token->messages.find(parcel.channel);
    Message message = packed == token->messages.end() ? nullptr : std::move(packed->second);
    if (!message && tensors.size() > 1) {
      auto together = std::make_shared<std::vector<std::byte>>();
      together->reserve(parcel.bytes);
      for (const Tensor& tensor : tensors) {
        const auto bytes = bytes_of(tensor);
        together->insert(together->end(), bytes.begin(), bytes.end());
      }
      message = std::move(together);
    }
    const Tensor& tensor = tensors.front();
    const std::span<const std::byte> bytes = message ? std::span<const std::byte>(*message) : bytes_of(tensor);
    const Departure begin = departure();
    cluster_.transport().post_send({to, parcel.channel}, bytes,
                                   [this, token, tensor, message, begin, &layout, &parcel, size = bytes.size(),
                                    gone = std::move(gone)](const comm::Result& result) {
                                     sent(*token, layout, parcel, begin, size, result);
                                     gone();
                                   });
  }

  void finish(Token& token) {
    if (failed_ || !leads()) return;
    try {
      // A graph may name one value several times among its outputs.
      const PipelineLayout& layout = signature(token).layout;
      for (std::size_t i = 0; i < token.results.size(); ++i) {
        if (token.results[i].absent()) token.results[i] = token.results[index_of(layout.outputs, layout.outputs[i])];
      }
      stream_->sink(stream_->requests[token.position], std::move(token.results));
      ++finished_;
    } catch (...) {
      fail(std::current_exception());
    }
  }

  void lost(const Token& token, const PipelineLayout& layout, const Parcel& parcel, const comm::Result& result) {
    const auto failure = cluster_.transport().failure();
    fail(std::make_exception_ptr(
        Error(failure ? failure->kind : ErrorKind::comm,
              fmt::format("{}; edge '{}' from rank {} to rank {}, request {}", result.what, layout.name(parcel),
                          rank_of(token, parcel.from), rank_of(token, parcel.to), token.position))));
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
  StagePacker packer_;  // of the working node, until the stream is over
  std::atomic<std::int64_t> transfer_ns_{0}, hidden_ns_{0};
  std::atomic<int> loose_{0};  // sends that no request waits for
  std::atomic<bool> failed_{false};
  std::mutex error_mutex_;
  std::exception_ptr error_;
  bool told_ = false;
};

PipelineForm::PipelineForm(Cluster& cluster, std::vector<PipelineSignature> signatures, PipelineOptions options,
                           const std::function<std::unique_ptr<Session>(std::shared_ptr<const Graph>)>& make_session,
                           Trace* trace)
    : cluster_(cluster), options_(std::move(options)), trace_(trace) {
  int channel = 0;
  for (PipelineSignature& signature : signatures) {
    PipelineLayout layout(signature.graph, signature.plan, cluster.size(), channel);
    channel = std::max(channel, layout.end_channel());
    stages_ = std::max(stages_, static_cast<int>(layout.stages.size()));
    signatures_.push_back({std::move(layout), nullptr, 0});
    signature.graph.reset();
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
    for (const Parcel& parcel : signature.layout.parcels) {
      if (parcel.to == stage_ || (cluster.leads() && parcel.to == Parcel::kLeader)) {
        signature.bytes_in += parcel.bytes;
      }
    }
    compile_stage(signature, make_session);
    signature.layout.stages.resize(static_cast<std::size_t>(stages_));  // a signature may have fewer
  }
}

void PipelineForm::compile_stage(
    Signature& signature, const std::function<std::unique_ptr<Session>(std::shared_ptr<const Graph>)>& make_session) {
  PipelineLayout& layout = signature.layout;
  const auto stage = static_cast<std::size_t>(stage_);
  const bool works = stage_ >= 0 && stage < layout.stages.size() && !layout.part(stage).nodes.empty();
  if (works) signature.session = make_session(graph_of(layout.part(stage), fmt::format("stage {}", stage_)));
  layout.forget_parts();  // the weights of other stages go before this one's are packed
  if (!works) return;
  std::vector<Type> types;
  for (const ValueId value : layout.stages[stage].inputs) types.push_back(layout.type(value));
  signature.session->prepare(types);
}

PipelineForm::~PipelineForm() = default;

std::string PipelineForm::name() const {
  return options_.groups == 1 ? fmt::format("pipeline of {} stages", stages_)
                              : fmt::format("{} pipelines of {} stages", options_.groups, stages_);
}

double PipelineForm::time_stage() const {
  const Signature& signature = signatures_.front();
  if (!signature.session) return 0;
  std::vector<Value> inputs;
  for (const ValueId value : signature.layout.stages[static_cast<std::size_t>(stage_)].inputs) {
    const Type& type = signature.layout.type(value);
    Tensor tensor = Tensor::allocate(type.dtype, *type.shape);
    std::memset(tensor.raw(), 0, tensor.bytes());
    inputs.emplace_back(tensor);
  }
  signature.session->run(inputs);
  std::vector<double> seconds;
  const auto start = Clock::now();
  while (seconds.empty() || (seconds.size() < kTimings && seconds_since(start) < kTimingSeconds)) {
    const auto begin = Clock::now();
    signature.session->run(inputs);
    seconds.push_back(seconds_since(begin));
  }
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::nth_element(seconds.begin(), middle, seconds.end());
  return *middle;
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
