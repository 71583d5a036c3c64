// Data movement of any element type: Transpose, Concat, Split, Slice and Gather as copies of contiguous runs.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "cpu/kernel_table.hpp"
#include "cpu/parallel.hpp"

namespace sparse_run::cpu {

namespace {

bool movable(const NodeView& view) {
  return view.concrete() && element_size(view.output_type(0).dtype) != 0 && element_count(view.output_shape(0)) != 0;
}

/// Transpose as a loop over runs: trailing dimensions that stay in place are copied whole; otherwise tiles of two
/// dimensions, one contiguous in the source and one in the result, keep both sides in cache.
class TransposeStep final : public Step {
 public:
  TransposeStep(const Shape& in, std::vector<std::int64_t> order, std::size_t width) : width_(static_cast<std::int64_t>(width)) {
    const auto strides = row_major_strides(in);
    for (const std::int64_t axis : order) {
      const std::int64_t size = in[static_cast<std::size_t>(axis)];
      const std::int64_t stride = strides[static_cast<std::size_t>(axis)];
      if (size == 1) continue;
      // dimensions that follow each other in the source as well are one
      if (!dims_.empty() && strides_.back() == stride * size) {
        dims_.back() *= size;
        strides_.back() = stride;
      } else {
        dims_.push_back(size);
        strides_.push_back(stride);
      }
    }
    if (!dims_.empty() && strides_.back() == 1) {
      width_ *= dims_.back();
      for (std::int64_t& stride : strides_) stride *= static_cast<std::int64_t>(width);
      dims_.pop_back();
      strides_.pop_back();
    } else {
      for (std::int64_t& stride : strides_) stride *= static_cast<std::int64_t>(width);
    }
  }

  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<std::byte>(0);
    auto* y = arguments.out<std::byte>(0);
    if (dims_.empty()) {
      std::memcpy(y, x, static_cast<std::size_t>(width_));
      return;
    }
    const std::int64_t inner = dims_.back();
    const std::int64_t rows = std::accumulate(dims_.begin(), dims_.end() - 1, std::int64_t{1}, std::multiplies<>());
    // blocks of result rows whose sources lie beside each other share cache lines: walk inner tiles outside of them
    parallel_ranges(rows, std::max<std::int64_t>(1, 65536 / (inner * width_)), [&](std::int64_t begin, std::int64_t end) {
      constexpr std::int64_t kTile = 32;
      for (std::int64_t block = begin; block < end; block += kTile) {
        const std::int64_t block_end = std::min(end, block + kTile);
        for (std::int64_t i = 0; i < inner; i += kTile) {
          const std::int64_t i_end = std::min(inner, i + kTile);
          for (std::int64_t row = block; row < block_end; ++row) {
            copy_run(x + source_of(row) + i * strides_.back(), y + (row * inner + i) * width_, i_end - i);
          }
        }
      }
    });
  }

 private:
  std::int64_t source_of(std::int64_t row) const {
    std::int64_t offset = 0;
    for (std::size_t d = dims_.size() - 1; d-- > 0;) {
      offset += row % dims_[d] * strides_[d];
      row /= dims_[d];
    }
    return offset;
  }

  void copy_run(const std::byte* x, std::byte* y, std::int64_t count) const {
    const std::int64_t stride = strides_.back();
    switch (width_) {
      case 4: return copy_elements<4>(x, y, count, stride);
      case 8: return copy_elements<8>(x, y, count, stride);
      case 2: return copy_elements<2>(x, y, count, stride);
      case 1: return copy_elements<1>(x, y, count, stride);
      default:
        for (std::int64_t i = 0; i < count; ++i) std::memcpy(y + i * width_, x + i * stride, static_cast<std::size_t>(width_));
    }
  }
  template <std::size_t Width>
  static void copy_elements(const std::byte* x, std::byte* y, std::int64_t count, std::int64_t stride) {
    for (std::int64_t i = 0; i < count; ++i) {
      std::memcpy(y + i * static_cast<std::int64_t>(Width), x + i * stride, Width);
    }
  }

  std::int64_t width_;                  ///< bytes copied at once
  std::vector<std::int64_t> dims_;      ///< of the result, outermost first, without the copied run
  std::vector<std::int64_t> strides_;   ///< in the source, bytes, parallel to dims_
};

std::vector<std::int64_t> transpose_order(const NodeView& view) {
  const std::size_t rank = view.input_shape(0).size();
  std::vector<std::int64_t> order = view.node().ints_or("perm");
  if (order.empty()) {
    for (std::size_t i = rank; i-- > 0;) order.push_back(static_cast<std::int64_t>(i));
  }
  return order;
}

Verdict check_movable(const NodeView& view, const Environment&) {
  return movable(view) ? Verdict::accept() : Verdict::reject("strings, or an empty result");
}

std::unique_ptr<Step> build_transpose(const NodeView& view, const Environment&) {
  return std::make_unique<TransposeStep>(view.input_shape(0), transpose_order(view),
                                         element_size(view.input_type(0).dtype));
}

/// Concat along an axis: each operand contributes one run per outer index.
class ConcatStep final : public Step {
 public:
  ConcatStep(std::int64_t outer, std::vector<std::int64_t> runs) : outer_(outer), runs_(std::move(runs)) {}

  void run(const StepArguments& arguments) const override {
    auto* y = arguments.out<std::byte>(0);
    const std::int64_t row = std::accumulate(runs_.begin(), runs_.end(), std::int64_t{0});
    parallel_ranges(outer_, std::max<std::int64_t>(1, 65536 / std::max<std::int64_t>(row, 1)), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        std::byte* out = y + i * row;
        for (std::size_t k = 0; k < runs_.size(); ++k) {
          if (runs_[k] == 0) continue;
          std::memcpy(out, arguments.in<std::byte>(k) + i * runs_[k], static_cast<std::size_t>(runs_[k]));
          out += runs_[k];
        }
      }
    });
  }

 private:
  std::int64_t outer_;
  std::vector<std::int64_t> runs_;  ///< bytes per outer index, per operand
};

std::unique_ptr<Step> build_concat(const NodeView& view, const Environment&) {
  const Shape& result = view.output_shape(0);
  const auto axis = static_cast<std::size_t>(normalize_axis(view.node().int_or("axis", 1), result.size()));
  const auto width = static_cast<std::int64_t>(element_size(view.output_type(0).dtype));
  const std::int64_t outer = element_count(std::span(result).first(axis));
  std::vector<std::int64_t> runs;
  for (std::size_t k = 0; k < view.input_count(); ++k) {
    runs.push_back(element_count(std::span(view.input_shape(k)).subspan(axis)) * width);
  }
  return std::make_unique<ConcatStep>(outer, std::move(runs));
}

/// Gather of whole runs along an axis with indices in range, negative ones counted from the end.
class GatherStep final : public Step {
 public:
  GatherStep(std::int64_t outer, std::int64_t size, std::int64_t run, bool wide)
      : outer_(outer), size_(size), run_(run), wide_(wide) {}

  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<std::byte>(0);
    auto* y = arguments.out<std::byte>(0);
    const std::int64_t count = arguments.input(1).size();
    std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) {
      std::int64_t index = wide_ ? arguments.in<std::int64_t>(1)[i] : arguments.in<std::int32_t>(1)[i];
      if (index < -size_ || index >= size_) {
        throw_error(ErrorKind::input, "index {} is outside [-{}, {})", index, size_, size_);
      }
      rows[static_cast<std::size_t>(i)] = index < 0 ? index + size_ : index;
    }
    parallel_ranges(outer_ * count, std::max<std::int64_t>(1, 65536 / std::max<std::int64_t>(run_, 1)), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t row = rows[static_cast<std::size_t>(i % count)];
        std::memcpy(y + i * run_, x + (i / count * size_ + row) * run_, static_cast<std::size_t>(run_));
      }
    });
  }

 private:
  std::int64_t outer_;
  std::int64_t size_;  ///< of the gathered axis
  std::int64_t run_;   ///< bytes
  bool wide_;          ///< 64-bit indices
};

Verdict check_gather(const NodeView& view, const Environment&) {
  if (!movable(view)) return Verdict::reject("strings, or an empty result");
  const DType index = view.input_type(1).dtype;
  return index == DType::i64 || index == DType::i32 ? Verdict::accept() : Verdict::reject("indices are not i32 or i64");
}

std::unique_ptr<Step> build_gather(const NodeView& view, const Environment&) {
  const Shape& data = view.input_shape(0);
  const auto axis = static_cast<std::size_t>(normalize_axis(view.node().int_or("axis", 0), data.size()));
  const auto width = static_cast<std::int64_t>(element_size(view.output_type(0).dtype));
  return std::make_unique<GatherStep>(element_count(std::span(data).first(axis)), data[axis],
                                      element_count(std::span(data).subspan(axis + 1)) * width,
                                      view.input_type(1).dtype == DType::i64);
}

/// Split along an axis: the reverse of Concat.
class SplitStep final : public Step {
 public:
  SplitStep(std::int64_t outer, std::int64_t row, std::vector<std::int64_t> runs)
      : outer_(outer), row_(row), runs_(std::move(runs)) {}

  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<std::byte>(0);
    parallel_ranges(outer_, std::max<std::int64_t>(1, 65536 / std::max<std::int64_t>(row_, 1)), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::byte* in = x + i * row_;
        for (std::size_t k = 0; k < runs_.size(); ++k) {
          if (arguments.outputs[k] >= 0 && runs_[k] != 0) {
            std::memcpy(arguments.out<std::byte>(k) + i * runs_[k], in, static_cast<std::size_t>(runs_[k]));
          }
          in += runs_[k];
        }
      }
    });
  }

 private:
  std::int64_t outer_;
  std::int64_t row_;
  std::vector<std::int64_t> runs_;
};

Verdict check_split(const NodeView& view, const Environment&) {
  if (!view.concrete() || element_size(view.input_type(0).dtype) == 0) return Verdict::reject("strings");
  for (std::size_t i = 0; i < view.node().outputs.size(); ++i) {
    if (!view.has_output(i)) return Verdict::reject("not every part is wanted");
  }
  return Verdict::accept();
}

std::unique_ptr<Step> build_split(const NodeView& view, const Environment&) {
  const Shape& data = view.input_shape(0);
  const auto axis = static_cast<std::size_t>(normalize_axis(view.node().int_or("axis", 0), data.size()));
  const auto width = static_cast<std::int64_t>(element_size(view.input_type(0).dtype));
  std::vector<std::int64_t> runs;
  for (std::size_t i = 0; i < view.node().outputs.size(); ++i) {
    runs.push_back(element_count(std::span(view.output_shape(i)).subspan(axis)) * width);
  }
  return std::make_unique<SplitStep>(element_count(std::span(data).first(axis)),
                                     element_count(std::span(data).subspan(axis)) * width, std::move(runs));
}

}  // namespace

void register_movement_kernels(KernelTable& table) {
  table.add("Transpose", {"cpu.transpose.tiled", check_movable, build_transpose});
  table.add("Concat", {"cpu.concat.runs", check_movable, build_concat});
  table.add("Gather", {"cpu.gather.runs", check_gather, build_gather});
  table.add("Split", {"cpu.split.runs", check_split, build_split});
}

}  // namespace sparse_run::cpu
