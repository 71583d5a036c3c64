// Compiling a model for the way in which ranks share its requests.
#include "cli/form_making.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cli/pipeline_making.hpp"
#include "graph/passes/pipeline.hpp"
#include "partitioner/rank_stages.hpp"
#include "runtime/distributed/data_stream.hpp"
#include "runtime/distributed/graph_form.hpp"
#include "runtime/distributed/pipeline_form.hpp"
#include "runtime/distributed/row_form.hpp"
#include "runtime/distributed/wire.hpp"

namespace sparse_run::cli {

namespace {

std::unique_ptr<RankForm> make_data_form(RankedWork& work) {
  // Rank 0 chooses kernels, by timing them where that is on; the others take the same, so that results are the same.
  work.phase("compile", [&] {
    if (work.leads()) work.context.report.compiled = work.context.session.prepare(work.job.request_types);
  });
  auto kernels = work.ranks().cluster().broadcast(work.leads() ? KernelChoices::of(*work.context.report.compiled)
                                                               : std::vector<std::byte>());
  work.phase("compile", [&] {
    if (work.leads()) return;
    work.context.kernels.set(std::move(kernels));
    try {
      work.context.report.compiled = work.context.session.prepare(work.job.request_types);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::usage) throw;
      work.context.kernels.clear();  // another kind of processor, which has not these kernels
      work.context.report.compiled = work.context.session.prepare(work.job.request_types);
    }
  });
  bool readable = false;
  if (!work.leads() && !work.job.fingerprint.empty()) {
    try {
      Options same = work.options();
      if (work.job.is_job && !work.job.pad_last) same.micro_batch = work.job.micro_batch;
      work.inputs =
          gather_inputs(work.context.session.inputs(), same, work.context.memory_limit, [](const std::string&) {});
      readable = true;
    } catch (const Error& error) {
      work.inputs = {};  // this host does not have the files: rank 0 sends what is needed
      if (work.options().verbosity > 0)
        fmt::print(stderr, "sparse-run: rank {}: {}; rank 0 sends inputs\n", work.ranks().rank(), error.what());
    }
  }
  DataStreamOptions stream;
  stream.reads_itself =
      agree_on_readers(work.ranks().cluster(), work.job, work.leads() || readable ? &work.inputs : nullptr);
  work.make_parts();
  return std::make_unique<DataForm>(
      work.ranks().cluster(),
      [&work](std::span<const Value> values) { return work.context.session.run(values, work.context.run_options); },
      stream, [&work](std::int64_t request) { return work.inputs_of(request); }, work.context.run_options.trace);
}

/// The signatures of requests: full ones, and a shorter last one.
std::vector<std::vector<Type>> signatures(const RankedWork& work) {
  std::vector<std::vector<Type>> all{work.job.request_types};
  const std::int64_t tail = work.job.is_job && !work.job.pad_last ? work.job.rows % work.job.micro_batch : 0;
  if (tail == 0) return all;
  all.push_back(work.job.request_types);
  for (std::size_t i = 0; i < work.job.split.size(); ++i) {
    if (work.job.split[i]) all.back()[i].shape->front() = tail;
  }
  return all;
}

/// The model resolved for every signature; empty, with a notice, when it cannot be cut.
std::vector<PipelineSignature> resolve_for_cutting(RankedWork& work, const PassOptions& passes) {
  std::vector<PipelineSignature> resolved;
  work.phase("resolve", [&] {
    for (const std::vector<Type>& types : signatures(work)) {
      resolved.push_back({std::make_shared<const Graph>(
                              specialize(*work.context.session.graph(), types, *work.context.evaluator, passes)),
                          {}});
    }
  });
  for (const PipelineSignature& signature : resolved) {
    const Graph& graph = *signature.graph;
    const auto obstacle = std::find_if(graph.outputs().begin(), graph.outputs().end(),
                                       [&](ValueId output) { return !can_cross_ranks(graph.value(output).type); });
    if (obstacle == graph.outputs().end()) continue;
    if (work.leads()) {
      work.context.notice(
          fmt::format("--parallel: output '{}' is {}, whose size is not known beforehand: the model is "
                      "not cut, requests are spread instead",
                      graph.value(*obstacle).name, to_string(graph.value(*obstacle).type)));
    }
    return {};
  }
  return resolved;
}

std::unique_ptr<RankForm> make_graph_form(RankedWork& work) {
  if (work.job.is_job)
    throw_error(ErrorKind::usage, "--parallel graph: every request is a whole graph: leave out --micro-batch");
  const std::vector<PipelineSignature> resolved = resolve_for_cutting(work, work.passes_for_graphs());
  if (resolved.empty()) return nullptr;
  std::unique_ptr<RankForm> form;
  work.phase("compile", [&] {
    GraphFormOptions graph;
    graph.cut = work.options().node_cut;
    graph.notice = work.leads() && work.options().verbosity >= 0 ? work.context.notice : nullptr;
    graph.trace = work.context.run_options.trace;
    form = std::make_unique<GraphForm>(work.ranks().cluster(), split_graph(resolved.front().graph), std::move(graph),
                                       work.context.make_session);
  });
  return form;
}

std::unique_ptr<RankForm> make_row_form(RankedWork& work) {
  const std::vector<PipelineSignature> resolved = resolve_for_cutting(work, work.context.passes);
  if (resolved.empty()) return nullptr;
  work.make_parts();
  std::unique_ptr<RankForm> form;
  work.phase("compile", [&] {
    std::vector<RowProgram> programs;
    for (const PipelineSignature& signature : resolved) {
      programs.push_back(split_rows(*signature.graph, work.ranks().rank(), work.ranks().size()));
    }
    if (work.leads()) {
      const RowProgram& first = programs.front();
      if (first.split_nodes == 0) {
        work.context.notice("no layer is large enough to be split: every rank computes everything");
      } else if (work.options().verbosity > 0) {
        work.context.notice(fmt::format("{} layers are split, {} exchanges in {} levels", first.split_nodes,
                                        first.exchanges.size(), first.levels.size()));
      }
    }
    form = std::make_unique<RowForm>(
        work.ranks().cluster(), std::move(programs),
        [&work](std::int64_t request) { return work.signature_of(request); }, work.context.make_session,
        work.context.run_options.trace);
  });
  return form;
}

/// Null, after a notice, when the model is not cut.
std::unique_ptr<RankForm> make_cut_form(RankedWork& work, const FormChoice& choice) {
  switch (choice.form) {
    case Parallel::data:
      return nullptr;
    case Parallel::graph:
      return make_graph_form(work);
    case Parallel::rows:
      return make_row_form(work);
    default: {
      auto resolved = resolve_for_cutting(work, work.context.passes);
      return resolved.empty() ? nullptr : make_pipeline_form(work, choice, std::move(resolved));
    }
  }
}

}  // namespace

std::unique_ptr<RankForm> make_form(RankedWork& work, const FormChoice& choice) {
  auto form = make_cut_form(work, choice);
  return form ? std::move(form) : make_data_form(work);
}

}  // namespace sparse_run::cli
