// Locating external tensor data.
#include "graph/onnx/external_data.hpp"

#include <charconv>

#include "base/error.hpp"
#include "graph/onnx/content_hash.hpp"
#include "graph/onnx/names.hpp"

namespace sparse_run::onnx {

namespace {

std::uint64_t read_number(const std::string& text, const char* key) {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stopped != end) {
    throw_error(ErrorKind::model, "{} of external data is not a number of bytes", key);
  }
  return value;
}

}  // namespace

ExternalData::Part ExternalData::find(const onnx_wire::TensorProto& tensor, std::uint64_t needed) {
  std::string location;
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> length;
  for (const auto& entry : tensor.external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") offset = read_number(entry.value(), "offset");
    if (entry.key() == "length") length = read_number(entry.value(), "length");
  }
  check_name(location, limits_, "an external data file");
  if (location.empty()) throw_error(ErrorKind::model, "external data has no location");
  if (!folder_) throw_error(ErrorKind::model, "external data '{}' of a model that was not read from a file", location);
  return with_context([&] { return fmt::format("external data '{}'", location); },
                      [&] {
                        auto& file = files_[location];
                        if (!file) file = MappedFile::open_beneath(*folder_, location, limits_.file_bytes);
                        const auto bytes = file->bytes();
                        if (length && *length != needed) {
                          throw_error(ErrorKind::model, "length is {}, the tensor needs {} bytes", *length, needed);
                        }
                        if (offset > bytes.size() || needed > bytes.size() - offset) {
                          throw_error(ErrorKind::model, "{} bytes at offset {} exceed the file's {}", needed, offset,
                                      bytes.size());
                        }
                        return Part{bytes.subspan(offset, needed), file};
                      });
}

std::uint64_t ExternalData::hash(std::uint64_t seed) const {
  for (const auto& [location, file] : files_) {
    if (!file) continue;
    seed = content_hash(std::as_bytes(std::span(location)), seed);
    seed = hash_file(*file, seed);
  }
  return seed;
}

}  // namespace sparse_run::onnx
