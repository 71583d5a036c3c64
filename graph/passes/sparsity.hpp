// How sparse the constant weights of a graph are, and in which pattern their zeros lie.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "graph/ir/graph.hpp"

namespace sparse_run {

/// Zeros of one tensor. NaN is no zero; negative zero is one.
struct Sparsity {
  enum class Pattern {
    dense,         ///< fewer than 5% zeros
    unstructured,  ///< none of the below
    channels,      ///< whole slices along `axis` are zero, and little else
    blocks,        ///< runs of `size` along `axis` (of `size` × `size` along the first two axes when `square`)
    n_of_m,        ///< `kept` of every `size` neighbours along `axis` are not zero
  };

  std::int64_t elements = 0;
  std::int64_t zeros = 0;
  Pattern pattern = Pattern::dense;
  std::size_t axis = 0;
  std::int64_t size = 0;
  std::int64_t kept = 0;
  bool square = false;

  /// Share of zeros in [0, 1]; 0 for an empty tensor.
  double share() const noexcept {
    return elements == 0 ? 0 : static_cast<double>(zeros) / static_cast<double>(elements);
  }
  /// "2:4 along axis 1", "blocks of 4 along axis 0", "blocks of 4x4", "channels (axis 0)", "unstructured", "dense".
  std::string describe() const;
};

/// Of a dense tensor of an arithmetic type, an element being zero when it equals `zero_point`. Elements are counted
/// exactly; patterns are found in an evenly spread sample of groups, so that large tensors cost one scan.
Sparsity sparsity_of(const Tensor& tensor, double zero_point = 0);
Sparsity sparsity_of(const SparseTensor& tensor);

/// One constant weight that a convolution, product or recurrence multiplies by.
struct WeightSparsity {
  NodeId node;
  std::size_t operand;  ///< index among the node's inputs
  ValueId constant;     ///< seen through DequantizeLinear, Transpose and a multiplication by a constant mask
  Shape shape;          ///< of the operand as the node sees it: axes of `sparsity` count in it
  Sparsity sparsity;
};

/// All of them, in the order of nodes.
std::vector<WeightSparsity> weight_sparsity(const Graph& graph);

}  // namespace sparse_run
