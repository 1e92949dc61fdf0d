// SPDX-License-Identifier: Apache-2.0
// The backfill's and the verification's rate against the whole-table UPDATE that does the same, on private servers with durable
// settings and a binary log, interleaved in one run, by medians. All are in rows a second of the same table.
//   bench_backfill [--engine mariadb|mysql] [--rows N] [--rounds N] [--workers N]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "backfill/alter.h"
#include "backfill/catalog_loader.h"
#include "backfill/control.h"
#include "backfill/copier.h"
#include "backfill/verify.h"
#include "config/load.h"
#include "fmt/format.h"
#include "spdlog/spdlog.h"
#include "tests/servers/server.h"

namespace crossfade::backfill {
namespace {

using Clock = std::chrono::steady_clock;

constexpr char kMigration[] =
    "[{name: bench, schema: bench, phase: observe, columns: [{table: t, old: [c], new: {c2: {type: int unsigned, from: \"CRC32(c)\"}}}]},"
    " {name: keys, schema: bench, phase: observe, keys: [{table: k, old: id, new: {column: n, type: int unsigned}}]}]";

[[noreturn]] void Die(const std::string& why) {
  fmt::print(stderr, "bench_backfill: {}\n", why);
  std::exit(1);
}

class Bench {
 public:
  Bench(servers::Engine engine, uint64_t rows, uint32_t workers) : rows_(rows) {
    std::vector<std::string> arguments = {"--log-bin=binlog", "--binlog-format=ROW", "--server-id=1", "--innodb-flush-log-at-trx-commit=1",
                                          "--sync-binlog=1"};  // redo log and buffer pool (128 MB) as the engines have them
    auto server = servers::Server::Start(engine, {arguments});
    if (!server.ok()) Die(std::string(server.status().message()));
    server_ = *std::move(server);
    auto parsed = config::Parse(fmt::format("listen: [{{address: '127.0.0.1:1', backend: primary}}]\nbackends: {{primary: {{address: '{}'}}}}\n"
                                            "control: {{backend: primary, user: root, schema: cf}}\nlimits: {{backfill_idle_share: 0, backfill_workers: {}}}\n"
                                            "migrations: {}\n", server_->address(), workers, kMigration),
                                "bench.yaml");
    if (!parsed.ok()) Die(std::string(parsed.status().message()));
    config_ = *std::move(parsed);
    auto connection = Connection::Open(config_);
    if (!connection.ok()) Die(std::string(connection.status().message()));
    db_ = std::make_unique<Connection>(*std::move(connection));
    Run("CREATE DATABASE bench CHARACTER SET utf8mb4");
    Run("CREATE TABLE bench.t(id bigint unsigned NOT NULL PRIMARY KEY, k int unsigned NOT NULL, c char(60) NOT NULL, pad char(60) NOT NULL, KEY(k))");
    Run("CREATE TABLE bench.seed(i int PRIMARY KEY)");
    Run("INSERT INTO bench.seed WITH RECURSIVE s(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i < 999) SELECT i FROM s");
    for (uint64_t from = 0; from < rows; from += 100'000) {
      Run(fmt::format("INSERT INTO bench.t SELECT n, CRC32(n), SHA2(n, 224), REPEAT('p', 60) FROM (SELECT {} + a.i + 1000 * b.i AS n FROM bench.seed a, bench.seed b WHERE b.i < {}) AS s",
                      from, std::min<uint64_t>(100, (rows - from + 999) / 1000)));
    }
    Run("CREATE TABLE bench.k LIKE bench.t");
    Run("INSERT INTO bench.k SELECT * FROM bench.t");
    Run("ANALYZE TABLE bench.t");
    Ok(InstallControlSchema(*db_, config_));
    Ok(SyncDeclared(*db_, config_));
    for (const config::Migration& migration : config_.migrations) {
      auto tables = LoadCatalog(*db_, {migration});
      if (!tables.ok()) Die(std::string(tables.status().message()));
      Ok(RunAlters(*db_, config_, migration.name, ExpandDdl(migration, *tables)));
    }
    Run("UPDATE cf.migrations SET phase = 'backfill'");
  }

  double Whole() {
    Run("UPDATE bench.t SET c2 = NULL");
    return Timed([&] { Run("UPDATE bench.t SET c2 = CRC32(c)"); });
  }
  double Backfill(size_t migration) {
    Run(migration == 0 ? "UPDATE bench.t SET c2 = NULL" : "UPDATE bench.k SET n = NULL");
    Run("DELETE FROM cf.backfill_progress");
    Run("DELETE FROM cf.backfill_workers");
    return Timed([&] {
      auto copier = Copier::Make(*db_, config_, config_.migrations[migration]);
      if (!copier.ok()) Die(std::string(copier.status().message()));
      while (true) {
        auto step = (*copier)->Step();
        if (!step.ok()) Die(std::string(step.status().message()));
        if (step->complete) break;
        given_up_ += step->waiting_for.empty() ? 0 : 1;
      }
    });
  }
  double Verification() {
    return Timed([&] {
      auto result = Verify(*db_, config_, config_.migrations[0], false, nullptr);
      if (!result.ok()) Die(std::string(result.status().message()));
      if (result->differences != 0) Die("the sides differ");
    });
  }
  int given_up() const { return given_up_; }

 private:
  static void Ok(const absl::Status& status) {
    if (!status.ok()) Die(std::string(status.message()));
  }
  void Run(const std::string& sql) {
    auto done = db_->Execute(sql);
    if (!done.ok()) Die(sql + ": " + std::string(done.status().message()));
  }
  template <typename Body>
  double Timed(Body body) {
    const auto begin = Clock::now();
    body();
    return static_cast<double>(rows_) / std::chrono::duration<double>(Clock::now() - begin).count();
  }

  uint64_t rows_;
  int given_up_ = 0;
  std::unique_ptr<servers::Server> server_;
  config::Config config_;
  std::unique_ptr<Connection> db_;
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void Measure(servers::Engine engine, uint64_t rows, int rounds, uint32_t workers) {
  Bench bench(engine, rows, workers);
  std::vector<double> whole, fill, keys, verify;
  for (int i = 0; i < rounds; ++i) {
    whole.push_back(bench.Whole());
    fill.push_back(bench.Backfill(0));
    verify.push_back(bench.Verification());
    keys.push_back(bench.Backfill(1));
    fmt::print("{} round {}: whole {:.0f}, backfill {:.0f}, keys {:.0f}, verification {:.0f}, given up {}\n", servers::EngineName(engine), i, whole.back(), fill.back(),
               keys.back(), verify.back(), bench.given_up());
    std::fflush(stdout);
  }
  fmt::print("{}, {} rows, {} workers: backfill {:.2f} of the whole UPDATE ({:.0f} rows/s), new keys {:.2f}, verification {:.2f} of the backfill\n",
             servers::EngineName(engine), rows, workers == 0 ? "default" : std::to_string(workers), Median(fill) / Median(whole), Median(fill),
             Median(keys) / Median(whole), Median(verify) / Median(fill));
}

}  // namespace
}  // namespace crossfade::backfill

int main(int argc, char** argv) {
  using crossfade::servers::Engine;
  std::vector<Engine> engines = {Engine::kMariaDb, Engine::kMySql};
  uint64_t rows = 1'000'000;
  int rounds = 3;
  uint32_t workers = 0;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--engine") == 0) engines = {std::strcmp(argv[i + 1], "mysql") == 0 ? Engine::kMySql : Engine::kMariaDb};
    if (std::strcmp(argv[i], "--rows") == 0) rows = std::strtoull(argv[i + 1], nullptr, 10);
    if (std::strcmp(argv[i], "--rounds") == 0) rounds = std::atoi(argv[i + 1]);
    if (std::strcmp(argv[i], "--workers") == 0) workers = static_cast<uint32_t>(std::atoi(argv[i + 1]));
  }
  spdlog::set_level(spdlog::level::warn);
  for (const Engine engine : engines) crossfade::backfill::Measure(engine, rows, rounds, workers);
  return 0;
}
