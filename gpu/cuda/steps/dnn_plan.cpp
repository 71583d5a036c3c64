// Describing convolutions to cuDNN and choosing among its engines.
#include "gpu/cuda/steps/dnn_plan.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>

namespace sparse_run::gpu::cuda {

namespace {

constexpr std::int64_t kMostConfigurations = 16;
constexpr std::int64_t kAlignment = 16;  ///< bytes, of all tensors

// Names of tensors within a graph; virtual ones count on from kFirstVirtual.
constexpr std::int64_t kInput = 1;
constexpr std::int64_t kFirstVirtual = 10;

void expect(const Gpu& gpu, int code, const char* what) {
  if (code != 0) gpu.fail("cuDNN", gpu.libraries().dnn.table->error_text(code), what);
}

std::vector<std::int64_t> strides_of(const std::vector<std::int64_t>& shape) { return row_major_strides(shape); }

/// Descriptors of one graph while it is put together.
class GraphBuilderOfDnn {
 public:
  GraphBuilderOfDnn(const Gpu& gpu, std::vector<DnnNode>& nodes) : gpu_(gpu), nodes_(nodes) {}

  std::size_t tensor(std::int64_t id, const std::vector<std::int64_t>& shape, bool is_virtual,
                     int type = dnn::kDataF32) {
    DnnNode node(gpu_, dnn::kTensor);
    const std::int64_t alignment = kAlignment;
    node.set(dnn::kTensorType, dnn::kTypeDataType, &type);
    node.set_numbers(dnn::kTensorDimensions, shape);
    node.set_numbers(dnn::kTensorStrides, strides_of(shape));
    node.set(dnn::kTensorId, dnn::kTypeInt64, &id);
    node.set(dnn::kTensorAlignment, dnn::kTypeInt64, &alignment);
    if (is_virtual) node.set(dnn::kTensorVirtual, dnn::kTypeBoolean, &is_virtual);
    node.must_finalize("describing a tensor");
    return keep(std::move(node));
  }

  void convolution(const ConvGeometry& geometry, std::size_t x, std::size_t w, std::size_t y) {
    DnnNode shape(gpu_, dnn::kConvolution);
    const int type = dnn::kDataF32;
    const int mode = dnn::kCrossCorrelation;
    const auto dims = static_cast<std::int64_t>(geometry.axes.size());
    std::array<std::vector<std::int64_t>, 4> lists;
    for (const WindowAxis& axis : geometry.axes) {
      lists[0].push_back(axis.dilation);
      lists[1].push_back(axis.stride);
      lists[2].push_back(axis.pad_begin);
      lists[3].push_back(axis.pad_end);
    }
    shape.set(dnn::kConvolutionCompute, dnn::kTypeDataType, &type);
    shape.set(dnn::kConvolutionMode, dnn::kTypeConvolutionMode, &mode);
    shape.set(dnn::kConvolutionSpatialDims, dnn::kTypeInt64, &dims);
    shape.set_numbers(dnn::kConvolutionDilations, lists[0]);
    shape.set_numbers(dnn::kConvolutionStrides, lists[1]);
    shape.set_numbers(dnn::kConvolutionPrePaddings, lists[2]);
    shape.set_numbers(dnn::kConvolutionPostPaddings, lists[3]);
    shape.must_finalize("describing a convolution");
    const std::size_t kept = keep(std::move(shape));
    DnnNode operation(gpu_, dnn::kConvolutionForward);
    const float one = 1;
    const float zero = 0;
    operation.set_descriptor(dnn::kForwardConvolution, nodes_[kept]);
    operation.set_descriptor(dnn::kForwardInput, nodes_[x]);
    operation.set_descriptor(dnn::kForwardWeights, nodes_[w]);
    operation.set_descriptor(dnn::kForwardOutput, nodes_[y]);
    operation.set(dnn::kForwardAlpha, dnn::kTypeFloat, &one);
    operation.set(dnn::kForwardBeta, dnn::kTypeFloat, &zero);
    operation.must_finalize("describing a convolution");
    operations_.push_back(operation.handle());
    keep(std::move(operation));
  }

  /// y = mode(x) or mode(x, operand).
  void pointwise(int mode, const UnaryCall* activation, std::size_t x, std::optional<std::size_t> operand,
                 std::size_t y) {
    DnnNode function(gpu_, dnn::kPointwise);
    const int type = dnn::kDataF32;
    function.set(dnn::kPointwiseMode, dnn::kTypePointwiseMode, &mode);
    function.set(dnn::kPointwisePrecision, dnn::kTypeDataType, &type);
    if (activation != nullptr && activation->function == Unary::clip) {
      const double low = activation->a;
      const double high = activation->b;
      function.set(dnn::kReluLowerClip, dnn::kTypeDouble, &low);
      function.set(dnn::kReluUpperClip, dnn::kTypeDouble, &high);
    }
    function.must_finalize("describing a function");
    const std::size_t kept = keep(std::move(function));
    DnnNode operation(gpu_, dnn::kPointwiseOperation);
    operation.set_descriptor(dnn::kPointwiseDescriptor, nodes_[kept]);
    operation.set_descriptor(dnn::kPointwiseInput, nodes_[x]);
    if (operand) operation.set_descriptor(dnn::kPointwiseOperand, nodes_[*operand]);
    operation.set_descriptor(dnn::kPointwiseOutput, nodes_[y]);
    operation.must_finalize("describing a function");
    operations_.push_back(operation.handle());
    keep(std::move(operation));
  }

  const std::vector<DnnDescriptor>& operations() const { return operations_; }

 private:
  std::size_t keep(DnnNode node) {
    nodes_.push_back(std::move(node));
    return nodes_.size() - 1;
  }

  const Gpu& gpu_;
  std::vector<DnnNode>& nodes_;
  std::vector<DnnDescriptor> operations_;
};

int mode_of(Unary function) {
  switch (function) {
    case Unary::tanh:
      return dnn::kTanh;
    case Unary::sigmoid:
      return dnn::kSigmoid;
    default:
      return dnn::kRelu;  // relu, and clip as a relu with bounds
  }
}

int type_of(Precision precision) {
  return precision == Precision::f16 ? dnn::kDataF16 : precision == Precision::bf16 ? dnn::kDataBf16 : dnn::kDataF32;
}

/// Whether the engine of a configuration keeps to f32.
bool keeps_precision(const Gpu& gpu, const DnnNode& configuration) {
  const Dnn& table = *gpu.libraries().dnn.table;
  DnnNode engine(gpu, dnn::kEngine);
  DnnDescriptor handle = engine.handle();
  std::int64_t count = 0;
  expect(gpu,
         table.descriptor_get(configuration.handle(), dnn::kConfigEngine, dnn::kTypeDescriptor, 1, &count, &handle),
         "asking for an engine");
  std::array<int, dnn::kNoteKinds> notes{};
  expect(gpu,
         table.descriptor_get(engine.handle(), dnn::kEngineNumericalNote, dnn::kTypeNumericalNote, dnn::kNoteKinds,
                              &count, notes.data()),
         "asking for an engine's precision");
  return std::none_of(notes.begin(), notes.begin() + std::clamp<std::int64_t>(count, 0, dnn::kNoteKinds), [](int note) {
    return note == dnn::kNoteTensorCore || note == dnn::kNoteDownConvert || note == dnn::kNoteReducedPrecision;
  });
}

/// The first configuration of a heuristic that becomes a plan; nullptr when none does.
std::unique_ptr<DnnNode> plan_of(Gpu& gpu, const DnnNode& graph, int mode, Precision precision) {
  const Dnn& table = *gpu.libraries().dnn.table;
  DnnNode heuristic(gpu, dnn::kEngineHeuristic);
  heuristic.set_descriptor(dnn::kHeuristicGraph, graph);
  heuristic.set(dnn::kHeuristicMode, dnn::kTypeHeuristicMode, &mode);
  if (heuristic.finalize() != 0) return nullptr;
  std::vector<DnnNode> configurations;
  std::vector<DnnDescriptor> handles;
  for (std::int64_t i = 0; i < kMostConfigurations; ++i) {
    configurations.emplace_back(gpu, dnn::kEngineConfig);
    handles.push_back(configurations.back().handle());
  }
  std::int64_t count = 0;
  if (table.descriptor_get(heuristic.handle(), dnn::kHeuristicResults, dnn::kTypeDescriptor, kMostConfigurations,
                           &count, handles.data()) != 0) {
    return nullptr;
  }
  DnnHandle handle = gpu.dnn();
  for (std::int64_t i = 0; i < std::min(count, kMostConfigurations); ++i) {
    const DnnNode& configuration = configurations[static_cast<std::size_t>(i)];
    if (precision == Precision::f32 && !keeps_precision(gpu, configuration)) continue;
    auto plan = std::make_unique<DnnNode>(gpu, dnn::kExecutionPlan);
    plan->set(dnn::kPlanHandle, dnn::kTypeHandle, &handle);
    plan->set_descriptor(dnn::kPlanConfig, configuration);
    if (plan->finalize() == 0) return plan;
  }
  return nullptr;
}

}  // namespace

DnnNode::DnnNode(const Gpu& gpu, int kind) : gpu_(&gpu) {
  expect(gpu, gpu.libraries().dnn.table->descriptor_create(kind, &handle_), "creating a descriptor");
}

DnnNode::~DnnNode() {
  if (handle_ != nullptr) gpu_->libraries().dnn.table->descriptor_destroy(handle_);
}

DnnNode::DnnNode(DnnNode&& other) noexcept : gpu_(other.gpu_), handle_(std::exchange(other.handle_, nullptr)) {}

void DnnNode::set(int attribute, int type, const void* values, std::int64_t count) {
  expect(*gpu_, gpu_->libraries().dnn.table->descriptor_set(handle_, attribute, type, count, values),
         "describing a layer");
}

void DnnNode::set_numbers(int attribute, const std::vector<std::int64_t>& values) {
  set(attribute, dnn::kTypeInt64, values.data(), static_cast<std::int64_t>(values.size()));
}

void DnnNode::set_descriptor(int attribute, const DnnNode& value) {
  DnnDescriptor handle = value.handle();
  set(attribute, dnn::kTypeDescriptor, &handle);
}

int DnnNode::finalize() { return gpu_->libraries().dnn.table->descriptor_finalize(handle_); }

void DnnNode::must_finalize(const char* what) { expect(*gpu_, finalize(), what); }

bool dnn_has(const UnaryCall& activation) {
  switch (activation.function) {
    case Unary::identity:
    case Unary::relu:
    case Unary::clip:
    case Unary::tanh:
    case Unary::sigmoid:
      return true;
    default:
      return false;
  }
}

std::shared_ptr<const DnnPlan> DnnPlan::find(Gpu& gpu, const ConvolutionProblem& problem, DnnFusion fusion,
                                             Precision precision) {
  std::shared_ptr<DnnPlan> found(new DnnPlan);
  GraphBuilderOfDnn builder(gpu, found->nodes_);
  const bool fused = fusion == DnnFusion::everything;
  const auto output = problem.output_shape();
  std::int64_t next_virtual = kFirstVirtual;
  const auto in_memory = [&](std::size_t position, const std::vector<std::int64_t>& shape, int type = dnn::kDataF32) {
    const std::int64_t id = kInput + static_cast<std::int64_t>(position);
    found->ids_.push_back(id);
    found->positions_.push_back(position);
    return builder.tensor(id, shape, false, type);
  };
  const std::size_t x = in_memory(0, problem.input_shape(), type_of(precision));
  const std::size_t w = in_memory(1, problem.weight_shape(), type_of(precision));
  const std::size_t y = in_memory(4, output);
  int after = 0;  // operations behind the convolution
  if (fused) after = problem.has_bias + problem.has_residual + (problem.activation.function != Unary::identity);
  const auto next_result = [&] { return --after < 0 ? y : builder.tensor(next_virtual++, output, true); };
  std::size_t result = next_result();
  builder.convolution(problem.geometry, x, w, result);
  const auto then = [&](int mode, const UnaryCall* activation, std::optional<std::size_t> operand) {
    const std::size_t from = result;
    result = next_result();
    builder.pointwise(mode, activation, from, operand, result);
  };
  if (fused && problem.has_bias) {
    std::vector<std::int64_t> shape(output.size(), 1);
    shape[1] = problem.geometry.out_channels;
    then(dnn::kAdd, nullptr, in_memory(2, shape));
  }
  if (fused && problem.has_residual) then(dnn::kAdd, nullptr, in_memory(3, output));
  if (fused && problem.activation.function != Unary::identity) {
    then(mode_of(problem.activation.function), &problem.activation, std::nullopt);
  }
  DnnNode graph(gpu, dnn::kOperationGraph);
  DnnHandle handle = gpu.dnn();
  graph.set(dnn::kGraphHandle, dnn::kTypeHandle, &handle);
  graph.set(dnn::kGraphOperations, dnn::kTypeDescriptor, builder.operations().data(),
            static_cast<std::int64_t>(builder.operations().size()));
  if (graph.finalize() != 0) return nullptr;
  for (const int mode : {dnn::kModeA, dnn::kModeFallback}) {
    found->plan_ = plan_of(gpu, graph, mode, precision);
    if (found->plan_) break;
  }
  if (!found->plan_) return nullptr;
  std::int64_t bytes = 0;
  std::int64_t count = 0;
  expect(gpu,
         gpu.libraries().dnn.table->descriptor_get(found->plan_->handle(), dnn::kPlanWorkspace, dnn::kTypeInt64, 1,
                                                   &count, &bytes),
         "asking for the workspace of a convolution");
  found->workspace_bytes_ = static_cast<std::size_t>(std::max<std::int64_t>(0, bytes));
  found->nodes_.push_back(std::move(graph));
  return found;
}

void DnnPlan::execute(Gpu& gpu, StreamHandle stream, const std::vector<const void*>& addresses,
                      DevicePtr workspace) const {
  const Dnn& table = *gpu.libraries().dnn.table;
  DnnHandle handle = gpu.dnn();
  expect(gpu, table.set_stream(handle, stream), "choosing a stream");
  std::vector<const void*> chosen;
  for (const std::size_t position : positions_) chosen.push_back(addresses[position]);
  DnnNode pack(gpu, dnn::kVariantPack);
  void* space = pointer_to(workspace);
  pack.set_numbers(dnn::kPackIds, ids_);
  pack.set(dnn::kPackPointers, dnn::kTypeVoidPointer, chosen.data(), static_cast<std::int64_t>(chosen.size()));
  pack.set(dnn::kPackWorkspace, dnn::kTypeVoidPointer, &space);
  pack.must_finalize("giving a convolution its operands");
  expect(gpu, table.execute(handle, plan_->handle(), pack.handle()), "a convolution");
}

}  // namespace sparse_run::gpu::cuda
