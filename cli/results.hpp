// Where results go: files, comparisons and summaries take them in order, whole or piece by piece.
#pragma once

#include <cstdint>
#include <span>

#include "graph/ir/value.hpp"

namespace sparse_run::cli {

/// Takes the results of a run. Not thread-safe; called in order of the rows.
class ResultSink {
 public:
  virtual ~ResultSink() = default;
  /// Outputs, parallel to the session's, of rows [first, first + count) of `total`. A run that is no job gives
  /// everything at once, with count == total.
  virtual void take(std::int64_t first, std::int64_t count, std::int64_t total, std::span<const Value> outputs) = 0;
  /// After the last rows: completes files, prints reports.
  virtual void finish() = 0;
};

}  // namespace sparse_run::cli
