// SPDX-License-Identifier: Apache-2.0
// Single sessions in the phases that write both sides: what a session may have set or sent before must neither be lost
// nor change what a rewritten statement means.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/socket.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <thread>

#include "fmt/format.h"
#include "tests/integration/walk/load.h"
#include "tests/servers/crossfade_process.h"
#include "tests/servers/server.h"

namespace crossfade::walk {
namespace {

using servers::Client;
using servers::CrossfadeProcess;
using servers::Engine;
using servers::Server;

class SessionTest : public testing::TestWithParam<Engine> {
 protected:
  void SetUp() override {
    auto server = Server::Start(GetParam());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    auto direct = Client::Connect({.port = server_->port()});
    ASSERT_TRUE(direct.ok());
    direct_ = std::make_unique<Client>(*std::move(direct));
    for (const std::string& sql : CreateShop()) ASSERT_TRUE(direct_->Query(sql).ok());
    ASSERT_TRUE(direct_->Query("CREATE TABLE shop.notes (id int PRIMARY KEY, note longtext)").ok());
    auto proxy = CrossfadeProcess::Start({.backend = server_->address(), .migrations = ShopMigration()});
    ASSERT_TRUE(proxy.ok()) << proxy.status();
    proxy_ = *std::move(proxy);
    const absl::Status walked = proxy_->WalkTo("shop", "verify");
    ASSERT_TRUE(walked.ok()) << walked;
  }
  Client Connect() {
    auto client = Client::Connect({.port = proxy_->port(), .database = "shop"});
    EXPECT_TRUE(client.ok()) << client.status();
    return *std::move(client);
  }
  std::string One(const std::string& sql) {
    const servers::Reply reply = direct_->Query(sql);
    EXPECT_TRUE(reply.ok()) << reply.message;
    return reply.rows.empty() ? "no row" : reply.rows[0][0].value_or("NULL");
  }

  // Prepares `sql`, sends its parameter 0 in pieces, and executes it with parameter 1 = `id`. The error number.
  static unsigned SendInPieces(Client& client, const std::string& sql, const std::string& value, const std::string& id) {
    MYSQL_STMT* statement = mysql_stmt_init(client.raw());
    unsigned error = 0;
    if (mysql_stmt_prepare(statement, sql.data(), sql.size()) != 0) error = mysql_stmt_errno(statement);
    MYSQL_BIND bind[2];
    std::memset(bind, 0, sizeof bind);
    unsigned long length = id.size();
    bind[0].buffer_type = MYSQL_TYPE_STRING;
    bind[1].buffer_type = MYSQL_TYPE_STRING;
    bind[1].buffer = const_cast<char*>(id.data());
    bind[1].buffer_length = id.size();
    bind[1].length = &length;
    if (error == 0 && mysql_stmt_bind_param(statement, bind) != 0) error = mysql_stmt_errno(statement);
    for (size_t at = 0; error == 0 && at < value.size(); at += 1000) {
      const std::string piece = value.substr(at, 1000);
      if (mysql_stmt_send_long_data(statement, 0, piece.data(), piece.size()) != 0) error = mysql_stmt_errno(statement);
    }
    if (error == 0 && mysql_stmt_execute(statement) != 0) error = mysql_stmt_errno(statement);
    mysql_stmt_close(statement);
    return error;
  }

  std::unique_ptr<Server> server_;
  std::unique_ptr<Client> direct_;
  std::unique_ptr<CrossfadeProcess> proxy_;
};

TEST_P(SessionTest, ParametersSentInPieces) {
  Client client = Connect();
  const std::string note(5500, 'n');
  EXPECT_EQ(SendInPieces(client, "INSERT INTO notes (note, id) VALUES (?, ?)", note, "1"), 0u);
  EXPECT_EQ(One("SELECT note = REPEAT('n', 5500) FROM shop.notes WHERE id = 1"), "1");
  EXPECT_EQ(SendInPieces(client, "INSERT INTO items (label, code) VALUES (?, ?)", "in pieces", "pieces-1"), 0u);
  EXPECT_EQ(One("SELECT label FROM shop.items WHERE code = 'pieces-1' AND item_no > 0"), "in pieces");
  EXPECT_EQ(SendInPieces(client, "UPDATE items SET label = ? WHERE code = ?", "again", "pieces-1"), 0u);
  EXPECT_EQ(One("SELECT label FROM shop.items WHERE code = 'pieces-1'"), "again");
}

TEST_P(SessionTest, WhatTheSessionSetDoesNotHideItsModes) {
  Client client = Connect();
  ASSERT_TRUE(client.Query("SET sql_select_limit = 0").ok());
  EXPECT_TRUE(client.Query("INSERT INTO items (code, label) VALUES ('limit', 'l')").ok());
  EXPECT_EQ(One("SELECT item_no > 0 FROM shop.items WHERE code = 'limit'"), "1");
  ASSERT_TRUE(client.Query("SET sql_select_limit = DEFAULT, sql_mode = 'ANSI_QUOTES,STRICT_TRANS_TABLES', character_set_results = 'utf16'").ok());
  const servers::Reply quoted = client.Query("INSERT INTO \"items\" (\"code\", label) VALUES ('quoted', 'l')");
  EXPECT_TRUE(quoted.ok()) << quoted.message;
  EXPECT_EQ(One("SELECT item_no > 0 FROM shop.items WHERE code = 'quoted'"), "1");
  ASSERT_TRUE(client.Query("SET foreign_key_checks = 0").ok());
  const servers::Reply unchecked = client.Query("INSERT INTO orders (item, quantity, owner) VALUES ('nobody', 1, 1)");
  EXPECT_EQ(unchecked.error, 1235u) << unchecked.message;
}

// Whatever one client leaves behind, the next one finds a session as the server begins it.
TEST_P(SessionTest, NothingOfASessionIsThereForTheNext) {
  const std::string state = "SELECT @@sql_mode, @@character_set_client, @@collation_connection, @@autocommit, @@transaction_isolation, @@foreign_key_checks, @@time_zone,"
                            " @@sql_select_limit, @@max_allowed_packet, @@in_transaction_is, DATABASE(), @mine, IS_USED_LOCK('mine'), LAST_INSERT_ID(), ROW_COUNT()";
  std::string asked = state;
  const size_t engine = asked.find("@@in_transaction_is");
  asked.replace(engine, 19, GetParam() == Engine::kMariaDb ? "@@in_transaction" : "@@insert_id");
  if (GetParam() == Engine::kMariaDb) asked.replace(asked.find("@@transaction_isolation"), 23, "@@tx_isolation");
  std::vector<std::vector<servers::Cell>> fresh;
  for (int i = 0; i < 4; ++i) {
    for (int wait = 0; wait < 500 && One("SELECT IS_FREE_LOCK('mine')") != "1"; ++wait) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    Client client = Connect();
    const servers::Reply seen = client.Query(asked);
    ASSERT_TRUE(seen.ok()) << seen.message;
    if (i == 0) fresh = seen.rows;
    EXPECT_EQ(seen.rows, fresh) << i;
    EXPECT_EQ(client.Query("SELECT * FROM mine").error, 1146u);
    EXPECT_EQ(client.Query("EXECUTE mine").error, 1243u);
    EXPECT_EQ(One("SELECT COUNT(*) FROM shop.items WHERE code = 'left-behind'"), "0");
    for (const char* sql : {"SET sql_mode = 'ANSI_QUOTES', time_zone = '+05:00', sql_select_limit = 3, foreign_key_checks = 0", "SET NAMES latin1",
                            "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SET @mine = 7", "CREATE TEMPORARY TABLE mine (a int)", "PREPARE mine FROM 'SELECT 1'", "DO GET_LOCK('mine', 5)",
                            "USE mysql", "SET foreign_key_checks = 1", "SET autocommit = 0", "INSERT INTO shop.items (code, label) VALUES ('left-behind', 'x')"}) {
      const servers::Reply set = client.Query(sql);
      ASSERT_TRUE(set.ok()) << sql << ": " << set.message;
    }
    if (i % 2 == 1) ::shutdown(mysql_get_socket(client.raw()), SHUT_RDWR);  // without the COM_QUIT that ends the others
  }
}

// Under READ COMMITTED a plain subquery reads what was committed when the statement began, but the foreign key check what
// is committed now: a parent that comes in between must not leave a reference without its new key.
TEST_P(SessionTest, AParentThatIsCommittedWhileAnUpdateWaits) {
  ASSERT_TRUE(direct_->Query("INSERT INTO shop.orders (id, item, quantity, owner) VALUES (900001, NULL, 1, 9), (900002, NULL, 1, 9)").ok());
  for (const char* sql : {"UPDATE orders SET item = IF(id = 900002, 'late', 't0-1') WHERE id IN (900001, 900002)",
                          "UPDATE orders SET item = IF(id = 900002, 'late', CONCAT('t0-', '2')) WHERE id IN (900001, 900002) ORDER BY id"}) {
    ASSERT_TRUE(direct_->Query("UPDATE shop.orders SET item = NULL, item_ref = NULL WHERE owner = 9 AND id > 900000").ok());
    ASSERT_TRUE(direct_->Query("DELETE FROM shop.items WHERE code = 'late'").ok());
    Client locker = Connect(), parent = Connect(), writer = Connect();
    ASSERT_TRUE(locker.Query("BEGIN").ok());
    ASSERT_TRUE(locker.Query("SELECT * FROM orders WHERE id = 900002 FOR UPDATE").ok());
    ASSERT_TRUE(writer.Query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").ok());
    servers::Reply written;
    std::atomic<bool> ended = false;
    std::thread waiting([&] {
      written = writer.Query(sql);
      ended = true;
    });
    while (!ended && One("SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'") == "0") {
      std::this_thread::sleep_for(std::chrono::milliseconds(120));  // InnoDB renews the table each 100 ms
    }
    EXPECT_FALSE(ended) << written.message;
    const servers::Reply inserted = parent.Query("INSERT INTO items (code, label) VALUES ('late', 'l')");
    EXPECT_TRUE(inserted.ok()) << inserted.message;
    EXPECT_TRUE(locker.Query("COMMIT").ok());
    waiting.join();
    EXPECT_TRUE(written.ok()) << written.message;
    EXPECT_EQ(One("SELECT COUNT(*) FROM shop.orders o LEFT JOIN shop.items i ON i.code = o.item WHERE NOT (o.item_ref <=> i.item_no)"), "0") << sql;
    EXPECT_EQ(One("SELECT item FROM shop.orders WHERE id = 900002"), "late");
  }
}

// A deadlock's error has no status flags: the proxy asks the server whether the transaction is over, and the client must
// not see that in what the server says of its last statement. A victim that then idles holds no phase back.
TEST_P(SessionTest, ADeadlockEndsTheTransactionAndLeavesItsDiagnostics) {
  const auto deadlock = [&](Client& victim, Client& other) {
    // The transaction that changed more rows wins on both engines.
    EXPECT_TRUE(other.Query("BEGIN").ok());
    EXPECT_TRUE(other.Query("UPDATE shop.items SET stock = stock + 1 WHERE code LIKE 't1-%'").ok());
    EXPECT_TRUE(victim.Query("BEGIN").ok());
    EXPECT_TRUE(victim.Query("UPDATE shop.items SET stock = stock + 1 WHERE code = 't0-1'").ok());
    std::thread waiting([&] { EXPECT_TRUE(other.Query("UPDATE shop.items SET stock = stock + 1 WHERE code = 't0-1'").ok()); });
    while (One("SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'") == "0") {
      std::this_thread::sleep_for(std::chrono::milliseconds(120));
    }
    const servers::Reply reply = victim.Query("UPDATE shop.items SET stock = stock + 1 WHERE code = 't1-1'");
    waiting.join();
    EXPECT_EQ(reply.error, 1213u) << reply.message;
    EXPECT_TRUE(other.Query("ROLLBACK").ok());
  };
  auto own = Client::Connect({.port = server_->port(), .database = "shop"});
  ASSERT_TRUE(own.ok());
  Client proxied = Connect(), other = Connect();
  deadlock(*own, other);
  deadlock(proxied, other);
  for (const char* sql : {"SHOW WARNINGS", "SELECT ROW_COUNT(), @@error_count"}) {
    EXPECT_EQ(own->Query(sql).rows, proxied.Query(sql).rows) << sql;
  }
  deadlock(proxied, other);
  const absl::Status walked = proxy_->WalkTo("shop", "cutover", 50);  // the victim has said nothing since
  EXPECT_TRUE(walked.ok()) << walked;
  EXPECT_TRUE(proxied.Query("SELECT COUNT(*) FROM items").ok());
}

// MySQL (and MariaDB from 11.1) would join the subquery's table, and then compute every assignment from the row as it was.
TEST_P(SessionTest, AnUpdateWhoseSubqueryTheServerCouldJoin) {
  for (const char* sql : {"CREATE TABLE shop.pick (k int, KEY (k))", "INSERT INTO shop.pick VALUES (900001), (900002), (900001), (900003)",
                          "INSERT INTO shop.orders (id, item, quantity, owner) VALUES (900001, 't0-1', 1, 9), (900002, 't0-1', 1, 9), (900003, NULL, 1, 9)",
                          "ANALYZE TABLE shop.pick, shop.orders"}) {
    const servers::Reply done = direct_->Query(sql);
    ASSERT_TRUE(done.ok()) << sql << ": " << done.message;
  }
  Client client = Connect();
  for (const char* where : {"id IN (SELECT k FROM pick)", "EXISTS (SELECT 1 FROM pick WHERE k = orders.id)"}) {
    for (const char* item : {"t0-2", "t0-3"}) {
      const servers::Reply reply = client.Query(fmt::format("UPDATE orders SET item = '{}' WHERE {}", item, where));
      ASSERT_TRUE(reply.ok()) << reply.message;
      EXPECT_EQ(reply.affected, 3u);
      EXPECT_EQ(One(fmt::format("SELECT COUNT(*) FROM shop.orders o JOIN shop.items i ON i.code = o.item AND i.item_no = o.item_ref WHERE o.item = '{}' AND o.id > 900000", item)), "3")
          << where;
    }
  }
}

// A proxy that stood still past its lease was not waited for: a transaction it had open may be epochs behind and must not
// write any more; everything new goes on as soon as the lease is back.
TEST_P(SessionTest, AProxyThatStoodStillDoesNotWriteAsBefore) {
  auto second = CrossfadeProcess::Start({.backend = server_->address(), .migrations = ShopMigration(), .limits = "  lease: 1s\n  control_poll: 50ms\n"});
  ASSERT_TRUE(second.ok()) << second.status();
  auto client = Client::Connect({.port = (*second)->port(), .database = "shop"});
  ASSERT_TRUE(client.ok());
  ASSERT_TRUE(client->Query("BEGIN").ok());
  ASSERT_TRUE(client->Query("UPDATE orders SET item = 't0-1' WHERE id = 1").ok());
  (*second)->Signal(SIGSTOP);
  absl::Status walked = proxy_->WalkTo("shop", "dual_write");
  if (walked.ok()) walked = proxy_->WalkTo("shop", "backfill");
  (*second)->Signal(SIGCONT);
  ASSERT_TRUE(walked.ok()) << walked;
  const servers::Reply late = client->Query("UPDATE orders SET item = 't0-2' WHERE id = 2");
  // Its connection to the server was ended before the phase changed, and with it what it had begun.
  EXPECT_TRUE(late.lost()) << servers::Describe(late);
  EXPECT_EQ(One("SELECT COUNT(*) FROM shop.orders WHERE id = 1 AND item = 't0-1'"), "0");
  servers::Reply fresh;
  fresh.error = 1235;
  for (int i = 0; i < 100 && !fresh.ok(); ++i) {
    auto again = Client::Connect({.port = (*second)->port(), .database = "shop"});
    ASSERT_TRUE(again.ok()) << again.status();
    fresh = again->Query("UPDATE orders SET item = 't0-3' WHERE id = 2");
    EXPECT_TRUE(fresh.ok() || fresh.error == 1235u) << servers::Describe(fresh);
    if (!fresh.ok()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_TRUE(fresh.ok()) << fresh.message;
  EXPECT_EQ(One("SELECT CONCAT(o.item, ' ', o.item_ref = i.item_no) FROM shop.orders o JOIN shop.items i ON i.code = o.item WHERE o.id = 2"), "t0-3 1");
}

INSTANTIATE_TEST_SUITE_P(Engines, SessionTest, testing::Values(Engine::kMariaDb, Engine::kMySql),
                         [](const auto& info) { return std::string(servers::EngineName(info.param)); });

}  // namespace
}  // namespace crossfade::walk
