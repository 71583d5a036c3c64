// oneDNN's matmul primitive, single-threaded.
#include "cpu/dense/onednn_matmul.hpp"

#include <dnnl.hpp>
#include <vector>

#include "base/error.hpp"
#include "cpu/dense/onednn_thread.hpp"

namespace sparse_run::cpu {

struct OnednnMatmul::Impl {
  dnnl::memory::desc a, b, c, scratch;
  dnnl::matmul primitive;
};

OnednnMatmul::OnednnMatmul(const Shape& shape) : impl_(std::make_unique<Impl>()) {
  using dims = dnnl::memory::dims;
  constexpr auto f32 = dnnl::memory::data_type::f32;
  onednn_thread();  // creating a primitive must not start an OpenMP team either
  try {
    impl_->a = {dims{shape.m, shape.k}, f32, dims{shape.a_row, shape.a_column}};
    impl_->b = {dims{shape.k, shape.n}, f32, dims{shape.b_row, shape.b_column}};
    impl_->c = {dims{shape.m, shape.n}, f32, dims{shape.c_row, 1}};
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::matmul::primitive_desc description({impl_->a, impl_->b, impl_->c}, attributes, onednn_engine());
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
  OnednnThread& mine = onednn_thread();
  const std::size_t scratch_bytes = impl_->scratch.get_size();
  if (mine.scratch.size() < scratch_bytes) mine.scratch = AlignedVector<std::byte>(scratch_bytes);
  // oneDNN takes untyped, non-const pointers; it only reads sources and weights
  const dnnl::memory source(impl_->a, onednn_engine(), const_cast<float*>(a));
  const dnnl::memory weights(impl_->b, onednn_engine(), const_cast<float*>(b));
  const dnnl::memory result(impl_->c, onednn_engine(), c);
  const dnnl::memory scratch(impl_->scratch, onednn_engine(), mine.scratch.data());
  impl_->primitive.execute(
      mine.stream,
      {{DNNL_ARG_SRC, source}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, result}, {DNNL_ARG_SCRATCHPAD, scratch}});
  mine.stream.wait();
}

}  // namespace sparse_run::cpu
