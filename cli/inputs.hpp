// From --input, --shape and --dim to the values of a model's inputs.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/batching.hpp"
#include "cli/options.hpp"
#include "graph/onnx/mapped_file.hpp"
#include "runtime/session.hpp"

namespace sparse_run::cli {

/// Values for every port, and how they become requests.
struct GatheredInputs {
  std::vector<JobInput> inputs;  ///< parallel to the ports
  Batching batching;
  std::vector<std::string> sources;  ///< file or "random", for people
  /// Files that inputs view, parallel to the ports; null where there is none.
  std::vector<std::shared_ptr<const onnx::MappedFile>> mapped;

  /// The values of one request of `batching.micro_batch` rows from the start (everything when it is no job).
  std::vector<Value> first_request() const;
  /// first_request() of what is needed once: nothing here keeps the values alive any more.
  std::vector<Value> hand_over();
  std::int64_t rows_per_request() const;  ///< of the first split or batched input; 1 when there is none
};

/// Reads files, fills in symbolic dimensions (--dim, --shape, then what other inputs say, then 1 with a notice) and
/// makes random values for the rest. Error(input) for files that cannot be read or do not fit, Error(usage) for names
/// and symbols the model does not have, Error(limit) above `memory_limit` bytes.
GatheredInputs gather_inputs(const std::vector<Port>& ports, const Options& options, std::uint64_t memory_limit,
                             const std::function<void(const std::string&)>& notice);

}  // namespace sparse_run::cli
