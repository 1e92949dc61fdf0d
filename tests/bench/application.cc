// SPDX-License-Identifier: Apache-2.0
// The demo's application as a load to measure: loads its tables, or runs for a while through one port, without a pause,
// and says what it saw. It checks each reply as in the demo; `run` counts what the proxy spent between its two lines.
#include <chrono>
#include <cstdio>
#include <thread>

#include "CLI/CLI.hpp"
#include "tests/demo/fleet.h"
#include "tests/demo/loader.h"

namespace {

absl::Status Run(const crossfade::demo::PackageIndex& index, const crossfade::demo::FleetOptions& options, const crossfade::demo::Endpoint& endpoint, double seconds) {
  crossfade::demo::Stats stats;
  crossfade::demo::Fleet fleet(index, options, &stats);
  const absl::Status started = fleet.Start(endpoint, 0);
  if (!started.ok()) return started;
  stats.BeginStep("run");
  std::printf("begun\n");
  std::fflush(stdout);
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  stats.EndSteps();
  const crossfade::demo::StepSummary seen = stats.Summaries().front();
  std::printf("{\"requests\": %lu, \"seconds\": %.6f, \"p50_ms\": %.4f, \"p99_ms\": %.4f, \"deadlocks\": %lu}\n", seen.requests, seen.seconds, seen.p50_ms, seen.p99_ms,
              seen.deadlocks);
  std::fflush(stdout);
  const absl::Status right = fleet.Audit();
  fleet.Stop();
  if (!right.ok()) return right;
  return stats.errors() == 0 ? absl::OkStatus() : absl::DataLossError("replies were wrong");
}

}  // namespace

int main(int argc, char** argv) {
  using crossfade::demo::Release;
  crossfade::demo::FleetOptions options;
  crossfade::demo::Endpoint endpoint;
  std::string index_file;
  double seconds = 3;
  bool load = false, either = false;
  options.connections = 16;
  options.packages_each = 30;
  options.think_ms = 0;
  CLI::App app{"The demo's application as a load; see tests/bench/run"};
  app.add_option("--index", index_file, "the package index, as `apt-cache dumpavail` prints it")->required();
  app.add_option("--port", endpoint.port, "on 127.0.0.1, root without password")->required();
  app.add_option("--schema", endpoint.schema);
  app.add_flag("--load", load, "make the tables, and nothing else");
  app.add_flag("--either", either, "look up by either key");
  app.add_option("--connections", options.connections);
  app.add_option("--first", options.first, "number of the first connection: other ones than in the runs before");
  app.add_option("--seconds", seconds);
  CLI11_PARSE(app, argc, argv);
  if (either) options.release = Release::kEither;
  const auto index = crossfade::demo::ReadPackageIndex(index_file, 1);
  absl::Status status = index.status();
  if (status.ok()) status = load ? crossfade::demo::Load(*index, endpoint.port, endpoint.schema) : Run(*index, options, endpoint, seconds);
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return 1;
}
