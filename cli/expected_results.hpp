// --expect: outputs against the members of an .npz file.
#pragma once

#include <vector>

#include "cli/comparison.hpp"
#include "cli/results.hpp"
#include "runtime/session.hpp"

namespace sparse_run::cli {

/// Reads the expected arrays at construction: Error(input) when the file cannot be read or has a member that is no
/// output. Outputs without a member are not compared.
class ExpectedResults final : public ResultSink {
 public:
  ExpectedResults(const std::string& file, const std::vector<Port>& outputs, Tolerance tolerance,
                  std::uint64_t memory_limit);
  void take(std::int64_t first, std::int64_t count, std::int64_t total, std::span<const Value> outputs) override;
  void finish() override;

  const std::vector<Comparison>& comparisons() const noexcept { return comparisons_; }

 private:
  std::vector<Comparison> comparisons_;
  std::vector<std::size_t> output_of_;  ///< parallel to comparisons_
  std::vector<Tensor> expected_;        ///< parallel to comparisons_
};

/// Prints one line per comparison on `stdout` unless `quiet`; Error(mismatch) when one failed.
void report_comparisons(const std::vector<Comparison>& comparisons, bool quiet);

}  // namespace sparse_run::cli
