// Arrays of .npy files as tensors: mapped where the layout allows it, converted where it does not.
#pragma once

#include <filesystem>
#include <memory>
#include <span>

#include "cli/npy.hpp"
#include "graph/ir/tensor.hpp"
#include "graph/onnx/mapped_file.hpp"

namespace sparse_run::cli {

/// The tensor that `data` holds under `header`. Row-major little-endian numbers that lie aligned become a view that
/// keeps `owner` alive; everything else is copied and converted. `expected` says what raw bytes mean (bfloat16 when it
/// does not fit them). Error(input) when `data` is not exactly as long as the header says or a string is not valid Unicode.
Tensor npy_tensor(const NpyHeader& header, std::span<const std::byte> data, std::shared_ptr<const void> owner,
                  DType expected);

/// An array from a file of its own.
struct NpyFile {
  Tensor tensor;
  std::shared_ptr<const onnx::MappedFile> mapped;  ///< what the tensor views; null when it had to be copied
};

/// A .npy file, memory-mapped: a job may be larger than memory. Error(input) names what is wrong, not the file.
NpyFile load_npy(const std::filesystem::path& path, DType expected);

/// What a .npy stream of a tensor holds after its header.
struct NpyEncoding {
  std::string descr;
  std::string text;  ///< bytes of string tensors; other tensors are written as they lie in memory
};

/// How a tensor is written: strings as <Un, everything else by npy_descr.
NpyEncoding encode_npy(const Tensor& tensor);

}  // namespace sparse_run::cli
