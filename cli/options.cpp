// The definition of every option, and where its value may come from.
#include "cli/options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>

#include "base/error.hpp"
#include "cli/help.hpp"
#include "cli/quantities.hpp"
#include "cli/version.hpp"

namespace sparse_run::cli {

namespace {

constexpr const char* kInput = "Input and output";
constexpr const char* kPlace = "Where it runs";
constexpr const char* kMeasure = "Measuring";
constexpr const char* kAsk = "Asking";
constexpr const char* kGeneral = "General";

/// Options as typed, before shapes, sizes and names in them are understood.
struct Typed {
  std::vector<std::string> shapes;
  std::vector<std::string> dimensions;
  std::vector<std::string> memory_limits;
  std::string scenario = "latency";
  std::string parallel = "auto";
  std::string node_cut = "auto";
  std::string precision = "f32";
  std::string config;
  bool dump_config = false;
  int verbose = 0;
  bool quiet = false;
};

std::string footer() {
  return "Every option can also stand in the file of --config, or in the environment: --micro-batch is\n"
         "SPARSE_RUN_MICRO_BATCH. The command line beats the environment, which beats the file.\n"
         "Results go to stdout, everything else to stderr.\n\n"
         "Exit codes: 0 ok, 2 usage, 3 bad model, 4 unsupported, 5 mismatch, 6 device, 7 communication, 8 bad input or "
         "output file,\n"
         "9 limit exceeded, 70 internal error, 124 timeout, 130 interrupted.";
}

/// One value per use, so that the model's name after it is not swallowed.
template <class T>
CLI::Option* repeatable(CLI::App& app, const char* name, T& target, const char* type, const char* description) {
  return app.add_option(name, target, description)->type_name(type)->type_size(1)->allow_extra_args(false);
}

template <class T>
CLI::Option* single(CLI::App& app, const char* name, T& target, const char* type, const char* description) {
  return app.add_option(name, target, description)->type_name(type)->take_last();
}

void define_input(CLI::App& app, Options& options, Typed& typed) {
  repeatable(app, "--input", options.inputs, "NAME=FILE",
             "An input from FILE.npy, from FILE.npz (all members of that name; NAME= may be left out), or "
             "NAME=random[:LO,HI]. Inputs not given are random. Repeatable.")
      ->group(kInput);
  repeatable(app, "--shape", typed.shapes, "NAME=1x3x224",
             "The shape of a random input, or of one whose dimensions are symbolic. Repeatable.")
      ->group(kInput);
  repeatable(app, "--dim", typed.dimensions, "SYMBOL=N", "The value of a symbolic dimension. Repeatable.")
      ->group(kInput);
  single(app, "--micro-batch", options.micro_batch, "B",
         "Split a long input along its first dimension into requests of B rows, streamed with results in order. "
         "Default: the model's fixed batch; the whole input if that is symbolic.")
      ->group(kInput);
  single(app, "--output", options.output, "FILE.npz",
         "Write all outputs by name. The file appears complete or not at all. Sequences become NAME/0, NAME/1 ...")
      ->group(kInput);
  single(app, "--expect", options.expect, "FILE.npz",
         "Compare outputs with the members of the same name; exit 5 on a mismatch.")
      ->group(kInput);
  single(app, "--test-data", options.test_data, "DIR",
         "The same for every test_data_set_* folder in DIR, in ONNX's own layout of input_N.pb and output_N.pb.")
      ->group(kInput);
  single(app, "--rtol", options.rtol, "R", "Relative tolerance of comparisons (1e-3).")->group(kInput);
  single(app, "--atol", options.atol, "A", "Absolute tolerance of comparisons (1e-5).")->group(kInput);
}

void define_placement(CLI::App& app, Options& options) {
  single(app, "--policy", options.policy, "NAME[:key=value,...]",
         "What places layers on devices, see --list-policies; or the path of a shared object (auto).")
      ->group(kPlace);
  single(app, "--objective", options.objective, "NAME",
         "What a plan is best for: latency (default), throughput, memory.")
      ->group(kPlace);
  repeatable(app, "--pin", options.pins, "REGEX=device[:rank][/kernel]",
             "Place nodes whose whole name matches; beats plan file and policy. Repeatable.")
      ->group(kPlace);
  single(app, "--plan", options.plan, "FILE.json", "Follow this plan, as --plan-out wrote it or a person edited it.")
      ->group(kPlace);
  app.add_flag("--strict", options.strict, "With --plan: refuse stale hashes and whatever the plan does not say.")
      ->group(kPlace);
  app.add_flag("--verify-cuts", options.verify_cuts,
               "Compute what crosses devices on both of them and compare; exit 5 beyond --rtol and --atol.")
      ->group(kPlace);
  single(app, "--export-placed", options.export_placed, "FILE.onnx",
         "Write the model with its devices, as the plan has them, in the fields that ONNX keeps for them.")
      ->group(kPlace);
  single(app, "--topology", options.topology, "FILE.json", "Plan for these devices and links instead of those found.")
      ->group(kPlace);
  single(app, "--topology-out", options.topology_out, "FILE.json", "Write the devices and links that are planned for.")
      ->group(kPlace);
  single(app, "--simulate", options.simulate, "FILE.json",
         "Predict a stream of requests on the hosts of a topology file; nothing runs. --trace keeps a Gantt chart.")
      ->group(kPlace);
  single(app, "--requests", options.requests, "N", "Requests to simulate (100 for each rank).")->group(kPlace);
}

void define_place(CLI::App& app, Options& options, Typed& typed) {
  app.add_option("--devices", options.devices, "Devices to use, of those in --list-devices. Default: all.")
      ->type_name("NAME,...")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->group(kPlace);
  single(app, "--threads", options.threads, "N", "Threads that compute. Default: every core this process may use.")
      ->group(kPlace);
  single(
      app, "--precision", typed.precision, "TYPE",
      "Lowest precision that products and convolutions may multiply in, where the model says f32: f32, tf32, bf16 or "
      "f16 (f32). What a device lacks it computes in a higher one.")
      ->group(kPlace);
  repeatable(app, "--memory-limit", typed.memory_limits, "DEVICE=SIZE",
             "Most memory to use, like cpu=2GiB; exit 9 beyond. Default: 80% of what is available.")
      ->group(kPlace);
  single(app, "--seed", options.seed, "N", "Seed of random inputs and random operators (0).")->group(kPlace);
  define_placement(app, options);
  app.add_flag("--explain", options.explain,
               "Print why partitions and kernels were chosen, and what would turn the choice.")
      ->group(kPlace);
  single(app, "--plan-out", options.plan_out, "FILE",
         "Write the plan, as FILE.json, FILE.dot (Graphviz) or FILE.html (a page to look at).")
      ->group(kPlace);
  app.add_flag("--dry-run", options.dry_run, "Load, plan and compile, print the plan, and run nothing.")->group(kPlace);
  single(app, "--kernel-timing", options.kernel_timing, "S",
         "Seconds that compiling may spend on timing kernels against each other (1). 0: choose by estimate, the same "
         "on every run.")
      ->group(kPlace);
  single(app, "--plan-timing", options.plan_timing, "S",
         "Seconds that compiling may spend on running the most promising plans of --policy auto by turns, when several "
         "devices are in use (1). 0: predictions decide, the same on every run.")
      ->group(kPlace);
  single(app, "--columns", options.columns, "MODE",
         "How convolutions over many images run: auto (depth-first in columns of rows), layers (the same kernels "
         "layer by layer), off (auto).")
      ->group(kPlace);
  single(app, "--cache-dir", options.cache_dir, "DIR",
         "Where timings of kernels are kept for the next start; none: nowhere. Default: sparse-run in "
         "$XDG_CACHE_HOME or ~/.cache.")
      ->group(kPlace);
  app.add_option("--disable-pass", options.disabled_passes, "Passes of the compiler to leave out, see --list-passes.")
      ->type_name("NAME,...")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->group(kPlace);
}

void define_ranks(CLI::App& app, Options& options, Typed& typed) {
  single(
      app, "--parallel", typed.parallel, "FORM",
      "How the ranks of mpirun or srun share the work: data (requests are spread), pipeline (each rank holds a "
      "stage), rows (each rank holds part of every large weight), hybrid (several pipelines), graph (each rank holds "
      "nodes of a graph), auto (default).")
      ->group(kPlace);
  single(app, "--node-cut", typed.node_cut, "NAME",
         "How --parallel graph divides nodes: auto (METIS when the build has it), ranges (consecutive nodes).")
      ->group(kPlace);
  single(app, "--deadline", options.deadline, "S", "Longest silence of a rank before the job ends; exit 7 (30).")
      ->group(kPlace);
  app.add_flag("--resume", options.resume,
               "Continue an interrupted job: rows that were finished are not computed again.")
      ->group(kPlace);
  single(app, "--inject", options.inject, "FAULTS",
         "Rehearse a bad network: delay=1ms, lose=N, fail=N (the Nth send), silent=2s, separated by commas.")
      ->group(kPlace);
}

void define_measuring(CLI::App& app, Options& options, Typed& typed) {
  app.add_flag("--benchmark", options.benchmark, "Time requests on the inputs given, or on random ones.")
      ->group(kMeasure);
  single(app, "--scenario", typed.scenario, "NAME",
         "latency: one request at a time (default); throughput: as many as there are threads.")
      ->group(kMeasure);
  single(app, "--streams", options.streams, "N", "Requests in flight at once, in benchmarks and jobs.")
      ->group(kMeasure);
  single(app, "--warmup", options.warmup, "S", "Seconds before counting (1).")->group(kMeasure);
  single(app, "--duration", options.duration, "S", "Seconds of counting (5).")->group(kMeasure);
  single(app, "--iterations", options.iterations, "N", "Stop after N requests.")->group(kMeasure);
  app.add_flag("--profile", options.profile,
               "Time, share, GFLOP/s and GB/s of each layer, against what this machine can do.")
      ->group(kMeasure);
  single(app, "--trace", options.trace, "FILE.json", "Record what ran when, for ui.perfetto.dev.")->group(kMeasure);
  single(app, "--json", options.json, "FILE|-", "All measurements for programs; with - alone on stdout.")
      ->group(kMeasure);
}

void define_asking(CLI::App& app, Options& options) {
  app.add_flag("--inspect", options.inspect, "Describe the model: inputs, outputs, zeros per layer, what they bring.")
      ->group(kAsk);
  app.add_flag("--doctor", options.doctor, "Check this machine, and say what to do.")->group(kAsk);
  app.add_flag("--list-devices", options.list_devices, "Devices that are there.")->group(kAsk);
  app.add_flag("--list-policies", options.list_policies, "Policies of placement, with their parameters.")->group(kAsk);
  app.add_flag("--calibrate", options.calibrate,
               "Measure this machine and keep the result for predictions; with a model, its layers too.")
      ->group(kAsk);
  app.add_option("--plan-diff", options.plan_diff, "What differs between two plan files.")
      ->type_name("A.json B.json")
      ->expected(2)
      ->group(kAsk);
  app.add_flag("--list-operators", options.list_operators, "Operators that are known, with opset versions.")
      ->group(kAsk);
  app.add_flag("--list-passes", options.list_passes, "Passes of the compiler.")->group(kAsk);
}

void define_general(CLI::App& app, Options& options, Typed& typed) {
  app.add_flag("-v,--verbose", typed.verbose, "Say more on stderr.")->group(kGeneral);
  app.add_flag("-q,--quiet", typed.quiet, "Say nothing on stderr but errors.")->group(kGeneral);
  single(app, "--timeout", options.timeout, "S", "Give up after S seconds; exit 124.")->group(kGeneral);
  app.add_flag("--untrusted", options.untrusted, "Strict limits, for models from strangers.")->group(kGeneral);
  single(app, "--config", typed.config, "FILE", "Read options from FILE.")->group(kGeneral);
  app.add_flag("--dump-config", typed.dump_config, "Print the options in effect in the form that --config reads.")
      ->group(kGeneral);
}

std::string environment_name(const std::string& option) {
  std::string name = "SPARSE_RUN_";
  for (const char c : option) name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

/// The option of a given name that may be set in files and the environment; nullptr when there is none.
const CLI::Option* settable(const CLI::App& app, const std::string& name) {
  for (const CLI::Option* option : app.get_options()) {
    const auto& names = option->get_lnames();
    if (std::find(names.begin(), names.end(), name) == names.end()) continue;
    return name == "help" || name == "version" || name == "config" || name == "dump-config" ? nullptr : option;
  }
  return nullptr;
}

void add_from_environment(const CLI::App& app, std::vector<std::string>& arguments, std::vector<std::string>& taken) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_lnames().empty() || option->count() > 0) continue;
    const std::string& name = option->get_lnames().front();
    const char* value = std::getenv(environment_name(name).c_str());
    if (value == nullptr || *value == '\0' || settable(app, name) == nullptr) continue;
    arguments.push_back(fmt::format("--{}={}", name, value));
    taken.push_back(name);
  }
}

void add_from_file(const CLI::App& app, const std::string& path, std::vector<std::string>& arguments,
                   const std::vector<std::string>& taken) {
  std::ifstream file(path);
  if (!file) throw_error(ErrorKind::usage, "--config {}: cannot be opened; check the path", path);
  for (const CLI::ConfigItem& item : app.get_config_formatter_base()->from_config(file)) {
    if (item.name == "++" || item.name == "--") continue;  // begin and end of a section
    const CLI::Option* option = item.parents.empty() ? settable(app, item.name) : nullptr;
    const bool is_model = item.parents.empty() && item.name == "model";
    if (option == nullptr && !is_model) {
      throw_error(ErrorKind::usage, "--config {}: '{}' is no option; --dump-config shows the form", path,
                  item.fullname());
    }
    if (is_model) {
      if (app.get_option("model")->count() == 0 && !item.inputs.empty()) arguments.push_back(item.inputs.front());
      continue;
    }
    if (option->count() > 0 || std::find(taken.begin(), taken.end(), item.name) != taken.end()) continue;
    for (const std::string& value : item.inputs) arguments.push_back(fmt::format("--{}={}", item.name, value));
  }
}

/// Number of insertions, deletions and substitutions between two words.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

[[noreturn]] void refuse_unknown(const CLI::App& app) {
  const auto remaining = app.remaining();
  const std::string word = remaining.empty() ? "" : remaining.front();
  if (!word.starts_with("-")) {
    throw_error(ErrorKind::usage, "{}: one model is run at a time, and '{}' is named already; remove one", word,
                app.get_option("model")->as<std::string>());
  }
  const std::string name = word.substr(0, word.find('='));
  std::string nearest;
  std::size_t best = 3;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& known : option->get_lnames()) {
      const std::size_t distance = edit_distance(name, "--" + known);
      if (distance < best) {
        best = distance;
        nearest = "--" + known;
      }
    }
  }
  throw_error(ErrorKind::usage, "{}: no such option; {}", name,
              nearest.empty() ? "see --help" : fmt::format("did you mean {}?", nearest));
}

template <class Parse>
auto parsed_as(const char* option, const std::string& text, Parse&& parse) {
  return with_context([&] { return fmt::format("{} {}", option, text); },
                      [&] {
                        auto [name, value] = split_assignment(text);
                        return std::pair(std::move(name), parse(value));
                      });
}

void check(bool condition, const char* what) {
  if (!condition) throw Error(ErrorKind::usage, what);
}

void understand(Options& options, const Typed& typed) {
  for (const auto& text : typed.shapes) options.shapes.push_back(parsed_as("--shape", text, parse_shape));
  for (const auto& text : typed.dimensions) {
    options.dimensions.push_back(parsed_as("--dim", text, [](const std::string& value) {
      return parse_integer(value, 0, std::numeric_limits<std::int64_t>::max());
    }));
  }
  for (const auto& text : typed.memory_limits) {
    options.memory_limits.push_back(parsed_as("--memory-limit", text, parse_bytes));
  }
  const auto precision = parse_precision(typed.precision);
  check(precision.has_value(), "--precision: choose f32, tf32, bf16 or f16");
  options.precision = *precision;
  check(typed.scenario == "latency" || typed.scenario == "throughput", "--scenario: choose latency or throughput");
  options.scenario = typed.scenario == "latency" ? Scenario::latency : Scenario::throughput;
  const std::pair<const char*, Parallel> forms[] = {{"auto", Parallel::automatic},    {"data", Parallel::data},
                                                    {"pipeline", Parallel::pipeline}, {"rows", Parallel::rows},
                                                    {"hybrid", Parallel::hybrid},     {"graph", Parallel::graph}};
  const auto form = std::find_if(std::begin(forms), std::end(forms),
                                 [&](const auto& known) { return typed.parallel == known.first; });
  check(form != std::end(forms), "--parallel: choose data, pipeline, rows, hybrid, graph or auto");
  options.parallel = form->second;
  check(typed.node_cut == "auto" || typed.node_cut == "ranges", "--node-cut: choose auto or ranges");
  options.node_cut = typed.node_cut == "ranges" ? NodeCut::ranges : NodeCut::best;
  check(options.deadline >= 0.5 && options.deadline <= 1e6, "--deadline: give seconds from 0.5 to 1e6");
  options.verbosity = typed.quiet ? -1 : typed.verbose;
  check(options.threads >= 0 && options.threads <= 4096, "--threads: give a number from 1 to 4096");
  check(!options.streams || (*options.streams >= 1 && *options.streams <= 4096),
        "--streams: give a number from 1 to 4096");
  check(!options.micro_batch || *options.micro_batch >= 1, "--micro-batch: give a number of at least 1");
  check(!options.iterations || *options.iterations >= 1, "--iterations: give a number of at least 1");
  check(options.columns == "auto" || options.columns == "layers" || options.columns == "off",
        "--columns: give auto, layers or off");
  check(options.kernel_timing >= 0 && options.kernel_timing <= 3600, "--kernel-timing: give seconds from 0 to 3600");
  check(options.plan_timing >= 0 && options.plan_timing <= 3600, "--plan-timing: give seconds from 0 to 3600");
  check(options.rtol >= 0 && options.atol >= 0, "--rtol, --atol: give numbers of at least 0");
  check(options.warmup >= 0 && options.warmup <= 1e6, "--warmup: give seconds from 0 to 1e6");
  check(options.duration > 0 && options.duration <= 1e6, "--duration: give seconds above 0, up to 1e6");
  check(options.timeout >= 0 && options.timeout <= 1e8, "--timeout: give seconds from 0 to 1e8");
  const auto ends_with = [&](const char* suffix) { return options.plan_out.ends_with(suffix); };
  check(options.plan_out.empty() || ends_with(".json") || ends_with(".dot") || ends_with(".html"),
        "--plan-out: the file's name has to end in .json, .dot or .html, which says the format");
  check(!options.requests || (*options.requests >= 1 && *options.requests <= 100'000'000),
        "--requests: give a number from 1 to 100000000");
  check(options.objective == "latency" || options.objective == "throughput" || options.objective == "memory",
        "--objective: choose latency, throughput or memory");
}

}  // namespace

ParsedCommandLine parse_command_line(int argc, const char* const* argv) {
  ParsedCommandLine result;
  Options& options = result.options;
  Typed typed;
  CLI::App app("Runs pruned and dense ONNX models, and shows what sparsity brings.");
  app.formatter(std::make_shared<HelpFormatter>());
  app.footer(footer());
  app.option_defaults()->always_capture_default(false);
  app.allow_extras();
  app.add_option("model", options.model, "The model.");
  app.set_help_flag();
  define_input(app, options, typed);
  define_place(app, options, typed);
  define_ranks(app, options, typed);
  define_measuring(app, options, typed);
  define_asking(app, options);
  define_general(app, options, typed);
  app.set_help_flag("-h,--help", "Print this text.")->group(kGeneral);
  bool wants_version = false;
  app.add_flag("--version", wants_version, "Print the version and the choices of the build.")->group(kGeneral);

  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  const auto parse = [&] {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(reversed);
    if (app.remaining_size() > 0) refuse_unknown(app);
  };
  try {
    parse();
    std::vector<std::string> taken;
    const std::size_t typed_count = arguments.size();
    add_from_environment(app, arguments, taken);
    const char* environment_config = std::getenv("SPARSE_RUN_CONFIG");
    const std::string config =
        !typed.config.empty() || environment_config == nullptr ? typed.config : environment_config;
    if (!config.empty()) add_from_file(app, config, arguments, taken);
    if (arguments.size() > typed_count) {
      options = Options();
      typed = Typed();
      parse();
    }
  } catch (const CLI::CallForHelp&) {
    result.text = app.help();
    return result;
  } catch (const CLI::ParseError& error) {
    throw_error(ErrorKind::usage, "{}; see --help", error.what());
  }
  if (wants_version) {
    result.text = version_line() + "\n";
    return result;
  }
  understand(options, typed);
  options.policy_given = app.get_option("--policy")->count() > 0;
  options.duration_given = app.get_option("--duration")->count() > 0;
  if (typed.dump_config) {
    app.get_option("--dump-config")->configurable(false);
    app.get_option("--config")->configurable(false);
    result.text = app.config_to_str(false, false);
  }
  return result;
}

}  // namespace sparse_run::cli
