// Slab programs give what their nodes give one after the other, whatever the shares, threads and cuts.
#include "cpu/column/slab_program.hpp"

#include <gtest/gtest.h>
#include <tbb/task_arena.h>

#include <vector>

#include "cpu/column/aligned.hpp"
#include "cpu/column/column_test_support.hpp"

namespace sparse_run::cpu {
namespace {

struct Plane {
  int channels, height, width;
  std::size_t floats() const { return static_cast<std::size_t>(channels * height * width); }
};

/// Sums what the window's rows hold at each position, and the second operand if there is one; then halves it.
class WindowSum final : public SlabOp {
 public:
  WindowSum(Plane in, Plane out, RowWindow window, int shares, bool by_channels)
      : in_(in), out_(out), window_(window), shares_(shares), by_channels_(by_channels) {}

  void run(const SlabCall& call) const noexcept override {
    const int first = by_channels_ ? out_.channels * call.share / shares_ : 0;
    const int last = by_channels_ ? out_.channels * (call.share + 1) / shares_ : out_.channels;
    for (int channel = first; channel < last; ++channel) {
      for (int row = call.begin; row < call.end; ++row) {
        for (int at = 0; at < out_.width; ++at) {
          float sum = static_cast<float>(channel);
          for (int in = window_.first(row); in <= window_.last(row); in += window_.dilation) {
            if (in < 0 || in >= in_.height) continue;
            sum += call.inputs[0].row(in, in_.width)[channel % in_.channels * call.inputs[0].channel_stride + at];
          }
          if (call.inputs.size() > 1) {
            sum += call.inputs[1].row(row, out_.width)[channel * call.inputs[1].channel_stride + at];
          }
          call.output.row(row, out_.width)[channel * call.output.channel_stride + at] = sum / 2;
        }
      }
    }
  }

 private:
  Plane in_, out_;
  RowWindow window_;
  int shares_;
  bool by_channels_;
};

/// Random nodes over one input; the last value and one in between are outputs.
struct Made {
  std::vector<SlabValue> values;
  std::vector<SlabNode> nodes;
};

Made make(std::mt19937 random, int shares, bool cut_channels) {
  Made made;
  const auto number = [&](std::size_t low, std::size_t high) { return static_cast<int>(uniform(random, low, high)); };
  made.values.push_back({number(1, 5), number(1, 17), number(1, 9), 0, -1});
  const int count = number(2, 14);
  for (int i = 0; i < count; ++i) {
    const int from = number(0, 3) == 0 ? number(0, static_cast<std::size_t>(i)) : i;
    const SlabValue in = made.values[static_cast<std::size_t>(from)];
    RowWindow window{number(1, 4), number(1, 2), number(1, 2), number(0, 2)};
    const int room = in.height + 2 * window.pad - (window.kernel - 1) * window.dilation - 1;
    if (room < 0) window = {};
    SlabValue out{number(1, 6), room < 0 ? in.height : room / window.stride + 1, in.width, -1, -1};
    SlabNode node;
    node.inputs = {from};
    node.windows = {window};
    for (int other = 0; other <= i; ++other) {
      const SlabValue& added = made.values[static_cast<std::size_t>(other)];
      if (added.height != out.height || other == from || number(0, 1) == 0) continue;
      out.channels = added.channels;
      node.inputs.push_back(other);
      node.windows.emplace_back();
      break;
    }
    const bool by_channels = number(0, 2) == 0 && cut_channels;
    node.op = std::make_unique<WindowSum>(Plane{in.channels, in.height, in.width},
                                          Plane{out.channels, out.height, out.width}, window, shares, by_channels);
    node.output = i + 1;
    node.by_channels = by_channels;
    made.values.push_back(out);
    made.nodes.push_back(std::move(node));
  }
  made.values.back().output = 0;
  if (count > 3) made.values[static_cast<std::size_t>(count / 2)].output = 1;
  return made;
}

std::vector<std::vector<float>> run(Made made, int shares, int threads, const std::vector<float>& input, int images) {
  std::vector<std::vector<float>> results(2);
  for (const SlabValue& value : made.values) {
    if (value.output < 0) continue;
    const Plane plane{value.channels, value.height, value.width};
    results[static_cast<std::size_t>(value.output)].assign(static_cast<std::size_t>(images) * plane.floats(), -1.0f);
  }
  const SlabProgram program(std::move(made.values), std::move(made.nodes), shares);
  AlignedVector<std::byte> scratch(program.scratch_bytes() + 1, std::byte{0xff});
  const std::vector<const float*> inputs{input.data()};
  const std::vector<float*> outputs{results[0].data(), results[1].data()};
  SlabRun run;
  run.inputs = inputs;
  run.outputs = outputs;
  run.images = images;
  run.scratch = scratch.data();
  tbb::task_arena arena(threads);
  arena.execute([&] { program.run(run); });
  return results;
}

TEST(SlabProgram, shares_threads_and_cuts_do_not_change_results) {
  std::mt19937 random = seeded_random();
  for (int i = 0; i < 200; ++i) {
    SCOPED_TRACE(i);
    const std::mt19937 network(static_cast<unsigned>(random()));
    const int images = static_cast<int>(uniform(random, 1, 3));
    const Made whole = make(network, 1, false);
    const SlabValue& in = whole.values.front();
    const Plane plane{in.channels, in.height, in.width};
    const auto input = random_floats(random, static_cast<std::size_t>(images) * plane.floats());
    const auto expected = run(make(network, 1, false), 1, 1, input, images);
    for (const int shares : {2, 3, 7}) {
      for (const int threads : {1, 2, 4}) {
        EXPECT_EQ(run(make(network, shares, true), shares, threads, input, images), expected)
            << shares << " shares, " << threads << " threads";
      }
    }
  }
}

TEST(SlabProgram, rows_of_neighbours_are_copied_once) {
  // 8 rows in two shares; a window of three rows and then one of five read the same value
  std::vector<SlabValue> values{{1, 8, 4, 0, -1}, {1, 8, 4, -1, -1}, {1, 8, 4, -1, 0}, {1, 8, 4, -1, 1}};
  const Plane plane{1, 8, 4};
  std::vector<SlabNode> nodes;
  const auto add = [&](int input, RowWindow window, int output) {
    SlabNode node;
    node.op = std::make_unique<WindowSum>(plane, plane, window, 2, false);
    node.inputs = {input};
    node.windows = {window};
    node.output = output;
    nodes.push_back(std::move(node));
  };
  add(0, {1, 1, 1, 0}, 1);
  add(1, {3, 1, 1, 1}, 2);
  add(1, {5, 1, 1, 2}, 3);
  const SlabProgram program(std::move(values), std::move(nodes), 2);
  EXPECT_EQ(program.rows_copied(0), 0);
  EXPECT_EQ(program.rows_copied(1), 4);  // two of each share, as many as the larger window needs
  EXPECT_EQ(program.rows_copied(2), 0);
}

}  // namespace
}  // namespace sparse_run::cpu
