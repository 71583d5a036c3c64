// Appending, checking and reading parts.
#include "cli/part_store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <system_error>

#include "base/error.hpp"
#include "graph/onnx/content_hash.hpp"
#include "runtime/distributed/wire.hpp"

namespace sparse_run::cli {

namespace {

constexpr std::string_view kMagic = "sparse-run parts 1\n";

struct RecordHeader {
  std::int64_t request = 0;
  std::uint64_t bytes = 0;
  std::uint64_t checksum = 0;
};

std::vector<std::byte> file_header(const std::string& identity) {
  WireWriter header;
  header.put(kMagic);
  header.put(std::string_view(identity));
  return header.take();
}

std::uint64_t checksum_of(std::int64_t request, std::span<const std::byte> payload) {
  return onnx::content_hash(payload, static_cast<std::uint64_t>(request) + 1);
}

}  // namespace

PartStore::PartStore(std::string path, std::string identity, bool resume)
    : path_(std::move(path)), identity_(std::move(identity)) {
  with_context([&] { return path_; }, [&] { open(resume); });
}

PartStore::~PartStore() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  if (parts_.empty()) ::unlink(path_.c_str());  // nothing worth keeping
}

void PartStore::open(bool resume) {
  descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (resume ? 0 : O_TRUNC), 0666);
  struct stat status {};
  if (descriptor_ < 0 || ::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
    throw_error(ErrorKind::input, "cannot keep finished parts here: {}", std::generic_category().message(errno));
  }
  if (status.st_size > 0) {
    take_over(static_cast<std::uint64_t>(status.st_size));
  } else {
    write(file_header(identity_));
  }
}

void PartStore::take_over(std::uint64_t size) {
  const std::vector<std::byte> expected = file_header(identity_);
  if (size < expected.size() || read(0, expected.size()) != expected) {
    throw_error(ErrorKind::input,
                "was left by another job (model, inputs, --micro-batch or version differ); remove it, or run without "
                "--resume");
  }
  end_ = expected.size();
  while (size - end_ >= sizeof(RecordHeader)) {
    RecordHeader header;
    std::memcpy(&header, read(end_, sizeof header).data(), sizeof header);
    const std::uint64_t at = end_ + sizeof header;
    if (header.bytes > size - at) break;
    const std::vector<std::byte> payload = read(at, header.bytes);
    if (checksum_of(header.request, payload) != header.checksum) break;
    parts_[header.request] = {at, header.bytes};
    end_ = at + header.bytes;
  }
  // What follows was cut off; it is written over.
  if (::ftruncate(descriptor_, static_cast<off_t>(end_)) != 0) {
    throw_error(ErrorKind::input, "cannot be written: {}", std::generic_category().message(errno));
  }
}

std::vector<std::byte> PartStore::read(std::uint64_t offset, std::uint64_t count) const {
  std::vector<std::byte> bytes(count);
  std::uint64_t done = 0;
  while (done < count) {
    const ssize_t got = ::pread(descriptor_, bytes.data() + done, count - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw_error(ErrorKind::input, "cannot be read: {}", std::generic_category().message(errno));
    done += static_cast<std::uint64_t>(got);
  }
  return bytes;
}

void PartStore::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(end_));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      throw_error(ErrorKind::input, "cannot be written: {}{}", std::generic_category().message(errno),
                  errno == ENOSPC ? "; free some space or write elsewhere" : "");
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    end_ += static_cast<std::uint64_t>(written);
  }
}

std::vector<Value> PartStore::load(std::int64_t request) const {
  return with_context([&] { return path_; },
                      [&] {
                        const Place& place = parts_.at(request);
                        return WireReader(read(place.offset, place.bytes)).values();
                      });
}

void PartStore::append(std::int64_t request, const std::vector<Value>& outputs) {
  with_context([&] { return path_; },
               [&] {
                 WireWriter writer;
                 writer.put(std::span<const Value>(outputs));
                 const std::vector<std::byte> payload = writer.take();
                 const RecordHeader header{request, payload.size(), checksum_of(request, payload)};
                 const std::uint64_t begin = end_;
                 write({reinterpret_cast<const std::byte*>(&header), sizeof header});
                 write(payload);
                 parts_[request] = {begin + sizeof header, payload.size()};
               });
}

void PartStore::remove() {
  parts_.clear();
  ::close(descriptor_);
  descriptor_ = -1;
  ::unlink(path_.c_str());
}

}  // namespace sparse_run::cli
