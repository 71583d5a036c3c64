// Writing a layer's signature.
#include "cpu/selection/signature.hpp"

#include <algorithm>
#include <cmath>

#include "cpu/selection/fingerprint.hpp"
#include "cpu/selection/group_pattern.hpp"
#include "cpu/selection/trial.hpp"

namespace sparse_run::cpu {

namespace {

std::string text_of(const Attribute& attribute) {
  return std::visit(
      []<class T>(const T& value) -> std::string {
        if constexpr (std::is_same_v<T, std::int64_t> || std::is_same_v<T, float>) {
          return fmt::format("{}", value);
        } else if constexpr (std::is_same_v<T, std::string>) {
          return fmt::format("{:x}", fingerprint(value));
        } else if constexpr (std::is_same_v<T, std::vector<std::int64_t>> || std::is_same_v<T, std::vector<float>>) {
          std::string all;
          for (const auto element : value) all += fmt::format("{},", element);
          return all;
        } else {
          return "?";  // of no operator that has competing kernels
        }
      },
      attribute);
}

/// Step of a scale whose ratios matter, not its differences.
int octave_step(double share) { return share <= 0 ? -999 : static_cast<int>(std::lround(12 * std::log2(share))); }

/// "g1:4" by rows, "h1:4" by columns: patterns that have kernels of their own.
std::string patterns(const WeightFacts& weight) {
  std::string text;
  for (const bool rows_first : {true, false}) {
    const auto pattern = group_pattern(weight, rows_first);
    if (pattern) text += fmt::format("{}{}:{}", rows_first ? "g" : "h", pattern->kept, pattern->of);
  }
  return text;
}

std::string weight_class(const WeightFacts& weight) {
  const double density = 1 - weight.zeros();
  const WeightFacts::Structure structure = weight.structure();
  const auto grade = [](double value) {
    return value < 0.25 ? 0 : value < 0.5 ? 1 : value < 1 ? 2 : value < 2 ? 3 : 4;
  };
  return fmt::format("z{}r{}c{}b{}{}{}", octave_step(density), grade(structure.row_spread),
                     grade(structure.column_spread), grade(structure.along_rows), grade(structure.along_columns),
                     patterns(weight));
}

}  // namespace

std::string layer_signature(const NodeView& view, const Environment& environment) {
  const Node& node = view.node();
  std::string text = fmt::format("{}.{}@{}|t{}", node.domain, node.op, node.opset, environment.threads);
  if (environment.precision == Precision::bf16) text += "|bf16";
  for (const auto& [name, value] : node.attributes) text += fmt::format("|{}={}", name, text_of(value));
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    text += "|";
    if (!view.has_input(i)) continue;
    text += to_string(view.input_type(i));
    if (is_rectified(view, i)) text += "+";  // of which some kernels skip the zeros
    const WeightFacts* weight = view.weight(i);
    if (weight == nullptr) continue;
    text += view.sparse_constant(i) != nullptr ? "s" : "d";
    if (weight->shape().size() >= 2) text += weight_class(*weight);
  }
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    if (view.has_output(i)) text += ">" + to_string(view.output_type(i));
  }
  return text;
}

}  // namespace sparse_run::cpu
