// Work, costs, schedules, pins and planners.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "partitioner/example_topologies.hpp"
#include "partitioner/explain.hpp"
#include "partitioner/plan_diff.hpp"
#include "partitioner/plan_html.hpp"
#include "partitioner/planner.hpp"
#include "partitioner/sample_networks.hpp"

namespace sparse_run {
namespace {

using testing::HasSubstr;
constexpr std::uint64_t kSeed = 20260701;

template <class Body>
std::string refused(ErrorKind kind, Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  return "accepted";
}

PlannerOptions planner_options(const std::string& topology, const std::string& policy = "auto") {
  PlannerOptions options;
  options.topology = example_topology(topology);
  options.policy = parse_policy(policy);
  options.model_hash = "hash";
  return options;
}

TEST(Work, of_a_convolution_counts_multiply_adds_zeros_and_bytes) {
  const SampleNetwork network = dense_beside_sparse(kSeed);
  ZeroCounts zeros;
  const NodeWork conv = work_of(*network.graph, network.graph->node(0), zeros);
  EXPECT_EQ(conv.layer, LayerClass::convolution);
  EXPECT_DOUBLE_EQ(conv.dense_flops, 2.0 * 8 * 64 * 28 * 28 * 64 * 9);
  EXPECT_DOUBLE_EQ(conv.weights, 64.0 * 64 * 9);
  EXPECT_DOUBLE_EQ(conv.activation_bytes, 2.0 * 4 * 8 * 64 * 28 * 28);
  EXPECT_LT(conv.zeros, 0.01);
  const NodeWork dense = work_of(*network.graph, network.graph->nodes().back(), zeros);
  EXPECT_EQ(dense.layer, LayerClass::product);
  EXPECT_DOUBLE_EQ(dense.dense_flops, 2.0 * 8 * 3072 * 3072);
  EXPECT_NEAR(dense.zeros, 0.99, 0.005);
  EXPECT_DOUBLE_EQ(dense.columns, 8);
}

TEST(Work, of_views_is_nothing_and_tables_are_kept_but_not_read) {
  const SampleNetwork network = dense_beside_sparse(kSeed);
  ZeroCounts zeros;
  for (const Node& node : network.graph->nodes()) {
    if (node.op != "Flatten") continue;
    const NodeWork work = work_of(*network.graph, node, zeros);
    EXPECT_EQ(predict_by_roofline(work, example_topology("workstation").hosts[0].cpu()).seconds, 0);
  }
  const SampleNetwork table = large_embedding(kSeed);
  const NodeWork gather = work_of(*table.graph, table.graph->node(0), zeros);
  EXPECT_DOUBLE_EQ(gather.weights, 131072.0 * 128);
  EXPECT_LT(gather.activation_bytes, 1e6);
}

TEST(CostModel, skips_zeros_only_where_the_device_has_such_kernels) {
  const HostSpec host = example_topology("workstation").hosts[0];
  NodeWork work;
  work.layer = LayerClass::product;
  work.dense_flops = 2e9;
  work.weights = 4e6;
  work.zeros = 0.95;
  work.columns = 256;
  work.activation_bytes = 1e6;
  const Prediction cpu = predict_by_roofline(work, host.cpu());
  const Prediction gpu = predict_by_roofline(work, *host.find("gpu:0"));
  EXPECT_TRUE(cpu.sparse);
  EXPECT_FALSE(gpu.sparse);
  EXPECT_NEAR(cpu.seconds, 2e9 * 0.05 / 180e9 + 2e-6, 1e-7);
  EXPECT_FALSE(predict_by_roofline(work.with_zeros(0.1), host.cpu()).sparse);
}

TEST(CostModel, takes_measurements_of_the_same_layer_and_scales_by_similar_ones) {
  const DeviceSpec cpu = example_topology("workstation").hosts[0].cpu();
  const SampleNetwork network = everything_dense(kSeed);
  ZeroCounts zeros;
  const NodeWork work = work_of(*network.graph, network.graph->node(0), zeros);
  CalibrationSample sample = sample_of(work, cpu, "that layer");
  sample.median_s = 3 * sample.prior_s;
  sample.count = 9;
  const Calibration calibration("machine", {sample}, {});
  const CostModel model(&calibration);
  EXPECT_DOUBLE_EQ(model.predict(work, cpu, "that layer").seconds, sample.median_s);
  EXPECT_GT(model.predict(work, cpu, "that layer").confidence, 0.9);
  const Prediction similar = model.predict(work.for_batch(2), cpu, "another");
  EXPECT_NEAR(similar.seconds, 3 * predict_by_roofline(work.for_batch(2), cpu).seconds, 1e-9);
  EXPECT_LT(similar.confidence, 0.9);
  EXPECT_DOUBLE_EQ(model.predict(work, *example_topology("workstation").hosts[0].find("gpu:0"), "that layer").seconds,
                   predict_by_roofline(work, *example_topology("workstation").hosts[0].find("gpu:0")).seconds);
}

TEST(Calibration, round_trips_and_refuses_what_is_damaged) {
  CalibrationSample sample;
  sample.key = "k";
  sample.layer = LayerClass::depthwise;
  sample.prior_s = 0.25;
  sample.median_s = 0.5;
  sample.count = 3;
  MeasuredTraffic traffic;
  traffic.handover_us = {30, 0.1, 9};
  traffic.copy_contention = {1.25, 0.5, 15};
  const Calibration calibration("machine", {sample}, {{1024, 8, 0.1, 5}}, traffic);
  const std::string text = calibration.to_json();
  const Calibration read = Calibration::from_json(text);
  EXPECT_EQ(read.to_json(), text);
  EXPECT_EQ(read.hash(), calibration.hash());
  for (std::size_t cut = 0; cut + 2 < text.size(); cut += 7) {
    EXPECT_NE(refused(ErrorKind::usage, [&] { Calibration::from_json(text.substr(0, cut)); }), "accepted") << cut;
  }
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    return refused(ErrorKind::usage, [&] { Calibration::from_json(changed); });
  };
  EXPECT_THAT(with("\"median_ms\": 500.0", "\"median_ms\": -1"), HasSubstr("median_ms"));
  EXPECT_THAT(with("\"depthwise\"", "\"deep\""), HasSubstr("deep"));
  EXPECT_THAT(with("\"median\": 1.25", "\"median\": 0.5"), HasSubstr("copy_contention.median"));
  EXPECT_THAT(with("\"median\": 30.0", "\"median\": \"fast\""), HasSubstr("handover_us.median"));
  EXPECT_THAT(with("\"schema_version\": 2", "\"schema_version\": 3"), HasSubstr("schema_version"));
}

TEST(Calibration, traffic_replaces_the_estimates_of_machines_it_was_measured_on) {
  MeasuredTraffic traffic;
  traffic.handover_us = {30, 0.1, 9};
  traffic.network_gb_per_s = {5, 0, 9};
  const Calibration calibration("machine", {}, {}, traffic);
  Topology here = example_topology("this_machine_and_gpu");
  const double latency = here.network_latency_us;
  use_measurements(here, calibration);
  EXPECT_EQ(here.hosts[0].handover_us, 30);
  EXPECT_EQ(here.hosts[0].copy_contention, 1);
  EXPECT_EQ(here.network_gb_per_s, 5);
  EXPECT_EQ(here.network_latency_us, latency);  // was not measured
  Topology elsewhere = example_topology("workstation");
  const std::string before = topology_to_json(elsewhere);
  use_measurements(elsewhere, calibration);
  EXPECT_EQ(topology_to_json(elsewhere), before);
}

TEST(Calibration, files_for_other_machines_count_as_none_and_damaged_ones_say_what_to_do) {
  const auto folder = std::filesystem::temp_directory_path() / ("calibration-test-" + text_hash(testing::TempDir()));
  const auto file = folder / "c.json";
  store_calibration(file, Calibration("machine a", {}, {}));
  EXPECT_TRUE(load_calibration(file, "machine a").has_value());
  EXPECT_FALSE(load_calibration(file, "machine b").has_value());
  EXPECT_FALSE(load_calibration(folder / "absent.json", "machine a").has_value());
  std::ofstream(file) << "{ broken";
  EXPECT_THAT(refused(ErrorKind::usage, [&] { load_calibration(file, "machine a"); }), HasSubstr("--calibrate"));
  std::filesystem::remove_all(folder);
}

TEST(Schedule, branches_on_two_devices_run_at_the_same_time) {
  const SampleNetwork network = two_branches(kSeed);
  PlacementPlanner planner(planner_options("workstation"));
  const PlacementProblem problem = planner.problem(*network.graph);
  Assignment both(problem.works.size(), 0);
  for (std::size_t n = 0; n < both.size(); ++n) {
    if (problem.works[n].layer == LayerClass::product && problem.works[n].zeros < 0.5 && n + 1 < both.size())
      both[n] = 1;
  }
  const Schedule schedule = Scheduler(problem).evaluate(both);
  EXPECT_LT(schedule.latency_s, schedule.busy_s[0] + schedule.busy_s[1]);
  EXPECT_GE(schedule.latency_s, std::max(schedule.busy_s[0], schedule.busy_s[1]));
}

TEST(Schedule, a_chain_takes_the_sum_of_its_nodes_copies_and_dispatches) {
  const SampleNetwork network = random_chain(kSeed, 3);
  PlacementPlanner planner(planner_options("two_emulated"));
  const PlacementProblem problem = planner.problem(*network.graph);
  const Assignment assignment = {0, 1, 1};
  const std::size_t crossing = problem.values[static_cast<std::size_t>(problem.writes[0][0])].bytes;
  const std::size_t output = problem.values[static_cast<std::size_t>(problem.writes[2][0])].bytes;
  const double expected = problem.time(0, 0) + problem.time(1, 1) + problem.time(2, 1) + problem.devices[0].dispatch_s +
                          problem.devices[1].dispatch_s + problem.copy_time(0, 1, crossing) +
                          problem.copy_time(1, 0, output);
  EXPECT_NEAR(Scheduler(problem).evaluate(assignment).latency_s, expected, 1e-12);
}

/// A cut of a chain in two places, on a host with these costs beyond computing and links.
Schedule chain_schedule(double handover_us, double copy_contention, double compute_contention) {
  const SampleNetwork network = random_chain(kSeed, 3);
  PlannerOptions options = planner_options("two_emulated");
  options.topology.hosts[0].handover_us = handover_us;
  options.topology.hosts[0].copy_contention = copy_contention;
  options.topology.hosts[0].compute_contention = compute_contention;
  PlacementPlanner planner(options);
  const PlacementProblem problem = planner.problem(*network.graph);
  return Scheduler(problem).evaluate(Assignment{0, 1, 0});
}

TEST(Schedule, ends_of_copies_and_of_partitions_in_other_memory_have_to_be_heard_of) {
  EXPECT_EQ(handover_after(10e-6, 1), 0);  // whoever waits briefly is awake
  EXPECT_NEAR(handover_after(90e-6, 1), 0.5, 1e-12);
  EXPECT_EQ(handover_after(1, 1), 1);
  // Copy in, compute, copy out at most; the CPU's own partitions go on by themselves.
  const double added = chain_schedule(100, 1, 1).latency_s - chain_schedule(0, 1, 1).latency_s;
  EXPECT_GT(added, 0);
  EXPECT_LE(added, 3 * 100e-6 + 1e-12);
  EXPECT_DOUBLE_EQ(chain_schedule(0, 3, 3).latency_s, chain_schedule(0, 1, 1).latency_s);  // nothing at the same time
}

TEST(Schedule, what_runs_beside_copies_takes_longer) {
  const SampleNetwork network = two_branches(kSeed);
  const auto latency = [&](double copy_contention, double compute_contention) {
    PlannerOptions options = planner_options("two_emulated");
    options.topology.hosts[0].copy_contention = copy_contention;
    options.topology.hosts[0].compute_contention = compute_contention;
    PlacementPlanner planner(options);
    const PlacementProblem problem = planner.problem(*network.graph);
    Assignment assignment(problem.works.size(), 0);
    for (std::size_t n = 0; n < assignment.size(); ++n) {
      if (problem.works[n].layer == LayerClass::product) assignment[n] = problem.works[n].zeros < 0.5 ? 1 : 2;
    }
    return Scheduler(problem).evaluate(assignment).latency_s;
  };
  EXPECT_GT(latency(2, 1), latency(1, 1));  // both branches get their input at the same time
  EXPECT_LE(latency(2, 1), 2 * latency(1, 1));
}

TEST(Pins, beat_the_policy_and_what_is_wrong_with_them_is_named) {
  const SampleNetwork network = two_branches(kSeed);
  PlannerOptions options = planner_options("two_emulated", "cpu");
  options.pins = {parse_pin("MatMul_1=emulated:1/cpu.some.kernel")};
  const Plan plan = PlacementPlanner(options).plan(*network.graph);
  bool found = false;
  for (const PlannedPartition& partition : plan.partitions) {
    for (std::size_t i = 0; i < partition.nodes.size(); ++i) {
      if (network.graph->node(partition.nodes[i]).name != "MatMul_1") continue;
      found = true;
      EXPECT_EQ(partition.device, "emulated:1");
      EXPECT_EQ(partition.kernels.at(i), "cpu.some.kernel");
      EXPECT_EQ(partition.pinned, (std::vector<NodeId>{partition.nodes[i]}));
    }
  }
  EXPECT_TRUE(found);
  const auto refuse = [&](std::vector<std::string> pins) {
    return refused(ErrorKind::usage, [&] {
      PlannerOptions wrong = planner_options("two_emulated");
      for (const std::string& pin : pins) wrong.pins.push_back(parse_pin(pin));
      PlacementPlanner(wrong).plan(*network.graph);
    });
  };
  EXPECT_THAT(refuse({"nothing=cpu"}), HasSubstr("--pin nothing=cpu: matches no node"));
  EXPECT_THAT(refuse({"MatMul_1=gpu:7"}), HasSubstr("'gpu:7' is no device in use"));
  EXPECT_THAT(refuse({"MatMul_.*=cpu", "MatMul_1=emulated:0"}), HasSubstr("contradict"));
  EXPECT_THAT(refuse({"MatMul_(=cpu"}), HasSubstr("regular expression"));
  EXPECT_THAT(refuse({"MatMul_1"}), HasSubstr("REGEX=device"));
  EXPECT_THAT(refuse({"MatMul_1=cpu/"}), HasSubstr("kernel"));
  EXPECT_EQ(refuse({"MatMul_1=cpu:0"}), "accepted");
}

TEST(Planner, follows_a_plan_file_and_refuses_one_that_does_not_fit) {
  const SampleNetwork network = two_branches(kSeed);
  const Plan made = PlacementPlanner(planner_options("two_emulated", "random")).plan(*network.graph);
  const std::string text = plan_to_json(made, *network.graph);
  PlannerOptions options = planner_options("two_emulated");
  options.plan_text = text;
  options.plan_name = "p.json";
  EXPECT_EQ(plan_to_json(PlacementPlanner(options).plan(*network.graph), *network.graph), text);

  PlannerOptions other_model = options;
  other_model.model_hash = "another";
  EXPECT_THAT(refused(ErrorKind::usage, [&] { PlacementPlanner(other_model).plan(*network.graph); }),
              HasSubstr("hash"));
  const SampleNetwork other = everything_tiny(kSeed);
  EXPECT_NE(refused(ErrorKind::usage, [&] { PlacementPlanner(options).plan(*other.graph); }), "accepted");
  PlannerOptions other_devices = options;
  other_devices.topology = example_topology("workstation");
  EXPECT_THAT(refused(ErrorKind::usage, [&] { PlacementPlanner(other_devices).plan(*network.graph); }),
              HasSubstr("not in use"));
}

TEST(Planner, stale_hashes_are_a_notice_and_an_error_when_strict) {
  const SampleNetwork network = two_branches(kSeed);
  PlannerOptions options = planner_options("two_emulated");
  options.plan_text = plan_to_json(PlacementPlanner(options).plan(*network.graph), *network.graph);
  options.plan_name = "p.json";
  options.topology.network_latency_us += 1;
  std::string heard;
  options.notice = [&](const std::string& text) { heard += text; };
  PlacementPlanner(options).plan(*network.graph);
  EXPECT_THAT(heard, HasSubstr("another topology"));
  options.strict = true;
  EXPECT_THAT(refused(ErrorKind::usage, [&] { PlacementPlanner(options).plan(*network.graph); }),
              HasSubstr("--strict"));
}

TEST(Planner, pins_beat_a_plan_file) {
  const SampleNetwork network = two_branches(kSeed);
  PlannerOptions options = planner_options("two_emulated", "cpu");
  options.plan_text = plan_to_json(PlacementPlanner(options).plan(*network.graph), *network.graph);
  options.plan_name = "p.json";
  options.pins = {parse_pin("MatMul_0=emulated:0")};
  const Plan plan = PlacementPlanner(options).plan(*network.graph);
  const PlacementProblem problem = PlacementPlanner(planner_options("two_emulated")).problem(*network.graph);
  const Assignment assignment = assignment_of(problem, plan);
  for (std::size_t n = 0; n < assignment.size(); ++n) {
    EXPECT_EQ(assignment[n], network.graph->nodes()[n].name == "MatMul_0" ? 1 : 0);
  }
}

TEST(Planner, an_overcommitted_plan_file_is_a_limit_error) {
  const SampleNetwork network = more_weights_than_memory(kSeed);
  PlannerOptions options = planner_options("small_accelerator", "gpu");
  options.memory_limits["gpu:0"] = std::uint64_t{1} << 30;
  options.plan_text = plan_to_json(PlacementPlanner(options).plan(*network.graph), *network.graph);
  options.plan_name = "p.json";
  options.memory_limits.clear();
  EXPECT_THAT(refused(ErrorKind::limit, [&] { PlacementPlanner(options).plan(*network.graph); }), HasSubstr("gpu:0"));
}

TEST(Explain, tells_runner_up_flip_copies_and_bound_of_a_mixed_plan) {
  const SampleNetwork network = dense_beside_sparse(kSeed);
  PlacementPlanner planner(planner_options("workstation"));
  const Plan plan = planner.plan(*network.graph);
  const std::string text =
      explain_placement(planner.problem(*network.graph), planner.costs(), plan, Objective::latency);
  for (const char* word :
       {"bound ", "alternative all on cpu", "alternative all on gpu:0", "choice      several devices", "runner-up cpu",
        "runner-up gpu:0", "flips", "exposed", "limited by"}) {
    EXPECT_THAT(text, HasSubstr(word));
  }
}

TEST(Explain, says_why_one_device_is_taken) {
  for (const SampleNetwork& network : {everything_dense(kSeed), everything_tiny(kSeed)}) {
    PlacementPlanner planner(planner_options("workstation"));
    const Plan plan = planner.plan(*network.graph);
    const std::string text = explain_placement(planner.problem(*network.graph), planner.costs(), plan,
                                               Objective::latency, std::vector<double>{1.5}, 2.0);
    EXPECT_THAT(text, HasSubstr("choice      one device"));
    EXPECT_THAT(text, HasSubstr("measured 1.5 ms"));
  }
}

TEST(PlanDiff, lists_what_moved) {
  const SampleNetwork network = two_branches(kSeed);
  const std::string cpu =
      plan_to_json(PlacementPlanner(planner_options("workstation", "cpu")).plan(*network.graph), *network.graph);
  const std::string gpu =
      plan_to_json(PlacementPlanner(planner_options("workstation", "gpu")).plan(*network.graph), *network.graph);
  EXPECT_EQ(plan_diff(cpu, cpu), "no difference\n");
  const std::string text = plan_diff(cpu, gpu);
  EXPECT_THAT(text, HasSubstr("node MatMul_0: cpu -> gpu:0"));
  EXPECT_THAT(text, HasSubstr("policy: cpu -> gpu"));
  EXPECT_NE(refused(ErrorKind::usage, [&] { plan_diff(cpu, "{}"); }), "accepted");
}

TEST(PlanHtml, is_one_page_whose_data_cannot_end_the_script) {
  GraphBuilder builder("</script><script>alert(1)</script>");
  const Type type = Type::tensor(DType::f32, Shape{2});
  const ValueId x = builder.add_input("x", type);
  Node node;
  node.name = "<img src=x onerror=alert(1)>";
  node.op = "Relu";
  node.inputs = {x};
  node.outputs = {builder.add_value("y", type)};
  const ValueId y = node.outputs[0];
  builder.add_node(std::move(node));
  builder.add_output(y);
  const Graph graph = std::move(builder).build();
  const std::string page = plan_to_html(single_device_plan(graph, "cpu", ""), graph);
  EXPECT_EQ(page.find("<img"), std::string::npos);
  EXPECT_EQ(page.find("alert(1)</script>"), std::string::npos);
  EXPECT_EQ(page.find("http://"), page.find("http://www.w3.org/2000/svg"));
  const auto begin = page.find("application/json\">") + 18;
  const auto json = nlohmann::json::parse(page.substr(begin, page.find("</script>", begin) - begin));
  EXPECT_EQ(json.at("nodes").at(0).at("name"), "<img src=x onerror=alert(1)>");
}

/// The planner of "auto" for a network on the CPU and a GPU, with a measurement that gives plans these seconds.
Plan measured_plan(const Graph& graph, const std::function<double(const Plan&)>& seconds) {
  PlannerOptions options;
  options.topology = example_topology("this_machine_and_gpu");
  options.policy = parse_policy("auto");
  options.measure = [&](const Graph&, std::span<const Plan> plans) {
    std::vector<double> measured;
    for (const Plan& plan : plans) measured.push_back(seconds(plan));
    return measured;
  };
  return PlacementPlanner(std::move(options)).plan(graph);
}

TEST(MeasuredPlans, the_fastest_candidate_is_taken_whatever_was_predicted) {
  const SampleNetwork network = dense_beside_sparse(kSeed);
  const Plan all_on_gpu =
      measured_plan(*network.graph, [](const Plan& plan) { return plan.partitions.size() == 1 ? 1e-3 : 2e-3; });
  EXPECT_EQ(all_on_gpu.partitions.size(), 1u);
  ASSERT_GE(all_on_gpu.tried.size(), 2u);
  EXPECT_EQ(all_on_gpu.tried[0].what, "all on " + all_on_gpu.partitions[0].device);
  EXPECT_DOUBLE_EQ(all_on_gpu.tried[0].measured_s, 1e-3);
  const Plan read = plan_from_json(plan_to_json(all_on_gpu, *network.graph), *network.graph);
  ASSERT_EQ(read.tried.size(), all_on_gpu.tried.size());
  EXPECT_EQ(read.tried[1].what, all_on_gpu.tried[1].what);
}

TEST(MeasuredPlans, the_best_prediction_stands_where_measurements_do_not_contradict_it) {
  const SampleNetwork network = dense_beside_sparse(kSeed);
  const auto predicted = measured_plan(*network.graph, [](const Plan&) { return std::nan(""); });
  EXPECT_TRUE(predicted.tried.empty());
  EXPECT_GT(predicted.partitions.size(), 1u);
  double step = 1;
  const auto close = measured_plan(*network.graph, [&](const Plan&) { return step -= 0.001; });
  EXPECT_EQ(close.partitions.size(), predicted.partitions.size());
}

}  // namespace
}  // namespace sparse_run
