// Conversions between element types and the wide types the oracle computes in.
#include "cpu/reference/wide.hpp"

namespace sparse_run::reference {

double round_to(DType dtype, double value) {
  const bool known = visit_float(dtype, [&]<class T>() { value = widen(narrow<T>(value)); });
  require(known, "round_to a type that is not floating point");
  return value;
}

std::vector<double> load_doubles(const Tensor& tensor) {
  std::vector<double> values(static_cast<std::size_t>(tensor.size()));
  visit_numbers(tensor.dtype(), [&]<class T>() {
    const auto elements = tensor.data<T>();
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(widen(elements[i]));
  });
  return values;
}

void store_doubles(std::span<const double> values, Tensor& tensor) {
  require(static_cast<std::int64_t>(values.size()) == tensor.size(), "store_doubles: value count differs");
  visit_numbers(tensor.dtype(), [&]<class T>() {
    const auto elements = tensor.data<T>();
    for (std::size_t i = 0; i < values.size(); ++i) {
      if constexpr (is_real<T>) {
        elements[i] = narrow<T>(values[i]);
      } else if constexpr (std::is_same_v<T, bool>) {
        elements[i] = values[i] != 0;
      } else {
        elements[i] = truncate_to<T>(values[i]);
      }
    }
  });
}

}  // namespace sparse_run::reference
