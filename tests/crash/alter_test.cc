// SPDX-License-Identifier: Apache-2.0
// Deaths in the middle of an ALTER. Tables big enough that building an index, swapping the primary key and dropping columns take a
// while walk to the end while an application writes. Each ALTER that is seen at work on the server is cut short once: its
// migrator is killed, or the server is. Nobody helps: the next migrator goes on by itself, and in the end every row is where it
// was, once, under its new key.
#include <random>
#include <set>

#include "backfill/store.h"
#include "tests/backfill/workload.h"
#include "tests/servers/process.h"

namespace crossfade::backfill {
namespace {

using config::Phase;
using std::chrono::milliseconds;

constexpr int kChildrenEach = 10;
constexpr char kLimits[] = "backfill_idle_share: 0, control_poll: 10ms, lease: 500ms, hold_limit: 2s, verify_chunk_rows: 50000";

class CrashInAlter : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (HasFatalFailure()) return;
    parents_ = IsMariaDb() ? 20'000 : 12'000;
    config_ = Load(kZoo, kLimits);
    for (const std::string& sql : ZooTables(parents_, kChildrenEach)) Run(sql);
    Run("CREATE TABLE ledger(id int AUTO_INCREMENT PRIMARY KEY, p int NOT NULL, r int NOT NULL, c int NOT NULL)");
    servers::WriteFile(folder_.path() + "/crossfade.yaml",
                       fmt::format("listen: [{{address: '127.0.0.1:1', backend: primary}}]\nbackends: {{primary: {{address: '{}'}}}}\n"
                                   "control: {{backend: primary, user: root, schema: {}}}\nlimits: {{{}}}\n"
                                   "throttle: {{replica_lag: 0ms, threads_running: 0, history_list: 0, p99_rise: 0, disk_free: 0}}\nmigrations: {}\n",
                                   address_, kControl, kLimits, kZoo));
    ASSERT_OK(InstallControlSchema(*db_, *config_));
    ASSERT_OK(SyncDeclared(*db_, *config_));
    Spawn();
  }

  // A migrator of its own name, without a lease: the next one ends what it left at work on the server.
  void Spawn() {
    auto process = servers::Process::Spawn({"/proc/self/exe", "--migrator", folder_.path() + "/crossfade.yaml", folder_.path(), "live", "name", fmt::format("m{}", ++spawned_)},
                                           folder_.path() + "/log");
    ASSERT_TRUE(process.ok()) << process.status();
    process_ = *std::move(process);
  }

  // The ALTER at work now; empty: none.
  std::string AtWork() {
    auto rows = db_->Query("SELECT info FROM information_schema.processlist WHERE info LIKE 'ALTER%' AND id <> CONNECTION_ID()");
    return rows.ok() && !rows->rows.empty() ? rows->rows[0][0].value_or("") : "";
  }

  void Cut() {
    const std::string alter = AtWork();
    if (alter.empty() || cut_.contains(alter)) return;
    std::this_thread::sleep_for(milliseconds(5 + static_cast<int>(random_() % 60)));
    if (AtWork() != alter) return;  // a short one
    cut_.insert(alter);
    if (server_dies_) {
      server_->Kill();
      const absl::Status again = server_->StartAgain();
      ASSERT_TRUE(again.ok()) << again;
      db_ = std::make_unique<Connection>(Open());
    } else {
      process_.Kill();
      Spawn();
    }
  }

  ::testing::AssertionResult Reach(Phase phase) {
    const absl::Status asked = SetDesired(*db_, *config_, "ik", phase, phase == Phase::kCutover ? std::optional<double>(100) : std::nullopt, phase >= Phase::kRetire);
    if (!asked.ok()) return ::testing::AssertionFailure() << asked;
    std::string where;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(300);
    while (std::chrono::steady_clock::now() < end) {
      Cut();
      if (HasFatalFailure()) return ::testing::AssertionFailure();
      if (!process_.running()) return ::testing::AssertionFailure() << "the migrator ended: " << servers::LastLines(servers::ReadFile(folder_.path() + "/log"), 10);
      auto state = ReadState(*db_, *config_);
      if (state.ok() && !state->migrations.empty()) {
        where = fmt::format("{} ({})", config::PhaseName(state->migrations[0].phase), state->migrations[0].message);
        if (state->migrations[0].phase == phase && !state->migrations[0].held) return ::testing::AssertionSuccess();
      }
      std::this_thread::sleep_for(milliseconds(1));
    }
    return ::testing::AssertionFailure() << "it stands in " << where << servers::LastLines(servers::ReadFile(folder_.path() + "/log"), 10);
  }

  void WalkAll() {
    auto application = std::make_shared<config::Config>(*config_);
    application->limits.lease = std::chrono::minutes(10);  // nobody starts this proxy again when it was away for a while
    Workload load(application, parents_, 2, {.survives = true, .ledger = true});
    for (const Phase phase : {Phase::kVerify, Phase::kCutover, Phase::kRetire, Phase::kDone}) ASSERT_TRUE(Reach(phase));
    const int writes = load.writes();
    while (load.writes() < writes + 50 && load.errors() == 0) std::this_thread::sleep_for(milliseconds(5));
    load.Stop();
    process_.Kill();
    EXPECT_EQ(load.errors(), 0) << load.last_error();
    Judge();
    std::string all;
    for (const std::string& alter : cut_) all += "\n  " + alter.substr(0, 150);
    std::printf("%zu ALTERs were cut short, %d writes:%s\n", cut_.size(), load.writes(), all.c_str());
    EXPECT_GE(cut_.size(), 3u);
    // An index on the new references, and the swap of the key.
    for (const char* wanted : {"ADD KEY", "PRIMARY KEY"}) EXPECT_TRUE(std::any_of(cut_.begin(), cut_.end(), [&](const std::string& alter) { return alter.find(wanted) != std::string::npos; })) << wanted << all;
  }

  void Judge() {
    for (const char* which : {"p", "q"}) {
      EXPECT_EQ(Value(fmt::format("SELECT COUNT(*) FROM R LEFT JOIN P ON P.name = R.{0} WHERE NOT (P.tag <=> R.{0}tag)", which)), "0") << which;
    }
    EXPECT_EQ(Value("SELECT COUNT(*) - COUNT(DISTINCT name) FROM P"), "0");
    EXPECT_EQ(Value("SELECT COUNT(*) FROM P WHERE name IS NULL OR name = 0"), "0");
    EXPECT_EQ(Value("SELECT COUNT(*) FROM P"), Value(fmt::format("SELECT {} + COALESCE(SUM(p), 0) FROM ledger", parents_)));
    EXPECT_EQ(Value("SELECT COUNT(*) FROM R"), Value(fmt::format("SELECT {} + COALESCE(SUM(r), 0) FROM ledger", parents_ * kChildrenEach)));
    EXPECT_EQ(Value("SELECT COUNT(*) FROM P WHERE tag LIKE 'k%'"), std::to_string(parents_));
    std::string all;
    for (const char* table : {"P", "R"}) {
      auto shown = db_->Query(fmt::format("SHOW CREATE TABLE {}", table));
      ASSERT_TRUE(shown.ok()) << shown.status();
      all += *shown->rows[0][1] + "\n";
    }
    for (const char* wanted : {"PRIMARY KEY (`name`)", "FOREIGN KEY (`p`) REFERENCES `P` (`name`) ON DELETE CASCADE ON UPDATE CASCADE",
                               "FOREIGN KEY (`q`) REFERENCES `P` (`name`) ON UPDATE CASCADE", "KEY `kp` (`p`)", "UNIQUE KEY `uq` (`q`,`p`,`rid`)"}) {
      EXPECT_NE(all.find(wanted), std::string::npos) << wanted << "\n" << all;
    }
    for (const char* unwanted : {"crossfade_old", "INVISIBLE", "p_id"}) EXPECT_EQ(all.find(unwanted), std::string::npos) << unwanted << "\n" << all;
    auto tables = db_->Query("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'cf_data'");
    ASSERT_TRUE(tables.ok()) << tables.status();
    EXPECT_EQ(tables->rows[0][0], "3");  // nothing half built is left
    for (const char* table : {"P", "R"}) EXPECT_EQ(CheckTable(table), "OK");
  }
  std::string CheckTable(const std::string& table) {
    auto rows = db_->Query("CHECK TABLE " + table);
    return !rows.ok() ? std::string(rows.status().message()) : rows->rows.empty() ? "" : rows->rows.back()[3].value_or("");
  }

  servers::TempFolder folder_{"crash"};
  servers::Process process_;
  bool server_dies_ = false;
  int parents_ = 0, spawned_ = 0;
  std::set<std::string> cut_;
  std::mt19937 random_{7};
};

TEST_P(CrashInAlter, TheMigratorDies) { ASSERT_NO_FATAL_FAILURE(WalkAll()); }

TEST_P(CrashInAlter, TheServerDies) {
  server_dies_ = true;
  ASSERT_NO_FATAL_FAILURE(WalkAll());
}

ON_EACH_ENGINE(CrashInAlter);

}  // namespace
}  // namespace crossfade::backfill
