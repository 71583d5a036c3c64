// gpu-crossover: measures products on this machine's CPU and GPU and writes tables and priors as JSON.
#include <CLI/CLI.hpp>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "bench/gpu/crossover.hpp"
#include "cpu/device.hpp"
#include "device/machine.hpp"
#include "gpu/cuda/device.hpp"
#if defined(SPARSE_RUN_REHEARSAL)
#include "tests/cuda/host/host_cuda.hpp"
#endif

namespace {

using namespace sparse_run;

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  const std::size_t length = std::strftime(text, sizeof(text), "%Y-%m-%d", &parts);
  return {text, length};
}

nlohmann::json json_of(const CrossoverRow& row) {
  nlohmann::json entry{{"rows", row.product.rows},   {"depth", row.product.depth},
                       {"width", row.product.width}, {"zeros", row.product.zeros},
                       {"device", row.device},       {"precision", to_string(row.precision)},
                       {"kernel", row.kernel}};
  if (!row.refusal.empty()) {
    entry["not_run"] = row.refusal;
  } else {
    entry["compute_ms"] = row.compute_ms;
    entry["with_copies_ms"] = row.with_copies_ms;
  }
  return entry;
}

void print(const std::vector<CrossoverRow>& rows, const std::vector<Crossover>& crossovers) {
  fmt::print("{:>6} {:>6} {:>6} {:>6}  {:<8} {:<28} {:>12} {:>12}\n", "rows", "depth", "width", "zeros", "device",
             "kernel", "ms", "with copies");
  for (const CrossoverRow& row : rows) {
    fmt::print("{:>6} {:>6} {:>6} {:>6.3g}  {:<8} {:<28} ", row.product.rows, row.product.depth, row.product.width,
               row.product.zeros, row.device, row.kernel);
    if (row.refusal.empty()) {
      fmt::print("{:>12.4f} {:>12.4f}\n", row.compute_ms, row.with_copies_ms);
    } else {
      fmt::print("{:>12} ({})\n", "not run", row.refusal);
    }
  }
  for (const Crossover& one : crossovers) {
    fmt::print("rows {}, {} x {}, {}: sparse kernels from {:.3g} zeros on\n", one.product.rows, one.product.depth,
               one.product.width, to_string(one.precision), one.sparse_from);
  }
}

}  // namespace

int main(int argc, char** argv) {
  int gpu = 0;
  double seconds = 0.2;
  bool rehearse = false;
  std::string file;
  std::vector<std::int64_t> rows{1, 8, 64, 512};
  std::vector<std::int64_t> sizes{768, 4096};
  std::vector<double> zeros{0, 0.5, 0.8, 0.9, 0.95, 0.98};
  CLI::App app("Products with sparse weights: by which kernel and on which device they are fastest.");
  app.add_option("--gpu", gpu, "Number of the GPU");
  app.add_option("--seconds", seconds, "Time for each measurement")->check(CLI::PositiveNumber);
  app.add_option("--rows", rows, "Rows of activations")->delimiter(',')->check(CLI::Range(1, 1 << 20));
  app.add_option("--sizes", sizes, "Depths and widths of square weights")
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 14));
  app.add_option("--zeros", zeros, "Shares of zeros")->delimiter(',')->check(CLI::Range(0.0, 1.0));
  app.add_option("--json", file, "Where tables and priors go");
  app.add_flag("--rehearse", rehearse, "Run on the host's stand-in for a GPU: times mean nothing");
  CLI11_PARSE(app, argc, argv);
  try {
    std::vector<ProductCase> cases;
    for (const std::int64_t size : sizes) {
      for (const std::int64_t count : rows) {
        for (const double share : zeros) cases.push_back({count, size, size, share});
      }
    }
    std::string description;
    const OpenGpu open = [&](Precision precision) {
      gpu::cuda::GpuOptions options;
      options.precision = precision;
      options.sparse_from = 0;
      std::shared_ptr<Device> device;
      if (!rehearse) {
        device = gpu::cuda::open_cuda_device(gpu, options);
      } else {
#if defined(SPARSE_RUN_REHEARSAL)
        device = gpu::cuda::open_cuda_device(host_cuda::host_libraries(), host_cuda::add_host_gpu(), options);
#else
        throw Error(ErrorKind::usage, "--rehearse: this program was built without tests");
#endif
      }
      description = device->description();
      return device;
    };
    const auto cpu = cpu::make_cpu_device(discover_machine());
    const std::vector<Precision> precisions{Precision::f32, Precision::tf32, Precision::bf16, Precision::f16};
    const auto measured = measure_crossovers(cases, *cpu, open, precisions, seconds);
    const auto crossovers = crossovers_of(measured);
    print(measured, crossovers);
    if (file.empty()) return 0;
    nlohmann::json report{{"date", today()},
                          {"gpu", description},
                          {"cpu", discover_machine().cpu_model},
                          {"rehearsal", rehearse},
                          {"rows", nlohmann::json::array()},
                          {"priors", nlohmann::json::array()}};
    for (const CrossoverRow& row : measured) report["rows"].push_back(json_of(row));
    for (const Crossover& one : crossovers) {
      report["priors"].push_back({{"rows", one.product.rows},
                                  {"depth", one.product.depth},
                                  {"width", one.product.width},
                                  {"precision", to_string(one.precision)},
                                  {"sparse_from", one.sparse_from}});
    }
    std::ofstream out(file);
    out << report.dump(1) << '\n';
    if (!out.flush()) throw_error(ErrorKind::usage, "--json {}: it cannot be written", file);
    return 0;
  } catch (const Error& error) {
    fmt::print(stderr, "gpu-crossover: {}\n", error.what());
    return exit_code(error.kind());
  }
}
