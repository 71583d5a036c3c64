// Reference kernels of feature extraction: n-grams, selection, thresholds and label mappings.
#include <map>

#include "cpu/reference/elements.hpp"
#include "cpu/reference/movement.hpp"

namespace sparse_run::reference {

namespace {

constexpr std::string_view kMl = "ai.onnx.ml";

// Words compare as strings; integers are spelled out.
std::vector<std::string> words(const Tensor& tensor) {
  if (tensor.dtype() == DType::string) {
    const auto elements = tensor.data<std::string>();
    return {elements.begin(), elements.end()};
  }
  std::vector<std::string> result;
  for (const std::int64_t number : tensor.to_int64()) result.push_back(std::to_string(number));
  return result;
}

struct Pool {
  std::map<std::vector<std::string>, std::size_t> grams;  // n-gram → its number
};

Pool read_pool(const Node& node, bool strings) {
  std::vector<std::string> items = node.strings_or("pool_strings");
  if (strings != node.has("pool_strings")) throw_error(ErrorKind::model, "the pool is not of the input's type");
  if (!strings) {
    for (const std::int64_t item : node.get<std::vector<std::int64_t>>("pool_int64s")) {
      items.push_back(std::to_string(item));
    }
  }
  const auto& starts = node.get<std::vector<std::int64_t>>("ngram_counts");
  const std::size_t indexes = node.get<std::vector<std::int64_t>>("ngram_indexes").size();
  Pool pool;
  std::size_t number = 0;
  const auto total = static_cast<std::int64_t>(items.size());
  for (std::size_t n = 1; n <= starts.size(); ++n) {
    const std::int64_t begin = starts[n - 1];
    const std::int64_t end = n < starts.size() ? starts[n] : total;
    if (begin < 0 || end < begin || end > total || (end - begin) % static_cast<std::int64_t>(n) != 0) {
      throw_error(ErrorKind::model, "ngram_counts does not divide a pool of {} into {}-grams", total, n);
    }
    for (auto item = items.begin() + begin; item != items.begin() + end; item += static_cast<std::ptrdiff_t>(n)) {
      if (number >= indexes) throw_error(ErrorKind::model, "the pool holds more n-grams than ngram_indexes");
      pool.grams.try_emplace({item, item + static_cast<std::ptrdiff_t>(n)}, number++);
    }
  }
  return pool;
}

void tf_idf(Context& ctx) {
  const Node& node = ctx.node();
  const Tensor& input = ctx.input(0);
  Tensor& output = ctx.output(0);
  const Pool pool = read_pool(node, input.dtype() == DType::string);
  const auto& indexes = node.get<std::vector<std::int64_t>>("ngram_indexes");
  std::vector<float> weights = node.floats_or("weights");
  if (weights.empty()) weights.assign(indexes.size(), 1.0f);
  if (weights.size() != indexes.size()) throw_error(ErrorKind::model, "weights and ngram_indexes differ in length");
  const std::string& mode = node.get<std::string>("mode");
  if (mode != "TF" && mode != "IDF" && mode != "TFIDF") throw_error(ErrorKind::model, "mode '{}' is not defined", mode);

  const std::int64_t length = input.shape().back();
  const std::int64_t rows = input.rank() == 1 ? 1 : input.shape().front();
  const std::int64_t width = output.shape().back();
  const auto orders = static_cast<std::int64_t>(node.get<std::vector<std::int64_t>>("ngram_counts").size());
  const std::int64_t shortest = node.get<std::int64_t>("min_gram_length");
  const std::int64_t longest = std::min(node.get<std::int64_t>("max_gram_length"), orders);
  const std::int64_t skips = std::clamp<std::int64_t>(node.get<std::int64_t>("max_skip_count"), 0, length);
  if (shortest < 1) throw_error(ErrorKind::model, "min_gram_length is {}", shortest);

  const std::vector<std::string> text = words(input);
  set_zero(output);
  const auto out = output.data<float>();
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t n = shortest; n <= longest; ++n) {
      // A single word has nothing to skip within.
      const std::int64_t strides = n == 1 ? 1 : skips + 1;
      for (std::int64_t stride = 1; stride <= strides; ++stride) {
        for (std::int64_t start = 0; start + stride * (n - 1) < length; ++start) {
          std::vector<std::string> gram;
          for (std::int64_t i = 0; i < n; ++i) {
            gram.push_back(text[static_cast<std::size_t>(row * length + start + i * stride)]);
          }
          const auto found = pool.grams.find(gram);
          if (found == pool.grams.end()) continue;
          float& count = out[static_cast<std::size_t>(row * width + indexes[found->second])];
          if (mode == "TF") count += 1;
          if (mode == "TFIDF") count += weights[found->second];
          if (mode == "IDF") count = weights[found->second];
        }
      }
    }
  }
}

void array_feature_extractor(Context& ctx) {
  const Tensor& input = ctx.input(0);
  Tensor& output = ctx.output(0);
  const auto indices = ctx.input(1).to_int64();
  const std::int64_t row = input.shape().back();
  const std::int64_t rows = extent(input.shape(), 0, input.rank() - 1);
  const ElementMover mover(input, output);
  std::int64_t to = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (const std::int64_t index : indices) mover.move(r * row + checked_index(index, row), to++);
  }
}

void binarizer(Context& ctx) {
  const Tensor& input = ctx.input(0);
  Tensor& output = ctx.output(0);
  const auto threshold = static_cast<double>(ctx.node().float_or("threshold", 0.0f));
  visit_types<float, double, std::int32_t, std::int64_t>(input.dtype(), [&]<class T>() {
    const auto from = input.data<T>();
    const auto to = output.data<T>();
    for (std::size_t i = 0; i < from.size(); ++i) to[i] = static_cast<double>(from[i]) > threshold ? T{1} : T{0};
  });
}

template <class T>
Tensor list_of(const std::vector<T>& values) {
  return Tensor::of<T>({static_cast<std::int64_t>(values.size())}, std::span<const T>(values));
}

// keys_* or values_*, whichever form the model gives.
Tensor label_list(const Node& node, const std::string& what) {
  if (const auto* tensor = node.find<Tensor>(what + "_tensor")) return *tensor;
  if (const auto* list = node.find<std::vector<std::string>>(what + "_strings")) return list_of(*list);
  if (const auto* list = node.find<std::vector<std::int64_t>>(what + "_int64s")) return list_of(*list);
  if (const auto* list = node.find<std::vector<float>>(what + "_floats")) return list_of(*list);
  throw_error(ErrorKind::model, "no {}_* attribute is given", what);
}

Tensor default_label(const Node& node, DType dtype) {
  if (const auto* tensor = node.find<Tensor>("default_tensor")) {
    if (tensor->size() != 1) throw_error(ErrorKind::model, "default_tensor must hold one element");
    return *tensor;
  }
  Tensor label = zero_scalar(dtype);
  if (dtype == DType::string) {
    label.data<std::string>()[0] = node.string_or("default_string", "_Unused");
    return label;
  }
  const bool known = visit_types<float, double, std::int16_t, std::int32_t, std::int64_t>(dtype, [&]<class T>() {
    if constexpr (std::is_integral_v<T>) {
      label.data<T>()[0] = static_cast<T>(node.int_or("default_int64", -1));
    } else {
      label.data<T>()[0] = static_cast<T>(node.float_or("default_float", -0.0f));
    }
  });
  if (!known) throw_error(ErrorKind::unsupported, "labels of type {}", to_string(dtype));
  return label;
}

void label_encoder(Context& ctx) {
  const Tensor& input = ctx.input(0);
  Tensor& output = ctx.output(0);
  const Tensor keys = label_list(ctx.node(), "keys");
  const Tensor values = label_list(ctx.node(), "values");
  if (keys.size() != values.size()) throw_error(ErrorKind::model, "{} keys, {} values", keys.size(), values.size());
  if (keys.dtype() != input.dtype()) {
    throw_error(ErrorKind::model, "keys are {}, the input is {}", to_string(keys.dtype()), to_string(input.dtype()));
  }
  const Tensor fallback = default_label(ctx.node(), values.dtype());
  const ElementMover known(values, output);
  const ElementMover unknown(fallback, output);
  const auto encode = [&](const auto& key_list, const auto& input_list) {
    std::map<std::decay_t<decltype(key_list[0])>, std::int64_t> places;
    for (std::size_t i = 0; i < key_list.size(); ++i) places[key_list[i]] = static_cast<std::int64_t>(i);
    for (std::size_t i = 0; i < input_list.size(); ++i) {
      const auto found = places.find(input_list[i]);
      const auto at = static_cast<std::int64_t>(i);
      found == places.end() ? unknown.move(0, at) : known.move(found->second, at);
    }
  };
  if (input.dtype() == DType::string) {
    encode(keys.data<std::string>(), input.data<std::string>());
  } else {
    encode(order_keys(keys), order_keys(input));  // a NaN finds the key NaN
  }
}

}  // namespace

void register_feature(Table& table) {
  table.add("TfIdfVectorizer", tf_idf);
  table.add("ArrayFeatureExtractor", array_feature_extractor, kMl);
  table.add("Binarizer", binarizer, kMl);
  table.add("LabelEncoder", label_encoder, kMl);
}

}  // namespace sparse_run::reference
