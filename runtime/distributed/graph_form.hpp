// The graph form: every rank owns nodes of one large graph and works on every request; rows of nodes are exchanged.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "runtime/distributed/cluster.hpp"
#include "runtime/distributed/graph_split.hpp"
#include "runtime/distributed/node_owners.hpp"
#include "runtime/distributed/rank_form.hpp"
#include "runtime/session.hpp"

namespace sparse_run {

struct GraphFormOptions {
  NodeCut cut = NodeCut::best;
  /// Told on rank 0 how the nodes of a graph were divided; may be empty.
  std::function<void(const std::string&)> notice;
  Trace* trace = nullptr;
};

/// One request at a time. Rank 0 finds out who owns which node from the edges of a request, tells everybody, and keeps
/// that division while the edges stay the same. It gives out the rows of features, and collects rows of results. Rows
/// that other ranks' edges read are sent as soon as they are computed, each once to each rank that needs it, and while
/// they are on their way the sums of nodes that need none are computed.
class GraphForm final : public RankForm {
 public:
  GraphForm(Cluster& cluster, GraphSplit split, GraphFormOptions options,
            std::function<std::unique_ptr<Session>(std::shared_ptr<const Graph>)> make_session);
  ~GraphForm() override;
  std::string name() const override { return "graph"; }
  RankReport lead(const RequestStream& stream) override;
  RankReport follow() override;

 private:
  struct Part;
  struct Division;
  class Transfers;
  class Runner;

  Cluster& cluster_;
  GraphSplit split_;
  GraphFormOptions options_;
  std::function<std::unique_ptr<Session>(std::shared_ptr<const Graph>)> make_session_;
  std::unique_ptr<Part> head_, tail_;  // on rank 0, where there is something to compute
  std::unique_ptr<Division> division_;
};

}  // namespace sparse_run
