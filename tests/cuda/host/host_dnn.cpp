// cuDNN's backend on the host: descriptors keep what they are told, plans compute it, number by number.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "tests/cuda/host/host_cuda.hpp"
#include "tests/cuda/host/host_elements.hpp"
#include "tests/cuda/host/host_stream.hpp"

namespace sparse_run::host_cuda {

namespace {

namespace dnn = gpu::cuda::dnn;

constexpr int kBadParameter = 2000;
constexpr int kNotSupported = 3000;
constexpr std::int64_t kWorkspaceBytes = 512;

std::atomic<DnnMood> mood{DnnMood::willing};

struct Descriptor {
  int kind = 0;
  bool final = false;
  std::map<int, std::vector<std::byte>> attributes;
  int engine = 0;  ///< of configurations: the first uses tensor cores, the second keeps to f32

  bool has(int attribute) const { return attributes.contains(attribute); }
  template <class Value>
  std::vector<Value> all(int attribute) const {
    const auto found = attributes.find(attribute);
    if (found == attributes.end()) return {};
    std::vector<Value> values(found->second.size() / sizeof(Value));
    std::memcpy(values.data(), found->second.data(), values.size() * sizeof(Value));
    return values;
  }
  template <class Value>
  Value one(int attribute, Value fallback = {}) const {
    const auto found = attributes.find(attribute);
    if (found != attributes.end() && found->second.size() >= sizeof(Value)) {
      std::memcpy(&fallback, found->second.data(), sizeof(Value));
    }
    return fallback;
  }
  Descriptor& part(int attribute) const { return *static_cast<Descriptor*>(one<void*>(attribute)); }
};

struct Context {
  void* stream = nullptr;
};

std::size_t size_of(int type) {
  switch (type) {
    case dnn::kTypeHandle:
    case dnn::kTypeVoidPointer:
    case dnn::kTypeDescriptor:
      return sizeof(void*);
    case dnn::kTypeInt64:
      return sizeof(std::int64_t);
    case dnn::kTypeDouble:
      return sizeof(double);
    case dnn::kTypeFloat:
      return sizeof(float);
    case dnn::kTypeBoolean:
      return sizeof(bool);
    default:
      return sizeof(int);
  }
}

std::vector<std::int64_t> dimensions(const Descriptor& tensor) {
  return tensor.all<std::int64_t>(dnn::kTensorDimensions);
}

bool has_all(const Descriptor& descriptor, std::initializer_list<int> attributes) {
  return std::all_of(attributes.begin(), attributes.end(), [&](int one) { return descriptor.has(one); });
}

bool convolution_fits(const Descriptor& operation) {
  const Descriptor& shape = operation.part(dnn::kForwardConvolution);
  const auto x = dimensions(operation.part(dnn::kForwardInput));
  const auto w = dimensions(operation.part(dnn::kForwardWeights));
  const auto y = dimensions(operation.part(dnn::kForwardOutput));
  const auto spatial = static_cast<std::size_t>(shape.one<std::int64_t>(dnn::kConvolutionSpatialDims));
  if (x.size() != spatial + 2 || w.size() != x.size() || y.size() != x.size()) return false;
  if (y[0] != x[0] || y[1] != w[0] || x[1] % w[1] != 0 || w[0] % (x[1] / w[1]) != 0) return false;
  const auto strides = shape.all<std::int64_t>(dnn::kConvolutionStrides);
  const auto dilations = shape.all<std::int64_t>(dnn::kConvolutionDilations);
  const auto before = shape.all<std::int64_t>(dnn::kConvolutionPrePaddings);
  const auto after = shape.all<std::int64_t>(dnn::kConvolutionPostPaddings);
  for (std::size_t d = 0; d < spatial; ++d) {
    const std::int64_t extent = (w[d + 2] - 1) * dilations[d] + 1;
    if (y[d + 2] != (x[d + 2] + before[d] + after[d] - extent) / strides[d] + 1) return false;
  }
  return true;
}

int finalize(void* handle) {
  auto& one = *static_cast<Descriptor*>(handle);
  bool right = true;
  switch (one.kind) {
    case dnn::kTensor:
      right = has_all(one, {dnn::kTensorType, dnn::kTensorDimensions, dnn::kTensorStrides, dnn::kTensorId,
                            dnn::kTensorAlignment}) &&
              dimensions(one).size() == one.all<std::int64_t>(dnn::kTensorStrides).size() && dimensions(one).size() > 3;
      break;
    case dnn::kConvolution:
      right = has_all(one, {dnn::kConvolutionCompute, dnn::kConvolutionMode, dnn::kConvolutionSpatialDims,
                            dnn::kConvolutionDilations, dnn::kConvolutionStrides, dnn::kConvolutionPrePaddings,
                            dnn::kConvolutionPostPaddings}) &&
              one.one<int>(dnn::kConvolutionMode) == dnn::kCrossCorrelation;
      break;
    case dnn::kConvolutionForward:
      right = has_all(one, {dnn::kForwardConvolution, dnn::kForwardInput, dnn::kForwardWeights, dnn::kForwardOutput,
                            dnn::kForwardAlpha, dnn::kForwardBeta}) &&
              convolution_fits(one);
      break;
    case dnn::kPointwise:
      right = has_all(one, {dnn::kPointwiseMode, dnn::kPointwisePrecision});
      break;
    case dnn::kPointwiseOperation:
      right = has_all(one, {dnn::kPointwiseDescriptor, dnn::kPointwiseInput, dnn::kPointwiseOutput});
      break;
    case dnn::kOperationGraph: {
      right = has_all(one, {dnn::kGraphHandle, dnn::kGraphOperations});
      const std::size_t operations = one.all<void*>(dnn::kGraphOperations).size();
      for (void* each : one.all<void*>(dnn::kGraphOperations)) {
        const auto& operation = *static_cast<Descriptor*>(each);
        if (mood == DnnMood::no_halves && operation.kind == dnn::kConvolutionForward &&
            operation.part(dnn::kForwardInput).one<int>(dnn::kTensorType) != dnn::kDataF32) {
          return kNotSupported;
        }
      }
      if (mood == DnnMood::no_convolutions || (mood == DnnMood::only_plain_convolutions && operations > 1)) {
        return kNotSupported;
      }
      break;
    }
    case dnn::kEngineHeuristic:
      right = has_all(one, {dnn::kHeuristicGraph, dnn::kHeuristicMode});
      break;
    case dnn::kExecutionPlan:
      right = has_all(one, {dnn::kPlanHandle, dnn::kPlanConfig});
      if (right) one.attributes[dnn::kHeuristicGraph] = one.part(dnn::kPlanConfig).attributes[dnn::kHeuristicGraph];
      break;
    case dnn::kVariantPack:
      right = has_all(one, {dnn::kPackIds, dnn::kPackPointers, dnn::kPackWorkspace}) &&
              one.all<void*>(dnn::kPackPointers).size() == one.all<std::int64_t>(dnn::kPackIds).size();
      break;
    default:
      return kBadParameter;
  }
  if (!right) return kBadParameter;
  one.final = true;
  return 0;
}

int set(void* handle, int attribute, int type, std::int64_t count, const void* values) {
  auto& one = *static_cast<Descriptor*>(handle);
  if (one.final || count < 0) return kBadParameter;
  const auto* bytes = static_cast<const std::byte*>(values);
  if (type == dnn::kTypeDescriptor) {
    for (std::int64_t i = 0; i < count; ++i) {
      const auto* part = static_cast<Descriptor* const*>(values)[i];
      if (!part->final && part->kind != dnn::kEngineConfig) return kBadParameter;
    }
  }
  one.attributes[attribute].assign(bytes, bytes + static_cast<std::size_t>(count) * size_of(type));
  return 0;
}

int get(void* handle, int attribute, int, std::int64_t wanted, std::int64_t* count, void* values) {
  const auto& one = *static_cast<Descriptor*>(handle);
  if (one.kind == dnn::kEngineHeuristic && attribute == dnn::kHeuristicResults) {
    *count = std::min<std::int64_t>(2, wanted);
    for (std::int64_t i = 0; i < *count; ++i) {
      auto& configuration = *static_cast<Descriptor**>(values)[i];
      configuration.engine = static_cast<int>(i);
      configuration.attributes = one.attributes;
    }
    return 0;
  }
  if (one.kind == dnn::kEngineConfig && attribute == dnn::kConfigEngine) {
    (*static_cast<Descriptor**>(values))->engine = one.engine;
    *count = 1;
    return 0;
  }
  if (one.kind == dnn::kEngine && attribute == dnn::kEngineNumericalNote) {
    *count = one.engine == 0 ? 1 : 0;
    if (*count > 0) *static_cast<int*>(values) = dnn::kNoteTensorCore;
    return 0;
  }
  if (one.kind == dnn::kExecutionPlan && attribute == dnn::kPlanWorkspace) {
    *static_cast<std::int64_t*>(values) = kWorkspaceBytes;
    *count = 1;
    return 0;
  }
  return kBadParameter;
}

/// A tensor during an execution: in memory, or only in the plan.
struct Operand {
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;
  float* data = nullptr;
};

/// Calls visit(index) for every index of a shape.
template <class Visit>
void each_index(const std::vector<std::int64_t>& shape, Visit&& visit) {
  std::vector<std::int64_t> index(shape.size(), 0);
  while (true) {
    visit(index);
    std::size_t axis = shape.size();
    while (axis > 0 && ++index[axis - 1] == shape[axis - 1]) index[--axis] = 0;
    if (axis == 0) return;
  }
}

float& element(const Operand& operand, const std::vector<std::int64_t>& index) {
  std::int64_t at = 0;
  for (std::size_t d = 0; d < index.size(); ++d) at += (operand.shape[d] == 1 ? 0 : index[d]) * operand.strides[d];
  return operand.data[at];
}

struct Convolution {
  std::vector<std::int64_t> strides, dilations, before;
};

/// Images with any number of spatial axes count as volumes: missing axes, in front, have one element.
void convolve(const Convolution& shape, const Operand& x, const Operand& w, const Operand& y) {
  const std::size_t missing = 3 - shape.strides.size();
  const auto extent = [&](const Operand& operand, std::size_t d) {
    return d < missing ? 1 : operand.shape[d - missing + 2];
  };
  const auto step = [&](const Operand& operand, std::size_t d) {
    return d < missing ? 0 : operand.strides[d - missing + 2];
  };
  const auto of = [&](const std::vector<std::int64_t>& list, std::size_t d, std::int64_t otherwise) {
    return d < missing ? otherwise : list[d - missing];
  };
  const std::int64_t per_group = w.shape[0] / (x.shape[1] / w.shape[1]);
  std::int64_t o[3];
  std::int64_t k[3];
  const auto output = [&](std::int64_t image, std::int64_t channel) {
    float sum = 0;
    for (std::int64_t c = 0; c < w.shape[1]; ++c) {
      const float* plane = x.data + image * x.strides[0] + (channel / per_group * w.shape[1] + c) * x.strides[1];
      const float* taps = w.data + channel * w.strides[0] + c * w.strides[1];
      for (k[0] = 0; k[0] < extent(w, 0); ++k[0]) {
        for (k[1] = 0; k[1] < extent(w, 1); ++k[1]) {
          for (k[2] = 0; k[2] < extent(w, 2); ++k[2]) {
            std::int64_t from = 0;
            std::int64_t tap = 0;
            bool inside = true;
            for (std::size_t d = 0; d < 3; ++d) {
              const std::int64_t at =
                  o[d] * of(shape.strides, d, 1) - of(shape.before, d, 0) + k[d] * of(shape.dilations, d, 1);
              inside &= at >= 0 && at < extent(x, d);
              from += at * step(x, d);
              tap += k[d] * step(w, d);
            }
            if (inside) sum += plane[from] * taps[tap];
          }
        }
      }
    }
    std::int64_t to = image * y.strides[0] + channel * y.strides[1];
    for (std::size_t d = 0; d < 3; ++d) to += o[d] * step(y, d);
    y.data[to] = sum;
  };
  for (std::int64_t image = 0; image < y.shape[0]; ++image) {
    for (std::int64_t channel = 0; channel < y.shape[1]; ++channel) {
      for (o[0] = 0; o[0] < extent(y, 0); ++o[0]) {
        for (o[1] = 0; o[1] < extent(y, 1); ++o[1]) {
          for (o[2] = 0; o[2] < extent(y, 2); ++o[2]) output(image, channel);
        }
      }
    }
  }
}

struct Function {
  int mode;
  double low;
  double high;

  float operator()(float x) const {
    if (mode == dnn::kTanh) return std::tanh(x);
    if (mode == dnn::kSigmoid) return 1 / (1 + std::exp(-x));
    return static_cast<float>(std::min(std::max(static_cast<double>(x), low), high));
  }
};

int execute(void* handle, void* plan_handle, void* pack_handle) {
  const auto& plan = *static_cast<Descriptor*>(plan_handle);
  const auto& pack = *static_cast<Descriptor*>(pack_handle);
  const auto& graph = plan.part(dnn::kHeuristicGraph);
  const auto ids = pack.all<std::int64_t>(dnn::kPackIds);
  const auto pointers = pack.all<void*>(dnn::kPackPointers);
  void* workspace = pack.one<void*>(dnn::kPackWorkspace);
  auto operands = std::make_shared<std::map<std::int64_t, Operand>>();
  auto storage = std::make_shared<std::vector<std::vector<float>>>();
  bool complete = true;
  std::vector<std::function<void()>> work;
  const auto operand_of = [&](const Descriptor& tensor) {
    const auto id = tensor.one<std::int64_t>(dnn::kTensorId);
    if (operands->contains(id)) return id;
    Operand operand{dimensions(tensor), tensor.all<std::int64_t>(dnn::kTensorStrides), nullptr};
    const auto at = std::find(ids.begin(), ids.end(), id);
    if (tensor.one<bool>(dnn::kTensorVirtual)) {
      std::int64_t count = 1;
      for (const std::int64_t extent : operand.shape) count *= extent;
      storage->emplace_back(static_cast<std::size_t>(count));
      operand.data = storage->back().data();
    } else if (at != ids.end()) {
      operand.data = static_cast<float*>(pointers[static_cast<std::size_t>(at - ids.begin())]);
    }
    complete &= operand.data != nullptr;
    if (const int type = tensor.one<int>(dnn::kTensorType); type != dnn::kDataF32) {
      const void* stored = operand.data;
      std::int64_t count = 1;
      for (const std::int64_t extent : operand.shape) count *= extent;
      storage->emplace_back(static_cast<std::size_t>(count));
      operand.data = storage->back().data();
      work.push_back([stored, count, to = operand.data,
                      cuda = type == dnn::kDataF16 ? gpu::cuda::kTypeF16 : gpu::cuda::kTypeBf16] {
        for (std::int64_t i = 0; i < count; ++i) to[i] = host_cuda::element(stored, i, cuda);
      });
    }
    operands->emplace(id, std::move(operand));
    return id;
  };
  for (void* each : graph.all<void*>(dnn::kGraphOperations)) {
    const auto& operation = *static_cast<Descriptor*>(each);
    if (operation.kind == dnn::kConvolutionForward) {
      const Descriptor& shape = operation.part(dnn::kForwardConvolution);
      const Convolution convolution{shape.all<std::int64_t>(dnn::kConvolutionStrides),
                                    shape.all<std::int64_t>(dnn::kConvolutionDilations),
                                    shape.all<std::int64_t>(dnn::kConvolutionPrePaddings)};
      const auto x = operand_of(operation.part(dnn::kForwardInput));
      const auto w = operand_of(operation.part(dnn::kForwardWeights));
      const auto y = operand_of(operation.part(dnn::kForwardOutput));
      work.push_back([=] { convolve(convolution, operands->at(x), operands->at(w), operands->at(y)); });
      continue;
    }
    const Descriptor& function = operation.part(dnn::kPointwiseDescriptor);
    const Function apply{function.one<int>(dnn::kPointwiseMode), function.one<double>(dnn::kReluLowerClip, 0.0),
                         function.one<double>(dnn::kReluUpperClip, 1e300)};
    const auto x = operand_of(operation.part(dnn::kPointwiseInput));
    const auto y = operand_of(operation.part(dnn::kPointwiseOutput));
    std::optional<std::int64_t> other;
    if (operation.has(dnn::kPointwiseOperand)) other = operand_of(operation.part(dnn::kPointwiseOperand));
    work.push_back([=] {
      each_index(operands->at(y).shape, [&](const std::vector<std::int64_t>& index) {
        const float value = element(operands->at(x), index);
        element(operands->at(y), index) = other ? value + element(operands->at(*other), index) : apply(value);
      });
    });
  }
  if (!complete || workspace == nullptr) return kBadParameter;
  const int code = submit_kernel(static_cast<Context*>(handle)->stream, [=] {
    (void)storage;  // kept until here
    std::memset(workspace, 0x5a, static_cast<std::size_t>(kWorkspaceBytes));
    for (const auto& one : work) one();
  });
  return code == 0 ? 0 : 5000;
}

}  // namespace

void set_dnn_mood(DnnMood chosen) { mood = chosen; }

gpu::cuda::Dnn host_dnn() {
  gpu::cuda::Dnn table;
  table.version = []() -> std::size_t { return 90000; };
  table.error_text = [](int) { return "CUDNN_STATUS_OF_THE_HOST"; };
  table.create = [](void** handle) {
    *handle = new Context;
    return 0;
  };
  table.destroy = [](void* handle) {
    delete static_cast<Context*>(handle);
    return 0;
  };
  table.set_stream = [](void* handle, void* stream) {
    static_cast<Context*>(handle)->stream = stream;
    return 0;
  };
  table.descriptor_create = [](int kind, void** descriptor) {
    *descriptor = new Descriptor{kind, false, {}, 0};
    return 0;
  };
  table.descriptor_destroy = [](void* descriptor) {
    delete static_cast<Descriptor*>(descriptor);
    return 0;
  };
  table.descriptor_finalize = finalize;
  table.descriptor_set = set;
  table.descriptor_get = get;
  table.execute = execute;
  return table;
}

}  // namespace sparse_run::host_cuda
