// Staging buffers are used again, in bounds, and may come back after the pool is gone.
#include "runtime/staging_pool.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace sparse_run {
namespace {

/// Host memory that counts what is taken from it.
class CountingMemory final : public DeviceMemory {
 public:
  std::size_t capacity_bytes() const override { return 0; }
  std::size_t used_bytes() const override { return 0; }
  Tensor allocate(DType dtype, Shape shape) override { return Tensor::allocate(dtype, std::move(shape)); }
  std::shared_ptr<void> allocate_staging(std::size_t bytes) override {
    ++made;
    auto memory = allocate_host_memory(bytes);
    void* const address = memory.get();
    return {address, [this, kept = std::move(memory)](void*) { ++freed; }};
  }
  EventPtr copy_in(std::vector<TensorCopy>, const std::vector<EventPtr>&) override { return nullptr; }
  EventPtr copy_out(std::vector<TensorCopy>, const std::vector<EventPtr>&) override { return nullptr; }
  int made = 0;
  int freed = 0;
};

TEST(StagingPool, a_buffer_that_came_back_is_used_again) {
  CountingMemory memory;
  StagingPool pool;
  for (int i = 0; i < 5; ++i) pool.take(memory, DType::f32, {1000 + i});
  EXPECT_EQ(memory.made, 1);
  EXPECT_EQ(pool.idle_bytes(), 4096u);
}

TEST(StagingPool, buffers_in_use_are_apart) {
  CountingMemory memory;
  StagingPool pool;
  const Tensor first = pool.take(memory, DType::f32, {10});
  const Tensor second = pool.take(memory, DType::f32, {10});
  EXPECT_NE(first.raw(), second.raw());
  EXPECT_EQ(pool.idle_bytes(), 0u);
}

TEST(StagingPool, idle_buffers_are_bounded) {
  CountingMemory memory;
  StagingPool pool(8192);
  {
    std::vector<Tensor> held;
    for (int i = 0; i < 5; ++i) held.push_back(pool.take(memory, DType::u8, {4000}));
  }
  EXPECT_EQ(pool.idle_bytes(), 8192u);
  EXPECT_EQ(memory.freed, 3);
}

TEST(StagingPool, a_buffer_may_outlive_the_pool) {
  CountingMemory memory;
  Tensor held;
  {
    StagingPool pool;
    held = pool.take(memory, DType::u8, {4000});
  }
  held = Tensor();
  EXPECT_EQ(memory.freed, memory.made);
}

}  // namespace
}  // namespace sparse_run
