// Schema, type inference and equation of Einsum.
#include "graph/ops/einsum.hpp"

#include <algorithm>
#include <map>
#include <string>

#include "graph/ops/matrix.hpp"
#include "graph/ops/operand_rules.hpp"

namespace sparse_run {

namespace {

constexpr char kEllipsis = '.';

bool is_label(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

[[noreturn]] void refuse(std::string_view equation, std::string_view why) {
  throw_error(ErrorKind::model, "equation '{}': {}", equation, why);
}

/// One term as labels, its ellipsis as a single kEllipsis.
std::string read_term(std::string_view equation, std::string_view text) {
  std::string labels;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ' ') continue;
    if (is_label(text[i])) {
      labels += text[i];
    } else if (text.substr(i, 3) == "..." && labels.find(kEllipsis) == std::string::npos) {
      labels += kEllipsis;
      i += 2;
    } else {
      refuse(equation, fmt::format("unexpected '{}'", text[i]));
    }
  }
  return labels;
}

std::vector<std::string> read_operands(std::string_view equation, std::string_view text) {
  std::vector<std::string> terms;
  std::size_t start = 0;
  for (std::size_t comma = text.find(','); comma != std::string_view::npos; comma = text.find(',', start)) {
    terms.push_back(read_term(equation, text.substr(start, comma - start)));
    start = comma + 1;
  }
  terms.push_back(read_term(equation, text.substr(start)));
  return terms;
}

/// Without "->": the ellipsis, then every label that occurs once, in alphabetical order.
std::string implicit_output(const std::vector<std::string>& operands) {
  std::map<char, int> counts;
  for (const std::string& term : operands) {
    for (const char label : term) ++counts[label];
  }
  std::string output;
  if (counts.count(kEllipsis) != 0) output += kEllipsis;
  for (const auto& [label, count] : counts) {
    if (label != kEllipsis && count == 1) output += label;
  }
  return output;
}

}  // namespace

EinsumEquation EinsumEquation::parse(std::string_view equation, std::span<const Shape> shapes) {
  const std::size_t arrow = equation.find("->");
  const std::vector<std::string> terms = read_operands(equation, equation.substr(0, arrow));
  if (terms.size() != shapes.size()) {
    refuse(equation, fmt::format("{} terms for {} operands", terms.size(), shapes.size()));
  }
  const std::string output =
      arrow == std::string_view::npos ? implicit_output(terms) : read_term(equation, equation.substr(arrow + 2));

  // The longest ellipsis decides how many indices there are under one.
  std::size_t hidden = 0;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const bool ellipsis = terms[i].find(kEllipsis) != std::string::npos;
    const std::size_t named = terms[i].size() - (ellipsis ? 1 : 0);
    if (shapes[i].size() < named || (!ellipsis && shapes[i].size() != named)) {
      refuse(equation, fmt::format("term {} names {} dimensions, the operand is {}", i, named, to_string(shapes[i])));
    }
    if (ellipsis) hidden = std::max(hidden, shapes[i].size() - named);
  }
  EinsumEquation result;
  result.sizes.assign(hidden, 1);
  std::map<char, std::size_t> indices;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    std::vector<std::size_t>& dims = result.operands.emplace_back();
    for (const char label : terms[i]) {
      if (label == kEllipsis) {
        const std::size_t covered = shapes[i].size() - (terms[i].size() - 1);
        for (std::size_t k = hidden - covered; k < hidden; ++k) dims.push_back(k);
        continue;
      }
      const auto [found, added] = indices.try_emplace(label, result.sizes.size());
      if (added) result.sizes.push_back(1);
      dims.push_back(found->second);
    }
    for (std::size_t d = 0; d < dims.size(); ++d) {
      std::int64_t& size = result.sizes[dims[d]];
      const std::int64_t own = shapes[i][d];
      if (size == own || own == 1) continue;
      if (size == 1 || size == kUnknownDim) {
        size = own;
      } else if (own != kUnknownDim) {
        refuse(equation, fmt::format("sizes {} and {} of one index differ, in operand {} of shape {}", size, own, i,
                                     to_string(shapes[i])));
      }
    }
  }
  for (const char label : output) {
    if (label == kEllipsis) {
      for (std::size_t k = 0; k < hidden; ++k) result.output.push_back(k);
      continue;
    }
    const auto found = indices.find(label);
    if (found == indices.end()) refuse(equation, fmt::format("'{}' of the result is in no operand", label));
    if (std::count(output.begin(), output.end(), label) != 1) {
      refuse(equation, fmt::format("'{}' occurs twice in the result", label));
    }
    result.output.push_back(found->second);
  }
  return result;
}

Shape EinsumEquation::output_shape() const {
  Shape shape;
  for (const std::size_t index : output) shape.push_back(sizes[index]);
  return shape;
}

namespace {

void infer_einsum(InferContext& context) {
  const std::string& equation = context.node().get<std::string>("equation");
  std::vector<Shape> shapes;
  DType dtype = context.dtype(0);
  bool known = true;
  for (std::size_t i = 0; i < context.input_count(); ++i) {
    dtype = expect_same_dtype(context, 0, i);
    const Shape* shape = context.shape(i);
    known = known && shape != nullptr;
    if (known) shapes.push_back(*shape);
  }
  if (!known) return context.set_tensor(0, dtype);
  context.set_tensor(0, dtype, EinsumEquation::parse(equation, shapes).output_shape());
}

}  // namespace

void register_einsum_ops(OpRegistry& registry) { registry.add({"", "Einsum", 12, 1, kUnlimited, 1, 1, infer_einsum}); }

}  // namespace sparse_run
