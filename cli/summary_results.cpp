// Describing outputs on stdout.
#include "cli/summary_results.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace sparse_run::cli {

namespace {

constexpr std::int64_t kFirstValues = 6;
constexpr std::size_t kBestClasses = 5;

/// Calls visit(double) for every element of an arithmetic tensor.
template <class Visit>
bool for_each_number(const Tensor& tensor, Visit&& visit) {
  return visit_arithmetic(tensor.dtype(), [&]<class T>() {
    for (const T& value : tensor.data<T>()) visit(static_cast<double>(static_cast<Compute<T>>(value)));
  });
}

std::string first_values_of(const Tensor& tensor) {
  std::vector<std::string> words;
  const bool more = tensor.size() > kFirstValues;
  if (tensor.dtype() == DType::string) {
    for (const std::string& word : tensor.data<std::string>()) {
      if (words.size() == kFirstValues) break;
      words.push_back('\'' + word + '\'');
    }
  } else {
    const Tensor head = Tensor::view(tensor.dtype(), {std::min(tensor.size(), kFirstValues)},
                                     const_cast<void*>(tensor.raw()), tensor.owner());
    for_each_number(head, [&](double value) { words.push_back(fmt::format("{:.6g}", value)); });
  }
  return fmt::format("{}{}", fmt::join(words, " "), more ? " ..." : "");
}

/// "3 (9.87), 8 (1.25)": the largest of a row of scores.
std::string best_classes_of(const Tensor& tensor) {
  if (tensor.rank() != 2 || tensor.shape()[0] < 1 || tensor.shape()[1] < 5 || !is_float(tensor.dtype())) return {};
  std::vector<double> row;
  const Tensor first =
      Tensor::view(tensor.dtype(), {tensor.shape()[1]}, const_cast<void*>(tensor.raw()), tensor.owner());
  for_each_number(first, [&](double value) { row.push_back(value); });
  if (std::any_of(row.begin(), row.end(), [](double x) { return std::isnan(x); })) return {};
  std::vector<std::size_t> order(row.size());
  std::iota(order.begin(), order.end(), 0);
  const std::size_t best = std::min(kBestClasses, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(best), order.end(),
                    [&](std::size_t a, std::size_t b) { return row[a] != row[b] ? row[a] > row[b] : a < b; });
  std::vector<std::string> words;
  for (std::size_t i = 0; i < best; ++i) words.push_back(fmt::format("{} ({:.4g})", order[i], row[order[i]]));
  return fmt::format("{}", fmt::join(words, ", "));
}

}  // namespace

SummaryResults::SummaryResults(const std::vector<Port>& outputs) {
  for (const Port& port : outputs) {
    entries_.emplace_back();
    entries_.back().name = port.name;
  }
}

void SummaryResults::take(std::int64_t first, std::int64_t count, std::int64_t total, std::span<const Value> outputs) {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    const Value& output = outputs[i];
    if (first == 0) entry.type = Type::of(output);
    if (!output.is_tensor()) continue;
    const Tensor& tensor = output.tensor;
    if (count != total && tensor.rank() > 0) entry.rows += tensor.shape().front();
    if (first == 0) {
      entry.first_values = first_values_of(tensor);
      entry.best_classes = best_classes_of(tensor);
    }
    for_each_number(tensor, [&](double value) {
      if (std::isnan(value)) {
        ++entry.not_numbers;
        return;
      }
      entry.min = entry.counted == 0 ? value : std::min(entry.min, value);
      entry.max = entry.counted == 0 ? value : std::max(entry.max, value);
      entry.sum += value;
      ++entry.counted;
    });
  }
}

void SummaryResults::finish() {
  for (Entry& entry : entries_) {
    if (entry.rows > 0) entry.type.shape->front() = entry.rows;
    fmt::print(stdout, "{}  {}", entry.name, to_string(entry.type));
    if (entry.counted > 0) {
      fmt::print(stdout, "  min {:.6g}  mean {:.6g}  max {:.6g}", entry.min,
                 entry.sum / static_cast<double>(entry.counted), entry.max);
    }
    if (entry.not_numbers > 0) fmt::print(stdout, "  NaN {}", entry.not_numbers);
    fmt::print(stdout, "\n");
    if (!entry.first_values.empty()) fmt::print(stdout, "  first values: {}\n", entry.first_values);
    if (!entry.best_classes.empty()) fmt::print(stdout, "  best of row 0: {}\n", entry.best_classes);
  }
}

}  // namespace sparse_run::cli
