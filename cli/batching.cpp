// Deciding how a long input is cut.
#include "cli/batching.hpp"

#include "base/error.hpp"

namespace sparse_run::cli {

namespace {

std::int64_t rows_of(const Type& type) { return type.shape && !type.shape->empty() ? type.shape->front() : -1; }

/// The port's fixed first dimension; -1 when it is symbolic, nullopt when there is no such dimension.
std::optional<std::int64_t> leading(const Port& port) {
  if (port.type.kind != ValueKind::tensor) return std::nullopt;
  if (!port.type.shape) return -1;
  if (port.type.shape->empty()) return std::nullopt;
  return port.type.shape->front();
}

std::string symbol_of(const Port& port) { return port.symbols.empty() ? std::string() : port.symbols.front(); }

/// Whether all but the first dimension of what was given fit the port.
bool tail_fits(const Port& port, const Type& given) {
  if (!port.type.shape || !given.shape || port.type.shape->size() != given.shape->size()) return false;
  for (std::size_t d = 1; d < given.shape->size(); ++d) {
    const std::int64_t wanted = (*port.type.shape)[d];
    if (wanted >= 0 && wanted != (*given.shape)[d]) return false;
  }
  return true;
}

void split_at(Batching& batching, std::size_t port, const Port& described, std::int64_t rows) {
  if (batching.is_job && batching.rows != rows) {
    throw_error(ErrorKind::input,
                "input '{}': {} rows, where another input that is split has {}; give both the same number",
                described.name, rows, batching.rows);
  }
  batching.is_job = true;
  batching.rows = rows;
  batching.split[port] = true;
}

}  // namespace

Batching plan_batching(const std::vector<Port>& ports, const std::vector<Type>& types,
                       const std::optional<std::int64_t>& micro_batch) {
  Batching batching;
  batching.split.resize(ports.size(), false);
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const auto fixed = leading(ports[i]);
    if (!fixed || *fixed < 1 || rows_of(types[i]) <= *fixed || !tail_fits(ports[i], types[i])) continue;
    if (batching.is_job && batching.micro_batch != *fixed) {
      throw_error(ErrorKind::input,
                  "input '{}': its fixed batch is {}, that of another input to split is {}; run them "
                  "without splitting",
                  ports[i].name, *fixed, batching.micro_batch);
    }
    batching.micro_batch = *fixed;
    batching.pad_last = true;
    split_at(batching, i, ports[i], rows_of(types[i]));
  }
  if (batching.is_job && micro_batch && *micro_batch != batching.micro_batch) {
    throw_error(ErrorKind::usage, "--micro-batch {}: the model's batch is fixed at {}; leave the option out",
                *micro_batch, batching.micro_batch);
  }
  if (!batching.is_job && !micro_batch) return batching;

  std::optional<std::string> batch_symbol;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const std::int64_t rows = rows_of(types[i]);
    if (leading(ports[i]) != -1 || rows < 0 || types[i].kind != ValueKind::tensor) continue;
    const std::string symbol = symbol_of(ports[i]);
    if (batching.is_job) {
      const bool same_symbol = batch_symbol && !symbol.empty() && symbol == *batch_symbol;
      const bool unnamed_and_as_long = (symbol.empty() || !batch_symbol) && rows == batching.rows;
      if (same_symbol || unnamed_and_as_long) split_at(batching, i, ports[i], rows);
    } else if (rows > *micro_batch) {
      batch_symbol = symbol;
      batching.micro_batch = *micro_batch;
      split_at(batching, i, ports[i], rows);
    } else {
      break;  // the batch dimension is not longer than a request
    }
  }
  return batching;
}

}  // namespace sparse_run::cli
