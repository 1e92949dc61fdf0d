// SPDX-License-Identifier: Apache-2.0
// Each thing that stands in a migration's way is found, and nothing else.
#include "backfill/preflight.h"

#include "tests/backfill/workload.h"

namespace crossfade::backfill {
namespace {

class PreflightCheck : public ServerTest {
 protected:
  // All findings of a level as one text.
  std::string Found(Finding::Level level, const std::string& migrations = kZoo) {
    const auto config = Load(migrations);
    auto findings = Preflight(*db_, *config, config->migrations.at(0));
    EXPECT_TRUE(findings.ok()) << findings.status();
    std::string out;
    if (!findings.ok()) return out;
    for (const Finding& finding : *findings) {
      if (finding.level == level) out += finding.text + "\n";
    }
    EXPECT_EQ(HasErrors(*findings), level == Finding::kError ? !out.empty() : HasErrors(*findings));
    return out;
  }
  void Fresh() {
    for (const char* table : {"Other", "R", "P"}) Run(fmt::format("DROP TABLE IF EXISTS {}", table));
    for (const std::string& sql : ZooTables(20, 1)) Run(sql);
  }
  // After `sql` on fresh tables, the errors hold `text`.
  void ExpectError(const std::vector<std::string>& sql, const std::string& text) {
    Fresh();
    for (const std::string& statement : sql) Run(statement);
    const std::string found = Found(Finding::kError);
    EXPECT_NE(found.find(text), std::string::npos) << "looked for: " << text << "\nfound: " << found;
  }
};

TEST_P(PreflightCheck, SoundTablesHaveNoErrors) {
  Fresh();
  EXPECT_EQ(Found(Finding::kError), "");
  EXPECT_EQ(Found(Finding::kWarning), "");
  EXPECT_NE(Found(Finding::kInfo).find("AUTO_INCREMENT"), std::string::npos);
}

TEST_P(PreflightCheck, WhatStandsInTheWayIsFound) {
  ExpectError({"DROP TABLE R"}, "there is no table cf_data.R");
  ExpectError({"ALTER TABLE R DROP FOREIGN KEY fkq, DROP KEY uq, DROP COLUMN q"}, "cf_data.R has no column q");
  ExpectError({"ALTER TABLE R DROP FOREIGN KEY fkq"}, "R.q has no foreign key to P.name");
  ExpectError({"ALTER TABLE R DROP FOREIGN KEY fkq", "ALTER TABLE R ADD CONSTRAINT fkq FOREIGN KEY(q) REFERENCES P(name) ON DELETE SET NULL"}, "SET NULL");
  ExpectError({"CREATE TRIGGER tr BEFORE INSERT ON R FOR EACH ROW SET NEW.ptag = 'x'"}, "has the trigger tr");
  ExpectError({"CREATE TABLE Other(a int)", "CREATE TRIGGER tr BEFORE INSERT ON Other FOR EACH ROW UPDATE P SET v = 1"}, "the trigger cf_data.tr of another table names cf_data.P");
  ExpectError({"CREATE OR REPLACE VIEW v AS SELECT name, tag FROM P"}, "the view cf_data.v reads cf_data.P and can be written through");
  if (IsMariaDb()) {  // not updatable, but its table stands in the place of the view
    for (const char* query : {"SELECT v + 0 AS x FROM P", "SELECT a.v + 0 AS x FROM P AS a JOIN (SELECT DISTINCT rid FROM R) AS d", "SELECT (SELECT MAX(v) FROM P) + 0 AS x FROM (SELECT DISTINCT rid FROM R) AS d"})
      ExpectError({fmt::format("CREATE OR REPLACE VIEW v AS {}", query)}, "the view cf_data.v is merged into queries");
  }
  for (const char* query : {"SELECT MAX(v) AS x FROM P", "SELECT DISTINCT v AS x FROM P", "SELECT v AS x FROM P UNION SELECT 1", "SELECT v AS x FROM P LIMIT 5"}) {
    Fresh();
    Run(fmt::format("CREATE OR REPLACE VIEW v AS {}", query));
    EXPECT_EQ(Found(Finding::kError), "") << query;
    EXPECT_NE(Found(Finding::kWarning).find("the view cf_data.v reads"), std::string::npos) << query;
  }
  Run("DROP VIEW v");
  ExpectError({"CREATE PROCEDURE proc() UPDATE R SET p = 'x'"}, "the routine cf_data.proc names cf_data.R");
  Run("DROP PROCEDURE proc");
  ExpectError({"CREATE PROCEDURE proc(t TEXT) BEGIN SET @t = t; PREPARE s FROM @t; EXECUTE s; END"}, "the routine cf_data.proc puts statements together");
  Run("DROP PROCEDURE proc");
  ExpectError({"ALTER TABLE R DROP FOREIGN KEY fkp", "ALTER TABLE R MODIFY p char(40) NOT NULL", "ALTER TABLE R ADD CONSTRAINT fkp FOREIGN KEY(p) REFERENCES P(name)"}, "the key it refers to");
  ExpectError({"CREATE TABLE Other(a varchar(40), FOREIGN KEY (a) REFERENCES P(name))"}, "Other.a refers to P.name");
  ExpectError({"ALTER TABLE P ADD COLUMN id varchar(10)"}, "P.id exists already and is varchar(10)");
  ExpectError({"ALTER TABLE P ADD COLUMN id int unsigned NOT NULL"}, "not as a nullable, invisible column");
  ExpectError({"ALTER TABLE P ADD COLUMN g varchar(50) AS (CONCAT(name, 'x')) VIRTUAL"}, "P.g is generated from name");
  ExpectError({"ALTER TABLE P ADD CONSTRAINT chk CHECK (LENGTH(name) > 1)"}, "the check chk is over name");
  ExpectError({"ALTER TABLE R MODIFY rid bigint NULL, DROP PRIMARY KEY", "ALTER TABLE R MODIFY rid bigint NULL, DROP KEY uq, ADD KEY uq(q)"}, "has no primary key");
  ExpectError({"ALTER TABLE P ADD FULLTEXT KEY ft(name)"}, "FULLTEXT index ft");
  if (!IsMariaDb()) {  // MariaDB refuses to make such a table out of this one
    ExpectError({"DROP TABLE R", "ALTER TABLE P DROP KEY tag", "ALTER TABLE P PARTITION BY KEY(name) PARTITIONS 2"}, "P is partitioned");
  }
}

constexpr char kColumns[] =
    "\n  - name: columns\n    schema: cf_data\n    phase: observe\n    columns:\n"
    "      - {table: Other, old: [word], new: {n_word: {type: \"WORD\", from: word}}}\n";

// What only the server itself, or who knows its types, can say.
TEST_P(PreflightCheck, ColumnsThatCannotBe) {
  const auto with = [&](const std::string& type, const std::string& from = "word") {
    std::string text = kColumns;
    text.replace(text.find("WORD"), 4, type);
    text.replace(text.find("from: word"), 10, "from: \"" + from + "\"");
    return text;
  };
  const auto table = [&](const std::string& columns) {
    Fresh();
    Run("CREATE TABLE Other (id int PRIMARY KEY, " + columns + ")");
  };
  table("word varchar(40)");
  EXPECT_EQ(Found(Finding::kError, with("varchar(50)")), "");
  EXPECT_EQ(Found(Finding::kWarning, with("varchar(50)")), "");
  EXPECT_NE(Found(Finding::kError, with("varchar(40000)")).find("the server does not take the new columns of cf_data.Other"), std::string::npos);
  EXPECT_NE(Found(Finding::kError, with("varchar(40) COLLATE nowhere_ci")).find("does not take the new columns"), std::string::npos);
  EXPECT_NE(Found(Finding::kWarning, with("char(40)")).find("keeps no blanks at the end"), std::string::npos);
  EXPECT_EQ(Value("SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'crossfade_check'"), "0");
  // Moments that a session's day or time zone goes into.
  table("word time");
  EXPECT_NE(Found(Finding::kError, with("datetime")).find("as a date it is of the session's current day"), std::string::npos);
  EXPECT_EQ(Found(Finding::kError, with("time(3)")), "");
  table("word varchar(40)");
  EXPECT_EQ(Found(Finding::kError, with("datetime")).find("one with an offset") != std::string::npos, !IsMariaDb());
  EXPECT_EQ(Found(Finding::kError, with("datetime", "LEFT(word, 19)")), "");
  table("word varchar(40) NOT NULL, g int AS (id + 1) STORED");
  EXPECT_EQ(Found(Finding::kError, with("varchar(50)")).find("a stored generated column, g") != std::string::npos, IsMariaDb());
  table("word varchar(40)");
  Run("CREATE USER IF NOT EXISTS cf_narrow@localhost");
  Run("GRANT SELECT (word), UPDATE (word) ON cf_data.Other TO cf_narrow@localhost");
  EXPECT_NE(Found(Finding::kWarning, with("varchar(50)")).find("'cf_narrow'@'localhost' may use single columns of cf_data.Other"), std::string::npos);
  Run("DROP USER cf_narrow@localhost");
}

TEST_P(PreflightCheck, KeysThatCannotBeTold) {
  Run("CREATE TABLE P(a int NOT NULL PRIMARY KEY, b double NOT NULL UNIQUE, c varchar(9) NULL UNIQUE, d varchar(9) NOT NULL)");
  const auto key = [](const std::string& old, const std::string& type) {
    return fmt::format("[{{name: ik, schema: cf_data, phase: observe, keys: [{{table: P, old: {}, new: {{column: id, type: {}}}}}]}}]", old, type);
  };
  EXPECT_NE(Found(Finding::kError, key("a", "int unsigned")).find("an integer like the new key"), std::string::npos);
  EXPECT_NE(Found(Finding::kError, key("b", "int unsigned")).find("cannot be found again by comparing"), std::string::npos);
  EXPECT_NE(Found(Finding::kError, key("c", "int unsigned")).find("not a unique NOT NULL key"), std::string::npos);
  EXPECT_NE(Found(Finding::kError, key("d", "int unsigned")).find("not a unique NOT NULL key"), std::string::npos);
  EXPECT_NE(Found(Finding::kError, key("c", "varchar(20)")).find("new keys are integers"), std::string::npos);
}

TEST_P(PreflightCheck, MissingRightsAreNamed) {
  Fresh();
  Run("DROP USER IF EXISTS cf_weak");
  Run("CREATE USER cf_weak IDENTIFIED BY ''");
  Run("GRANT SELECT, UPDATE, ALTER ON cf_data.* TO cf_weak");
  const auto config = Load(kZoo);
  config::Config weak = *config;
  weak.control.user = "cf_weak";
  auto connection = Connection::Open(weak);
  ASSERT_TRUE(connection.ok()) << connection.status();
  auto findings = Preflight(*connection, weak, weak.migrations[0]);
  ASSERT_TRUE(findings.ok()) << findings.status();
  std::string text;
  for (const Finding& finding : *findings) text += finding.text + "\n";
  EXPECT_NE(text.find("lacks: INSERT on cf_data.*, INDEX on cf_data.*"), std::string::npos) << text;
  EXPECT_NE(text.find("PROCESS on *.*"), std::string::npos) << text;
  Run("DROP USER cf_weak");
}

ON_EACH_ENGINE(PreflightCheck);

}  // namespace
}  // namespace crossfade::backfill
