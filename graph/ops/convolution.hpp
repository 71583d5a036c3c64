// Registration of the parts of the convolution family, one function per source file.
#pragma once

#include "graph/ops/schema.hpp"

namespace sparse_run {

void register_pooling_ops(OpRegistry& registry);  // MaxPool, AveragePool, LpPool, Global*, MaxUnpool, RoI
void register_resize_ops(OpRegistry& registry);   // Resize, Upsample
void register_image_ops(OpRegistry& registry);    // GridSample, AffineGrid, Col2Im, CenterCropPad, DepthToSpace …
void register_signal_ops(OpRegistry& registry);   // DFT, STFT, windows, MelWeightMatrix

}  // namespace sparse_run
