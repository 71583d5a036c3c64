// SparseAggregate and AggregateChain: rows of the result in parallel, each the reduction of its edges' messages.
#include <algorithm>
#include <memory>
#include <vector>

#include "cpu/graph_kernels/adjacency.hpp"
#include "cpu/graph_kernels/aggregate_kernels.hpp"
#include "cpu/graph_kernels/aggregate_plan.hpp"
#include "cpu/graph_kernels/row_chain.hpp"
#include "cpu/kernel_table.hpp"
#include "cpu/parallel.hpp"

namespace sparse_run::cpu {

namespace {

constexpr std::size_t kHeavyEdges = 16384;  // rows with more are cut into pieces
constexpr std::size_t kPieceEdges = 8192;   // of such a row; fixed, so that results do not depend on threads
constexpr std::size_t kTaskFloats = 32768;  // less work than this is not worth a task of its own
constexpr std::size_t kTasksPerThread = 16;

/// What one execution works on.
struct Run {
  std::shared_ptr<const EdgeGroups> groups;
  std::vector<RowSource> operands;  ///< in the order of the groups: `rows` indexed by position, not yet by block
  std::vector<std::shared_ptr<const RowNumbers>> kept;  ///< what `operands` points into
  float* y = nullptr;
};

/// The memory of one thread.
struct Workspace {
  float* evaluation;
  std::uint32_t* row_of_edge;
  float* tail;
  float* reduced;
  float* chain;
};

class AggregateStep final : public Step {
 public:
  AggregateStep(AggregatePlan plan, std::unique_ptr<RowChain> chain, const NodeView& view,
                const Environment& environment)
      : plan_(std::move(plan)),
        chain_(std::move(chain)),
        threads_(environment.threads),
        cache_(environment.adjacencies != nullptr ? environment.adjacencies : std::make_shared<AdjacencyCache>()) {
    edges_ = static_cast<std::size_t>(element_count(view.input_shape(0)));
    thread_floats_ = plan_.workspace_floats();
    if (chain_ != nullptr) thread_floats_ += (2 * chain_->buffer_floats() + 15) / 16 * 16;
  }

  std::size_t scratch_bytes() const override {
    return thread_floats_ * sizeof(float) * static_cast<std::size_t>(threads_ + 1);
  }

  double flops() const override {
    const double per_edge = plan_.form == MessageForm::weighted ? 2 : 1;
    const double products =
        chain_ == nullptr ? 0 : chain_->flops_per_row() * static_cast<double>(plan_.aggregate.nodes());
    return per_edge * static_cast<double>(edges_) * static_cast<double>(plan_.elements(plan_.reduced)) + products;
  }

  void run(const StepArguments& arguments) const override {
    if (arguments.output(0).size() == 0) {
      group_edges(arguments.input(0), plan_.aggregate.nodes());  // indices are checked even when nothing is computed
      return;
    }
    const Run run = prepare(arguments);
    const auto nodes = static_cast<std::size_t>(plan_.aggregate.nodes());
    const std::uint32_t* const begin = run.groups->begin.data();
    const std::size_t work = run.groups->edges + nodes;
    const std::size_t tasks =
        std::clamp<std::size_t>(work * plan_.elements(plan_.aggregate.full()) / kTaskFloats, 1,
                                threads_ == 1 ? 1 : kTasksPerThread * static_cast<std::size_t>(threads_));
    const auto workspace = [&] { return workspace_of(arguments.scratch); };
    const HeavyRows heavy = reduce_heavy_rows(run, workspace);
    if (chain_ != nullptr) return run_chain(arguments, run, heavy);
    // Task t ends with the first row at which edges and rows so far exceed its share.
    const auto row_at = [&](std::size_t task) {
      const std::size_t share = work * task / tasks;
      std::size_t low = 0, high = nodes;
      while (low < high) {
        const std::size_t middle = (low + high) / 2;
        if (begin[middle] + middle < share) {
          low = middle + 1;
        } else {
          high = middle;
        }
      }
      return low;
    };
    parallel_tasks(static_cast<std::int64_t>(tasks), [&](std::int64_t task) {
      const auto first = row_at(static_cast<std::size_t>(task));
      const auto last =
          static_cast<std::size_t>(task) + 1 == tasks ? nodes : row_at(static_cast<std::size_t>(task) + 1);
      const Workspace memory = workspace();
      for (std::size_t row = first; row < last; row += plan_.row_block) {
        finish_rows(run, heavy, row, std::min(last, row + plan_.row_block), memory,
                    run.y + row * static_cast<std::size_t>(plan_.aggregate.row_elements()));
      }
    });
  }

 private:
  /// Rows of very many edges, ascending, and what their edges come to.
  struct HeavyRows {
    std::vector<std::size_t> rows;
    std::vector<float> reduced;
  };

  Run prepare(const StepArguments& arguments) const {
    const Aggregate& aggregate = plan_.aggregate;
    Run run;
    run.groups = cache_->groups(arguments.input(0), aggregate.nodes());
    run.y = arguments.out<float>(0);
    run.operands.resize(aggregate.roles.size());
    for (std::size_t i = 1; i < run.operands.size(); ++i) {
      const std::int64_t role = aggregate.roles[i];
      if (role == Aggregate::index) continue;
      RowSource& source = run.operands[i];
      source.data = arguments.in<float>(i);
      source.fixed = role == Aggregate::fixed;
      if (role == Aggregate::per_edge && !run.groups->in_order()) source.rows = run.groups->edge.data();
      if (role > 0) {
        run.kept.push_back(
            cache_->numbers(run.groups, arguments.input(static_cast<std::size_t>(role)), arguments.input(i).dim(0)));
        source.rows = run.kept.back()->data();
      }
      if (role == 0 && arguments.input(i).dim(0) != aggregate.nodes()) {
        run.kept.push_back(cache_->numbers(run.groups, arguments.input(0), arguments.input(i).dim(0)));
        source.rows = run.kept.back()->data();
      }
    }
    return run;
  }

  Workspace workspace_of(std::byte* scratch) const {
    const int slot = std::clamp(tbb::this_task_arena::current_thread_index(), 0, threads_);
    auto* at = reinterpret_cast<float*>(scratch) + static_cast<std::size_t>(slot) * thread_floats_;
    Workspace memory{};
    memory.chain = at + plan_.workspace_floats();
    memory.reduced = at;
    at += plan_.row_block * plan_.elements(plan_.reduced);
    memory.tail = at;
    at += plan_.tail.workspace_floats(plan_.row_block);
    memory.row_of_edge = reinterpret_cast<std::uint32_t*>(at);
    memory.evaluation = at + plan_.edge_block + kRowsAhead;
    return memory;
  }

  /// True when a row of the operand belongs to the target itself.
  bool by_target(const Run& run, std::size_t operand) const {
    return plan_.aggregate.roles[operand] == 0 && run.operands[operand].rows == nullptr;
  }

  void reduce(float* y, std::size_t n, const float* x, std::size_t stride, const std::uint32_t* rows,
              std::size_t count) const {
    if (plan_.aggregate.reduction == Aggregate::Reduction::add) {
      aggregate_kernels().sum(y, n, x, stride, rows, count);
    } else {
      aggregate_kernels().extreme(plan_.aggregate.reduction == Aggregate::Reduction::max, y, n, x, stride, rows, count);
    }
  }

  /// Reduces the edges at positions [first, last), which all belong to rows [row, …), onto y, where row `row` begins.
  void reduce_edges(const Run& run, std::size_t row, std::size_t first, std::size_t last, float* y,
                    const Workspace& memory) const {
    const std::uint32_t* const begin = run.groups->begin.data();
    const std::size_t n = plan_.elements(plan_.reduced);
    const auto end_of = [&](std::size_t r) { return std::min<std::size_t>(begin[r + 1], last); };
    if (plan_.form == MessageForm::number) {
      const float number =
          plan_.aggregate.message.numbers[static_cast<std::size_t>(plan_.aggregate.message.steps[0].argument)];
      for (; first < last; ++row, y += n) {
        y[0] += number * static_cast<float>(end_of(row) - first);
        first = end_of(row);
      }
      return;
    }
    const RowSource& source = run.operands[plan_.operand];
    const bool own_row = by_target(run, plan_.operand);
    // a target's own row has to be repeated for each of its edges: stride 0 does that
    const auto start = [&](std::size_t r, std::size_t position) {
      return source.data + (own_row ? r : source.rows == nullptr ? position : 0) * n;
    };
    if (plan_.form == MessageForm::rows) {
      for (; first < last; ++row, y += n) {
        const std::size_t end = end_of(row);
        reduce(y, n, start(row, first), own_row ? 0 : n, source.rows == nullptr ? nullptr : source.rows + first,
               end - first);
        first = end;
      }
      return;
    }
    while (first < last) {
      const std::size_t count = std::min(plan_.edge_block, last - first);
      const RowBlock block = evaluate(run, row, first, count, memory);
      for (std::size_t at = first; at < first + count;) {
        const std::size_t end = std::min(end_of(row), first + count);
        const float* const values = block.data + (at - first) * block.step;
        if (plan_.form == MessageForm::weighted) {
          aggregate_kernels().weighted_sum(y, static_cast<std::size_t>(plan_.aggregate.heads),
                                           static_cast<std::size_t>(plan_.aggregate.width), start(row, at),
                                           own_row ? 0 : n, source.rows == nullptr ? nullptr : source.rows + at,
                                           end - at, values, block.step, (block.span & kHeads) != 0 ? 1 : 0);
        } else {
          reduce(y, n, values, block.step, nullptr, end - at);
        }
        at = end;
        if (at == begin[row + 1] && at < last) {
          do {
            ++row;
            y += n;
          } while (begin[row + 1] == at);
        }
      }
      first += count;
    }
  }

  /// Messages, or weights, of the edges at positions [first, first + count), the first of which belongs to `row`.
  RowBlock evaluate(const Run& run, std::size_t row, std::size_t first, std::size_t count,
                    const Workspace& memory) const {
    const std::uint32_t* const begin = run.groups->begin.data();
    for (std::size_t i = 0; i < count; ++i) {
      while (begin[row + 1] <= first + i) ++row;
      memory.row_of_edge[i] = static_cast<std::uint32_t>(row);
    }
    std::fill_n(memory.row_of_edge + count, kRowsAhead, 0u);
    RowSource sources[kMostOperands];
    for (std::size_t i = 1; i < run.operands.size(); ++i) {
      sources[i] = run.operands[i];
      if (plan_.aggregate.roles[i] == Aggregate::index || sources[i].fixed) continue;
      if (by_target(run, i)) {
        sources[i].rows = memory.row_of_edge;
      } else if (sources[i].rows != nullptr) {
        sources[i].rows += first;
      } else {
        sources[i].data += first * plan_.elements(plan_.aggregate.spans[i]);
      }
    }
    const RowEvaluator& evaluator = plan_.form == MessageForm::weighted ? plan_.weight : plan_.message;
    return evaluator.run(sources, count, memory.evaluation);
  }

  template <class MakeWorkspace>
  HeavyRows reduce_heavy_rows(const Run& run, const MakeWorkspace& workspace) const {
    HeavyRows heavy;
    const std::uint32_t* const begin = run.groups->begin.data();
    if (run.groups->edges <= kHeavyEdges || plan_.form == MessageForm::number) return heavy;
    struct Piece {
      std::size_t row, first, last;
    };
    std::vector<Piece> pieces;
    for (std::size_t row = 0; row < run.groups->rows; ++row) {
      if (begin[row + 1] - begin[row] <= kHeavyEdges) continue;
      heavy.rows.push_back(row);
      for (std::size_t first = begin[row]; first < begin[row + 1]; first += kPieceEdges) {
        pieces.push_back({row, first, std::min<std::size_t>(begin[row + 1], first + kPieceEdges)});
      }
    }
    if (pieces.empty()) return heavy;
    const std::size_t n = plan_.elements(plan_.reduced);
    std::vector<float> parts(pieces.size() * n, plan_.aggregate.neutral());
    parallel_tasks(static_cast<std::int64_t>(pieces.size()), [&](std::int64_t i) {
      const Piece& piece = pieces[static_cast<std::size_t>(i)];
      reduce_edges(run, piece.row, piece.first, piece.last, parts.data() + static_cast<std::size_t>(i) * n,
                   workspace());
    });
    heavy.reduced.assign(heavy.rows.size() * n, plan_.aggregate.initial);
    std::size_t place = 0;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      if (pieces[i].row != heavy.rows[place]) ++place;
      reduce(heavy.reduced.data() + place * n, n, parts.data() + i * n, n, nullptr, 1);
    }
    return heavy;
  }

  /// Blocks of aggregated rows and the products of each, while it is in cache.
  void run_chain(const StepArguments& arguments, const Run& run, const HeavyRows& heavy) const {
    const auto nodes = static_cast<std::size_t>(plan_.aggregate.nodes());
    const auto width = static_cast<std::size_t>(plan_.aggregate.row_elements());
    const auto block = static_cast<std::size_t>(chain_->block_rows());
    std::vector<const float*> operands(arguments.inputs.size(), nullptr);
    for (std::size_t i = run.operands.size(); i < operands.size(); ++i) operands[i] = arguments.in<float>(i);
    parallel_tasks(static_cast<std::int64_t>((nodes + block - 1) / block), [&](std::int64_t task) {
      const std::size_t first = static_cast<std::size_t>(task) * block;
      const std::size_t last = std::min(nodes, first + block);
      const Workspace memory = workspace_of(arguments.scratch);
      for (std::size_t row = first; row < last; row += plan_.row_block) {
        finish_rows(run, heavy, row, std::min(last, row + plan_.row_block), memory,
                    memory.chain + (row - first) * width);
      }
      chain_->run(operands.data(), static_cast<std::int64_t>(first), static_cast<std::int64_t>(last - first),
                  memory.chain, run.y);
    });
  }

  /// Whether a row of the aggregate is the sum of gathered rows and nothing else.
  bool sums_rows_alone(const Run& run) const {
    const Aggregate& aggregate = plan_.aggregate;
    return plan_.form == MessageForm::rows && aggregate.reduction == Aggregate::Reduction::add &&
           aggregate.tail.steps.empty() && plan_.reduced == aggregate.full() &&
           run.operands[plan_.operand].rows != nullptr;
  }

  /// finish_rows for such sums.
  void sum_rows(const Run& run, const HeavyRows& heavy, std::size_t first, std::size_t last, float* y) const {
    const std::size_t n = plan_.elements(plan_.reduced);
    const RowSource& source = run.operands[plan_.operand];
    auto next = std::lower_bound(heavy.rows.begin(), heavy.rows.end(), first);
    for (std::size_t row = first; row < last; ++row) {
      const std::size_t stop = next != heavy.rows.end() && *next < last ? *next : last;
      aggregate_kernels().sum_rows(y + (row - first) * n, n, plan_.aggregate.initial, source.data, n, source.rows,
                                   run.groups->begin.data() + row, stop - row);
      row = stop;
      if (row == last) break;
      const auto place = next - heavy.rows.begin();
      std::copy_n(heavy.reduced.begin() + place * static_cast<std::ptrdiff_t>(n), n, y + (row - first) * n);
      ++next;
    }
  }

  /// Rows [first, last) of the aggregate, a block, to y.
  void finish_rows(const Run& run, const HeavyRows& heavy, std::size_t first, std::size_t last, const Workspace& memory,
                   float* y) const {
    const Aggregate& aggregate = plan_.aggregate;
    const std::uint32_t* const begin = run.groups->begin.data();
    const std::size_t n = plan_.elements(plan_.reduced);
    if (sums_rows_alone(run)) return sum_rows(run, heavy, first, last, y);
    float* const sums = plan_.reduced == aggregate.full() ? y : memory.reduced;
    std::fill_n(sums, (last - first) * n, aggregate.initial);
    std::size_t row = first;
    auto next = std::lower_bound(heavy.rows.begin(), heavy.rows.end(), first);
    while (row < last) {
      const std::size_t stop = next != heavy.rows.end() && *next < last ? *next : last;
      if (stop > row && begin[stop] > begin[row]) {
        std::size_t start = row;
        while (begin[start + 1] == begin[row]) ++start;  // to the first row with an edge
        reduce_edges(run, start, begin[row], begin[stop], sums + (start - first) * n, memory);
      }
      row = stop;
      if (row < last) {
        const auto place = static_cast<std::size_t>(next - heavy.rows.begin());
        std::copy_n(heavy.reduced.begin() + static_cast<std::ptrdiff_t>(place * n), n, sums + (row - first) * n);
        ++row;
        ++next;
      }
    }
    RowBlock block{sums, n, plan_.reduced};
    if (!aggregate.tail.steps.empty()) {
      RowSource sources[kMostOperands];
      sources[0].data = sums;
      for (std::size_t i = 1; i < run.operands.size(); ++i) {
        sources[i] = run.operands[i];
        if (aggregate.roles[i] == Aggregate::per_node) sources[i].data += first * plan_.elements(aggregate.spans[i]);
      }
      block = plan_.tail.run(sources, last - first, memory.tail, plan_.tail.span() == aggregate.full() ? y : nullptr);
    }
    expand_rows(block, static_cast<std::size_t>(aggregate.heads), static_cast<std::size_t>(aggregate.width),
                last - first, y);
  }

 public:
  static constexpr std::size_t kMostOperands = 2 * RowExpression::kMaxSteps;

 private:
  AggregatePlan plan_;
  std::unique_ptr<RowChain> chain_;  ///< of an AggregateChain
  std::size_t thread_floats_ = 0;
  std::size_t edges_ = 0;
  int threads_;
  std::shared_ptr<AdjacencyCache> cache_;  // shared: by all steps of a device, so that layers find each other's groups
};

Verdict check_sizes(const NodeView& view, const Aggregate& aggregate) {
  if (view.input_count() > AggregateStep::kMostOperands) return Verdict::reject("too many operands");
  if (aggregate.nodes() > kMostRows || element_count(view.input_shape(0)) > kMostRows) {
    return Verdict::reject("nodes or edges do not fit 32 bits");
  }
  for (std::size_t i = 0; i < aggregate.roles.size(); ++i) {
    if (aggregate.roles[i] >= 0 && view.input_shape(i)[0] > kMostRows) {
      return Verdict::reject("rows to gather do not fit 32 bits");
    }
  }
  return Verdict::accept();
}

Verdict check_aggregate(const NodeView& view, const Environment&) {
  if (!view.concrete()) return Verdict::reject("shapes depend on data");
  return check_sizes(view, Aggregate::of(view.node()));
}

std::unique_ptr<Step> build_aggregate(const NodeView& view, const Environment& environment) {
  return std::make_unique<AggregateStep>(AggregatePlan(Aggregate::of(view.node())), nullptr, view, environment);
}

Verdict check_chain(const NodeView& view, const Environment&) {
  if (!view.concrete()) return Verdict::reject("shapes depend on data");
  const AggregateChain chain = AggregateChain::of(view.node());
  if (!RowChain::runs_activations(chain)) return Verdict::reject("an activation has no kernel");
  if (element_count(view.output_shape(0)) == 0 || chain.aggregate.row_elements() == 0) {
    return Verdict::reject("the result is empty");
  }
  for (const RowStage& stage : chain.stages) {
    if (element_count(view.input_shape(static_cast<std::size_t>(stage.weights))) == 0) {
      return Verdict::reject("a matrix of weights is empty");
    }
  }
  return check_sizes(view, chain.aggregate);
}

/// Blocks long enough for products to run at full speed, short enough for two of them to stay in the cache of a core
/// and for every thread to get several.
std::int64_t chain_block(std::int64_t nodes, int threads) {
  return std::clamp<std::int64_t>(nodes / (8 * std::int64_t{threads}) / 16 * 16, 64, 256);
}

std::unique_ptr<Step> build_chain(const NodeView& view, const Environment& environment) {
  const AggregateChain chain = AggregateChain::of(view.node());
  std::vector<Shape> shapes;
  for (std::size_t i = 0; i < view.input_count(); ++i) shapes.push_back(view.input_shape(i));
  auto products = std::make_unique<RowChain>(chain, shapes, chain_block(chain.aggregate.nodes(), environment.threads));
  return std::make_unique<AggregateStep>(AggregatePlan(chain.aggregate), std::move(products), view, environment);
}

/// There is no kernel of its own for what recognise-aggregate leaves: the entry tells why it was left.
Verdict check_scatter(const NodeView& view, const Environment&) {
  return Verdict::reject(view.node().string_or("not_aggregated", "it adds up no rows of a graph"));
}

}  // namespace

void register_aggregate_kernels(KernelTable& table) {
  table.add("SparseAggregate", {"cpu.aggregate.csr.f32", check_aggregate, build_aggregate}, kInternalDomain);
  table.add("AggregateChain", {"cpu.aggregate.chain.f32", check_chain, build_chain}, kInternalDomain);
  for (const char* op : {"ScatterElements", "ScatterND"}) {
    table.add(op, {"cpu.aggregate.csr.f32", check_scatter, nullptr});
  }
}

}  // namespace sparse_run::cpu
