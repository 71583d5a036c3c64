// Names, values and captures of graphs under construction.
#include "graph/onnx/frame.hpp"

#include "base/error.hpp"

namespace sparse_run::onnx {

std::string Frame::unique(std::string wanted, std::unordered_set<std::string>& taken) {
  if (taken.insert(wanted).second) return wanted;
  for (;;) {
    std::string candidate = fmt::format("{}.{}", wanted, next_suffix_++);
    if (taken.insert(candidate).second) return candidate;
  }
}

ValueId Frame::add_value(std::string name, Type type, std::vector<std::string> symbols) {
  const ValueId id = builder_.add_value(unique(std::move(name), value_names_), std::move(type));
  builder_.value(id).symbols = std::move(symbols);
  return id;
}

ValueId Frame::add_input(std::string name, Type type, std::vector<std::string> symbols) {
  return builder_.add_input(unique(std::move(name), value_names_), std::move(type), std::move(symbols));
}

void Frame::set_constant(ValueId id, Constant constant) {
  ValueDef& value = builder_.value(id);
  const auto* dense = std::get_if<Tensor>(&constant);
  value.type = dense != nullptr
                   ? Type::tensor(dense->dtype(), dense->shape())
                   : Type::tensor(std::get<SparseTensor>(constant).dtype(), std::get<SparseTensor>(constant).shape);
  value.constant = std::move(constant);
}

ValueId Frame::pull(Frame& origin, ValueId id) {
  if (this == &origin || id == kNoValue) return id;
  require(outer_ != nullptr, "a value is captured from a graph that does not enclose this one");
  const ValueId outer = outer_->pull(origin, id);
  const auto known = from_outer_.find(outer);
  if (known != from_outer_.end()) return known->second;
  const ValueDef& source = outer_->builder_.value(outer);
  ValueId here = kNoValue;
  if (source.constant) {
    here = add_value(source.name, source.type);
    set_constant(here, *source.constant);
  } else {
    here = builder_.add_capture(unique(source.name, value_names_), source.type);
    captured_.push_back(outer);
  }
  from_outer_.emplace(outer, here);
  return here;
}

void Scope::define(std::string_view name, ValueId id) {
  for (const Scope* scope = outer_; scope != nullptr; scope = scope->outer_) {
    if (scope->defines(name)) {
      throw_error(ErrorKind::model, "value '{}' has the name of a value of an enclosing graph", name);
    }
  }
  if (!names_.emplace(name, id).second) throw_error(ErrorKind::model, "value '{}' is defined twice", name);
}

bool Scope::claim(std::string_view name) {
  const auto found = reserved_.find(name);
  if (found == reserved_.end()) return false;
  define(name, found->second);  // a second claim is a second definition
  return true;
}

std::optional<ValueId> Scope::find(std::string_view name, Frame& user) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->outer_) {
    const auto found = scope->names_.find(name);
    if (found != scope->names_.end()) return user.pull(*scope->frame_, found->second);
  }
  return std::nullopt;
}

}  // namespace sparse_run::onnx
