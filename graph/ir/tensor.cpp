// Host tensor memory.
#include "graph/ir/tensor.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <new>

namespace sparse_run {

namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kHugePage = std::size_t{1} << 21;
constexpr std::size_t kLarge = 2 * kHugePage;

/// Bytes of memory that the machine has: more can be reserved but never filled, and filling it ends the process.
std::size_t physical_memory() {
  static const std::size_t bytes = [] {
    const long pages = sysconf(_SC_PHYS_PAGES);
    const long page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? static_cast<std::size_t>(pages) * static_cast<std::size_t>(page)
                                 : std::size_t{1} << 46;
  }();
  return bytes;
}

/// Memory of large results is new for every request, and touching it page by page costs more than many a layer. A hint:
/// systems that do not follow it give small pages.
void advise_huge_pages([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t bytes) {
#ifdef MADV_HUGEPAGE
  static_cast<void>(::madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE));
#endif
}

}  // namespace

Tensor Tensor::allocate(DType dtype, Shape shape) {
  Tensor tensor;
  tensor.dtype_ = dtype;
  tensor.size_ = element_count(shape);
  tensor.shape_ = std::move(shape);
  if (dtype == DType::string) {
    auto strings = std::make_shared<std::vector<std::string>>(static_cast<std::size_t>(tensor.size_));
    tensor.data_ = strings->data();
    tensor.owner_ = strings;
    return tensor;
  }
  const std::size_t width = element_size(dtype);
  if (width == 0)
    throw_error(ErrorKind::unsupported, "tensors of type {} have no memory layout here", to_string(dtype));
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<std::size_t>(tensor.size_), width, &bytes) || bytes > physical_memory()) {
    throw_error(ErrorKind::limit, "a tensor of shape {} does not fit the {} bytes of memory this machine has",
                to_string(tensor.shape_), physical_memory());
  }
  const std::size_t alignment = bytes < kLarge ? kAlignment : kHugePage;
  const std::size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  void* memory = nullptr;  // aligned_alloc would want whole huge pages
  if (::posix_memalign(&memory, alignment, rounded == 0 ? kAlignment : rounded) != 0) {
    throw_error(ErrorKind::limit, "out of memory: {} bytes for a tensor of shape {}", bytes, to_string(tensor.shape_));
  }
  if (bytes >= kLarge) advise_huge_pages(memory, rounded);
  tensor.data_ = memory;
  tensor.owner_ = std::shared_ptr<const void>(memory, [](const void* p) { std::free(const_cast<void*>(p)); });
  return tensor;
}

Tensor Tensor::view(DType dtype, Shape shape, void* data, std::shared_ptr<const void> owner) {
  Tensor tensor;
  tensor.dtype_ = dtype;
  tensor.size_ = element_count(shape);
  tensor.shape_ = std::move(shape);
  tensor.data_ = data;
  tensor.owner_ = std::move(owner);
  return tensor;
}

Tensor Tensor::reshaped(Shape shape) const {
  Tensor result = *this;
  require(element_count(shape) == size_, "reshape changes the number of elements");
  result.shape_ = std::move(shape);
  return result;
}

Tensor Tensor::clone() const {
  Tensor result = allocate(dtype_, shape_);
  result.copy_from(*this);
  return result;
}

void Tensor::copy_from(const Tensor& source) {
  require(dtype_ == source.dtype_ && size_ == source.size_, "tensor copy between different types or sizes");
  if (dtype_ == DType::string) {
    const auto from = source.data<std::string>();
    std::copy(from.begin(), from.end(), data<std::string>().begin());
  } else if (size_ != 0) {
    std::memmove(data_, source.data_, bytes());
  }
}

std::vector<std::int64_t> Tensor::to_int64() const {
  if (dtype_ == DType::i64) return {data<std::int64_t>().begin(), data<std::int64_t>().end()};
  if (dtype_ == DType::i32) return {data<std::int32_t>().begin(), data<std::int32_t>().end()};
  throw_error(ErrorKind::model, "expected an i32 or i64 tensor, got {}", to_string(dtype_));
}

Tensor SparseTensor::to_dense(std::size_t max_bytes) const {
  const std::int64_t count = element_count(shape);
  const std::size_t width = element_size(values.dtype());
  if (width == 0) throw_error(ErrorKind::unsupported, "sparse tensor of type {}", to_string(values.dtype()));
  if (static_cast<std::size_t>(count) > max_bytes / width) {
    throw_error(ErrorKind::limit, "the dense form of a sparse tensor of shape {} exceeds {} bytes", to_string(shape),
                max_bytes);
  }
  Tensor dense = Tensor::allocate(values.dtype(), shape);
  std::memset(dense.raw(), 0, dense.bytes());
  const auto strides = row_major_strides(shape);
  const auto index = indices.data<std::int64_t>();
  const bool linear = indices.rank() == 1;
  for (std::int64_t i = 0; i < nnz(); ++i) {
    std::int64_t position = 0;
    if (linear) {
      position = index[static_cast<std::size_t>(i)];
    } else {
      for (std::size_t d = 0; d < shape.size(); ++d) {
        position += index[static_cast<std::size_t>(i) * shape.size() + d] * strides[d];
      }
    }
    std::memcpy(static_cast<char*>(dense.raw()) + static_cast<std::size_t>(position) * width,
                static_cast<const char*>(values.raw()) + static_cast<std::size_t>(i) * width, width);
  }
  return dense;
}

}  // namespace sparse_run
