// Random matrices and windows with plainly computed right-hand sides, for the tests of column kernels.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <initializer_list>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "cpu/column/column.hpp"
#include "cpu/isa.hpp"

namespace sparse_run::cpu {

inline std::string isa_name(const testing::TestParamInfo<Isa>& info) { return std::string(to_string(info.param)); }

/// A generator whose seed is printed; SPARSE_RUN_TEST_SEED repeats a run.
inline std::mt19937 seeded_random() {
  const char* given = std::getenv("SPARSE_RUN_TEST_SEED");
  const unsigned seed = given != nullptr ? static_cast<unsigned>(std::atoi(given)) : std::random_device{}();
  std::cout << "seed " << seed << '\n';
  return std::mt19937(seed);
}

inline std::size_t uniform(std::mt19937& random, std::size_t low, std::size_t high) {
  return std::uniform_int_distribution<std::size_t>(low, high)(random);
}

inline std::size_t pick(std::mt19937& random, std::initializer_list<std::size_t> choices) {
  return choices.begin()[uniform(random, 0, choices.size() - 1)];
}

/// Values in [-1, 1), a share of them exactly 0.
inline std::vector<float> random_floats(std::mt19937& random, std::size_t n, double zeros = 0) {
  std::uniform_real_distribution<float> value(-1, 1);
  std::bernoulli_distribution zero(zeros);
  std::vector<float> values(n);
  for (float& x : values) x = zero(random) ? 0 : value(random);
  return values;
}

struct Matrix {
  std::size_t rows = 0, lanes = 0, stride = 0;
  std::vector<float> values;

  static Matrix random(std::mt19937& random, std::size_t rows, std::size_t lanes, std::size_t stride) {
    return {rows, lanes, stride, random_floats(random, rows * stride)};
  }
  const float* data() const { return values.data(); }
  double at(std::size_t row, std::size_t lane) const { return values[row * stride + lane]; }
};

/// A random window over random data that is exactly as large as the window needs, so that sanitizers see every
/// over-read.
struct WindowCase {
  Window window;
  std::size_t channels = 1;
  std::vector<float> data;

  static WindowCase random(std::mt19937& random) {
    const auto number = [&](std::size_t low, std::size_t high) { return static_cast<int>(uniform(random, low, high)); };
    WindowCase c;
    Window& w = c.window;
    c.channels = uniform(random, 1, 30);
    w.images = number(1, 3);
    w.kernel_height = number(1, 4), w.kernel_width = number(1, 7);
    w.stride_height = number(1, 3), w.stride_width = number(1, 3);
    w.dilation_height = number(1, 2), w.dilation_width = number(1, 2);
    w.pad_top = number(0, 3), w.pad_left = number(0, 3);
    w.height = number(1, 17), w.width = number(1, 40);
    w.out_height = number(1, 9), w.out_width = number(1, 41);  // padding below and to the right makes up the rest
    w.row_stride = w.width + number(0, 2);
    const std::ptrdiff_t plane = w.row_stride * (w.height - 1) + w.width;
    if (number(0, 1) == 0) {  // [channel][image]
      w.image_stride = plane;
      w.channel_stride = plane * w.images;
    } else {
      w.channel_stride = plane;
      w.image_stride = plane * static_cast<std::ptrdiff_t>(c.channels);
    }
    c.data = random_floats(random, static_cast<std::size_t>(plane * w.images) * c.channels);
    return c;
  }

  /// The right-hand matrix by the window's definition.
  Matrix panel() const {
    const Window& w = window;
    Matrix m{channels * static_cast<std::size_t>(w.taps()), w.lanes(), w.lanes(), {}};
    for (std::size_t channel = 0; channel < channels; ++channel) {
      for (int kh = 0; kh < w.kernel_height; ++kh) {
        for (int kw = 0; kw < w.kernel_width; ++kw) {
          for (int image = 0; image < w.images; ++image) {
            for (int oh = 0; oh < w.out_height; ++oh) {
              for (int ow = 0; ow < w.out_width; ++ow) {
                const int row = oh * w.stride_height - w.pad_top + kh * w.dilation_height;
                const int column = ow * w.stride_width - w.pad_left + kw * w.dilation_width;
                const bool inside = row >= 0 && row < w.height && column >= 0 && column < w.width;
                const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(channel) * w.channel_stride +
                                          image * w.image_stride + row * w.row_stride + column;
                m.values.push_back(inside ? data[static_cast<std::size_t>(at)] : 0.0f);
              }
            }
          }
        }
      }
    }
    return m;
  }

  std::string describe() const {
    const Window& w = window;
    return "channels " + std::to_string(channels) + " images " + std::to_string(w.images) + " in " +
           std::to_string(w.height) + "x" + std::to_string(w.width) + " out " + std::to_string(w.out_height) + "x" +
           std::to_string(w.out_width) + " kernel " + std::to_string(w.kernel_height) + "x" +
           std::to_string(w.kernel_width) + " stride " + std::to_string(w.stride_height) + "x" +
           std::to_string(w.stride_width) + " dilation " + std::to_string(w.dilation_height) + "x" +
           std::to_string(w.dilation_width) + " pad " + std::to_string(w.pad_top) + "," + std::to_string(w.pad_left);
  }
};

}  // namespace sparse_run::cpu
