// SPDX-License-Identifier: Apache-2.0
// Whole migrations on real servers, under load.
#include "backfill/migrator.h"
#include "backfill/verify.h"
#include "tests/backfill/workload.h"

namespace crossfade::backfill {
namespace {

using config::Phase;

class Walk : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
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
  while (load.writes() < writes + 300 && load.errors() == 0) std::this_thread::yield();
  ASSERT_TRUE(Reach(Phase::kVerify));
  ExpectBelonging("id", "p_id", "q_id");
  ASSERT_TRUE(Reach(Phase::kRetire));
  EXPECT_TRUE(absl::IsFailedPrecondition(SetDesired(*db_, *config_, "ik", Phase::kVerify, std::nullopt, true)));
  ASSERT_TRUE(Reach(Phase::kDone));
  const int after = load.writes();
  while (load.writes() < after + 100 && load.errors() == 0) std::this_thread::yield();
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

ON_EACH_ENGINE(Walk);

}  // namespace
}  // namespace crossfade::backfill
