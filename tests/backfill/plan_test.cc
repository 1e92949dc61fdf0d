// SPDX-License-Identifier: Apache-2.0
// The runbook is what is done: each ALTER of the plan is later found in the event log of the walk, and no other.
#include "backfill/plan.h"

#include <set>
#include <sstream>

#include "backfill/migrator.h"
#include "tests/backfill/workload.h"

namespace crossfade::backfill {
namespace {

using config::Phase;

class PlanTest : public ServerTest {
 protected:
  std::string Plan() {
    Connection own = Open();
    auto plan = MakePlan(own, *config_, config_->migrations[0]);
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan.ok() ? *plan : "";
  }
  static std::multiset<std::string> Alters(const std::string& plan) {
    std::multiset<std::string> out;
    std::istringstream lines(plan);
    for (std::string line; std::getline(lines, line);) {
      if (line.find("  ALTER TABLE") == 0) out.insert(line.substr(2, line.size() - 3));
    }
    return out;
  }
};

TEST_P(PlanTest, IsWhatTheWalkDoes) {
  config_ = Load(kZoo, "chunk_rows: 200, backfill_idle_share: 0, control_poll: 20ms");
  for (const std::string& sql : ZooTables(2'000, 2)) Run(sql);
  Run("ANALYZE TABLE P");
  Run("ANALYZE TABLE R");
  ASSERT_OK(InstallControlSchema(*db_, *config_));
  ASSERT_OK(SyncDeclared(*db_, *config_));
  const std::string before = Value("SELECT SUM(CRC32(CONCAT_WS(',', rid, p, q, ptag, qtag))) FROM R");
  const std::string plan = Plan();
  EXPECT_EQ(Value("SELECT SUM(CRC32(CONCAT_WS(',', rid, p, q, ptag, qtag))) FROM R"), before);
  EXPECT_EQ(Value("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'cf_control_plan'"), "0");
  EXPECT_EQ(Value("SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'cf_data' AND column_name = 'p_id'"), "0");
  EXPECT_EQ(plan.find("cf_control_plan"), std::string::npos) << plan;
  EXPECT_NE(plan.find("UPDATE `cf_data`.`R` AS r FORCE INDEX"), std::string::npos) << plan;
  EXPECT_NE(plan.find("rows/s"), std::string::npos) << plan;
  EXPECT_EQ(plan.find("no row of the sample needed it"), std::string::npos) << plan;
  std::multiset<std::string> expected = Alters(plan);
  ASSERT_GE(expected.size(), 10u) << plan;
  Migrator migrator(config_);
  migrator.Start();
  ASSERT_OK(SetDesired(*db_, *config_, "ik", Phase::kDone, std::nullopt, true));
  for (int i = 0; i < 6'000 && ReadState(*db_, *config_)->migrations[0].phase != Phase::kDone; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  migrator.Stop();
  ASSERT_EQ(ReadState(*db_, *config_)->migrations[0].phase, Phase::kDone);
  auto events = db_->Query("SELECT text FROM cf_control.events WHERE text LIKE 'ALTER TABLE%'");
  ASSERT_TRUE(events.ok()) << events.status();
  std::multiset<std::string> done;
  for (const Row& row : events->rows) done.insert(row[0].value_or(""));
  EXPECT_EQ(expected, done);
}

// In the end an old column has a default until it goes, whatever its type is.
TEST_P(PlanTest, GoesToTheEndWithOldColumnsOfEveryType) {
  Run("CREATE TABLE P(id int NOT NULL PRIMARY KEY, a enum('it''s','b') NOT NULL, b set('x','y') NOT NULL, c year NOT NULL, d date NOT NULL, e time(2) NOT NULL, f datetime NOT NULL,"
      " g decimal(8,2) NOT NULL, h varchar(10) NOT NULL, i bigint NOT NULL, j varbinary(8) NOT NULL, k enum('one') NOT NULL, l bit(3) NOT NULL, m double NOT NULL)");
  Run("INSERT INTO P VALUES (1, 'b', 'x,y', 2020, '2020-01-01', '10:00', '2020-01-01', 1.5, 'h', 7, x'00FF', 'one', 5, 0.5)");
  std::string columns;
  for (const auto& [old, type] : std::vector<std::pair<std::string, std::string>>{
           {"a", "varchar(9)"}, {"b", "varchar(9)"}, {"c", "int"}, {"d", "datetime"}, {"e", "time(3)"}, {"f", "datetime(3)"}, {"g", "decimal(9,3)"}, {"h", "varchar(20)"}, {"i", "decimal(20,0)"}, {"j", "varbinary(9)"}, {"k", "varchar(9)"}, {"l", "int"}, {"m", "decimal(9,2)"}})
    columns += fmt::format("{}{{table: P, old: [{}], new: {{{}_n: {{type: \"{}\", from: \"{}\"}}}}}}", columns.empty() ? "" : ", ", old, old, type, old == "a" || old == "b" || old == "k" ? "CAST(" + old + " AS CHAR)" : old);
  config_ = Load("[{name: ik, schema: cf_data, phase: observe, columns: [" + columns + "]}]");
  ASSERT_OK(InstallControlSchema(*db_, *config_));
  auto plan = MakePlan(*db_, *config_, config_->migrations[0]);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_NE(plan->find("ALTER COLUMN `a` SET DEFAULT 'it''s'"), std::string::npos) << *plan;
}

// What cannot be done online here is said beforehand.
TEST_P(PlanTest, SaysWhatTheServerWouldRefuse) {
  Run("CREATE TABLE P(name varchar(40) NOT NULL PRIMARY KEY, v int, FULLTEXT KEY ft(name)) ROW_FORMAT=COMPRESSED");
  config_ = Load("[{name: ik, schema: cf_data, phase: observe, keys: [{table: P, old: name, new: {column: id, type: int unsigned}}]}]");
  ASSERT_OK(InstallControlSchema(*db_, *config_));
  auto plan = MakePlan(*db_, *config_, config_->migrations[0]);
  ASSERT_FALSE(plan.ok());
  EXPECT_NE(std::string(plan.status().message()).find("the rehearsal failed: ALTER TABLE `cf_data`.`P` ADD COLUMN"), std::string::npos) << plan.status();
  EXPECT_EQ(Value("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'cf_control_plan'"), "0");
}

ON_EACH_ENGINE(PlanTest);

}  // namespace
}  // namespace crossfade::backfill
