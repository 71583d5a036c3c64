// Reading opset imports.
#include "graph/onnx/opsets.hpp"

#include <limits>
#include <set>

#include "base/error.hpp"
#include "graph/onnx/names.hpp"

namespace sparse_run::onnx {

Opsets read_opsets(const google::protobuf::RepeatedPtrField<onnx_wire::OperatorSetIdProto>& imports, Opsets base,
                   const ImportLimits& limits) {
  std::set<std::string, std::less<>> seen;
  for (const auto& import : imports) {
    check_name(import.domain(), limits, "an operator domain");
    const std::string domain(normal_domain(import.domain()));
    const std::int64_t version = import.version();
    if (version < 1 || version > std::numeric_limits<int>::max()) {
      throw_error(ErrorKind::model, "opset version {} of domain '{}' is impossible", version, domain);
    }
    if (domain.empty() && (version < kOldestOpset || version > kNewestOpset)) {
      throw_error(ErrorKind::unsupported, "opset {} of ai.onnx is not supported: {} to {} are; {}", version,
                  kOldestOpset, kNewestOpset,
                  version < kOldestOpset ? "convert the model with onnx.version_converter"
                                         : "export the model for an older opset");
    }
    const bool first = seen.insert(domain).second;
    if (!first && base.at(domain) != version) {
      throw_error(ErrorKind::model, "domain '{}' is imported with versions {} and {}", domain, base.at(domain),
                  version);
    }
    base.insert_or_assign(domain, static_cast<int>(version));
  }
  return base;
}

}  // namespace sparse_run::onnx
