// For tests: a network with many branches and joins, drawn at random.
#pragma once

#include <memory>
#include <random>

#include "graph/ir/graph.hpp"

namespace sparse_run {

/// About `layers` nodes on images of 8 channels: convolutions (some sparse), activations, sums, products and
/// concatenations of whatever was computed before, two inputs and up to three outputs, one of which others read too.
std::shared_ptr<const Graph> random_network(std::mt19937_64& random, int layers, std::int64_t batch = 1);

}  // namespace sparse_run
