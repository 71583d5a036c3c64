// Blocked kernels against plainly computed results, on every instruction set this processor runs.
#include "cpu/dense/blocked.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "cpu/column/column_test_support.hpp"
#include "cpu/dense/blocked_weights.hpp"

namespace sparse_run::cpu {
namespace {

constexpr auto kNan = std::numeric_limits<float>::quiet_NaN();

class Blocked : public testing::TestWithParam<Isa> {
 protected:
  const BlockedKernels& kernels() const { return blocked_kernels(GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(Isas, Blocked, testing::ValuesIn(runnable_isas()), isa_name);

/// A random image and window of few to many positions, with paddings up to the window's size.
struct ImageCase {
  Window window;
  int channels = 1;
  std::vector<float> plain;

  ImageCase(std::mt19937& random, int most_channels, bool any_stride) {
    const auto draw = [&](int low, int high) {
      return static_cast<int>(uniform(random, static_cast<std::size_t>(low), static_cast<std::size_t>(high)));
    };
    channels = draw(1, most_channels);
    do {
      window.height = draw(1, 20);
      window.width = draw(1, 40);
      window.kernel_height = draw(1, 4);
      window.kernel_width = draw(1, 4);
      window.stride_height = draw(1, 3);
      window.stride_width = draw(1, any_stride ? 3 : 2);
      window.dilation_height = draw(1, 2);
      window.dilation_width = draw(1, 2);
      window.pad_top = draw(0, window.kernel_height);
      window.pad_left = draw(0, window.kernel_width);
      const int bottom = draw(0, window.kernel_height), right = draw(0, window.kernel_width);
      window.out_height =
          (window.height + window.pad_top + bottom - (window.kernel_height - 1) * window.dilation_height - 1) /
              window.stride_height +
          1;
      window.out_width =
          (window.width + window.pad_left + right - (window.kernel_width - 1) * window.dilation_width - 1) /
              window.stride_width +
          1;
      const bool covered =
          window.height + window.pad_top + bottom > (window.kernel_height - 1) * window.dilation_height &&
          window.width + window.pad_left + right > (window.kernel_width - 1) * window.dilation_width;
      if (!covered) window.out_height = 0;
    } while (window.out_height < 1 || window.out_width < 1);
    plain = random_floats(random, static_cast<std::size_t>(channels * positions()));
  }

  int positions() const { return window.height * window.width; }
  int out_positions() const { return window.out_height * window.out_width; }
  BlockedPlace place() const {
    return {std::ptrdiff_t{out_positions()} * kBlockChannels, std::ptrdiff_t{window.out_width} * kBlockChannels};
  }

  /// The image in blocks, and the window's strides set for it.
  AlignedVector<float> to_blocks(const BlockedKernels& kernels) {
    window.row_stride = std::ptrdiff_t{window.width} * kBlockChannels;
    window.channel_stride = std::ptrdiff_t{positions()} * kBlockChannels;
    AlignedVector<float> x(static_cast<std::size_t>(blocks_of(channels) * window.channel_stride), kNan);
    for (int c = 0; c < channels; c += kBlockChannels) {
      kernels.to_block(plain.data() + c * positions(), static_cast<std::size_t>(positions()),
                       std::min(kBlockChannels, channels - c), static_cast<std::size_t>(positions()),
                       x.data() + c * positions());
    }
    return x;
  }

  /// visit(value) for the elements of channel c that lie in the image and under the window at (row, column), with their
  /// tap.
  template <class Visit>
  void taps(int c, int row, int column, const Visit& visit) const {
    for (int kh = 0; kh < window.kernel_height; ++kh) {
      for (int kw = 0; kw < window.kernel_width; ++kw) {
        const int y = row * window.stride_height - window.pad_top + kh * window.dilation_height;
        const int x = column * window.stride_width - window.pad_left + kw * window.dilation_width;
        if (y < 0 || x < 0 || y >= window.height || x >= window.width) continue;
        visit(plain[static_cast<std::size_t>((c * window.height + y) * window.width + x)],
              kh * window.kernel_width + kw);
      }
    }
  }
};

float at(const AlignedVector<float>& y, int positions, int channel, int position) {
  return y[static_cast<std::size_t>((channel / kBlockChannels * positions + position) * kBlockChannels +
                                    channel % kBlockChannels)];
}

TEST_P(Blocked, convolution_of_random_windows) {
  auto random = seeded_random();
  for (int round = 0; round < 60; ++round) {
    const bool plain = round % 4 == 0;
    ImageCase image(random, plain ? 4 : 50, false);
    const Window& w = image.window;
    if (!blocked_window_fits(w)) continue;
    AlignedVector<float> x;
    if (plain) {
      image.window.row_stride = w.width;
      image.window.channel_stride = image.positions();
      x.assign(image.plain.begin(), image.plain.end());
    } else {
      x = image.to_blocks(kernels());
    }
    const int out_channels = static_cast<int>(uniform(random, 1, 70));
    const auto k = static_cast<std::size_t>(image.channels * w.taps());
    const auto weights = random_floats(random, static_cast<std::size_t>(out_channels) * k);
    const auto packed = pack_blocked_convolution(weights, out_channels, image.channels, w.taps(), plain, GetParam());
    const auto bias = random_floats(random, static_cast<std::size_t>(out_channels));
    const auto out_blocks = static_cast<int>(blocks_of(out_channels));
    const auto size = static_cast<std::size_t>(out_blocks * image.out_positions() * kBlockChannels);
    const auto residual = random_floats(random, size);
    AlignedVector<float> y(size, kNan);
    Epilogue epilogue;
    epilogue.bias = round % 3 == 0 ? nullptr : bias.data();
    epilogue.residual = round % 5 == 0 ? nullptr : residual.data();
    epilogue.activation = round % 2 == 0 ? Activation::clip(-0.5f, 2.0f) : Activation::of(Curve::sigmoid);
    const auto in_blocks = static_cast<int>(plain ? image.channels : blocks_of(image.channels));
    // in four parts, cut at a row, a column or a block
    const int middle_row = w.out_height / 2, middle_column = round % 7 == 0 ? w.out_width / 2 : w.out_width;
    const int middle_block = out_blocks / 2 / kernels().conv_blocks * kernels().conv_blocks;
    for (const auto& [rows, columns] : {std::pair{std::pair{0, middle_row}, std::pair{0, w.out_width}},
                                        {{middle_row, w.out_height}, {0, middle_column}},
                                        {{middle_row, w.out_height}, {middle_column, w.out_width}}}) {
      for (const auto& [first, last] : {std::pair{0, middle_block}, {middle_block, out_blocks}}) {
        if (rows.first == rows.second || columns.first == columns.second) continue;
        kernels().convolution({w,
                               x.data(),
                               in_blocks,
                               plain,
                               packed.data(),
                               out_channels,
                               y.data(),
                               image.place(),
                               epilogue,
                               {rows.first, rows.second, columns.first, columns.second, first, last}});
      }
    }
    for (int o = 0; o < out_channels; ++o) {
      for (int position = 0; position < image.out_positions(); ++position) {
        double expected = epilogue.bias == nullptr ? 0 : bias[static_cast<std::size_t>(o)];
        const auto place = static_cast<std::size_t>(
            (o / kBlockChannels * image.out_positions() + position) * kBlockChannels + o % kBlockChannels);
        if (epilogue.residual != nullptr) expected += residual[place];
        for (int c = 0; c < image.channels; ++c) {
          image.taps(c, position / w.out_width, position % w.out_width, [&](float value, int tap) {
            expected +=
                double{value} * weights[static_cast<std::size_t>(o) * k + static_cast<std::size_t>(c * w.taps() + tap)];
          });
        }
        expected = round % 2 == 0 ? std::clamp(expected, -0.5, 2.0) : 1 / (1 + std::exp(-expected));
        ASSERT_NEAR(y[place], expected, 2e-5) << "round " << round << ", channel " << o << ", position " << position;
      }
    }
  }
}

TEST_P(Blocked, depthwise_convolution_of_random_windows) {
  auto random = seeded_random();
  for (int round = 0; round < 40; ++round) {
    ImageCase image(random, 40, true);
    const auto x = image.to_blocks(kernels());
    const Window& w = image.window;
    const auto weights = random_floats(random, static_cast<std::size_t>(image.channels * w.taps()));
    const auto packed = pack_blocked_depthwise(weights, image.channels, w.taps());
    const std::vector<float> bias = random_floats(random, static_cast<std::size_t>(image.channels));
    const auto blocks = static_cast<int>(blocks_of(image.channels));
    const auto size = static_cast<std::size_t>(blocks * image.out_positions() * kBlockChannels);
    const auto residual = random_floats(random, size);
    AlignedVector<float> y(size, kNan);
    Epilogue epilogue;
    epilogue.bias = bias.data();
    epilogue.residual = round % 2 == 0 ? residual.data() : nullptr;
    epilogue.activation = round % 3 == 0 ? Activation::of(Curve::hard_swish) : Activation::relu();
    kernels().depthwise({w,
                         x.data(),
                         packed.data(),
                         image.channels,
                         y.data(),
                         image.place(),
                         epilogue,
                         {0, w.out_height, 0, w.out_width, 0, blocks}});
    for (int c = 0; c < image.channels; ++c) {
      for (int position = 0; position < image.out_positions(); ++position) {
        const auto place = static_cast<std::size_t>(
            (c / kBlockChannels * image.out_positions() + position) * kBlockChannels + c % kBlockChannels);
        double expected =
            bias[static_cast<std::size_t>(c)] + (epilogue.residual != nullptr ? double{residual[place]} : 0.0);
        image.taps(c, position / w.out_width, position % w.out_width, [&](float value, int tap) {
          expected += double{value} * weights[static_cast<std::size_t>(c * w.taps() + tap)];
        });
        expected = round % 3 == 0 ? expected * std::clamp(expected / 6 + 0.5, 0.0, 1.0) : std::max(expected, 0.0);
        ASSERT_NEAR(y[place], expected, 1e-5) << "round " << round << ", channel " << c << ", position " << position;
      }
    }
  }
}

TEST_P(Blocked, pooling_of_random_windows) {
  auto random = seeded_random();
  for (int round = 0; round < 40; ++round) {
    ImageCase image(random, 40, true);
    const auto x = image.to_blocks(kernels());
    const Window& w = image.window;
    const auto blocks = static_cast<int>(blocks_of(image.channels));
    AlignedVector<float> y(static_cast<std::size_t>(blocks * image.out_positions() * kBlockChannels), kNan);
    const bool average = round % 2 == 0, all = round % 4 == 0;
    kernels().pool({w, x.data(), y.data(), image.place(), average, all, {0, w.out_height, 0, w.out_width, 0, blocks}});
    for (int c = 0; c < image.channels; ++c) {
      for (int position = 0; position < image.out_positions(); ++position) {
        double sum = 0, most = -std::numeric_limits<double>::infinity();
        int count = 0;
        image.taps(c, position / w.out_width, position % w.out_width, [&](float value, int) {
          sum += value;
          most = std::max(most, double{value});
          ++count;
        });
        if (average && !all && count == 0) continue;  // the mean of nothing
        const double expected = average ? sum / (all ? w.taps() : count) : most;
        const float got = at(y, image.out_positions(), c, position);
        if (std::isinf(expected)) {
          ASSERT_EQ(got, expected);
        } else {
          ASSERT_NEAR(got, expected, 1e-5) << "round " << round << ", channel " << c << ", position " << position;
        }
      }
    }
  }
}

TEST_P(Blocked, a_maximum_over_nan_is_nan_wherever_it_lies) {
  Window w;
  w.height = 1;
  w.width = w.kernel_width = 3;
  w.row_stride = w.channel_stride = 3 * kBlockChannels;
  for (int place = 0; place < 3; ++place) {
    AlignedVector<float> x(3 * kBlockChannels, 1.0f), y(kBlockChannels);
    x[static_cast<std::size_t>(place * kBlockChannels + 5)] = kNan;
    kernels().pool({w, x.data(), y.data(), {}, false, false, {0, 1, 0, 1, 0, 1}});
    EXPECT_TRUE(std::isnan(y[5])) << place;
    EXPECT_EQ(y[4], 1.0f);
  }
}

TEST_P(Blocked, planes_come_back_from_blocks_and_padding_is_zero) {
  auto random = seeded_random();
  for (const int channels : {1, 7, 16}) {
    for (const std::size_t positions : {1u, 15u, 16u, 17u, 50u}) {
      const auto plain = random_floats(random, static_cast<std::size_t>(channels) * (positions + 3));
      AlignedVector<float> block(positions * kBlockChannels, kNan);
      kernels().to_block(plain.data(), positions + 3, channels, positions, block.data());
      for (std::size_t p = 0; p < positions; ++p) {
        for (int c = 0; c < kBlockChannels; ++c) {
          const float expected = c < channels ? plain[static_cast<std::size_t>(c) * (positions + 3) + p] : 0.0f;
          ASSERT_EQ(block[p * kBlockChannels + static_cast<std::size_t>(c)], expected);
        }
      }
      std::vector<float> back(plain.size(), 9.0f);
      kernels().from_block(block.data(), channels, positions, back.data(), positions + 3);
      for (std::size_t i = 0; i < back.size(); ++i) {
        ASSERT_EQ(back[i], i % (positions + 3) < positions ? plain[i] : 9.0f);
      }
    }
  }
}

TEST_P(Blocked, sums_each_channel_over_all_positions) {
  for (const std::size_t positions : {1u, 2u, 49u}) {
    AlignedVector<float> x(positions * kBlockChannels);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % kBlockChannels);
    float sums[kBlockChannels];
    kernels().sum(x.data(), positions, sums);
    for (int c = 0; c < kBlockChannels; ++c) EXPECT_EQ(sums[c], static_cast<float>(positions) * static_cast<float>(c));
  }
}

TEST(BlockedWindow, wide_strides_and_extreme_windows_are_refused) {
  Window w;
  EXPECT_TRUE(blocked_window_fits(w));
  w.kernel_height = w.kernel_width = 7;
  EXPECT_TRUE(blocked_window_fits(w));
  w.dilation_width = 1 << 24;
  EXPECT_FALSE(blocked_window_fits(w));
  w.dilation_width = 1;
  w.stride_width = 3;
  EXPECT_FALSE(blocked_window_fits(w));
}

}  // namespace
}  // namespace sparse_run::cpu
