// kernel-bench: GFLOP/s and share of the measured FMA peak per kernel, shape and density, on one thread.
#include <omp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "bench/kernels/onednn.hpp"
#include "bench/kernels/peak.hpp"
#include "bench/kernels/prototype.hpp"
#include "cpu/column/dense.hpp"
#include "cpu/column/depthwise.hpp"
#include "cpu/column/few_lanes.hpp"
#include "cpu/sparse/bitmap.hpp"
#include "cpu/sparse/blocks.hpp"
#include "cpu/sparse/columns.hpp"
#include "cpu/sparse/groups.hpp"
#include "cpu/sparse/rows.hpp"

namespace sparse_run::bench {
namespace {

/// A layer of a known network: an image of height × width, or tokens in the lanes when height is 1.
struct Layer {
  const char* network;
  std::size_t rows, channels;
  int height, width, kernel, stride;

  cpu::Window window() const {
    cpu::Window w;
    w.height = height, w.width = width;
    w.out_height = (height + stride - 1) / stride, w.out_width = (width + stride - 1) / stride;
    w.kernel_height = w.kernel_width = kernel;
    w.stride_height = w.stride_width = stride;
    w.pad_top = w.pad_left = (kernel - 1) / 2;
    w.row_stride = width;
    w.channel_stride = std::ptrdiff_t{height} * width;
    w.image_stride = w.channel_stride * static_cast<std::ptrdiff_t>(channels);
    return w;
  }
  std::string name() const {
    return height == 1 ? fmt::format("{} {}x{}, {} tokens", network, rows, channels, width)
                       : fmt::format("{} {}->{} {}x{} {}x{}/{}", network, channels, rows, height, width, kernel, kernel,
                                     stride);
  }
};

constexpr Layer kLayers[] = {
    {"resnet50", 64, 3, 224, 224, 7, 2},   {"resnet50", 64, 64, 56, 56, 3, 1},    {"resnet50", 64, 256, 56, 56, 1, 1},
    {"resnet50", 256, 64, 56, 56, 1, 1},   {"resnet50", 128, 128, 56, 56, 3, 2},  {"resnet50", 128, 128, 28, 28, 3, 1},
    {"resnet50", 512, 128, 28, 28, 1, 1},  {"resnet50", 256, 256, 14, 14, 3, 1},  {"resnet50", 256, 1024, 14, 14, 1, 1},
    {"resnet50", 512, 512, 7, 7, 3, 1},    {"resnet50", 2048, 512, 7, 7, 1, 1},   {"mobilenet", 32, 3, 224, 224, 3, 2},
    {"mobilenet", 64, 32, 112, 112, 1, 1}, {"mobilenet", 512, 512, 14, 14, 1, 1}, {"wide", 512, 512, 28, 28, 1, 1},
    {"bert", 768, 768, 1, 128, 1, 1},      {"bert", 3072, 768, 1, 128, 1, 1},     {"bert", 768, 3072, 1, 128, 1, 1},
};
constexpr double kZeros[] = {0.7, 0.8, 0.9, 0.95};

std::vector<float> random_floats(std::size_t n, double zeros = 0) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> value(-1, 1);
  std::bernoulli_distribution zero(zeros);
  std::vector<float> values(n);
  for (float& x : values) x = zero(random) ? 0 : value(random);
  return values;
}

cpu::AlignedVector<float> aligned_floats(std::size_t n) {
  const std::vector<float> values = random_floats(n);
  return {values.begin(), values.end()};
}

class Bench {
 public:
  Bench(double seconds, std::string filter, cpu::Isa isa) : seconds_(seconds), filter_(std::move(filter)), isa_(isa) {
    peak_ = fma_peak_gflops(isa, 0.1);
    fmt::print("{}: FMA peak {:.0f} GFLOP/s; read GB/s: L1 {:.0f}, L2 {:.0f}, 16 MiB {:.0f}, 256 MiB {:.0f}\n",
               cpu::to_string(isa), peak_, read_bandwidth_gbps(24 << 10, 0.05), read_bandwidth_gbps(512 << 10, 0.05),
               read_bandwidth_gbps(16 << 20, 0.1), read_bandwidth_gbps(256 << 20, 0.3));
  }

  void layers() const {
    for (const Layer& layer : kLayers) {
      if (wanted(layer.name())) dense_and_sparse(layer);
    }
  }

  void depthwise() const {
    for (const auto& [channels, size, stride] :
         {std::array<int, 3>{32, 112, 1}, std::array<int, 3>{64, 112, 2}, std::array<int, 3>{128, 56, 1},
          std::array<int, 3>{256, 28, 1}, std::array<int, 3>{512, 14, 1}, std::array<int, 3>{1024, 7, 1}}) {
      const auto count = static_cast<std::size_t>(channels);
      const cpu::Window w = Layer{"", count, count, size, size, 3, stride}.window();
      const std::string name = fmt::format("depthwise {} {}x{} 3x3/{}", channels, size, size, stride);
      if (!wanted(name)) continue;
      const auto x = aligned_floats(count * static_cast<std::size_t>(size * size));
      const auto weights = random_floats(count * 9);
      cpu::AlignedVector<float> y(count * w.lanes());
      const cpu::Epilogue epilogue{weights.data(), nullptr, 0, cpu::Activation::relu()};
      const cpu::DepthwiseResult result{y.data(), static_cast<std::ptrdiff_t>(w.lanes()), 0};
      const double time = best([&] {
        cpu::run_depthwise({w, x.data(), weights.data(), result, epilogue, 0, count, 0, w.out_height}, isa_);
      });
      fmt::print("{:<38} {:>9.4f} ms {:>7.1f} GFLOP/s {:>6.1f} GB/s moved\n", name, time * 1e3,
                 18e-9 * static_cast<double>(y.size()) / time, 4e-9 * static_cast<double>(x.size() + y.size()) / time);
    }
  }

  void few_lanes() const {
    for (const auto& [rows, k] : {std::pair<std::size_t, std::size_t>{2048, 2048}, {1000, 2048}, {768, 3072}}) {
      const std::string name = fmt::format("vectors {}x{}", rows, k);
      if (!wanted(name)) continue;
      const auto w = random_floats(rows * k), x = random_floats(8 * k);
      std::vector<float> y(8 * rows);
      const cpu::DenseFewLanes dense(std::span<const float>(w), rows, k, isa_);
      for (const std::size_t lanes : {1, 2, 4, 8}) {
        const double time = best([&] { dense.run(x.data(), k, lanes, y.data(), rows, {}); });
        fmt::print("{:<38} {:>9.4f} ms {:>6.1f} GB/s of weights, {} lanes, dense\n", name, time * 1e3,
                   4e-9 * static_cast<double>(w.size()) / time, lanes);
      }
      for (const double zeros : {0.5, 0.7, 0.8, 0.9, 0.95}) {
        sparse_vectors(name, cpu::Csr::from_dense(random_floats(rows * k, zeros), rows, k),
                       fmt::format("{:.0f}% zeros", 100 * zeros), x, y);
      }
      for (const auto& [kept, of] : {std::pair<std::size_t, std::size_t>{2, 4}, {1, 4}, {1, 8}}) {
        std::vector<float> patterned = w;
        for (std::size_t i = 0; i < patterned.size(); ++i) {
          if ((i % k + i / k * 5 + i % k / of * 3) % of >= kept) patterned[i] = 0;
        }
        sparse_vectors(name, cpu::Csr::from_dense(patterned, rows, k), fmt::format("{}:{}", kept, of), x, y);
      }
    }
  }

  /// Few lanes on every kernel for them that takes the weights.
  void sparse_vectors(const std::string& name, const cpu::Csr& csr, const std::string& which,
                      const std::vector<float>& x, std::vector<float>& y) const {
    const auto line = [&](const char* kernel, std::size_t lanes, std::size_t bytes, double time) {
      fmt::print("{:<38} {:>9.4f} ms {:>6.1f} GB/s of weights, {} lanes, {}, {}\n", name, time * 1e3,
                 1e-9 * static_cast<double>(bytes) / time, lanes, which, kernel);
    };
    const std::size_t rows = csr.rows, k = csr.columns;
    std::vector<float> half = x;  // every other activation 0, without a rhythm
    for (std::size_t i = 0; i < half.size(); ++i) half[i] = i * 2654435761u >> 16 & 1u ? half[i] : 0;
    const cpu::SparseRows gathers(csr, isa_);
    const auto pattern = cpu::SparseGroups::pattern_of(csr);
    for (const std::size_t lanes : {1, 2, 4, 8}) {
      line("rows", lanes, gathers.bytes(), best([&] { gathers.run(x.data(), k, lanes, y.data(), rows, {}); }));
      const cpu::SparseBitmap bitmap(csr, lanes, isa_);
      cpu::AlignedVector<std::byte> workspace(bitmap.workspace_bytes());
      const auto expand = [&](const std::vector<float>& from) {
        bitmap.run(bitmap.gather(from.data(), k, workspace.data()), y.data(), rows, {}, 0, bitmap.blocks());
      };
      line("bitmap", lanes, bitmap.bytes(), best([&] { expand(x); }));
      if (lanes == 1) line("bitmap, half the activations 0", 1, bitmap.bytes(), best([&] { expand(half); }));
      if (pattern) {
        for (const auto storage : {cpu::WeightStorage::f32, cpu::WeightStorage::bf16}) {
          const cpu::SparseGroups groups(csr, *pattern, storage, isa_);
          line(storage == cpu::WeightStorage::f32 ? "N:M" : "N:M in bf16", lanes, groups.bytes(),
               best([&] { groups.run(x.data(), k, lanes, y.data(), rows, {}, 0, groups.slices()); }));
        }
      }
      if (lanes > 2) {  // as columns, the transposition not counted
        const auto variant = cpu::SparseColumns::candidates(csr.zeros(), k, 1, lanes, isa_).front();
        const cpu::SparseColumns columns(csr, variant, isa_);
        line("columns", lanes, columns.bytes(), best([&] {
               columns.run(cpu::ColumnInput::rows(x.data(), static_cast<std::ptrdiff_t>(lanes)), lanes, y.data(), lanes,
                           {});
             }));
      }
    }
  }

 private:
  bool wanted(const std::string& name) const { return name.find(filter_) != std::string::npos; }

  template <class Body>
  double best(const Body& body) const {
    body();
    double least = 1e9;
    const auto start = Clock::now();
    do {
      const auto begin = Clock::now();
      body();
      least = std::min(least, seconds_since(begin));
    } while (seconds_since(start) < seconds_);
    return least;
  }

  void print(const std::string& name, const std::string& kernel, double time, double real, double dense) const {
    fmt::print("{:<38} {:<34} {:>9.4f} ms {:>7.1f} GFLOP/s {:>4.0f}% of peak, dense-equivalent {:>6.0f}\n", name,
               kernel, time * 1e3, real / time * 1e-9, real / time * 1e-7 / peak_, dense / time * 1e-9);
  }

  void dense_and_sparse(const Layer& layer) const {
    const cpu::Window w = layer.height == 1 ? tokens(layer) : layer.window();
    const std::size_t k = layer.channels * static_cast<std::size_t>(w.taps()), lanes = w.lanes();
    const auto x = aligned_floats(layer.channels * static_cast<std::size_t>(layer.height * layer.width));
    cpu::AlignedVector<float> y(layer.rows * lanes);
    const cpu::ColumnInput input = cpu::ColumnInput::windowed(x.data(), w);
    const double flop = 2.0 * static_cast<double>(layer.rows) * static_cast<double>(k) * static_cast<double>(lanes);
    {
      const cpu::DenseColumns dense(random_floats(layer.rows * k), layer.rows, k, lanes, isa_);
      print(layer.name(), "dense column", best([&] { dense.run(input, lanes, y.data(), lanes, {}); }), flop, flop);
      const auto peer =
          layer.height == 1 ? onednn_product(layer.rows, k, lanes) : onednn_convolution(layer.rows, layer.channels, w);
      print("", "oneDNN, dense", best(peer), flop, flop);
    }
    for (const double zeros : kZeros) {
      const cpu::Csr csr = cpu::Csr::from_dense(random_floats(layer.rows * k, zeros), layer.rows, k);
      const double real = 2.0 * static_cast<double>(csr.nnz()) * static_cast<double>(lanes);
      for (const auto& variant : cpu::SparseColumns::candidates(csr.zeros(), csr.columns, w, isa_)) {
        const cpu::SparseColumns sparse(csr, variant, isa_, &w);
        print("",
              fmt::format("{:.0f}% zeros, {} vectors, k {}{}", 100 * zeros, variant.vectors, variant.k_tile,
                          variant.strip ? (variant.alignment != 0 ? fmt::format(", strips aligned to {}", variant.alignment) : ", strips") : ""),
              best([&] { sparse.run(input, lanes, y.data(), lanes, {}); }), real, flop);
      }
      if (isa_ == cpu::Isa::avx512 && layer.kernel == 1) prototype(csr, lanes, zeros);
      if (layer.kernel == 1) blocks(layer, input, lanes, zeros, y.data());
    }
  }

  /// The same share of zeros in groups of four rows, on the kernel for that and on the general one.
  void blocks(const Layer& layer, const cpu::ColumnInput& input, std::size_t lanes, double zeros, float* y) const {
    const std::size_t k = layer.channels;
    std::vector<float> weights = random_floats(layer.rows * k);
    const std::vector<float> kept = random_floats((layer.rows + 3) / 4 * k, zeros);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (kept[i / k / 4 * k + i % k] == 0) weights[i] = 0;
    }
    const cpu::Csr csr = cpu::Csr::from_dense(weights, layer.rows, k);
    const double real = 2.0 * static_cast<double>(csr.nnz()) * static_cast<double>(lanes);
    const double flop = 2.0 * static_cast<double>(weights.size()) * static_cast<double>(lanes);
    const cpu::SparseBlocks sparse(csr, isa_);
    print("", fmt::format("{:.0f}% zeros, blocks of 4 rows", 100 * zeros),
          best([&] { sparse.run(input, 0, lanes, y, lanes, {}); }), real, flop);
    const auto variant = cpu::SparseColumns::candidates(csr.zeros(), k, 1, lanes, isa_).front();
    const cpu::SparseColumns general(csr, variant, isa_);
    print("", "  the same weights, general kernel", best([&] { general.run(input, lanes, y, lanes, {}); }), real, flop);
  }

  void prototype(const cpu::Csr& csr, std::size_t lanes, double zeros) const {
    const PrototypeColumns prototype(csr, 128);
    const std::size_t columns = (lanes + 63) / 64;
    const auto x = aligned_floats(columns * csr.columns * 64);
    cpu::AlignedVector<float> y(columns * csr.rows * 64);
    const double time = best([&] {
      for (std::size_t c = 0; c < columns; ++c) prototype.run(&x[c * csr.columns * 64], &y[c * csr.rows * 64]);
    });
    const double useful = static_cast<double>(lanes);
    print("", fmt::format("{:.0f}% zeros, prototype", 100 * zeros), time, 2.0 * static_cast<double>(csr.nnz()) * useful,
          2.0 * static_cast<double>(csr.rows) * static_cast<double>(csr.columns) * useful);
  }

  static cpu::Window tokens(const Layer& layer) {
    cpu::Window w = layer.window();
    w.kernel_height = w.kernel_width = 1;
    return w;
  }

  double seconds_;
  std::string filter_;
  cpu::Isa isa_;
  double peak_ = 0;
};

}  // namespace
}  // namespace sparse_run::bench

int main(int argc, char** argv) {
  using namespace sparse_run;
  omp_set_num_threads(1);  // oneDNN's
  CLI::App app{"One-thread benchmark of the CPU column kernels; SPARSE_RUN_ISA chooses the instruction set"};
  double seconds = 0.1;
  std::string filter;
  app.add_option("--seconds", seconds, "Time per row");
  app.add_option("--filter", filter, "Only shapes whose name contains this");
  CLI11_PARSE(app, argc, argv);
  try {
    const bench::Bench bench(seconds, filter, cpu::active_isa());
    bench.layers();
    bench.depthwise();
    bench.few_lanes();
  } catch (const Error& error) {
    fmt::print(stderr, "kernel-bench: {}\n", error.what());
    return exit_code(error.kind());
  }
}
