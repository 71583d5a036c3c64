// Describing a model.
#include "cli/inspect.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/quantities.hpp"
#include "cli/text_table.hpp"
#include "cpu/selection/crossover.hpp"
#include "graph/passes/resolve.hpp"

namespace sparse_run::cli {

namespace {

/// Below the threshold by less than this: a matter of shape and machine.
constexpr double kDoubtful = 0.10;
/// Weights smaller than this are not worth a sparse format.
constexpr std::int64_t kSmallWeight = 1024;

struct Layer {
  std::string name;
  std::string op;
  Shape shape;
  DType dtype;
  Sparsity sparsity;
  double pays_from;
  SparsityVerdict verdict;
};

struct Inspection {
  std::vector<Layer> layers;
  std::map<std::string, std::size_t> operators;
  std::int64_t weights = 0;
  std::int64_t zeros = 0;
  std::int64_t weights_that_pay = 0;
};

DType dtype_of_constant(const ValueDef& value) {
  if (const Tensor* tensor = value.tensor()) return tensor->dtype();
  if (const SparseTensor* sparse = value.sparse()) return sparse->dtype();
  return value.type.dtype;
}

/// Measures each shape once.
class Crossovers {
 public:
  double of(const Node& node, const Shape& weight) {
    if (weight.size() < 2 || element_count(weight) < kSmallWeight) return kUnmeasured;
    auto rows = static_cast<std::size_t>(weight[0]);
    auto k = static_cast<std::size_t>(element_count(weight) / weight[0]);
    const bool product = node.op == "MatMul" || (node.op == "Gemm" && node.int_or("transB", 0) == 0);
    if (product) std::swap(rows, k);
    const auto known = measured_.find({rows, k});
    if (known != measured_.end()) return known->second;
    return measured_.emplace(std::pair(rows, k), cpu::measured_crossover(rows, k)).first->second;
  }

 private:
  static constexpr double kUnmeasured = 0.7;  // of vectors and of weights too small to matter

  std::map<std::pair<std::size_t, std::size_t>, double> measured_;
};

Inspection inspect(const Model& model, Evaluator& evaluator) {
  const Graph graph = fold_constants(*model.graph, evaluator);
  Inspection result;
  Crossovers crossovers;
  for (const Node& node : graph.nodes()) ++result.operators[node.op];
  for (const WeightSparsity& weight : weight_sparsity(graph)) {
    const Node& node = graph.node(weight.node);
    const DType dtype = dtype_of_constant(graph.value(weight.constant));
    const double from = crossovers.of(node, weight.shape);
    result.layers.push_back(
        {node.name, node.op, weight.shape, dtype, weight.sparsity, from, judge_sparsity(weight.sparsity, from)});
    result.weights += weight.sparsity.elements;
    result.zeros += weight.sparsity.zeros;
    if (result.layers.back().verdict.pays) result.weights_that_pay += weight.sparsity.elements;
  }
  return result;
}

double share(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

/// "f32[N x 3 x 224 x 224]" with the names of symbolic dimensions.
std::string type_with_symbols(const ValueDef& value) {
  if (value.type.kind != ValueKind::tensor || !value.type.shape) return to_string(value.type);
  std::vector<std::string> dims;
  for (std::size_t d = 0; d < value.type.shape->size(); ++d) {
    const std::int64_t dim = (*value.type.shape)[d];
    const std::string symbol = d < value.symbols.size() ? value.symbols[d] : std::string();
    dims.push_back(dim >= 0 ? std::to_string(dim) : symbol.empty() ? "?" : symbol);
  }
  return fmt::format("{}[{}]", to_string(value.type.dtype), fmt::join(dims, "x"));
}

std::string opsets_of(const Model& model) {
  std::vector<std::string> words;
  for (const OpsetImport& opset : model.opsets) {
    words.push_back(fmt::format("{} {}", opset.domain.empty() ? "ai.onnx" : opset.domain, opset.version));
  }
  return fmt::format("{}", fmt::join(words, ", "));
}

std::string overall_verdict(const Inspection& inspection) {
  const double paying = share(inspection.weights_that_pay, inspection.weights);
  if (inspection.layers.empty()) return "no layer multiplies by constant weights: sparsity has nothing to act on";
  if (paying >= 0.5)
    return fmt::format("sparsity should pay: {:.0f}% of the weights are in layers sparse enough", 100 * paying);
  if (paying > 0)
    return fmt::format("sparsity should help a little: {:.0f}% of the weights are in layers sparse enough",
                       100 * paying);
  double least = 1;
  for (const Layer& layer : inspection.layers) least = std::min(least, layer.pays_from);
  return fmt::format("sparsity will not pay: prune to {:.0f}% zeros or more, or run the model as a dense one",
                     100 * least);
}

}  // namespace

SparsityVerdict judge_sparsity(const Sparsity& sparsity, double from) {
  const double zeros = sparsity.share();
  if (zeros == 0) return {false, "no zeros"};
  if (sparsity.elements < kSmallWeight) return {false, "too small to matter"};
  if (sparsity.pattern == Sparsity::Pattern::channels && zeros < from) {
    return {false, "whole channels are zero: remove them from the model, then it is smaller and dense"};
  }
  if (zeros >= from) return {true, fmt::format("above the {:.0f}% from which sparse kernels win", 100 * from)};
  if (zeros >= from - kDoubtful) {
    return {false, fmt::format("close to the {:.0f}% from which sparse kernels win", 100 * from)};
  }
  return {false, fmt::format("dense kernels are faster below {:.0f}%", 100 * from)};
}

std::string inspect_text(const Model& model, const std::string& file, Evaluator& evaluator) {
  const Inspection inspection = inspect(model, evaluator);
  std::string text = fmt::format("model    {}, hash {}\n", file, model.hash);
  text += fmt::format("format   IR {}, opset {}{}{}\n", model.ir_version, opsets_of(model),
                      model.producer_name.empty() ? "" : ", written by " + model.producer_name,
                      model.producer_version.empty() ? "" : " " + model.producer_version);
  for (const auto& [kind, ports] :
       {std::pair("input", model.graph->inputs()), std::pair("output", model.graph->outputs())}) {
    for (const ValueId id : ports) {
      text +=
          fmt::format("{:<8} {}  {}\n", kind, model.graph->value(id).name, type_with_symbols(model.graph->value(id)));
    }
  }
  std::vector<std::string> operators;
  for (const auto& [op, count] : inspection.operators) operators.push_back(fmt::format("{} {}", count, op));
  text += fmt::format("nodes    {}\n", fmt::join(operators, ", "));
  if (!inspection.layers.empty()) {
    TextTable table({"layer", "op", "weight", "zeros", "pattern", "pays", "because"}, "lllrlll");
    for (const Layer& layer : inspection.layers) {
      table.add({layer.name, layer.op, fmt::format("{}[{}]", to_string(layer.dtype), to_string(layer.shape)),
                 fmt::format("{:.1f}%", 100 * layer.sparsity.share()), layer.sparsity.describe(),
                 layer.verdict.pays ? "yes" : "no", layer.verdict.reason});
    }
    text += '\n' + table.text() + '\n';
    text += fmt::format("weights  {}, {:.1f}% zeros\n", format_count(static_cast<double>(inspection.weights)),
                        100 * share(inspection.zeros, inspection.weights));
  }
  text += fmt::format("verdict  {}\n", overall_verdict(inspection));
  text +=
      "         Shares were measured here and now, on f32 matrices of each weight's shape times 192 columns in one "
      "thread;\n         for the model's own input, see --explain and --benchmark --profile.\n";
  return text;
}

std::string inspect_json(const Model& model, const std::string& file, Evaluator& evaluator) {
  using Json = nlohmann::ordered_json;
  const Inspection inspection = inspect(model, evaluator);
  Json json = {{"schema_version", 1},
               {"model", {{"file", file}, {"hash", model.hash}, {"ir_version", model.ir_version}}}};
  for (const auto& [kind, ports] :
       {std::pair("inputs", model.graph->inputs()), std::pair("outputs", model.graph->outputs())}) {
    json[kind] = Json::array();
    for (const ValueId id : ports) {
      const ValueDef& value = model.graph->value(id);
      json[kind].push_back({{"name", value.name}, {"type", type_with_symbols(value)}});
    }
  }
  json["operators"] = inspection.operators;
  json["weights"] = inspection.weights;
  json["zeros"] = share(inspection.zeros, inspection.weights);
  json["verdict"] = overall_verdict(inspection);
  json["estimated"] = true;  // from matrices of the weights' shapes, not from the model
  json["layers"] = Json::array();
  for (const Layer& layer : inspection.layers) {
    json["layers"].push_back({{"name", layer.name},
                              {"op", layer.op},
                              {"type", to_string(layer.dtype)},
                              {"shape", layer.shape},
                              {"zeros", layer.sparsity.share()},
                              {"pattern", layer.sparsity.describe()},
                              {"pays", layer.verdict.pays},
                              {"pays_from", layer.pays_from},
                              {"reason", layer.verdict.reason}});
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace sparse_run::cli
