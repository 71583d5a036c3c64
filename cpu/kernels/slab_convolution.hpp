// Convolutions of one image as operations on slabs.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/column/slab.hpp"
#include "cpu/kernels/convolution.hpp"

namespace sparse_run::cpu {

/// Describes a node that `kernel`, as selection names it (with its variant), computes; or says why slabs cannot run it.
std::optional<std::string> describe_slab_convolution(const NodeView& view, std::string_view kernel, Convolution& conv);

/// Whether shares of its result's channels take less time than shares of its rows, by the work of the longest share and
/// what it reads of others.
bool better_by_channels(const NodeView& view, const Convolution& conv, std::string_view kernel, int shares);

/// Makes the operation; its operands are the image and, if the convolution has one, the residual.
std::unique_ptr<SlabOp> make_slab_convolution(const NodeView& view, const Convolution& conv, std::string_view kernel,
                                              int shares, bool by_channels);

}  // namespace sparse_run::cpu
