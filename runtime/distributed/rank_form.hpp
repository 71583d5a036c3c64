// A way for ranks to share a stream of requests: data, pipeline, rows.
#pragma once

#include <string>

#include "runtime/distributed/request_stream.hpp"

namespace sparse_run {

/// Made by all ranks together, after they agreed on everything it depends on. Rank 0 leads streams one after the other;
/// the others follow each of them. Both throw the first error in order of requests on rank 0, what brought the job
/// down everywhere.
class RankForm {
 public:
  virtual ~RankForm() = default;
  virtual std::string name() const = 0;
  virtual RankReport lead(const RequestStream& stream) = 0;
  virtual RankReport follow() = 0;
};

}  // namespace sparse_run
