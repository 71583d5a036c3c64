// A partition compiled for the CPU: steps over slots, with all working memory planned ahead.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "cpu/kernel_table.hpp"
#include "cpu/step.hpp"
#include "cpu/workspace_pool.hpp"
#include "device/device.hpp"

namespace sparse_run::cpu {

struct SelectionPolicy;

/// Values live in slots; slots that share memory form a group. A group's memory is a constant, comes from outside
/// (an input or output of the partition), or is a planned range of the arena. Reshape-like nodes take no step: their
/// result joins its operand's group; so does the result of a kernel that works in place, and what is taken of a list of
/// integers from outside. Values whose shape depends on data have dynamic slots, filled by their step while running.
class Program final : public Executable {
 public:
  Program(const Partition& partition, const Environment& environment, const CompileOptions& options,
          const SelectionPolicy& policy);
  ~Program() override;

  void run(std::span<const Value> inputs, std::span<Value> outputs, RunState& state) const override;
  void run_consuming(std::vector<Value> inputs, std::span<Value> outputs, RunState& state) const override;
  std::vector<LayerReport> layers() const override;
  std::size_t workspace_bytes() const override { return arena_bytes_ + grouped_bytes_; }
  std::size_t weight_bytes() const override;

 private:
  /// Working memory of one execution: the arena, taken from the pool for its time, and every slot's value; planned and
  /// constant ones stay bound.
  struct Frame {
    Tensor arena;
    const std::byte* bound_to = nullptr;  ///< the arena that planned values view
    std::vector<Value> values;
  };
  enum class Storage { planned, constant, input, output, dynamic };
  struct Group {
    Storage storage = Storage::planned;
    int external = -1;     ///< index of the partition's input or output
    int first = -1;        ///< step that writes it first
    int last = -1;         ///< step that uses it last
    int last_reader = -1;  ///< position of the last node that reads a member; used while building
    std::size_t bytes = 0;
    std::size_t offset = 0;
    std::vector<int> members;
  };
  struct Slot {
    Type type;
    int group = -1;
    std::size_t offset = 0;  ///< bytes behind the beginning of the group's memory; only in inputs
    Tensor constant;
  };
  struct Entry {
    std::unique_ptr<Step> step;
    std::vector<int> inputs;  ///< slots of the operands, then of the captures; -1: omitted
    std::vector<int> outputs;
    std::size_t scratch_offset = 0;
    std::string where;                 ///< "node 'x' (Conv)", for error context
    std::vector<LayerReport> reports;  ///< of its layers: one node each
    std::vector<int> released;         ///< dynamic slots and inputs' slots that nothing needs after this step
  };
  class Builder;

  std::unique_ptr<Frame> take_frame() const;
  /// Sets the slots of an input's group to the input and what is taken of it.
  void bind_input(const Group& group, Value input, std::vector<Value>& values) const;
  /// Sets the slots of an output's group to the caller's memory, which is allocated where there is none.
  void bind_output(const Group& group, Value& output, std::vector<Value>& values) const;
  /// Runs all steps on a frame whose inputs are bound.
  void execute(std::unique_ptr<Frame> frame, std::span<Value> outputs, RunState& state) const;

  std::vector<Slot> slots_;
  std::vector<Group> groups_;
  std::vector<Entry> entries_;
  std::size_t layer_count_ = 0;
  std::vector<int> input_slots_;   ///< parallel to the partition's inputs
  std::vector<int> output_slots_;  ///< parallel to the partition's outputs
  std::size_t arena_bytes_ = 0;
  std::size_t grouped_bytes_ = 0;              ///< of lists of edges, kept by the device
  std::shared_ptr<WorkspacePool> workspaces_;  // shared by the programs of a device
  mutable std::mutex frames_mutex_;
  mutable std::vector<std::unique_ptr<Frame>> frames_;  ///< idle working memory of finished executions
};

}  // namespace sparse_run::cpu
