// oneDNN's matmul primitive on bf16 operands, single-threaded.
#include "cpu/dense/bf16_matmul.hpp"

#include <dnnl.hpp>
#include <vector>

#include "base/error.hpp"
#include "cpu/dense/onednn_thread.hpp"
#include "cpu/isa.hpp"

namespace sparse_run::cpu {

namespace {

dnnl::memory::desc plain(std::int64_t rows, std::int64_t columns, std::int64_t row, std::int64_t column,
                         dnnl::memory::data_type type) {
  return {dnnl::memory::dims{rows, columns}, type, dnnl::memory::dims{row, column}};
}

}  // namespace

bool has_bf16_products() {
  const CpuFeatures& features = cpu_features();
  return active_isa() == Isa::avx512 && (features.avx512_bf16 || features.amx_bf16);
}

struct Bf16Matmul::Impl {
  Shape shape;
  dnnl::memory::desc a, b, c, scratch;
  dnnl::matmul primitive;
};

Bf16Matmul::Bf16Matmul(const Shape& shape, const Bf16Matmul* like) : impl_(std::make_unique<Impl>()) {
  using dims = dnnl::memory::dims;
  using type = dnnl::memory::data_type;
  onednn_thread();  // creating a primitive must not start an OpenMP team either
  try {
    impl_->shape = shape;
    impl_->a = plain(shape.m, shape.k, shape.a_row, 1, type::bf16);
    impl_->c = plain(shape.m, shape.n, shape.c_row, 1, type::f32);
    if (like != nullptr) {
      impl_->b = like->impl_->b;
    } else if (shape.b_row != 0) {
      impl_->b = plain(shape.k, shape.n, shape.b_row, 1, type::bf16);
    } else {
      impl_->b = {dims{shape.k, shape.n}, type::bf16, dnnl::memory::format_tag::any};
    }
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::matmul::primitive_desc description({impl_->a, impl_->b, impl_->c}, attributes, onednn_engine());
    impl_->b = description.weights_desc();
    impl_->scratch = description.scratchpad_desc();
    impl_->primitive = dnnl::matmul(description);
  } catch (const dnnl::error& error) {
    throw_error(ErrorKind::internal, "oneDNN refuses a bf16 product of {}x{}x{}: {}", shape.m, shape.k, shape.n,
                error.what());
  }
}

Bf16Matmul::~Bf16Matmul() = default;
Bf16Matmul::Bf16Matmul(Bf16Matmul&&) noexcept = default;
Bf16Matmul& Bf16Matmul::operator=(Bf16Matmul&&) noexcept = default;

AlignedVector<std::byte> Bf16Matmul::pack(const float* b, std::int64_t b_row, std::int64_t b_column) const {
  require(impl_->shape.b_row == 0, "Bf16Matmul: B was said to be plain");
  OnednnThread& mine = onednn_thread();
  AlignedVector<std::byte> packed(impl_->b.get_size());
  const dnnl::memory source(plain(impl_->shape.k, impl_->shape.n, b_row, b_column, dnnl::memory::data_type::f32),
                            onednn_engine(),
                            const_cast<float*>(b));  // oneDNN takes non-const pointers; it only reads the source
  dnnl::memory result(impl_->b, onednn_engine(), packed.data());
  dnnl::reorder(source, result).execute(mine.stream, const_cast<dnnl::memory&>(source), result);
  mine.stream.wait();
  return packed;
}

void Bf16Matmul::run(const std::uint16_t* a, const void* b, float* c) const {
  OnednnThread& mine = onednn_thread();
  const std::size_t scratch_bytes = impl_->scratch.get_size();
  if (mine.scratch.size() < scratch_bytes) mine.scratch = AlignedVector<std::byte>(scratch_bytes);
  const dnnl::memory source(impl_->a, onednn_engine(), const_cast<std::uint16_t*>(a));
  const dnnl::memory weights(impl_->b, onednn_engine(), const_cast<void*>(b));
  const dnnl::memory result(impl_->c, onednn_engine(), c);
  const dnnl::memory scratch(impl_->scratch, onednn_engine(), mine.scratch.data());
  impl_->primitive.execute(
      mine.stream,
      {{DNNL_ARG_SRC, source}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, result}, {DNNL_ARG_SCRATCHPAD, scratch}});
  mine.stream.wait();
}

}  // namespace sparse_run::cpu
