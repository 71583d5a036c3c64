// Builds and runs the baseline kernel.
#include "bench/kernels/prototype.hpp"

#include <immintrin.h>

#include <algorithm>
#include <numeric>

namespace sparse_run::bench {

PrototypeColumns::PrototypeColumns(const cpu::Csr& weights, std::size_t k_tile) : k_tile_(k_tile) {
  std::vector<std::size_t> next(weights.row_begin.begin(), weights.row_begin.end() - 1);
  for (std::size_t k = 0; k < weights.columns; k += k_tile) {
    std::vector<std::vector<Entry>> rows(weights.rows);
    for (std::size_t r = 0; r < weights.rows; ++r) {
      for (; next[r] < weights.row_begin[r + 1] && weights.column[next[r]] < k + k_tile; ++next[r]) {
        rows[r].push_back({static_cast<std::uint32_t>((weights.column[next[r]] - k) * kLanes), weights.value[next[r]]});
      }
    }
    std::vector<std::uint32_t> order(weights.rows);
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return rows[a].size() > rows[b].size(); });
    Tile tile;
    for (const std::uint32_t r : order) {
      if (tile.runs.empty() || tile.runs.back().entries != rows[r].size()) {
        tile.runs.push_back({static_cast<std::uint32_t>(rows[r].size()), 0});
      }
      ++tile.runs.back().rows;
      tile.rows.push_back(r);
      tile.entries.insert(tile.entries.end(), rows[r].begin(), rows[r].end());
    }
    tile.rows.resize(tile.rows.size() + 4);  // looked ahead at
    tiles_.push_back(std::move(tile));
  }
}

[[gnu::target("avx512f")]] void PrototypeColumns::run(const float* x, float* y) const noexcept {
  bool first = true;
  for (const Tile& tile : tiles_) {
    const Entry* entry = tile.entries.data();
    const std::uint32_t* row = tile.rows.data();
    for (const Run& run : tile.runs) {
      for (std::uint32_t r = 0; r < run.rows; ++r) {
        const float* ahead = y + row[4] * kLanes;
        for (std::size_t v = 0; v < 4; ++v) __builtin_prefetch(ahead + v * 16);
        float* out = y + *row++ * kLanes;
        __m512 a = first ? _mm512_setzero_ps() : _mm512_loadu_ps(out);
        __m512 b = first ? _mm512_setzero_ps() : _mm512_loadu_ps(out + 16);
        __m512 c = first ? _mm512_setzero_ps() : _mm512_loadu_ps(out + 32);
        __m512 d = first ? _mm512_setzero_ps() : _mm512_loadu_ps(out + 48);
        for (const Entry* const end = entry + run.entries; entry != end; ++entry) {
          const __m512 w = _mm512_set1_ps(entry->weight);
          const float* in = x + entry->at;
          a = _mm512_fmadd_ps(w, _mm512_loadu_ps(in), a);
          b = _mm512_fmadd_ps(w, _mm512_loadu_ps(in + 16), b);
          c = _mm512_fmadd_ps(w, _mm512_loadu_ps(in + 32), c);
          d = _mm512_fmadd_ps(w, _mm512_loadu_ps(in + 48), d);
        }
        _mm512_storeu_ps(out, a);
        _mm512_storeu_ps(out + 16, b);
        _mm512_storeu_ps(out + 32, c);
        _mm512_storeu_ps(out + 48, d);
      }
    }
    x += k_tile_ * kLanes;
    first = false;
  }
}

}  // namespace sparse_run::bench
