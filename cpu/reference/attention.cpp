// Reference kernels: attention in its forms, and rotary embedding.
#include "graph/ops/attention.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/reference/families.hpp"
#include "cpu/reference/numbers.hpp"

namespace sparse_run::reference {

namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

/// [batch, sequence, heads x size] → [batch, heads, sequence, size].
std::vector<double> unpacked(std::vector<double> values, std::int64_t batch, std::int64_t length, std::int64_t heads,
                             std::int64_t size) {
  std::vector<double> result(values.size());
  std::size_t at = 0;
  for (std::int64_t b = 0; b < batch; ++b) {
    for (std::int64_t t = 0; t < length; ++t) {
      for (std::int64_t h = 0; h < heads; ++h) {
        for (std::int64_t e = 0; e < size; ++e) {
          result[static_cast<std::size_t>(((b * heads + h) * length + t) * size + e)] = values[at++];
        }
      }
    }
  }
  return result;
}

/// The inverse of unpacked().
std::vector<double> packed(const std::vector<double>& values, std::int64_t batch, std::int64_t length,
                           std::int64_t heads, std::int64_t size) {
  return unpacked(values, batch, heads, length, size);
}

/// past and values, both [batch x heads, length, size], joined along their length.
std::vector<double> joined(const std::vector<double>& past, const std::vector<double>& values, std::int64_t rows,
                           std::int64_t past_size, std::int64_t size) {
  std::vector<double> result;
  result.reserve(past.size() + values.size());
  for (std::int64_t r = 0; r < rows; ++r) {
    result.insert(result.end(), past.begin() + r * past_size, past.begin() + (r + 1) * past_size);
    result.insert(result.end(), values.begin() + r * size, values.begin() + (r + 1) * size);
  }
  return result;
}

void softmax(std::span<double> row) {
  double most = kMinusInfinity;
  for (const double value : row) most = std::max(most, value);
  double sum = 0;
  for (double& value : row) sum += value = std::exp(value - most);
  for (double& value : row) value /= sum;
}

/// What is added to the scores: 0 or the mask's value where a key takes part, minus infinity where it does not.
class Bias {
 public:
  Bias(const Context& context, const AttentionSizes& sizes)
      : sizes_(sizes), causal_(context.node().int_or("is_causal", 0) != 0) {
    if (context.has_input(3)) {
      shape_ = context.input(3).shape();
      boolean_ = context.input(3).dtype() == DType::boolean;
      mask_ = to_doubles(context.input(3));
      shape_.insert(shape_.begin(), 4 - shape_.size(), 1);
      strides_ = row_major_strides(shape_);
    }
    if (context.has_input(6)) valid_ = to_integers(context.input(6));
  }

  double at(std::int64_t batch, std::int64_t head, std::int64_t query, std::int64_t key) const {
    if (causal_ && key > query + sizes_.past_length) return kMinusInfinity;
    if (!valid_.empty() && key >= valid_[static_cast<std::size_t>(batch)]) return kMinusInfinity;
    if (shape_.empty()) return 0;
    const std::int64_t index[4] = {batch, head, query, key};
    std::int64_t offset = 0;
    for (std::size_t d = 0; d < 4; ++d) {
      if (d == 3 && shape_[d] < sizes_.total_length && key >= shape_[d]) return kMinusInfinity;
      offset += shape_[d] == 1 ? 0 : index[d] * strides_[d];
    }
    const double value = mask_[static_cast<std::size_t>(offset)];
    return !boolean_ ? value : value != 0 ? 0 : kMinusInfinity;
  }

 private:
  const AttentionSizes& sizes_;
  bool causal_;
  bool boolean_ = false;
  std::vector<double> mask_;
  Shape shape_;
  std::vector<std::int64_t> strides_;
  std::vector<std::int64_t> valid_;
};

void attention(Context& context) {
  const Node& node = context.node();
  AttentionShapes shapes{
      &context.input(0).shape(), &context.input(1).shape(), &context.input(2).shape(), nullptr, nullptr,
      context.has_input(4)};
  if (shapes.has_past) {
    shapes.past_key = &context.input(4).shape();
    shapes.past_value = &context.input(5).shape();
  }
  const AttentionSizes s = attention_sizes(node, shapes).value();
  std::vector<double> q = to_doubles(context.input(0));
  std::vector<double> k = to_doubles(context.input(1));
  std::vector<double> v = to_doubles(context.input(2));
  if (s.packed) {
    q = unpacked(std::move(q), s.batch, s.query_length, s.query_heads, s.head_size);
    k = unpacked(std::move(k), s.batch, s.key_length, s.key_heads, s.head_size);
    v = unpacked(std::move(v), s.batch, s.key_length, s.key_heads, s.value_size);
  }
  if (shapes.has_past) {
    const std::int64_t rows = s.batch * s.key_heads;
    k = joined(to_doubles(context.input(4)), k, rows, s.past_length * s.head_size, s.key_length * s.head_size);
    v = joined(to_doubles(context.input(5)), v, rows, s.past_length * s.value_size, s.key_length * s.value_size);
  }
  const double scale = node.float_or("scale", static_cast<float>(1 / std::sqrt(static_cast<double>(s.head_size))));
  const double softcap = node.float_or("softcap", 0);
  const std::int64_t mode = node.int_or("qk_matmul_output_mode", 0);
  const Bias bias(context, s);
  const std::int64_t group = s.key_heads == 0 ? 1 : s.query_heads / s.key_heads;
  std::vector<double> y;
  std::vector<double> shown;  // the output qk_matmul_output
  std::vector<double> row(static_cast<std::size_t>(s.total_length));
  for (std::int64_t b = 0; b < s.batch; ++b) {
    for (std::int64_t h = 0; h < s.query_heads; ++h) {
      const std::int64_t matrix = b * s.key_heads + h / group;
      for (std::int64_t i = 0; i < s.query_length; ++i) {
        const double* query = q.data() + ((b * s.query_heads + h) * s.query_length + i) * s.head_size;
        const auto show = [&](std::int64_t stage) {
          if (stage == mode) shown.insert(shown.end(), row.begin(), row.end());
        };
        for (std::int64_t j = 0; j < s.total_length; ++j) {
          const double* key = k.data() + (matrix * s.total_length + j) * s.head_size;
          double sum = 0;
          for (std::int64_t e = 0; e < s.head_size; ++e) sum += query[e] * key[e];
          row[static_cast<std::size_t>(j)] = sum * scale;
        }
        show(0);
        if (softcap > 0) {
          for (double& score : row) score = softcap * std::tanh(score / softcap);
        }
        show(1);
        for (std::int64_t j = 0; j < s.total_length; ++j) row[static_cast<std::size_t>(j)] += bias.at(b, h, i, j);
        show(2);
        softmax(row);
        show(3);
        for (std::int64_t e = 0; e < s.value_size; ++e) {
          double sum = 0;
          for (std::int64_t j = 0; j < s.total_length; ++j) {
            sum += row[static_cast<std::size_t>(j)] *
                   v[static_cast<std::size_t>((matrix * s.total_length + j) * s.value_size + e)];
          }
          y.push_back(sum);
        }
      }
    }
  }
  if (s.packed) y = packed(y, s.batch, s.query_length, s.query_heads, s.value_size);
  store(context.output(0), y);
  if (context.has_output(1)) store(context.output(1), k);
  if (context.has_output(2)) store(context.output(2), v);
  if (context.has_output(3)) store(context.output(3), shown);
}

void rotary_embedding(Context& context) {
  const Node& node = context.node();
  const Shape& shape = context.input(0).shape();
  const bool packed_input = shape.size() == 3;
  const std::int64_t batch = shape[0];
  const std::int64_t heads = packed_input ? node.int_or("num_heads", 1) : shape[1];
  const std::int64_t length = packed_input ? shape[1] : shape[2];
  const std::int64_t size = packed_input ? shape[2] / heads : shape[3];
  const std::int64_t asked = node.int_or("rotary_embedding_dim", 0);
  const std::int64_t half = (asked == 0 ? size : asked) / 2;
  const bool interleaved = node.int_or("interleaved", 0) != 0;
  std::vector<double> x = to_doubles(context.input(0));
  if (packed_input) x = unpacked(std::move(x), batch, length, heads, size);
  const std::vector<double> cosines = to_doubles(context.input(1));
  const std::vector<double> sines = to_doubles(context.input(2));
  const std::vector<std::int64_t> positions =
      context.has_input(3) ? to_integers(context.input(3)) : std::vector<std::int64_t>{};
  const std::int64_t rows = context.input(1).shape()[0];
  for (std::int64_t b = 0; b < batch; ++b) {
    for (std::int64_t t = 0; t < length; ++t) {
      std::int64_t row = b * length + t;
      if (context.has_input(3)) {
        row = positions[static_cast<std::size_t>(row)];
        if (row < 0 || row >= rows) {
          throw_error(ErrorKind::input, "position_ids contains {}, the caches have {} rows", row, rows);
        }
      }
      for (std::int64_t h = 0; h < heads; ++h) {
        double* head = x.data() + ((b * heads + h) * length + t) * size;
        for (std::int64_t e = 0; e < half; ++e) {
          double& first = head[interleaved ? 2 * e : e];
          double& second = head[interleaved ? 2 * e + 1 : half + e];
          const double cosine = cosines[static_cast<std::size_t>(row * half + e)];
          const double sine = sines[static_cast<std::size_t>(row * half + e)];
          const double real = cosine * first - sine * second;
          second = sine * first + cosine * second;
          first = real;
        }
      }
    }
  }
  store(context.output(0), packed_input ? packed(x, batch, length, heads, size) : x);
}

/// Token by token: the state decays, is corrected by what it already holds for the key, learns the value and is read.
void linear_attention(Context& context) {
  const Node& node = context.node();
  const std::int64_t query_heads = node.get<std::int64_t>("q_num_heads");
  const std::int64_t heads = node.get<std::int64_t>("kv_num_heads");
  const std::int64_t group = query_heads / heads;
  const Shape& shape = context.input(0).shape();
  const std::int64_t batch = shape[0];
  const std::int64_t length = shape[1];
  const std::int64_t key_size = shape[2] / query_heads;
  const std::int64_t value_size = context.input(2).shape()[2] / heads;
  const auto q = to_doubles(context.input(0));
  const auto k = to_doubles(context.input(1));
  const auto v = to_doubles(context.input(2));
  const bool gated = context.has_input(4);
  const bool corrected = context.has_input(5);
  const auto decay = gated ? to_doubles(context.input(4)) : std::vector<double>{};
  const auto beta = corrected ? to_doubles(context.input(5)) : std::vector<double>{};
  const std::int64_t decays = gated ? context.input(4).shape()[2] : 0;
  const std::int64_t betas = corrected ? context.input(5).shape()[2] : 0;
  double scale = node.float_or("scale", 0);
  if (scale == 0) scale = 1 / std::sqrt(static_cast<double>(key_size));
  Tensor& present = context.output(1);
  std::vector<double> state(static_cast<std::size_t>(present.size()), 0.0);
  if (context.has_input(3)) state = to_doubles(context.input(3));
  std::vector<double> y(static_cast<std::size_t>(context.output(0).size()));
  std::vector<double> update(static_cast<std::size_t>(value_size));
  for (std::int64_t b = 0; b < batch; ++b) {
    for (std::int64_t t = 0; t < length; ++t) {
      const std::int64_t token = b * length + t;
      for (std::int64_t h = 0; h < heads; ++h) {
        double* matrix = state.data() + (b * heads + h) * key_size * value_size;
        const double* key = k.data() + (token * heads + h) * key_size;
        const double* value = v.data() + (token * heads + h) * value_size;
        if (gated) {
          for (std::int64_t d = 0; d < key_size; ++d) {
            const std::int64_t at = token * decays + (decays == heads ? h : h * key_size + d);
            const double factor = std::exp(decay[static_cast<std::size_t>(at)]);
            for (std::int64_t m = 0; m < value_size; ++m) matrix[d * value_size + m] *= factor;
          }
        }
        for (std::int64_t m = 0; m < value_size; ++m) {
          double learned = value[m];
          if (corrected) {
            for (std::int64_t d = 0; d < key_size; ++d) learned -= matrix[d * value_size + m] * key[d];
            learned *= beta[static_cast<std::size_t>(token * betas + (betas == 1 ? 0 : h))];
          }
          update[static_cast<std::size_t>(m)] = learned;
        }
        for (std::int64_t d = 0; d < key_size; ++d) {
          for (std::int64_t m = 0; m < value_size; ++m) {
            matrix[d * value_size + m] += key[d] * update[static_cast<std::size_t>(m)];
          }
        }
        for (std::int64_t g = h * group; g < (h + 1) * group; ++g) {
          const double* query = q.data() + (token * query_heads + g) * key_size;
          double* out = y.data() + (token * query_heads + g) * value_size;
          for (std::int64_t m = 0; m < value_size; ++m) {
            double sum = 0;
            for (std::int64_t d = 0; d < key_size; ++d) sum += query[d] * matrix[d * value_size + m];
            out[m] = scale * sum;
          }
        }
      }
    }
  }
  store(context.output(0), y);
  store(present, state);
}

/// Scores, or probabilities, as the body in `attribute` changes them.
std::vector<double> modified(Context& context, std::string_view attribute, DType dtype, const Shape& shape,
                             std::vector<double> values) {
  if (!context.node().has(attribute)) return values;
  Tensor tensor = Tensor::allocate(dtype, shape);
  store(tensor, values);
  const Value input(std::move(tensor));
  const std::vector<Value> results = context.run_body(attribute, std::span(&input, 1));
  if (results.size() != 1 || !results[0].is_tensor() || results[0].tensor.shape() != shape) {
    throw_error(ErrorKind::model, "{} must give one tensor of shape {}", attribute, to_string(shape));
  }
  return to_doubles(results[0].tensor);
}

void flex_attention(Context& context) {
  const Node& node = context.node();
  const Shape& query_shape = context.input(0).shape();
  const Shape& value_shape = context.input(2).shape();
  const std::int64_t heads = query_shape[1];
  const std::int64_t rows = query_shape[2];
  const std::int64_t size = query_shape[3];
  const std::int64_t columns = value_shape[2];
  const std::int64_t value_size = value_shape[3];
  const std::int64_t group = value_shape[1] == 0 ? 1 : heads / value_shape[1];
  const auto q = to_doubles(context.input(0));
  const auto k = to_doubles(context.input(1));
  const auto v = to_doubles(context.input(2));
  const DType operand = context.input(0).dtype();
  const DType dtype = node.has("softmax_precision") ? static_cast<DType>(node.int_or("softmax_precision", 0))
                      : operand == DType::f64       ? DType::f64
                                                    : DType::f32;
  const double scale = node.float_or("scale", static_cast<float>(1 / std::sqrt(static_cast<double>(size))));
  const Shape score_shape{query_shape[0], heads, rows, columns};
  std::vector<double> scores(static_cast<std::size_t>(element_count(score_shape)));
  const auto key_matrix = [&](std::int64_t matrix) { return matrix / heads * value_shape[1] + matrix % heads / group; };
  for (std::int64_t matrix = 0; matrix < query_shape[0] * heads; ++matrix) {
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < columns; ++j) {
        double sum = 0;
        for (std::int64_t e = 0; e < size; ++e) {
          sum += q[static_cast<std::size_t>((matrix * rows + i) * size + e)] *
                 k[static_cast<std::size_t>((key_matrix(matrix) * columns + j) * size + e)];
        }
        scores[static_cast<std::size_t>((matrix * rows + i) * columns + j)] = sum * scale;
      }
    }
  }
  scores = modified(context, "score_mod", dtype, score_shape, std::move(scores));
  for (std::size_t at = 0; at < scores.size(); at += static_cast<std::size_t>(columns)) {
    softmax(std::span(scores).subspan(at, static_cast<std::size_t>(columns)));
  }
  scores = modified(context, "prob_mod", dtype, score_shape, std::move(scores));
  std::vector<double> y;
  for (std::int64_t matrix = 0; matrix < query_shape[0] * heads; ++matrix) {
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t e = 0; e < value_size; ++e) {
        double sum = 0;
        for (std::int64_t j = 0; j < columns; ++j) {
          sum += scores[static_cast<std::size_t>((matrix * rows + i) * columns + j)] *
                 v[static_cast<std::size_t>((key_matrix(matrix) * columns + j) * value_size + e)];
        }
        y.push_back(sum);
      }
    }
  }
  store(context.output(0), y);
}

}  // namespace

void register_attention(Table& table) {
  table.add("Attention", attention);
  table.add("RotaryEmbedding", rotary_embedding);
  table.add("LinearAttention", linear_attention);
  table.add("FlexAttention", flex_attention, "ai.onnx.preview");
}

}  // namespace sparse_run::reference
