// Reference kernels: pooling, global pooling, unpooling and pooling over regions of interest.
#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/reference/convolve.hpp"
#include "cpu/reference/families.hpp"

namespace sparse_run::reference {

namespace {

/// Calls `visit(output offset in the plane, taps inside the input, window)` for every window of a plane.
template <class Visit>
void for_each_window(const PoolGeometry& geometry, Visit&& visit) {
  const auto inputs = sizes_of(geometry.axes, &WindowAxis::input);
  const auto outputs = sizes_of(geometry.axes, &WindowAxis::output);
  if (has_no_elements(outputs)) return;
  std::vector<Tap> taps;
  std::vector<std::int64_t> window(geometry.axes.size(), 0);
  std::int64_t o = 0;
  do {
    taps_inside(geometry.axes, window, inputs, taps);
    visit(o++, taps, window);
  } while (next_index(window, outputs));
}

struct Planes {
  std::int64_t count;
  std::int64_t in_size;
  std::int64_t out_size;
};

Planes planes_of(const PoolGeometry& geometry) {
  return {geometry.batch * geometry.channels, element_count(sizes_of(geometry.axes, &WindowAxis::input)),
          element_count(sizes_of(geometry.axes, &WindowAxis::output))};
}

/// A position in a row-major plane, renumbered with the first spatial axis running fastest.
std::int64_t column_major(std::int64_t position, const PoolGeometry& geometry) {
  std::int64_t result = 0;
  for (std::size_t d = geometry.axes.size(); d-- > 0;) {
    std::int64_t stride = 1;
    for (std::size_t e = 0; e < d; ++e) stride *= geometry.axes[e].input;
    result += position % geometry.axes[d].input * stride;
    position /= geometry.axes[d].input;
  }
  return result;
}

void max_pool(Context& context) {
  const auto geometry = PoolGeometry::sliding(context.node(), context.input(0).shape());
  const Planes planes = planes_of(geometry);
  const std::vector<double> x = to_doubles(context.input(0));
  const bool by_column = context.node().int_or("storage_order", 0) != 0;
  std::vector<double> y(static_cast<std::size_t>(planes.count * planes.out_size));
  std::vector<std::int64_t> indices(y.size());
  for_each_window(geometry, [&](std::int64_t o, const std::vector<Tap>& taps, const auto&) {
    for (std::int64_t plane = 0; plane < planes.count; ++plane) {
      const double* values = x.data() + plane * planes.in_size;
      double best = -std::numeric_limits<double>::infinity();
      std::int64_t where = taps.empty() ? 0 : taps.front().position;
      for (const Tap& tap : taps) {
        const double value = values[tap.position];
        if (value > best || (std::isnan(value) && !std::isnan(best))) {
          best = value;
          where = tap.position;
        }
      }
      const auto at = static_cast<std::size_t>(plane * planes.out_size + o);
      y[at] = best;
      indices[at] = plane * planes.in_size + (by_column ? column_major(where, geometry) : where);
    }
  });
  store(context.output(0), y);
  if (context.has_output(1)) store_integers(context.output(1), indices);
}

void average_pool(Context& context) {
  const auto geometry = PoolGeometry::sliding(context.node(), context.input(0).shape());
  const Planes planes = planes_of(geometry);
  const std::vector<double> x = to_doubles(context.input(0));
  const bool include_padding = context.node().int_or("count_include_pad", 0) != 0;
  std::vector<double> y(static_cast<std::size_t>(planes.count * planes.out_size));
  for_each_window(geometry, [&](std::int64_t o, const std::vector<Tap>& taps, const std::vector<std::int64_t>& window) {
    auto count = static_cast<double>(taps.size());
    if (include_padding) {  // taps beyond the declared padding, which ceil_mode makes, never count
      count = 1;
      for (std::size_t d = 0; d < geometry.axes.size(); ++d) {
        const WindowAxis& axis = geometry.axes[d];
        const std::int64_t inside = tap_range(axis, window[d], axis.input + axis.pad_end).last;
        count *= static_cast<double>(inside);
      }
    }
    for (std::int64_t plane = 0; plane < planes.count; ++plane) {
      const double* values = x.data() + plane * planes.in_size;
      double sum = 0;
      for (const Tap& tap : taps) sum += values[tap.position];
      y[static_cast<std::size_t>(plane * planes.out_size + o)] = count == 0 ? 0 : sum / count;
    }
  });
  store(context.output(0), y);
}

double norm_term(double value, double p) { return std::pow(std::abs(value), p); }

void lp_pool(Context& context) {
  const auto geometry = PoolGeometry::sliding(context.node(), context.input(0).shape());
  const Planes planes = planes_of(geometry);
  const std::vector<double> x = to_doubles(context.input(0));
  const auto p = static_cast<double>(context.node().int_or("p", 2));
  std::vector<double> y(static_cast<std::size_t>(planes.count * planes.out_size));
  for_each_window(geometry, [&](std::int64_t o, const std::vector<Tap>& taps, const auto&) {
    for (std::int64_t plane = 0; plane < planes.count; ++plane) {
      const double* values = x.data() + plane * planes.in_size;
      double sum = 0;
      for (const Tap& tap : taps) sum += norm_term(values[tap.position], p);
      y[static_cast<std::size_t>(plane * planes.out_size + o)] = std::pow(sum, 1 / p);
    }
  });
  store(context.output(0), y);
}

/// Reduces every plane [N, C, …] to one number.
template <class Reduce>
void global_pool(Context& context, Reduce&& reduce) {
  const Shape& shape = context.input(0).shape();
  const std::vector<double> x = to_doubles(context.input(0));
  const std::int64_t size = element_count(std::span(shape).subspan(2));
  std::vector<double> y;
  for (std::int64_t plane = 0; plane < shape[0] * shape[1]; ++plane) {
    y.push_back(reduce(std::span(x).subspan(static_cast<std::size_t>(plane * size), static_cast<std::size_t>(size))));
  }
  store(context.output(0), y);
}

void global_average_pool(Context& context) {
  global_pool(context, [](std::span<const double> plane) {
    double sum = 0;
    for (const double value : plane) sum += value;
    return sum / static_cast<double>(plane.size());
  });
}

void global_max_pool(Context& context) {
  global_pool(context, [](std::span<const double> plane) {
    double best = -std::numeric_limits<double>::infinity();
    for (const double value : plane) {
      if (value > best || std::isnan(value)) best = value;
      if (std::isnan(best)) break;
    }
    return best;
  });
}

void global_lp_pool(Context& context) {
  const auto p = static_cast<double>(context.node().int_or("p", 2));
  global_pool(context, [p](std::span<const double> plane) {
    double sum = 0;
    for (const double value : plane) sum += norm_term(value, p);
    return std::pow(sum, 1 / p);
  });
}

/// Indices count within the shape that kernel, strides and pads imply; a larger output_shape only adds zeros.
void max_unpool(Context& context) {
  const std::vector<double> x = to_doubles(context.input(0));
  const std::vector<std::int64_t> indices = to_integers(context.input(1));
  const Shape implied = unpooled_shape(context.node(), context.input(0).shape());
  const std::int64_t limit = element_count(implied);
  Tensor& output = context.output(0);
  const Shape& shape = output.shape();
  const auto strides = row_major_strides(shape);
  std::vector<double> y(static_cast<std::size_t>(output.size()), 0.0);
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (indices[i] < 0 || indices[i] >= limit) {
      throw_error(ErrorKind::input, "index {} at position {} is outside the unpooled shape {}", indices[i], i,
                  to_string(implied));
    }
    std::int64_t rest = indices[i];
    std::int64_t offset = 0;
    bool inside = true;
    for (std::size_t d = shape.size(); d-- > 0;) {
      const std::int64_t coordinate = rest % implied[d];
      rest /= implied[d];
      inside = inside && coordinate < shape[d];
      offset += coordinate * strides[d];
    }
    if (inside) y[static_cast<std::size_t>(offset)] = x[i];
  }
  store(output, y);
}

std::int64_t batch_of(double value, std::int64_t batches) {
  if (!(value >= 0 && value < static_cast<double>(batches))) {
    throw_error(ErrorKind::input, "a region names batch {}, the input has {}", value, batches);
  }
  return static_cast<std::int64_t>(value);
}

void expect_finite(std::span<const double> region) {
  for (const double value : region) {
    if (!std::isfinite(value) || std::abs(value) > 1e9) {
      throw_error(ErrorKind::input, "a region of interest has the coordinate {}", value);
    }
  }
}

void max_roi_pool(Context& context) {
  const Shape& shape = context.input(0).shape();
  const std::vector<double> x = to_doubles(context.input(0));
  const std::vector<double> regions = to_doubles(context.input(1));
  const double scale = context.node().float_or("spatial_scale", 1.0F);
  Tensor& output = context.output(0);
  const auto height = output.dim(2);
  const auto width = output.dim(3);
  std::vector<double> y;
  for (std::int64_t r = 0; r < output.dim(0); ++r) {
    const auto region = std::span(regions).subspan(static_cast<std::size_t>(r * 5), 5);
    expect_finite(region);
    const std::int64_t batch = batch_of(region[0], shape[0]);
    const double left = std::round(region[1] * scale);
    const double top = std::round(region[2] * scale);
    const double bin_width = std::max(std::round(region[3] * scale) - left + 1, 1.0) / static_cast<double>(width);
    const double bin_height = std::max(std::round(region[4] * scale) - top + 1, 1.0) / static_cast<double>(height);
    const auto edge = [](double at, std::int64_t size) {
      return static_cast<std::int64_t>(std::clamp(at, 0.0, static_cast<double>(size)));
    };
    for (std::int64_t c = 0; c < shape[1]; ++c) {
      const double* plane = x.data() + (batch * shape[1] + c) * shape[2] * shape[3];
      for (std::int64_t i = 0; i < height; ++i) {
        const std::int64_t y0 = edge(std::floor(static_cast<double>(i) * bin_height) + top, shape[2]);
        const std::int64_t y1 = edge(std::ceil(static_cast<double>(i + 1) * bin_height) + top, shape[2]);
        for (std::int64_t j = 0; j < width; ++j) {
          const std::int64_t x0 = edge(std::floor(static_cast<double>(j) * bin_width) + left, shape[3]);
          const std::int64_t x1 = edge(std::ceil(static_cast<double>(j + 1) * bin_width) + left, shape[3]);
          double best = y0 < y1 && x0 < x1 ? -std::numeric_limits<double>::infinity() : 0.0;
          for (std::int64_t h = y0; h < y1; ++h) {
            for (std::int64_t w = x0; w < x1; ++w) best = std::max(best, plane[h * shape[3] + w]);
          }
          y.push_back(best);
        }
      }
    }
  }
  store(output, y);
}

/// One bilinear sample of RoiAlign: four positions and weights, all zero outside the image.
struct BilinearSample {
  std::int64_t position[4] = {0, 0, 0, 0};
  double weight[4] = {0, 0, 0, 0};
};

BilinearSample bilinear_sample(double y, double x, std::int64_t height, std::int64_t width) {
  BilinearSample sample;
  if (y < -1 || y > static_cast<double>(height) || x < -1 || x > static_cast<double>(width)) return sample;
  const auto split = [](double at, std::int64_t size, std::int64_t& low, std::int64_t& high) {
    at = std::max(at, 0.0);
    low = std::min(static_cast<std::int64_t>(at), size - 1);
    high = std::min(low + 1, size - 1);
    return low == size - 1 ? 0.0 : at - static_cast<double>(low);
  };
  std::int64_t y_low = 0;
  std::int64_t y_high = 0;
  std::int64_t x_low = 0;
  std::int64_t x_high = 0;
  const double fy = split(y, height, y_low, y_high);
  const double fx = split(x, width, x_low, x_high);
  const std::int64_t rows[2] = {y_low, y_high};
  const std::int64_t columns[2] = {x_low, x_high};
  for (int corner = 0; corner < 4; ++corner) {
    sample.position[corner] = rows[corner / 2] * width + columns[corner % 2];
    sample.weight[corner] = (corner / 2 != 0 ? fy : 1 - fy) * (corner % 2 != 0 ? fx : 1 - fx);
  }
  return sample;
}

std::int64_t samples_per_bin(std::int64_t asked, double bin) {
  const double count = asked > 0 ? static_cast<double>(asked) : std::ceil(bin);
  if (count > 4096) throw_error(ErrorKind::limit, "a region needs {} samples per bin and axis, 4096 at most", count);
  return std::max<std::int64_t>(static_cast<std::int64_t>(count), 0);
}

void roi_align(Context& context) {
  const Node& node = context.node();
  const Shape& shape = context.input(0).shape();
  const std::vector<double> x = to_doubles(context.input(0));
  const std::vector<double> regions = to_doubles(context.input(1));
  const std::vector<double> batches = to_doubles(context.input(2));
  const double scale = node.float_or("spatial_scale", 1.0F);
  const std::int64_t sampling_ratio = node.int_or("sampling_ratio", 0);
  const bool maximum = node.string_or("mode", "avg") == "max";
  const bool half_pixel =
      context.opset() >= 16 && node.string_or("coordinate_transformation_mode", "half_pixel") == "half_pixel";
  const double shift = half_pixel ? 0.5 : 0.0;
  Tensor& output = context.output(0);
  const auto height = output.dim(2);
  const auto width = output.dim(3);
  std::vector<double> y;
  for (std::int64_t r = 0; r < output.dim(0); ++r) {
    const auto region = std::span(regions).subspan(static_cast<std::size_t>(r * 4), 4);
    expect_finite(region);
    const std::int64_t batch = batch_of(batches[static_cast<std::size_t>(r)], shape[0]);
    const double left = region[0] * scale - shift;
    const double top = region[1] * scale - shift;
    double region_width = region[2] * scale - shift - left;
    double region_height = region[3] * scale - shift - top;
    if (!half_pixel) {
      region_width = std::max(region_width, 1.0);
      region_height = std::max(region_height, 1.0);
    }
    const double bin_width = region_width / static_cast<double>(width);
    const double bin_height = region_height / static_cast<double>(height);
    const std::int64_t rows = samples_per_bin(sampling_ratio, bin_height);
    const std::int64_t columns = samples_per_bin(sampling_ratio, bin_width);
    for (std::int64_t c = 0; c < shape[1]; ++c) {
      const double* plane = x.data() + (batch * shape[1] + c) * shape[2] * shape[3];
      for (std::int64_t bin = 0; bin < height * width; ++bin) {
        const auto bin_row = static_cast<double>(bin / width);
        const auto bin_column = static_cast<double>(bin % width);
        double sum = 0;
        double best = -std::numeric_limits<double>::infinity();
        for (std::int64_t i = 0; i < rows && shape[2] > 0 && shape[3] > 0; ++i) {
          const double sy = top + (bin_row + (static_cast<double>(i) + 0.5) / static_cast<double>(rows)) * bin_height;
          for (std::int64_t j = 0; j < columns; ++j) {
            const double sx =
                left + (bin_column + (static_cast<double>(j) + 0.5) / static_cast<double>(columns)) * bin_width;
            const BilinearSample sample = bilinear_sample(sy, sx, shape[2], shape[3]);
            for (int corner = 0; corner < 4; ++corner) {
              const double term = sample.weight[corner] * plane[sample.position[corner]];
              sum += term;
              best = std::max(best, term);
            }
          }
        }
        const bool none = rows * columns == 0;
        y.push_back(none ? 0.0 : maximum ? best : sum / static_cast<double>(rows * columns));
      }
    }
  }
  store(output, y);
}

}  // namespace

void register_pooling(Table& table) {
  table.add("MaxPool", max_pool);
  table.add("AveragePool", average_pool);
  table.add("LpPool", lp_pool);
  table.add("GlobalAveragePool", global_average_pool);
  table.add("GlobalMaxPool", global_max_pool);
  table.add("GlobalLpPool", global_lp_pool);
  table.add("MaxUnpool", max_unpool);
  table.add("MaxRoiPool", max_roi_pool);
  table.add("RoiAlign", roi_align);
}

}  // namespace sparse_run::reference
