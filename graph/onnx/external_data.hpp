// Tensor bytes that a model keeps in other files of its folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "graph/onnx/limits.hpp"
#include "graph/onnx/mapped_file.hpp"
#include "graph/onnx/onnx.pb.h"

namespace sparse_run::onnx {

/// Maps each external file once. Lives as long as one import; the tensors keep the mappings alive.
class ExternalData {
 public:
  /// `folder`: where relative locations start; nullopt for a model in memory, which cannot have external data.
  ExternalData(std::optional<std::filesystem::path> folder, const ImportLimits& limits)
      : folder_(std::move(folder)), limits_(limits) {}

  struct Part {
    std::span<const std::byte> bytes;
    std::shared_ptr<const MappedFile> file;
  };
  /// The bytes of a tensor that needs `needed` of them. Error(model) when the location leaves the folder
  /// (MappedFile::open_beneath), or offset and length do not fit the file or the tensor.
  Part find(const onnx_wire::TensorProto& tensor, std::uint64_t needed);

  /// Fingerprint of the contents of all files used, chained onto `seed` in the order of their names.
  std::uint64_t hash(std::uint64_t seed) const;
  /// Some tensor lies in another file.
  bool used() const noexcept { return !files_.empty(); }

 private:
  std::optional<std::filesystem::path> folder_;
  const ImportLimits& limits_;
  std::map<std::string, std::shared_ptr<const MappedFile>> files_;  // shared: with the tensors that view them
};

}  // namespace sparse_run::onnx
