// oneDNN's dense f32 convolution and matrix product on one thread: the peer of the dense column kernel.
#pragma once

#include <cstddef>
#include <functional>

#include "cpu/column/column.hpp"

namespace sparse_run::bench {

/// A function that runs the convolution once, one image, in the layouts oneDNN prefers (no reorder of activations is
/// counted). The window's padding below and to the right follows from its sizes.
std::function<void()> onednn_convolution(std::size_t rows, std::size_t channels, const cpu::Window& window);

/// The same for [lanes][k] · [k][rows], row-major activations, weights in the layout oneDNN prefers.
std::function<void()> onednn_product(std::size_t rows, std::size_t k, std::size_t lanes);

}  // namespace sparse_run::bench
