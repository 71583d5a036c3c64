// Networks made up for experiments with placement: what tests and the benchmark place beside real models.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "graph/ir/graph.hpp"

namespace sparse_run {

struct SampleNetwork {
  std::string name;
  std::string about;
  std::shared_ptr<const Graph> graph;
};

/// Dense convolutions on images, then fully connected layers with 99% zeros.
SampleNetwork dense_beside_sparse(std::uint64_t seed);
/// Rows of a large table, then dense fully connected layers with many columns.
SampleNetwork large_embedding(std::uint64_t seed);
/// Dense convolutions whose weights are more than a small accelerator holds.
SampleNetwork more_weights_than_memory(std::uint64_t seed);
/// Dense convolutions only, large enough to be worth a GPU everywhere.
SampleNetwork everything_dense(std::uint64_t seed);
/// Layers of a few hundred numbers.
SampleNetwork everything_tiny(std::uint64_t seed);
/// Two branches, one dense and one sparse, that meet: devices can work at the same time.
SampleNetwork two_branches(std::uint64_t seed);
/// A random directed graph of `nodes` layers with skips and joins; dense and sparse layers mixed.
SampleNetwork random_network(std::uint64_t seed, int nodes);
/// A chain of fully connected layers with random widths and zeros.
SampleNetwork random_chain(std::uint64_t seed, int layers);

/// One of each but random_chain.
std::vector<SampleNetwork> sample_networks(std::uint64_t seed);

}  // namespace sparse_run
