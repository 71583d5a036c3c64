// oneDNN's matmul primitive, single-threaded.
#include "cpu/dense/onednn_matmul.hpp"

#include <omp.h>

#include <dnnl.hpp>
#include <vector>

#include "base/error.hpp"

namespace sparse_run::cpu {

namespace {

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

/// The packaged library is an OpenMP build: each thread that calls it is told once to compute alone, because the TBB
/// arena owns all parallelism.
struct ThreadStream {
  dnnl::stream stream{engine()};
  std::vector<std::byte> scratch;
  ThreadStream() { omp_set_num_threads(1); }
};

ThreadStream& thread_stream() {
  thread_local ThreadStream mine;
  return mine;
}

}  // namespace

struct OnednnMatmul::Impl {
  dnnl::memory::desc a, b, c, scratch;
  dnnl::matmul primitive;
};

OnednnMatmul::OnednnMatmul(const Shape& shape) : impl_(std::make_unique<Impl>()) {
  using dims = dnnl::memory::dims;
  constexpr auto f32 = dnnl::memory::data_type::f32;
  thread_stream();  // creating a primitive must not start an OpenMP team either
  try {
    impl_->a = {dims{shape.m, shape.k}, f32, dims{shape.a_row, shape.a_column}};
    impl_->b = {dims{shape.k, shape.n}, f32, dims{shape.b_row, shape.b_column}};
    impl_->c = {dims{shape.m, shape.n}, f32, dims{shape.c_row, 1}};
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::matmul::primitive_desc description({impl_->a, impl_->b, impl_->c}, attributes, engine());
    impl_->scratch = description.scratchpad_desc();
    impl_->primitive = dnnl::matmul(description);
  } catch (const dnnl::error& error) {
    throw_error(ErrorKind::internal, "oneDNN refuses a matrix product of {}x{}x{}: {}", shape.m, shape.k, shape.n,
                error.what());
  }
}

OnednnMatmul::~OnednnMatmul() = default;
OnednnMatmul::OnednnMatmul(OnednnMatmul&&) noexcept = default;
OnednnMatmul& OnednnMatmul::operator=(OnednnMatmul&&) noexcept = default;

void OnednnMatmul::run(const float* a, const float* b, float* c) const {
  ThreadStream& mine = thread_stream();
  const std::size_t scratch_bytes = impl_->scratch.get_size();
  if (mine.scratch.size() < scratch_bytes + 64) mine.scratch.resize(scratch_bytes + 64);
  const auto address = (reinterpret_cast<std::uintptr_t>(mine.scratch.data()) + 63) & ~std::uintptr_t{63};
  // oneDNN takes untyped, non-const pointers; it only reads sources and weights
  const dnnl::memory source(impl_->a, engine(), const_cast<float*>(a));
  const dnnl::memory weights(impl_->b, engine(), const_cast<float*>(b));
  const dnnl::memory result(impl_->c, engine(), c);
  const dnnl::memory scratch(impl_->scratch, engine(), reinterpret_cast<void*>(address));
  impl_->primitive.execute(mine.stream, {{DNNL_ARG_SRC, source},
                                         {DNNL_ARG_WEIGHTS, weights},
                                         {DNNL_ARG_DST, result},
                                         {DNNL_ARG_SCRATCHPAD, scratch}});
  mine.stream.wait();
}

}  // namespace sparse_run::cpu
