// Measured layer times of one machine, and what they say about layers that were not measured.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "device/machine.hpp"
#include "partitioner/topology.hpp"
#include "partitioner/work.hpp"

namespace sparse_run {

/// One layer, measured on the CPU. Prior is what the roofline predicted for it without calibration.
struct CalibrationSample {
  std::string key;  ///< layer_key
  LayerClass layer = LayerClass::other;
  bool sparse = false;  ///< the roofline's choice of kernel
  double flops = 0;     ///< on non-zeros where sparse, all of them otherwise
  double bytes = 0;
  double columns = 0;
  double zeros = 0;
  double prior_s = 0;
  double median_s = 0;
  double spread = 0;  ///< half the distance between quartiles, relative to the median
  int count = 0;      ///< of measurements
};

/// How fast memory is copied, by size.
struct CopySample {
  double bytes = 0;
  double gb_per_s = 0;  ///< median
  double spread = 0;
  int count = 0;
};

/// A number that was measured.
struct MeasuredNumber {
  double median = 0;
  double spread = 0;  ///< half the distance between quartiles, relative to the median
  int count = 0;      ///< of measurements; 0: not measured
};

/// What several things at once cost on this machine, and what ranks need to talk.
struct MeasuredTraffic {
  MeasuredNumber handover_us;         ///< see HostSpec
  MeasuredNumber copy_contention;     ///< likewise, at least 1
  MeasuredNumber compute_contention;  ///< likewise
  MeasuredNumber network_gb_per_s;    ///< between two ranks of the job that calibrated
  MeasuredNumber network_latency_us;  ///< of a small message, one way
};

/// Immutable once built; freely shared.
class Calibration {
 public:
  static constexpr int kSchemaVersion = 2;

  Calibration(std::string machine, std::vector<CalibrationSample> samples, std::vector<CopySample> copies,
              MeasuredTraffic traffic = {});

  const std::string& machine() const noexcept { return machine_; }
  const std::vector<CalibrationSample>& samples() const noexcept { return samples_; }
  const std::vector<CopySample>& copies() const noexcept { return copies_; }
  const MeasuredTraffic& traffic() const noexcept { return traffic_; }
  const std::string& hash() const noexcept { return hash_; }

  const CalibrationSample* find(const std::string& key) const;
  struct Correction {
    double factor = 1;      ///< measured over predicted
    double confidence = 0;  ///< 1: such a layer was measured, steadily
  };
  /// From the measured layers of the same class that are most alike in operations, bytes, columns and zeros.
  Correction correction(const CalibrationSample& like) const;

  std::string to_json() const;
  /// Error(usage) when damaged or of another version. The text is not trusted.
  static Calibration from_json(const std::string& text);

 private:
  std::string machine_;
  std::vector<CalibrationSample> samples_;
  std::vector<CopySample> copies_;
  MeasuredTraffic traffic_;
  std::unordered_map<std::string, std::size_t> by_key_;
  std::string hash_;
};

/// Puts measurements of traffic in the place of a topology's estimates: of hosts whose CPU was discovered, and of the
/// network when all are. What was not measured stays.
void use_measurements(Topology& topology, const Calibration& calibration);

/// What measurements are keyed by: CPU, caches, instruction sets, threads, and the version of program and libraries.
std::string calibration_machine_key(const Machine& machine, int threads, const std::string& versions);

/// "calibration-0123456789abcdef.json"
std::string calibration_name(const std::string& machine_key);

/// The file for that key: $XDG_CACHE_HOME or ~/.cache, sparse-run/calibration-HASH.json; empty when neither is set.
std::filesystem::path calibration_file(const std::string& machine_key);

/// The stored calibration; nullopt when there is none. Error(usage) naming the file and what to do when it is damaged;
/// one for another machine or version counts as none.
std::optional<Calibration> load_calibration(const std::filesystem::path& file, const std::string& machine_key);

/// Written under a temporary name, then renamed. Error(input) when that is impossible.
void store_calibration(const std::filesystem::path& file, const Calibration& calibration);

}  // namespace sparse_run
