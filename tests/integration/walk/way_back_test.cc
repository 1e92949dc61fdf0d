// SPDX-License-Identifier: Apache-2.0
// The application writes a new column by its own name, and the old one is made of it: what the old one would round, pad, cut or
// spell in another way is refused, in every kind of statement, and changes nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "fmt/format.h"
#include "tests/integration/walk/fixture.h"

namespace crossfade::walk {
namespace {

using servers::Engine;
using servers::Reply;

constexpr char kMigration[] =
    "  - name: wider\n    schema: shop\n    phase: observe\n    columns:\n"
    "      - {table: odd, old: [code], new: {n_code: {type: varchar(20), from: code}}, back: {code: n_code}}\n"
    "      - {table: odd, old: [name], new: {n_name: {type: varchar(40), from: name}}, back: {name: n_name}}\n"
    "      - {table: odd, old: [price], new: {n_price: {type: \"decimal(12,4)\", from: price}}, back: {price: n_price}}\n"
    "      - {table: odd, old: [seen], new: {n_seen: {type: datetime(3), from: seen}}, back: {seen: n_seen}}\n"
    "      - {table: odd, old: [kind], new: {n_kind: {type: varchar(10), from: \"CAST(kind AS CHAR)\"}}, back: {kind: n_kind}}\n"
    "      - {table: odd, old: [made], new: {n_made: {type: smallint, from: \"CAST(made AS UNSIGNED)\"}}, back: {made: n_made}}\n"
    "      - {table: odd, old: [number], new: {n_number: {type: varchar(12), from: \"CAST(number AS CHAR)\"}}, back: {number: \"CAST(n_number AS SIGNED)\"}}\n"
    "      - table: odd\n        old: [first, last]\n        new:\n          whole: {type: varchar(81), from: \"CONCAT(first, ',', last)\"}\n"
    "        back: {first: \"SUBSTRING_INDEX(whole, ',', 1)\", last: \"SUBSTRING_INDEX(whole, ',', -1)\"}\n"
    "      - {table: menu, old: [\"caf\xC3\xA9\"], new: {n_cafe: {type: varchar(12), from: \"CONCAT(`caf\xC3\xA9`, '!')\"}}}\n"
    "      - table: menu\n        old: [word]\n        new:\n"
    "          n_word: {type: varchar(60), from: \"CONCAT(REPLACE(word, '\\\\\\\\', '/'), IF(word IN ('a', '\xC3\x9F'), ' \xC3\xA9''', '\\\\n'))\"}\n"
    "      - {table: narrow, old: [word], new: {n_word: {type: varchar(5), from: word}}, back: {word: n_word}}\n"
    "      - {table: narrow, old: [number], new: {n_number: {type: tinyint unsigned, from: number}}, back: {number: n_number}}\n"
    "      - {table: narrow, old: [sum], new: {n_sum: {type: \"decimal(4,1)\", from: sum}}}\n"
    "      - {table: narrow, old: [kind], new: {n_kind: {type: \"enum('red','it''s','gr\xC3\xBCn')\", from: kind}}, back: {kind: \"CAST(n_kind AS CHAR)\"}}\n"
    "      - {table: odd, old: [flags], new: {n_flags: {type: varchar(20), from: \"CAST(flags AS CHAR)\"}}, back: {flags: n_flags}}\n";

constexpr char kDiffers[] =
    "SELECT COUNT(*) FROM shop.odd WHERE NOT (CAST(n_code AS BINARY) <=> CAST(code AS BINARY)) OR NOT (CAST(n_name AS BINARY) <=> CAST(name AS BINARY)) OR NOT (n_price <=> price)"
    " OR NOT (n_seen <=> seen) OR NOT (CAST(n_kind AS BINARY) <=> CAST(CAST(kind AS CHAR) AS BINARY)) OR NOT (n_made <=> CAST(made AS UNSIGNED)) OR NOT (n_number <=> CAST(number AS CHAR))"
    " OR NOT (CAST(whole AS BINARY) <=> CAST(CONCAT(first, ',', last) AS BINARY)) OR NOT (CAST(n_flags AS BINARY) <=> CAST(CAST(flags AS CHAR) AS BINARY))";

// A new column, a value that its old one gives back as it is, and one that it does not.
struct Case {
  std::string column, good, bad;
};
const std::vector<Case> kCases = {
    {"n_code", "'ab'", "'ab '"},                    // CHAR keeps no blanks at its end
    {"n_name", "'abcde  '", "'abcdefgh      '"},    // VARCHAR loses those that are too many
    {"n_price", "1.5000", "1.2345"},
    {"n_seen", "'2020-01-02 03:04:05'", "'2020-01-02 03:04:05.250'"},
    {"n_kind", "'green'", "'GREEN'"},
    {"n_kind", "'red'", "'1'"},                     // a member's number
    {"n_made", "2001", "1"},                        // for 2001
    {"n_number", "'7'", "'007'"},
    {"whole", "'ann,lee'", "'ann'"},
};

class WayBackTest : public WalkFixture {
 protected:
  void SetUp() override {
    StartServer();
    Do("SET NAMES utf8mb4");
    Do("CREATE DATABASE shop DEFAULT CHARACTER SET utf8mb4");
    Do("CREATE TABLE shop.odd (id int NOT NULL PRIMARY KEY, code char(8), name varchar(10), price decimal(8,2), seen datetime, kind enum('red','green'), made year, number int,"
       " first varchar(40), last varchar(40), flags set('a','b'))");
    Do("CREATE TABLE shop.other (id int NOT NULL PRIMARY KEY, note varchar(20))");
    Do("CREATE TABLE shop.narrow (id int NOT NULL PRIMARY KEY, word varchar(30), number int, sum decimal(10,3), kind varchar(20))");
    Do("CREATE TABLE shop.long_ones (id int NOT NULL PRIMARY KEY, word varchar(30), number int, sum decimal(10,3), kind varchar(20))");
    Do("INSERT INTO shop.long_ones VALUES (1, 'abc  ', 255, 999.949, 'RED'), (2, 'abcdef', NULL, NULL, 'it''s'), (3, 'abc          ', NULL, NULL, NULL), (4, NULL, 256, NULL, NULL),"
       " (5, NULL, -1, NULL, NULL), (6, NULL, NULL, 999.95, NULL), (7, NULL, NULL, NULL, 'gr\xC3\xBCner')");
    Do("CREATE TABLE shop.menu (id int NOT NULL PRIMARY KEY, `caf\xC3\xA9` varchar(30), word varchar(30))");
    Do("INSERT INTO shop.menu VALUES (1, 'a', 'a'), (2, 'b', '\xC3\x9F\\\\'), (3, 'c', NULL)");
    Do("INSERT INTO shop.odd (id, code) VALUES (1, 'one'), (2, 'two'), (3, NULL)");
    Do("INSERT INTO shop.other VALUES (1, 'x'), (2, 'y')");
    StartProxy(kMigration, "  control_poll: 50ms\n", "shop");
    WalkTo("wider", "cutover", 50);
  }
  // Refused, with the same rows as before.
  void Refused(const std::string& sql) {
    const std::string before = Sum();
    const Reply reply = client_->Query(sql);
    if (reply.error != 1265 || GetParam() != Engine::kMySql) {  // MySQL refuses itself to copy a text into a column that would cut its blanks
      EXPECT_EQ(reply.error, 1235u) << sql << ": " << servers::Describe(reply);
      EXPECT_THAT(reply.message, testing::HasSubstr("write ")) << sql;
    }
    EXPECT_EQ(Sum(), before) << sql;
  }
  void Taken(const std::string& sql) {
    const Reply reply = client_->Query(sql);
    EXPECT_TRUE(reply.ok()) << reply.message << ": " << sql;
    EXPECT_EQ(One(kDiffers), "0") << sql;
  }
  std::string Sum() { return One("SELECT GROUP_CONCAT(CONCAT_WS('|', id, code, n_code, name, n_name, price, n_price, seen, n_seen, kind, n_kind, made, n_made, number, n_number, whole, flags) ORDER BY id) FROM shop.odd"); }
};

TEST_P(WayBackTest, WhatTheOldColumnDoesNotGiveBackIsRefused) {
  int id = 10;
  for (const Case& each : kCases) {
    Refused(fmt::format("INSERT INTO odd (id, {}) VALUES ({}, {})", each.column, id, each.bad));
    Refused(fmt::format("INSERT INTO odd SET {} = {}, id = {}", each.column, each.bad, id));
    Refused(fmt::format("INSERT INTO odd ({}, id) VALUES ({}, {}), ({}, {})", each.column, each.good, id, each.bad, id + 1));
    Refused(fmt::format("REPLACE INTO odd (id, {}) VALUES (1, {})", each.column, each.bad));
    Refused(fmt::format("UPDATE odd SET {} = {} WHERE id = 1", each.column, each.bad));
    Refused(fmt::format("INSERT INTO odd (id) VALUES (1) ON DUPLICATE KEY UPDATE {} = {}", each.column, each.bad));
    Refused(fmt::format("UPDATE odd o JOIN other t ON t.id = o.id SET o.{} = {}, t.note = 'changed'", each.column, each.bad));
    EXPECT_EQ(One("SELECT COUNT(*) FROM shop.other WHERE note = 'changed'"), "0");

    Taken(fmt::format("INSERT INTO odd (id, {}) VALUES ({}, {})", each.column, id, each.good));
    Taken(fmt::format("REPLACE INTO odd (id, {}) VALUES ({}, {})", each.column, id, each.good));
    Taken(fmt::format("UPDATE odd SET {} = {} WHERE id = 2", each.column, each.good));
    Taken(fmt::format("UPDATE odd SET {} = NULL WHERE id = 2", each.column));
    Taken(fmt::format("INSERT INTO odd (id) VALUES (2) ON DUPLICATE KEY UPDATE {} = {}", each.column, each.good));
    Taken(fmt::format("UPDATE odd o JOIN other t ON t.id = o.id SET o.{} = {}, t.note = 'same'", each.column, each.good));
    id += 10;
  }
  // A SET's value cannot be said beforehand; of a stored row it can be seen.
  Refused("INSERT INTO odd (id, n_flags) VALUES (5, 'a')");
  Refused("UPDATE odd SET n_flags = 'b,a' WHERE id = 1");
  Taken("UPDATE odd SET n_flags = 'a,b' WHERE id = 1");
}

TEST_P(WayBackTest, InATransactionAndPrepared) {
  for (const char* sql : {"INSERT INTO odd (id, n_code) VALUES (?, ?)", "INSERT INTO odd (id, code) VALUES (?, 'x') ON DUPLICATE KEY UPDATE n_code = ?"}) {
    ASSERT_TRUE(client_->Query("BEGIN").ok());
    ASSERT_TRUE(client_->Query("UPDATE odd SET n_code = 'kept' WHERE id = 2").ok());
    const Reply refused = client_->Execute(sql, {std::string(sql).find("DUPLICATE") == std::string::npos ? 77 : 1, "blank "});
    EXPECT_EQ(refused.error, 1235u) << sql << ": " << servers::Describe(refused);
    ASSERT_TRUE(client_->Query("COMMIT").ok());
    EXPECT_EQ(One("SELECT n_code FROM shop.odd WHERE id = 2"), "kept");
    EXPECT_EQ(One("SELECT COUNT(*) FROM shop.odd WHERE id = 77"), "0");
  }
  EXPECT_EQ(One(kDiffers), "0");
  // An overflow of the application's own stays what it is.
  EXPECT_EQ(client_->Query("UPDATE odd SET n_code = 'ab' WHERE id = ~0 + id").error, 1690u);
}

// A name in another case is the same name, with letters outside ASCII too.
TEST_P(WayBackTest, ANameInAnotherCase) {
  Do("SET NAMES utf8mb4");
  ASSERT_TRUE(client_->Query("SET NAMES utf8mb4").ok());
  Write("UPDATE menu SET CAF\xC3\x89 = 'x' WHERE id = 1", 1);
  Write("UPDATE menu m, other o SET m.`Caf\xC3\x89` = 'y' WHERE m.id = o.id AND o.id = 2", 1);
  Write("INSERT INTO menu (id, CAF\xC3\x89) VALUES (4, 'z')", 1);
  EXPECT_EQ(One("SELECT GROUP_CONCAT(n_cafe ORDER BY id) FROM shop.menu WHERE id <> 3"), "x!,y!,z!");
  ASSERT_TRUE(client_->Query("SET NAMES latin1").ok());
  EXPECT_EQ(client_->Query("UPDATE menu SET caf\xE9 = 'w' WHERE id = 3").error, 1235u);
  EXPECT_EQ(One("SELECT COUNT(*) FROM shop.menu WHERE NOT (n_cafe <=> CONCAT(`caf\xC3\xA9`, '!'))"), "0");
}

// What the server makes by a default it makes of the same letters.
TEST_P(WayBackTest, RowsFromElsewhereHaveTheSameLetters) {
  Do("SET NAMES utf8mb4");
  ASSERT_TRUE(client_->Query("SET NAMES utf8mb4").ok());
  Write("INSERT INTO menu (id, word) SELECT id + 10, '\xC3\x9F' FROM other", 2);
  ASSERT_TRUE(client_->Query("SET NAMES latin1, sql_mode = 'STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES'").ok());
  Write("INSERT INTO menu (id, word) SELECT id + 20, 'x\\y' FROM other", 2);
  ASSERT_TRUE(client_->Query("SET NAMES utf8mb4").ok());
  Write("INSERT INTO menu (id, word) VALUES (30, 'x\\y'), (31, 'a')", 2);
  EXPECT_EQ(One("SELECT GROUP_CONCAT(n_word ORDER BY id SEPARATOR '|') FROM shop.menu WHERE id >= 10"),
            "\xC3\x9F \xC3\xA9'|\xC3\x9F \xC3\xA9'|x/y\n|x/y\n|x/y\n|a \xC3\xA9'");
}

// Where the server would cut the new value to fit, and tell of a column that the application does not know.
TEST_P(WayBackTest, NothingIsCutToFit) {
  ASSERT_TRUE(client_->Query("SET NAMES utf8mb4").ok());
  const std::string long_one = "REPEAT('x', 12)", column = "caf\xC3\xA9";
  EXPECT_EQ(client_->Query(fmt::format("UPDATE menu SET {} = {} WHERE id = 1", column, long_one)).error, 1406u);  // strict: the server's own words
  for (const char* mode : {"", "STRICT_TRANS_TABLES"}) {
    ASSERT_TRUE(client_->Query(fmt::format("SET sql_mode = '{}'", mode)).ok());
    const std::string ignore = *mode == 0 ? "" : "IGNORE ";
    for (const std::string& sql : {fmt::format("UPDATE {}menu SET {} = {} WHERE id = 1", ignore, column, long_one),
                                   fmt::format("INSERT {}INTO menu (id, {}) VALUES (9, 'short'), (10, REPEAT('y', 20))", ignore, column),
                                   fmt::format("INSERT {}INTO menu (id) VALUES (1) ON DUPLICATE KEY UPDATE {} = {}", ignore, column, long_one),
                                   fmt::format("UPDATE {}menu m, other o SET m.{} = {} WHERE m.id = o.id", ignore, column, long_one)}) {
      const Reply reply = client_->Query(sql);
      EXPECT_EQ(reply.error, 1235u) << sql << ": " << servers::Describe(reply);
    }
    EXPECT_EQ(One("SELECT COUNT(*) FROM shop.menu"), "3");
    Write(fmt::format("UPDATE {}menu SET {} = REPEAT('{}', 11) WHERE id = 1", ignore, column, *mode == 0 ? 'v' : 'w'), 1);
    EXPECT_EQ(One("SELECT COUNT(*) FROM shop.menu WHERE id = 1 AND n_cafe <=> CONCAT(`caf\xC3\xA9`, '!')"), "1");
  }
}

constexpr char kNarrowDiffers[] =
    "SELECT COUNT(*) FROM shop.narrow WHERE NOT (CAST(n_word AS BINARY) <=> CAST(word AS BINARY)) OR NOT (n_number <=> number) OR NOT (n_sum <=> ROUND(sum, 1)) OR NOT (n_kind <=> kind)";

// … by a default either: rows of a query, of a file, and of a writer that goes round the proxy.
TEST_P(WayBackTest, NothingIsCutByADefault) {
  for (const char* mode : {"", "STRICT_TRANS_TABLES"}) {
    const std::string ignore = *mode == 0 ? "" : "IGNORE ";
    const std::string set = fmt::format("SET NAMES utf8mb4, sql_mode = '{}'", mode);
    ASSERT_TRUE(client_->Query(set).ok());
    Do(set);
    for (int id = 2; id <= 7; ++id) {
      for (const std::string& sql : {fmt::format("INSERT {}INTO narrow (id, word, number, sum, kind) SELECT * FROM long_ones WHERE id IN (1, {})", ignore, id),
                                     fmt::format("INSERT INTO narrow (id, word, number, sum, kind) SELECT * FROM long_ones WHERE id = {}", id),
                                     fmt::format("REPLACE INTO narrow (id, word, number, sum, kind) SELECT * FROM long_ones WHERE id IN (1, {})", id)}) {
        const Reply reply = client_->Query(sql);
        EXPECT_EQ(reply.error, 1235u) << sql << ": " << servers::Describe(reply);
        EXPECT_THAT(reply.message, testing::HasSubstr("would be cut to fit")) << sql;
      }
      const Reply round = direct_->Query(fmt::format("INSERT {}INTO shop.narrow (id, word, number, sum, kind) SELECT * FROM shop.long_ones WHERE id = {}", ignore, id));
      EXPECT_EQ(round.error, 1690u) << id << ": " << servers::Describe(round);
    }
    const Reply executed = client_->Execute("INSERT INTO narrow (id, word) SELECT id, word FROM long_ones WHERE id = ?", {2});
    EXPECT_EQ(executed.error, 1235u) << servers::Describe(executed);
    EXPECT_EQ(One("SELECT COUNT(*) FROM shop.narrow"), "0");
    Write(fmt::format("INSERT {}INTO narrow (id, word, number, sum, kind) SELECT * FROM long_ones WHERE id = 1", ignore), 1);
    EXPECT_EQ(One(kNarrowDiffers), "0");
    Write("DELETE FROM narrow", 1);
    EXPECT_EQ(client_->Query("INSERT INTO narrow (id, word) VALUES (8, 'abc        ')").error, 1235u);  // a strict mode lets blanks go too
    EXPECT_EQ(One("SELECT COUNT(*) FROM shop.narrow"), "0");
  }
}

TEST_P(WayBackTest, NothingOfAClientsFileIsCut) {
  if (GetParam() == Engine::kMySql) Do("SET GLOBAL local_infile = 1");
  const std::string good = testing::TempDir() + "good.txt", bad = testing::TempDir() + "bad.txt";
  std::ofstream(good) << "1\tabc\t255\t999.949\tred\n2\t\\N\t\\N\t\\N\t\\N\n";
  std::ofstream(bad) << "3\tabc\t255\t999.949\tred\n4\tabcdef\t1\t1\tred\n";
  const auto load = [&](const std::string& file) {
    const std::string command = fmt::format(
        "mariadb --no-defaults --local-infile -h127.0.0.1 -P{} -uroot --skip-ssl shop -e \"LOAD DATA LOCAL INFILE '{}' INTO TABLE narrow (id, word, number, sum, kind); SELECT 'next'\" 2>&1", proxy_->port(), file);
    std::string out;
    FILE* pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) return out;
    char buffer[512];
    while (fgets(buffer, sizeof buffer, pipe) != nullptr) out += buffer;
    pclose(pipe);
    return out;
  };
  EXPECT_EQ(load(good), "next\nnext\n");
  EXPECT_EQ(One("SELECT COUNT(*) FROM shop.narrow"), "2");
  const std::string refused = load(bad);
  EXPECT_THAT(refused, testing::HasSubstr("ERROR 1235 (42000)")) << refused;
  EXPECT_THAT(refused, testing::HasSubstr("n_word would be cut to fit")) << refused;
  EXPECT_EQ(One("SELECT COUNT(*) FROM shop.narrow"), "2");
  EXPECT_EQ(One(kNarrowDiffers), "0");
}

INSTANTIATE_TEST_SUITE_P(Engines, WayBackTest, testing::Values(Engine::kMariaDb, Engine::kMySql), EngineOf);

}  // namespace
}  // namespace crossfade::walk
