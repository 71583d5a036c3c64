// Opening files defensively and mapping them.
#include "graph/onnx/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "graph/onnx/content_hash.hpp"
#include "graph/onnx/file_pages.hpp"

namespace sparse_run::onnx {

namespace {

class Descriptor {
 public:
  explicit Descriptor(int value = -1) noexcept : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  int release() noexcept { return std::exchange(value_, -1); }
  int get() const noexcept { return value_; }
  bool valid() const noexcept { return value_ >= 0; }

 private:
  int value_;
};

/// Which memory is a mapped file: who holds a tensor cannot tell.
class Mappings {
 public:
  void add(const std::byte* data, std::size_t size) {
    const std::lock_guard lock(mutex_);
    sizes_[data] = size;
  }
  void remove(const std::byte* data) noexcept {
    const std::lock_guard lock(mutex_);
    sizes_.erase(data);
  }
  /// Calls discard() for a part that lies in one of them, which cannot be unmapped meanwhile.
  template <class Discard>
  void with(std::span<const std::byte> part, const Discard& discard) const noexcept {
    const std::lock_guard lock(mutex_);
    const auto after = sizes_.upper_bound(part.data());
    if (after == sizes_.begin()) return;
    const auto& [data, size] = *std::prev(after);
    if (part.data() + part.size() <= data + size) discard();
  }

 private:
  mutable std::mutex mutex_;
  std::map<const std::byte*, std::size_t> sizes_;  ///< by first byte
};

Mappings& mappings() {
  static Mappings& all = *new Mappings;  // never destroyed: files may be unmapped while the process ends
  return all;
}

void discard(std::span<const std::byte> part) noexcept {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(part.data()) + page - 1) / page * page;
  const auto end = (reinterpret_cast<std::uintptr_t>(part.data()) + part.size()) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

[[noreturn]] void throw_cannot_open(int code) {
  if (code == ENOENT) throw_error(ErrorKind::model, "no such file; check the path");
  if (code == ELOOP) throw_error(ErrorKind::model, "is a symbolic link, which external data may not be");
  throw_error(ErrorKind::model, "cannot be opened: {}", std::generic_category().message(code));
}

}  // namespace

std::shared_ptr<MappedFile> MappedFile::map(int descriptor, std::uint64_t max_bytes, bool single_link) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) throw_cannot_open(errno);
  if (S_ISDIR(status.st_mode)) throw_error(ErrorKind::model, "is a folder; give the path of the file");
  if (!S_ISREG(status.st_mode)) throw_error(ErrorKind::model, "is not a regular file");
  if (single_link && status.st_nlink > 1) {
    throw_error(ErrorKind::model, "has {} hard links, so it may belong elsewhere; copy it into the model's folder",
                static_cast<std::uint64_t>(status.st_nlink));
  }
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size == 0) throw_error(ErrorKind::model, "is empty; was it downloaded completely?");
  if (size > max_bytes) throw_error(ErrorKind::limit, "has {} bytes, more than the limit of {}", size, max_bytes);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (data == MAP_FAILED) throw_cannot_open(errno);
  try {
    return std::shared_ptr<MappedFile>(new MappedFile(static_cast<const std::byte*>(data), size));
  } catch (...) {
    ::munmap(data, size);
    throw;
  }
}

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path, std::uint64_t max_bytes,
                                                   Access access) {
  // O_NONBLOCK: a FIFO without a writer must be refused, not waited for.
  Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!descriptor.valid()) throw_cannot_open(errno);
  auto file = map(descriptor.get(), max_bytes, false);
  if (access == Access::mapped_and_read) file->descriptor_ = descriptor.release();
  return file;
}

std::shared_ptr<const MappedFile> MappedFile::open_beneath(const std::filesystem::path& folder,
                                                           const std::string& relative, std::uint64_t max_bytes) {
  if (relative.find('\0') != std::string::npos) throw_error(ErrorKind::model, "the path contains a NUL byte");
  const std::filesystem::path path(relative);
  if (path.is_absolute()) throw_error(ErrorKind::model, "is an absolute path; it must lie in the model's folder");
  std::vector<std::string> components;
  for (const auto& component : path) {
    if (component == "..") throw_error(ErrorKind::model, "leaves the model's folder through '..'");
    if (!component.empty() && component != ".") components.push_back(component.string());
  }
  if (components.empty()) throw_error(ErrorKind::model, "path is empty");

  Descriptor current(::open(folder.empty() ? "." : folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!current.valid()) throw_cannot_open(errno);
  for (std::size_t i = 0; i + 1 < components.size(); ++i) {
    current = Descriptor(::openat(current.get(), components[i].c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!current.valid()) throw_cannot_open(errno == ENOTDIR ? ELOOP : errno);
  }
  const Descriptor file(
      ::openat(current.get(), components.back().c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file.valid()) throw_cannot_open(errno);
  return map(file.get(), max_bytes, true);
}

MappedFile::MappedFile(const std::byte* data, std::size_t size) : data_(data), size_(size) {
  mappings().add(data, size);
}

MappedFile::~MappedFile() {
  mappings().remove(data_);
  ::munmap(const_cast<std::byte*>(data_), size_);
  if (descriptor_ >= 0) ::close(descriptor_);
}

void MappedFile::read_at(std::uint64_t offset, std::span<std::byte> into) const {
  require(descriptor_ >= 0, "read_at of a file that was opened to be mapped only");
  for (std::size_t done = 0; done < into.size();) {
    const ssize_t got = ::pread(descriptor_, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw_error(ErrorKind::input, "cannot be read at byte {}: {}", offset + done,
                  std::generic_category().message(errno));
    }
    if (got == 0) {
      throw_error(ErrorKind::input,
                  "ends at byte {}, and had {} when it was opened; it must not change while it is read", offset + done,
                  size_);
    }
    done += static_cast<std::size_t>(got);
  }
}

void MappedFile::release(std::span<const std::byte> part) const noexcept { discard(part); }

void discard_file_pages(std::span<const std::byte> part) noexcept {
  mappings().with(part, [&] { discard(part); });
}

bool is_file_memory(std::span<const std::byte> part) noexcept {
  bool found = false;
  mappings().with(part, [&] { found = true; });
  return found;
}

std::uint64_t hash_file(const MappedFile& file, std::uint64_t seed) {
  const auto bytes = file.bytes();
  for (std::size_t at = 0; at < bytes.size(); at += kHashChunk) {
    const auto chunk = bytes.subspan(at, std::min(kHashChunk, bytes.size() - at));
    seed = content_hash(chunk, seed);
    file.release(chunk);
  }
  return seed;
}

}  // namespace sparse_run::onnx
