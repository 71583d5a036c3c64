// The requests of a job: which rows each takes, its inputs, and what belongs to it of a padded result.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "graph/ir/value.hpp"

namespace sparse_run {

/// One input of a job, parallel to Session::inputs(). Split inputs are cut along dimension 0; others are given whole
/// to every request.
struct JobInput {
  Value value;  ///< may view a memory-mapped file: only the part in work is touched
  bool split = false;
  /// Copies bytes of `value` from byte `at` on; thread-safe. When given, requests hold copies made by it instead of
  /// views: reading from a file costs half of what mapping, touching and unmapping its pages does.
  std::function<void(std::size_t at, std::span<std::byte> into)> read = {};
};

/// Immutable; thread-safe.
class JobParts {
 public:
  struct Rows {
    std::int64_t first = 0;
    std::int64_t count = 0;
  };
  /// Requests of `micro_batch` rows, the last shorter, or filled up to that with copies of its last row if `pad_last`.
  /// `inputs` must outlive the parts. Error(input) unless all split inputs have the same number of rows.
  JobParts(std::span<const JobInput> inputs, std::int64_t micro_batch, bool pad_last);

  std::int64_t rows() const noexcept { return rows_; }
  std::int64_t count() const noexcept { return (rows_ + micro_batch_ - 1) / micro_batch_; }  ///< of requests
  Rows rows_of(std::int64_t request) const;
  /// Values parallel to the inputs; views where nothing is filled up or read. Throws what JobInput::read throws.
  std::vector<Value> request(std::int64_t request) const;
  /// Shortens the outputs of a filled-up request to its real rows.
  void trim(std::int64_t request, std::vector<Value>& outputs) const;

 private:
  bool padded(std::int64_t request) const { return pad_last_ && rows_of(request).count < micro_batch_; }

  std::span<const JobInput> inputs_;
  std::int64_t micro_batch_;
  bool pad_last_;
  std::int64_t rows_;
};

}  // namespace sparse_run
