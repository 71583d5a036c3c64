// How long a node takes on a device: a roofline over real non-zeros, corrected by measurements where there are some.
#pragma once

#include <string>

#include "partitioner/calibration.hpp"
#include "partitioner/topology.hpp"
#include "partitioner/work.hpp"

namespace sparse_run {

enum class Bound { compute, memory, launch };
std::string_view bound_name(Bound bound);

struct Prediction {
  double seconds = 0;
  double confidence = 0;  ///< 0: a guess, 1: this layer was measured
  bool sparse = false;    ///< a sparse kernel is expected
  Bound bound = Bound::launch;
};

/// time = launch + max(operations / rate of the class, bytes / bandwidth of the level that holds them), for the dense
/// and, where the device has such kernels, the sparse form of the weights; the faster counts. The roofline is that of
/// Williams, Waterman and Patterson (2009).
class CostModel {
 public:
  /// `calibration` may be nullptr; it applies to the CPU only and must outlive the model.
  explicit CostModel(const Calibration* calibration = nullptr) : calibration_(calibration) {}

  /// `key` is layer_key of the node, or empty: then only similar layers are asked.
  Prediction predict(const NodeWork& work, const DeviceSpec& device, const std::string& key = {}) const;
  const Calibration* calibration() const noexcept { return calibration_; }

 private:
  const Calibration* calibration_;
};

/// The same without calibration.
Prediction predict_by_roofline(const NodeWork& work, const DeviceSpec& device);

/// A sample with the features of this work and no measurement yet.
CalibrationSample sample_of(const NodeWork& work, const DeviceSpec& device, std::string key);

}  // namespace sparse_run
