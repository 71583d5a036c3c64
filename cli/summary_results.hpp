// A short description of outputs, when nobody asked for them in a file.
#pragma once

#include <string>
#include <vector>

#include "cli/results.hpp"
#include "runtime/session.hpp"

namespace sparse_run::cli {

/// Prints, per output: name, type, smallest, mean and largest value, the first values, and the five best classes of
/// the first row where an output looks like class scores.
class SummaryResults final : public ResultSink {
 public:
  explicit SummaryResults(const std::vector<Port>& outputs);
  void take(std::int64_t first, std::int64_t count, std::int64_t total, std::span<const Value> outputs) override;
  void finish() override;

 private:
  struct Entry {
    std::string name;
    Type type;
    std::int64_t rows = 0;
    double min = 0, max = 0, sum = 0;
    std::int64_t counted = 0, not_numbers = 0;
    std::string first_values;
    std::string best_classes;
  };
  std::vector<Entry> entries_;
};

}  // namespace sparse_run::cli
