// Finding and running the data sets beside a model.
#include "cli/test_data.hpp"

#include <algorithm>
#include <filesystem>

#include "base/error.hpp"
#include "graph/onnx/tensor_io.hpp"

namespace sparse_run::cli {

namespace {

namespace fs = std::filesystem;

fs::path numbered(const fs::path& folder, const char* kind, std::size_t number) {
  return folder / fmt::format("{}_{}.pb", kind, number);
}

bool is_data_set(const fs::path& folder) {
  return fs::exists(numbered(folder, "output", 0)) || fs::exists(numbered(folder, "input", 0));
}

/// Data set folders in numerical order: 2 before 10.
std::vector<fs::path> data_sets(const std::string& folder) {
  std::vector<fs::path> sets;
  std::error_code problem;
  for (fs::directory_iterator entry(folder, problem), end; !problem && entry != end; entry.increment(problem)) {
    if (entry->path().filename().string().starts_with("test_data_set_")) sets.push_back(entry->path());
  }
  if (problem) throw_error(ErrorKind::input, "{}: {}; give a folder", folder, problem.message());
  std::sort(sets.begin(), sets.end(), [](const fs::path& a, const fs::path& b) {
    const std::string x = a.filename().string();
    const std::string y = b.filename().string();
    return x.size() != y.size() ? x.size() < y.size() : x < y;
  });
  if (sets.empty() && is_data_set(folder)) sets.emplace_back(folder);
  if (sets.empty()) throw_error(ErrorKind::input, "{}: holds no test_data_set_* folder; check the path", folder);
  return sets;
}

}  // namespace

std::vector<Comparison> run_test_data(Session& session, const std::string& folder, Tolerance tolerance,
                                      const ImportLimits& limits, const RunOptions& options) {
  std::vector<Comparison> comparisons;
  for (const fs::path& set : data_sets(folder)) {
    const std::string set_name = fs::path(set).filename().string();
    std::vector<Value> inputs;
    for (std::size_t i = 0; i < session.inputs().size(); ++i) {
      const Port& port = session.inputs()[i];
      const fs::path file = numbered(set, "input", i);
      inputs.push_back(read_value_file(file, port.type, limits));
      with_context([&] { return file.string(); }, [&] { check_input(port, Type::of(inputs.back())); });
    }
    if (fs::exists(numbered(set, "input", inputs.size()))) {
      throw_error(ErrorKind::input, "{}: the model has only {} inputs; is this its test data?",
                  numbered(set, "input", inputs.size()).string(), inputs.size());
    }
    const std::vector<Value> outputs =
        with_context([&] { return set_name; }, [&] { return session.run(inputs, options); });
    bool compared = false;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const fs::path file = numbered(set, "output", i);
      if (!fs::exists(file)) continue;
      compared = true;
      Comparison& comparison =
          comparisons.emplace_back(fmt::format("{} {}", set_name, session.outputs()[i].name), tolerance);
      comparison.add(outputs[i], read_value_file(file, Type::of(outputs[i]), limits), false);
    }
    if (!compared) throw_error(ErrorKind::input, "{}: holds no output_N.pb to compare with", set.string());
  }
  return comparisons;
}

}  // namespace sparse_run::cli
