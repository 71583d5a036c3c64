// Pad of any element type and mode: rows of the result made of runs of the operand.
#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "cpu/kernel_table.hpp"
#include "cpu/parallel.hpp"
#include "cpu/reference/padded_source.hpp"
#include "graph/ops/geometry.hpp"

namespace sparse_run::cpu {

namespace {

constexpr std::int64_t kOutside = -1;  ///< the constant's place in a source map

class PadStep final : public Step {
 public:
  PadStep(const Shape& in, const Shape& out, const Padding& padding, const std::string& mode, std::size_t width)
      : in_(in), out_(out), width_(width) {
    for (std::size_t d = 0; d < in.size(); ++d) {
      std::vector<std::int64_t> sources;
      for (std::int64_t i = 0; i < out[d]; ++i) {
        sources.push_back(reference::padded_source(mode, i - padding.before[d], in[d]));
      }
      sources_.push_back(std::move(sources));
    }
    // the longest run of the last axis that lies in the operand as it does in the result
    const auto& last = sources_.back();
    run_begin_ = std::clamp<std::int64_t>(padding.before.back(), 0, out.back());
    run_end_ = run_begin_;
    while (run_end_ < out.back() && last[static_cast<std::size_t>(run_end_)] == run_end_ - padding.before.back())
      ++run_end_;
  }

  void run(const StepArguments& arguments) const override {
    switch (width_) {
      case 1:
        return fill<std::uint8_t>(arguments);
      case 2:
        return fill<std::uint16_t>(arguments);
      case 4:
        return fill<std::uint32_t>(arguments);
      default:
        return fill<std::uint64_t>(arguments);
    }
  }

 private:
  /// Elements are moved as unsigned integers of their size.
  template <class Element>
  void fill(const StepArguments& arguments) const {
    const auto* x = static_cast<const Element*>(arguments.input(0).raw());
    auto* y = static_cast<Element*>(arguments.output(0).raw());
    Element constant{};
    if (arguments.has_input(2) && arguments.input(2).size() != 0)
      std::memcpy(&constant, arguments.input(2).raw(), sizeof(Element));
    const std::int64_t row = out_.back();
    const std::int64_t in_row = in_.back();
    const auto& last = sources_.back();
    const std::int64_t rows = arguments.output(0).size() / row;
    parallel_ranges(rows, std::max<std::int64_t>(1, 65536 / (row * static_cast<std::int64_t>(sizeof(Element)))),
                    [&](std::int64_t begin, std::int64_t end) {
                      for (std::int64_t r = begin; r < end; ++r) {
                        Element* to = y + r * row;
                        const std::int64_t source = source_row(r);
                        if (source == kOutside) {
                          std::fill_n(to, row, constant);
                          continue;
                        }
                        const Element* from = x + source * in_row;
                        const auto element = [&](std::int64_t i) {
                          const std::int64_t at = last[static_cast<std::size_t>(i)];
                          return at == kOutside ? constant : from[at];
                        };
                        for (std::int64_t i = 0; i < run_begin_; ++i) to[i] = element(i);
                        if (run_end_ > run_begin_) {
                          std::copy_n(from + last[static_cast<std::size_t>(run_begin_)], run_end_ - run_begin_,
                                      to + run_begin_);
                        }
                        for (std::int64_t i = run_end_; i < row; ++i) to[i] = element(i);
                      }
                    });
  }

  /// The operand's row that result row `r` reads, or kOutside.
  std::int64_t source_row(std::int64_t r) const {
    std::int64_t source = 0;
    std::int64_t stride = 1;
    for (std::size_t d = out_.size() - 1; d-- > 0;) {
      const std::int64_t at = sources_[d][static_cast<std::size_t>(r % out_[d])];
      if (at == kOutside) return kOutside;
      source += at * stride;
      stride *= in_[d];
      r /= out_[d];
    }
    return source;
  }

  Shape in_, out_;
  std::size_t width_;
  std::vector<std::vector<std::int64_t>> sources_;  ///< per axis and result coordinate
  std::int64_t run_begin_ = 0, run_end_ = 0;
};

OptionalIntegers constant_integers(const NodeView& view, std::size_t i) {
  const Tensor* tensor = view.constant(i);
  return tensor == nullptr ? std::nullopt : OptionalIntegers(tensor->to_int64());
}

Verdict check(const NodeView& view, const Environment&) {
  const std::size_t width = element_size(view.input_type(0).dtype);
  if (width != 1 && width != 2 && width != 4 && width != 8) return Verdict::reject("elements of another size");
  if (view.input_shape(0).empty()) return Verdict::reject("the operand is a scalar");
  if (element_count(view.input_shape(0)) == 0 || element_count(view.output_shape(0)) == 0)
    return Verdict::reject("empty");
  if (view.node().opset < 11) return Verdict::reject("the constant is an attribute before opset 11");
  if (!constant_integers(view, 1) || (view.has_input(3) && !constant_integers(view, 3))) {
    return Verdict::reject("pads are computed at run time");
  }
  for (const std::int64_t size : view.output_shape(0)) {
    if (size > (std::int64_t{1} << 26)) return Verdict::reject("an axis longer than 2^26");
  }
  return Verdict::accept();
}

std::unique_ptr<Step> build(const NodeView& view, const Environment&) {
  const auto axes = view.node().opset >= 18 && view.has_input(3) ? constant_integers(view, 3) : std::nullopt;
  return std::make_unique<PadStep>(view.input_shape(0), view.output_shape(0),
                                   padding_of(view.input_shape(0).size(), *constant_integers(view, 1), axes),
                                   view.node().string_or("mode", "constant"), element_size(view.input_type(0).dtype));
}

}  // namespace

void register_pad_kernels(KernelTable& table) { table.add("Pad", {"cpu.pad.runs", check, build}); }

}  // namespace sparse_run::cpu
