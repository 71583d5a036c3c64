// --output: all outputs by name in one .npz file.
#pragma once

#include <optional>
#include <vector>

#include "cli/npz_writer.hpp"
#include "cli/results.hpp"
#include "runtime/session.hpp"

namespace sparse_run::cli {

/// Streams the outputs of a job: the first request tells the shapes. A sequence becomes members NAME/0, NAME/1 …, an
/// optional its content or nothing. Errors are Error(input) and name the file or output.
class NpzResults final : public ResultSink {
 public:
  NpzResults(std::string file, const std::vector<Port>& outputs);
  void take(std::int64_t first, std::int64_t count, std::int64_t total, std::span<const Value> outputs) override;
  void finish() override;

 private:
  void declare(std::int64_t count, std::int64_t total, std::span<const Value> outputs);
  void append(std::int64_t count, std::span<const Value> outputs);

  std::string file_;
  std::vector<std::string> names_;
  NpzWriter writer_;
  std::vector<std::int64_t> rows_per_row_;  ///< output rows per input row
  std::vector<Type> first_types_;
};

}  // namespace sparse_run::cli
