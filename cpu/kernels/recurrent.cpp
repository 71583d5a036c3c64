// LSTM, GRU and RNN in f32: the input's part of all steps as one product, then step by step over the state.
#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "cpu/column/few_lanes.hpp"
#include "cpu/dense/onednn_matmul.hpp"
#include "cpu/kernel_table.hpp"
#include "cpu/parallel.hpp"
#include "cpu/row/row_kernels.hpp"
#include "graph/ops/recurrent.hpp"

namespace sparse_run::cpu {

namespace {

/// Sizes of a recurrent network and where its tensors keep a step of a sequence.
struct Layout {
  std::int64_t steps = 0, batch = 0, features = 0, hidden = 0, gates = 0, directions = 0;
  bool batch_first = false;

  std::int64_t rows() const { return gates * hidden; }
  /// Row of X that holds step t of sequence b, counting rows of `features` values.
  std::int64_t input_row(std::int64_t t, std::int64_t b) const { return batch_first ? b * steps + t : t * batch + b; }
  std::int64_t input_stride() const { return batch_first ? steps : 1; }  ///< rows from a sequence to the next
  /// Row of Y, counting rows of `hidden` values.
  std::int64_t output_row(std::int64_t t, std::int64_t d, std::int64_t b) const {
    return batch_first ? (b * steps + t) * directions + d : (t * directions + d) * batch + b;
  }
  /// Row of the initial and last states.
  std::int64_t state_row(std::int64_t d, std::int64_t b) const {
    return batch_first ? b * directions + d : d * batch + b;
  }
};

/// One direction's weights as the kernels read them.
struct DirectionWeights {
  DenseFewLanes recurrence;        ///< [gates · hidden][hidden]
  const float* input = nullptr;    ///< [gates · hidden][features], of the constant
  std::vector<float> bias;         ///< [gates · hidden], added to the input's part
  std::vector<float> hidden_bias;  ///< [hidden], of a GRU that resets after the product; else empty
};

class RecurrentStep final : public Step {
 public:
  RecurrentStep(const NodeView& view, const Layout& layout, int threads)
      : layout_(layout), attributes_(recurrent_attributes(view.node())), threads_(std::max(threads, 1)) {
    const std::int64_t rows = layout.rows();
    const float* w = view.constant(1)->data<float>().data();
    const auto r = view.constant(2)->data<float>();
    const float* biases = view.has_input(3) ? view.constant(3)->data<float>().data() : nullptr;
    for (std::int64_t d = 0; d < layout.directions; ++d) {
      DirectionWeights one{DenseFewLanes(r.subspan(static_cast<std::size_t>(d * rows * layout.hidden),
                                                   static_cast<std::size_t>(rows * layout.hidden)),
                                         static_cast<std::size_t>(rows), static_cast<std::size_t>(layout.hidden)),
                           w + d * rows * layout.features,
                           std::vector<float>(static_cast<std::size_t>(rows), 0.0f),
                           {}};
      const bool resets_product = layout.gates == 3 && attributes_.linear_before_reset;
      if (resets_product) one.hidden_bias.assign(static_cast<std::size_t>(layout.hidden), 0.0f);
      if (biases != nullptr) {
        const float* own = biases + d * 2 * rows;
        for (std::int64_t i = 0; i < rows; ++i) {
          const bool apart = resets_product && i >= 2 * layout.hidden;
          one.bias[static_cast<std::size_t>(i)] = apart ? own[i] : own[i] + own[rows + i];
          if (apart) one.hidden_bias[static_cast<std::size_t>(i - 2 * layout.hidden)] = own[rows + i];
        }
      }
      weights_.push_back(std::move(one));
    }
    slice_ = (layout.steps * layout.batch + threads_ - 1) / threads_;
    input_rows_ = layout.steps * layout.batch;
    if (input_rows_ > 0 && layout.features > 0) {
      OnednnMatmul::Shape shape{slice_, rows, layout.features, layout.features, 1, 1, layout.features, rows};
      product_.emplace(shape);
      shape.m = input_rows_ % slice_;
      if (shape.m != 0) last_product_.emplace(shape);
    }
  }

  std::size_t scratch_bytes() const override {
    return sizeof(float) * static_cast<std::size_t>(layout_.directions) * direction_floats();
  }
  double flops() const override {
    return 2.0 * static_cast<double>(layout_.directions * input_rows_ * layout_.rows()) *
           static_cast<double>(layout_.features + layout_.hidden);
  }

  void run(const StepArguments& arguments) const override {
    auto* scratch = reinterpret_cast<float*>(arguments.scratch);
    const std::int64_t slices = slice_ == 0 ? 0 : (input_rows_ + slice_ - 1) / slice_;
    parallel_tasks(layout_.directions * slices, [&](std::int64_t task) {
      project_input(arguments, task / slices, task % slices,
                    scratch + static_cast<std::size_t>(task / slices) * direction_floats());
    });
    parallel_tasks(layout_.directions, [&](std::int64_t d) {
      walk(arguments, d, scratch + static_cast<std::size_t>(d) * direction_floats());
    });
  }

 private:
  /// Of one direction: projected inputs, gates, state, cell, one more state.
  std::size_t direction_floats() const {
    return static_cast<std::size_t>(input_rows_ * layout_.rows() +
                                    layout_.batch * (layout_.rows() + 3 * layout_.hidden));
  }

  void project_input(const StepArguments& arguments, std::int64_t d, std::int64_t slice, float* projected) const {
    const DirectionWeights& weights = weights_[static_cast<std::size_t>(d)];
    const std::int64_t first = slice * slice_;
    const std::int64_t count = std::min(slice_, input_rows_ - first);
    float* y = projected + first * layout_.rows();
    if (product_) {
      (count == slice_ ? *product_ : *last_product_)
          .run(arguments.in<float>(0) + first * layout_.features, weights.input, y);
    } else {
      std::fill_n(y, count * layout_.rows(), 0.0f);
    }
    row_kernels().epilogue(Activation::none(), weights.bias.data(), nullptr, 0, y,
                           static_cast<std::size_t>(layout_.rows()), static_cast<std::size_t>(count),
                           static_cast<std::size_t>(layout_.rows()));
  }

  void walk(const StepArguments& arguments, std::int64_t d, float* projected) const {
    const std::int64_t hidden = layout_.hidden;
    const std::int64_t batch = layout_.batch;
    float* gates = projected + input_rows_ * layout_.rows();
    float* state = gates + batch * layout_.rows();
    float* cell = state + batch * hidden;
    float* extra = cell + batch * hidden;
    const auto load = [&](std::size_t operand, float* to) {
      for (std::int64_t b = 0; b < batch; ++b) {
        if (arguments.has_input(operand)) {
          std::copy_n(arguments.in<float>(operand) + layout_.state_row(d, b) * hidden, hidden, to + b * hidden);
        } else {
          std::fill_n(to + b * hidden, hidden, 0.0f);
        }
      }
    };
    load(5, state);
    if (layout_.gates == 4) load(6, cell);
    for (std::int64_t step = 0; step < layout_.steps; ++step) {
      const std::int64_t t = attributes_.reversed[static_cast<std::size_t>(d)] ? layout_.steps - 1 - step : step;
      const float* own = projected + layout_.input_row(t, 0) * layout_.rows();
      if (layout_.gates == 1) step_rnn(d, own, gates, state);
      if (layout_.gates == 3) step_gru(d, own, gates, state, extra);
      if (layout_.gates == 4) step_lstm(d, own, gates, state, cell);
      if (!arguments.has_output(0)) continue;
      auto* y = arguments.out<float>(0);
      for (std::int64_t b = 0; b < batch; ++b) {
        std::copy_n(state + b * hidden, hidden, y + layout_.output_row(t, d, b) * hidden);
      }
    }
    const auto keep = [&](std::size_t output, const float* from) {
      if (!arguments.has_output(output)) return;
      for (std::int64_t b = 0; b < batch; ++b) {
        std::copy_n(from + b * hidden, hidden, arguments.out<float>(output) + layout_.state_row(d, b) * hidden);
      }
    };
    keep(1, state);
    keep(2, cell);
  }

  /// gates[b][first, last) = what the input gave + R · state[b]; with a bias of its own instead of the input's part
  /// where `own` is null.
  void add_recurrence(std::int64_t d, const float* own, const float* bias, const float* state, float* gates,
                      std::int64_t first, std::int64_t last) const {
    const DirectionWeights& weights = weights_[static_cast<std::size_t>(d)];
    Epilogue epilogue;
    epilogue.residual = own;
    epilogue.residual_stride = static_cast<std::size_t>(layout_.input_stride() * layout_.rows());
    epilogue.bias = bias == nullptr ? nullptr : bias - first;
    // a second thread pays where its half of the weights stays in its own cache
    parallel_ranges(last - first, std::max<std::int64_t>(1, 131072 / std::max<std::int64_t>(layout_.hidden, 1)),
                    [&](std::int64_t begin, std::int64_t end) {
                      weights.recurrence.run(
                          state, static_cast<std::size_t>(layout_.hidden), static_cast<std::size_t>(layout_.batch),
                          gates, static_cast<std::size_t>(layout_.rows()), epilogue,
                          static_cast<std::size_t>(first + begin), static_cast<std::size_t>(first + end));
                    });
  }

  void step_rnn(std::int64_t d, const float* own, float* gates, float* state) const {
    add_recurrence(d, own, nullptr, state, gates, 0, layout_.hidden);
    row_kernels().map(curve_of(attributes_.activations[static_cast<std::size_t>(d)][0].name), gates, state,
                      static_cast<std::size_t>(layout_.batch * layout_.hidden));
  }

  void step_gru(std::int64_t d, const float* own, float* gates, float* state, float* kept) const {
    const std::int64_t hidden = layout_.hidden;
    const auto n = static_cast<std::size_t>(hidden);
    const float* hidden_bias = weights_[static_cast<std::size_t>(d)].hidden_bias.data();
    const bool resets_product = attributes_.linear_before_reset;
    add_recurrence(d, own, nullptr, state, gates, 0, 2 * hidden);
    if (resets_product) add_recurrence(d, nullptr, hidden_bias, state, gates, 2 * hidden, 3 * hidden);
    for (std::int64_t b = 0; b < layout_.batch; ++b) {
      float* row = gates + b * layout_.rows();
      float* now = state + b * hidden;
      row_kernels().map(Activation::of(Curve::sigmoid), row, row, 2 * n);
      if (resets_product) {
        const float* input = own + b * layout_.input_stride() * layout_.rows() + 2 * hidden;
        for (std::int64_t h = 0; h < hidden; ++h)
          row[2 * hidden + h] = input[h] + row[hidden + h] * row[2 * hidden + h];
      } else {
        for (std::int64_t h = 0; h < hidden; ++h) kept[b * hidden + h] = row[hidden + h] * now[h];
      }
    }
    if (!resets_product) add_recurrence(d, own, nullptr, kept, gates, 2 * hidden, 3 * hidden);
    for (std::int64_t b = 0; b < layout_.batch; ++b) {
      float* row = gates + b * layout_.rows();
      float* now = state + b * hidden;
      row_kernels().map(Activation::of(Curve::tanh), row + 2 * hidden, row + 2 * hidden, n);
      for (std::int64_t h = 0; h < hidden; ++h) now[h] = (1 - row[h]) * row[2 * hidden + h] + row[h] * now[h];
    }
  }

  void step_lstm(std::int64_t d, const float* own, float* gates, float* state, float* cell) const {
    const std::int64_t hidden = layout_.hidden;
    const auto n = static_cast<std::size_t>(hidden);
    add_recurrence(d, own, nullptr, state, gates, 0, 4 * hidden);
    for (std::int64_t b = 0; b < layout_.batch; ++b) {
      float* row = gates + b * layout_.rows();  // input, output, forget, cell
      float* kept = cell + b * hidden;
      float* now = state + b * hidden;
      row_kernels().map(Activation::of(Curve::sigmoid), row, row, 3 * n);
      row_kernels().map(Activation::of(Curve::tanh), row + 3 * hidden, row + 3 * hidden, n);
      for (std::int64_t h = 0; h < hidden; ++h) kept[h] = row[2 * hidden + h] * kept[h] + row[h] * row[3 * hidden + h];
      row_kernels().map(Activation::of(Curve::tanh), kept, now, n);
      for (std::int64_t h = 0; h < hidden; ++h) now[h] *= row[hidden + h];
    }
  }

  static Activation curve_of(const std::string& name) {
    if (name == "relu") return Activation::relu();
    return Activation::of(name == "sigmoid" ? Curve::sigmoid : Curve::tanh);
  }

  Layout layout_;
  RecurrentAttributes attributes_;
  int threads_;
  std::vector<DirectionWeights> weights_;
  std::int64_t input_rows_ = 0;
  std::int64_t slice_ = 0;  ///< rows of the input's product per task
  std::optional<OnednnMatmul> product_, last_product_;
};

Layout layout_of(const NodeView& view, const RecurrentAttributes& attributes) {
  const Shape& x = view.input_shape(0);
  Layout layout;
  layout.batch_first = attributes.batch_first;
  layout.steps = x[attributes.batch_first ? 1 : 0];
  layout.batch = x[attributes.batch_first ? 0 : 1];
  layout.features = x[2];
  layout.hidden = view.input_shape(2)[2];
  layout.gates = static_cast<std::int64_t>(attributes.gates);
  layout.directions = static_cast<std::int64_t>(attributes.reversed.size());
  return layout;
}

Verdict check(const NodeView& view, const Environment&) {
  if (view.input_type(0).dtype != DType::f32) return Verdict::reject("operands are not f32");
  const RecurrentAttributes attributes = recurrent_attributes(view.node());
  if (view.constant(1) == nullptr || view.constant(2) == nullptr ||
      (view.has_input(3) && view.constant(3) == nullptr)) {
    return Verdict::reject("the weights are computed at run time");
  }
  if (attributes.clip > 0) return Verdict::reject("the gates are clipped");
  if (attributes.input_forget) return Verdict::reject("input and forget gate are coupled");
  if (view.has_input(7)) return Verdict::reject("peepholes");
  static const std::vector<std::string> kStandard[] = {
      {}, {"tanh"}, {}, {"sigmoid", "tanh"}, {"sigmoid", "tanh", "tanh"}};
  for (const auto& direction : attributes.activations) {
    const std::string& first = direction.front().name;
    if (attributes.gates == 1 && (first == "tanh" || first == "relu" || first == "sigmoid")) continue;
    for (std::size_t i = 0; i < direction.size(); ++i) {
      if (direction[i].name != kStandard[attributes.gates][i])
        return Verdict::reject("activation " + direction[i].name);
    }
  }
  const Layout layout = layout_of(view, attributes);
  if (layout.hidden == 0) return Verdict::reject("no hidden units");
  if (view.has_input(4)) {
    const Tensor* lengths = view.constant(4);
    if (lengths == nullptr) return Verdict::reject("sequence lengths are computed at run time");
    const auto all = lengths->to_int64();
    if (std::any_of(all.begin(), all.end(), [&](std::int64_t length) { return length != layout.steps; })) {
      return Verdict::reject("sequences of different lengths");
    }
  }
  return Verdict::accept();
}

std::unique_ptr<Step> build(const NodeView& view, const Environment& environment) {
  return std::make_unique<RecurrentStep>(view, layout_of(view, recurrent_attributes(view.node())), environment.threads);
}

}  // namespace

void register_recurrent_kernels(KernelTable& table) {
  table.add("LSTM", {"cpu.lstm.steps.f32", check, build});
  table.add("GRU", {"cpu.gru.steps.f32", check, build});
  table.add("RNN", {"cpu.rnn.steps.f32", check, build});
}

}  // namespace sparse_run::cpu
