// SPDX-License-Identifier: Apache-2.0
// The script of the demo: what happens in which order, and the report.
#include "tests/demo/demo.h"

#include <sys/stat.h>

#include <cstdio>
#include <functional>

#include "fmt/format.h"
#include "tests/demo/checks.h"
#include "tests/demo/loader.h"
#include "tests/demo/supervisor.h"
#include "tests/demo/walk.h"

namespace crossfade::demo {
namespace {

constexpr char kMigration[] = "integer-keys";
constexpr char kAppPassword[] = "the application's", kControlPassword[] = "the migrator's";

class Demo {
 public:
  explicit Demo(const DemoOptions& options) : options_(options), config_(options.dir + "/crossfade.yaml") {}

  absl::Status Run();

 private:
  using Step = std::function<absl::Status()>;

  absl::Status Prepare();
  absl::Status MakeUsers();
  void WriteConfig(const std::string& path, int port);
  absl::Status Go();
  absl::Status Phase(const std::string& step, const std::string& phase, int percent = -1, const std::string& then = "");
  absl::Status CompareBothSides();
  absl::Status WithoutProxy();
  absl::Status Report();

  const DemoOptions options_;
  const std::string config_;
  int proxy_port_ = 0, second_port_ = 0;
  PackageIndex index_;
  Stats stats_;
  std::unique_ptr<Supervisor> supervisor_, second_;  // of two proxies, each with its own copy of the file
  std::unique_ptr<Fleet> fleet_;
  std::unique_ptr<Walk> walk_;
  std::string packages_before_, dependencies_before_;
  Scan both_sides_, against_index_;
  int proxy_exit_code_ = 0;
};

// Runs steps until one fails.
absl::Status InOrder(std::initializer_list<std::function<absl::Status()>> steps) {
  for (const auto& step : steps) {
    absl::Status status = step();
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Demo::MakeUsers() {
  auto client = servers::Client::Connect({.port = options_.port});
  if (!client.ok()) return client.status();
  const auto quoted = [](std::string text) {
    for (size_t i = 0; (i = text.find('\'', i)) != std::string::npos; i += 2) text.insert(i, 1, '\'');
    return "'" + text + "'";
  };
  const bool maria = std::string_view(mysql_get_server_info(client->raw())).find("MariaDB") != std::string_view::npos;
  // What docs/configuration.md says the control user needs, and no more.
  for (const std::string& sql : {
           std::string("DROP USER IF EXISTS crossfade@'%', app@'%'"),
           "CREATE USER app@'%' IDENTIFIED BY " + quoted(kAppPassword),
           fmt::format("GRANT SELECT, INSERT, UPDATE, DELETE ON {}.* TO app@'%'", kSchema),
           std::string("GRANT PROCESS ON *.* TO app@'%'"),  // to see whether an interrupted statement is still at work
           "CREATE USER crossfade@'%' IDENTIFIED BY " + quoted(kControlPassword),
           std::string("DROP DATABASE IF EXISTS crossfade"), std::string("CREATE DATABASE crossfade"),
           std::string("GRANT ALL ON crossfade.* TO crossfade@'%'"),
           fmt::format("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP, REFERENCES, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES "
                       "ON {}.* TO crossfade@'%'", kSchema),
           std::string("GRANT PROCESS ON *.* TO crossfade@'%'"),
           fmt::format("GRANT {} ON *.* TO crossfade@'%'", maria ? "CONNECTION ADMIN" : "CONNECTION_ADMIN"),
       }) {
    const servers::Reply reply = client->Query(sql);
    if (!reply.ok()) return absl::InternalError(fmt::format("{}: {}", sql, Describe(reply)));
  }
  return absl::OkStatus();
}

void Demo::WriteConfig(const std::string& path, int port) {
  servers::WriteFile(options_.dir + "/control.password", std::string(kControlPassword) + "\n");
  chmod((options_.dir + "/control.password").c_str(), 0600);
  servers::WriteFile(path, fmt::format(
      "listen:\n"
      "  - {{address: \"127.0.0.1:{}\", backend: primary}}\n"
      "backends:\n"
      "  primary: {{address: \"127.0.0.1:{}\", tls: preferred}}\n"
      "control: {{backend: primary, user: crossfade, password_file: control.password, schema: crossfade}}\n"
      "admin: \"127.0.0.1:{}\"\n"
      "{}"
      "migrations:\n"
      "  - name: {}\n"
      "    schema: {}\n"
      "    phase: observe\n"
      "    keys:\n"
      "      - table: packages\n"
      "        old: name\n"
      "        new: {{column: id, type: int unsigned}}\n"
      "        keep_old_lookup: true\n"
      "        references:\n"
      "          - {{table: dependencies, old: package, new: package_id, final: package}}\n"
      "          - {{table: dependencies, old: depends_on, new: depends_on_id, final: depends_on}}\n",
      port, options_.port, servers::FreePort(),
      options_.kill_proxy ? "limits: {lease: 2s}  # a killed proxy counts as alive for so long\n" : "", kMigration, kSchema));
}

absl::Status Demo::Prepare() {
  std::printf("loading the package index\n");
  absl::StatusOr<PackageIndex> index = ReadPackageIndex(options_.index, options_.rows);
  if (!index.ok()) return index.status();
  index_ = *std::move(index);
  absl::Status status = Load(index_, options_.port);
  if (status.ok()) status = MakeUsers();
  if (!status.ok()) return status;
  auto packages = ShowCreateTable("packages", options_.port), dependencies = ShowCreateTable("dependencies", options_.port);
  if (!packages.ok()) return packages.status();
  if (!dependencies.ok()) return dependencies.status();
  packages_before_ = *packages;
  dependencies_before_ = *dependencies;
  std::printf("%zu packages, %zu dependencies\n\n", index_.packages.size(), index_.dependencies.size());
  proxy_port_ = servers::FreePort();
  WriteConfig(config_, proxy_port_);
  const std::string second_config = options_.dir + "/crossfade-2.yaml";
  second_port_ = servers::FreePort();
  WriteConfig(second_config, second_port_);
  supervisor_ = std::make_unique<Supervisor>(std::vector<std::string>{options_.crossfade, "serve", "-c", config_}, proxy_port_,
                                             options_.dir + "/proxy.log", options_.kill_proxy, options_.fleet.seed);
  second_ = std::make_unique<Supervisor>(std::vector<std::string>{options_.crossfade, "serve", "-c", second_config}, second_port_, options_.dir + "/proxy-2.log",
                                         options_.kill_proxy, options_.fleet.seed + 1);
  fleet_ = std::make_unique<Fleet>(index_, options_.fleet, &stats_);
  fleet_->ExpectFaults(options_.kill_proxy);
  walk_ = std::make_unique<Walk>(options_.crossfade, config_, kMigration, &stats_);
  status = supervisor_->Start();
  if (status.ok()) status = second_->Start();
  if (!status.ok()) return status;
  stats_.BeginStep("observe");
  status = fleet_->Start({.port = proxy_port_, .user = "app", .password = kAppPassword}, second_port_);
  if (status.ok()) walk_->Say(fmt::format("{} connections run through two proxies", options_.fleet.connections));
  return status;
}

absl::Status Demo::Phase(const std::string& step, const std::string& phase, int percent, const std::string& then) {
  stats_.BeginStep(step);
  absl::Status status = walk_->To(phase, percent, then);
  if (!status.ok()) return status;
  walk_->Dwell(options_.dwell_s);
  return fleet_->Audit();
}

absl::Status Demo::CompareBothSides() {
  auto scan = ScanBothSides(options_.port);
  if (!scan.ok()) return scan.status();
  both_sides_ = *scan;
  walk_->Say(fmt::format("direct scan: {} rows, {} where the sides differ", scan->rows, scan->wrong));
  return scan->wrong == 0 ? absl::OkStatus() : absl::DataLossError("the old and the new side differ");
}

absl::Status Demo::WithoutProxy() {
  stats_.BeginStep("without proxy");
  if (options_.kill_proxy) {
    // Faults are expected until the last of them has been got over.
    supervisor_->Spare();
    second_->Spare();
    absl::Status settled = fleet_->Audit();
    if (!settled.ok()) return settled;
    fleet_->ExpectFaults(false);
  }
  absl::Status status = fleet_->MoveTo(options_.port);
  if (!status.ok()) return status;
  proxy_exit_code_ = supervisor_->Stop();
  if (const int code = second_->Stop(); proxy_exit_code_ == 0) proxy_exit_code_ = code;
  walk_->Say("the proxies are gone; the application runs on the server directly");
  walk_->Dwell(options_.dwell_s);
  return fleet_->Audit();
}

absl::Status Demo::Go() {
  const auto release = [this](demo::Release to, const char* what) {
    return [this, to, what] {
      absl::Status status = fleet_->Release(to);
      if (status.ok()) walk_->Say(what);
      return status;
    };
  };
  const auto phase = [this](const char* step, const char* name, int percent = -1, const char* then = "") {
    return [=, this] { return Phase(step, name, percent, then); };
  };
  walk_->Dwell(options_.dwell_s);
  return InOrder({
      phase("expand", "expand"),
      phase("dual_write", "dual_write"),
      phase("backfill", "verify", -1, "verify"),
      release(Release::kEither, "the application's second release also looks up by the new key"),
      phase("cutover 10 %", "cutover", 10),
      phase("cutover 50 %", "cutover", 50),
      phase("cutover 100 %", "cutover", 100),
      [this] { return CompareBothSides(); },
      release(Release::kNames, "second thoughts: back to the first release, and back to dual_write"),
      phase("back", "dual_write"),
      phase("forward again", "cutover", 100, "cutover again"),
      [this] { return CompareBothSides(); },
      release(Release::kIds, "the application's third release works with the new keys"),
      phase("retire", "retire"),
      release(Release::kFinal, "the application's last release gives out new keys itself"),
      phase("contract", "contract"),
      phase("done", "done"),
      [this] { return WithoutProxy(); },
  });
}

absl::Status Demo::Report() {
  stats_.EndSteps();
  auto scan = ScanAgainstIndex(index_, fleet_->owned(), options_.port);
  if (!scan.ok()) return scan.status();
  against_index_ = *scan;
  auto packages = ShowCreateTable("packages", options_.port), dependencies = ShowCreateTable("dependencies", options_.port);
  if (!packages.ok()) return packages.status();
  if (!dependencies.ok()) return dependencies.status();
  std::printf("\nbefore:\n%s\n\n%s\n\nafter:\n%s\n\n%s\n\n", packages_before_.c_str(), dependencies_before_.c_str(),
              packages->c_str(), dependencies->c_str());
  std::printf("%-16s %8s %9s %7s %6s %10s %9s %9s %9s\n", "step", "seconds", "requests", "errors", "lost", "new reads", "p50 ms",
              "p99 ms", "max ms");
  const auto line = [](const StepSummary& s) {
    const uint64_t reads = s.old_reads + s.new_reads;
    std::printf("%-16s %8.1f %9lu %7lu %6lu %9.0f%% %9.2f %9.2f %9.1f\n", s.name.c_str(), s.seconds, s.requests, s.errors, s.lost,
                reads == 0 ? 0.0 : 100.0 * static_cast<double>(s.new_reads) / static_cast<double>(reads), s.p50_ms, s.p99_ms, s.max_ms);
  };
  for (const StepSummary& summary : stats_.Summaries()) line(summary);
  const StepSummary total = stats_.Total();
  line(total);
  const nlohmann::json verification = walk_->last_verification();
  std::printf("\nrows migrated:     %zu\n", index_.packages.size() + index_.dependencies.size());
  std::printf("backfilled:        %lu, the rest was there by dual writes\n", walk_->rows_backfilled());
  if (verification.is_object()) {
    std::printf("verification:      %lu rows compared, %lu differ\n", verification.value("rows_checked", uint64_t{0}),
                verification.value("differences", uint64_t{0}));
  }
  std::printf("direct scan:       %lu rows before retire, %lu wrong; %lu rows against the index at the end, %lu wrong\n",
              both_sides_.rows, both_sides_.wrong, against_index_.rows, against_index_.wrong);
  std::printf("requests served:   %lu (%lu deadlocks retried)\n", total.requests, total.deadlocks);
  if (options_.kill_proxy) std::printf("proxies killed:    %d times, %lu connections lost\n", supervisor_->kills() + second_->kills(), total.lost);
  std::printf("errors:            %lu\n", total.errors);
  if (stats_.errors() != 0) return absl::DataLossError(fmt::format("{} errors", stats_.errors()));
  if (against_index_.wrong != 0) return absl::DataLossError("rows are not as they were loaded");
  if (const int crashes = supervisor_->crashes() + second_->crashes(); crashes != 0) return absl::InternalError(fmt::format("the proxy ended by itself {} times", crashes));
  if (proxy_exit_code_ != 0) return absl::InternalError(fmt::format("the proxy ended with {}", proxy_exit_code_));
  std::printf("\nThe proxies can be taken out: the last %.0f seconds ran on the server directly.\n", options_.dwell_s);
  return absl::OkStatus();
}

absl::Status Demo::Run() {
  absl::Status status = Prepare();
  if (status.ok()) status = Go();
  if (fleet_ != nullptr) fleet_->Stop();
  if (!status.ok()) {
    if (walk_ != nullptr) {
      const nlohmann::json last = walk_->Status();
      if (last.is_object()) std::fprintf(stderr, "\n%s\n", last.dump(2).c_str());
    }
    return status;
  }
  return Report();
}

}  // namespace

absl::Status RunDemo(const DemoOptions& options) { return Demo(options).Run(); }

}  // namespace crossfade::demo
