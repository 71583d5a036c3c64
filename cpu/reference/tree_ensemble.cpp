// Reference kernel of TreeEnsemble: every row walks every tree, in double.
#include <cmath>
#include <set>

#include "cpu/reference/elements.hpp"
#include "cpu/reference/movement.hpp"

namespace sparse_run::reference {

namespace {

std::vector<double> doubles(const Tensor& tensor) {
  std::vector<double> values;
  const bool known = visit_arithmetic(tensor.dtype(), [&]<class T>() {
    for (const T element : tensor.data<T>()) values.push_back(static_cast<double>(static_cast<Compute<T>>(element)));
  });
  if (!known) throw_error(ErrorKind::unsupported, "a tree of type {}", to_string(tensor.dtype()));
  return values;
}

enum Mode { kLessEqual, kLess, kGreaterEqual, kGreater, kEqual, kNotEqual, kMember };
enum Aggregate { kAverage, kSum, kMin, kMax };
enum Transform { kNone, kSoftmax, kLogistic, kSoftmaxZero };

struct Branch {
  std::size_t to = 0;
  bool leaf = false;
};

struct Split {
  std::int64_t mode = kLessEqual;
  std::size_t feature = 0;
  double threshold = 0;
  std::set<double> members;
  bool missing_is_true = false;
  Branch if_true;
  Branch if_false;

  bool test(double x) const {
    if (std::isnan(x) && missing_is_true) return true;
    switch (mode) {
      case kLessEqual:
        return x <= threshold;
      case kLess:
        return x < threshold;
      case kGreaterEqual:
        return x >= threshold;
      case kGreater:
        return x > threshold;
      case kEqual:
        return x == threshold;
      case kNotEqual:
        return x != threshold;
      default:
        return !std::isnan(x) && members.contains(x);
    }
  }
};

struct Forest {
  std::vector<Split> splits;
  std::vector<std::size_t> roots;
  std::vector<double> leaf_weights;
  std::vector<std::int64_t> leaf_targets;
};

std::size_t checked_place(std::int64_t index, std::size_t count, const char* what) {
  if (index < 0 || index >= static_cast<std::int64_t>(count)) {
    throw_error(ErrorKind::model, "{} {} is outside [0, {})", what, index, count);
  }
  return static_cast<std::size_t>(index);
}

Forest read_forest(const Node& node, std::size_t features) {
  Forest forest;
  forest.leaf_weights = doubles(node.get<Tensor>("leaf_weights"));
  forest.leaf_targets = node.get<std::vector<std::int64_t>>("leaf_targetids");
  if (forest.leaf_weights.size() != forest.leaf_targets.size()) {
    throw_error(ErrorKind::model, "leaf_weights and leaf_targetids differ in length");
  }
  const auto modes = doubles(node.get<Tensor>("nodes_modes"));
  const auto thresholds = doubles(node.get<Tensor>("nodes_splits"));
  const std::size_t count = modes.size();
  const auto list = [&](const char* name) -> const std::vector<std::int64_t>& {
    const auto& values = node.get<std::vector<std::int64_t>>(name);
    if (values.size() != count)
      throw_error(ErrorKind::model, "{} has {} entries, {} expected", name, values.size(), count);
    return values;
  };
  if (thresholds.size() != count) throw_error(ErrorKind::model, "nodes_splits and nodes_modes differ in length");
  const auto& feature_ids = list("nodes_featureids");
  const auto& true_ids = list("nodes_truenodeids");
  const auto& false_ids = list("nodes_falsenodeids");
  const auto& true_leafs = list("nodes_trueleafs");
  const auto& false_leafs = list("nodes_falseleafs");
  std::vector<std::int64_t> missing(count, 0);
  if (node.has("nodes_missing_value_tracks_true")) missing = list("nodes_missing_value_tracks_true");
  std::vector<double> members;
  if (const auto* values = node.find<Tensor>("membership_values")) members = doubles(*values);
  const auto branch = [&](std::int64_t id, bool leaf) {
    const std::size_t places = leaf ? forest.leaf_weights.size() : count;
    return Branch{checked_place(id, places, leaf ? "leaf" : "tree node"), leaf};
  };
  auto next_member = members.begin();
  for (std::size_t i = 0; i < count; ++i) {
    Split split;
    split.mode = static_cast<std::int64_t>(modes[i]);
    if (split.mode < kLessEqual || split.mode > kMember) throw_error(ErrorKind::model, "node mode {}", split.mode);
    split.feature = checked_place(feature_ids[i], features, "feature");
    split.threshold = thresholds[i];
    split.missing_is_true = missing[i] != 0;
    split.if_true = branch(true_ids[i], true_leafs[i] != 0);
    split.if_false = branch(false_ids[i], false_leafs[i] != 0);
    if (split.mode == kMember) {  // its members end with a NaN
      if (next_member == members.end()) throw_error(ErrorKind::model, "membership_values has too few sets");
      while (next_member != members.end() && !std::isnan(*next_member)) split.members.insert(*next_member++);
      if (next_member != members.end()) ++next_member;
    }
    forest.splits.push_back(std::move(split));
  }
  for (const std::int64_t root : node.get<std::vector<std::int64_t>>("tree_roots")) {
    forest.roots.push_back(checked_place(root, count, "tree root"));
  }
  return forest;
}

std::size_t find_leaf(const Forest& forest, std::size_t root, std::span<const double> row) {
  Branch at{root, false};
  for (std::size_t steps = 0; !at.leaf; ++steps) {
    if (steps > forest.splits.size()) throw_error(ErrorKind::model, "the tree of root {} has a cycle", root);
    const Split& split = forest.splits[at.to];
    at = split.test(row[split.feature]) ? split.if_true : split.if_false;
  }
  return at.to;
}

void transform(std::span<double> scores, std::int64_t kind) {
  if (kind == kLogistic) {
    for (double& score : scores) score = 1 / (1 + std::exp(-score));
  } else if (kind == kSoftmax || kind == kSoftmaxZero) {
    const double most = scores.empty() ? 0 : *std::max_element(scores.begin(), scores.end());
    double sum = 0;
    for (double& score : scores) {
      score = kind == kSoftmaxZero && score == 0 ? 0 : std::exp(score - most);
      sum += score;
    }
    if (sum == 0) return;
    for (double& score : scores) score /= sum;
  }
}

void tree_ensemble(Context& ctx) {
  const Tensor& input = ctx.input(0);
  Tensor& output = ctx.output(0);
  const auto rows = static_cast<std::size_t>(input.shape()[0]);
  const auto features = static_cast<std::size_t>(input.shape()[1]);
  const auto targets = static_cast<std::size_t>(output.shape()[1]);
  const Forest forest = read_forest(ctx.node(), features);
  const std::int64_t aggregate = ctx.node().int_or("aggregate_function", kSum);
  const std::int64_t post = ctx.node().int_or("post_transform", kNone);
  if (aggregate < kAverage || aggregate > kMax) throw_error(ErrorKind::model, "aggregate_function is {}", aggregate);
  if (post < kNone || post > kSoftmaxZero) throw_error(ErrorKind::unsupported, "post_transform {}", post);

  const std::vector<double> x = doubles(input);
  std::vector<double> scores(rows * targets, 0.0);
  for (std::size_t r = 0; r < rows; ++r) {
    const auto row = std::span(scores).subspan(r * targets, targets);
    std::vector<bool> touched(targets, false);
    for (const std::size_t root : forest.roots) {
      const std::size_t leaf = find_leaf(forest, root, std::span(x).subspan(r * features, features));
      const auto target = static_cast<std::size_t>(forest.leaf_targets[leaf]);
      const double weight = forest.leaf_weights[leaf];
      if (!touched[target]) {
        row[target] = weight;
      } else if (aggregate == kMin) {
        row[target] = std::min(row[target], weight);
      } else if (aggregate == kMax) {
        row[target] = std::max(row[target], weight);
      } else {
        row[target] += weight;
      }
      touched[target] = true;
    }
    if (aggregate == kAverage && !forest.roots.empty()) {
      for (double& score : row) score /= static_cast<double>(forest.roots.size());
    }
    transform(row, post);
  }
  visit_float(output.dtype(), [&]<class T>() {
    const auto out = output.data<T>();
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<T>(static_cast<Compute<T>>(scores[i]));
  });
}

}  // namespace

void register_tree_ensemble(Table& table) { table.add("TreeEnsemble", tree_ensemble, "ai.onnx.ml"); }

}  // namespace sparse_run::reference
