// The data form: every rank holds the whole model, requests are spread, and fast ranks take more.
#pragma once

#include <functional>
#include <vector>

#include "runtime/distributed/cluster.hpp"
#include "runtime/distributed/rank_form.hpp"
#include "runtime/distributed/request_stream.hpp"
#include "runtime/job.hpp"

namespace sparse_run {

/// What the leader knows of the others.
struct DataStreamOptions {
  /// By rank: whether it has the inputs itself and needs only a request's number.
  std::vector<bool> reads_itself;
  /// Bytes of results and inputs that may wait in memory for an earlier request to finish.
  std::size_t window_bytes = std::size_t{256} << 20;
};

/// Rank 0 hands requests to whoever has fewest, works on them itself, and gives results to the sink in order. Each
/// other rank has two requests at most, so that it need not wait for the next.
class DataForm final : public RankForm {
 public:
  /// Everything must outlive the form. `inputs`: on ranks that read them themselves, the values of a request.
  DataForm(Cluster& cluster, RequestRunner run, DataStreamOptions options,
           std::function<std::vector<Value>(std::int64_t)> inputs, Trace* trace);
  std::string name() const override { return "data"; }
  RankReport lead(const RequestStream& stream) override;
  RankReport follow() override;

 private:
  Cluster& cluster_;
  RequestRunner run_;
  DataStreamOptions options_;
  std::function<std::vector<Value>(std::int64_t)> inputs_;
  Trace* trace_;
};

}  // namespace sparse_run
