// How sparse convolutions name their variants.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/kernels/convolution.hpp"
#include "cpu/sparse/columns.hpp"

namespace sparse_run::cpu {

/// "4x128": vectors of a block, columns of a tile; "s" where strips are read, with the alignment of their rows.
inline std::string variant_name(const SparseVariant& variant) {
  std::string name = fmt::format("{}x{}{}", variant.vectors, variant.k_tile, variant.strip ? "s" : "");
  if (variant.alignment != 0) name += std::to_string(variant.alignment);
  return name;
}

/// The variants worth timing, the one expected to be fastest first.
inline std::vector<SparseVariant> sparse_variants(const Convolution& conv, const NodeView& view) {
  return SparseColumns::candidates(view.zeros(1), conv.k(), conv.window);
}

/// The variant of that name, or the first.
inline SparseVariant sparse_variant(const Convolution& conv, const NodeView& view, std::string_view name) {
  const auto variants = sparse_variants(conv, view);
  const auto named = std::ranges::find(variants, name, variant_name);
  return named == variants.end() ? variants.front() : *named;
}

}  // namespace sparse_run::cpu
