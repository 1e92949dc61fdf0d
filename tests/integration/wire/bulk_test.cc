// SPDX-License-Identifier: Apache-2.0
// MariaDB's bulk execution, by its own client library, on migrating tables in every phase: as many rows as directly, each
// new row with a key of its own, both sides of each reference written; and what is refused, as a whole. What the bytes are,
// wire_test compares.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "fmt/format.h"
#include "tests/integration/wire/commands.h"
#include "tests/servers/client.h"
#include "tests/servers/crossfade_process.h"
#include "tests/servers/server.h"

namespace crossfade::wire {
namespace {

using servers::Client;
using servers::CrossfadeProcess;
using servers::Engine;
using servers::Parameter;
using servers::Server;

constexpr char kMigration[] =
    "  - name: integer-keys\n    schema: zoo\n    phase: observe\n    keys:\n"
    "      - table: Caves\n        old: id\n        new: {column: newId, type: int unsigned}\n"
    "        references:\n          - {table: Bears, old: caveId, new: caveNewId}\n";
const std::string kBear = "INSERT INTO zoo.Bears (id, caveId, name) VALUES (?, ?, ?)";
const std::string kCave = "INSERT INTO zoo.Caves (id, name) VALUES (?, ?)";

struct Outcome {
  uint32_t error = 0;
  std::string message;
  uint64_t affected = 0;
};

struct Default {};  // the indicator
using Value = std::variant<std::nullptr_t, int64_t, std::string, Default>;

class BulkTest : public testing::Test {
 protected:
  void SetUp() override {
    auto server = Server::Start(Engine::kMariaDb);
    if (absl::IsNotFound(server.status())) GTEST_SKIP() << server.status();
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    auto direct = Client::Connect({.port = server_->port()});
    ASSERT_TRUE(direct.ok());
    direct_ = std::make_unique<Client>(*std::move(direct));
    for (const std::string& sql : kTables) ASSERT_TRUE(direct_->Query(sql).ok()) << sql;
    for (const std::string& sql : kRows) ASSERT_TRUE(direct_->Query(sql).ok()) << sql;
    auto proxy = CrossfadeProcess::Start({.backend = server_->address(), .migrations = kMigration});
    ASSERT_TRUE(proxy.ok()) << proxy.status();
    proxy_ = *std::move(proxy);
    auto client = Client::Connect({.port = proxy_->port()});
    ASSERT_TRUE(client.ok());
    client_ = std::make_unique<Client>(*std::move(client));
  }
  void Walk(const char* phase, int percent = -1) {
    const absl::Status walked = proxy_->WalkTo("integer-keys", phase, percent);
    ASSERT_TRUE(walked.ok()) << walked << proxy_->log();
  }
  std::string One(const std::string& sql) {
    const servers::Reply reply = direct_->Query(sql);
    EXPECT_TRUE(reply.ok()) << reply.message;
    return !reply.ok() || reply.rows.empty() ? "no row" : reply.rows[0][0].value_or("NULL");
  }

  // One COM_STMT_BULK_EXECUTE; a column is of the type of its first value that has one.
  Outcome Bulk(const std::string& sql, const std::vector<std::vector<Value>>& rows) {
    MYSQL_STMT* statement = mysql_stmt_init(client_->raw());
    Outcome out;
    const size_t columns = rows[0].size();
    std::vector<MYSQL_BIND> binds(columns);
    std::vector<std::vector<int64_t>> numbers(columns);
    std::vector<std::vector<char*>> texts(columns);
    std::vector<std::vector<unsigned long>> lengths(columns);
    std::vector<std::vector<char>> indicators(columns);
    for (size_t i = 0; i < columns; ++i) {
      bool number = false;
      for (const auto& row : rows) {
        const auto* integer = std::get_if<int64_t>(&row[i]);
        const auto* text = std::get_if<std::string>(&row[i]);
        number = number || integer != nullptr;
        numbers[i].push_back(integer != nullptr ? *integer : 0);
        texts[i].push_back(text != nullptr ? const_cast<char*>(text->data()) : nullptr);
        lengths[i].push_back(text != nullptr ? text->size() : 0);
        indicators[i].push_back(static_cast<char>(std::holds_alternative<std::nullptr_t>(row[i]) ? STMT_INDICATOR_NULL
                                                  : std::holds_alternative<Default>(row[i])      ? STMT_INDICATOR_DEFAULT
                                                                                                 : STMT_INDICATOR_NONE));
      }
      binds[i].buffer_type = number ? MYSQL_TYPE_LONGLONG : MYSQL_TYPE_STRING;
      binds[i].buffer = number ? static_cast<void*>(numbers[i].data()) : static_cast<void*>(texts[i].data());
      binds[i].length = lengths[i].data();
      binds[i].u.indicator = indicators[i].data();
    }
    auto size = static_cast<unsigned>(rows.size());
    if (mysql_stmt_prepare(statement, sql.data(), sql.size()) != 0 || mysql_stmt_attr_set(statement, STMT_ATTR_ARRAY_SIZE, &size) != 0 ||
        mysql_stmt_bind_param(statement, binds.data()) != 0 || mysql_stmt_execute(statement) != 0) {
      out.error = mysql_stmt_errno(statement);
      out.message = mysql_stmt_error(statement);
    } else {
      out.affected = mysql_stmt_affected_rows(statement);
    }
    mysql_stmt_close(statement);
    return out;
  }
  void ExpectBothSides(const std::string& where = "1") {
    EXPECT_EQ(One("SELECT COUNT(*) FROM zoo.Bears b LEFT JOIN zoo.Caves c ON c.id = b.caveId WHERE NOT (b.caveNewId <=> c.newId) AND " + where), "0");
    EXPECT_EQ(One("SELECT COUNT(*) FROM zoo.Caves c WHERE (newId IS NULL OR newId = 0) AND " + where), "0");
    EXPECT_EQ(One("SELECT COUNT(*) - COUNT(DISTINCT newId) FROM zoo.Caves c WHERE " + where), "0");
  }

  std::unique_ptr<Server> server_;
  std::unique_ptr<CrossfadeProcess> proxy_;
  std::unique_ptr<Client> direct_, client_;
};

TEST_F(BulkTest, RowsInEveryPhase) {
  int round = 0;
  for (const char* phase : {"observe", "dual_write", "verify", "cutover"}) {
    SCOPED_TRACE(phase);
    if (std::string(phase) != "observe") Walk(phase, std::string(phase) == "cutover" ? 100 : -1);
    if (HasFatalFailure()) return;
    std::vector<std::vector<Value>> caves, bears, changes, parents;
    constexpr int64_t kCount = 3000;  // more than a block of keys
    const int64_t base = 10'000 * ++round;
    for (int64_t i = 0; i < kCount; ++i) {
      const std::string cave = fmt::format("{}-{}", round, i);
      caves.push_back({cave, i % 5 == 0 ? Value(nullptr) : i % 5 == 1 ? Value(Default()) : Value(fmt::format("cave {}", i))});
      bears.push_back({base + i, i % 7 == 0 ? Value(nullptr) : Value(cave), i % 3 == 0 ? Value(Default()) : Value(std::string("bear"))});
      if (i % 10 == 0) changes.push_back({fmt::format("{}-{}", round, i / 2), base + i});
    }
    Outcome outcome = Bulk(kCave, caves);
    ASSERT_EQ(outcome.error, 0u) << outcome.message;
    EXPECT_EQ(outcome.affected, static_cast<uint64_t>(kCount));
    outcome = Bulk(kBear, bears);
    ASSERT_EQ(outcome.error, 0u) << outcome.message;
    EXPECT_EQ(outcome.affected, static_cast<uint64_t>(kCount));
    outcome = Bulk("UPDATE zoo.Bears SET caveId = ? WHERE id = ?", changes);
    ASSERT_EQ(outcome.error, 0u) << outcome.message;
    EXPECT_EQ(outcome.affected, changes.size());
    outcome = Bulk("DELETE FROM zoo.Bears WHERE caveId = ?", {{fmt::format("{}-{}", round, 1)}, {fmt::format("{}-{}", round, 2)}});
    ASSERT_EQ(outcome.error, 0u) << outcome.message;
    // Before the backfill the new rows alone have both.
    if (round > 1) ExpectBothSides(round == 2 ? "c.id LIKE '2-%'" : "1");
  }
}

TEST_F(BulkTest, RetireWritesTheNewSide) {
  Walk("cutover", 100);
  Walk("retire");
  if (HasFatalFailure()) return;
  Outcome outcome = Bulk(kCave, {{std::string("r1"), std::string("one")}, {std::string("r2"), nullptr}});
  ASSERT_EQ(outcome.error, 0u) << outcome.message;
  const int64_t first = std::stoll(One("SELECT newId FROM zoo.Caves WHERE id = 'r1'")), second = std::stoll(One("SELECT newId FROM zoo.Caves WHERE id = 'r2'"));
  EXPECT_NE(first, second);
  outcome = Bulk(kBear, {{int64_t{50}, first, nullptr}, {int64_t{51}, second, nullptr}, {int64_t{52}, nullptr, nullptr}});
  ASSERT_EQ(outcome.error, 0u) << outcome.message;
  EXPECT_EQ(One("SELECT GROUP_CONCAT(IFNULL(caveNewId, '-') ORDER BY id) FROM zoo.Bears WHERE id >= 50"), fmt::format("{},{},-", first, second));
  outcome = Bulk(kBear, {{int64_t{60}, std::string("r1"), nullptr}, {int64_t{61}, std::string("r2"), nullptr}});
  EXPECT_EQ(outcome.error, 1235u) << outcome.message;
  EXPECT_EQ(One("SELECT COUNT(*) FROM zoo.Bears WHERE id >= 60"), "0");
}

TEST_F(BulkTest, WhatOneStatementCannotDoIsRefusedAsAWhole) {
  Walk("verify");
  if (HasFatalFailure()) return;
  const std::string before = One("SELECT GROUP_CONCAT(id, IFNULL(caveId, '-'), IFNULL(name, '-') ORDER BY id) FROM zoo.Bears");
  const int64_t key = std::stoll(One("SELECT newId FROM zoo.Caves WHERE id = 'c1'")), other = std::stoll(One("SELECT newId FROM zoo.Caves WHERE id = 'c2'"));
  const std::string c1 = "c1", name = "x";
  struct Case { const char* what; std::string sql; std::vector<std::vector<Value>> rows; const char* why; };
  for (const Case& each : std::vector<Case>{
           // The server would look the first row's value up and take what it finds for all of them.
           {"new keys in an INSERT", kBear, {{int64_t{70}, key, name}, {int64_t{71}, other, name}}, "looked up one by one"},
           {"REPLACE of parents", "REPLACE INTO zoo.Caves (id, name) VALUES (?, ?)", {{c1, name}, {std::string("c2"), name}}, "looked up one by one"},
           {"a default for a reference", kBear, {{int64_t{70}, c1, name}, {int64_t{71}, Default(), name}}, "parameter 2"},
           {"a statement that is refused anyway", "INSERT INTO zoo.Caves (id, name, newId) VALUES (?, ?, 5)", {{c1, name}}, "newId"},
       }) {
    const Outcome outcome = Bulk(each.sql, each.rows);
    EXPECT_EQ(outcome.error, 1235u) << each.what << ": " << outcome.message;
    EXPECT_THAT(outcome.message, testing::HasSubstr(each.why)) << each.what;
    EXPECT_EQ(One("SELECT GROUP_CONCAT(id, IFNULL(caveId, '-'), IFNULL(name, '-') ORDER BY id) FROM zoo.Bears"), before) << each.what;
  }
  // By itself each row can: one lookup is enough. So can UPDATE, which the server runs row by row.
  Outcome outcome = Bulk(kBear, {{int64_t{70}, key, name}});
  EXPECT_EQ(outcome.error, 0u) << outcome.message;
  outcome = Bulk("REPLACE INTO zoo.Bears (id, caveId, name) VALUES (?, ?, ?)", {{int64_t{70}, c1, name}, {int64_t{71}, std::string("c2"), name}});
  EXPECT_EQ(outcome.error, 0u) << outcome.message;
  outcome = Bulk("UPDATE zoo.Bears SET caveId = ? WHERE id = ?", {{other, int64_t{70}}, {key, int64_t{71}}});
  EXPECT_EQ(outcome.error, 0u) << outcome.message;
  EXPECT_EQ(One("SELECT GROUP_CONCAT(caveId ORDER BY id) FROM zoo.Bears WHERE id >= 70"), "c2,c1");
  outcome = Bulk("UPDATE zoo.Bears SET name = ? WHERE caveId IN (?, 'none')", {{std::string("a"), key}, {std::string("b"), nullptr}, {std::string("c"), other}});
  EXPECT_EQ(outcome.error, 1235u) << outcome.message;  // NULL is of another kind there
  ExpectBothSides();
}

}  // namespace
}  // namespace crossfade::wire
