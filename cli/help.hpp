// The layout of --help: options in groups, one example at the end of each.
#pragma once

#include <CLI/CLI.hpp>

namespace sparse_run::cli {

/// Formats help as aligned columns that fit 100 characters.
class HelpFormatter final : public CLI::FormatterBase {
 public:
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override;
};

}  // namespace sparse_run::cli
