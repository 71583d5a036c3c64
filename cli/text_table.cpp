// Laying out tables.
#include "cli/text_table.hpp"

#include <algorithm>

#include "base/error.hpp"

namespace sparse_run::cli {

namespace {

/// Characters, not bytes, of UTF-8 text.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

TextTable::TextTable(std::vector<std::string> header, std::string align) : align_(std::move(align)) {
  require(header.size() == align_.size(), "a table's header and alignment differ in length");
  rows_.push_back(std::move(header));
}

void TextTable::add(std::vector<std::string> row) {
  require(row.size() == align_.size(), "a table's row has another number of cells");
  rows_.push_back(std::move(row));
}

std::string TextTable::text() const {
  std::vector<std::size_t> widths(align_.size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], width_of(row[c]));
  }
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::size_t padding = widths[c] - width_of(row[c]);
      if (c > 0) line += "  ";
      if (align_[c] == 'r') line.append(padding, ' ');
      line += row[c];
      if (align_[c] == 'l') line.append(padding, ' ');
    }
    text.append(line, 0, line.find_last_not_of(' ') + 1);
    text += '\n';
  }
  return text;
}

}  // namespace sparse_run::cli
