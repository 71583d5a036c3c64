// Ranks within one process: the link for tests and for trying plans without a cluster.
#pragma once

#include <memory>
#include <vector>

#include "comm/link.hpp"

namespace sparse_run::comm {

/// Joins `size` links, to be used by one thread each. Sends finish when the receiver has copied them.
class LoopbackHub {
 public:
  explicit LoopbackHub(int size);
  ~LoopbackHub();
  LoopbackHub(const LoopbackHub&) = delete;
  LoopbackHub& operator=(const LoopbackHub&) = delete;

  /// The link of one rank; the hub's state is shared, so that links may outlive the hub.
  std::unique_ptr<Link> link(int rank);
  /// Nothing leaves or reaches this rank any more, as if its host had lost power.
  void silence(int rank);

 private:
  struct State;
  class LoopbackLink;
  std::shared_ptr<State> state_;  // shared with the links
};

}  // namespace sparse_run::comm
