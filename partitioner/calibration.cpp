// Storing measured layer times, and interpolating between them.
#include "partitioner/calibration.hpp"

#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/error.hpp"
#include "partitioner/json_fields.hpp"

namespace sparse_run {

namespace {

using OrderedJson = nlohmann::ordered_json;
constexpr std::size_t kNeighbours = 4;
constexpr std::size_t kMostSamples = 100000;

/// Every number of MeasuredTraffic with its name in files, and the range that is believed.
struct TrafficField {
  const char* name;
  MeasuredNumber MeasuredTraffic::*number;
  double least;
  double most;
};
constexpr TrafficField kTraffic[] = {
    {"handover_us", &MeasuredTraffic::handover_us, 0, 1e7},
    {"copy_contention", &MeasuredTraffic::copy_contention, 1, 100},
    {"compute_contention", &MeasuredTraffic::compute_contention, 1, 100},
    {"network_gb_per_s", &MeasuredTraffic::network_gb_per_s, 1e-6, 1e9},
    {"network_latency_us", &MeasuredTraffic::network_latency_us, 0, 1e7},
};

double log_of(double value) { return std::log2(std::max(value, 1.0)); }

/// Distance of two layers: a factor of two in operations, bytes or columns counts as one, ten points of zeros as one.
double distance(const CalibrationSample& a, const CalibrationSample& b) {
  const std::array<double, 4> steps = {log_of(a.flops) - log_of(b.flops), log_of(a.bytes) - log_of(b.bytes),
                                       log_of(a.columns) - log_of(b.columns), 10 * (a.zeros - b.zeros)};
  double sum = a.sparse == b.sparse ? 0 : 16;
  for (const double step : steps) sum += step * step;
  return std::sqrt(sum);
}

LayerClass layer_class_of(const std::string& name, const std::string& where) {
  for (int i = 0; i <= static_cast<int>(LayerClass::other); ++i) {
    if (layer_class_name(static_cast<LayerClass>(i)) == name) return static_cast<LayerClass>(i);
  }
  throw_error(ErrorKind::usage, "{}: '{}' is no class of layers", where, name);
}

}  // namespace

Calibration::Calibration(std::string machine, std::vector<CalibrationSample> samples, std::vector<CopySample> copies,
                         MeasuredTraffic traffic)
    : machine_(std::move(machine)), samples_(std::move(samples)), copies_(std::move(copies)), traffic_(traffic) {
  for (std::size_t i = 0; i < samples_.size(); ++i) by_key_[samples_[i].key] = i;
  hash_ = text_hash(to_json());
}

const CalibrationSample* Calibration::find(const std::string& key) const {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : &samples_[found->second];
}

Calibration::Correction Calibration::correction(const CalibrationSample& like) const {
  std::vector<std::pair<double, const CalibrationSample*>> near;
  for (const CalibrationSample& sample : samples_) {
    if (sample.layer == like.layer && sample.prior_s > 0 && sample.median_s > 0) {
      near.emplace_back(distance(sample, like), &sample);
    }
  }
  if (near.empty()) return {};
  const std::size_t count = std::min(kNeighbours, near.size());
  std::partial_sort(near.begin(), near.begin() + static_cast<std::ptrdiff_t>(count), near.end(),
                    [](const auto& a, const auto& b) { return a.first < b.first; });
  double weights = 0;
  double logs = 0;
  double spread = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto& [far, sample] = near[i];
    const double weight = 1 / (0.05 + far * far);
    weights += weight;
    logs += weight * std::log(sample->median_s / sample->prior_s);
    spread += weight * sample->spread;
  }
  return {std::exp(logs / weights), std::clamp((1 - spread / weights) / (1 + 0.3 * near[0].first), 0.0, 1.0)};
}

std::string Calibration::to_json() const {
  OrderedJson json = {{"schema_version", kSchemaVersion}, {"machine", machine_}};
  json["layers"] = OrderedJson::array();
  for (const CalibrationSample& sample : samples_) {
    json["layers"].push_back({{"key", sample.key},
                              {"class", layer_class_name(sample.layer)},
                              {"sparse", sample.sparse},
                              {"flops", sample.flops},
                              {"bytes", sample.bytes},
                              {"columns", sample.columns},
                              {"zeros", sample.zeros},
                              {"prior_ms", sample.prior_s * 1e3},
                              {"median_ms", sample.median_s * 1e3},
                              {"spread", sample.spread},
                              {"count", sample.count}});
  }
  json["copies"] = OrderedJson::array();
  for (const CopySample& copy : copies_) {
    json["copies"].push_back(
        {{"bytes", copy.bytes}, {"gb_per_s", copy.gb_per_s}, {"spread", copy.spread}, {"count", copy.count}});
  }
  json["traffic"] = OrderedJson::object();
  for (const TrafficField& field : kTraffic) {
    const MeasuredNumber& number = traffic_.*field.number;
    if (number.count == 0) continue;
    json["traffic"][field.name] = {{"median", number.median}, {"spread", number.spread}, {"count", number.count}};
  }
  return json.dump(1, ' ', false, OrderedJson::error_handler_t::replace) + '\n';
}

Calibration Calibration::from_json(const std::string& text) {
  const Json json = parse_json(text, "calibration");
  const JsonFields fields(json, "calibration");
  fields.expect_schema_version(kSchemaVersion);
  std::vector<CalibrationSample> samples;
  if (fields.list("layers").size() > kMostSamples) throw Error(ErrorKind::usage, "calibration.layers: too many");
  for (const JsonFields& entry : fields.objects("layers")) {
    CalibrationSample sample;
    sample.key = entry.text("key");
    sample.layer = layer_class_of(entry.text("class"), entry.where("class"));
    sample.sparse = entry.flag_or("sparse", false);
    sample.flops = entry.number("flops", 0, 1e18);
    sample.bytes = entry.number("bytes", 0, 1e15);
    sample.columns = entry.number("columns", 0, 1e15);
    sample.zeros = entry.number("zeros", 0, 1);
    sample.prior_s = entry.number("prior_ms", 0, 1e9) / 1e3;
    sample.median_s = entry.number("median_ms", 0, 1e9) / 1e3;
    sample.spread = entry.number("spread", 0, 1e6);
    sample.count = static_cast<int>(entry.integer("count", 1, 1 << 30));
    samples.push_back(std::move(sample));
  }
  std::vector<CopySample> copies;
  for (const JsonFields& entry : fields.objects("copies")) {
    copies.push_back({entry.number("bytes", 1, 1e15), entry.number("gb_per_s", 1e-6, 1e9),
                      entry.number("spread", 0, 1e6), static_cast<int>(entry.integer("count", 1, 1 << 30))});
  }
  MeasuredTraffic traffic;
  if (const Json* entry = fields.find("traffic")) {
    const JsonFields all(*entry, "calibration.traffic");
    for (const TrafficField& field : kTraffic) {
      const Json* found = all.find(field.name);
      if (found == nullptr) continue;
      const JsonFields number(*found, all.where(field.name));
      traffic.*field.number = {number.number("median", field.least, field.most), number.number("spread", 0, 1e6),
                               static_cast<int>(number.integer("count", 1, 1 << 30))};
    }
  }
  return Calibration(fields.text("machine"), std::move(samples), std::move(copies), traffic);
}

void use_measurements(Topology& topology, const Calibration& calibration) {
  const MeasuredTraffic& traffic = calibration.traffic();
  const auto take = [](double& number, const MeasuredNumber& measured) {
    if (measured.count > 0) number = measured.median;
  };
  bool all_here = true;
  for (HostSpec& host : topology.hosts) {
    all_here &= host.cpu().discovered;
    if (!host.cpu().discovered) continue;
    take(host.handover_us, traffic.handover_us);
    take(host.copy_contention, traffic.copy_contention);
    take(host.compute_contention, traffic.compute_contention);
  }
  if (!all_here) return;
  take(topology.network_gb_per_s, traffic.network_gb_per_s);
  take(topology.network_latency_us, traffic.network_latency_us);
}

std::string calibration_machine_key(const Machine& machine, int threads, const std::string& versions) {
  std::vector<std::string> caches;
  for (const CacheLevel& cache : machine.caches) {
    caches.push_back(fmt::format("L{}:{}/{}", cache.level, cache.bytes, cache.sharing_cores));
  }
  return fmt::format("{}; {} of {} cores; {}; {}; {}", machine.cpu_model, threads, machine.cores,
                     fmt::join(caches, " "), fmt::join(machine.isa, " "), versions);
}

std::string calibration_name(const std::string& machine_key) {
  return "calibration-" + text_hash(machine_key) + ".json";
}

std::filesystem::path calibration_file(const std::string& machine_key) {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  std::filesystem::path folder;
  if (cache != nullptr && *cache == '/') {
    folder = cache;
  } else if (home != nullptr && *home != '\0') {
    folder = std::filesystem::path(home) / ".cache";
  } else {
    return {};
  }
  return folder / "sparse-run" / calibration_name(machine_key);
}

std::optional<Calibration> load_calibration(const std::filesystem::path& file, const std::string& machine_key) {
  if (file.empty()) return std::nullopt;
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return std::nullopt;
  std::ostringstream text;
  text << stream.rdbuf();
  try {
    Calibration calibration = Calibration::from_json(text.str());
    if (calibration.machine() != machine_key) return std::nullopt;
    return calibration;
  } catch (const Error& error) {
    throw_error(ErrorKind::usage, "{}: {}; measure again with --calibrate, or delete the file", file.string(),
                error.message());
  }
}

void store_calibration(const std::filesystem::path& file, const Calibration& calibration) {
  if (file.empty()) {
    throw Error(ErrorKind::input, "calibration: there is no place to store it; set HOME or XDG_CACHE_HOME");
  }
  std::error_code failure;
  std::filesystem::create_directories(file.parent_path(), failure);
  std::filesystem::path temporary = file;
  temporary += fmt::format(".{}.partial", ::getpid());
  {
    std::ofstream stream(temporary, std::ios::binary | std::ios::trunc);
    stream << calibration.to_json();
    stream.close();
    if (!stream) {
      std::filesystem::remove(temporary, failure);
      throw_error(ErrorKind::input, "{}: cannot be written; check permissions and space, or set XDG_CACHE_HOME",
                  file.string());
    }
  }
  std::filesystem::rename(temporary, file, failure);
  if (failure) {
    std::error_code ignored;
    std::filesystem::remove(temporary, ignored);
    throw_error(ErrorKind::input, "{}: cannot be written: {}", file.string(), failure.message());
  }
}

}  // namespace sparse_run
