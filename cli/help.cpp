// Rendering --help from the option definitions.
#include "cli/help.hpp"

#include <fmt/format.h>

#include <iterator>
#include <string_view>
#include <utility>

namespace sparse_run::cli {

namespace {

constexpr std::size_t kDescriptionColumn = 34;
constexpr std::size_t kLineWidth = 100;

constexpr std::pair<std::string_view, std::string_view> kExamples[] = {
    {"Input and output", "sparse-run --input images.npy --micro-batch 16 --output scores.npz model.onnx"},
    {"Where it runs", "sparse-run --threads 4 --memory-limit cpu=2GiB --explain --dry-run model.onnx"},
    {"Measuring", "sparse-run --benchmark --shape input=16x3x224x224 --profile --json result.json model.onnx"},
    {"Asking", "sparse-run --inspect model.onnx"},
};

/// Words of `text` on lines that start at kDescriptionColumn; the cursor stands at `column` of the first.
void append_wrapped(std::string& out, std::string_view text, std::size_t column) {
  if (column + 2 > kDescriptionColumn) {
    out += '\n';
    column = 0;
  }
  out.append(kDescriptionColumn - column, ' ');
  column = kDescriptionColumn;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    if (column > kDescriptionColumn && column + 1 + end > kLineWidth) {
      out += '\n';
      out.append(kDescriptionColumn, ' ');
      column = kDescriptionColumn;
    } else if (column > kDescriptionColumn) {
      out += ' ';
      ++column;
    }
    out += text.substr(0, end);
    column += end;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  out += '\n';
}

std::string spelled(const CLI::Option& option) {
  std::string names = "      ";
  if (!option.get_snames().empty()) {
    names = fmt::format("  -{}", option.get_snames().front());
    names += option.get_lnames().empty() ? "" : ", ";
  }
  if (!option.get_lnames().empty()) names += "--" + option.get_lnames().front();
  if (option.get_type_size() != 0 && !option.get_type_name().empty()) names += " " + option.get_type_name();
  return names;
}

}  // namespace

std::string HelpFormatter::make_help(const CLI::App* app, std::string, CLI::AppFormatMode) const {
  std::string out = app->get_description() + "\n\nUsage: sparse-run [OPTIONS] MODEL.onnx\n";
  for (const std::string& group : app->get_groups()) {
    const auto options = app->get_options(
        [&](const CLI::Option* option) { return option->get_group() == group && option->nonpositional(); });
    if (group.empty() || options.empty()) continue;
    fmt::format_to(std::back_inserter(out), "\n{}\n", group);
    for (const CLI::Option* option : options) {
      const std::string names = spelled(*option);
      out += names;
      append_wrapped(out, option->get_description(), names.size());
    }
    for (const auto& [name, example] : kExamples) {
      if (name == group) fmt::format_to(std::back_inserter(out), "  Example: {}\n", example);
    }
  }
  return out + '\n' + app->get_footer() + '\n';
}

}  // namespace sparse_run::cli
