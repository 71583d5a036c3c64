// Comparing results with expected ones, as numpy.allclose does.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/ir/type.hpp"

namespace sparse_run::cli {

struct Tolerance {
  double relative = 1e-3;
  double absolute = 1e-5;
};

/// The comparison of one output, accumulated over pieces.
class Comparison {
 public:
  Comparison(std::string name, Tolerance tolerance) : name_(std::move(name)), tolerance_(tolerance) {}

  /// Elements match when |actual - expected| <= absolute + relative * |expected|; NaN matches NaN, an infinity
  /// itself; integers, booleans and strings of equal value match exactly or by the same rule. Element types may
  /// differ among floats when `any_float`. `first_row` places the piece in the whole output.
  void add(const Value& actual, const Value& expected, bool any_float, std::int64_t first_row = 0);
  /// Something that is not there, or is of another kind.
  void fail(std::string reason);

  bool passed() const noexcept { return mismatches_ == 0 && reason_.empty(); }
  const std::string& name() const noexcept { return name_; }
  double largest_absolute() const noexcept { return largest_absolute_; }
  double largest_relative() const noexcept { return largest_relative_; }
  std::int64_t mismatches() const noexcept { return mismatches_; }
  /// One line for people: "ok  scores: largest error 1.2e-07 absolute, 3.4e-06 relative".
  std::string line() const;

 private:
  void add_tensor(const Tensor& actual, const Tensor& expected, bool any_float, std::int64_t first_row);
  /// Takes note of one pair of which the two sides differ.
  void note(double absolute, double relative, bool matches, const Tensor& tensor, std::int64_t index,
            std::int64_t first_row, const std::string& values);

  std::string name_;
  Tolerance tolerance_;
  std::int64_t elements_ = 0;
  std::int64_t mismatches_ = 0;
  double largest_absolute_ = 0;
  double largest_relative_ = 0;
  std::string first_mismatch_;
  std::string reason_;
};

}  // namespace sparse_run::cli
