// SPDX-License-Identifier: Apache-2.0
// Plans as the proxy uses them: what it learns besides the text. The texts themselves are held by tests/golden.
#include "rewrite/planner.h"

#include <gtest/gtest.h>

#include "rewrite/explain.h"
#include "tests/rewrite/golden_schema.h"

namespace crossfade::rewrite {
namespace {

using config::Phase;

SessionFacts Facts() {
  SessionFacts facts;
  facts.schema = "deb";
  return facts;
}

std::shared_ptr<const Snapshot> In(Phase phase) { return GoldenSnapshot({"", phase, phase >= Phase::kRetire}); }

TEST(Planner, TouchedAndWrites) {
  const auto snapshot = In(Phase::kDualWrite);
  Planner planner;
  const auto plan = [&](std::string_view sql) { return planner.PlanQuery(*snapshot, Facts(), sql); };
  EXPECT_EQ(plan("SELECT 1 FROM packages")->touched, 1u);
  EXPECT_FALSE(plan("SELECT 1 FROM packages")->writes);
  EXPECT_EQ(plan("SELECT 1 FROM packages, zoo.Bears")->touched, 3u);
  EXPECT_EQ(plan("SELECT 1 FROM staging")->touched, 0u);
  EXPECT_TRUE(plan("UPDATE packages SET size = 1")->writes);
  EXPECT_TRUE(plan("DELETE FROM dependencies")->writes);
  EXPECT_FALSE(plan("UPDATE staging JOIN packages ON name = pkg SET staging.x = 1")->writes);
  EXPECT_EQ(plan("UPDATE staging JOIN packages ON name = pkg SET staging.x = 1")->touched, 1u);
  EXPECT_FALSE(plan("INSERT INTO staging SELECT name FROM packages")->writes);
}

// The migrations are told apart, however many they are.
TEST(Planner, ManyMigrations) {
  std::vector<MigrationState> migrations;
  Catalog catalog;
  catalog.dialect = {Flavor::kMySql, 90700};
  for (int i = 0; i < 128; ++i) {
    MigrationState state;
    state.spec.name = "m" + std::to_string(i);
    state.spec.schema = "deb";
    config::KeyMigration key;
    key.table = "t" + std::to_string(i);
    key.old_column = "id";
    key.new_column = "n";
    key.new_type = "int";
    state.spec.keys.push_back(key);
    state.phase = i % 2 == 0 ? Phase::kCutover : Phase::kObserve;
    state.percent = 100;
    migrations.push_back(state);
  }
  const auto snapshot = MakeSnapshot(1, std::move(migrations), std::move(catalog));
  const MigrationSet cohort = CohortOf(*snapshot, 0);
  EXPECT_EQ(cohort.count(), 64u);
  Planner planner;
  for (size_t i = 0; i < 128; ++i) {
    EXPECT_EQ(cohort[i], i % 2 == 0) << i;
    const std::string sql = "SELECT 1 FROM t" + std::to_string(i);
    ASSERT_TRUE(MightTouch(*snapshot, sql)) << sql;
    const MigrationSet touched = planner.PlanQuery(*snapshot, Facts(), sql)->touched;
    EXPECT_EQ(touched.count(), 1u) << sql;
    EXPECT_EQ(First(touched), i);
  }
  EXPECT_EQ(First({}), 128u);
}

TEST(Planner, ObserveSaysWhatWouldBe) {
  const auto snapshot = In(Phase::kObserve);
  Planner planner;
  const auto insert = planner.PlanQuery(*snapshot, Facts(), "INSERT INTO packages (name) VALUES ('a')");
  EXPECT_EQ(insert->strategy, Strategy::kUntouched);
  EXPECT_EQ(insert->would_be, Strategy::kOneStatement);
  EXPECT_TRUE(insert->key_slots.empty());
  const auto load = planner.PlanQuery(*snapshot, Facts(), "LOAD DATA INFILE 'x' INTO TABLE packages");
  EXPECT_EQ(load->strategy, Strategy::kUntouched);
  EXPECT_EQ(load->would_be, Strategy::kRefuse);
  EXPECT_EQ(load->would_be_reason.rfind("names: ", 0), 0u) << load->would_be_reason;
}

// MySQL 9.6 and later; see rewrite/rule_ignore.cc.
TEST(Planner, IgnoreThatIsHalfDone) {
  const auto as = [](const Dialect& dialect, const char* on_delete, std::string_view sql) {
    const auto golden = GoldenSnapshot({"", Phase::kDualWrite, false}, dialect);
    Catalog catalog = golden->catalog;
    for (Table& table : catalog.tables)
      if (table.name == "dependencies") table.foreign_keys[0].on_delete = on_delete;
    Planner planner;
    return planner.PlanQuery(*MakeSnapshot(golden->epoch, golden->migrations, std::move(catalog)), Facts(), sql)->strategy;
  };
  const Dialect mysql{Flavor::kMySql, 90704}, older{Flavor::kMySql, 80042}, mariadb{Flavor::kMariaDb, 101119};
  constexpr std::string_view kDelete = "DELETE IGNORE FROM packages WHERE name = 'a'";
  EXPECT_EQ(as(mysql, "CASCADE", kDelete), Strategy::kRefuse);
  EXPECT_EQ(as(mysql, "SET NULL", "DELETE IGNORE p FROM packages p JOIN staging s ON s.pkg = p.name"), Strategy::kRefuse);
  EXPECT_EQ(as(mysql, "RESTRICT", kDelete), Strategy::kUntouched);  // all of them restrict
  EXPECT_EQ(as(older, "CASCADE", kDelete), Strategy::kUntouched);
  EXPECT_EQ(as(mariadb, "CASCADE", kDelete), Strategy::kUntouched);
  EXPECT_EQ(as(mysql, "CASCADE", "DELETE FROM packages WHERE name = 'a'"), Strategy::kUntouched);
  EXPECT_EQ(as(mysql, "CASCADE", "DELETE IGNORE FROM dependencies"), Strategy::kUntouched);
  constexpr std::string_view kUpdate = "UPDATE IGNORE packages SET name = 'b' WHERE name = 'a'";
  EXPECT_EQ(as(mysql, "RESTRICT", kUpdate), Strategy::kRefuse);  // ON UPDATE CASCADE
  EXPECT_EQ(as(mysql, "RESTRICT", "INSERT IGNORE INTO packages (name) VALUES ('a') ON DUPLICATE KEY UPDATE name = 'b'"), Strategy::kRefuse);
  EXPECT_EQ(as(mysql, "RESTRICT", "UPDATE IGNORE packages SET version = 'b' WHERE name = 'a'"), Strategy::kUntouched);
  EXPECT_EQ(as(older, "RESTRICT", kUpdate), Strategy::kUntouched);
  EXPECT_EQ(as(mariadb, "RESTRICT", kUpdate), Strategy::kUntouched);
}

// An old key that is the row's own is not found before the row is there: where nobody knows what that will be, IGNORE would drop the row
// without an error.
TEST(Planner, IgnoredOldKeysInATableThatRefersToItself) {
  const auto golden = GoldenSnapshot({"", Phase::kRetire, true});
  std::vector<MigrationState> migrations = golden->migrations;
  for (MigrationState& state : migrations)
    for (config::KeyMigration& key : state.spec.keys) key.keep_old_lookup = true;
  const auto snapshot = MakeSnapshot(golden->epoch, std::move(migrations), golden->catalog);
  SessionFacts facts;
  facts.schema = "zoo";
  Planner planner;
  const auto as = [&](std::string_view sql) { return planner.PlanQuery(*snapshot, facts, sql)->strategy; };
  EXPECT_EQ(as("INSERT IGNORE INTO People (parent, id) VALUES ('a', CONCAT('a'))"), Strategy::kRefuse);
  EXPECT_EQ(as("INSERT IGNORE INTO People (parent, id) VALUES ('a', 'a')"), Strategy::kOneStatement);
  EXPECT_EQ(as("INSERT IGNORE INTO People (parent, id) VALUES ('a', UUID())"), Strategy::kOneStatement);
  EXPECT_EQ(as("INSERT IGNORE INTO People (id, parent) VALUES (CONCAT('a'), 'a')"), Strategy::kOneStatement);
  EXPECT_EQ(as("INSERT IGNORE INTO People (parent, id) VALUES (7, 'a')"), Strategy::kOneStatement);
  EXPECT_EQ(as("INSERT IGNORE INTO People (parent, id) VALUES (NULL, 'a')"), Strategy::kOneStatement);
  EXPECT_EQ(as("INSERT INTO People (parent, id) VALUES ('b', 'a')"), Strategy::kOneStatement);
  EXPECT_EQ(as("INSERT IGNORE INTO Bears (caveId) VALUES ('a')"), Strategy::kOneStatement);
}

TEST(Planner, Digest) {
  const auto snapshot = In(Phase::kDualWrite);
  Planner planner;
  EXPECT_EQ(planner.PlanQuery(*snapshot, Facts(), "SELECT  name FROM packages/* x */WHERE name='it''s' AND size=1.5")->digest,
            "SELECT name FROM packages WHERE name = ? AND size = ?");
}

TEST(Planner, ParametersOfAPreparedStatement) {
  const auto snapshot = In(Phase::kVerify);
  Planner planner;
  const auto plan = planner.PlanPrepared(*snapshot, Facts(), "REPLACE INTO packages (version, name) VALUES (?, ?)",
                                         {ValueShape::kString, ValueShape::kString});
  EXPECT_EQ(plan->client_params, 2u);
  ASSERT_EQ(plan->params.size(), 4u);
  EXPECT_EQ(plan->params[2].index, 1u);
  EXPECT_EQ(plan->params[3].kind, ParamSource::kNewKey);
  EXPECT_EQ(plan->shape_params, std::vector<uint32_t>{1});
  // More rows, more keys.
  const auto rows = planner.PlanPrepared(*snapshot, Facts(), "INSERT INTO packages (name) VALUES (?), ('x'), (?)", {});
  EXPECT_EQ(rows->key_slots.size(), 3u);
}

TEST(Planner, ShapesChooseTheVariant) {
  const auto snapshot = In(Phase::kVerify);
  Planner planner;
  const std::string sql = "SELECT version FROM packages WHERE name = ?";
  const auto old_key = planner.PlanPrepared(*snapshot, Facts(), sql, {ValueShape::kString});
  const auto new_key = planner.PlanPrepared(*snapshot, Facts(), sql, {ValueShape::kInteger});
  EXPECT_EQ(old_key->strategy, Strategy::kUntouched);
  EXPECT_EQ(new_key->strategy, Strategy::kOneStatement);
  EXPECT_EQ(old_key->shape_params, std::vector<uint32_t>{0});
}

TEST(Planner, UnknownSchemaAndNoMigrations) {
  Planner planner;
  const auto empty = MakeSnapshot(1, {}, {});
  const auto plan = planner.PlanQuery(*empty, Facts(), "INSERT INTO packages VALUES (1)");
  EXPECT_EQ(plan->strategy, Strategy::kUntouched);
  SessionFacts none;
  EXPECT_EQ(planner.PlanQuery(*In(Phase::kDualWrite), none, "INSERT INTO packages (name) VALUES ('a')")->touched, 0u);
}

TEST(Planner, SwappedContractIsUntouched) {
  const auto contract = In(Phase::kContract);
  Snapshot copy = *contract;
  for (MigrationState& migration : copy.migrations) migration.swapped = true;
  const auto swapped = MakeSnapshot(99, copy.migrations, copy.catalog);
  Planner planner;
  EXPECT_EQ(planner.PlanQuery(*swapped, Facts(), "INSERT INTO dependencies (package) VALUES (17)")->strategy, Strategy::kUntouched);
  EXPECT_FALSE(MightTouch(*swapped, "INSERT INTO dependencies (package) VALUES (17)"));
}

TEST(Planner, Cohorts) {
  const auto cutover = GoldenSnapshot({"", Phase::kCutover, false});
  Snapshot copy = *cutover;
  copy.migrations[0].percent = 12.5;
  const auto snapshot = MakeSnapshot(100, copy.migrations, copy.catalog);
  EXPECT_EQ(CohortOf(*snapshot, 0), 1u);
  EXPECT_EQ(CohortOf(*snapshot, 1249), 1u);
  EXPECT_EQ(CohortOf(*snapshot, 1250), 0u);
  EXPECT_EQ(CohortOf(*In(Phase::kRetire), 9999), 31u);
  EXPECT_EQ(CohortOf(*In(Phase::kVerify), 0), 0u);
}

TEST(Planner, SqlModes) {
  EXPECT_EQ(ParseSqlMode("ANSI_QUOTES,NO_BACKSLASH_ESCAPES, strict_trans_tables,ERROR_FOR_DIVISION_BY_ZERO"),
            static_cast<uint32_t>(kAnsiQuotes | kNoBackslashEscapes | kStrict));
  EXPECT_EQ(ParseSqlMode(""), 0u);
}

// A setting in the snapshot's own dialect: what is a comment for one server is code for the other.
TEST(Planner, MariaDbVersionComments) {
  Planner planner;
  const std::string sql = "INSERT INTO packages (name) VALUES ('a') /*M! RETURNING id */";
  const auto maria = GoldenSnapshot({"", Phase::kDualWrite, false}, {Flavor::kMariaDb, 101119});
  EXPECT_EQ(planner.PlanQuery(*maria, Facts(), sql)->strategy, Strategy::kOneStatement);
}

TEST(Explain, SaysWhatIsSentAndWhy) {
  const std::string text = Explain(*In(Phase::kDualWrite), Facts(), "INSERT INTO packages (name) VALUES ('a'), ('b')");
  EXPECT_NE(text.find("A: one statement"), std::string::npos) << text;
  EXPECT_NE(text.find("new keys of packages: 2"), std::string::npos) << text;
  EXPECT_NE(text.find("sent: INSERT INTO packages (name, `id`) VALUES ('a', 1), ('b', 2)"), std::string::npos) << text;
  EXPECT_NE(Explain(*In(Phase::kVerify), Facts(), "ALTER TABLE packages ADD x int").find("C: refused"), std::string::npos);
}

}  // namespace
}  // namespace crossfade::rewrite
