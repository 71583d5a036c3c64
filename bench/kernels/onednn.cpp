// Sets up oneDNN primitives for the kernel benchmark.
#include "bench/kernels/onednn.hpp"

#include <dnnl.hpp>

namespace sparse_run::bench {
namespace {

using dnnl::memory;

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

memory filled(const memory::desc& description) {
  memory data(description, engine());
  float* values = static_cast<float*>(data.get_data_handle());
  for (std::size_t i = 0; i < description.get_size() / sizeof(float); ++i) values[i] = 0.5f;
  return data;
}

std::function<void()> runner(dnnl::primitive primitive, const memory::desc& in, const memory::desc& weights,
                             const memory::desc& out) {
  dnnl::stream stream(engine());
  std::unordered_map<int, memory> arguments{
      {DNNL_ARG_SRC, filled(in)}, {DNNL_ARG_WEIGHTS, filled(weights)}, {DNNL_ARG_DST, filled(out)}};
  return [primitive, stream, arguments]() mutable {
    primitive.execute(stream, arguments);
    stream.wait();
  };
}

}  // namespace

std::function<void()> onednn_convolution(std::size_t rows, std::size_t channels, const cpu::Window& w) {
  const auto any = memory::format_tag::any;
  const auto f32 = memory::data_type::f32;
  const auto m = static_cast<memory::dim>(rows), c = static_cast<memory::dim>(channels);
  const memory::desc in({1, c, w.height, w.width}, f32, any),
      weights({m, c, w.kernel_height, w.kernel_width}, f32, any);
  const memory::desc out({1, m, w.out_height, w.out_width}, f32, any);
  const auto after = [](int outputs, int stride, int kernel, int size, int before) {
    return memory::dim{(outputs - 1) * stride + kernel - size - before};
  };
  const dnnl::convolution_forward::desc description(
      dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, in, weights, out,
      {w.stride_height, w.stride_width}, {w.pad_top, w.pad_left},
      {after(w.out_height, w.stride_height, w.kernel_height, w.height, w.pad_top),
       after(w.out_width, w.stride_width, w.kernel_width, w.width, w.pad_left)});
  const dnnl::convolution_forward::primitive_desc primitive(description, engine());
  return runner(dnnl::convolution_forward(primitive), primitive.src_desc(), primitive.weights_desc(),
                primitive.dst_desc());
}

std::function<void()> onednn_product(std::size_t rows, std::size_t k, std::size_t lanes) {
  const auto f32 = memory::data_type::f32;
  const auto m = static_cast<memory::dim>(rows), depth = static_cast<memory::dim>(k),
             n = static_cast<memory::dim>(lanes);
  const memory::desc in({n, depth}, f32, memory::format_tag::ab), weights({depth, m}, f32, memory::format_tag::any);
  const memory::desc out({n, m}, f32, memory::format_tag::ab);
  const dnnl::matmul::primitive_desc primitive(dnnl::matmul::desc(in, weights, out), engine());
  return runner(dnnl::matmul(primitive), primitive.src_desc(), primitive.weights_desc(), primitive.dst_desc());
}

}  // namespace sparse_run::bench
