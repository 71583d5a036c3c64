// Members of an npz archive through libzip.
#include "cli/npz_reader.hpp"

#include <zip.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/error.hpp"
#include "cli/npy_tensor.hpp"

namespace sparse_run::cli {

namespace {

constexpr std::string_view kSuffix = ".npy";
/// Deflate cannot do better than this; a member that claims more is a forgery.
constexpr std::uint64_t kMostCompression = 1032;

struct MemberCloser {
  void operator()(zip_file_t* file) const noexcept { zip_fclose(file); }
};
using MemberFile = std::unique_ptr<zip_file_t, MemberCloser>;

void read_exactly(zip_file_t* file, std::byte* target, std::uint64_t count) {
  while (count > 0) {
    const zip_int64_t got = zip_fread(file, target, std::min<std::uint64_t>(count, std::uint64_t{1} << 30));
    if (got <= 0) {
      throw_error(ErrorKind::input, "is damaged ({}); write it again",
                  got < 0 ? zip_error_strerror(zip_file_get_error(file)) : "it ends early");
    }
    target += got;
    count -= static_cast<std::uint64_t>(got);
  }
}

}  // namespace

void NpzReader::Closer::operator()(zip* archive) const noexcept { zip_discard(archive); }

NpzReader::NpzReader(const std::filesystem::path& path) {
  std::error_code problem;
  const auto status = std::filesystem::status(path, problem);
  if (!std::filesystem::exists(status)) throw_error(ErrorKind::input, "no such file; check the path");
  if (!std::filesystem::is_regular_file(status)) throw_error(ErrorKind::input, "is not a regular file");
  int code = 0;
  archive_.reset(zip_open(path.c_str(), ZIP_RDONLY, &code));
  if (!archive_) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string text = zip_error_strerror(&error);
    zip_error_fini(&error);
    throw_error(ErrorKind::input, "is not a readable .npz file ({}); write it with numpy.savez", text);
  }
  const zip_int64_t count = zip_get_num_entries(archive_.get(), 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    const char* name = zip_get_name(archive_.get(), static_cast<zip_uint64_t>(i), ZIP_FL_ENC_GUESS);
    const std::string_view text = name == nullptr ? "" : name;
    if (!text.ends_with(kSuffix)) {
      throw_error(ErrorKind::input, "member '{}' is not a .npy array; write the file with numpy.savez", text);
    }
    names_.emplace_back(text.substr(0, text.size() - kSuffix.size()));
  }
}

bool NpzReader::contains(const std::string& name) const {
  return std::find(names_.begin(), names_.end(), name) != names_.end();
}

Tensor NpzReader::read(const std::string& name, DType expected, std::uint64_t max_bytes) {
  const auto found = std::find(names_.begin(), names_.end(), name);
  if (found == names_.end()) throw_error(ErrorKind::input, "has no member '{}'", name);
  const auto index = static_cast<zip_uint64_t>(found - names_.begin());
  return with_context(
      [&] { return fmt::format("member '{}'", name); },
      [&] {
        zip_stat_t stat;
        if (zip_stat_index(archive_.get(), index, 0, &stat) != 0 || (stat.valid & ZIP_STAT_SIZE) == 0 ||
            (stat.valid & ZIP_STAT_COMP_SIZE) == 0) {
          throw_error(ErrorKind::input, "is damaged ({}); write it again", zip_strerror(archive_.get()));
        }
        if (stat.size > max_bytes) {
          throw_error(ErrorKind::limit,
                      "has {} bytes, more than the limit of {}; raise --memory-limit or use .npy files, "
                      "which are mapped",
                      stat.size, max_bytes);
        }
        if (stat.size / kMostCompression > stat.comp_size + 16) {
          throw_error(ErrorKind::input, "claims {} bytes from {} compressed ones, which is impossible", stat.size,
                      stat.comp_size);
        }
        const MemberFile file(zip_fopen_index(archive_.get(), index, 0));
        if (!file) throw_error(ErrorKind::input, "cannot be read ({})", zip_strerror(archive_.get()));
        std::vector<std::byte> header(std::min<std::uint64_t>(kNpyPreambleBytes, stat.size));
        read_exactly(file.get(), header.data(), header.size());
        const std::size_t start = header.size();
        const std::size_t header_bytes = npy_header_bytes(header);
        if (header_bytes > stat.size) throw_error(ErrorKind::input, "ends within its header; write it again");
        header.resize(std::max(header_bytes, start));
        read_exactly(file.get(), header.data() + start, header.size() - start);
        const NpyHeader parsed = parse_npy_header(std::span(header).first(header_bytes));

        // At least the preamble was read: bytes beyond a very short header belong to the data.
        const std::uint64_t data_bytes = stat.size - header_bytes;
        Tensor bytes = Tensor::allocate(DType::u8, {static_cast<std::int64_t>(data_bytes)});
        auto* target = static_cast<std::byte*>(bytes.raw());
        const std::size_t surplus = header.size() - header_bytes;
        std::copy(header.end() - static_cast<std::ptrdiff_t>(surplus), header.end(), target);
        read_exactly(file.get(), target + surplus, data_bytes - surplus);
        // Reading to the end makes libzip compare the checksum.
        std::byte beyond;
        if (zip_fread(file.get(), &beyond, 1) != 0)
          throw_error(ErrorKind::input, "is damaged (checksum); write it again");
        return npy_tensor(parsed, {target, data_bytes}, bytes.owner(), expected);
      });
}

}  // namespace sparse_run::cli
