// Checked access to JSON.
#include "partitioner/json_fields.hpp"

#include <algorithm>
#include <cmath>

#include "base/error.hpp"

namespace sparse_run {

namespace {

constexpr std::size_t kMostBytes = std::size_t{256} << 20;
constexpr int kDeepest = 64;

}  // namespace

Json parse_json(std::string_view text, const std::string& what) {
  if (text.size() > kMostBytes) throw_error(ErrorKind::usage, "{}: larger than 256 MiB", what);
  try {
    return Json::parse(text.begin(), text.end(), [&](int depth, Json::parse_event_t, Json&) {
      if (depth > kDeepest) throw_error(ErrorKind::usage, "{}: nested deeper than {} levels", what, kDeepest);
      return true;
    });
  } catch (const Json::exception& error) {
    throw_error(ErrorKind::usage, "{}: not valid JSON: {}", what, error.what());
  }
}

JsonFields::JsonFields(const Json& json, std::string place) : json_(json), place_(std::move(place)) {
  if (!json.is_object()) throw_error(ErrorKind::usage, "{}: expected an object", place_);
}

std::string JsonFields::where(const std::string& key) const { return place_ + '.' + key; }

const Json* JsonFields::find(const std::string& key) const {
  const auto found = json_.find(key);
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

void JsonFields::expect_schema_version(int version) const {
  const std::int64_t found = integer("schema_version", 0, 1 << 20);
  if (found != version) {
    throw_error(ErrorKind::usage, "{}: schema_version is {}, this build reads {}", place_, found, version);
  }
}

std::string JsonFields::text(const std::string& key) const {
  std::string found = text_or(key, "");
  if (found.empty()) throw_error(ErrorKind::usage, "{}: missing or empty", where(key));
  return found;
}

std::string JsonFields::text_or(const std::string& key, const std::string& fallback) const {
  const Json* found = find(key);
  if (found == nullptr) return fallback;
  if (!found->is_string()) throw_error(ErrorKind::usage, "{}: expected text", where(key));
  return found->get<std::string>();
}

std::int64_t JsonFields::integer(const std::string& key, std::int64_t lowest, std::int64_t highest) const {
  if (find(key) == nullptr) throw_error(ErrorKind::usage, "{}: missing", where(key));
  return integer_or(key, 0, lowest, highest);
}

std::int64_t JsonFields::integer_or(const std::string& key, std::int64_t fallback, std::int64_t lowest,
                                    std::int64_t highest) const {
  const Json* found = find(key);
  if (found == nullptr) return fallback;
  const bool fits =
      found->is_number_integer() &&
      (!found->is_number_unsigned() ||
       found->get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
  const std::int64_t value = fits ? found->get<std::int64_t>() : 0;
  if (!fits || value < lowest || value > highest) {
    throw_error(ErrorKind::usage, "{}: expected a whole number from {} to {}", where(key), lowest, highest);
  }
  return value;
}

double JsonFields::number(const std::string& key, double lowest, double highest) const {
  if (find(key) == nullptr) throw_error(ErrorKind::usage, "{}: missing", where(key));
  return number_or(key, 0, lowest, highest);
}

double JsonFields::number_or(const std::string& key, double fallback, double lowest, double highest) const {
  const Json* found = find(key);
  if (found == nullptr) return fallback;
  const double value = found->is_number() ? found->get<double>() : std::nan("");
  if (!(value >= lowest && value <= highest)) {
    throw_error(ErrorKind::usage, "{}: expected a number from {:g} to {:g}", where(key), lowest, highest);
  }
  return value;
}

bool JsonFields::flag_or(const std::string& key, bool fallback) const {
  const Json* found = find(key);
  if (found == nullptr) return fallback;
  if (!found->is_boolean()) throw_error(ErrorKind::usage, "{}: expected true or false", where(key));
  return found->get<bool>();
}

const Json& JsonFields::list(const std::string& key) const {
  const Json* found = find(key);
  if (found == nullptr || !found->is_array()) throw_error(ErrorKind::usage, "{}: expected a list", where(key));
  return *found;
}

const Json& JsonFields::list_or_empty(const std::string& key) const {
  static const Json kEmpty = Json::array();
  return find(key) == nullptr ? kEmpty : list(key);
}

std::vector<JsonFields> JsonFields::objects(const std::string& key) const {
  std::vector<JsonFields> result;
  const Json& entries = list_or_empty(key);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    result.emplace_back(entries[i], fmt::format("{}.{}[{}]", place_, key, i));
  }
  return result;
}

void JsonFields::refuse_unknown(std::initializer_list<std::string_view> known) const {
  for (const auto& [key, value] : json_.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      throw_error(ErrorKind::usage, "{}: no such field is known; remove it or correct its name", where(key));
    }
  }
}

}  // namespace sparse_run
