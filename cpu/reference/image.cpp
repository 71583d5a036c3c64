// Reference kernels: sampling, rearranging and cropping of images.
#include <algorithm>
#include <cmath>

#include "cpu/reference/convolve.hpp"
#include "cpu/reference/families.hpp"

namespace sparse_run::reference {

namespace {

enum class Padding { zeros, border, reflection };
enum class Sampling { nearest, linear, cubic };

/// Folds `at` back between two borders, as often as needed.
double reflected(double at, double low, double high) {
  const double range = high - low;
  if (range <= 0) return low;
  const double beyond = at < low ? low - at : at > high ? at - high : 0;
  if (beyond == 0) return at;
  const double turns = std::floor(beyond / range);
  const double rest = beyond - turns * range;
  const bool from_low = (at < low) == (std::fmod(turns, 2) == 0);
  return from_low ? low + rest : high - rest;
}

/// One axis of the sampled image.
struct SampledAxis {
  std::int64_t size;
  double low;
  double high;

  SampledAxis(std::int64_t length, bool align_corners)
      : size(length), low(align_corners ? 0 : -0.5), high(static_cast<double>(length) - (align_corners ? 1 : 0.5)) {}

  /// Index of element `i` after padding; -1: counts as zero.
  std::int64_t resolved(double i, Padding padding) const {
    const auto last = static_cast<double>(size - 1);
    if (padding == Padding::zeros && !(i >= 0 && i <= last)) return -1;
    if (padding == Padding::reflection) i = std::trunc(reflected(i, low, high));
    return static_cast<std::int64_t>(std::clamp(i, 0.0, last));
  }
};

/// Normalised coordinate in [-1, 1] → position in elements, in the precision of the grid.
double position_of(double normalised, std::int64_t size, bool align_corners, bool single) {
  if (!single) {
    const auto length = static_cast<double>(size);
    return align_corners ? (normalised + 1) / 2 * (length - 1) : ((normalised + 1) * length - 1) / 2;
  }
  const auto n = static_cast<float>(normalised);
  const auto length = static_cast<float>(size);
  return align_corners ? (n + 1) / 2 * (length - 1) : ((n + 1) * length - 1) / 2;
}

struct TapWeight {
  std::int64_t index;  ///< -1: counts as zero
  double weight;
};

std::vector<TapWeight> grid_taps(double at, const SampledAxis& axis, Sampling sampling, Padding padding) {
  // Beyond this every padding mode gives what it gives at the bound, and integers stay representable.
  at = std::isnan(at) ? -1e9 : std::clamp(at, -1e9, 1e9);
  if (sampling == Sampling::nearest) at = std::nearbyint(at);
  if (padding == Padding::reflection) at = reflected(at, axis.low, axis.high);
  if (sampling == Sampling::nearest) return {{axis.resolved(std::trunc(at), padding), 1.0}};
  const double base = std::floor(at);
  const double t = at - base;
  if (sampling == Sampling::linear) {
    return {{axis.resolved(base, padding), 1 - t}, {axis.resolved(base + 1, padding), t}};
  }
  constexpr double a = -0.75;
  const auto near = [](double d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
  const auto far = [](double d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
  return {{axis.resolved(base - 1, padding), far(t + 1)},
          {axis.resolved(base, padding), near(t)},
          {axis.resolved(base + 1, padding), near(1 - t)},
          {axis.resolved(base + 2, padding), far(2 - t)}};
}

void grid_sample(Context& context) {
  const Node& node = context.node();
  const Tensor& input = context.input(0);
  const Shape& shape = input.shape();
  const std::size_t rank = shape.size() - 2;
  Tensor& output = context.output(0);
  if (has_no_elements(output.shape())) return;
  if (has_no_elements(shape)) throw_error(ErrorKind::input, "input {} has nothing to sample", to_string(shape));
  const std::vector<double> x = to_doubles(input);
  const std::vector<double> grid = to_doubles(context.input(1));
  const bool single = context.input(1).dtype() != DType::f64;
  const bool align_corners = node.int_or("align_corners", 0) != 0;
  const std::string mode = node.string_or("mode", "linear");
  const Sampling sampling = mode == "nearest"                      ? Sampling::nearest
                            : mode == "cubic" || mode == "bicubic" ? Sampling::cubic
                                                                   : Sampling::linear;
  const std::string padded = node.string_or("padding_mode", "zeros");
  const Padding padding = padded == "zeros"    ? Padding::zeros
                          : padded == "border" ? Padding::border
                                               : Padding::reflection;
  std::vector<SampledAxis> axes;
  for (std::size_t d = 0; d < rank; ++d) axes.emplace_back(shape[2 + d], align_corners);
  const std::int64_t in_size = element_count(std::span(shape).subspan(2));
  const std::int64_t out_size = element_count(std::span(output.shape()).subspan(2));
  std::vector<double> y(static_cast<std::size_t>(output.size()));
  std::vector<std::vector<TapWeight>> taps(rank);
  std::vector<std::int64_t> counts(rank);
  for (std::int64_t n = 0; n < shape[0]; ++n) {
    for (std::int64_t o = 0; o < out_size; ++o) {
      const auto first = static_cast<std::size_t>((n * out_size + o) * static_cast<std::int64_t>(rank));
      for (std::size_t d = 0; d < rank; ++d) {  // the grid names the innermost axis first
        const double at = position_of(grid[first + rank - 1 - d], axes[d].size, align_corners, single);
        taps[d] = grid_taps(at, axes[d], sampling, padding);
        counts[d] = static_cast<std::int64_t>(taps[d].size());
      }
      std::vector<std::int64_t> index(rank, 0);
      do {
        double weight = 1;
        std::int64_t offset = 0;
        bool inside = true;
        for (std::size_t d = 0; d < rank; ++d) {
          const TapWeight& tap = taps[d][static_cast<std::size_t>(index[d])];
          inside = inside && tap.index >= 0;
          weight *= tap.weight;
          offset = offset * axes[d].size + tap.index;
        }
        if (!inside) continue;
        for (std::int64_t c = 0; c < shape[1]; ++c) {
          const std::int64_t plane = n * shape[1] + c;
          y[static_cast<std::size_t>(plane * out_size + o)] +=
              weight * x[static_cast<std::size_t>(plane * in_size + offset)];
        }
      } while (next_index(index, counts));
    }
  }
  store(output, y);
}

void affine_grid(Context& context) {
  const std::vector<double> theta = to_doubles(context.input(0));
  const bool align_corners = context.node().int_or("align_corners", 0) != 0;
  Tensor& output = context.output(0);
  const Shape& shape = output.shape();
  if (has_no_elements(shape)) return;
  const std::size_t rank = shape.size() - 2;
  const auto coordinate = [&](std::int64_t i, std::int64_t size) {
    const auto length = static_cast<double>(size);
    if (!align_corners) return (2 * static_cast<double>(i) + 1) / length - 1;
    return size == 1 ? -1.0 : 2 * static_cast<double>(i) / (length - 1) - 1;
  };
  std::vector<double> y;
  y.reserve(static_cast<std::size_t>(output.size()));
  std::vector<std::int64_t> index(rank + 1, 0);
  do {
    const double* matrix = theta.data() + index[0] * static_cast<std::int64_t>(rank * (rank + 1));
    for (std::size_t row = 0; row < rank; ++row) {
      double sum = matrix[row * (rank + 1) + rank];
      for (std::size_t column = 0; column < rank; ++column) {  // columns: x, y, z; dimensions: z, y, x
        const std::size_t d = rank - 1 - column;
        sum += matrix[row * (rank + 1) + column] * coordinate(index[1 + d], shape[1 + d]);
      }
      y.push_back(sum);
    }
  } while (next_index(index, std::span(shape).first(rank + 1)));
  store(output, y);
}

template <class Number>
std::vector<Number> fold(const Context& context, const Shape& image, std::span<const Number> columns,
                         std::int64_t planes) {
  const Shape block = context.input(2).to_int64();
  const auto axes = unfolded_axes(context.node(), image, block);
  const auto blocks = sizes_of(axes, &WindowAxis::output);
  const std::int64_t block_count = element_count(blocks);
  const std::int64_t taps_count = element_count(block);
  const std::int64_t size = element_count(image);
  std::vector<Number> y(static_cast<std::size_t>(planes * size), Number{0});
  std::vector<Tap> taps;
  std::vector<std::int64_t> window(axes.size(), 0);
  std::int64_t at = 0;
  do {
    taps_inside(axes, window, image, taps);
    for (std::int64_t plane = 0; plane < planes; ++plane) {
      for (const Tap& tap : taps) {
        y[static_cast<std::size_t>(plane * size + tap.position)] +=
            columns[static_cast<std::size_t>((plane * taps_count + tap.kernel) * block_count + at)];
      }
    }
    ++at;
  } while (next_index(window, blocks));
  return y;
}

void col2im(Context& context) {
  const Shape image = context.input(1).to_int64();
  Tensor& output = context.output(0);
  const std::int64_t planes = output.dim(0) * output.dim(1);
  if (is_integer(output.dtype())) {
    store_integers(output, fold<std::int64_t>(context, image, to_integers(context.input(0)), planes));
  } else {
    store(output, fold<double>(context, image, to_doubles(context.input(0)), planes));
  }
}

void center_crop_pad(Context& context) {
  const Tensor& input = context.input(0);
  Tensor& output = context.output(0);
  const Shape& from = input.shape();
  const Shape& to = output.shape();
  if (has_no_elements(to)) return;
  // An odd excess leaves the extra element at the end, in cropping and in padding.
  Shape shift;
  for (std::size_t d = 0; d < to.size(); ++d) {
    shift.push_back(from[d] >= to[d] ? (from[d] - to[d]) / 2 : -((to[d] - from[d]) / 2));
  }
  std::vector<std::int64_t> source;
  std::vector<std::int64_t> index(to.size(), 0);
  do {
    std::int64_t offset = 0;
    bool inside = true;
    for (std::size_t d = 0; d < to.size(); ++d) {
      const std::int64_t at = index[d] + shift[d];
      inside = inside && at >= 0 && at < from[d];
      offset = offset * from[d] + at;
    }
    source.push_back(inside ? offset : -1);
  } while (next_index(index, to));
  gather_elements(input, source, output);
}

/// Both directions: every element of the large image (h, w) belongs to a block and a place (i, j) within it.
void depth_space(Context& context) {
  const bool to_space = context.node().op == "DepthToSpace";
  const auto block = context.node().get<std::int64_t>("blocksize");
  const bool columns_first = to_space && context.node().string_or("mode", "DCR") == "CRD";
  const Tensor& input = context.input(0);
  Tensor& output = context.output(0);
  const Shape& shape = output.shape();
  const Shape& from = input.shape();
  if (has_no_elements(shape)) return;
  std::vector<std::int64_t> source;
  std::vector<std::int64_t> index(4, 0);
  do {
    const std::int64_t c = index[1];
    std::int64_t channel = 0;
    std::int64_t h = 0;
    std::int64_t w = 0;
    if (to_space) {
      const std::int64_t place = index[2] % block * block + index[3] % block;
      channel = columns_first ? c * block * block + place : place * shape[1] + c;
      h = index[2] / block;
      w = index[3] / block;
    } else {
      const std::int64_t place = c / from[1];
      channel = c % from[1];
      h = index[2] * block + place / block;
      w = index[3] * block + place % block;
    }
    source.push_back(((index[0] * from[1] + channel) * from[2] + h) * from[3] + w);
  } while (next_index(index, shape));
  gather_elements(input, source, output);
}

}  // namespace

void register_image(Table& table) {
  table.add("GridSample", grid_sample);
  table.add("AffineGrid", affine_grid);
  table.add("Col2Im", col2im);
  table.add("CenterCropPad", center_crop_pad);
  table.add("DepthToSpace", depth_space);
  table.add("SpaceToDepth", depth_space);
}

}  // namespace sparse_run::reference
