// Registration of the parts of the convolution, matrix and internal families, one function per source file.
#pragma once

#include "cpu/reference/reference.hpp"

namespace sparse_run::reference {

void register_pooling(Table& table);    // MaxPool, AveragePool, LpPool, Global*, MaxUnpool, RoI
void register_quantized(Table& table);  // ConvInteger, QLinearConv, MatMulInteger, QLinearMatMul
void register_resize(Table& table);     // Resize, Upsample
void register_image(Table& table);      // GridSample, AffineGrid, Col2Im, CenterCropPad, DepthToSpace, SpaceToDepth
void register_signal(Table& table);     // DFT, STFT, windows, MelWeightMatrix
void register_einsum(Table& table);
void register_aggregate(Table& table);  // SparseAggregate
void register_attention(Table& table);  // Attention, RotaryEmbedding, LinearAttention, FlexAttention

}  // namespace sparse_run::reference
