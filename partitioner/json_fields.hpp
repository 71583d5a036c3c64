// Reading fields of JSON that nobody vouches for: every access checks type and range, and says where it failed.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace sparse_run {

using Json = nlohmann::json;

/// Parses `text`. Error(usage) naming `what` when it is no JSON, is deeper than a file of ours can be, or is larger
/// than 256 MiB.
Json parse_json(std::string_view text, const std::string& what);

/// One JSON object and its place ("plan.partitions[3]"). Views `json`, which must outlive it. All functions throw
/// Error(usage) that names the place and what was expected there.
class JsonFields {
 public:
  JsonFields(const Json& json, std::string place);

  const Json* find(const std::string& key) const;   ///< nullptr when absent or null
  std::string where(const std::string& key) const;  ///< "plan.partitions[3].nodes"

  void expect_schema_version(int version) const;
  std::string text(const std::string& key) const;  ///< not empty
  std::string text_or(const std::string& key, const std::string& fallback) const;
  std::int64_t integer(const std::string& key, std::int64_t lowest, std::int64_t highest) const;
  std::int64_t integer_or(const std::string& key, std::int64_t fallback, std::int64_t lowest,
                          std::int64_t highest) const;
  double number(const std::string& key, double lowest, double highest) const;
  double number_or(const std::string& key, double fallback, double lowest, double highest) const;
  bool flag_or(const std::string& key, bool fallback) const;
  /// The array under `key`.
  const Json& list(const std::string& key) const;
  const Json& list_or_empty(const std::string& key) const;
  /// The objects of the array under `key`; none when it is absent.
  std::vector<JsonFields> objects(const std::string& key) const;
  /// Error(usage) when a key is not among `known`: a misspelt number must not go unnoticed.
  void refuse_unknown(std::initializer_list<std::string_view> known) const;

 private:
  const Json& json_;
  std::string place_;
};

}  // namespace sparse_run
