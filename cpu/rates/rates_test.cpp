// Rates are positive and in the order that hardware gives them.
#include "cpu/rates/rates.hpp"

#include <gtest/gtest.h>

namespace sparse_run::cpu {
namespace {

TEST(Rates, every_instruction_set_multiplies) {
  for (const Isa isa : runnable_isas()) EXPECT_GT(measure_fma_gflops(isa, 1, 0.005), 0.1) << to_string(isa);
}

TEST(Rates, reading_counts_all_threads_and_takes_any_size) {
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1000}, std::size_t{1} << 20}) {
    EXPECT_GT(measure_read_gbps(bytes, 2, 0.005), 0.01) << bytes;
  }
}

}  // namespace
}  // namespace sparse_run::cpu
