// The rows form: every rank holds part of each large weight and works on every request; activations are exchanged.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "runtime/distributed/cluster.hpp"
#include "runtime/distributed/rank_form.hpp"
#include "runtime/distributed/row_split.hpp"
#include "runtime/session.hpp"

namespace sparse_run {

/// One request at a time: the form for latency, and for layers too large for one rank. An exchange is posted when its
/// part is there and waited for where its whole is read; receives are posted when the request begins.
class RowForm final : public RankForm {
 public:
  /// `programs`: this rank's, one per signature. `signature_of`: as rank 0 knows it.
  RowForm(Cluster& cluster, std::vector<RowProgram> programs, std::function<int(std::int64_t)> signature_of,
          const std::function<std::unique_ptr<Session>(std::shared_ptr<const Graph>)>& make_session, Trace* trace);
  ~RowForm() override;
  std::string name() const override { return "rows"; }
  RankReport lead(const RequestStream& stream) override;
  RankReport follow() override;

 private:
  struct Level;
  struct Program;
  class Runner;

  Cluster& cluster_;
  std::function<int(std::int64_t)> signature_of_;
  Trace* trace_;
  std::vector<std::unique_ptr<Program>> programs_;
};

}  // namespace sparse_run
