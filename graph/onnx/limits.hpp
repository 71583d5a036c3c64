// What an ONNX file may ask for at most: a model is untrusted input.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sparse_run {

/// Bounds on the import of one file. Exceeding one is Error(limit), which names it.
struct ImportLimits {
  std::uint64_t file_bytes = std::uint64_t{1} << 36;      ///< of each file, external data included
  std::uint64_t structure_bytes = 0x7fff0000u;            ///< all but raw tensor bytes (protobuf ends at 2 GiB)
  std::uint64_t fields = 100'000'000;                     ///< protobuf fields of variable length
  std::uint64_t nodes = 4'000'000;                        ///< nodes and function calls, after inlining
  std::uint64_t operands = 64'000'000;                    ///< inputs, outputs and attributes of those nodes
  std::uint64_t constant_bytes = std::uint64_t{1} << 40;  ///< initializers and attributes, after inlining
  std::int64_t elements = std::int64_t{1} << 40;          ///< of one tensor
  std::size_t rank = 16;                                  ///< of one tensor
  std::size_t nesting = 64;                               ///< bodies, function calls and composed types
  std::size_t name_length = std::size_t{1} << 16;         ///< bytes of one name
  std::size_t list_length = std::size_t{1} << 26;         ///< entries of one list attribute

  /// For models from strangers (`--untrusted`): enough for models in use, a fraction of the machine.
  static ImportLimits untrusted() {
    ImportLimits limits;
    limits.file_bytes = std::uint64_t{1} << 32;
    limits.structure_bytes = std::uint64_t{1} << 28;
    limits.fields = 4'000'000;
    limits.nodes = 200'000;
    limits.operands = 2'000'000;
    limits.constant_bytes = std::uint64_t{1} << 33;
    limits.elements = std::int64_t{1} << 31;
    limits.rank = 8;
    limits.nesting = 16;
    limits.name_length = 1024;
    limits.list_length = 1'000'000;
    return limits;
  }
};

}  // namespace sparse_run
