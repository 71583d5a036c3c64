// Timing products on the CPU and on a GPU.
#include "bench/gpu/crossover.hpp"

#include <tbb/task_arena.h>

#include <algorithm>
#include <map>
#include <random>
#include <tuple>

#include "base/clock.hpp"

namespace sparse_run {

namespace {

constexpr int kFewestRuns = 3;
constexpr int kMostRuns = 200;

/// A graph of one MatMul with a constant that has zeros at random places.
std::shared_ptr<const Graph> graph_of(const ProductCase& product, std::mt19937& random) {
  std::uniform_real_distribution<float> value(-1, 1);
  std::bernoulli_distribution is_zero(product.zeros);
  Tensor weights = Tensor::allocate(DType::f32, {product.depth, product.width});
  for (float& weight : weights.data<float>()) weight = is_zero(random) ? 0.0f : value(random);
  GraphBuilder builder("crossover");
  Node node;
  node.name = "product";
  node.op = "MatMul";
  node.opset = 13;
  node.inputs = {builder.add_input("x", Type::tensor(DType::f32, Shape{product.rows, product.depth})),
                 builder.add_constant("w", weights)};
  const ValueId y = builder.add_value("y", Type::tensor(DType::f32, Shape{product.rows, product.width}));
  node.outputs = {y};
  builder.add_node(std::move(node));
  builder.add_output(y);
  return std::make_shared<const Graph>(std::move(builder).build());
}

double median_ms(const std::function<void()>& run, double seconds) {
  run();  // caches, kernels that are loaded late
  run();
  std::vector<double> samples;
  const auto start = Clock::now();
  while (samples.size() < kFewestRuns || (samples.size() < kMostRuns && seconds_since(start) < seconds)) {
    const std::int64_t begin = now_ns();
    run();
    samples.push_back(static_cast<double>(now_ns() - begin) / 1e6);
  }
  std::nth_element(samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2), samples.end());
  return samples[samples.size() / 2];
}

Partition whole(const std::shared_ptr<const Graph>& graph) {
  return {graph, {0}, {graph->inputs()[0]}, {graph->outputs()[0]}};
}

Tensor operand_of(const ProductCase& product, std::mt19937& random) {
  std::uniform_real_distribution<float> value(-1, 1);
  Tensor x = Tensor::allocate(DType::f32, {product.rows, product.depth});
  for (float& element : x.data<float>()) element = value(random);
  return x;
}

CrossoverRow on_cpu(const ProductCase& product, const std::shared_ptr<const Graph>& graph, Device& cpu, const Tensor& x,
                    double seconds) {
  tbb::task_arena arena;
  const auto executable = cpu.compile(whole(graph), {arena.max_concurrency()});
  const std::vector<Value> in{x};
  std::vector<Value> out{Tensor::allocate(DType::f32, {product.rows, product.width})};
  RunState state;
  const double ms = median_ms([&] { arena.execute([&] { executable->run(in, out, state); }); }, seconds);
  return {product, cpu.name(), Precision::f32, executable->layers()[0].kernel, ms, ms, {}};
}

CrossoverRow on_gpu(const ProductCase& product, const std::shared_ptr<const Graph>& graph, Device& gpu,
                    const std::string& kernel, Precision precision, const Tensor& x, double seconds) {
  CrossoverRow row{product, gpu.name(), precision, kernel, 0, 0, {}};
  std::unique_ptr<Executable> executable;
  try {
    CompileOptions options;
    options.kernels[0] = kernel;
    executable = gpu.compile(whole(graph), options);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::usage) throw;
    row.refusal = error.what();
    return row;
  }
  DeviceMemory& memory = *gpu.memory();
  const Shape shape{product.rows, product.width};
  const auto staged_in = memory.allocate_staging(x.bytes());
  const Tensor from = Tensor::view(DType::f32, x.shape(), staged_in.get(), staged_in);
  std::copy(x.data<float>().begin(), x.data<float>().end(), static_cast<float*>(staged_in.get()));
  const auto out_bytes = static_cast<std::size_t>(element_count(shape)) * sizeof(float);
  const auto staged_out = memory.allocate_staging(out_bytes);
  const Tensor to = Tensor::view(DType::f32, shape, staged_out.get(), staged_out);
  const Tensor in = memory.allocate(DType::f32, x.shape());
  const Tensor out = memory.allocate(DType::f32, shape);
  RunState state;
  memory.copy_in({{from, in}}, {})->wait();
  row.compute_ms = median_ms([&] { executable->submit({in}, {out}, state, {})->wait(); }, seconds);
  row.with_copies_ms = median_ms(
      [&] {
        const EventPtr arrived = memory.copy_in({{from, in}}, {});
        memory.copy_out({{out, to}}, {executable->submit({in}, {out}, state, {arrived})})->wait();
      },
      seconds);
  return row;
}

}  // namespace

std::vector<CrossoverRow> measure_crossovers(const std::vector<ProductCase>& cases, Device& cpu,
                                             const OpenGpu& open_gpu, const std::vector<Precision>& precisions,
                                             double seconds) {
  std::map<Precision, std::shared_ptr<Device>> gpus;
  for (const Precision precision : precisions) gpus[precision] = open_gpu(precision);
  std::vector<CrossoverRow> rows;
  std::mt19937 random(1);
  for (const ProductCase& product : cases) {
    const auto graph = graph_of(product, random);
    const Tensor x = operand_of(product, random);
    rows.push_back(on_cpu(product, graph, cpu, x, seconds));
    for (const Precision precision : precisions) {
      std::vector<std::string> kernels{fmt::format("gpu.matmul.cublaslt.{}", to_string(precision))};
      if (precision == Precision::f32) kernels.insert(kernels.end(), {"gpu.spmm.bitmap.f32", "gpu.spmm.cusparse.f32"});
      for (const std::string& kernel : kernels) {
        rows.push_back(on_gpu(product, graph, *gpus[precision], kernel, precision, x, seconds));
      }
    }
  }
  return rows;
}

std::vector<Crossover> crossovers_of(const std::vector<CrossoverRow>& rows) {
  using Size = std::tuple<std::int64_t, std::int64_t, std::int64_t>;
  struct Times {
    std::map<Precision, double> dense;
    double sparse = -1;
  };
  std::map<Size, std::map<double, Times>> by_size;
  for (const CrossoverRow& row : rows) {
    if (!row.refusal.empty() || row.device == "cpu") continue;
    Times& times = by_size[{row.product.rows, row.product.depth, row.product.width}][row.product.zeros];
    if (row.kernel.find("spmm") == std::string::npos) {
      times.dense[row.precision] = row.compute_ms;
    } else if (times.sparse < 0 || row.compute_ms < times.sparse) {
      times.sparse = row.compute_ms;
    }
  }
  std::vector<Crossover> found;
  for (const auto& [size, by_zeros] : by_size) {
    for (const auto& [precision, unused] : by_zeros.begin()->second.dense) {
      double from = 1;
      for (auto at = by_zeros.rbegin(); at != by_zeros.rend(); ++at) {  // the sparsest first
        const Times& times = at->second;
        const auto dense = times.dense.find(precision);
        if (dense == times.dense.end() || times.sparse < 0 || times.sparse >= dense->second) break;
        from = at->first;
      }
      found.push_back({{std::get<0>(size), std::get<1>(size), std::get<2>(size), 0}, precision, from});
    }
  }
  return found;
}

}  // namespace sparse_run
