// The parts that families of operators are split into, one file each.
#pragma once

#include "graph/ops/schema.hpp"

namespace sparse_run {

// Parts of register_elementwise_ops.
void register_arithmetic_ops(OpRegistry& registry);  // arithmetic, comparison, logic, bits: several operands, broadcast
void register_activation_ops(OpRegistry& registry);  // functions of one operand, Clip, Dropout
void register_cast_ops(OpRegistry& registry);        // Cast, CastLike, BitCast
void register_constant_ops(OpRegistry& registry);    // Constant, ConstantOfShape, EyeLike, Identity
void register_quantization_ops(OpRegistry& registry);  // QuantizeLinear and its kin
void register_string_ops(OpRegistry& registry);        // operators on strings

// Parts of register_reduction_ops.
void register_reduce_ops(OpRegistry& registry);         // Reduce*, ArgMax, ArgMin
void register_scan_ops(OpRegistry& registry);           // CumSum, CumProd, the softmax family
void register_normalization_ops(OpRegistry& registry);  // Batch-, Layer-, Group- … Normalization, LRN
void register_loss_ops(OpRegistry& registry);           // losses of training graphs
void register_optimizer_ops(OpRegistry& registry);      // optimisers of training graphs

// Parts of register_internal_ops.
void register_aggregate_op(OpRegistry& registry);        // SparseAggregate
void register_aggregate_chain_op(OpRegistry& registry);  // AggregateChain
struct Aggregate;
/// Checks the operands that `aggregate` describes, which are the first ones.
void infer_aggregate_operands(const InferContext& context, const Aggregate& aggregate);

}  // namespace sparse_run
