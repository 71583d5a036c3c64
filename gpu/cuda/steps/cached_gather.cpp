// Gathering through a cache of rows.
#include "gpu/cuda/steps/cached_gather.hpp"

#include <algorithm>
#include <utility>

#include "gpu/cuda/kernels/embedding.hpp"
#include "graph/ops/geometry.hpp"

namespace sparse_run::gpu::cuda {

namespace {

constexpr unsigned kThreads = 256;
constexpr Index kMostBlocks = 16;  ///< of lookups: more threads than sets have nothing to do

class CachedGatherStep final : public Step {
 public:
  CachedGatherStep(const NodeView& view, const std::shared_ptr<Gpu>& gpu, std::shared_ptr<const HostWeights> table,
                   std::size_t cache_bytes)
      : gpu_(gpu), table_(std::move(table)), table_name_(view.in(0).name), index_name_(view.in(1).name) {
    const Shape& from = view.in_shape(0);
    lookup_.wide = view.in_type(1) == DType::i64;
    lookup_.index_count = element_count(view.in_shape(1));
    lookup_.extent = from[0];
    copy_.row_bytes = element_count(std::span<const std::int64_t>(from).subspan(1)) *
                      static_cast<Index>(element_size(view.out_type()));
    copy_.unit = copy_.row_bytes % 8 == 0 ? 8 : copy_.row_bytes % 4 == 0 ? 4 : 1;
    const auto per_set = static_cast<std::size_t>(kCacheWays) *
                         (static_cast<std::size_t>(copy_.row_bytes) + sizeof(Index) + sizeof(unsigned long long));
    const Index rows_of_sets = (lookup_.extent + kCacheWays - 1) / kCacheWays;
    lookup_.sets = std::clamp<Index>(static_cast<Index>(cache_bytes / per_set), 1, std::max<Index>(1, rows_of_sets));
    const auto places = static_cast<std::size_t>(lookup_.sets * kCacheWays);
    blocks_ = std::clamp<Index>(lookup_.sets / kThreads, 1, kMostBlocks);
    rows_ = DeviceArray(gpu, std::vector<Index>(places, -1));
    used_ = DeviceArray(gpu, std::vector<unsigned long long>(places, 0));
    counters_ = DeviceArray(gpu, std::vector<RowCacheCounters>(lanes(), RowCacheCounters{}));
    cache_ = DeviceArray(gpu, places * static_cast<std::size_t>(copy_.row_bytes));
    lookup_.rows = static_cast<Index*>(rows_.data());
    lookup_.used = static_cast<unsigned long long*>(used_.data());
    lookup_.counters = static_cast<RowCacheCounters*>(counters_.data());
    copy_.table = static_cast<const unsigned char*>(pointer_to(table_->address()));
    copy_.cache = static_cast<unsigned char*>(cache_.data());
    copy_.wide = lookup_.wide;
    copy_.index_count = lookup_.index_count;
    copy_.extent = lookup_.extent;
  }

  std::string_view kernel() const override { return "gpu.gather.cached"; }
  bool reads(std::size_t operand) const override { return operand != 0; }
  std::size_t weight_bytes() const override {
    return rows_.bytes() + used_.bytes() + counters_.bytes() + cache_.bytes();
  }
  std::size_t scratch_bytes() const override { return static_cast<std::size_t>(lookup_.index_count) * sizeof(Index); }
  std::string fault_text(unsigned long long code) const override {
    return fmt::format("index {} of '{}' is out of range: the axis has {} elements", code - 1, index_name_,
                       lookup_.extent);
  }

  void enqueue(const StepLaunch& launch) const override {
    if (lookup_.index_count == 0 || copy_.row_bytes == 0) return;
    RowCacheLookup lookup = lookup_;
    lookup.indices = launch.in<void>(1);
    lookup.places = static_cast<Index*>(pointer_to(launch.scratch));
    lookup.fault = static_cast<unsigned long long*>(pointer_to(launch.fault));
    launch.gpu.launch("row_cache_lookup", {static_cast<unsigned>(blocks_), kThreads, 0}, launch.stream, lookup);
    RowCacheCopy copy = copy_;
    copy.indices = lookup.indices;
    copy.places = lookup.places;
    copy.y = launch.out<unsigned char>();
    const LaunchShape shape = shape_for_items(copy.index_count * (copy.row_bytes / copy.unit));
    copy.loading = true;
    launch.gpu.launch("row_cache_copy", shape, launch.stream, copy);
    copy.loading = false;
    launch.gpu.launch("row_cache_copy", shape, launch.stream, copy);
  }

  std::string remark() const override {
    std::vector<RowCacheCounters> counters(lanes());
    gpu_->download(counters.data(), address_of(counters_.data()), counters.size() * sizeof(counters[0]));
    double hits = 0;
    double rows = 0;
    for (const RowCacheCounters& one : counters) {
      hits += static_cast<double>(one.hits);
      rows += static_cast<double>(one.hits + one.misses);
    }
    return fmt::format("'{}' stays in CPU memory; {:.1f}% of {:.0f} rows came from its cache of {} rows", table_name_,
                       rows > 0 ? 100 * hits / rows : 0.0, rows, lookup_.sets * kCacheWays);
  }

 private:
  std::size_t lanes() const { return static_cast<std::size_t>(blocks_) * kThreads; }

  std::shared_ptr<Gpu> gpu_;
  std::shared_ptr<const HostWeights> table_;  // shared with other signatures of the model
  std::string table_name_;
  std::string index_name_;
  Index blocks_ = 1;
  RowCacheLookup lookup_{};
  RowCacheCopy copy_{};
  DeviceArray rows_;  ///< what the cache holds: changed by executions, which follow one another
  DeviceArray used_;
  DeviceArray counters_;
  DeviceArray cache_;
};

}  // namespace

bool gathers_rows(const NodeView& view) {
  if (!view.node().domain.empty() || view.node().op != "Gather" || view.constant(0) == nullptr) return false;
  const Shape& from = view.in_shape(0);
  return !from.empty() && element_count(from) > 0 &&
         normalize_axis(view.node().int_or("axis", 0), static_cast<std::int64_t>(from.size())) == 0;
}

std::size_t cached_gather_scratch(const NodeView& view) {
  return static_cast<std::size_t>(element_count(view.in_shape(1))) * sizeof(Index);
}

std::unique_ptr<Step> build_cached_gather(const NodeView& view, const std::shared_ptr<Gpu>& gpu,
                                          std::shared_ptr<const HostWeights> table, std::size_t cache_bytes) {
  return std::make_unique<CachedGatherStep>(view, gpu, std::move(table), cache_bytes);
}

}  // namespace sparse_run::gpu::cuda
