// Attribute access with errors that name the attribute.
#include "graph/ir/node.hpp"

namespace sparse_run {

void throw_attribute_type(std::string_view attribute) {
  throw_error(ErrorKind::model, "attribute '{}' has the wrong type", attribute);
}

void throw_attribute_missing(std::string_view attribute) {
  throw_error(ErrorKind::model, "required attribute '{}' is missing", attribute);
}

std::int64_t Node::int_or(std::string_view attribute, std::int64_t fallback) const {
  const auto* value = find<std::int64_t>(attribute);
  return value ? *value : fallback;
}

float Node::float_or(std::string_view attribute, float fallback) const {
  const auto* value = find<float>(attribute);
  return value ? *value : fallback;
}

std::string Node::string_or(std::string_view attribute, std::string_view fallback) const {
  const auto* value = find<std::string>(attribute);
  return value ? *value : std::string(fallback);
}

std::vector<std::int64_t> Node::ints_or(std::string_view attribute, std::vector<std::int64_t> fallback) const {
  const auto* value = find<std::vector<std::int64_t>>(attribute);
  return value ? *value : fallback;
}

std::vector<float> Node::floats_or(std::string_view attribute, std::vector<float> fallback) const {
  const auto* value = find<std::vector<float>>(attribute);
  return value ? *value : fallback;
}

std::vector<std::string> Node::strings_or(std::string_view attribute, std::vector<std::string> fallback) const {
  const auto* value = find<std::vector<std::string>>(attribute);
  return value ? *value : fallback;
}

std::string Node::describe() const {
  return domain.empty() ? fmt::format("node '{}' ({})", name, op) : fmt::format("node '{}' ({}.{})", name, domain, op);
}

}  // namespace sparse_run
