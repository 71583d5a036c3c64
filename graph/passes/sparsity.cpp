// Counting zeros and telling patterns apart.
#include "graph/passes/sparsity.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "graph/passes/scalar.hpp"

namespace sparse_run {

namespace {

constexpr double kFewZeros = 0.05;
/// A pattern counts as found when it explains this share of what is looked at.
constexpr double kClear = 0.9;
constexpr std::int64_t kSampledGroups = 4096;

/// One byte per element in row-major order: 1 where it is zero.
struct ZeroMap {
  Shape shape;
  std::vector<std::uint8_t> zero;

  std::int64_t elements() const { return static_cast<std::int64_t>(zero.size()); }
  bool is_zero(std::int64_t position) const { return zero[static_cast<std::size_t>(position)] != 0; }
};

/// Row-major positions of what is not zero, ascending: of a sparse constant, never spread out.
struct PositionMap {
  Shape shape;
  std::vector<std::int64_t> filled;

  std::int64_t elements() const { return element_count(shape); }
  bool is_zero(std::int64_t position) const { return !std::ranges::binary_search(filled, position); }
};

ZeroMap zero_map(const Tensor& tensor, double zero_point) {
  ZeroMap map{tensor.shape(), std::vector<std::uint8_t>(static_cast<std::size_t>(tensor.size()), 0)};
  visit_arithmetic(tensor.dtype(), [&]<class T>() {
    const T* elements = tensor.data<T>().data();
    std::uint8_t* zero = map.zero.data();
    const std::size_t count = map.zero.size();
    if constexpr (std::is_same_v<T, bool>) {
      for (std::size_t i = 0; i < count; ++i) zero[i] = elements[i] ? 0 : 1;
    } else {
      const auto point = static_cast<Compute<T>>(zero_point);
      for (std::size_t i = 0; i < count; ++i) zero[i] = static_cast<Compute<T>>(elements[i]) == point ? 1 : 0;
    }
  });
  return map;
}

std::int64_t count_zeros(std::span<const std::uint8_t> zero) {
  std::int64_t total = 0;
  constexpr std::size_t kRun = 128;  // short enough for sums of bytes, which vectorise
  for (std::size_t start = 0; start < zero.size(); start += kRun) {
    std::uint8_t sum = 0;
    for (const std::uint8_t one : zero.subspan(start, std::min(kRun, zero.size() - start))) {
      sum = static_cast<std::uint8_t>(sum + one);
    }
    total += sum;
  }
  return total;
}

/// Non-zeros in groups of neighbours along one axis, or in squares along the first two.
struct GroupCounts {
  std::int64_t groups = 0;
  std::vector<std::int64_t> with;  ///< groups by number of non-zeros
};

/// Groups along an axis, and where their elements lie.
struct Grouping {
  Grouping(const Shape& shape, std::size_t axis_of, std::int64_t size_of, bool is_square)
      : axis(axis_of), size(size_of), square(is_square), strides(row_major_strides(shape)) {
    along = shape[axis] / size;  // a shorter last group does not count
    second = square ? shape[axis + 1] / size : 1;
    length = shape[axis];
    second_length = square ? shape[axis + 1] : 1;
    for (std::size_t d = 0; d < axis; ++d) outer *= shape[d];
    for (std::size_t d = axis + (square ? 2 : 1); d < shape.size(); ++d) inner *= shape[d];
  }

  std::int64_t count() const { return outer * along * second * inner; }
  /// The group's first element.
  std::int64_t base(std::int64_t group) const {
    const std::int64_t at_inner = group % inner;
    group /= inner;
    const std::int64_t at_second = group % second;
    group /= second;
    const std::int64_t at_along = group % along;
    const std::int64_t at_outer = group / along;
    std::int64_t position = at_outer * strides[axis] * length + at_along * size * strides[axis] + at_inner;
    if (square) position += at_second * size * strides[axis + 1];
    return position;
  }
  /// The first element of the group that holds `position`; nullopt in the short group at the end.
  std::optional<std::int64_t> base_holding(std::int64_t position) const {
    const std::int64_t at = position / strides[axis] % length;
    if (at / size >= along) return std::nullopt;
    std::int64_t first = position - at % size * strides[axis];
    if (!square) return first;
    const std::int64_t at_second = position / strides[axis + 1] % second_length;
    if (at_second / size >= second) return std::nullopt;
    return first - at_second % size * strides[axis + 1];
  }
  template <class Map>
  std::int64_t kept(const Map& map, std::int64_t first) const {
    std::int64_t filled = 0;
    for (std::int64_t i = 0; i < size; ++i) {
      for (std::int64_t j = 0; j < (square ? size : 1); ++j) {
        filled += map.is_zero(first + i * strides[axis] + (square ? j * strides[axis + 1] : 0)) ? 0 : 1;
      }
    }
    return filled;
  }

  std::size_t axis;
  std::int64_t size;
  bool square;
  std::vector<std::int64_t> strides;
  std::int64_t along = 0, second = 1, length = 0, second_length = 1, outer = 1, inner = 1;
};

template <class Map>
GroupCounts count_groups(const Map& map, std::size_t axis, std::int64_t size, bool square) {
  const Grouping grouping(map.shape, axis, size, square);
  GroupCounts counts;
  counts.with.assign(static_cast<std::size_t>(square ? size * size : size) + 1, 0);
  const std::int64_t total = grouping.count();
  if (total == 0) return counts;
  const std::int64_t step = std::max<std::int64_t>(1, total / kSampledGroups);
  for (std::int64_t start = 0; start < total; start += step) {
    // A place within the step that varies, so that a period of the layout is not sampled at one phase.
    const std::int64_t group = std::min(total - 1, start + (start / step * 2654435761 & 0x7fffffff) % step);
    ++counts.groups;
    ++counts.with[static_cast<std::size_t>(grouping.kept(map, grouping.base(group)))];
  }
  return counts;
}

/// Of what is filled in a very sparse map an even sample would see nothing: groups around a sample of it are added.
GroupCounts count_filled_groups(const ZeroMap& map, std::size_t axis, std::int64_t size, bool square) {
  return count_groups(map, axis, size, square);
}
GroupCounts count_filled_groups(const PositionMap& map, std::size_t axis, std::int64_t size, bool square) {
  GroupCounts counts = count_groups(map, axis, size, square);
  const Grouping grouping(map.shape, axis, size, square);
  const std::size_t step = std::max<std::size_t>(1, map.filled.size() / static_cast<std::size_t>(kSampledGroups));
  for (std::size_t i = 0; i < map.filled.size(); i += step) {
    const auto first = grouping.base_holding(map.filled[i]);
    if (!first) continue;
    ++counts.groups;
    ++counts.with[static_cast<std::size_t>(grouping.kept(map, *first))];
  }
  return counts;
}

/// Zeros of which nine tenths lie in slices along `axis` that are all zero.
bool zero_slices(const ZeroMap& map, std::size_t axis, std::int64_t zeros) {
  const std::int64_t inner = row_major_strides(map.shape)[axis];
  const std::int64_t along = map.shape[axis];
  const std::int64_t outer = static_cast<std::int64_t>(map.zero.size()) / (inner * along);
  std::int64_t in_slices = 0;
  for (std::int64_t c = 0; c < along; ++c) {
    bool all = true;
    for (std::int64_t o = 0; all && o < outer; ++o) {
      const auto first = map.zero.begin() + (o * along + c) * inner;
      all = std::find(first, first + inner, 0) == first + inner;
    }
    if (all) in_slices += outer * inner;
  }
  return static_cast<double>(in_slices) >= kClear * static_cast<double>(zeros);
}

bool zero_slices(const PositionMap& map, std::size_t axis, std::int64_t zeros) {
  const std::int64_t inner = row_major_strides(map.shape)[axis];
  const std::int64_t along = map.shape[axis];
  std::vector<bool> used(static_cast<std::size_t>(along));
  for (const std::int64_t position : map.filled) used[static_cast<std::size_t>(position / inner % along)] = true;
  const auto empty = static_cast<double>(std::count(used.begin(), used.end(), false));
  return empty * static_cast<double>(map.elements() / along) >= kClear * static_cast<double>(zeros);
}

template <class Map>
bool find_channels(const Map& map, Sparsity& found) {
  for (std::size_t axis = 0; axis < std::min<std::size_t>(2, map.shape.size()); ++axis) {
    if (map.shape[axis] < 2 || !zero_slices(map, axis, found.zeros)) continue;
    found.pattern = Sparsity::Pattern::channels;
    found.axis = axis;
    return true;
  }
  return false;
}

template <class Map>
bool find_n_of_m(const Map& map, Sparsity& found) {
  for (const std::int64_t m : {4, 8, 16}) {
    for (std::size_t axis = 0; axis < map.shape.size(); ++axis) {
      if (map.shape[axis] % m != 0) continue;
      const GroupCounts counts = count_groups(map, axis, m, false);
      if (counts.groups < 8) continue;
      std::int64_t most = m;
      while (most > 0 && counts.with[static_cast<std::size_t>(most)] == 0) --most;
      if (most == 0 || most == m) continue;
      if (static_cast<double>(counts.with[static_cast<std::size_t>(most)]) <
          kClear * static_cast<double>(counts.groups)) {
        continue;
      }
      found.pattern = Sparsity::Pattern::n_of_m;
      found.axis = axis;
      found.size = m;
      found.kept = most;
      return true;
    }
  }
  return false;
}

/// Blocks are there when groups that are not all zero are nearly full, and nearly all zeros are in the others.
template <class Map>
bool find_blocks(const Map& map, Sparsity& found) {
  struct Candidate {
    std::int64_t size;
    bool square;
  };
  constexpr std::array kCandidates = {Candidate{16, true},  Candidate{8, true},   Candidate{4, true},
                                      Candidate{32, false}, Candidate{16, false}, Candidate{8, false},
                                      Candidate{4, false},  Candidate{2, false}};
  for (const Candidate& candidate : kCandidates) {
    for (std::size_t axis = 0; axis < (candidate.square ? std::size_t{1} : map.shape.size()); ++axis) {
      if (candidate.square && map.shape.size() < 2) continue;
      if (map.shape[axis] < candidate.size || (candidate.square && map.shape[axis + 1] < candidate.size)) continue;
      const GroupCounts counts = count_filled_groups(map, axis, candidate.size, candidate.square);
      std::int64_t kept = 0;
      for (std::size_t n = 0; n < counts.with.size(); ++n) kept += static_cast<std::int64_t>(n) * counts.with[n];
      const auto room = static_cast<std::int64_t>(counts.with.size() - 1);
      const std::int64_t occupied = (counts.groups - counts.with[0]) * room;
      const std::int64_t empty = counts.with[0] * room;
      const std::int64_t zeros = empty + occupied - kept;
      if (kept == 0 || static_cast<double>(kept) < kClear * static_cast<double>(occupied)) continue;
      if (empty == 0 || static_cast<double>(empty) < kClear * static_cast<double>(zeros)) continue;
      found.pattern = Sparsity::Pattern::blocks;
      found.axis = axis;
      found.size = candidate.size;
      found.square = candidate.square;
      return true;
    }
  }
  return false;
}

std::int64_t zeros_of(const ZeroMap& map) { return count_zeros(map.zero); }
std::int64_t zeros_of(const PositionMap& map) { return map.elements() - static_cast<std::int64_t>(map.filled.size()); }

template <class Map>
Sparsity analyse(const Map& map) {
  Sparsity found;
  found.elements = map.elements();
  found.zeros = zeros_of(map);
  if (found.share() < kFewZeros || map.shape.empty()) return found;
  if (!find_channels(map, found) && !find_n_of_m(map, found) && !find_blocks(map, found)) {
    found.pattern = Sparsity::Pattern::unstructured;
  }
  return found;
}

PositionMap position_map(const SparseTensor& sparse) {
  PositionMap map{sparse.shape, {}};
  const ZeroMap stored = zero_map(sparse.values, 0);
  const auto strides = row_major_strides(sparse.shape);
  const auto indices = sparse.indices.data<std::int64_t>();
  const std::size_t rank = sparse.shape.size();
  map.filled.reserve(stored.zero.size());
  for (std::size_t i = 0; i < stored.zero.size(); ++i) {
    if (stored.zero[i] != 0) continue;
    std::int64_t position = sparse.indices.rank() == 2 ? 0 : indices[i];
    if (sparse.indices.rank() == 2) {
      for (std::size_t d = 0; d < rank; ++d) position += indices[i * rank + d] * strides[d];
    }
    map.filled.push_back(position);
  }
  return map;
}

ZeroMap transposed(const ZeroMap& map, const std::vector<std::int64_t>& perm) {
  const auto strides = row_major_strides(map.shape);
  ZeroMap result;
  std::vector<std::int64_t> step;
  for (const std::int64_t axis : perm) {
    result.shape.push_back(map.shape[static_cast<std::size_t>(axis)]);
    step.push_back(strides[static_cast<std::size_t>(axis)]);
  }
  result.zero.resize(map.zero.size());
  std::vector<std::int64_t> index(perm.size(), 0);
  std::int64_t source = 0;
  for (std::uint8_t& zero : result.zero) {
    zero = map.zero[static_cast<std::size_t>(source)];
    for (std::size_t d = perm.size(); d-- > 0;) {
      source += step[d];
      if (++index[d] < result.shape[d]) break;
      source -= step[d] * result.shape[d];
      index[d] = 0;
    }
  }
  return result;
}

/// The one number that all zero points are; nullopt when they differ or are computed.
std::optional<double> common_zero_point(const Graph& graph, const Node& node, std::size_t operand) {
  if (operand >= node.inputs.size() || node.inputs[operand] == kNoValue) return 0.0;
  const Tensor* points = graph.value(node.inputs[operand]).tensor();
  std::optional<double> common;
  if (points == nullptr || points->size() == 0) return common;
  visit_arithmetic(points->dtype(), [&]<class T>() {
    const auto values = points->data<T>();
    if (std::all_of(values.begin(), values.end(), [&](T value) { return value == values[0]; })) {
      common = static_cast<double>(static_cast<Compute<T>>(values[0]));
    }
  });
  return common;
}

struct Seen {
  ZeroMap map;
  ValueId constant;
};

constexpr int kDeepest = 8;

std::optional<Seen> see(const Graph& graph, ValueId id, double zero_point, int depth = 0) {
  if (id == kNoValue || depth > kDeepest) return std::nullopt;
  if (const Tensor* tensor = graph.value(id).tensor()) {
    const bool countable = visit_arithmetic(tensor->dtype(), []<class T>() {});
    return countable ? std::optional(Seen{zero_map(*tensor, zero_point), id}) : std::nullopt;
  }
  const auto producer = graph.producer(id);
  if (!producer) return std::nullopt;
  const Node& node = graph.node(*producer);
  if (node.is("DequantizeLinear")) {
    const auto point = common_zero_point(graph, node, 2);
    return point ? see(graph, node.inputs[0], *point, depth + 1) : std::nullopt;
  }
  if (node.is("Transpose")) {
    auto source = see(graph, node.inputs[0], zero_point, depth + 1);
    if (!source) return std::nullopt;
    std::vector<std::int64_t> perm = node.ints_or("perm");
    for (std::size_t i = perm.empty() ? source->map.shape.size() : 0; i > 0; --i) {
      perm.push_back(static_cast<std::int64_t>(i) - 1);
    }
    auto sorted = perm;
    std::ranges::sort(sorted);
    for (std::size_t i = 0; i < sorted.size(); ++i) {
      if (sorted[i] != static_cast<std::int64_t>(i)) return std::nullopt;
    }
    if (perm.size() != source->map.shape.size()) return std::nullopt;
    return Seen{transposed(source->map, perm), source->constant};
  }
  if (node.is("Mul") && node.inputs.size() == 2) {  // a weight and its mask
    auto left = see(graph, node.inputs[0], 0, depth + 1);
    const auto right = see(graph, node.inputs[1], 0, depth + 1);
    if (!left || !right || left->map.shape != right->map.shape) return std::nullopt;
    std::ranges::transform(left->map.zero, right->map.zero, left->map.zero.begin(),
                           [](std::uint8_t a, std::uint8_t b) { return static_cast<std::uint8_t>(a | b); });
    return left;
  }
  return std::nullopt;
}

/// Which operands of a node are weights, and where the zero point of quantised ones is.
struct WeightOperand {
  std::string_view op;
  std::size_t operand;
  std::size_t zero_point = 0;  ///< 0: none
};

constexpr std::array kWeightOperands = {WeightOperand{"Conv", 1},
                                        WeightOperand{"ConvTranspose", 1},
                                        WeightOperand{"FusedConv", 1},
                                        WeightOperand{"DeformConv", 1},
                                        WeightOperand{"MatMul", 1},
                                        WeightOperand{"MatMul", 0},
                                        WeightOperand{"FusedMatMul", 1},
                                        WeightOperand{"FusedMatMul", 0},
                                        WeightOperand{"Gemm", 1},
                                        WeightOperand{"Gemm", 0},
                                        WeightOperand{"LSTM", 1},
                                        WeightOperand{"LSTM", 2},
                                        WeightOperand{"GRU", 1},
                                        WeightOperand{"GRU", 2},
                                        WeightOperand{"RNN", 1},
                                        WeightOperand{"RNN", 2},
                                        WeightOperand{"ConvInteger", 1, 3},
                                        WeightOperand{"MatMulInteger", 1, 3},
                                        WeightOperand{"QLinearConv", 3, 5},
                                        WeightOperand{"QLinearMatMul", 3, 5}};

}  // namespace

std::string Sparsity::describe() const {
  switch (pattern) {
    case Pattern::dense:
      return "dense";
    case Pattern::unstructured:
      return "unstructured";
    case Pattern::channels:
      return fmt::format("channels (axis {})", axis);
    case Pattern::blocks:
      return square ? fmt::format("blocks of {}x{}", size, size)
                    : fmt::format("blocks of {} along axis {}", size, axis);
    case Pattern::n_of_m:
      return fmt::format("{}:{} along axis {}", kept, size, axis);
  }
  return "dense";
}

Sparsity sparsity_of(const Tensor& tensor, double zero_point) { return analyse(zero_map(tensor, zero_point)); }

Sparsity sparsity_of(const SparseTensor& tensor) { return analyse(position_map(tensor)); }

std::vector<WeightSparsity> weight_sparsity(const Graph& graph) {
  std::vector<WeightSparsity> weights;
  for (NodeId id = 0; id < graph.nodes().size(); ++id) {
    const Node& node = graph.node(id);
    if (!node.domain.empty() && node.domain != kInternalDomain) continue;
    for (const WeightOperand& rule : kWeightOperands) {
      if (rule.op != node.op || rule.operand >= node.inputs.size()) continue;
      const ValueId value = node.inputs[rule.operand];
      if (value == kNoValue) continue;
      if (const SparseTensor* sparse = graph.value(value).sparse()) {
        weights.push_back({id, rule.operand, value, sparse->shape, sparsity_of(*sparse)});
        continue;
      }
      const auto point = rule.zero_point == 0 ? 0.0 : common_zero_point(graph, node, rule.zero_point);
      const auto seen = point ? see(graph, value, *point) : std::nullopt;
      if (seen) weights.push_back({id, rule.operand, seen->constant, seen->map.shape, analyse(seen->map)});
    }
  }
  return weights;
}

}  // namespace sparse_run
