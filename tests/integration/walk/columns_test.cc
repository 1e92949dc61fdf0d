// SPDX-License-Identifier: Apache-2.0
// A migration of plain columns from beginning to end, under writers that check what they wrote: a column split into digits,
// one that becomes wider under its own name, and two that become one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <atomic>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <regex>
#include <thread>

#include "fmt/format.h"
#include "tests/integration/walk/fixture.h"
#include "tests/integration/twin/random.h"

namespace crossfade::walk {
namespace {

using servers::Client;
using servers::CrossfadeProcess;
using servers::Engine;
using servers::Reply;
using servers::Server;

constexpr char kMigration[] =
    "  - name: contact\n    schema: billing\n    phase: observe\n    columns:\n"
    "      - table: customer\n        old: [phone]\n        new:\n"
    "          digits: {type: bigint unsigned, from: \"CAST(NULLIF(REGEXP_REPLACE(phone, '[^0-9]', ''), '') AS UNSIGNED)\"}\n"
    "        back: {phone: \"CAST(digits AS CHAR)\"}\n"
    "      - table: customer\n        old: [note]\n        new:\n"
    "          remark: {type: varchar(200) CHARACTER SET utf8mb4, from: note}\n"
    "        back: {note: remark}\n        final: note\n"
    "      - table: customer\n        old: [first, last]\n        new:\n"
    "          name: {type: varchar(90), from: \"CONCAT(first, ' ', last)\"}\n";

// Where the sides differ, byte by byte.
constexpr char kDiffers[] =
    "SELECT COUNT(*) FROM billing.customer WHERE NOT (digits <=> CAST(NULLIF(REGEXP_REPLACE(phone, '[^0-9]', ''), '') AS UNSIGNED))"
    " OR NOT (CAST(remark AS BINARY) <=> CAST(CONVERT(note USING utf8mb4) AS BINARY)) OR NOT (CAST(name AS BINARY) <=> CAST(CONCAT(first, ' ', last) AS BINARY))";

class ColumnsTest : public WalkFixture {
 protected:
  void SetUp() override {
    StartServer();
    Do("CREATE DATABASE billing DEFAULT CHARACTER SET utf8mb4");
    Do("CREATE TABLE billing.customer (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, phone varchar(30) NULL,"
       " note varchar(60) CHARACTER SET latin1 NOT NULL, first varchar(40) NOT NULL DEFAULT '', last varchar(40) NOT NULL DEFAULT 'x',"
       " changed timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, KEY by_note (note), KEY by_both (note, last))");
    std::string rows;
    for (int i = 1; i <= 3000; ++i) {
      rows += fmt::format("{}({},{},'n\xC3\xB6te {}','f{}','l{}','2020-01-01')", i > 1 ? "," : "", i, i % 7 == 0 ? "NULL" : i % 7 == 1 ? "''" : fmt::format("'+49 (30) {}-{}'", i, i * 37 % 1000), i % 50, i, i);
    }
    Do("SET NAMES utf8mb4");
    Do("INSERT INTO billing.customer VALUES " + rows);
    StartProxy(kMigration, "  chunk_rows: 100\n  control_poll: 50ms\n  backfill_idle_share: 0.5\n", "billing");
  }
  void Walk(const char* phase, int percent = -1) {
    const absl::Status walked = proxy_->WalkTo("contact", phase, percent);
    ASSERT_TRUE(walked.ok()) << walked;
  }

  // A transaction that outlives its connection.
  void PrepareAndLeave() {
    auto client = Client::Connect({.port = proxy_->port(), .database = "billing"});
    ASSERT_TRUE(client.ok());
    for (const char* sql : {"XA START 'left'", "INSERT INTO customer (id, phone, note) VALUES (90001, '1-2', 'xa')", "XA END 'left'", "XA PREPARE 'left'"}) {
      const servers::Reply reply = client->Query(sql);
      ASSERT_TRUE(reply.ok()) << reply.error << " " << reply.message << ": " << sql;
    }
  }

  // What `crossfade status` says as soon as it says `what`.
  std::string StatusWith(const std::string& what) {
    std::string status;
    for (int i = 0; i < 200 && status.find(what) == std::string::npos; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      status = proxy_->Run("status", {}).output;
    }
    EXPECT_THAT(status, testing::HasSubstr(what));
    return status;
  }

  // Writes rows of its own (id % 2 == self) by their old columns until stopped; knows the note of each.
  void Write(int self) {
    auto client = Client::Connect({.port = proxy_->port(), .database = "billing"});
    ASSERT_TRUE(client.ok());
    twin::Random random(static_cast<uint64_t>(self) + 1);
    std::map<int, std::string> notes;
    for (int id = 2 + self; id <= 3000; id += 2) notes[id] = fmt::format("n\xC3\xB6te {}", id % 50);
    while (!stop_) {
      const int id = 2 + self + 2 * static_cast<int>(random.Below(1600));
      const std::string note = fmt::format("w{} {} \xC3\xA4 ", self, random.Below(1000));  // ends in a space
      const auto send = [&](const std::string& sql, const std::vector<servers::Parameter>& parameters) { return client->Execute(sql, parameters); };
      Reply reply;
      const uint64_t what = random.Below(7);
      switch (what) {
        case 0: reply = send("UPDATE customer SET note = ?, phone = CONCAT('0', RIGHT(phone, 20)) WHERE id = ?", {note, id}); break;
        case 1: reply = send("INSERT INTO customer (id, phone, note) VALUES (?, '1-2', ?) ON DUPLICATE KEY UPDATE note = VALUES(note), last = 'odku'", {id, note}); break;
        case 2: reply = send("REPLACE INTO customer (id, note, phone) VALUES (?, ?, NULL)", {id, note}); break;
        case 3: reply = client->Query(fmt::format("UPDATE customer SET note = '{}', first = 'ü' WHERE id = {} LIMIT 1", note, id)); break;
        case 4: reply = send("DELETE FROM customer WHERE id = ?", {id}); break;
        case 5: {  // to where the backfill may have been
          const int to = 2 + self + 2 * static_cast<int>(random.Below(1600));
          reply = send("UPDATE customer SET id = ? WHERE id = ?", {to, id});
          const bool there = notes.count(to) != 0, here = notes.count(id) != 0;
          if (reply.ok() ? to != id && here && there : reply.error != 1062 || !here || !there) Wrong("a key that moves: " + servers::Describe(reply));
          if (reply.ok() && here && to != id) {
            notes[to] = notes[id];
            notes.erase(id);
          }
          continue;
        }
        default: {
          reply = send("SELECT note FROM customer WHERE id = ?", {id});
          const auto known = notes.find(id);
          const bool right = reply.ok() && (known == notes.end() ? reply.rows.empty() : reply.rows.size() == 1 && reply.rows[0][0] == known->second);
          if (!right) Wrong(fmt::format("row {}: {}", id, servers::Describe(reply)));
          continue;
        }
      }
      ++writes_;
      if (reply.error == 1213 || reply.error == 1205) continue;
      if (!reply.ok()) Wrong(fmt::format("{} {}", reply.error, reply.message));
      if (what == 4) notes.erase(id);
      else if (what == 1 || what == 2 || notes.count(id) != 0) notes[id] = note;
    }
    for (const auto& [id, note] : notes) {
      const Reply reply = client->Query(fmt::format("SELECT note FROM customer WHERE id = {}", id));
      if (!reply.ok() || reply.rows.size() != 1 || reply.rows[0][0] != note) Wrong(fmt::format("row {} at the end, which is '{}': {}", id, note, servers::Describe(reply)));
    }
  }
  void Wrong(const std::string& what) {
    const std::lock_guard lock(mutex_);
    if (wrong_.size() < 5) wrong_.push_back(what);
    stop_ = true;
  }

  std::atomic<bool> stop_{false};
  std::atomic<int> writes_{0};
  std::mutex mutex_;
  std::vector<std::string> wrong_;
};

// Rows that are not in the statement's text: the server itself makes the new columns, also where a writer goes round the proxy.
TEST_P(ColumnsTest, RowsFromElsewhere) {
  const std::string file = fmt::format("{}columns_test.{}.csv", testing::TempDir(), getpid());
  std::ofstream(file) << "+1 (2) 3,n\xC3\xB6,a\n\\N,zw\xC3\xB6lf,b\n";
  auto client = Client::Connect({.port = proxy_->port(), .database = "billing"});
  ASSERT_TRUE(client.ok());
  const std::string load = fmt::format("LOAD DATA INFILE '{}' INTO TABLE customer CHARACTER SET utf8mb4 FIELDS TERMINATED BY ','", file);
  const auto write = [&](int id) {
    for (const std::string& sql :
         {load + " (phone, note, first) SET last = 'loaded'", load + fmt::format(" (@p, note, last) SET id = {} + (last = 'b'), phone = CONCAT(@p, '/9')", id), load + " (phone, note, first)",
          fmt::format("INSERT INTO customer (phone, note) SELECT phone, 'copied' FROM customer WHERE id IN ({}, 12)", id),
          fmt::format("REPLACE INTO customer (id, phone, note) SELECT id, '1/2', note FROM customer WHERE id = {}", id),
          fmt::format("INSERT INTO customer (id, note, phone) SELECT {}, 'x', 5 FROM customer AS c LIMIT 1 ON DUPLICATE KEY UPDATE phone = '7-7', note = VALUES(note)", id)}) {
      const Reply reply = client->Query(sql);
      EXPECT_TRUE(reply.ok()) << reply.message << ": " << sql;
      EXPECT_GT(reply.affected, 0u) << sql;
    }
    Do(fmt::format("INSERT INTO billing.customer (id, phone, note) VALUES ({}, '4 4', 'past the proxy')", id + 5'000));
    EXPECT_EQ(One(fmt::format("{} OR NOT id > 0) AND id > 3000", std::regex_replace(std::string(kDiffers), std::regex("WHERE "), "WHERE ("))), "0");
  };
  Walk("dual_write");
  write(10'000);
  Walk("observe");
  EXPECT_EQ(One("SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'billing' AND column_name IN ('digits', 'remark', 'name') AND column_default IS NOT NULL"
                " AND column_default <> 'NULL'"), "0");
  Walk("cutover", 100);
  EXPECT_EQ(One(kDiffers), "0");
  write(20'000);
  EXPECT_EQ(client->Query("INSERT INTO customer (digits, note) SELECT 1, 'x'").error, 1235u);
  EXPECT_EQ(client->Query("INSERT INTO customer (id) SELECT id FROM customer ON DUPLICATE KEY UPDATE phone = '1'").error, 1235u);
  Walk("retire");
  EXPECT_EQ(client->Query("INSERT INTO customer (first) SELECT 'x'").error, 1235u);
  const Reply late = client->Query("INSERT INTO customer (phone, note) SELECT '8-8', 'late' FROM customer LIMIT 1");
  EXPECT_EQ(late.affected, 1u) << late.message;
  EXPECT_EQ(One("SELECT digits FROM billing.customer WHERE remark = 'late'"), "88");
  EXPECT_EQ(One(kDiffers), "0");
  Walk("contract");
  Walk("done");
  EXPECT_EQ(One("SELECT COUNT(*) FROM billing.customer WHERE digits = 88 AND note = 'late'"), "1");
}

TEST_P(ColumnsTest, FromBeginningToEnd) {
  std::vector<std::thread> writers;
  for (int self = 0; self < 2; ++self) writers.emplace_back([this, self] { Write(self); });
  for (const char* phase : {"expand", "dual_write", "backfill", "verify"}) Walk(phase);
  EXPECT_EQ(One(kDiffers), "0");
  Walk("cutover", 50);
  Walk("dual_write");
  Walk("observe");
  Walk("cutover", 100);
  const int before = writes_;
  while (!stop_ && writes_ < before + 300) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  stop_ = true;
  for (std::thread& writer : writers) writer.join();
  EXPECT_THAT(wrong_, testing::IsEmpty());
  EXPECT_EQ(One(kDiffers), "0");

  // The new cohort reads the old columns from the new ones, and may write either side.
  auto client = Client::Connect({.port = proxy_->port(), .database = "billing"});
  ASSERT_TRUE(client.ok());
  ASSERT_TRUE(client->Query("REPLACE INTO customer (id, phone, note, first, last) VALUES (9001, '030/77', 'n', 'a', 'b')").ok());
  EXPECT_THAT(client->Query("SELECT phone, note, name FROM customer WHERE id = 9001 AND phone = '03077'").rows, testing::IsEmpty());
  const std::vector<std::vector<servers::Cell>> row = {{"3077", "n", "a b"}};
  EXPECT_EQ(client->Query("SELECT phone, note, name FROM customer WHERE id = 9001 AND phone = '3077'").rows, row);
  const Reply star = client->Query("SELECT * FROM customer WHERE id = 9001");
  std::vector<std::string> names;
  for (const servers::ReplyColumn& column : star.columns) names.push_back(column.name);
  EXPECT_THAT(names, testing::ElementsAre("id", "phone", "note", "first", "last", "changed"));
  ASSERT_TRUE(client->Query("UPDATE customer SET digits = 5 WHERE id = 9001").ok());
  EXPECT_EQ(One("SELECT phone FROM billing.customer WHERE id = 9001"), "5");
  EXPECT_EQ(client->Query("UPDATE customer SET name = 'c d' WHERE id = 9001").error, 1235u);
  const servers::CommandResult verified = proxy_->Run("verify", {"contact"});
  EXPECT_EQ(verified.exit_code, 0) << verified.output;

  Walk("retire");
  EXPECT_EQ(client->Query("UPDATE customer SET first = 'c' WHERE id = 9001").error, 1235u);
  const Reply written = client->Query("UPDATE customer SET name = 'c d', note = 'much longer than it could be before, at sixty characters and no more than these' WHERE id = 9001");
  EXPECT_EQ(written.error, 1406u) << written.message;  // as long as the old column is written too
  ASSERT_TRUE(client->Query("UPDATE customer SET name = 'c d', note = 'm' WHERE id = 9001").ok());
  ASSERT_TRUE(client->Query("INSERT INTO customer (id, digits, note, name) VALUES (9002, 7, 'r', 'e f')").ok());
  Walk("contract");
  Walk("done");
  const Reply final = direct_->Query("SELECT * FROM billing.customer WHERE id IN (9001, 9002) ORDER BY id");
  names.clear();
  for (const servers::ReplyColumn& column : final.columns) names.push_back(column.name);
  EXPECT_THAT(names, testing::ElementsAre("id", "digits", "note", "name", "changed"));
  ASSERT_EQ(final.rows.size(), 2u);
  EXPECT_EQ(final.rows[0][3], "c d");
  EXPECT_EQ(final.rows[1][2], "r");
  EXPECT_EQ(One("SELECT GROUP_CONCAT(index_name ORDER BY index_name) FROM information_schema.statistics WHERE table_schema = 'billing' AND table_name = 'customer'"), "by_note,PRIMARY");
  EXPECT_EQ(One("SELECT is_nullable FROM information_schema.columns WHERE table_schema = 'billing' AND column_name = 'note'"), "NO");
  EXPECT_TRUE(client->Query("SELECT note FROM customer WHERE note = 'm'").ok());
}

// MySQL joins the subquery's table first where that has the index, and then reads the row as it was in every assignment.
TEST_P(ColumnsTest, AnUpdateWhoseSubqueryTheServerCouldJoin) {
  Do("ALTER TABLE billing.customer ADD COLUMN k int NULL, ADD KEY (k)");
  Do("UPDATE billing.customer SET k = id");
  Do("CREATE TABLE billing.pick (k int, KEY (k))");
  Do("INSERT INTO billing.pick VALUES (2), (3), (2), (4)");
  Walk("dual_write");
  auto client = Client::Connect({.port = proxy_->port(), .database = "billing"});
  ASSERT_TRUE(client.ok());
  const Reply reply = client->Query("UPDATE customer SET phone = '777', note = 'changed' WHERE k IN (SELECT k FROM pick)");
  EXPECT_TRUE(reply.ok()) << reply.message;
  EXPECT_EQ(reply.affected, 3u);
  EXPECT_EQ(One("SELECT COUNT(*) FROM billing.customer WHERE id IN (2, 3, 4) AND digits = 777 AND remark = 'changed'"), "3");
}

// … also where the new side is still missing.
TEST_P(ColumnsTest, WhatDoesNotChangeIsNotCountedAsChanged) {
  Walk("dual_write");
  auto client = Client::Connect({.port = proxy_->port(), .database = "billing"});
  ASSERT_TRUE(client.ok());
  ASSERT_TRUE(client->Query("SET NAMES utf8mb4").ok());
  const std::string phone = One("SELECT phone FROM billing.customer WHERE id = 9"), note = One("SELECT note FROM billing.customer WHERE id = 9");
  const auto affected = [&](const std::string& sql) {
    const Reply reply = client->Query(sql);
    EXPECT_TRUE(reply.ok()) << sql << ": " << reply.message;
    return reply.affected;
  };
  EXPECT_EQ(affected(fmt::format("UPDATE customer SET phone = '{}' WHERE id = 9", phone)), 0u);
  EXPECT_EQ(affected(fmt::format("UPDATE customer SET id = 9, phone = '{}', note = '{}', first = 'f9' WHERE id = 9", phone, note)), 0u);
  EXPECT_EQ(affected(fmt::format("INSERT INTO customer (id, note) VALUES (9, '{}') ON DUPLICATE KEY UPDATE note = VALUES(note)", note)), 0u);
  EXPECT_EQ(client->Execute("UPDATE customer SET phone = ?, id = ? WHERE id = 9", {phone, 9}).affected, 0u);
  EXPECT_EQ(One("SELECT COALESCE(digits, remark, name) FROM billing.customer WHERE id = 9"), "NULL");
  EXPECT_EQ(affected(fmt::format("UPDATE customer SET phone = '{} ' WHERE id = 9", phone)), 1u);
  EXPECT_EQ(One("SELECT digits <=> REGEXP_REPLACE(phone, '[^0-9]', '') FROM billing.customer WHERE id = 9"), "1");
  EXPECT_EQ(affected("UPDATE customer SET id = 100009 WHERE id = 9"), 1u);
  EXPECT_EQ(One("SELECT remark = note AND name = CONCAT(first, ' ', last) FROM billing.customer WHERE id = 100009"), "1");
}

// What gives an expression another value than the backfill's session has.
TEST_P(ColumnsTest, ASessionWhoseSettingsBendValuesIsRefused) {
  Walk("dual_write");
  auto client = Client::Connect({.port = proxy_->port(), .database = "billing"});
  ASSERT_TRUE(client.ok());
  std::vector<std::string> settings = {"sql_mode = 'STRICT_ALL_TABLES,PAD_CHAR_TO_FULL_LENGTH'", "collation_connection = 'ucs2_general_ci'"};
  if (GetParam() == Engine::kMariaDb) settings.push_back("default_regex_flags = 'DOTALL'");
  for (const std::string& setting : settings) {
    ASSERT_TRUE(client->Query("SET " + setting).ok()) << setting;
    const Reply refused = client->Query("UPDATE customer SET phone = '5' WHERE id = 5");
    EXPECT_EQ(refused.error, 1235u) << setting << ": " << refused.message;
    EXPECT_TRUE(client->Query("SELECT phone FROM customer WHERE id = 5").ok());
    for (const char* usual : {"SET sql_mode = DEFAULT, collation_connection = 'latin1_swedish_ci'", "SET SESSION sql_mode = 'STRICT_ALL_TABLES'"}) ASSERT_TRUE(client->Query(usual).ok());
    if (GetParam() == Engine::kMariaDb) {
      ASSERT_TRUE(client->Query("SET default_regex_flags = ''").ok());
    }
    const Reply taken = client->Query("UPDATE customer SET phone = '5' WHERE id = 5");
    EXPECT_TRUE(taken.ok()) << setting << ": " << taken.message;
  }
}

// Before there are new columns: what it wrote has no new side, and its locks are waited for.
TEST_P(ColumnsTest, ATransactionThatWasPreparedAndLeftBeforeTheColumns) {
  PrepareAndLeave();
  ASSERT_EQ(proxy_->Run("phase", {"contact", "backfill", "--yes"}).exit_code, 0);
  EXPECT_THAT(StatusWith("XA RECOVER"), testing::HasSubstr("the tables are in use"));
  EXPECT_EQ(One("SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'billing' AND column_name = 'digits'"), "0");
  Do("XA COMMIT 'left'");
  Walk("verify");
  EXPECT_EQ(One("SELECT COUNT(*) FROM billing.customer WHERE id = 90001"), "1");
  EXPECT_EQ(One(kDiffers), "0");
}

// MariaDB lets go the metadata locks of such a transaction: what it wrote before both sides were would come behind the backfill.
TEST_P(ColumnsTest, ATransactionThatWasPreparedAndLeft) {
  if (GetParam() != Engine::kMariaDb) GTEST_SKIP() << "MySQL keeps the locks, and the ALTER of expand waits for them";
  Walk("expand");
  for (int i = 0; i < 500 && One("SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'billing' AND column_name = 'digits'") == "0"; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the phase begins before its columns are there
  }
  PrepareAndLeave();
  ASSERT_EQ(proxy_->Run("phase", {"contact", "backfill", "--yes"}).exit_code, 0);
  EXPECT_THAT(StatusWith("XA RECOVER"), testing::HasSubstr("may have written before both sides were"));
  Do("XA COMMIT 'left'");
  Walk("verify");
  EXPECT_EQ(One("SELECT COUNT(*) FROM billing.customer WHERE id = 90001"), "1");
  EXPECT_EQ(One(kDiffers), "0");
}

TEST_P(ColumnsTest, CheckSaysWhatTheServerMakesItself) {
  Do("ALTER TABLE billing.customer MODIFY phone varchar(30) DEFAULT (CONCAT('1', '2'))");
  Do("ALTER TABLE billing.customer ADD UNIQUE KEY (first, id)");
  const servers::CommandResult checked = proxy_->Run("check", {});
  EXPECT_NE(checked.exit_code, 0);
  EXPECT_THAT(checked.output, testing::HasSubstr("phone has a default that is an expression"));
}

TEST_P(ColumnsTest, CheckSaysWhatCannotBe) {
  Do("DELETE FROM billing.customer");
  Do("ALTER TABLE billing.customer MODIFY phone timestamp NULL DEFAULT NULL, ADD FULLTEXT KEY words (note), ADD KEY names (last, first)");
  const servers::CommandResult checked = proxy_->Run("check", {});
  EXPECT_NE(checked.exit_code, 0);
  EXPECT_THAT(checked.output, testing::HasSubstr("phone is a TIMESTAMP"));
  EXPECT_THAT(checked.output, testing::HasSubstr("the FULLTEXT index words is on note"));
  EXPECT_THAT(checked.output, testing::HasSubstr("the index names goes with"));
}

INSTANTIATE_TEST_SUITE_P(Engines, ColumnsTest, testing::Values(Engine::kMariaDb, Engine::kMySql), [](const auto& info) { return std::string(servers::EngineName(info.param)); });

}  // namespace
}  // namespace crossfade::walk
