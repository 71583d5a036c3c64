// Temporary files, and the table of them that a signal handler may walk.
#include "cli/partial_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <system_error>

#include "base/error.hpp"

namespace sparse_run::cli {

namespace {

/// Paths in static memory, because a signal handler must neither lock nor follow pointers that may be freed.
struct Slot {
  std::atomic<int> state{0};  // 0 free, 1 being filled or emptied, 2 names a file
  char path[PATH_MAX];
};
static_assert(std::atomic<int>::is_always_lock_free);
Slot slots[8];

int register_path(const std::string& path) {
  if (path.size() + 1 > sizeof slots[0].path)
    throw_error(ErrorKind::input, "the path is too long; choose a shorter one");
  for (int i = 0; i < static_cast<int>(std::size(slots)); ++i) {
    int free = 0;
    if (!slots[i].state.compare_exchange_strong(free, 1)) continue;
    std::memcpy(slots[i].path, path.c_str(), path.size() + 1);
    slots[i].state.store(2);
    return i;
  }
  throw_error(ErrorKind::internal, "too many files are written at once");
}

/// The file that a chain of symbolic links ends at, so that renaming replaces the file and not the link.
std::filesystem::path resolved(std::filesystem::path path) {
  for (int depth = 0; depth < 40 && std::filesystem::is_symlink(std::filesystem::symlink_status(path)); ++depth) {
    path = path.parent_path() / std::filesystem::read_symlink(path);
  }
  return path;
}

}  // namespace

PartialFile::PartialFile(std::filesystem::path target) {
  target_ = target;
  std::error_code ignored;
  const auto status = std::filesystem::status(target, ignored);
  if (std::filesystem::is_directory(status)) throw_error(ErrorKind::input, "is a folder; name a file to write");
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw_error(ErrorKind::input, "is not a regular file; name a file to write");
  }
  try {
    target_ = resolved(std::move(target));
  } catch (const std::filesystem::filesystem_error& error) {
    throw_error(ErrorKind::input, "cannot be written: {}", error.code().message());
  }
  static std::atomic<int> counter{0};
  const std::string name =
      fmt::format(".{}.{}-{}.partial", target_.filename().string().substr(0, 200), ::getpid(), counter++);
  temporary_ = target_.parent_path() / name;
  // Without a name, where the file system can: then not even a process that is killed leaves anything behind.
  if (::access("/proc/self/fd", X_OK) == 0) {
    const std::filesystem::path folder = target_.has_parent_path() ? target_.parent_path() : ".";
    descriptor_ = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
    if (descriptor_ >= 0) return;
  }
  slot_ = register_path(temporary_.string());
  descriptor_ = ::open(temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor_ < 0) {
    const int code = errno;
    slots[slot_].state.store(0);
    throw_error(ErrorKind::input, "cannot be written: {}; check that the folder exists and is writable",
                std::generic_category().message(code));
  }
}

PartialFile::~PartialFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (slot_ >= 0) {
    ::unlink(temporary_.c_str());
    slots[slot_].state.store(0);
  }
}

void PartialFile::fail(std::string_view what) const {
  const int code = errno;
  const char* advice = code == ENOSPC || code == EDQUOT ? "; free some space or write elsewhere" : "";
  throw_error(ErrorKind::input, "{}: {}{}", what, std::generic_category().message(code), advice);
}

void PartialFile::reserve(std::uint64_t bytes) {
  if (bytes == 0 || ::fallocate(descriptor_, 0, 0, static_cast<off_t>(bytes)) == 0) return;
  if (errno == ENOSPC || errno == EFBIG || errno == EDQUOT) fail(fmt::format("cannot hold {} bytes", bytes));
  // Other failures mean that the file system has no such call: then writing will tell.
}

void PartialFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail("cannot be written");
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
}

void PartialFile::append(std::string_view text) {
  write_at(appended_, std::as_bytes(std::span(text)));
  appended_ += text.size();
}

void PartialFile::commit() {
  if (::fsync(descriptor_) != 0) fail("cannot be written");
  if (slot_ < 0) {
    slot_ = register_path(temporary_.string());
    const std::string self = fmt::format("/proc/self/fd/{}", descriptor_);
    if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, temporary_.c_str(), AT_SYMLINK_FOLLOW) != 0) {
      fail("cannot be given a name");
    }
  }
  struct stat status {};
  if (::stat(target_.c_str(), &status) == 0) ::fchmod(descriptor_, status.st_mode & 07777);
  const int closed = ::close(descriptor_);
  descriptor_ = -1;
  if (closed != 0) fail("cannot be written");
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail("cannot be given its name");
  slots[slot_].state.store(0);
  slot_ = -1;
  const std::filesystem::path folder = target_.has_parent_path() ? target_.parent_path() : ".";
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor >= 0) {  // makes the new name durable; the file itself already is
    ::fsync(descriptor);
    ::close(descriptor);
  }
}

void write_text_file(const std::filesystem::path& path, std::string_view text) {
  with_context([&] { return path.string(); },
               [&] {
                 PartialFile file(path);
                 file.append(text);
                 file.commit();
               });
}

void remove_partial_files() noexcept {
  for (Slot& slot : slots) {
    if (slot.state.load() == 2) ::unlink(slot.path);
  }
}

}  // namespace sparse_run::cli
