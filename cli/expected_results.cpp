// Comparing results with a file while they arrive.
#include "cli/expected_results.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/error.hpp"
#include "cli/npz_reader.hpp"

namespace sparse_run::cli {

namespace {

std::size_t bytes_per_element(const Tensor& tensor) {
  return tensor.dtype() == DType::string ? sizeof(std::string) : element_size(tensor.dtype());
}

}  // namespace

ExpectedResults::ExpectedResults(const std::string& file, const std::vector<Port>& outputs, Tolerance tolerance,
                                 std::uint64_t memory_limit) {
  with_context(
      [&] { return file; },
      [&] {
        NpzReader reader(file);
        for (const std::string& name : reader.names()) {
          const auto port = std::find_if(outputs.begin(), outputs.end(), [&](const Port& p) { return p.name == name; });
          if (port == outputs.end()) {
            std::string known;
            for (const Port& output : outputs) known += (known.empty() ? "" : ", ") + output.name;
            throw_error(ErrorKind::input, "member '{}' is no output of the model; its outputs are {}", name, known);
          }
          comparisons_.emplace_back(name, tolerance);
          output_of_.push_back(static_cast<std::size_t>(port - outputs.begin()));
          expected_.push_back(reader.read(name, port->type.dtype, memory_limit));
        }
        if (comparisons_.empty()) throw_error(ErrorKind::input, "has no members, so there is nothing to compare");
      });
}

void ExpectedResults::take(std::int64_t first, std::int64_t count, std::int64_t total, std::span<const Value> outputs) {
  for (std::size_t i = 0; i < comparisons_.size(); ++i) {
    const Value& actual = outputs[output_of_[i]];
    const Tensor& whole = expected_[i];
    if (count == total) {
      comparisons_[i].add(actual, whole, true);
      continue;
    }
    // A piece of a job: `rows` rows of the output belong to each input row.
    if (!actual.is_tensor() || actual.tensor.rank() == 0 || actual.tensor.shape().front() % count != 0) {
      comparisons_[i].fail("its requests cannot be joined along the batch; run without splitting");
      continue;
    }
    const std::int64_t rows = actual.tensor.shape().front() / count;
    if (whole.rank() == 0 || whole.shape().front() != rows * total) {
      comparisons_[i].fail(fmt::format("it has {} rows, expected shape {}", rows * total, to_string(whole.shape())));
      continue;
    }
    Shape shape = whole.shape();
    shape.front() = rows * count;
    const std::size_t row_bytes =
        static_cast<std::size_t>(whole.size() / whole.shape().front()) * bytes_per_element(whole);
    auto* data =
        static_cast<char*>(const_cast<void*>(whole.raw())) + static_cast<std::size_t>(rows * first) * row_bytes;
    comparisons_[i].add(actual, Tensor::view(whole.dtype(), std::move(shape), data, whole.owner()), true, rows * first);
  }
}

void ExpectedResults::finish() {}

void report_comparisons(const std::vector<Comparison>& comparisons, bool quiet) {
  std::size_t failed = 0;
  for (const Comparison& comparison : comparisons) {
    if (!quiet) fmt::print(stdout, "{}\n", comparison.line());
    failed += comparison.passed() ? 0 : 1;
  }
  if (failed > 0) {
    const auto first = std::find_if(comparisons.begin(), comparisons.end(), [](const auto& c) { return !c.passed(); });
    throw_error(ErrorKind::mismatch, "{} of {} outputs differ from what is expected; {}", failed, comparisons.size(),
                first->line());
  }
}

}  // namespace sparse_run::cli
