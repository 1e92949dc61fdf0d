// SPDX-License-Identifier: Apache-2.0
// Whole migrations on real servers, under load.
#include "backfill/alter.h"
#include "backfill/catalog_loader.h"
#include "backfill/ddl.h"
#include "backfill/migrator.h"
#include "backfill/store.h"
#include "backfill/verify.h"
#include "tests/backfill/workload.h"

namespace crossfade::backfill {
namespace {

using config::Phase;

class Walk : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (HasFatalFailure()) return;
    config_ = Load(kZoo, "chunk_rows: 200, backfill_idle_share: 0, control_poll: 20ms, key_block: 100");
    ASSERT_OK(InstallControlSchema(*db_, *config_));
    ASSERT_OK(SyncDeclared(*db_, *config_));
  }
  void MakeTables(int parents, int children_each) {
    for (const std::string& sql : ZooTables(parents, children_each)) Run(sql);
    Run("ANALYZE TABLE P");
    Run("ANALYZE TABLE R");
  }
  MigrationRow Row() {
    auto state = ReadState(*db_, *config_);
    EXPECT_TRUE(state.ok()) << state.status();
    return state.ok() && !state->migrations.empty() ? state->migrations[0] : MigrationRow();
  }
  void Ask(Phase phase, std::optional<double> percent = std::nullopt) {
    ASSERT_OK(SetDesired(*db_, *config_, "ik", phase, percent, phase >= Phase::kRetire));
  }
  // Asks for `phase` and waits until it is reached (and its percent).
  ::testing::AssertionResult Reach(Phase phase, std::optional<double> percent = std::nullopt) {
    Ask(phase, percent);
    for (int i = 0; i < 6'000; ++i) {
      const MigrationRow row = Row();
      if (row.phase == phase && (!percent || row.percent == *percent)) return ::testing::AssertionSuccess();
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    const MigrationRow row = Row();
    return ::testing::AssertionFailure() << "stands in " << config::PhaseName(row.phase) << " (" << row.message << ")";
  }
  ::testing::AssertionResult Becomes(const std::function<bool()>& condition) {
    for (int i = 0; i < 6'000; ++i) {
      if (condition()) return ::testing::AssertionSuccess();
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return ::testing::AssertionFailure() << "never came true; last message: " << Row().message;
  }
  // From outside: every reference belongs to the parent that its tag names.
  void ExpectBelonging(const std::string& key, const std::string& p, const std::string& q) {
    EXPECT_EQ(Value(fmt::format("SELECT COUNT(*) FROM R LEFT JOIN P ON P.{} = R.{} WHERE NOT (P.tag <=> R.ptag)", key, p)), "0");
    EXPECT_EQ(Value(fmt::format("SELECT COUNT(*) FROM R LEFT JOIN P ON P.{} = R.{} WHERE NOT (P.tag <=> R.qtag)", key, q)), "0");
    EXPECT_EQ(Value(fmt::format("SELECT COUNT(*) - COUNT(DISTINCT {}) FROM P", key)), "0");
  }
};

TEST_P(Walk, ThereAndBackAndToTheEndUnderLoad) {
  MakeTables(3'000, 4);
  Workload load(config_, 3'000, 3);
  Migrator migrator(config_);
  migrator.Start();
  ASSERT_TRUE(Reach(Phase::kExpand));
  ASSERT_TRUE(Reach(Phase::kDualWrite));
  ASSERT_TRUE(Reach(Phase::kBackfill));
  ASSERT_TRUE(Reach(Phase::kVerify));
  ExpectBelonging("id", "p_id", "q_id");
  ASSERT_TRUE(Reach(Phase::kCutover, 10));
  ASSERT_TRUE(Reach(Phase::kCutover, 100));
  ASSERT_TRUE(Reach(Phase::kDualWrite));
  ASSERT_TRUE(Reach(Phase::kCutover, 50));
  ASSERT_TRUE(Reach(Phase::kObserve));  // dual writes stop, the new side goes stale
  const int writes = load.writes();
  ASSERT_TRUE(Becomes([&] { return load.writes() >= writes + 300 || load.errors() != 0; }));
  ASSERT_TRUE(Reach(Phase::kVerify));
  ExpectBelonging("id", "p_id", "q_id");
  ASSERT_TRUE(Reach(Phase::kRetire));
  EXPECT_TRUE(absl::IsFailedPrecondition(SetDesired(*db_, *config_, "ik", Phase::kVerify, std::nullopt, true)));
  ASSERT_TRUE(Reach(Phase::kDone));
  const int after = load.writes();
  ASSERT_TRUE(Becomes([&] { return load.writes() >= after + 100 || load.errors() != 0; }));
  load.Stop();
  migrator.Stop();
  EXPECT_EQ(load.errors(), 0) << load.last_error();
  ExpectBelonging("name", "p", "q");
  auto r = db_->Query("SHOW CREATE TABLE R");
  auto p = db_->Query("SHOW CREATE TABLE P");
  ASSERT_TRUE(r.ok() && p.ok());
  const std::string child = *r->rows[0][1], parent = *p->rows[0][1];
  EXPECT_EQ(child.find("crossfade_old"), std::string::npos) << child;
  EXPECT_EQ(parent.find("crossfade_old"), std::string::npos) << parent;
  EXPECT_NE(parent.find("PRIMARY KEY (`name`)"), std::string::npos) << parent;
  EXPECT_NE(child.find("FOREIGN KEY (`p`) REFERENCES `P` (`name`) ON DELETE CASCADE ON UPDATE CASCADE"), std::string::npos) << child;
  EXPECT_NE(child.find("KEY `kp` (`p`)"), std::string::npos) << child;
  EXPECT_NE(child.find("UNIQUE KEY `uq` (`q`,`p`,`rid`)"), std::string::npos) << child;
  EXPECT_EQ(Value("SELECT GROUP_CONCAT(column_name ORDER BY ordinal_position) FROM information_schema.columns WHERE table_schema = 'cf_data' AND table_name = 'R'"),
            "rid,p,q,ptag,qtag");
  EXPECT_EQ(Value("SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'cf_data' AND extra LIKE '%INVISIBLE%'"), "0");
  EXPECT_EQ(Value("SELECT is_nullable FROM information_schema.columns WHERE table_schema = 'cf_data' AND table_name = 'R' AND column_name = 'p'"), "NO");
  RecordProperty("writes", load.writes());
  RecordProperty("deadlocks", load.deadlocks());
  std::printf("%d writes, %d deadlocks\n", load.writes(), load.deadlocks());
}

TEST_P(Walk, AMigratorThatDiesAnywhereIsFollowedByTheNext) {
  MakeTables(1'000, 3);
  Workload load(config_, 1'000, 2);
  Migrator migrator(config_), other(config_);
  migrator.Start();
  other.Start();
  std::atomic<bool> stop{false};
  std::atomic<int> kills{0};
  std::thread killer([&] {
    Connection own = Open();
    std::mt19937 random(11);
    while (!stop) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20 + random() % 600));
      auto leader = own.Query("SELECT IS_USED_LOCK('crossfade.cf_control')");
      if (leader.ok() && leader->rows[0][0] && kills < 40 && own.Execute("KILL " + *leader->rows[0][0]).ok()) ++kills;
    }
  });
  EXPECT_TRUE(Reach(Phase::kVerify));
  EXPECT_TRUE(Reach(Phase::kCutover, 100));
  EXPECT_TRUE(Reach(Phase::kDualWrite));
  EXPECT_TRUE(Reach(Phase::kRetire));
  EXPECT_TRUE(Reach(Phase::kDone));
  stop = true;
  killer.join();
  load.Stop();
  EXPECT_GT(kills, 0);
  EXPECT_EQ(load.errors(), 0) << load.last_error();
  ExpectBelonging("name", "p", "q");
}

TEST_P(Walk, AHalfSwappedSchemaIsFinishedForward) {
  MakeTables(50, 2);
  {
    Migrator migrator(config_);
    migrator.Start();
    ASSERT_TRUE(Reach(Phase::kRetire));
    // Let it tidy the indexes, then die.
    ASSERT_TRUE(Becomes([&] { return Value("SELECT COUNT(*) FROM information_schema.statistics WHERE table_schema = 'cf_data' AND index_name = 'kp'") == "0"; }));
  }
  Run("UPDATE cf_control.migrations SET phase = 'contract', desired = 'contract', held = 1, confirmed = 1");
  Run("UPDATE cf_control.state SET epoch = epoch + 1");
  auto tables = LoadCatalog(*db_, config_->migrations);
  ASSERT_TRUE(tables.ok()) << tables.status();
  const auto alters = FinalNamesDdl(config_->migrations[0], *tables);
  ASSERT_EQ(alters.size(), 2u);
  Run(AlterSql(alters[0]));
  Migrator migrator(config_);
  migrator.Start();
  ASSERT_TRUE(Reach(Phase::kDone));
  EXPECT_FALSE(Row().held);
  ExpectBelonging("name", "p", "q");
}

TEST_P(Walk, TheStatementGateIsLetGoWhenATransactionLingers) {
  config_ = Load(kZoo, "chunk_rows: 200, backfill_idle_share: 0, control_poll: 20ms, hold_limit: 200ms");
  MakeTables(100, 2);
  Workload load(config_, 100, 1);
  Migrator migrator(config_);
  migrator.Start();
  ASSERT_TRUE(Reach(Phase::kCutover, 100));
  ASSERT_TRUE(Becomes([&] { return load.epoch() == ReadState(*db_, *config_)->epoch; }));
  // As another migrator left it: with the keys swapped already the gate is all there is to do.
  const auto tables = LoadCatalog(*db_, config_->migrations);
  ASSERT_TRUE(tables.ok()) << tables.status();
  const absl::Status swapped = RunAlters(*db_, *config_, "ik", KeySwapDdl(config_->migrations[0], *tables));
  ASSERT_TRUE(swapped.ok()) << swapped;
  load.Linger(true);
  Ask(Phase::kRetire);
  ASSERT_TRUE(Becomes([&] { return Value("SELECT COUNT(*) FROM cf_control.events WHERE text LIKE '%let go with nothing changed%'") != "0"; }));
  EXPECT_EQ(Row().phase, Phase::kCutover);
  EXPECT_EQ(Value("SELECT COUNT(*) FROM information_schema.referential_constraints WHERE constraint_schema = 'cf_data' AND constraint_name = 'fkp'"), "1");
  load.Linger(false);
  EXPECT_TRUE(Reach(Phase::kRetire));
  load.Stop();
  EXPECT_EQ(load.errors(), 0) << load.last_error();
  ExpectBelonging("id", "p_id", "q_id");
}

// What is built online begins where no transaction is open that does not know of it; nobody waits for that but the migrator.
TEST_P(Walk, WhatIsBuiltWaitsForTransactionsFromBefore) {
  config_ = Load(kZoo, "chunk_rows: 200, backfill_idle_share: 0, control_poll: 20ms");
  MakeTables(100, 2);
  Workload load(config_, 100, 1);
  Migrator migrator(config_);
  migrator.Start();
  ASSERT_TRUE(Reach(Phase::kCutover, 100));
  ASSERT_TRUE(Becomes([&] { return load.epoch() == ReadState(*db_, *config_)->epoch; }));
  load.Linger(true);
  Ask(Phase::kRetire);
  ASSERT_TRUE(Becomes([&] { return Row().building && Row().message.find("waits for proxy test") != std::string::npos; }));
  EXPECT_EQ(Value("SELECT COUNT(*) FROM information_schema.key_column_usage WHERE table_schema = 'cf_data' AND table_name = 'P' AND column_name = 'id' AND constraint_name = 'PRIMARY'"), "0");
  Ask(Phase::kCutover, 100);  // a change of mind
  load.Linger(false);
  EXPECT_TRUE(Becomes([&] { return !Row().building; }));
  EXPECT_TRUE(Reach(Phase::kRetire));
  EXPECT_TRUE(Becomes([&] { return !Row().building; }));
  load.Stop();
  EXPECT_EQ(load.errors(), 0) << load.last_error();
}

TEST_P(Walk, ALiveProxyIsWaitedForAndADeadOneIsNot) {
  MakeTables(10, 1);
  const auto short_lease = Load(kZoo, "lease: 1s");
  const uint64_t epoch = ReadState(*db_, *config_)->epoch;
  std::atomic<bool> stop{false};
  std::thread stuck([&] {
    Connection own = Open();
    while (!stop) {
      EXPECT_TRUE(RenewLease(own, *short_lease, "stuck", "here", epoch, epoch).ok());
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  });
  EXPECT_TRUE(Becomes([&] { return Value("SELECT COUNT(*) FROM cf_control.proxies") == "1"; }));
  Migrator migrator(config_);
  migrator.Start();
  Ask(Phase::kDualWrite);
  EXPECT_TRUE(Becomes([&] { return Row().message.find("waits for proxy stuck") != std::string::npos; }));
  EXPECT_EQ(Row().phase, Phase::kExpand);  // one epoch ahead of the slowest, never two
  stop = true;
  stuck.join();
  EXPECT_TRUE(Reach(Phase::kDualWrite));
}

TEST_P(Walk, GatesSayWhatTheyWaitFor) {
  config_ = Load(kZoo, "backfill_idle_share: 0, control_poll: 20ms, lease: 10m");
  MakeTables(10, 1);
  Connection application = Open();
  ASSERT_OK(RenewLease(*db_, *config_, "p", "here", 99, 99).status());
  ASSERT_OK(ReportDigests(*db_, *config_, {{"ik", "load data into P", "C", "not possible", "app", 5}}));
  Migrator migrator(config_);
  migrator.Start();
  const auto wait_for = [&](const std::string& text) {
    std::string message;
    for (int i = 0; i < 12'000; ++i) {
      message = Row().message;
      if (message.find(text) != std::string::npos) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    FAIL() << "waited for: " << text << "\nlast said: " << message;
  };
  // Each gate is shut before the one in front of it opens.
  Run("CREATE TRIGGER tr BEFORE INSERT ON R FOR EACH ROW SET NEW.ptag = 'x'");
  ASSERT_OK(StatusOf(application.Execute("START TRANSACTION")));
  ASSERT_OK(StatusOf(application.Query("SELECT COUNT(*) FROM P")));
  Ask(Phase::kDualWrite);
  wait_for("has the trigger tr");
  Run("DROP TRIGGER tr");
  wait_for("1 statement shape(s) with live traffic would be refused, the most frequent by app: load data into P");
  Run("DELETE FROM cf_control.digests");
  wait_for(fmt::format("connection {} (", application.thread_id()));
  ASSERT_OK(StatusOf(application.Execute("COMMIT")));
  EXPECT_TRUE(Reach(Phase::kDualWrite));
  ASSERT_OK(SetPaused(*db_, *config_, "ik", true));
  Ask(Phase::kBackfill);
  wait_for("paused");
  EXPECT_EQ(Row().phase, Phase::kDualWrite);
  ASSERT_OK(SetPaused(*db_, *config_, "ik", false));
  EXPECT_TRUE(Reach(Phase::kBackfill));
  EXPECT_TRUE(Reach(Phase::kVerify));
  ASSERT_TRUE(Becomes([&] { return Value("SELECT COUNT(*) FROM cf_control.verifications WHERE finished IS NOT NULL") != "0"; }));
  Run("UPDATE R SET p_id = 99 WHERE rid = 1");
  Run("UPDATE cf_control.verifications SET epoch = 0");  // as if it had been before
  Ask(Phase::kCutover, 100);
  wait_for("verification found 1 rows whose sides differ");
  auto mended = Verify(*db_, *config_, config_->migrations[0], true, nullptr);
  ASSERT_TRUE(mended.ok()) << mended.status();
  EXPECT_EQ(mended->repaired, 1u);
  EXPECT_TRUE(Reach(Phase::kCutover, 100));
}

// Verification goes round in cutover.
TEST_P(Walk, AWriterThatBypassesTheProxyIsNoticedAndMended) {
  MakeTables(200, 2);
  Migrator migrator(config_);
  migrator.Start();
  ASSERT_TRUE(Reach(Phase::kCutover, 50));
  ASSERT_TRUE(Becomes([&] { return Value("SELECT COUNT(*) FROM cf_control.verifications WHERE finished IS NOT NULL") == "2"; }));
  EXPECT_EQ(Value("SELECT COUNT(*) FROM cf_control.drift"), "0");
  const std::string right = Value("SELECT p_id FROM R WHERE rid = 7");
  Run("UPDATE R SET p_id = p_id + 1 WHERE rid = 7");
  Run("INSERT INTO R(p, ptag) VALUES ('k3', 'k3')");
  Run("INSERT INTO P(name, tag, v) VALUES ('fresh', 'fresh', 1)");
  ASSERT_TRUE(Becomes([&] { return Value("SELECT COUNT(*) FROM cf_control.drift WHERE mended = 1 AND found_at > UTC_TIMESTAMP() - INTERVAL 1 HOUR") == "3"; }));
  EXPECT_EQ(Value("SELECT row_key FROM cf_control.drift WHERE table_name = 'cf_data.R' ORDER BY id LIMIT 1"), "rid '7'");
  EXPECT_EQ(Value("SELECT p_id FROM R WHERE rid = 7"), right);
  EXPECT_NE(Value("SELECT id FROM P WHERE name = 'fresh'"), "NULL");
  EXPECT_EQ(Value("SELECT COUNT(*) FROM cf_control.events WHERE severity = 'error' AND text LIKE 'a row was written past the proxies: %mended'"), "3");
  ExpectBelonging("id", "p_id", "q_id");
}

ON_EACH_ENGINE(Walk);

}  // namespace
}  // namespace crossfade::backfill
