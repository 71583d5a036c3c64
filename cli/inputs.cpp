// Finding a source for every input, resolving dimensions, loading values.
#include "cli/inputs.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>

#include "base/error.hpp"
#include "cli/npy_tensor.hpp"
#include "cli/npz_reader.hpp"
#include "cli/quantities.hpp"
#include "cli/random_values.hpp"
#include "graph/onnx/tensor_io.hpp"

namespace sparse_run::cli {

namespace {

/// Where the value of one port comes from.
struct Source {
  std::string file;    ///< empty: random
  std::string member;  ///< of an npz file
  std::optional<RandomRange> range;
  bool given = false;
};

std::string names_of(const std::vector<Port>& ports) {
  std::string names;
  for (const Port& port : ports) names += (names.empty() ? "" : ", ") + port.name;
  return names.empty() ? "none" : names;
}

std::size_t find_port(const std::vector<Port>& ports, const std::string& name, const char* option) {
  const auto found = std::find_if(ports.begin(), ports.end(), [&](const Port& port) { return port.name == name; });
  if (found == ports.end()) {
    throw_error(ErrorKind::usage, "{}: the model has no input '{}'; its inputs are {}", option, name, names_of(ports));
  }
  return static_cast<std::size_t>(found - ports.begin());
}

class SourceFinder {
 public:
  SourceFinder(const std::vector<Port>& ports, const std::function<void(const std::string&)>& notice)
      : ports_(ports), notice_(notice), sources_(ports.size()) {}

  void add(const std::string& spec) {
    // Names may hold '=': the longest one that fits is meant.
    std::size_t best = ports_.size();
    for (std::size_t i = 0; i < ports_.size(); ++i) {
      const std::string& name = ports_[i].name;
      const bool fits = spec.size() > name.size() && spec.starts_with(name) && spec[name.size()] == '=';
      if (fits && (best == ports_.size() || name.size() > ports_[best].name.size())) best = i;
    }
    if (best < ports_.size()) {
      assign(best, spec.substr(ports_[best].name.size() + 1));
    } else if (spec.ends_with(".npz") && (std::filesystem::exists(spec) || spec.find('=') == std::string::npos)) {
      assign_archive(spec);
    } else if (spec.find('=') != std::string::npos && !std::filesystem::exists(spec)) {
      throw_error(ErrorKind::usage, "--input {}: the model has no such input; its inputs are {}", spec,
                  names_of(ports_));
    } else if (ports_.size() == 1) {
      assign(0, spec);
    } else {
      throw_error(ErrorKind::usage, "--input {}: say which input this is, NAME={}; the inputs are {}", spec, spec,
                  names_of(ports_));
    }
  }
  std::vector<Source> take() { return std::move(sources_); }

 private:
  void set(std::size_t port, Source source) {
    if (sources_[port].given) throw_error(ErrorKind::usage, "--input: '{}' is given twice", ports_[port].name);
    source.given = true;
    sources_[port] = std::move(source);
  }
  void assign(std::size_t port, const std::string& value) {
    Source source;
    if (value == "random" || value.starts_with("random:")) {
      if (value != "random") {
        source.range = with_context([&] { return fmt::format("--input {}", ports_[port].name); },
                                    [&] { return parse_range(std::string_view(value).substr(7)); });
      }
    } else {
      source.file = value;
      source.member = ports_[port].name;
    }
    set(port, std::move(source));
  }
  void assign_archive(const std::string& file) {
    with_context([&] { return file; },
                 [&] {
                   const NpzReader reader(file);
                   std::size_t used = 0;
                   for (std::size_t i = 0; i < ports_.size(); ++i) {
                     if (!reader.contains(ports_[i].name) || sources_[i].given) continue;
                     set(i, Source{file, ports_[i].name, std::nullopt, true});
                     ++used;
                   }
                   if (used == 0) {
                     throw_error(ErrorKind::input, "no member is named like an input of the model; its inputs are {}",
                                 names_of(ports_));
                   }
                   if (used < reader.names().size()) {
                     notice_(fmt::format("{}: {} of {} members are used, the others are no inputs", file, used,
                                         reader.names().size()));
                   }
                 });
  }

  const std::vector<Port>& ports_;
  const std::function<void(const std::string&)>& notice_;
  std::vector<Source> sources_;
};

Value load(const Source& source, const Port& port, std::uint64_t memory_limit,
           std::shared_ptr<const onnx::MappedFile>& mapped) {
  return with_context([&] { return source.file; },
                      [&]() -> Value {
                        const DType expected = port.type.dtype;
                        if (source.file.ends_with(".npz"))
                          return NpzReader(source.file).read(source.member, expected, memory_limit);
                        if (source.file.ends_with(".pb")) return read_value_file(source.file, port.type);
                        if (port.type.kind != ValueKind::tensor) {
                          throw_error(ErrorKind::input, "input '{}' is a {}; give it as a .pb file of ONNX", port.name,
                                      to_string(port.type));
                        }
                        NpyFile file = load_npy(source.file, expected);
                        mapped = std::move(file.mapped);
                        return file.tensor;
                      });
}

/// Reads bytes of a tensor from the file that it views.
std::function<void(std::size_t, std::span<std::byte>)> reader_of(const Tensor& tensor,
                                                                 std::shared_ptr<const onnx::MappedFile> file,
                                                                 std::string name) {
  const auto start = static_cast<std::size_t>(static_cast<const std::byte*>(tensor.raw()) - file->bytes().data());
  return [start, file = std::move(file), name = std::move(name)](std::size_t at, std::span<std::byte> into) {
    with_context([&] { return name; }, [&] { file->read_at(start + at, into); });
  };
}

/// Values of symbolic dimensions, as far as they are known.
class Symbols {
 public:
  Symbols(const std::vector<Port>& ports, const Options& options) {
    for (const auto& [symbol, value] : options.dimensions) {
      const bool known = std::any_of(ports.begin(), ports.end(), [&, name = symbol](const Port& port) {
        return std::find(port.symbols.begin(), port.symbols.end(), name) != port.symbols.end();
      });
      if (!known) {
        throw_error(ErrorKind::usage, "--dim {}={}: the model has no symbolic dimension of that name; it has {}",
                    symbol, value, all_symbols(ports));
      }
      values_[symbol] = value;
    }
  }
  void learn(const Port& port, const Shape& shape) {
    for (std::size_t d = 0; d < port.symbols.size() && d < shape.size(); ++d) {
      if (!port.symbols[d].empty()) values_.try_emplace(port.symbols[d], shape[d]);
    }
  }
  std::optional<std::int64_t> find(const std::string& symbol) const {
    const auto found = values_.find(symbol);
    return found == values_.end() || symbol.empty() ? std::nullopt : std::optional(found->second);
  }

 private:
  static std::string all_symbols(const std::vector<Port>& ports) {
    std::vector<std::string> names;
    for (const Port& port : ports) {
      for (const std::string& symbol : port.symbols) {
        if (!symbol.empty() && std::find(names.begin(), names.end(), symbol) == names.end()) names.push_back(symbol);
      }
    }
    return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
  }
  std::map<std::string, std::int64_t> values_;
};

/// The shape of a random input: what --shape says, else the port's with its symbols filled in.
Shape random_shape(const Port& port, const std::optional<Shape>& asked, Symbols& symbols,
                   const std::function<void(const std::string&)>& notice) {
  if (asked) return *asked;
  if (!port.type.shape) {
    throw_error(ErrorKind::usage, "input '{0}': the model does not say its shape; give it with --shape {0}=…",
                port.name);
  }
  Shape shape = *port.type.shape;
  bool guessed = false;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] >= 0) continue;
    const std::string symbol = d < port.symbols.size() ? port.symbols[d] : std::string();
    const auto known = symbols.find(symbol);
    shape[d] = known.value_or(1);
    guessed = guessed || !known;
  }
  symbols.learn(port, shape);
  if (guessed) {
    notice(fmt::format("input '{}': symbolic dimensions are taken as 1, shape {}; choose with --dim or --shape",
                       port.name, to_string(shape)));
  }
  return shape;
}

Value make_random(const Port& port, const Source& source, const Shape& shape, const Options& options,
                  std::uint64_t memory_limit) {
  return with_context(
      [&] { return fmt::format("input '{}'", port.name); },
      [&]() -> Value {
        if (port.type.kind != ValueKind::tensor) {
          throw_error(ErrorKind::input, "is a {}, which cannot be random; give it with --input {}=FILE.pb",
                      to_string(port.type), port.name);
        }
        const DType dtype = port.type.dtype == DType::undefined ? DType::f32 : port.type.dtype;
        const double bytes = static_cast<double>(element_count(shape)) * static_cast<double>(element_size(dtype));
        if (bytes > static_cast<double>(memory_limit)) {
          throw_error(ErrorKind::limit,
                      "{} of random values exceed the limit of {}; raise --memory-limit or ask for less",
                      format_bytes(bytes), format_bytes(static_cast<double>(memory_limit)));
        }
        return random_tensor(dtype, shape, options.seed, port.name, source.range);
      });
}

Type request_type(const Type& whole, bool split, std::int64_t micro_batch) {
  Type type = whole;
  if (split) type.shape->front() = micro_batch;
  return type;
}

}  // namespace

GatheredInputs gather_inputs(const std::vector<Port>& ports, const Options& options, std::uint64_t memory_limit,
                             const std::function<void(const std::string&)>& notice) {
  SourceFinder finder(ports, notice);
  for (const std::string& spec : options.inputs) finder.add(spec);
  const std::vector<Source> sources = finder.take();
  std::vector<std::optional<Shape>> asked(ports.size());
  for (const auto& [name, shape] : options.shapes) asked[find_port(ports, name, "--shape")] = shape;

  Symbols symbols(ports, options);
  GatheredInputs gathered;
  gathered.inputs.resize(ports.size());
  gathered.mapped.resize(ports.size());
  gathered.sources.resize(ports.size(), "random");
  for (std::size_t i = 0; i < ports.size(); ++i) {  // what is given comes first: it says what symbols are
    if (asked[i]) symbols.learn(ports[i], *asked[i]);
    if (sources[i].file.empty()) continue;
    Value& value = gathered.inputs[i].value;
    value = load(sources[i], ports[i], memory_limit, gathered.mapped[i]);
    gathered.sources[i] = sources[i].file;
    if (!value.is_tensor()) continue;
    if (asked[i] && *asked[i] != value.tensor.shape()) {
      throw_error(ErrorKind::usage, "--shape {}={}: but {} holds shape {}", ports[i].name, to_string(*asked[i]),
                  sources[i].file, to_string(value.tensor.shape()));
    }
    symbols.learn(ports[i], value.tensor.shape());
  }
  std::vector<Type> types;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    Value& value = gathered.inputs[i].value;
    if (sources[i].file.empty()) {
      const Shape shape =
          ports[i].type.kind == ValueKind::tensor ? random_shape(ports[i], asked[i], symbols, notice) : Shape{};
      value = make_random(ports[i], sources[i], shape, options, memory_limit);
    }
    types.push_back(Type::of(value));
  }
  gathered.batching = plan_batching(ports, types, options.micro_batch);
  for (std::size_t i = 0; i < ports.size(); ++i) {
    gathered.inputs[i].split = gathered.batching.split[i];
    if (gathered.mapped[i] && gathered.batching.is_job && gathered.batching.split[i]) {
      gathered.inputs[i].read = reader_of(gathered.inputs[i].value.tensor, gathered.mapped[i], gathered.sources[i]);
    }
    with_context([&] { return gathered.sources[i] == "random" ? std::string("--shape") : gathered.sources[i]; },
                 [&] {
                   check_input(ports[i],
                               request_type(types[i], gathered.batching.split[i], gathered.batching.micro_batch));
                 });
  }
  return gathered;
}

std::vector<Value> GatheredInputs::first_request() const {
  std::vector<Value> request;
  for (const JobInput& input : inputs) {
    if (!input.split) {
      request.push_back(input.value);
      continue;
    }
    const Tensor& whole = input.value.tensor;
    Shape shape = whole.shape();
    shape.front() = batching.micro_batch;
    request.emplace_back(Tensor::view(whole.dtype(), std::move(shape), const_cast<void*>(whole.raw()), whole.owner()));
  }
  return request;
}

std::vector<Value> GatheredInputs::hand_over() {
  std::vector<Value> request = first_request();
  inputs.clear();
  mapped.clear();
  return request;
}

std::int64_t GatheredInputs::rows_per_request() const {
  if (batching.is_job) return batching.micro_batch;
  for (const JobInput& input : inputs) {
    if (input.value.is_tensor() && input.value.tensor.rank() > 1) return input.value.tensor.shape().front();
  }
  return 1;
}

}  // namespace sparse_run::cli
