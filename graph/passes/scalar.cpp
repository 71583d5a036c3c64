// Reading single numbers out of constants of any arithmetic type.
#include "graph/passes/scalar.hpp"

#include <algorithm>
#include <cmath>

namespace sparse_run {

std::optional<double> scalar_of(const Tensor* tensor) {
  std::optional<double> number;
  if (tensor == nullptr || tensor->size() != 1) return number;
  visit_arithmetic(tensor->dtype(),
                   [&]<class T>() { number = static_cast<double>(static_cast<Compute<T>>(tensor->data<T>()[0])); });
  return number;
}

bool all_equal(const Tensor* tensor, double value) {
  bool equal = false;
  if (tensor == nullptr) return equal;
  visit_float(tensor->dtype(), [&]<class T>() {
    const auto elements = tensor->data<T>();
    equal = std::all_of(elements.begin(), elements.end(),
                        [&](T element) { return static_cast<double>(static_cast<Compute<T>>(element)) == value; });
  });
  return equal;
}

bool nearly(std::optional<double> value, double expected) {
  return value && std::abs(*value - expected) <= 1e-3 * std::abs(expected);
}

}  // namespace sparse_run
