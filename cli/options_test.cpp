// Options from the command line, the environment and files.
#include "cli/options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/error.hpp"

namespace sparse_run::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

ParsedCommandLine parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "sparse-run");
  return parse_command_line(static_cast<int>(arguments.size()), arguments.data());
}

std::string refusal(std::vector<const char*> arguments) {
  try {
    parse(std::move(arguments));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.what();
  }
  return "accepted";
}

TEST(Options, a_model_alone_keeps_the_defaults) {
  const Options options = parse({"model.onnx"}).options;
  EXPECT_EQ(options.model, "model.onnx");
  EXPECT_EQ(options.threads, 0);
  EXPECT_EQ(options.warmup, 1);
  EXPECT_FALSE(options.benchmark);
  EXPECT_FALSE(options.micro_batch);
}

TEST(Options, repeatable_options_take_one_value_each) {
  const Options options =
      parse({"--input", "a=a.npy", "--input", "b.npz", "--shape", "x=1x3", "--dim", "N=8", "m.onnx"}).options;
  EXPECT_THAT(options.inputs, ElementsAre("a=a.npy", "b.npz"));
  EXPECT_THAT(options.shapes, ElementsAre(Pair("x", Shape{1, 3})));
  EXPECT_THAT(options.dimensions, ElementsAre(Pair("N", 8)));
  EXPECT_EQ(options.model, "m.onnx");
}

TEST(Options, devices_are_a_list_and_sizes_are_understood) {
  const Options options = parse({"--devices", "cpu,gpu:1", "--memory-limit", "cpu=1.5GiB", "m.onnx"}).options;
  EXPECT_THAT(options.devices, ElementsAre("cpu", "gpu:1"));
  EXPECT_THAT(options.memory_limits, ElementsAre(Pair("cpu", std::uint64_t{3} << 29)));
}

TEST(Options, names_may_hold_an_equals_sign) {
  EXPECT_THAT(parse({"--shape", "a=b=2x3", "m.onnx"}).options.shapes, ElementsAre(Pair("a=b", Shape{2, 3})));
}

TEST(Options, wrong_values_name_the_option) {
  EXPECT_THAT(refusal({"--shape", "x=3xy", "m"}), HasSubstr("--shape x=3xy"));
  EXPECT_THAT(refusal({"--shape", "3x4", "m"}), HasSubstr("NAME=VALUE"));
  EXPECT_THAT(refusal({"--threads", "many", "m"}), HasSubstr("--threads"));
  EXPECT_THAT(refusal({"--threads", "-2", "m"}), HasSubstr("--threads"));
  EXPECT_THAT(refusal({"--memory-limit", "cpu=lots", "m"}), HasSubstr("lots"));
  EXPECT_THAT(refusal({"--scenario", "both", "m"}), HasSubstr("--scenario"));
  EXPECT_THAT(refusal({"--micro-batch", "0", "m"}), HasSubstr("--micro-batch"));
  EXPECT_THAT(refusal({"--plan-out", "plan.txt", "m"}), HasSubstr(".json"));
  EXPECT_THAT(refusal({"--duration", "0", "m"}), HasSubstr("--duration"));
}

TEST(Options, a_misspelt_option_is_met_with_a_suggestion) {
  EXPECT_THAT(refusal({"--benchmrak", "m"}), HasSubstr("did you mean --benchmark?"));
  EXPECT_THAT(refusal({"--zzzzzzzz", "m"}), HasSubstr("see --help"));
}

TEST(Options, a_second_model_is_refused) { EXPECT_THAT(refusal({"a.onnx", "b.onnx"}), HasSubstr("b.onnx")); }

TEST(Options, quiet_and_verbose_become_a_level) {
  EXPECT_EQ(parse({"-q", "m"}).options.verbosity, -1);
  EXPECT_EQ(parse({"-v", "m"}).options.verbosity, 1);
  EXPECT_EQ(parse({"-v", "-v", "m"}).options.verbosity, 2);
}

TEST(Options, help_has_the_groups_of_the_contract_and_an_example_in_each) {
  const std::string help = parse({"--help"}).text.value();
  for (const char* group : {"Input and output", "Where it runs", "Measuring", "Asking"}) {
    EXPECT_THAT(help, HasSubstr(std::string("\n") + group + "\n"));
  }
  std::size_t examples = 0;
  for (auto at = help.find("Example:"); at != std::string::npos; at = help.find("Example:", at + 1)) ++examples;
  EXPECT_EQ(examples, 4u);
}

TEST(Options, the_environment_fills_in_what_the_command_line_leaves_open) {
  ::setenv("SPARSE_RUN_MICRO_BATCH", "16", 1);
  ::setenv("SPARSE_RUN_THREADS", "3", 1);
  ::setenv("SPARSE_RUN_BENCHMARK", "true", 1);
  const Options options = parse({"--threads", "5", "m.onnx"}).options;
  ::unsetenv("SPARSE_RUN_MICRO_BATCH");
  ::unsetenv("SPARSE_RUN_THREADS");
  ::unsetenv("SPARSE_RUN_BENCHMARK");
  EXPECT_EQ(options.micro_batch, 16);
  EXPECT_EQ(options.threads, 5);
  EXPECT_TRUE(options.benchmark);
}

class ConfigFile : public testing::Test {
 protected:
  void SetUp() override {
    path_ = std::filesystem::temp_directory_path() / fmt::format("sparse-run-{}.toml", ::getpid());
  }
  void TearDown() override { std::filesystem::remove(path_); }
  const char* write(const std::string& text) {
    std::ofstream(path_) << text;
    return path_.c_str();
  }
  std::filesystem::path path_;
};

TEST_F(ConfigFile, a_dumped_configuration_reads_back_as_the_same_options) {
  const std::vector<const char*> arguments = {"--input",    "a=x y.npy",      "--input",  "b=random:0,1", "--shape",
                                              "a=1x2",      "--threads",      "2",        "--benchmark",  "--dim",
                                              "N=4",        "--rtol",         "0.01",     "--devices",    "cpu",
                                              "-v",         "--explain",      "--output", "out.npz",      "--scenario",
                                              "throughput", "--memory-limit", "cpu=1GiB", "my model.onnx"};
  std::vector<const char*> dumping = arguments;
  dumping.push_back("--dump-config");
  const std::string dump = parse(dumping).text.value();
  const Options direct = parse(arguments).options;
  const Options read = parse({"--config", write(dump)}).options;
  EXPECT_EQ(read.model, direct.model) << dump;
  EXPECT_EQ(read.inputs, direct.inputs) << dump;
  EXPECT_EQ(read.shapes, direct.shapes);
  EXPECT_EQ(read.dimensions, direct.dimensions);
  EXPECT_EQ(read.threads, direct.threads);
  EXPECT_EQ(read.benchmark, direct.benchmark);
  EXPECT_EQ(read.explain, direct.explain);
  EXPECT_EQ(read.rtol, direct.rtol);
  EXPECT_EQ(read.devices, direct.devices);
  EXPECT_EQ(read.verbosity, direct.verbosity);
  EXPECT_EQ(read.output, direct.output);
  EXPECT_EQ(read.scenario, direct.scenario);
  EXPECT_EQ(read.memory_limits, direct.memory_limits);
}

TEST_F(ConfigFile, the_command_line_beats_the_environment_which_beats_the_file) {
  const char* file = write("threads=2\nseed=2\nrtol=0.5\n");
  ::setenv("SPARSE_RUN_SEED", "3", 1);
  ::setenv("SPARSE_RUN_THREADS", "3", 1);
  const Options options = parse({"--config", file, "--threads", "4", "m.onnx"}).options;
  ::unsetenv("SPARSE_RUN_SEED");
  ::unsetenv("SPARSE_RUN_THREADS");
  EXPECT_EQ(options.threads, 4);
  EXPECT_EQ(options.seed, 3u);
  EXPECT_EQ(options.rtol, 0.5);
}

TEST_F(ConfigFile, unknown_keys_and_missing_files_are_refused) {
  EXPECT_THAT(refusal({"--config", write("thread=2\n"), "m"}), HasSubstr("'thread'"));
  EXPECT_THAT(refusal({"--config", "/nowhere/c.toml", "m"}), HasSubstr("/nowhere/c.toml"));
}

}  // namespace
}  // namespace sparse_run::cli
