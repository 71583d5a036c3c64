// STFT of real f32 signals as a product with the windowed Fourier basis.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <vector>

#include "cpu/dense/onednn_matmul.hpp"
#include "cpu/kernel_table.hpp"
#include "cpu/parallel.hpp"
#include "graph/ops/geometry.hpp"

namespace sparse_run::cpu {

namespace {

constexpr std::int64_t kFramesPerTask = 32;

/// result[frame][bin] = Σ_n signal[frame · hop + n] · window[n] · e^(−2πi·bin·n / length), for a few dozen frames at a
/// time: their samples are gathered into a matrix and multiplied with [length][bins][re, im].
class StftStep final : public Step {
 public:
  StftStep(std::int64_t batch, std::int64_t samples, std::int64_t frames, std::int64_t hop, std::int64_t length,
           std::int64_t bins, const float* window)
      : batch_(batch), samples_(samples), frames_(frames), hop_(hop), length_(length), bins_(bins) {
    basis_.resize(static_cast<std::size_t>(length * bins * 2));
    for (std::int64_t n = 0; n < length; ++n) {
      const double factor = window == nullptr ? 1.0 : static_cast<double>(window[n]);
      for (std::int64_t k = 0; k < bins; ++k) {
        const double angle = -2 * std::numbers::pi * static_cast<double>(n * k % length) / static_cast<double>(length);
        float* at = basis_.data() + (n * bins + k) * 2;
        at[0] = static_cast<float>(factor * std::cos(angle));
        at[1] = static_cast<float>(factor * std::sin(angle));
      }
    }
    OnednnMatmul::Shape shape{std::min(kFramesPerTask, frames), 2 * bins, length, length, 1, 2 * bins, 1, 2 * bins};
    product_.emplace(shape);
    shape.m = frames % kFramesPerTask;
    if (frames > kFramesPerTask && shape.m != 0) last_product_.emplace(shape);
  }

  std::size_t weight_bytes() const override { return basis_.size() * sizeof(float); }
  std::size_t scratch_bytes() const override {
    return static_cast<std::size_t>(batch_ * frames_ * length_) * sizeof(float);
  }
  double flops() const override {
    return 4.0 * static_cast<double>(batch_ * frames_) * static_cast<double>(length_ * bins_);
  }

  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<float>(0);
    auto* y = arguments.out<float>(0);
    auto* gathered = reinterpret_cast<float*>(arguments.scratch);
    const std::int64_t blocks = (frames_ + kFramesPerTask - 1) / kFramesPerTask;
    parallel_tasks(batch_ * blocks, [&](std::int64_t task) {
      const std::int64_t first = task % blocks * kFramesPerTask;
      const std::int64_t count = std::min(kFramesPerTask, frames_ - first);
      const float* signal = x + task / blocks * samples_;
      float* rows = gathered + (task / blocks * frames_ + first) * length_;
      for (std::int64_t f = 0; f < count; ++f) std::copy_n(signal + (first + f) * hop_, length_, rows + f * length_);
      const bool whole = count == std::min(kFramesPerTask, frames_);
      (whole ? *product_ : *last_product_).run(rows, basis_.data(), y + (task / blocks * frames_ + first) * bins_ * 2);
    });
  }

 private:
  std::int64_t batch_, samples_, frames_, hop_, length_, bins_;
  std::vector<float> basis_;
  std::optional<OnednnMatmul> product_, last_product_;
};

Verdict check(const NodeView& view, const Environment&) {
  if (view.input_type(0).dtype != DType::f32) return Verdict::reject("the signal is not f32");
  const Shape& signal = view.input_shape(0);
  if (signal.size() == 3 && signal[2] != 1) return Verdict::reject("the signal is complex");
  if (element_count(view.output_shape(0)) == 0) return Verdict::reject("the result is empty");
  for (std::size_t i = 1; i < view.input_count(); ++i) {
    if (view.has_input(i) && view.constant(i) == nullptr)
      return Verdict::reject("hop, window or length are computed at run time");
  }
  const Shape& result = view.output_shape(0);
  const std::int64_t length = view.has_input(2) ? view.input_shape(2)[0] : integer_scalar(*view.constant(3));
  if (length * result[2] > (std::int64_t{1} << 22)) return Verdict::reject("the Fourier basis exceeds 32 MiB");
  if (result[0] * result[1] * length > (std::int64_t{1} << 28)) return Verdict::reject("the frames exceed 1 GiB");
  return Verdict::accept();
}

std::unique_ptr<Step> build(const NodeView& view, const Environment&) {
  const Shape& result = view.output_shape(0);
  const float* window = view.has_input(2) ? view.constant(2)->data<float>().data() : nullptr;
  const std::int64_t length = view.has_input(2) ? view.input_shape(2)[0] : integer_scalar(*view.constant(3));
  return std::make_unique<StftStep>(result[0], view.input_shape(0)[1], result[1], integer_scalar(*view.constant(1)),
                                    length, result[2], window);
}

}  // namespace

void register_fourier_kernels(KernelTable& table) { table.add("STFT", {"cpu.stft.product.f32", check, build}); }

}  // namespace sparse_run::cpu
