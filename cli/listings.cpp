// What devices, operators and passes there are.
#include "cli/listings.hpp"

#include <fmt/format.h>

#include "cli/text_table.hpp"
#include "graph/ops/schema.hpp"
#include "graph/passes/pipeline.hpp"

namespace sparse_run::cli {

std::string list_operators() {
  TextTable table({"domain", "operator", "since opset"}, "lll");
  const auto schemas = OpRegistry::standard().all();
  std::size_t operators = 0;
  for (std::size_t i = 0; i < schemas.size();) {
    if (schemas[i]->domain == kInternalDomain) {
      ++i;
      continue;
    }
    std::string versions;
    const std::size_t first = i;
    for (;
         i < schemas.size() && schemas[i]->name == schemas[first]->name && schemas[i]->domain == schemas[first]->domain;
         ++i) {
      versions += fmt::format("{}{}", versions.empty() ? "" : ", ", schemas[i]->since);
    }
    const std::string_view domain = schemas[first]->domain;
    table.add({std::string(domain.empty() ? "ai.onnx" : domain), std::string(schemas[first]->name), versions});
    ++operators;
  }
  return table.text() + fmt::format("{} operators\n", operators);
}

std::string list_passes() {
  TextTable table({"stage", "pass", "purpose"}, "lll");
  for (const auto& pass : load_passes().passes()) {
    table.add({"load", std::string(pass->name()), std::string(pass->purpose())});
  }
  for (const auto& pass : specialize_passes().passes()) {
    table.add({"shapes", std::string(pass->name()), std::string(pass->purpose())});
  }
  return table.text();
}

}  // namespace sparse_run::cli
