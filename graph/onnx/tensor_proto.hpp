// Constant tensors: from the wire format to Tensor and SparseTensor, without copying where memory allows.
#pragma once

#include <memory>
#include <span>

#include "graph/ir/tensor.hpp"
#include "graph/onnx/budget.hpp"
#include "graph/onnx/external_data.hpp"
#include "graph/onnx/mapped_file.hpp"
#include "graph/onnx/onnx.pb.h"

namespace sparse_run::onnx {

/// Reads the tensors of one scanned file (see wire_scan.hpp). Not thread-safe; the file and what it refers to must
/// outlive the reader, not the tensors.
class TensorReader {
 public:
  /// `mapping`: what keeps `file` alive; nullptr when nothing does, so that every tensor is copied.
  TensorReader(std::span<const std::byte> file, std::shared_ptr<const MappedFile> mapping, ExternalData& external,
               Budget& budget)
      : file_(file), mapping_(std::move(mapping)), external_(external), budget_(budget) {}

  /// Error(model): wrong amount of data, negative dimension, unknown type, data in the wrong field, data in several
  /// places. Error(unsupported): float8 and sub-byte types. Error(limit): rank, elements, bytes.
  /// The tensor views the mapping where the bytes are aligned to the element; it must not be written.
  Tensor read(const onnx_wire::TensorProto& proto);

  /// Checks besides: indices sorted, unique, inside the shape; as many as values. Never made dense.
  SparseTensor read(const onnx_wire::SparseTensorProto& proto);

  /// The shape in `dims`, within the limits.
  Shape read_shape(const google::protobuf::RepeatedField<std::int64_t>& dims) const;

 private:
  Tensor read_bytes(DType dtype, Shape shape, std::span<const std::byte> bytes, const MappedFile* source,
                    std::shared_ptr<const void> owner) const;

  std::span<const std::byte> file_;
  std::shared_ptr<const MappedFile> mapping_;  // shared: with the tensors that view it
  ExternalData& external_;
  Budget& budget_;
};

}  // namespace sparse_run::onnx
