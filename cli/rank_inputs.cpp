// Sharing a job's description and comparing input files.
#include "cli/rank_inputs.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "graph/onnx/content_hash.hpp"
#include "runtime/distributed/wire.hpp"

namespace sparse_run::cli {

namespace {

constexpr std::size_t kLargestCopyPerRank = std::size_t{64} << 20;
constexpr std::size_t kSampledBytes = std::size_t{1} << 16;

}  // namespace

SharedJob share_job(Cluster& cluster, const GatheredInputs& gathered) {
  WireWriter writer;
  if (cluster.leads()) {
    const std::vector<Value> first = gathered.first_request();
    writer.put(first.size());
    for (std::size_t i = 0; i < first.size(); ++i) {
      writer.put(Type::of(first[i]));
      writer.put(static_cast<bool>(gathered.batching.split[i]));
    }
    writer.put(gathered.batching.rows);
    writer.put(gathered.batching.micro_batch);
    writer.put(gathered.batching.pad_last);
    writer.put(gathered.batching.is_job);
    writer.put(std::string_view(fingerprint_of(gathered)));
  }
  WireReader reader(cluster.broadcast(writer.take()));
  SharedJob job;
  const std::size_t ports = reader.count(1);
  for (std::size_t i = 0; i < ports; ++i) {
    job.request_types.push_back(reader.type());
    job.split.push_back(reader.get<bool>());
  }
  job.rows = reader.get<std::int64_t>();
  job.micro_batch = reader.get<std::int64_t>();
  job.pad_last = reader.get<bool>();
  job.is_job = reader.get<bool>();
  job.fingerprint = reader.text();
  return job;
}

std::string identity_of(const GatheredInputs& gathered) {
  std::string text;
  for (const JobInput& input : gathered.inputs) {
    std::uint64_t hash = 0;
    if (input.value.is_tensor() && input.value.tensor.dtype() != DType::string) {
      const std::span bytes(static_cast<const std::byte*>(input.value.tensor.raw()), input.value.tensor.bytes());
      const std::size_t sample = std::min(bytes.size(), kSampledBytes);
      hash = onnx::content_hash(bytes.last(sample), onnx::content_hash(bytes.first(sample)));
    }
    text += fmt::format("{} {} {};", to_string(Type::of(input.value)), input.split, onnx::hash_text(hash));
  }
  return text;
}

std::string fingerprint_of(const GatheredInputs& gathered) {
  for (std::size_t i = 0; i < gathered.inputs.size(); ++i) {
    const Value& value = gathered.inputs[i].value;
    if (!value.is_tensor() || value.tensor.dtype() == DType::string) return {};
    if (gathered.mapped[i] == nullptr && value.tensor.bytes() > kLargestCopyPerRank) return {};
  }
  return fmt::format("{} rows by {}; {}", gathered.batching.rows, gathered.batching.micro_batch, identity_of(gathered));
}

std::vector<bool> agree_on_readers(Cluster& cluster, const SharedJob& job, const GatheredInputs* own) {
  WireWriter mine;
  mine.put(own != nullptr && !job.fingerprint.empty() && fingerprint_of(*own) == job.fingerprint);
  const auto all = cluster.gather(mine.take());
  std::vector<bool> readers;
  for (const auto& bytes : all) readers.push_back(WireReader(bytes).get<bool>());
  return readers;
}

}  // namespace sparse_run::cli
