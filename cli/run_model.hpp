// A model's way through the command line: load, plan, run, compare, measure, report.
#pragma once

#include "cli/options.hpp"

namespace sparse_run::cli {

/// Does what `options` ask of options.model. Throws Error for everything that ends with another exit code than 0.
void run_model(const Options& options);

/// --inspect: prints the description, or writes it as JSON where --json says.
void inspect_model(const Options& options);

}  // namespace sparse_run::cli
