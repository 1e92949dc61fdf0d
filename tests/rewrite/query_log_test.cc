// SPDX-License-Identifier: Apache-2.0
// Recorded workloads: each kind of log, cut at every byte, gives the same statements; and the schema file that goes with them.
#include "rewrite/query_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fmt/format.h"
#include "rewrite/lint.h"
#include "rewrite/schema_file.h"
#include "tests/rewrite/golden_schema.h"

namespace crossfade::rewrite {
namespace {

using testing::ElementsAre;

std::vector<std::string> Statements(std::string_view log, size_t piece, size_t limit = 1 << 20) {
  std::vector<std::string> out;
  QueryLog reader([&](const LoggedStatement& statement) {
    out.push_back(fmt::format("{}{}{}{}", statement.connection, statement.begins ? " begins" : "", statement.schema.empty() ? "" : " in " + std::string(statement.schema),
                              statement.text.empty() ? "" : ": " + std::string(statement.text)));
  }, limit);
  for (size_t at = 0; at < log.size(); at += piece) reader.Feed(log.substr(at, piece));
  reader.End();
  if (reader.too_long() != 0) out.push_back(fmt::format("{} too long", reader.too_long()));
  return out;
}

// Whole, and cut into pieces of every small size.
std::vector<std::string> Read(std::string_view log) {
  const std::vector<std::string> whole = Statements(log, log.size());
  for (size_t piece = 1; piece < 40; ++piece) EXPECT_EQ(Statements(log, piece), whole) << piece;
  return whole;
}

TEST(QueryLog, GeneralLogOfMySql) {
  EXPECT_THAT(Read("/usr/sbin/mysqld, Version: 9.7.4 (MySQL Community Server - GPL). started with:\n"
                   "Tcp port: 3306  Unix socket: /tmp/s\nTime                 Id Command    Argument\n"
                   "2026-11-22T04:27:43.100388Z\t   12 Connect\tapp@localhost on zoo using TCP/IP\n"
                   "2026-11-22T04:27:43.100389Z\t   12 Query\tSELECT 1,\n   2 -- two\n"
                   "2026-11-22T04:27:43.100390Z\t    9 Prepare\tSELECT ?\n"
                   "2026-11-22T04:27:43.100391Z\t    9 Execute\tSELECT 7\n"
                   "2026-11-22T04:27:43.100392Z\t   12 Init DB\tdeb\n"
                   "2026-11-22T04:27:43.100393Z\t   13 Connect\troot@localhost on  using Socket\n"
                   "2026-11-22T04:27:43.100394Z\t   12 Quit\t\n"),
              ElementsAre("12 begins in zoo", "12: SELECT 1,\n   2 -- two", "9: SELECT 7", "12 in deb", "13 begins"));
}

TEST(QueryLog, GeneralLogOfMariaDb) {
  EXPECT_THAT(Read("Time\t\t    Id Command\tArgument\n261122  4:27:43\t     5 Connect\troot@localhost on deb using TCP/IP\n\t\t     5 Query\tSET NAMES utf8mb4\n"
                   "\t\t     5 Query\tINSERT INTO t VALUES ('a\n\t\tb')\n261122  4:27:44\t     5 Quit\t\n"),
              ElementsAre("5 begins in deb", "5: SET NAMES utf8mb4", "5: INSERT INTO t VALUES ('a\n\t\tb')"));
}

TEST(QueryLog, SlowLogs) {
  EXPECT_THAT(Read("# Time: 2026-11-22T04:27:43.100388Z\n# User@Host: app[app] @ localhost [127.0.0.1]  Id:    12\n# Query_time: 1.5  Lock_time: 0.0 Rows_sent: 1  Rows_examined: 7\n"
                   "use zoo;\nSET timestamp=1795321663;\nSELECT *\nFROM Bears\n# a comment of the client's\nWHERE id = 1;\n"
                   "# User@Host: app[app] @ localhost [127.0.0.1]  Id:    13\n# Query_time: 0.1  Lock_time: 0.0 Rows_sent: 1  Rows_examined: 7\nSET timestamp=1795321663;\nDELETE FROM Bears;\n"),
              ElementsAre("12 in zoo: SELECT *\nFROM Bears\n# a comment of the client's\nWHERE id = 1", "13: DELETE FROM Bears"));
  EXPECT_THAT(Read("# Time: 261122  4:27:43\n# User@Host: root[root] @ localhost []\n# Thread_id: 8  Schema: deb  QC_hit: No\n# Query_time: 0.000123  Lock_time: 0.000000  Rows_sent: 1  Rows_examined: 1\n"
                   "# Rows_affected: 0  Bytes_sent: 56\nuse `deb`;\nSET timestamp=1795321663;\nselect 1;\n# Thread_id: 9  Schema:   QC_hit: No\nSET timestamp=1795321663;\nselect 2;\n"),
              ElementsAre("8 in deb: select 1", "9: select 2"));
}

TEST(QueryLog, FilesOfSql) {
  EXPECT_THAT(Read("-- one; not here\nSELECT ';', \"\\\";\", `;` ; SELECT 2; /* three; \n ; */ SELECT 3 # four;\n;\nDELIMITER //\nCREATE PROCEDURE p() BEGIN SELECT 1; END//\ndelimiter ;\nSELECT 5"),
              ElementsAre("0: SELECT ';', \"\\\";\", `;`", "0: SELECT 2", "0: /* three; \n ; */ SELECT 3 # four;\n", "0: CREATE PROCEDURE p() BEGIN SELECT 1; END", "0: SELECT 5"));
}

TEST(QueryLog, AStatementThatIsTooLongIsCounted) {
  std::string log = "SELECT 1;\nSELECT '";
  for (int i = 0; i < 100; ++i) log += std::string(50, 'x') + "\n";
  log += "';\nSELECT 2;";
  for (const size_t piece : {size_t{1}, size_t{100}, log.size()}) EXPECT_THAT(Statements(log, piece, 1'000), ElementsAre("0: SELECT 1", "0: SELECT 2", "1 too long"));
}

constexpr char kDump[] =
    "-- Server version\t10.11.14-MariaDB-0+deb12u2\n\nUSE `deb`;\n/*!40101 SET character_set_client = utf8 */;\n"
    "CREATE TABLE `packages` (\n  `name` varchar(100) CHARACTER SET latin1 NOT NULL COMMENT 'NOT NULL, it''s (x), AUTO_INCREMENT',\n  `size` int(11) unsigned NOT NULL DEFAULT 0,\n"
    "  `state` enum('a','b (c') DEFAULT NULL,\n  `changed` timestamp NULL DEFAULT NULL ON UPDATE current_timestamp(),\n  PRIMARY KEY (`name`),\n  KEY `s` (`size`,`name`(10))\n"
    ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;\n"
    "CREATE TABLE `zoo`.`de``ps` (\n  `id` bigint(20) NOT NULL AUTO_INCREMENT,\n  `package` varchar(100) NOT NULL,\n  `gone` varchar(9) GENERATED ALWAYS AS (left(`package`,9)) VIRTUAL,\n"
    "  PRIMARY KEY (`id`),\n  UNIQUE KEY `u` (`package`,`id`),\n  CONSTRAINT `c` CHECK (`id` > 0),\n"
    "  CONSTRAINT `fk` FOREIGN KEY (`package`) REFERENCES `deb`.`packages` (`name`) ON DELETE SET NULL ON UPDATE CASCADE\n) ENGINE=InnoDB DEFAULT CHARSET=latin1;\n";

TEST(SchemaFile, WhatADumpSays) {
  const auto catalog = ReadSchemaFile(kDump, "none");
  ASSERT_TRUE(catalog.ok()) << catalog.status();
  EXPECT_EQ(catalog->dialect.flavor, Flavor::kMariaDb);
  EXPECT_EQ(catalog->dialect.version, 101114u);
  const Table* packages = catalog->FindTable("deb", "packages");
  ASSERT_NE(packages, nullptr);
  ASSERT_EQ(packages->columns.size(), 4u);
  const Column& name = packages->columns[0];
  EXPECT_EQ(name.type, "varchar(100)");
  EXPECT_EQ(name.charset, "latin1");
  EXPECT_EQ(name.collation, "latin1_general_ci");
  EXPECT_FALSE(name.nullable);
  EXPECT_FALSE(name.auto_increment);
  EXPECT_FALSE(name.has_default);
  EXPECT_EQ(packages->columns[1].type, "int(11) unsigned");
  EXPECT_TRUE(packages->columns[1].has_default);
  EXPECT_EQ(packages->columns[1].type_class, TypeClass::kInteger);
  EXPECT_EQ(packages->columns[2].type, "enum('a','b (c')");
  EXPECT_TRUE(packages->columns[3].stamped);
  EXPECT_TRUE(packages->columns[3].nullable);
  ASSERT_NE(packages->PrimaryKey(), nullptr);
  EXPECT_THAT(packages->indexes[1].columns, ElementsAre("size", "name(10)"));
  const Table* child = catalog->FindTable("zoo", "de`ps");
  ASSERT_NE(child, nullptr);
  EXPECT_EQ(child->columns[1].charset, "latin1");
  EXPECT_TRUE(child->columns[0].auto_increment);
  EXPECT_TRUE(child->columns[2].generated);
  EXPECT_TRUE(child->indexes[1].unique);
  ASSERT_EQ(child->foreign_keys.size(), 1u);
  const ForeignKey& key = child->foreign_keys[0];
  EXPECT_EQ(key.ref_schema + "." + key.ref_table, "deb.packages");
  EXPECT_EQ(key.on_update, "CASCADE");
  EXPECT_EQ(key.on_delete, "SET NULL");
  EXPECT_THAT(key.ref_columns, ElementsAre("name"));
}

TEST(SchemaFile, WhatIsNoneIsSaid) {
  EXPECT_EQ(std::string(ReadSchemaFile("\nCREATE TABLE t (a int)", "s").status().message()), "line 2: not a CREATE TABLE as SHOW CREATE TABLE and mysqldump print it");
  EXPECT_EQ(std::string(ReadSchemaFile("CREATE TABLE `t` (\n  `a` int,\n", "s").status().message()), "line 2: t has no end");
}

TEST(Lint, CountsAsObserveWould) {
  SessionFacts facts;
  facts.schema = "deb";
  Lint lint(GoldenSnapshot(GoldenStates()[0]), facts, 200);
  QueryLog log([&](const LoggedStatement& statement) { lint.Add(statement); });
  log.Feed("SELECT 1; SELECT * FROM elsewhere.packages; INSERT INTO packages (name) VALUES ('a'); INSERT INTO packages (name) VALUES ('b');\n"
           "REPLACE INTO packages SELECT * FROM packages; USE elsewhere; INSERT INTO packages SELECT 1; use `deb`;\n"
           "SET sql_mode = 'ANSI_QUOTES'; INSERT INTO \"packages\" (\"name\") VALUES ('c'); SET foreign_key_checks = 0; DELETE FROM packages;");
  log.End();
  EXPECT_EQ(lint.statements(), 12u);
  EXPECT_EQ(lint.CountOf(Strategy::kOneStatement), 3u);
  EXPECT_EQ(lint.CountOf(Strategy::kRefuse), 2u);
  EXPECT_EQ(lint.untouched(), 7u);
  const auto refused = lint.Shapes(Strategy::kRefuse);
  ASSERT_EQ(refused.size(), 2u);
  for (const LintedShape& shape : refused) EXPECT_THAT(shape.reason, testing::HasSubstr("; "));
  const auto rewritten = lint.Shapes(Strategy::kOneStatement);
  EXPECT_EQ(rewritten[0].count, 2u);
  EXPECT_EQ(rewritten[0].digest, "INSERT INTO packages ( name ) VALUES ( ? )");
}

}  // namespace
}  // namespace crossfade::rewrite
