// The ZIP records around .npy streams. Record layouts: PKWARE's APPNOTE, sections 4.3.7 to 4.3.16.
#include "cli/npz_writer.hpp"

#include <zlib.h>

#include <algorithm>

#include "base/error.hpp"
#include "cli/npy_tensor.hpp"

namespace sparse_run::cli {

namespace {

constexpr std::uint64_t kLimit32 = 0xffffffffu;
constexpr std::uint16_t kUtf8Names = 1u << 11;
constexpr std::uint16_t kVersion = 45;                    // the first with ZIP64
constexpr std::uint16_t kDate = (0 << 9) | (1 << 5) | 1;  // 1980-01-01: equal results give equal files

class Record {
 public:
  template <class... Fields>
  Record& fields(Fields... values) {
    (put(values), ...);
    return *this;
  }
  Record& text(std::string_view text) {
    bytes_ += text;
    return *this;
  }
  std::string take() { return std::move(bytes_); }

 private:
  template <class T>
  void put(T value) {
    static_assert(std::is_unsigned_v<T>);
    for (std::size_t i = 0; i < sizeof value; ++i) {
      bytes_ += static_cast<char>(static_cast<unsigned char>(static_cast<std::uint64_t>(value) >> (8 * i)));
    }
  }
  std::string bytes_;
};

std::uint16_t u16(std::size_t value) { return static_cast<std::uint16_t>(value); }
std::uint32_t clamped(std::uint64_t value) { return static_cast<std::uint32_t>(std::min(value, kLimit32)); }

std::uint32_t crc_of(std::uint32_t crc, const void* bytes, std::size_t count) {
  return static_cast<std::uint32_t>(::crc32_z(crc, static_cast<const Bytef*>(bytes), count));
}

std::span<const std::byte> as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

}  // namespace

std::size_t NpzWriter::add(const std::string& name, const std::string& descr, const Shape& shape,
                           std::uint64_t data_bytes) {
  Member member;
  member.file_name = name + ".npy";
  if (member.file_name.size() > 0xffff) throw_error(ErrorKind::input, "the name of an output is too long for .npz");
  for (const Member& other : members_) {
    if (other.file_name == member.file_name) throw_error(ErrorKind::input, "two outputs are named '{}'", name);
  }
  member.header = format_npy_header(descr, shape);
  member.data_bytes = data_bytes;
  member.crc = crc_of(0, member.header.data(), member.header.size());
  members_.push_back(std::move(member));
  return members_.size() - 1;
}

// Local headers always carry the ZIP64 sizes; readers skip what they do not need.
std::string NpzWriter::local_header(const Member& member) const {
  return Record()
      .fields(std::uint32_t{0x04034b50}, kVersion, kUtf8Names, std::uint16_t{0}, std::uint16_t{0}, kDate, member.crc,
              std::uint32_t{0xffffffff}, std::uint32_t{0xffffffff}, u16(member.file_name.size()), std::uint16_t{20})
      .text(member.file_name)
      .fields(std::uint16_t{1}, std::uint16_t{16}, member.size(), member.size())
      .take();
}

std::string NpzWriter::central_header(const Member& member) const {
  Record extra;
  if (member.size() >= kLimit32) extra.fields(member.size(), member.size());
  if (member.local_offset >= kLimit32) extra.fields(member.local_offset);
  const std::string sizes = extra.take();
  Record record;
  record
      .fields(std::uint32_t{0x02014b50}, u16(kVersion | 3 << 8), kVersion, kUtf8Names, std::uint16_t{0},
              std::uint16_t{0}, kDate, member.crc, clamped(member.size()), clamped(member.size()),
              u16(member.file_name.size()), u16(sizes.empty() ? 0 : sizes.size() + 4), std::uint16_t{0},
              std::uint16_t{0}, std::uint16_t{0}, std::uint32_t{0100644u << 16}, clamped(member.local_offset))
      .text(member.file_name);
  if (!sizes.empty()) record.fields(std::uint16_t{1}, u16(sizes.size())).text(sizes);
  return record.take();
}

void NpzWriter::begin() {
  std::uint64_t offset = 0;
  for (Member& member : members_) {
    member.local_offset = offset;
    member.data_offset = offset + local_header(member).size() + member.header.size();
    offset = member.data_offset + member.data_bytes;
  }
  directory_offset_ = offset;
  file_.reserve(offset);
}

void NpzWriter::append(std::size_t member, std::span<const std::byte> bytes) {
  Member& target = members_.at(member);
  require(target.filled + bytes.size() <= target.data_bytes, "more data than an npz member was declared to hold");
  file_.write_at(target.data_offset + target.filled, bytes);
  target.crc = crc_of(target.crc, bytes.data(), bytes.size());
  target.filled += bytes.size();
}

void NpzWriter::finish() {
  std::string directory;
  for (const Member& member : members_) {
    require(member.filled == member.data_bytes, "an npz member was not filled");
    file_.write_at(member.local_offset, as_bytes(local_header(member) + member.header));
    directory += central_header(member);
  }
  const std::uint64_t count = members_.size();
  const std::uint64_t end = directory_offset_ + directory.size();
  Record tail;
  if (directory_offset_ >= kLimit32 || count >= 0xffff) {
    tail.fields(std::uint32_t{0x06064b50}, std::uint64_t{44}, kVersion, kVersion, std::uint32_t{0}, std::uint32_t{0},
                count, count, std::uint64_t{directory.size()}, directory_offset_);
    tail.fields(std::uint32_t{0x07064b50}, std::uint32_t{0}, end, std::uint32_t{1});
  }
  const auto short_count = u16(std::min<std::uint64_t>(count, 0xffff));
  tail.fields(std::uint32_t{0x06054b50}, std::uint16_t{0}, std::uint16_t{0}, short_count, short_count,
              clamped(directory.size()), clamped(directory_offset_), std::uint16_t{0});
  file_.write_at(directory_offset_, as_bytes(directory + tail.take()));
  file_.commit();
}

void NpzWriter::add_all(const std::vector<std::pair<std::string, Tensor>>& members) {
  std::vector<NpyEncoding> encodings;
  for (const auto& [name, tensor] : members) {
    encodings.push_back(encode_npy(tensor));
    const NpyEncoding& encoding = encodings.back();
    add(name, encoding.descr, tensor.shape(), tensor.dtype() == DType::string ? encoding.text.size() : tensor.bytes());
  }
  begin();
  for (std::size_t i = 0; i < members.size(); ++i) {
    const Tensor& tensor = members[i].second;
    append(i, tensor.dtype() == DType::string ? as_bytes(encodings[i].text)
                                              : std::span(static_cast<const std::byte*>(tensor.raw()), tensor.bytes()));
  }
}

void write_npz(const std::filesystem::path& target, const std::vector<std::pair<std::string, Tensor>>& members) {
  NpzWriter writer(target);
  writer.add_all(members);
  writer.finish();
}

}  // namespace sparse_run::cli
