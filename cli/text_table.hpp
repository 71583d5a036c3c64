// Tables of aligned columns on stdout.
#pragma once

#include <string>
#include <vector>

namespace sparse_run::cli {

/// Rows of cells; columns are as wide as their widest cell. Numbers align right, text left.
class TextTable {
 public:
  /// `align` has one character per column: 'l' or 'r'.
  TextTable(std::vector<std::string> header, std::string align);
  void add(std::vector<std::string> row);
  std::string text() const;

 private:
  std::string align_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace sparse_run::cli
