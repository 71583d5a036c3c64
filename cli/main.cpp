// The entry point of sparse-run.
#include "cli/command_line.hpp"

int main(int argc, char** argv) { return sparse_run::cli::run_command_line(argc, argv); }
