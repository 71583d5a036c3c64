// Reference kernels: floating-point convolutions.
#include <cmath>

#include "cpu/reference/convolve.hpp"
#include "cpu/reference/families.hpp"
#include "graph/ops/window.hpp"

namespace sparse_run::reference {

namespace {

void conv(Context& context) {
  const auto geometry = ConvGeometry::forward(context.node(), context.input(0).shape(), context.input(1).shape());
  const std::vector<double> x = to_doubles(context.input(0));
  const std::vector<double> w = to_doubles(context.input(1));
  std::vector<double> y = convolve<double>(geometry, x, w);
  if (context.has_input(2)) add_bias<double>(geometry, to_doubles(context.input(2)), y);
  store(context.output(0), y);
}

void conv_transpose(Context& context) {
  const auto geometry = ConvGeometry::transposed(context.node(), context.input(0).shape(), context.input(1).shape());
  const std::vector<double> x = to_doubles(context.input(0));
  const std::vector<double> w = to_doubles(context.input(1));
  const auto inputs = sizes_of(geometry.axes, &WindowAxis::input);
  const auto outputs = sizes_of(geometry.axes, &WindowAxis::output);
  const std::int64_t in_size = element_count(inputs);
  const std::int64_t out_size = element_count(outputs);
  const std::int64_t kernel_size = element_count(sizes_of(geometry.axes, &WindowAxis::kernel));
  const std::int64_t channels = geometry.in_channels / geometry.group;
  const std::int64_t filters = geometry.out_channels / geometry.group;
  std::vector<double> y(static_cast<std::size_t>(element_count(geometry.output_shape())), 0.0);
  std::vector<Tap> taps;
  std::vector<std::int64_t> at(geometry.axes.size(), 0);
  std::int64_t i = 0;
  if (!y.empty() && !x.empty()) {
    do {
      taps_inside(geometry.axes, at, outputs, taps);
      for (std::int64_t n = 0; n < geometry.batch; ++n) {
        for (std::int64_t c = 0; c < geometry.in_channels; ++c) {
          const double value = x[static_cast<std::size_t>((n * geometry.in_channels + c) * in_size + i)];
          const std::int64_t first = c / channels * filters;
          for (std::int64_t m = 0; m < filters; ++m) {
            const double* filter = w.data() + (c * filters + m) * kernel_size;
            double* plane = y.data() + (n * geometry.out_channels + first + m) * out_size;
            for (const Tap& tap : taps) plane[tap.position] += value * filter[tap.kernel];
          }
        }
      }
      ++i;
    } while (next_index(at, inputs));
  }
  if (context.has_input(2)) add_bias<double>(geometry, to_doubles(context.input(2)), y);
  store(context.output(0), y);
}

/// Multilinear sample of a plane at a fractional point; what lies outside counts as zero.
double sample(const double* plane, std::span<const std::int64_t> sizes, std::span<const double> point) {
  const std::size_t rank = sizes.size();
  double sum = 0;
  for (std::size_t corner = 0; corner < (std::size_t{1} << rank); ++corner) {
    double weight = 1;
    std::int64_t offset = 0;
    bool inside = true;
    for (std::size_t d = 0; d < rank && inside; ++d) {
      const double low = std::floor(point[d]);
      const bool upper = (corner >> d & 1) != 0;
      const double coordinate = upper ? low + 1 : low;
      weight *= upper ? point[d] - low : low + 1 - point[d];
      inside = coordinate >= 0 && coordinate < static_cast<double>(sizes[d]) && weight != 0;
      if (inside) offset = offset * sizes[d] + static_cast<std::int64_t>(coordinate);
    }
    if (inside) sum += weight * plane[offset];
  }
  return sum;
}

void deform_conv(Context& context) {
  const auto geometry = ConvGeometry::forward(context.node(), context.input(0).shape(), context.input(1).shape());
  const std::vector<double> x = to_doubles(context.input(0));
  const std::vector<double> w = to_doubles(context.input(1));
  const std::vector<double> offsets = to_doubles(context.input(2));
  const std::vector<double> mask = context.has_input(4) ? to_doubles(context.input(4)) : std::vector<double>{};
  const std::vector<double> bias = context.has_input(3) ? to_doubles(context.input(3)) : std::vector<double>{};
  const std::size_t rank = geometry.axes.size();
  if (rank > 8) throw_error(ErrorKind::unsupported, "{} spatial dimensions: 8 at most have a kernel", rank);
  const auto inputs = sizes_of(geometry.axes, &WindowAxis::input);
  const auto outputs = sizes_of(geometry.axes, &WindowAxis::output);
  const auto kernel = sizes_of(geometry.axes, &WindowAxis::kernel);
  const std::int64_t in_size = element_count(inputs);
  const std::int64_t out_size = element_count(outputs);
  const std::int64_t kernel_size = element_count(kernel);
  const std::int64_t channels = geometry.in_channels / geometry.group;
  const std::int64_t filters = geometry.out_channels / geometry.group;
  const std::int64_t offset_group = context.node().int_or("offset_group", 1);
  const std::int64_t channels_per_offset = geometry.in_channels / offset_group;
  std::vector<double> y(static_cast<std::size_t>(element_count(geometry.output_shape())), 0.0);
  std::vector<double> patch(static_cast<std::size_t>(geometry.in_channels * kernel_size));
  std::vector<double> point(rank);
  std::vector<std::int64_t> window(rank, 0);
  std::int64_t o = 0;
  if (!y.empty()) {
    do {
      for (std::int64_t n = 0; n < geometry.batch; ++n) {
        for (std::int64_t c = 0; c < geometry.in_channels; ++c) {
          const std::int64_t part = n * offset_group + c / channels_per_offset;
          const double* plane = x.data() + (n * geometry.in_channels + c) * in_size;
          std::vector<std::int64_t> tap(rank, 0);
          std::int64_t k = 0;
          do {
            for (std::size_t d = 0; d < rank; ++d) {
              const std::int64_t row =
                  ((part * kernel_size + k) * static_cast<std::int64_t>(rank) + static_cast<std::int64_t>(d)) *
                      out_size +
                  o;
              point[d] = static_cast<double>(geometry.axes[d].position(window[d], tap[d])) +
                         offsets[static_cast<std::size_t>(row)];
            }
            const std::int64_t masked = (part * kernel_size + k) * out_size + o;
            patch[static_cast<std::size_t>(c * kernel_size + k)] =
                sample(plane, inputs, point) * (mask.empty() ? 1.0 : mask[static_cast<std::size_t>(masked)]);
            ++k;
          } while (next_index(tap, kernel));
        }
        for (std::int64_t m = 0; m < geometry.out_channels; ++m) {
          const std::int64_t group = m / filters;
          double sum = bias.empty() ? 0.0 : bias[static_cast<std::size_t>(m)];
          for (std::int64_t t = 0; t < channels * kernel_size; ++t) {
            sum += patch[static_cast<std::size_t>(group * channels * kernel_size + t)] *
                   w[static_cast<std::size_t>(m * channels * kernel_size + t)];
          }
          y[static_cast<std::size_t>((n * geometry.out_channels + m) * out_size + o)] = sum;
        }
      }
      ++o;
    } while (next_index(window, outputs));
  }
  store(context.output(0), y);
}

void causal_conv_with_state(Context& context) {
  const Shape& shape = context.input(0).shape();
  const auto batch = shape[0];
  const auto channels = shape[1];
  const auto length = shape[2];
  const auto kernel = context.input(1).shape()[2];
  const auto carried = kernel - 1;
  const std::vector<double> x = to_doubles(context.input(0));
  const std::vector<double> w = to_doubles(context.input(1));
  const std::vector<double> bias = context.has_input(2) ? to_doubles(context.input(2)) : std::vector<double>{};
  const std::vector<double> past = context.has_input(3) ? to_doubles(context.input(3)) : std::vector<double>{};
  const bool silu = context.node().string_or("activation", "none") != "none";
  std::vector<double> y;
  std::vector<double> present;
  for (std::int64_t row = 0; row < batch * channels; ++row) {
    const std::int64_t c = row % channels;
    std::vector<double> line(static_cast<std::size_t>(carried), 0.0);
    if (!past.empty()) line.assign(past.begin() + row * carried, past.begin() + (row + 1) * carried);
    line.insert(line.end(), x.begin() + row * length, x.begin() + (row + 1) * length);
    for (std::int64_t t = 0; t < length; ++t) {
      double sum = bias.empty() ? 0.0 : bias[static_cast<std::size_t>(c)];
      for (std::int64_t k = 0; k < kernel; ++k) {
        sum += line[static_cast<std::size_t>(t + k)] * w[static_cast<std::size_t>(c * kernel + k)];
      }
      y.push_back(silu ? sum / (1.0 + std::exp(-sum)) : sum);
    }
    present.insert(present.end(), line.end() - carried, line.end());
  }
  store(context.output(0), y);
  store(context.output(1), present);
}

}  // namespace

void register_convolution(Table& table) {
  table.add("Conv", conv);
  table.add("ConvTranspose", conv_transpose);
  table.add("DeformConv", deform_conv);
  table.add("CausalConvWithState", causal_conv_with_state);
  register_pooling(table);
  register_resize(table);
  register_image(table);
  register_signal(table);
}

}  // namespace sparse_run::reference
