// Reference kernels: Fourier transforms, window functions and mel filters.
#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

#include "cpu/reference/families.hpp"
#include "cpu/reference/numbers.hpp"

namespace sparse_run::reference {

namespace {

using Complex = std::complex<double>;

std::int64_t smallest_factor(std::int64_t n) {
  for (std::int64_t p = 2; p * p <= n; ++p) {
    if (n % p == 0) return p;
  }
  return n;
}

/// y[k] = sum over n of x[n stride] exp(sign 2 pi i k n / size), by splitting off the smallest factor of the size:
/// Cooley and Tukey's method; a prime size is summed directly.
std::vector<Complex> fourier(const Complex* x, std::int64_t size, std::int64_t stride, double sign) {
  if (size == 1) return {x[0]};
  const std::int64_t p = smallest_factor(size);
  const std::int64_t part = size / p;
  std::vector<std::vector<Complex>> parts;
  if (part > 1) {
    for (std::int64_t r = 0; r < p; ++r) parts.push_back(fourier(x + r * stride, part, stride * p, sign));
  }
  std::vector<Complex> roots;
  for (std::int64_t k = 0; k < size; ++k) {
    const double angle = sign * 2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(size);
    roots.emplace_back(std::cos(angle), std::sin(angle));
  }
  std::vector<Complex> y(static_cast<std::size_t>(size));
  for (std::int64_t k = 0; k < size; ++k) {
    Complex sum = 0;
    std::int64_t turn = 0;
    for (std::int64_t r = 0; r < p; ++r) {
      const Complex value =
          part > 1 ? parts[static_cast<std::size_t>(r)][static_cast<std::size_t>(k % part)] : x[r * stride];
      sum += value * roots[static_cast<std::size_t>(turn)];
      turn = (turn + k) % size;
    }
    y[static_cast<std::size_t>(k)] = sum;
  }
  return y;
}

std::int64_t scalar_at(const Context& context, std::size_t i) { return to_integers(context.input(i)).at(0); }

void dft(Context& context) {
  const Node& node = context.node();
  const bool onesided = node.int_or("onesided", 0) != 0;
  const bool inverse = node.int_or("inverse", 0) != 0;
  const Tensor& input = context.input(0);
  const Shape& shape = input.shape();
  const std::int64_t given = context.opset() < 20   ? node.int_or("axis", 1)
                             : context.has_input(2) ? scalar_at(context, 2)
                                                    : -2;
  const auto axis = static_cast<std::size_t>(normalize_axis(given, shape.size()));
  const std::vector<double> x = to_doubles(input);
  Tensor& output = context.output(0);
  const std::int64_t kept = output.shape()[axis];
  const std::int64_t length = context.has_input(1)  ? scalar_at(context, 1)
                              : onesided && inverse ? 2 * (shape[axis] - 1)
                                                    : shape[axis];
  const std::int64_t parts = shape.back();
  const std::int64_t out_parts = output.shape().back();
  const std::int64_t outer = element_count(std::span(shape).first(axis));
  const std::int64_t inner = element_count(std::span(shape).subspan(axis + 1, shape.size() - axis - 2));
  std::vector<double> y(static_cast<std::size_t>(output.size()));
  std::vector<Complex> line(static_cast<std::size_t>(length));
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t i = 0; i < inner; ++i) {
      const auto element = [&](std::int64_t n) {  // zero beyond the input
        if (n >= shape[axis]) return Complex(0);
        const std::int64_t at = ((o * shape[axis] + n) * inner + i) * parts;
        return Complex(x[static_cast<std::size_t>(at)], parts == 2 ? x[static_cast<std::size_t>(at + 1)] : 0);
      };
      for (std::int64_t n = 0; n < length; ++n) {
        const bool mirrored = onesided && inverse && n > length / 2;
        line[static_cast<std::size_t>(n)] = mirrored ? std::conj(element(length - n)) : element(n);
      }
      const auto result = fourier(line.data(), length, 1, inverse ? 1 : -1);
      for (std::int64_t k = 0; k < kept; ++k) {
        const Complex value = result[static_cast<std::size_t>(k)] / (inverse ? static_cast<double>(length) : 1.0);
        const std::int64_t at = ((o * kept + k) * inner + i) * out_parts;
        y[static_cast<std::size_t>(at)] = value.real();
        if (out_parts == 2) y[static_cast<std::size_t>(at + 1)] = value.imag();
      }
    }
  }
  store(output, y);
}

void stft(Context& context) {
  const Tensor& signal = context.input(0);
  const Shape& shape = signal.shape();
  const std::int64_t parts = signal.rank() == 3 ? shape[2] : 1;
  const std::vector<double> x = to_doubles(signal);
  const std::int64_t step = scalar_at(context, 1);
  const std::vector<double> window = context.has_input(2) ? to_doubles(context.input(2)) : std::vector<double>{};
  const std::int64_t frame = context.has_input(3) ? scalar_at(context, 3) : static_cast<std::int64_t>(window.size());
  Tensor& output = context.output(0);
  std::vector<double> y;
  y.reserve(static_cast<std::size_t>(output.size()));
  std::vector<Complex> line(static_cast<std::size_t>(frame));
  for (std::int64_t b = 0; b < shape[0]; ++b) {
    for (std::int64_t f = 0; f < output.dim(1); ++f) {
      for (std::int64_t n = 0; n < frame; ++n) {
        const auto at = static_cast<std::size_t>((b * shape[1] + f * step + n) * parts);
        const Complex value(x[at], parts == 2 ? x[at + 1] : 0);
        line[static_cast<std::size_t>(n)] = value * (window.empty() ? 1.0 : window[static_cast<std::size_t>(n)]);
      }
      const auto result = fourier(line.data(), frame, 1, -1);
      for (std::int64_t k = 0; k < output.dim(2); ++k) {
        y.push_back(result[static_cast<std::size_t>(k)].real());
        y.push_back(result[static_cast<std::size_t>(k)].imag());
      }
    }
  }
  store(output, y);
}

/// a0 - a1 cos(2 pi n / N) + a2 cos(4 pi n / N), N one less than the size unless the window is periodic.
void cosine_window(Context& context, double a0, double a1, double a2) {
  Tensor& output = context.output(0);
  const bool periodic = context.node().int_or("periodic", 1) != 0;
  const auto period = static_cast<double>(std::max<std::int64_t>(periodic ? output.size() : output.size() - 1, 1));
  std::vector<double> y;
  for (std::int64_t n = 0; n < output.size(); ++n) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(n) / period;
    y.push_back(a0 - a1 * std::cos(angle) + a2 * std::cos(2 * angle));
  }
  store(output, y);
}

void hann_window(Context& context) { cosine_window(context, 0.5, 0.5, 0); }
void hamming_window(Context& context) { cosine_window(context, 25.0 / 46.0, 21.0 / 46.0, 0); }
void blackman_window(Context& context) { cosine_window(context, 0.42, 0.5, 0.08); }

/// Triangles between mel-spaced edges, which are rounded down to bins of the spectrum.
void mel_weight_matrix(Context& context) {
  const std::int64_t length = scalar_at(context, 1);
  const auto rate = static_cast<double>(scalar_at(context, 2));
  const double lower = to_doubles(context.input(3)).at(0);
  const double upper = to_doubles(context.input(4)).at(0);
  if (!(rate > 0)) throw_error(ErrorKind::input, "sample_rate is {}: a positive number expected", rate);
  if (!(lower >= 0 && lower <= upper && upper <= rate)) {
    throw_error(ErrorKind::input, "edges {} and {} Hz: ascending, from 0 to the sample rate {} expected", lower, upper,
                rate);
  }
  Tensor& output = context.output(0);
  const std::int64_t rows = output.dim(0);
  const std::int64_t bins = output.dim(1);
  const double low = 2595 * std::log10(1 + lower / 700);
  const double high = 2595 * std::log10(1 + upper / 700);
  const double step = (high - low) / static_cast<double>(bins + 2);
  std::vector<std::int64_t> edges;
  for (std::int64_t i = 0; i < bins + 2; ++i) {
    const double hertz = 700 * (std::pow(10, (static_cast<double>(i) * step + low) / 2595) - 1);
    edges.push_back(static_cast<std::int64_t>(std::floor(static_cast<double>(length + 1) * hertz / rate)));
  }
  std::vector<double> y(static_cast<std::size_t>(output.size()), 0.0);
  for (std::int64_t bin = 0; bin < bins; ++bin) {
    const auto at = static_cast<std::size_t>(bin);
    const std::int64_t left = edges[at];
    const std::int64_t centre = edges[at + 1];
    const std::int64_t right = edges[at + 2];
    for (std::int64_t row = left; row < std::min(std::max(right, centre + 1), rows); ++row) {
      double weight = 1;
      if (row < centre) weight = static_cast<double>(row - left) / static_cast<double>(centre - left);
      if (row > centre) weight = static_cast<double>(right - row) / static_cast<double>(right - centre);
      y[static_cast<std::size_t>(row * bins + bin)] = weight;
    }
  }
  store(output, y);
}

}  // namespace

void register_signal(Table& table) {
  table.add("DFT", dft);
  table.add("STFT", stft);
  table.add("HannWindow", hann_window);
  table.add("HammingWindow", hamming_window);
  table.add("BlackmanWindow", blackman_window);
  table.add("MelWeightMatrix", mel_weight_matrix);
}

}  // namespace sparse_run::reference
