// Reads .npz files: ZIP archives of .npy streams, stored or deflated.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "graph/ir/tensor.hpp"

struct zip;

namespace sparse_run::cli {

/// An open archive. Not thread-safe. Every error is Error(input) unless said; the file's name is not in the message.
class NpzReader {
 public:
  /// Error(input) when the file is missing, unreadable or no archive of .npy members.
  explicit NpzReader(const std::filesystem::path& path);

  /// Member names without ".npy", in the order of the archive.
  const std::vector<std::string>& names() const noexcept { return names_; }
  bool contains(const std::string& name) const;
  /// The array `name`; `expected` as in npy_tensor(). Error(limit) when it declares more than `max_bytes`.
  Tensor read(const std::string& name, DType expected, std::uint64_t max_bytes);

 private:
  struct Closer {
    void operator()(zip* archive) const noexcept;
  };
  std::unique_ptr<zip, Closer> archive_;
  std::vector<std::string> names_;
};

}  // namespace sparse_run::cli
