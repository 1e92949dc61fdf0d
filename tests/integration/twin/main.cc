// SPDX-License-Identifier: Apache-2.0
// The twin run: the same random workload through the proxy on server A and directly on server B, every reply
// compared, in every phase; after each phase a full scan. Exit code 0: no difference; 1: one; 2: could not run.
//
//   crossfade_twin --engine mariadb|mysql [--stages observe,expand,...] [--statements N] [--seed N]
//                  [--direct] (both sides without a proxy: shows that the workload itself is deterministic)
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <thread>

#include "CLI/CLI.hpp"
#include "fmt/format.h"
#include "tests/integration/twin/runner.h"
#include "tests/integration/twin/scan.h"
#include "tests/servers/crossfade_process.h"
#include "tests/servers/server.h"

namespace crossfade::twin {
namespace {

using servers::Client;
using servers::CrossfadeProcess;
using servers::Engine;
using servers::Server;

struct Options {
  std::string engine = "mariadb";
  std::vector<std::string> stages;
  int statements = 0;
  uint64_t seed = 0;
  bool direct = false, survey = false;
};

// A stop of the walk at which the workload runs.
struct Stage {
  const char* name;
  const char* phase;
  int percent;
  NewSide side;
  bool both_sides, either_key, new_cohort, retired;
};
constexpr Stage kStages[] = {
    {"observe", "observe", -1, NewSide::kAbsent, false, false, false, false},
    {"expand", "expand", -1, NewSide::kUnused, false, false, false, false},
    {"dual_write", "dual_write", -1, NewSide::kWritten, true, false, false, false},
    {"backfill", "backfill", -1, NewSide::kWritten, true, false, false, false},
    {"verify", "verify", -1, NewSide::kComplete, true, true, false, false},
    {"cutover-0", "cutover", 0, NewSide::kComplete, true, true, false, false},
    {"cutover-50", "cutover", 50, NewSide::kComplete, true, true, true, false},
    {"cutover-100", "cutover", 100, NewSide::kComplete, true, true, true, false},
    {"back-to-dual_write", "dual_write", -1, NewSide::kComplete, true, false, false, false},
    {"forward-to-cutover", "cutover", 100, NewSide::kComplete, true, true, true, false},
    {"retire", "retire", -1, NewSide::kOnly, true, true, true, true},
};

absl::Status Create(Client& client, const std::vector<Schema>& schemas) {
  for (const Schema& schema : schemas) {
    for (const std::string& sql : schema.create) {
      const servers::Reply reply = client.Query(sql);
      if (!reply.ok()) return absl::InternalError(reply.message + ": " + sql.substr(0, 200));
    }
  }
  return absl::OkStatus();
}

// The phase begins before its ALTERs have their locks; open transactions of the workload would keep them waiting.
void WaitForColumns(Client& client, const Schema& schema) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (std::chrono::steady_clock::now() < end) {
    if (client.Query(fmt::format("SELECT {} FROM {}.{} LIMIT 1", schema.child.columns[1].new_name, schema.name, schema.child.name)).ok()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

absl::Status Run(const Options& options) {
  const Engine engine = options.engine == "mysql" ? Engine::kMySql : Engine::kMariaDb;
  const std::vector<Schema> schemas = Schemas(options.seed);
  auto a = Server::Start(engine), b = Server::Start(engine);
  if (!a.ok()) return a.status();
  if (!b.ok()) return b.status();
  auto on_a = Client::Connect({.port = (*a)->port()}), on_b = Client::Connect({.port = (*b)->port()});
  if (!on_a.ok() || !on_b.ok()) return absl::UnavailableError("cannot connect to the servers");
  for (Client* client : {&*on_a, &*on_b}) {
    if (absl::Status status = Create(*client, schemas); !status.ok()) return status;
  }
  std::unique_ptr<CrossfadeProcess> proxy;
  if (!options.direct) {
    servers::CrossfadeOptions crossfade{.backend = (*a)->address()};
    for (const Schema& schema : schemas) crossfade.migrations += schema.migration;
    // Small chunks: the backfill is under way while its phase is tested.
    crossfade.limits = "  chunk_rows: 20\n  key_block: 50\n  control_poll: 50ms\n  backfill_idle_share: 0.9\n  quiet_before_expand: 1ms\n";
    auto started = CrossfadeProcess::Start(crossfade);
    if (!started.ok()) return started.status();
    proxy = *std::move(started);
  }
  RunOptions run{.proxied_port = proxy ? proxy->port() : (*a)->port(), .observer_port = (*a)->port(), .direct_port = (*b)->port(), .seed = options.seed};
  run.survey = options.survey;
  run.script_file = fmt::format("twin-{}-{}.sql", options.engine, options.seed);
  Runner runner(schemas, run);
  if (absl::Status status = runner.Connect(); !status.ok()) return status;

  int64_t first_serial = 0;
  for (const Stage& stage : kStages) {
    const bool wanted = options.stages.empty() || std::find(options.stages.begin(), options.stages.end(), stage.name) != options.stages.end();
    const timespec start = [] { timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t; }();
    // MySQL's REPLACE keeps the children of the row it gives a number: there a child may have none yet.
    if (std::string(stage.phase) == "dual_write" && first_serial == 0 && engine == Engine::kMariaDb) first_serial = runner.last_serial() + 1;
    if (proxy && std::string(stage.phase) != "observe") {
      for (const Schema& schema : schemas) {
        const absl::Status status = proxy->WalkTo(schema.name, stage.phase, stage.percent);
        if (!status.ok()) return absl::InternalError(std::string(status.message()) + "\n" + servers::LastLines(proxy->log(), 15));
        if (std::string(stage.phase) == "expand") WaitForColumns(*on_a, schema);
      }
    }
    if (!wanted) continue;
    Mode mode{.engine = engine};
    if (proxy) {
      mode.both_sides = stage.both_sides;
      mode.either_key = stage.either_key;
      mode.new_cohort = stage.new_cohort;
      mode.retired = stage.retired;
    }
    absl::Status status = runner.Run(stage.name, mode, options.statements);
    timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    const double seconds = static_cast<double>(end.tv_sec - start.tv_sec) + 1e-9 * static_cast<double>(end.tv_nsec - start.tv_nsec);
    fmt::print("{:8} {:20} {:5.1f} s  {}\n", options.engine, stage.name, seconds, runner.Summary());
    std::fflush(stdout);
    for (const Schema& schema : schemas) {
      if (!status.ok()) break;
      status = Scan(*on_a, *on_b, schema, proxy ? stage.side : NewSide::kAbsent, first_serial);
      if (!status.ok()) runner.SaveScript();
    }
    if (!status.ok()) {
      const std::string log = proxy ? servers::LastLines(proxy->log(), 15) : "";
      return absl::InternalError(fmt::format("phase {}: {}\n{}", stage.name, std::string(status.message()), log));
    }
  }
  if (proxy && proxy->Stop() != 0) return absl::InternalError("crossfade serve did not stop in order: " + servers::LastLines(proxy->log(), 15));
  return absl::OkStatus();
}

}  // namespace
}  // namespace crossfade::twin

int main(int argc, char** argv) {
  using crossfade::twin::Options;
  Options options;
  CLI::App app("The twin run: every reply through the proxy equals the direct one.");
  app.add_option("--engine", options.engine)->check(CLI::IsMember({"mariadb", "mysql"}));
  app.add_option("--stages", options.stages)->delimiter(',');
  app.add_option("--statements", options.statements, "in each phase; default 800, 20000 with CROSSFADE_LONG set");
  app.add_option("--seed", options.seed, "default: of the clock");
  app.add_flag("--direct", options.direct);
  app.add_flag("--survey", options.survey, "list what is refused instead of failing at a shape that should not be");
  CLI11_PARSE(app, argc, argv);
  if (options.statements == 0) options.statements = std::getenv("CROSSFADE_LONG") != nullptr ? 20'000 : 800;
  if (options.seed == 0) options.seed = static_cast<uint64_t>(std::time(nullptr));
  fmt::print("twin run on {}, {} statements in each phase, --seed {}\n", options.engine, options.statements, options.seed);
  std::fflush(stdout);
  const absl::Status status = crossfade::twin::Run(options);
  if (status.ok()) return 0;
  fmt::print("FAILED: {}\n", std::string(status.message()));
  return 1;
}
