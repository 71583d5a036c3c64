// What the placement benchmark finds out: one row per model, topology and policy.
#pragma once

#include <string>
#include <vector>

namespace sparse_run::bench {

/// A median with the 95% interval that order statistics give for it.
struct Estimate {
  double median = 0;
  double low = 0;
  double high = 0;
  int count = 0;
};

Estimate estimate_of(std::vector<double> samples);

/// One partition on its device, without copies.
struct PartitionTime {
  double predicted_ms = 0;
  double measured_ms = 0;  ///< median
};

struct Row {
  std::string model;
  std::string topology;
  std::string policy;
  std::string refusal;  ///< why there is no plan; empty when there is one
  std::size_t nodes = 0;
  std::size_t partitions = 0;
  double predicted_ms = 0;
  double lower_bound_ms = 0;
  double bottleneck_ms = 0;
  double simulated_per_s = 0;  ///< requests per second of a stream on one host
  double moved_mib = 0;        ///< over links, per request
  Estimate planning_ms;
  Estimate measured_ms;                       ///< count 0: not run
  std::size_t devices = 0;                    ///< that the plan uses
  bool first_of_its_plan = false;             ///< measured itself; what other policies came to as well is measured once
  bool describes_this_machine = false;        ///< the topology's CPU is the one that measured
  std::vector<PartitionTime> cpu_partitions;  ///< of a plan that was measured itself
};

std::string table_of(const std::vector<Row>& rows);
/// How `auto` compares with the best of the others, and how far predictions are from measurements: of partitions on
/// the CPU, and of whole requests over several devices. Only topologies of this machine count for the latter.
std::string summary_of(const std::vector<Row>& rows);
std::string json_of(const std::vector<Row>& rows);
/// One self-contained page: bars of predicted and measured time per model and topology.
std::string page_of(const std::vector<Row>& rows);

}  // namespace sparse_run::bench
