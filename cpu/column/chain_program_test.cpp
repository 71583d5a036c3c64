// Chains cut anywhere, in any strips and chunks, compute the same bits and as many rows as planned.
#include "cpu/column/chain_program.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "cpu/column/aligned.hpp"
#include "cpu/column/column_test_support.hpp"
#include "cpu/column/row_ops.hpp"
#include "cpu/column/strip_convolution.hpp"

namespace sparse_run::cpu {
namespace {

int number(std::mt19937& random, int low, int high) {
  return static_cast<int>(uniform(random, static_cast<std::size_t>(low), static_cast<std::size_t>(high)));
}

struct LayerSpec {
  Window window;
  int in_channels, out_channels;
  std::vector<float> weights, bias;
  bool sparse, residual;
};

/// A run of convolutions, each reading the one before; some add what the layer two before gave.
struct ChainSpec {
  int channels, height, width;
  std::vector<LayerSpec> layers;

  static ChainSpec random(std::mt19937& random) {
    ChainSpec spec{number(random, 1, 9), number(random, 3, 19), number(random, 3, 19), {}};
    int channels = spec.channels, height = spec.height, width = spec.width;
    const int count = number(random, 1, 6);
    for (int i = 0; i < count; ++i) {
      LayerSpec layer;
      Window& w = layer.window;
      w.height = height, w.width = width;
      w.kernel_height = number(random, 1, 3), w.kernel_width = number(random, 1, 3);
      w.stride_height = number(random, 1, 2), w.stride_width = number(random, 1, 2);
      w.dilation_height = number(random, 1, 2), w.dilation_width = number(random, 1, 2);
      w.pad_top = number(random, 0, 2), w.pad_left = number(random, 0, 2);
      const int below = number(random, 0, 2), right = number(random, 0, 2);
      const bool keeps_shape = number(random, 0, 1) == 0;
      if (keeps_shape) {
        w.stride_height = w.stride_width = w.dilation_height = w.dilation_width = 1;
        w.kernel_height = w.kernel_width = 3, w.pad_top = w.pad_left = 1;
      }
      const int rows = height + w.pad_top + (keeps_shape ? 1 : below) - (w.kernel_height - 1) * w.dilation_height - 1;
      const int columns = width + w.pad_left + (keeps_shape ? 1 : right) - (w.kernel_width - 1) * w.dilation_width - 1;
      if (rows < 0 || columns < 0) break;
      w.out_height = rows / w.stride_height + 1;
      w.out_width = columns / w.stride_width + 1;
      layer.in_channels = channels;
      layer.out_channels = keeps_shape ? channels : number(random, 1, 20);
      layer.residual = keeps_shape && i > 0;
      layer.sparse = number(random, 0, 1) == 0;
      const auto out = static_cast<std::size_t>(layer.out_channels);
      layer.weights =
          random_floats(random, out * static_cast<std::size_t>(channels * w.taps()), layer.sparse ? 0.8 : 0);
      for (float& weight : layer.weights)
        weight /= static_cast<float>(std::sqrt(channels * w.taps()));  // keeps sums near 1
      layer.bias = random_floats(random, out);
      channels = layer.out_channels, height = w.out_height, width = w.out_width;
      spec.layers.push_back(std::move(layer));
    }
    return spec;
  }

  Chain build(Isa isa) const {
    Chain chain;
    const int lanes = strip_kernels(isa).width;
    std::vector<int> values{chain.add_value(channels, height, width, lanes)};
    for (const LayerSpec& layer : layers) {
      const Window& w = layer.window;
      chain.reserve(values.back(), {w.kernel_height, w.stride_height, w.dilation_height, w.pad_top},
                    {w.kernel_width, w.stride_width, w.dilation_width, w.pad_left}, w.out_height, w.out_width);
      values.push_back(chain.add_value(layer.out_channels, w.out_height, w.out_width, lanes));
    }
    chain.add_node({std::make_unique<PackRows>(0, isa), {}, {}, {}, values[0], height, 0});
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const LayerSpec& layer = layers[i];
      const Window& w = layer.window;
      const StripShape& input = chain.values[static_cast<std::size_t>(values[i])].shape;
      StripConvolutionSpec spec{
          w, 1, layer.in_channels, layer.out_channels, layer.bias, layer.residual, Activation::relu()};
      ChainNode node;
      const auto k = static_cast<std::size_t>(layer.in_channels * w.taps());
      if (layer.sparse) {
        const std::vector<Csr> csr{Csr::from_dense(layer.weights, static_cast<std::size_t>(layer.out_channels), k)};
        node.op = std::make_unique<SparseStripConvolution>(spec, csr, input, isa);
      } else {
        node.op = std::make_unique<DenseStripConvolution>(spec, layer.weights, input, isa);
      }
      node.inputs = {values[i]};
      node.windows = {{w.kernel_height, w.stride_height, w.dilation_height, w.pad_top}};
      node.columns = {{w.kernel_width, w.stride_width, w.dilation_width, w.pad_left}};
      if (layer.residual) {
        node.inputs.push_back(values[i]);
        node.windows.push_back({});
        node.columns.push_back({});
      }
      node.output = values[i + 1];
      node.rows = w.out_height;
      chain.add_node(std::move(node));
    }
    const ChainValue& last = chain.values[static_cast<std::size_t>(values.back())];
    chain.add_node(
        {std::make_unique<UnpackRows>(0, isa), {values.back()}, {RowWindow{}}, {}, -1, last.shape.height, 0});
    return chain;
  }

  std::size_t outputs() const {
    if (layers.empty()) return static_cast<std::size_t>(channels * height * width);
    const LayerSpec& last = layers.back();
    return static_cast<std::size_t>(last.out_channels * last.window.out_height * last.window.out_width);
  }

  /// Plain arithmetic in double precision.
  std::vector<double> expected(const std::vector<float>& input, int images) const {
    std::vector<double> x(input.begin(), input.end());
    for (const LayerSpec& layer : layers) {
      const Window& w = layer.window;
      std::vector<double> y;
      for (int n = 0; n < images; ++n) {
        for (int m = 0; m < layer.out_channels; ++m) {
          for (int oh = 0; oh < w.out_height; ++oh) {
            for (int ow = 0; ow < w.out_width; ++ow) {
              double sum = layer.bias[static_cast<std::size_t>(m)];
              if (layer.residual)
                sum += x[static_cast<std::size_t>(((n * layer.in_channels + m) * w.height + oh) * w.width + ow)];
              for (int c = 0; c < layer.in_channels; ++c) {
                for (int tap = 0; tap < w.taps(); ++tap) {
                  const int row = oh * w.stride_height - w.pad_top + tap / w.kernel_width * w.dilation_height;
                  const int column = ow * w.stride_width - w.pad_left + tap % w.kernel_width * w.dilation_width;
                  if (row < 0 || row >= w.height || column < 0 || column >= w.width) continue;
                  sum += double{layer.weights[static_cast<std::size_t>((m * layer.in_channels + c) * w.taps() + tap)]} *
                         x[static_cast<std::size_t>(((n * layer.in_channels + c) * w.height + row) * w.width + column)];
                }
              }
              y.push_back(std::max(0.0, sum));
            }
          }
        }
      }
      x = std::move(y);
    }
    return x;
  }
};

/// Random cuts that are segments, each in random strips and chunks.
std::vector<Segment> random_cut(std::mt19937& random, const Chain& chain) {
  std::vector<Segment> segments;
  for (int begin = 0; begin < static_cast<int>(chain.nodes.size());) {
    int end = begin + 1;
    for (int longer = end + 1; longer <= static_cast<int>(chain.nodes.size()); ++longer) {
      if (is_segment(chain, begin, longer) && number(random, 0, 1) == 0) end = longer;
    }
    Segment segment{begin, end, 1, 1};
    const int rows = segment.rows(chain);
    segment.strips = number(random, 1, rows);
    segment.chunk = number(random, 1, rows);
    if (takes_bands(chain, segment)) {
      segment.bands =
          number(random, 1, std::min(5, row_positions(chain, chain.nodes[static_cast<std::size_t>(end - 1)])));
    }
    segments.push_back(segment);
    begin = end;
  }
  return segments;
}

class ChainProgramTest : public testing::TestWithParam<Isa> {};

TEST_P(ChainProgramTest, any_cut_computes_the_same_and_as_much_as_planned) {
  std::mt19937 random = seeded_random();
  for (int i = 0; i < 60; ++i) {
    SCOPED_TRACE(i);
    const ChainSpec spec = ChainSpec::random(random);
    const int images = number(random, 1, 19);
    const std::vector<float> input =
        random_floats(random, static_cast<std::size_t>(images * spec.channels * spec.height * spec.width));
    const std::vector<double> expected = spec.expected(input, images);
    std::vector<float> first;
    for (int cut = 0; cut < 4; ++cut) {
      SCOPED_TRACE(cut);
      Chain chain = spec.build(GetParam());
      std::vector<Segment> segments = cut == 0   ? plan_segments(chain, {}, ColumnMode::layers)
                                      : cut == 1 ? plan_segments(chain, {}, ColumnMode::automatic)
                                                 : random_cut(random, chain);
      const ChainProgram program(std::move(chain), std::move(segments), number(random, 1, 3));
      // what no one wrote is NaN
      AlignedVector<float> scratch(program.scratch_bytes() / sizeof(float), std::numeric_limits<float>::quiet_NaN());
      std::vector<float> output(static_cast<std::size_t>(images) * spec.outputs(), -1.0f);
      const float* in = input.data();
      float* out = output.data();
      std::vector<std::atomic<std::int64_t>> positions(program.chain().nodes.size());
      ChainRun run;
      run.inputs = {&in, 1};
      run.outputs = {&out, 1};
      run.images = images;
      run.scratch = reinterpret_cast<std::byte*>(scratch.data());
      run.node_positions = positions;
      program.run(run);
      const int groups = (images + program.lanes() - 1) / program.lanes();
      for (std::size_t node = 0; node < positions.size(); ++node) {
        EXPECT_EQ(positions[node].load(), groups * program.planned_positions()[node]) << "node " << node;
      }
      for (std::size_t o = 0; o < output.size(); ++o) {
        ASSERT_NEAR(output[o], expected[o], 1e-5 * std::max(1.0, std::abs(expected[o]))) << o;
      }
      if (cut == 0) first = output;
      EXPECT_EQ(output, first);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, ChainProgramTest, testing::ValuesIn(runnable_isas()), isa_name);

TEST(ChainRows, overlap_of_strips_is_counted_exactly) {
  // Two 3 x 3 convolutions over 12 rows in 3 strips of 4: the first computes 5, 6 and 5 rows.
  Chain chain;
  const int x = chain.add_value(1, 12, 4, 4), y = chain.add_value(1, 12, 4, 4), z = chain.add_value(1, 12, 4, 4);
  const RowWindow window{3, 1, 1, 1};
  chain.reserve(x, window, window, 12, 4);
  chain.reserve(y, window, window, 12, 4);
  chain.add_node({std::make_unique<MapRows>(Activation::relu(), Isa::portable), {}, {}, {}, x, 12, 0});
  chain.add_node({std::make_unique<MapRows>(Activation::relu(), Isa::portable), {x}, {window}, {}, y, 12, 0});
  chain.add_node({std::make_unique<MapRows>(Activation::relu(), Isa::portable), {y}, {window}, {}, z, 12, 0});
  for (const int chunk : {1, 2, 3, 4}) {
    EXPECT_EQ(positions_computed(chain, {1, 3, 3, chunk}), (std::vector<std::int64_t>{4 * (5 + 6 + 5), 4 * 12}));
  }
  EXPECT_EQ(positions_computed(chain, {1, 3, 1, 1}), (std::vector<std::int64_t>{4 * 12, 4 * 12}));
  EXPECT_EQ(positions_computed(chain, {0, 3, 12, 1}),
            (std::vector<std::int64_t>{4 * (3 + 4 + 8 * 5 + 4 + 3), 4 * (12 * 3 - 2), 4 * 12}));
}

TEST(ChainRows, overlap_of_bands_is_counted_exactly) {
  // Two 3 x 3 convolutions over rows of 8 positions in 2 bands: of the first result each band computes 5 positions.
  Chain chain;
  const int x = chain.add_value(1, 3, 8, 4), y = chain.add_value(1, 3, 8, 4), z = chain.add_value(1, 3, 8, 4);
  const RowWindow window{3, 1, 1, 1};
  chain.add_node({std::make_unique<MapRows>(Activation::relu(), Isa::portable), {}, {}, {}, x, 3, 0});
  chain.add_node({std::make_unique<MapRows>(Activation::relu(), Isa::portable), {x}, {window}, {window}, y, 3, 0});
  chain.add_node({std::make_unique<MapRows>(Activation::relu(), Isa::portable), {y}, {window}, {window}, z, 3, 0});
  EXPECT_EQ(positions_computed(chain, {1, 3, 1, 1, 2}), (std::vector<std::int64_t>{3 * (5 + 5), 3 * 8}));
  EXPECT_EQ(positions_computed(chain, {1, 3, 3, 1, 2}), (std::vector<std::int64_t>{(2 + 3 + 2) * (5 + 5), 3 * 8}));
  const std::vector<RowRange> second = band_columns(chain, {1, 3, 1, 1, 2}, 1);
  EXPECT_EQ(second[0].begin, 3);
  EXPECT_EQ(second[0].end, 8);
  const RowRange read = columns_read(chain, {1, 3, 1, 1, 2}, second, x);
  EXPECT_EQ(read.begin, 2);
  EXPECT_EQ(read.end, 8);
}

TEST(ChainRows, a_segment_keeps_its_inner_results_to_itself) {
  Chain chain;
  const int x = chain.add_value(1, 4, 4, 4), y = chain.add_value(1, 4, 4, 4), z = chain.add_value(1, 4, 4, 4);
  chain.add_node({std::make_unique<MapRows>(Activation::relu(), Isa::portable), {}, {}, {}, x, 4, 0});
  chain.add_node({std::make_unique<MapRows>(Activation::relu(), Isa::portable), {x}, {RowWindow{}}, {}, y, 4, 0});
  chain.add_node(
      {std::make_unique<BinaryRows>(Binary::add, Isa::portable), {x, y}, {RowWindow{}, RowWindow{}}, {}, z, 4, 0});
  EXPECT_FALSE(is_segment(chain, 0, 2));  // x is read by node 2
  EXPECT_TRUE(is_segment(chain, 0, 3));
  EXPECT_TRUE(is_segment(chain, 1, 3));
  EXPECT_TRUE(is_segment(chain, 0, 1));
  EXPECT_FALSE(is_segment(chain, 1, 1));
}

}  // namespace
}  // namespace sparse_run::cpu
