// Reference kernels: operators on strings.
#include <algorithm>

#include "cpu/reference/broadcast.hpp"
#include "cpu/reference/subfamilies.hpp"

namespace sparse_run::reference {

namespace {

void string_concat(Context& context) {
  const Tensor& a = context.input(0);
  const Tensor& b = context.input(1);
  Tensor& out = context.output(0);
  BroadcastIterator left(a.shape(), out.shape());
  BroadcastIterator right(b.shape(), out.shape());
  for (std::string& element : out.data<std::string>()) {
    element = a.data<std::string>()[*left] + b.data<std::string>()[*right];
    ++left;
    ++right;
  }
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 128; });
}

/// Letters of ASCII only; other text is refused, because its case depends on a locale.
std::string change_case(std::string text, bool upper) {
  if (!is_ascii(text)) {
    throw_error(ErrorKind::unsupported, "changing the case of '{}': only ASCII text is supported", text);
  }
  for (char& c : text) {
    if (upper && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (!upper && c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

/// Drops stop words, then changes case. Nothing left: one empty string.
void string_normalizer(Context& context) {
  const Tensor& in = context.input(0);
  const Node& node = context.node();
  const bool sensitive = node.int_or("is_case_sensitive", 0) != 0;
  const std::string action = node.string_or("case_change_action", "NONE");
  std::vector<std::string> stopwords = node.strings_or("stopwords");
  const auto comparable = [&](const std::string& word) { return sensitive ? word : change_case(word, false); };
  for (std::string& word : stopwords) word = comparable(word);
  std::vector<std::string> kept;
  for (const std::string& word : in.data<std::string>()) {
    if (!stopwords.empty() && std::find(stopwords.begin(), stopwords.end(), comparable(word)) != stopwords.end())
      continue;
    kept.push_back(action == "NONE" ? word : change_case(word, action == "UPPER"));
  }
  if (kept.empty()) kept.emplace_back();
  Shape shape = in.shape();
  shape.back() = static_cast<std::int64_t>(kept.size());
  Tensor& out = context.allocate(0, DType::string, std::move(shape));
  std::move(kept.begin(), kept.end(), out.data<std::string>().begin());
}

constexpr std::string_view kSpace = " \t\n\r\v\f";

/// At most `limit` pieces at runs of white space, none of them empty.
std::vector<std::string> split_at_space(std::string_view text, std::size_t limit) {
  std::vector<std::string> pieces;
  for (;;) {
    const auto first = text.find_first_not_of(kSpace);
    if (first == std::string_view::npos) return pieces;
    text.remove_prefix(first);
    const auto end = text.find_first_of(kSpace);
    if (pieces.size() + 1 == limit || end == std::string_view::npos) {
      pieces.emplace_back(text.substr(0, text.find_last_not_of(kSpace) + 1));
      return pieces;
    }
    pieces.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

std::vector<std::string> split_at(std::string_view text, std::string_view delimiter, std::size_t limit) {
  std::vector<std::string> pieces;
  if (text.empty()) return pieces;
  for (;;) {
    const auto end = pieces.size() + 1 == limit ? std::string_view::npos : text.find(delimiter);
    pieces.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return pieces;
    text.remove_prefix(end + delimiter.size());
  }
}

void string_split(Context& context) {
  const Tensor& in = context.input(0);
  const std::string delimiter = context.node().string_or("delimiter", "");
  const auto* maxsplit = context.node().find<std::int64_t>("maxsplit");
  const std::size_t limit = maxsplit == nullptr || *maxsplit < 0 ? 0 : static_cast<std::size_t>(*maxsplit) + 1;
  std::vector<std::vector<std::string>> rows;
  std::size_t widest = 0;
  for (const std::string& text : in.data<std::string>()) {
    rows.push_back(delimiter.empty() ? split_at_space(text, limit) : split_at(text, delimiter, limit));
    widest = std::max(widest, rows.back().size());
  }
  Shape shape = in.shape();
  shape.push_back(static_cast<std::int64_t>(widest));
  Tensor& out = context.allocate(0, DType::string, std::move(shape));
  Tensor& counts = context.allocate(1, DType::i64, in.shape());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    counts.data<std::int64_t>()[i] = static_cast<std::int64_t>(rows[i].size());
    std::move(rows[i].begin(), rows[i].end(), out.data<std::string>().begin() + static_cast<long>(i * widest));
  }
}

}  // namespace

void register_strings(Table& table) {
  table.add("StringConcat", string_concat);
  table.add("StringNormalizer", string_normalizer);
  table.add("StringSplit", string_split);
}

}  // namespace sparse_run::reference
