// Writing results, at once or row by row.
#include "cli/npz_results.hpp"

#include "base/error.hpp"
#include "cli/npy_tensor.hpp"

namespace sparse_run::cli {

namespace {

void flatten(const std::string& name, const Value& value, std::vector<std::pair<std::string, Tensor>>& members) {
  if (value.is_tensor()) {
    members.emplace_back(name, value.tensor);
    return;
  }
  for (std::size_t i = 0; i < value.elements.size(); ++i) {
    const bool sequence = value.kind == ValueKind::sequence;
    flatten(sequence ? fmt::format("{}/{}", name, i) : name, value.elements[i], members);
  }
}

std::span<const std::byte> bytes_of(const Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.raw()), tensor.bytes()};
}

}  // namespace

NpzResults::NpzResults(std::string file, const std::vector<Port>& outputs)
    : file_(std::move(file)), writer_(with_context([&] { return file_; }, [&] { return NpzWriter(file_); })) {
  for (const Port& port : outputs) names_.push_back(port.name);
}

void NpzResults::take(std::int64_t, std::int64_t count, std::int64_t total, std::span<const Value> outputs) {
  with_context([&] { return file_; },
               [&] {
                 if (count != total) {
                   if (first_types_.empty()) declare(count, total, outputs);
                   append(count, outputs);
                   return;
                 }
                 std::vector<std::pair<std::string, Tensor>> members;
                 for (std::size_t i = 0; i < names_.size(); ++i) flatten(names_[i], outputs[i], members);
                 writer_.add_all(members);
               });
}

void NpzResults::declare(std::int64_t count, std::int64_t total, std::span<const Value> outputs) {
  for (std::size_t i = 0; i < names_.size(); ++i) {
    const Tensor& tensor = outputs[i].tensor;
    const bool joins = outputs[i].is_tensor() && tensor.rank() > 0 && tensor.shape().front() % count == 0 &&
                       tensor.dtype() != DType::string;
    if (!joins) {
      throw_error(ErrorKind::input,
                  "output '{}' ({}) of {} rows cannot be joined with those of other requests; run "
                  "without splitting",
                  names_[i], to_string(Type::of(outputs[i])), count);
    }
    rows_per_row_.push_back(tensor.shape().front() / count);
    first_types_.push_back(Type::of(outputs[i]));
    Shape shape = tensor.shape();
    shape.front() = rows_per_row_.back() * total;
    NpyHeader whole;
    whole.width = element_size(tensor.dtype());
    whole.shape = shape;
    writer_.add(names_[i], npy_descr(tensor.dtype()), shape, whole.data_bytes());
  }
  writer_.begin();
}

void NpzResults::append(std::int64_t count, std::span<const Value> outputs) {
  for (std::size_t i = 0; i < names_.size(); ++i) {
    Type wanted = first_types_[i];
    wanted.shape->front() = rows_per_row_[i] * count;
    const Type given = Type::of(outputs[i]);
    if (given.kind != wanted.kind || given.dtype != wanted.dtype || given.shape != wanted.shape) {
      throw_error(ErrorKind::input,
                  "output '{}' is {} here, where {} would join the earlier ones; its size depends on "
                  "the data, so run without splitting",
                  names_[i], to_string(given), to_string(wanted));
    }
    writer_.append(i, bytes_of(outputs[i].tensor));
  }
}

void NpzResults::finish() {
  with_context([&] { return file_; }, [&] { writer_.finish(); });
}

}  // namespace sparse_run::cli
