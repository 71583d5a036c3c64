// The roofline, and its correction.
#include "partitioner/cost_model.hpp"

#include <algorithm>

namespace sparse_run {

namespace {

/// Share of the dense rate that kernels of a class reach.
double efficiency(LayerClass layer) {
  switch (layer) {
    case LayerClass::convolution:
      return 0.9;
    case LayerClass::product:
      return 1.0;
    case LayerClass::pair_product:
      return 0.5;
    case LayerClass::depthwise:
      return 0.25;
    case LayerClass::recurrent:
      return 0.3;
    case LayerClass::rows:
    case LayerClass::curves:
    case LayerClass::elementwise:
      return 0.15;
    case LayerClass::movement:
    case LayerClass::view:
      return 1.0;
    case LayerClass::other:
      return 0.01;
  }
  return 0.01;
}

double bandwidth(const DeviceSpec& device, double working_set) {
  for (const CacheSpec& cache : device.caches) {
    if (working_set <= static_cast<double>(cache.bytes)) return cache.gb_per_s * 1e9;
  }
  return device.memory_gb_per_s * 1e9;
}

struct Roof {
  double seconds;
  Bound bound;
};

Roof roof(double flops, double rate, double bytes, const DeviceSpec& device) {
  const double compute = flops / rate;
  const double memory = bytes / bandwidth(device, bytes);
  return compute >= memory ? Roof{compute, Bound::compute} : Roof{memory, Bound::memory};
}

constexpr double kPriorConfidence = 0.3;
constexpr double kUnknownConfidence = 0.05;

}  // namespace

std::string_view bound_name(Bound bound) {
  switch (bound) {
    case Bound::compute:
      return "computing";
    case Bound::memory:
      return "memory";
    case Bound::launch:
      return "launching";
  }
  return "launching";
}

Prediction predict_by_roofline(const NodeWork& work, const DeviceSpec& device) {
  Prediction prediction;
  if (work.layer == LayerClass::view) {
    prediction.confidence = kPriorConfidence;
    return prediction;
  }
  const double rate = device.dense_gflops * 1e9 * efficiency(work.layer);
  const bool reads_weights = work.layer != LayerClass::movement;  // of a table, only the rows that were asked for
  const double dense_bytes = work.activation_bytes + (reads_weights ? work.dense_weight_bytes() : 0);
  Roof best = roof(work.dense_flops, rate, dense_bytes, device);
  const bool can_be_sparse = work.layer == LayerClass::convolution || work.layer == LayerClass::product;
  if (can_be_sparse && device.sparse_gflops > 0 && work.zeros > 0) {
    const double sparse_bytes = work.activation_bytes + work.sparse_weight_bytes();
    const Roof sparse = roof(work.flops(), device.sparse_gflops * 1e9, sparse_bytes, device);
    if (sparse.seconds < best.seconds) {
      best = sparse;
      prediction.sparse = true;
    }
  }
  const double launch = device.launch_us * 1e-6;
  prediction.seconds = best.seconds + launch;
  prediction.bound = launch > best.seconds ? Bound::launch : best.bound;
  prediction.confidence = work.known ? kPriorConfidence : kUnknownConfidence;
  return prediction;
}

CalibrationSample sample_of(const NodeWork& work, const DeviceSpec& device, std::string key) {
  const Prediction prior = predict_by_roofline(work, device);
  CalibrationSample sample;
  sample.key = std::move(key);
  sample.layer = work.layer;
  sample.sparse = prior.sparse;
  sample.flops = prior.sparse ? work.flops() : work.dense_flops;
  const double weights = prior.sparse ? work.sparse_weight_bytes() : work.dense_weight_bytes();
  sample.bytes = work.activation_bytes + (work.layer == LayerClass::movement ? 0 : weights);
  sample.columns = work.columns;
  sample.zeros = work.zeros;
  sample.prior_s = prior.seconds;
  return sample;
}

Prediction CostModel::predict(const NodeWork& work, const DeviceSpec& device, const std::string& key) const {
  Prediction prediction = predict_by_roofline(work, device);
  if (calibration_ == nullptr || device.kind != DeviceKind::cpu || work.layer == LayerClass::view) return prediction;
  if (!key.empty()) {
    if (const CalibrationSample* measured = calibration_->find(key)) {
      prediction.seconds = measured->median_s;
      prediction.confidence = std::clamp(1 - measured->spread, 0.5, 1.0);
      return prediction;
    }
  }
  const auto correction = calibration_->correction(sample_of(work, device, {}));
  prediction.seconds *= correction.factor;
  prediction.confidence = std::max(prediction.confidence, correction.confidence);
  return prediction;
}

}  // namespace sparse_run
