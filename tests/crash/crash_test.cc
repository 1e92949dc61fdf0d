// SPDX-License-Identifier: Apache-2.0
// The crash matrix. Two migrations, one of keys and one of columns, walk there, back and to the end while an application writes.
// Each time the migrator's process reaches a failpoint that nobody has reached before, it is killed, or stands still until the
// server was killed and started again. In the end every row is where it was, once, and new = f(old).
//
// By default the migrator dies once at each failpoint, and the server at every second (MySQL: fifth); with CROSSFADE_LONG both die at each thing that
// is done there.
#include <filesystem>
#include <fstream>
#include <random>
#include <regex>
#include <set>

#include "backfill/copier.h"
#include "backfill/fence.h"
#include "tests/backfill/control_v1.h"
#include "tests/backfill/workload.h"
#include "tests/crash/failpoint.h"
#include "tests/servers/process.h"

namespace crossfade::backfill {
namespace {

using config::Phase;

constexpr int kParents = 160, kChildrenEach = 3, kCustomers = 200;
constexpr char kLimits[] =
    "chunk_rows: 50, backfill_idle_share: 0, backfill_workers: 2, control_poll: 10ms, key_block: 20, verify_chunk_rows: 100, lease: 500ms, hold_limit: 200ms";

std::set<std::string> Lines(const std::string& path) {
  std::set<std::string> out;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) out.insert(line);
  return out;
}

// The failpoints that the code names.
std::set<std::string> NamedInCode() {
  std::set<std::string> out;
  const std::regex named("CROSSFADE_FAILPOINT\\(\"([^\"]+)\"");
  for (const auto& entry : std::filesystem::directory_iterator(std::string(CROSSFADE_SOURCE_DIR) + "/backfill")) {
    if (entry.path().extension() != ".cc") continue;
    const std::string text = servers::ReadFile(entry.path().string());
    for (std::sregex_iterator it(text.begin(), text.end(), named), end; it != end; ++it) out.insert((*it)[1]);
  }
  return out;
}

class Crash : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (HasFatalFailure()) return;
    config_ = Load(Migrations(), kLimits);
    for (const std::string& sql : ZooTables(kParents, kChildrenEach)) Run(sql);
    Run("CREATE TABLE C(cid int AUTO_INCREMENT PRIMARY KEY, phone varchar(30) NULL, truth varchar(30) NULL, KEY(phone))");
    Run(fmt::format("INSERT INTO C(cid, phone, truth) WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < {}) SELECT i, CONCAT('+1 ', i * 37), CONCAT('+1 ', i * 37) FROM s", kCustomers));
    Run("CREATE TABLE ledger(id int AUTO_INCREMENT PRIMARY KEY, p int NOT NULL, r int NOT NULL, c int NOT NULL)");
    // The control schema is a version back, so that its upgrade dies too.
    for (const std::string& sql : ControlSchemaV1(kControl)) Run(sql);
    servers::WriteFile(folder_.path() + "/crossfade.yaml",
                       fmt::format("listen: [{{address: '127.0.0.1:1', backend: primary}}]\nbackends: {{primary: {{address: '{}'}}}}\n"
                                   "control: {{backend: primary, user: root, schema: {}}}\nlimits: {{{}}}\n"
                                   "throttle: {{replica_lag: 0ms, threads_running: 0, history_list: 0, p99_rise: 0, disk_free: 0}}\nmigrations: {}\n",
                                   address_, kControl, kLimits, Migrations()));
  }
  static std::string Migrations() {
    std::string keys = kZoo;
    keys.pop_back();
    return keys + ", {name: cc, schema: cf_data, phase: observe, columns: [{table: C, old: [phone], new: {digits: {type: bigint unsigned, from: \"" +
           fmt::format(fmt::runtime(kDigitsOf), "phone") + "\"}}}]}]";
  }

  void Spawn() {
    auto process = servers::Process::Spawn({"/proc/self/exe", "--migrator", folder_.path() + "/crossfade.yaml", folder_.path(), mode_, by_name_ ? "name" : "point"}, folder_.path() + "/log");
    ASSERT_TRUE(process.ok()) << process.status();
    process_ = *std::move(process);
  }
  // Brings back to life what has died.
  void Tend() {
    if (const std::string stopped = folder_.path() + "/stopped"; std::filesystem::exists(stopped)) {
      const std::string point = servers::ReadFile(stopped);
      if (skip_ == nullptr || !skip_(point)) {
        RestartServer();
        if (HasFatalFailure()) return;
        ++server_deaths_;
      }
      std::filesystem::remove(stopped);
    }
    if (process_.running()) return;
    if (process_.pid() != 0 || spawned_) {
      const auto code = process_.Wait(std::chrono::milliseconds(0));
      ASSERT_EQ(code.value_or(137), 137) << servers::LastLines(servers::ReadFile(folder_.path() + "/log"), 10);
      ++deaths_;
    }
    spawned_ = true;
    Spawn();
  }
  void RestartServer() {
    server_->Kill();
    const absl::Status again = server_->StartAgain();
    ASSERT_TRUE(again.ok()) << again;
    db_ = std::make_unique<Connection>(Open());
  }
  std::optional<ControlState> State() {
    auto state = ReadState(*db_, *config_);
    if (!state.ok() || state->migrations.size() != 2) return std::nullopt;
    return *std::move(state);
  }
  bool Until(const std::function<bool()>& condition, std::chrono::seconds limit = std::chrono::seconds(600)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (std::chrono::steady_clock::now() < end) {
      Tend();
      if (HasFatalFailure()) return false;
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
    }
    return false;
  }
  ::testing::AssertionResult Reach(Phase phase) {
    for (const char* name : {"ik", "cc"}) {
      const absl::Status asked = SetDesired(*db_, *config_, name, phase, phase == Phase::kCutover ? std::optional<double>(100) : std::nullopt, phase >= Phase::kRetire);
      if (!asked.ok()) return ::testing::AssertionFailure() << asked;
    }
    std::optional<ControlState> state;
    const bool reached = Until([&] {
      state = State();
      return state && state->migrations[0].phase == phase && state->migrations[1].phase == phase;
    });
    if (reached) return ::testing::AssertionSuccess();
    std::string where;
    if (state) {
      for (const MigrationRow& row : state->migrations) where += fmt::format("{} stands in {} ({}); ", row.name, config::PhaseName(row.phase), row.message);
    }
    return ::testing::AssertionFailure() << where << servers::LastLines(servers::ReadFile(folder_.path() + "/log"), 10);
  }
  bool Zero(const std::string& sql) { return Value(sql) == "0"; }

  void WalkAll() {
    ASSERT_TRUE(Until([&] { return Value("SELECT version FROM cf_control.state") != "1"; }));
    ASSERT_OK(SyncDeclared(*db_, *config_));
    // A long lease: nobody starts this proxy again when it was away for a while.
    auto application = std::make_shared<config::Config>(*config_);
    application->limits.lease = std::chrono::minutes(10);
    Workload load(application, kParents, 2, {.survives = true, .ledger = true, .columns = true});
    ASSERT_TRUE(Reach(Phase::kBackfill));
    ASSERT_TRUE(Until([&] {
      auto keys = BackfillComplete(*db_, *config_, "ik"), columns = BackfillComplete(*db_, *config_, "cc");
      return keys.ok() && columns.ok() && *keys && *columns && Value("SELECT COUNT(*) FROM information_schema.statistics WHERE table_schema = 'cf_data' AND table_name = 'R' AND column_name = 'p_id'") != "0";
    }));
    ASSERT_NO_FATAL_FAILURE(LoseAProxy());
    // As a row that an UPDATE of its key moved behind the pass.
    Run("UPDATE R SET p_id = NULL WHERE p IS NOT NULL ORDER BY rid LIMIT 3");
    ASSERT_TRUE(Reach(Phase::kVerify));
    ASSERT_TRUE(Until([&] { return Value("SELECT COUNT(DISTINCT migration) FROM cf_control.verifications WHERE finished IS NOT NULL") == "2"; }));
    // Somebody writes past the proxies, once verification is over.
    Run("UPDATE C SET digits = 1 WHERE cid = 170");
    Run("UPDATE P SET id = NULL WHERE name = 'k3'");
    ASSERT_TRUE(Reach(Phase::kCutover));
    ASSERT_TRUE(Until([&] { return Value("SELECT COUNT(DISTINCT table_name) FROM cf_control.drift WHERE mended = 1") != "0" && Value("SELECT digits FROM C WHERE cid = 170") == "16290" && Value("SELECT id FROM P WHERE name = 'k3'") != "NULL"; }));
    ASSERT_TRUE(Reach(Phase::kObserve));
    const int writes = load.writes();
    ASSERT_TRUE(Until([&] { return load.writes() > writes + 50; }));
    ASSERT_TRUE(Reach(Phase::kCutover));
    Belonging("id", "p_id", "q_id");
    // A transaction that lingers: the statement gate is let go. (Before the other one it would already keep the keys from being swapped.)
    ASSERT_TRUE(Until([&] { const auto state = State(); return state && load.epoch() == state->epoch; }));
    load.Linger(true);
    ASSERT_OK(SetDesired(*db_, *config_, "cc", Phase::kRetire, std::nullopt, true));
    ASSERT_TRUE(Until([&] { return Value("SELECT COUNT(*) FROM cf_control.events WHERE migration = 'cc' AND text LIKE '%let go with nothing changed%'") != "0"; }));
    load.Linger(false);
    ASSERT_TRUE(Reach(Phase::kRetire));
    ASSERT_TRUE(Reach(Phase::kDone));
    const int after = load.writes();
    ASSERT_TRUE(Until([&] { return load.writes() > after + 50; }));
    load.Stop();
    process_.Kill();
    EXPECT_EQ(load.errors(), 0) << load.last_error();
    EXPECT_GT(load.writes(), 200);
    Judge();
    std::printf("%d deaths of the migrator, %d of the server, %d writes\n", deaths_, server_deaths_, load.writes());
  }
  // Its lease runs out with a transaction of its own still open: the fence ends that, whoever dies over it.
  void LoseAProxy() {
    std::optional<Connection> lost;
    ASSERT_TRUE(Until([&] {
      lost = Open();
      auto hosts = FindConnections(*db_, {lost->thread_id()});
      const auto state = State();
      if (!hosts.ok() || !state || !RenewLease(*db_, *config_, "lost", "there", state->epoch, state->epoch).ok()) return false;
      auto registered = RegisterConnections(*db_, *config_, "lost", *hosts);
      return registered.ok() && *registered && lost->Execute("START TRANSACTION").ok() && lost->Execute("UPDATE P SET tag = 'lost' WHERE name = 'k4'").ok();
    }));
    ASSERT_TRUE(Until([&] { return Value("SELECT COUNT(*) FROM cf_control.connections WHERE proxy = 'lost'") == "0"; }));
    EXPECT_TRUE(absl::IsUnavailable(lost->Execute("COMMIT").status()));
  }
  void Belonging(const std::string& key, const std::string& p, const std::string& q) {
    EXPECT_TRUE(Zero(fmt::format("SELECT COUNT(*) FROM R LEFT JOIN P ON P.{} = R.{} WHERE NOT (P.tag <=> R.ptag)", key, p)));
    EXPECT_TRUE(Zero(fmt::format("SELECT COUNT(*) FROM R LEFT JOIN P ON P.{} = R.{} WHERE NOT (P.tag <=> R.qtag)", key, q)));
    EXPECT_TRUE(Zero(fmt::format("SELECT COUNT(*) - COUNT(DISTINCT {}) FROM P", key)));
  }
  // Nothing lost, nothing doubled, new = f(old), and the schema of one that nobody disturbed.
  void Judge() {
    Belonging("name", "p", "q");
    EXPECT_TRUE(Zero(fmt::format("SELECT COUNT(*) FROM C WHERE NOT (digits <=> {})", fmt::format(fmt::runtime(kDigitsOf), "truth"))));
    EXPECT_EQ(Value("SELECT COUNT(*) FROM P"), Value(fmt::format("SELECT {} + SUM(p) FROM ledger", kParents)));
    EXPECT_EQ(Value("SELECT COUNT(*) FROM R"), Value(fmt::format("SELECT {} + SUM(r) FROM ledger", kParents * kChildrenEach)));
    EXPECT_EQ(Value("SELECT COUNT(*) FROM C"), Value(fmt::format("SELECT {} + SUM(c) FROM ledger", kCustomers)));
    EXPECT_EQ(Value("SELECT COUNT(*) FROM P WHERE tag LIKE 'k%'"), std::to_string(kParents));
    EXPECT_TRUE(Zero("SELECT COUNT(*) FROM P WHERE name IS NULL OR name = 0"));
    std::string all;
    for (const char* table : {"P", "R", "C"}) {
      auto shown = db_->Query(fmt::format("SHOW CREATE TABLE {}", table));
      ASSERT_TRUE(shown.ok()) << shown.status();
      all += *shown->rows[0][1] + "\n";
    }
    for (const char* wanted : {"PRIMARY KEY (`name`)", "FOREIGN KEY (`p`) REFERENCES `P` (`name`) ON DELETE CASCADE ON UPDATE CASCADE",
                               "FOREIGN KEY (`q`) REFERENCES `P` (`name`) ON UPDATE CASCADE", "KEY `kp` (`p`)", "UNIQUE KEY `uq` (`q`,`p`,`rid`)", "`digits` bigint"}) {
      EXPECT_NE(all.find(wanted), std::string::npos) << wanted << "\n" << all;
    }
    for (const char* unwanted : {"crossfade_old", "INVISIBLE", "phone", "p_id"}) EXPECT_EQ(all.find(unwanted), std::string::npos) << unwanted << "\n" << all;
  }

  servers::TempFolder folder_{"crash"};
  servers::Process process_;
  std::string mode_ = "die";
  bool by_name_ = false, spawned_ = false;
  std::function<bool(const std::string& point)> skip_;
  int deaths_ = 0, server_deaths_ = 0;
};

const bool kLong = std::getenv("CROSSFADE_LONG") != nullptr;

// Once for each name, so that no death keeps what comes behind it from being reached.
TEST_P(Crash, TheMigratorDiesAtEachName) {
  by_name_ = true;
  ASSERT_NO_FATAL_FAILURE(WalkAll());
  const std::set<std::string> reached = Lines(folder_.path() + "/reached");
  for (const std::string& name : NamedInCode()) EXPECT_TRUE(reached.contains(name)) << name << " was never reached";
  EXPECT_EQ(deaths_, static_cast<int>(reached.size()));
}

// Once for each thing that is done there: each ALTER, each change of the epoch, first, middle and last chunks …
TEST_P(Crash, TheMigratorDiesAtEachPoint) {
  if (!kLong) GTEST_SKIP() << "with CROSSFADE_LONG";
  ASSERT_NO_FATAL_FAILURE(WalkAll());
  EXPECT_GT(deaths_, 150);
}

TEST_P(Crash, TheServerDiesAtEachName) {
  mode_ = "stop";
  by_name_ = true;
  // Servers take seconds to start: a part of them by default.
  if (!kLong) skip_ = [n = 0, step = IsMariaDb() ? 2 : 5](const std::string&) mutable { return ++n % step != 0; };
  ASSERT_NO_FATAL_FAILURE(WalkAll());
  EXPECT_GE(server_deaths_, skip_ == nullptr ? 25 : 5);
}

TEST_P(Crash, TheServerDiesAtEachPoint) {
  if (!kLong) GTEST_SKIP() << "with CROSSFADE_LONG";
  mode_ = "stop";
  ASSERT_NO_FATAL_FAILURE(WalkAll());
  EXPECT_GT(server_deaths_, 100);
}

ON_EACH_ENGINE(Crash);

}  // namespace
}  // namespace crossfade::backfill
