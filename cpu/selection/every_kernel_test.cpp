// Whatever kernel is chosen, results are those of the reference kernel: random products and convolutions, weights as
// dense tensors and as COO, of any share of zeros.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <set>

#include "cpu/column/column_test_support.hpp"
#include "cpu/kernel_table.hpp"
#include "cpu/selection/compile_one_test.hpp"

namespace sparse_run::cpu {
namespace {

using reference::random_inputs;
using reference::resolved;

Tensor weights_of(std::mt19937& random, Shape shape, double zeros) {
  Tensor tensor = Tensor::allocate(DType::f32, std::move(shape));
  const auto values = random_floats(random, static_cast<std::size_t>(tensor.size()), zeros);
  std::copy(values.begin(), values.end(), tensor.data<float>().begin());
  return tensor;
}

SparseTensor to_coo(const Tensor& dense, bool coordinates) {
  std::vector<float> values;
  std::vector<std::int64_t> indices;
  const auto elements = dense.data<float>();
  for (std::size_t i = 0; i < elements.size(); ++i) {
    if (elements[i] == 0) continue;
    values.push_back(elements[i]);
    if (!coordinates) {
      indices.push_back(static_cast<std::int64_t>(i));
      continue;
    }
    auto rest = static_cast<std::int64_t>(i);
    std::vector<std::int64_t> place(dense.rank());
    for (std::size_t d = dense.rank(); d-- > 0;) {
      place[d] = rest % dense.shape()[d];
      rest /= dense.shape()[d];
    }
    indices.insert(indices.end(), place.begin(), place.end());
  }
  const auto count = static_cast<std::int64_t>(values.size());
  const Shape shape = coordinates ? Shape{count, static_cast<std::int64_t>(dense.rank())} : Shape{count};
  return {dense.shape(), Tensor::of<float>({count}, values), Tensor::of<std::int64_t>(shape, indices)};
}

/// A weight as a dense constant or, at random, in one of the two COO forms.
ValueId weight(GraphSketch& s, std::mt19937& random, const Tensor& tensor) {
  const std::size_t form = uniform(random, 0, 2);
  if (form == 0 || tensor.size() == 0) return s.constant(tensor);
  return s.builder().add_constant("", to_coo(tensor, form == 2));
}

void expect_same(const Tensor& actual, const Tensor& expected, double tolerance) {
  ASSERT_EQ(actual.shape(), expected.shape());
  for (std::size_t i = 0; i < static_cast<std::size_t>(expected.size()); ++i) {
    const float a = actual.data<float>()[i], e = expected.data<float>()[i];
    if (std::isnan(e) || std::isinf(e)) {
      ASSERT_TRUE(std::isnan(e) ? std::isnan(a) : a == e) << i << ": " << a << " for " << e;
    } else {
      ASSERT_NEAR(a, e, tolerance * (1 + std::abs(e))) << i;
    }
  }
}

/// Runs the one node of `graph` on every kernel that takes it; their names.
std::set<std::string> check_every_kernel(const Graph& graph, Device& device, unsigned seed, double tolerance = 1e-4) {
  const auto inputs = random_inputs(graph, seed);
  const auto expected = run_whole(*compile_whole(graph, device, {{0, "cpu.reference"}}), graph, inputs);
  std::set<std::string> ran;
  for (const KernelEntry& entry : KernelTable::standard().candidates(graph.node(0))) {
    std::unique_ptr<Executable> executable;
    try {
      executable = compile_whole(graph, device, {{0, std::string(entry.name)}});
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage) << error.what();
      EXPECT_THAT(error.what(), testing::HasSubstr(std::string(entry.name)));
      continue;
    }
    SCOPED_TRACE(executable->layers()[0].kernel);
    expect_same(run_whole(*executable, graph, inputs)[0].tensor, expected[0].tensor, tolerance);
    ran.insert(std::string(entry.name));
  }
  return ran;
}

constexpr double kShares[] = {0, 0.3, 0.5, 0.8, 0.95, 1};

TEST(EveryKernel, products_with_constants_on_either_side_equal_the_reference) {
  std::mt19937 random = seeded_random();
  const auto device = make_cpu_device(discover_machine());
  std::set<std::string> ran;
  for (int round = 0; round < 200; ++round) {
    const auto m = static_cast<std::int64_t>(pick(random, {0, 1, 2, 3, 5, 8, 9, 16, 17, 33}));
    const auto k = static_cast<std::int64_t>(pick(random, {1, 2, 7, 64, 130}));
    const auto n = static_cast<std::int64_t>(pick(random, {1, 3, 16, 31, 70}));
    const double zeros = kShares[uniform(random, 0, 5)];
    const bool gemm = uniform(random, 0, 1) == 0, left = uniform(random, 0, 2) == 0,
               transposed = uniform(random, 0, 1) == 0;
    SCOPED_TRACE(
        fmt::format("{}x{}x{} zeros {} gemm {} left {} transposed {}", m, k, n, zeros, gemm, left, transposed));
    GraphSketch s;
    std::vector<ValueId> operands;
    GraphSketch::Attributes attributes;
    if (left) {
      if (m == 0) continue;
      const bool flip = gemm && transposed;
      operands = {weight(s, random, weights_of(random, flip ? Shape{k, m} : Shape{m, k}, zeros)), s.input("x", {k, n})};
      if (flip) attributes["transA"] = std::int64_t{1};
      if (gemm && round % 2 == 0) operands.push_back(s.input("c", {m, n}));
    } else {
      const bool flip = gemm && transposed;
      const Shape x = !gemm && m > 1 && m % 2 == 0 ? Shape{2, m / 2, k} : Shape{m, k};
      operands = {s.input("x", x), weight(s, random, weights_of(random, flip ? Shape{n, k} : Shape{k, n}, zeros))};
      if (flip) attributes["transB"] = std::int64_t{1};
      if (gemm && round % 2 == 0) operands.push_back(s.constant(weights_of(random, {n}, 0)));
    }
    const Graph graph = resolved(s.build(s.op(gemm ? "Gemm" : "MatMul", operands, attributes)));
    ASSERT_EQ(graph.nodes().size(), 1u);
    ran.merge(check_every_kernel(graph, *device, random()));
    if (HasFatalFailure()) return;
  }
  for (const char* name :
       {"cpu.matmul.sparse_rows.f32", "cpu.matmul.bitmap.f32", "cpu.matmul.sparse_column.f32",
        "cpu.matmul.sparse_lanes.f32", "cpu.matmul.sparse_left_vector.f32", "cpu.matmul.onednn.f32"}) {
    EXPECT_TRUE(ran.contains(name)) << name << " never ran";
  }
}

TEST(EveryKernel, convolutions_equal_the_reference) {
  std::mt19937 random = seeded_random();
  const auto device = make_cpu_device(discover_machine());
  std::set<std::string> ran;
  for (int round = 0; round < 150; ++round) {
    const auto groups = static_cast<std::int64_t>(pick(random, {1, 1, 1, 2, 3}));
    const std::int64_t in = groups * static_cast<std::int64_t>(pick(random, {1, 2, 5, 16}));
    const std::int64_t out = groups * static_cast<std::int64_t>(pick(random, {1, 2, 7, 20}));
    const auto kernel = static_cast<std::int64_t>(pick(random, {1, 2, 3}));
    const auto stride = static_cast<std::int64_t>(pick(random, {1, 1, 2}));
    const auto dilation = static_cast<std::int64_t>(pick(random, {1, 1, 2}));
    const auto pad = static_cast<std::int64_t>(uniform(random, 0, 2));
    const auto images = static_cast<std::int64_t>(pick(random, {0, 1, 1, 3}));
    const auto size = static_cast<std::int64_t>(uniform(random, 5, 19));
    const double zeros = kShares[uniform(random, 0, 5)];
    SCOPED_TRACE(fmt::format("{}x{}x{}² -> {}, kernel {} stride {} dilation {} pad {} groups {} zeros {}", images, in,
                             size, out, kernel, stride, dilation, pad, groups, zeros));
    using Integers = std::vector<std::int64_t>;
    GraphSketch s;
    std::vector<ValueId> operands{s.input("x", {images, in, size, size}),
                                  weight(s, random, weights_of(random, {out, in / groups, kernel, kernel}, zeros))};
    if (round % 2 == 0) operands.push_back(s.constant(weights_of(random, {out}, 0)));
    const Graph graph = resolved(s.build(s.op("Conv", operands,
                                              {{"group", groups},
                                               {"strides", Integers{stride, stride}},
                                               {"dilations", Integers{dilation, dilation}},
                                               {"pads", Integers{pad, pad, pad, pad}}})));
    ASSERT_EQ(graph.nodes().size(), 1u);
    ran.merge(check_every_kernel(graph, *device, random()));
    if (HasFatalFailure()) return;
  }
  for (const char* name : {"cpu.conv.sparse_column.f32", "cpu.conv.column.f32", "cpu.conv.depthwise.f32"}) {
    EXPECT_TRUE(ran.contains(name)) << name << " never ran";
  }
}

/// NaN, infinities and denormals among the weights of a 90% sparse matrix.
TEST(EveryKernel, unusual_weights_are_entries_like_any_other) {
  std::mt19937 random = seeded_random();
  const auto device = make_cpu_device(discover_machine());
  constexpr float kUnusual[] = {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                                -std::numeric_limits<float>::infinity(), std::numeric_limits<float>::denorm_min()};
  for (const float unusual : kUnusual) {
    for (const std::int64_t m : {1, 4, 20}) {
      Tensor w = weights_of(random, {60, 40}, 0.9);
      for (int i = 0; i < 5; ++i) w.data<float>()[uniform(random, 0, 2399)] = unusual;
      GraphSketch s;
      const Graph graph = resolved(s.build(s.op("MatMul", {s.input("x", {m, 60}), weight(s, random, w)})));
      SCOPED_TRACE(fmt::format("{} rows, {}", m, unusual));
      EXPECT_GE(check_every_kernel(graph, *device, random()).size(), 2u);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(EveryKernel, weights_pruned_in_groups_of_four_rows_run_on_kernels_for_them) {
  std::mt19937 random = seeded_random();
  const auto device = make_cpu_device(discover_machine());
  for (int round = 0; round < 12; ++round) {
    const std::int64_t rows = pick(random, {8, 70, 130}), k = pick(random, {40, 300}),
                       lanes = pick(random, {12, 33, 128});
    const bool transposed = round % 2 == 0, left = round % 3 == 0;
    Tensor w = weights_of(random, transposed ? Shape{k, rows} : Shape{rows, k}, 0);
    for (std::int64_t group = 0; group < rows; group += 4) {
      for (std::int64_t column = 0; column < k; ++column) {
        if (random() % 5 == 0) continue;
        for (std::int64_t row = group; row < std::min(rows, group + 4); ++row) {
          w.data<float>()[static_cast<std::size_t>(transposed ? column * rows + row : row * k + column)] = 0;
        }
      }
    }
    GraphSketch s;
    ValueId y = kNoValue;
    if (left) {
      GraphSketch::Attributes attributes{{"activation", std::string("Gelu")}};
      if (transposed) attributes["transA"] = std::int64_t{1};
      y = s.op("FusedMatMul",
               {s.constant(w), s.input("x", {1, k, lanes}), s.constant(weights_of(random, {rows, 1}, 0)),
                s.input("r", {1, rows, lanes})},
               attributes, kInternalDomain);
    } else {
      y = s.op("Gemm", {s.input("x", {lanes, k}), weight(s, random, w), s.constant(weights_of(random, {rows}, 0))},
               {{"transB", std::int64_t{transposed ? 0 : 1}}});
    }
    const auto ran = check_every_kernel(resolved(s.build(y)), *device, random());
    EXPECT_TRUE(ran.contains(left ? "cpu.matmul.block_lanes.f32" : "cpu.matmul.block_column.f32"))
        << rows << "x" << k << " times " << lanes;
  }
}

/// Exactly `kept` entries in every group of `of` elements along dimension `axis` of a matrix.
Tensor patterned(std::mt19937& random, Shape shape, std::size_t axis, std::int64_t kept, std::int64_t of) {
  Tensor tensor = weights_of(random, shape, 0);
  for (std::int64_t row = 0; row < shape[0]; ++row) {
    for (std::int64_t column = 0; column < shape[1]; ++column) {
      const std::int64_t along = axis == 0 ? row : column, across = axis == 0 ? column : row;
      const std::int64_t turned = (along + across * 5 + along / of * 3) % of;
      if (turned >= kept) tensor.data<float>()[static_cast<std::size_t>(row * shape[1] + column)] = 0;
    }
  }
  return tensor;
}

TEST(EveryKernel, weights_of_pattern_n_of_m_run_on_the_kernel_for_them) {
  std::mt19937 random = seeded_random();
  const auto device = make_cpu_device(discover_machine());
  for (int round = 0; round < 24; ++round) {
    const std::int64_t k = 8 * static_cast<std::int64_t>(uniform(random, 1, 12));
    const auto n = static_cast<std::int64_t>(pick(random, {1, 15, 16, 70}));
    const auto m = static_cast<std::int64_t>(pick(random, {1, 2, 7, 16, 31}));
    const auto of = static_cast<std::int64_t>(pick(random, {4, 8}));
    const auto kept = static_cast<std::int64_t>(uniform(random, 1, static_cast<std::size_t>(of) / 2));
    const bool transposed = round % 2 == 0;
    GraphSketch s;
    const Tensor w = transposed ? patterned(random, {n, k}, 1, kept, of) : patterned(random, {k, n}, 0, kept, of);
    const Graph graph = resolved(
        s.build(s.op("Gemm", {s.input("x", {m, k}), weight(s, random, w), s.constant(weights_of(random, {n}, 0))},
                     {{"transB", std::int64_t{transposed ? 1 : 0}}})));
    EXPECT_TRUE(check_every_kernel(graph, *device, random()).contains("cpu.matmul.n_of_m.f32"))
        << kept << ":" << of << ", " << m << "x" << k << "x" << n;
  }
}

/// A single row behind a ReLU: half of its activations are zero, whatever the weights are.
TEST(EveryKernel, weights_of_zero_activations_are_skipped_even_where_none_is_zero) {
  std::mt19937 random = seeded_random();
  const auto device = make_cpu_device(discover_machine());
  for (const double zeros : {0.0, 0.5, 0.9}) {
    GraphSketch s;
    const ValueId x = s.op("Relu", {s.input("x", {1, 300})});
    const Graph graph = resolved(s.build(s.op("MatMul", {x, s.constant(weights_of(random, {300, 77}, zeros))})));
    const auto inputs = random_inputs(graph, random());
    const auto expected = run_whole(*compile_whole(graph, *device, {{1, "cpu.reference"}}), graph, inputs);
    const auto executable = compile_whole(graph, *device, {{1, "cpu.matmul.bitmap.f32"}});
    expect_same(run_whole(*executable, graph, inputs)[0].tensor, expected[0].tensor, 1e-4);
  }
}

TEST(EveryKernel, empty_rows_and_columns_give_the_bias) {
  std::mt19937 random = seeded_random();
  const auto device = make_cpu_device(discover_machine());
  for (const std::int64_t m : {1, 16}) {
    Tensor w = weights_of(random, {50, 30}, 0.8);
    for (std::int64_t row = 0; row < 50; ++row) {
      for (std::int64_t column = 0; column < 30; ++column) {
        if (row % 3 == 0 || column % 4 == 0) w.data<float>()[static_cast<std::size_t>(row * 30 + column)] = 0;
      }
    }
    GraphSketch s;
    const Graph graph = resolved(
        s.build(s.op("Gemm", {s.input("x", {m, 50}), weight(s, random, w), s.constant(weights_of(random, {30}, 0))})));
    EXPECT_GE(check_every_kernel(graph, *device, random()).size(), 2u);
  }
}

}  // namespace
}  // namespace sparse_run::cpu
