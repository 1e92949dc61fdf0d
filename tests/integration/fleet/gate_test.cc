// SPDX-License-Identifier: Apache-2.0
// The statement gate under a load that ties other tables to the held ones: transactions that write a child of a migrating table, one
// the migration knows nothing of, and then that table itself. The gate closes all the same, and clients see a pause at most. Nobody who
// reads and then writes is the victim of a deadlock with it.
#include <algorithm>
#include <atomic>

#include "fmt/ranges.h"
#include "tests/integration/fleet/fixture.h"

namespace crossfade::fleet {
namespace {

constexpr int kClients = 8;

class Gate : public ShopFixture {
 protected:
  void SetUp() override {
    StartServer();
    Do("CREATE TABLE shop.shipments (id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, order_id bigint NOT NULL, note varchar(20) NOT NULL,"
        " KEY order_id (order_id), CONSTRAINT shipment_order FOREIGN KEY (order_id) REFERENCES orders (id) ON UPDATE CASCADE)");
    for (int i = 0; i < 2; ++i) ASSERT_NE(Proxy({.limits = "  control_poll: 50ms\n  lease: 2s\n"}), nullptr);
  }

  // One client: each transaction writes a shipment, and its order; every third one by prepared statements.
  void Work(int index) {
    auto client = Client::Connect({.port = proxies_[index % 2]->port(), .database = "shop"});
    ASSERT_TRUE(client.ok()) << client.status();
    for (int64_t round = 0; !stop_ && !failed_; ++round) {
      const int64_t order = index * 400 + round % 400 + 1;
      const auto begun = Clock::now();
      bool whole = true;
      for (int step = 0; step < 4 && whole && !failed_; ++step) {
        Reply reply;
        if (step == 0) reply = client->Query("BEGIN");
        else if (step == 3) reply = client->Query("COMMIT");
        else if (round % 3 == 0) reply = client->Execute(step == 1 ? "INSERT INTO shipments (order_id, note) VALUES (?, 'p')" : "UPDATE orders SET quantity = quantity + 1 WHERE id = ?", {order});
        else reply = client->Query(step == 1 ? fmt::format("INSERT INTO shipments (order_id, note) VALUES ({}, 't')", order)
                                             : fmt::format("UPDATE orders SET quantity = quantity + 1 WHERE id = {}", order));
        if (reply.ok()) continue;
        whole = false;
        // The child's row lock on its parent, which the backfill writes too: without the migration there were none.
        if (reply.error == 1213) continue;
        failed_ = true;
        ADD_FAILURE() << "step " << step << ": " << reply.error << " " << reply.message;
      }
      const int64_t took = std::chrono::duration_cast<milliseconds>(Clock::now() - begun).count();
      for (int64_t most = longest_; took > most && !longest_.compare_exchange_weak(most, took);) {
      }
      if (whole) ++done_;
    }
    mysql_thread_end();
  }

  std::atomic<bool> stop_{false}, failed_{false};
  std::atomic<int64_t> longest_{0}, done_{0};
};

TEST_P(Gate, ATransactionThatWroteAChildFromOutsideDoesNotKeepItOpen) {
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) clients.emplace_back([this, i] { Work(i); });
  std::vector<const char*> phases = {"expand"};
  // MariaDB's ALTER of a table locks the children's tables in InnoDB at its end, behind the metadata lock that such transactions then
  // wait for: the indexes and keys that are built between the gates wait for a calmer moment (docs/operations.md).
  if (GetParam() == Engine::kMySql) phases.insert(phases.end(), {"cutover", "retire", "contract", "done"});
  for (const char* phase : phases) {
    const auto begun = Clock::now();
    longest_ = 0;
    const absl::Status status = proxies_[1]->WalkTo("shop", phase, std::string_view(phase) == "cutover" ? 100 : -1, seconds(60));
    EXPECT_TRUE(status.ok()) << phase << ": " << status;
    fmt::print("{} after {} ms, the longest transaction took {} ms\n", phase, std::chrono::duration_cast<milliseconds>(Clock::now() - begun).count(), longest_.load());
    if (!status.ok()) break;
  }
  stop_ = true;
  for (std::thread& client : clients) client.join();
  EXPECT_GT(done_.load(), 200);
  EXPECT_EQ(Value("SELECT COUNT(*) FROM crossfade.events WHERE text LIKE 'the statement gate was let go%'"), "0")
      << Value("SELECT GROUP_CONCAT(text SEPARATOR '\n') FROM crossfade.events WHERE text LIKE 'the statement gate was let go%'");
  EXPECT_EQ(Value("SELECT COUNT(*) FROM shop.shipments"), Value(fmt::format("SELECT {}", done_.load())));
}

// What clients see of the three holds of a migration, where nobody lingers: the longest statement while each is made.
TEST_P(Gate, AHoldIsAShortPause) {
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([this, i] {
      Client client = Connect(proxies_[i % 2]->port());
      for (int64_t round = 0; !stop_ && !failed_; ++round) {
        const auto begun = Clock::now();
        const Reply reply = client.Query(fmt::format("UPDATE orders SET quantity = quantity + 1 WHERE id = {}", i * 400 + round % 400 + 1));
        const int64_t took = std::chrono::duration_cast<milliseconds>(Clock::now() - begun).count();
        for (int64_t most = longest_; took > most && !longest_.compare_exchange_weak(most, took);) {
        }
        if (!reply.ok() && reply.error != 1213) {
          failed_ = true;
          ADD_FAILURE() << reply.error << " " << reply.message;
        }
        std::this_thread::sleep_for(milliseconds(1));
      }
      mysql_thread_end();
    });
  }
  const std::string let_go = "SELECT COUNT(*) FROM crossfade.events WHERE text LIKE 'the statement gate was let go%'";
  std::vector<int64_t> pauses;
  for (const char* phase : {"expand", "cutover", "retire", "contract"}) {
    longest_ = 0;
    const absl::Status status = proxies_[0]->WalkTo("shop", phase, std::string_view(phase) == "cutover" ? 100 : -1, seconds(60));
    EXPECT_TRUE(status.ok()) << phase << ": " << status;
    if (std::string_view(phase) != "cutover") pauses.push_back(longest_);
  }
  stop_ = true;
  for (std::thread& client : clients) client.join();
  fmt::print("the longest statement in expand, retire and contract took {} ms\n", fmt::join(pauses, ", "));
  std::sort(pauses.begin(), pauses.end());
  EXPECT_LT(pauses[1], 1'000) << "typically less than 200, on a machine with nothing else to do";
  EXPECT_EQ(Value(let_go), "0");
}

// Somebody past the proxies who does not end: the gate is let go and tried again, and everybody else pauses for no longer than
// hold_limit at a time. (For one that began before through a proxy the gate does not even close: the epoch waits for it.)
TEST_P(Gate, IsLetGoForATransactionThatLingers) {
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) clients.emplace_back([this, i] { Work(i); });
  const std::string let_go = "SELECT COUNT(*) FROM crossfade.events WHERE text LIKE 'the statement gate was let go%'";
  auto lingers = Client::Connect({.port = server_->port(), .database = "shop"});
  ASSERT_TRUE(lingers.ok()) << lingers.status();
  ASSERT_TRUE(lingers->Query("BEGIN").ok());
  ASSERT_TRUE(lingers->Query("SELECT COUNT(*) FROM items").ok());
  longest_ = 0;
  absl::Status walked;
  std::thread walker([&] { walked = proxies_[1]->WalkTo("shop", "expand", -1, seconds(60)); });
  const auto end = Clock::now() + seconds(30);
  while (Value(let_go) == "0" && Clock::now() < end) std::this_thread::sleep_for(milliseconds(50));
  EXPECT_NE(Value(let_go), "0");
  fmt::print("the longest transaction took {} ms\n", longest_.load());
  EXPECT_LT(longest_.load(), 8'000) << "hold_limit is 2 s";
  EXPECT_TRUE(lingers->Query("ROLLBACK").ok());
  // `expand` is there before its columns are: the gate is tried again until they are.
  const std::string columns = "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'shop' AND column_name IN ('item_no', 'item_ref')";
  while (Value(columns) != "2" && Clock::now() < end) std::this_thread::sleep_for(milliseconds(50));
  EXPECT_EQ(Value(columns), "2");
  walker.join();
  EXPECT_TRUE(walked.ok()) << walked;
  stop_ = true;
  for (std::thread& client : clients) client.join();
}

class Victim : public ShopFixture {};

// While an ALTER waits for a table's metadata lock, a transaction that has read the table and now writes it waits for the ALTER: both
// engines take the transaction for the deadlock's victim. New columns and their defaults come and go where no transaction is open.
TEST_P(Victim, NobodyWhoReadsAndThenWritesIsOne) {
  const std::string columns =
      "  - name: amounts\n    schema: shop\n    phase: observe\n    columns:\n"
      "      - {table: orders, old: [quantity], new: {amount: {type: bigint, from: \"quantity * 100\"}}, back: {quantity: \"amount DIV 100\"}}\n";
  ASSERT_NE(Proxy({.migrations = columns, .limits = "  control_poll: 50ms\n"}), nullptr);
  std::atomic<bool> stop{false};
  std::atomic<int64_t> done{0};
  std::vector<std::string> errors(kClients);
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&, i] {
      Client client = Connect(proxies_[0]->port());
      for (int64_t round = 0; !stop && errors[i].empty(); ++round) {
        const std::string where = fmt::format(" WHERE id = {}", i * 400 + round % 400 + 1);
        for (const std::string& sql : {std::string("BEGIN"), "SELECT quantity FROM orders" + where, "UPDATE orders SET quantity = quantity + 1" + where, std::string("COMMIT")}) {
          const Reply reply = client.Query(sql);
          if (!reply.ok()) errors[i] = fmt::format("{} {}: {}", reply.error, reply.message, sql);
          if (sql[0] == 'S') std::this_thread::sleep_for(milliseconds(2));  // what the application does in between
        }
        ++done;
      }
      mysql_thread_end();
    });
  }
  for (int round = 0; round < 3; ++round) {
    for (const char* phase : {"expand", "dual_write", "observe", "dual_write", "observe"}) {
      const absl::Status status = proxies_[0]->WalkTo("amounts", phase, -1, seconds(60));
      EXPECT_TRUE(status.ok()) << phase << ": " << status;
    }
    const std::string has_default = "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'shop' AND column_name = 'amount' AND column_default LIKE '%quantity%'";
    EXPECT_EQ(Value(has_default), "0");
  }
  stop = true;
  for (std::thread& client : clients) client.join();
  for (const std::string& error : errors) EXPECT_EQ(error, "");
  EXPECT_GT(done.load(), 200);
}

// What is built online waits for its table too, as it begins and as it ends: indexes, the keys, indexes and columns that go.
TEST_P(Victim, NorIsAnybodyOfWhatIsBuiltOnline) {
  Do("CREATE TABLE shop.shipments (id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, order_id bigint NOT NULL, note varchar(20) NOT NULL,"
     " KEY order_id (order_id), CONSTRAINT shipment_order FOREIGN KEY (order_id) REFERENCES orders (id) ON UPDATE CASCADE)");
  Do("CREATE USER reader@localhost IDENTIFIED BY 'r'");
  Do("GRANT SELECT ON shop.* TO reader@localhost");
  ASSERT_NE(Proxy({.limits = "  control_poll: 50ms\n"}), nullptr);
  std::atomic<bool> stop{false}, relatives{false};
  std::atomic<int64_t> done{0};
  std::vector<std::string> errors(kClients + 1);
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&, i] {
      Client client = Connect(proxies_[0]->port());
      for (int64_t round = 0; !stop && errors[i].empty(); ++round) {
        const std::string order = fmt::format(" WHERE id = {}", i * 400 + round % 400 + 1), item = fmt::format(" WHERE code = 't{}-{}'", i % 4, i / 4 * 50 + round % 50);
        std::vector<std::string> texts = {"BEGIN", "SELECT quantity FROM orders" + order, "UPDATE orders SET quantity = quantity + 1" + order, "COMMIT"};
        if (i % 4 == 1) texts = {"BEGIN", "SELECT stock FROM items" + item, "SELECT quantity FROM orders" + order, "UPDATE items SET stock = stock + 1" + item, "COMMIT"};
        if (i % 4 == 2) texts = {"SET autocommit = 0", "SELECT quantity FROM orders" + order, "UPDATE orders SET quantity = quantity + 1" + order, "COMMIT"};
        if (i % 4 == 3 && relatives) texts = {"BEGIN", fmt::format("INSERT INTO shipments (order_id, note) VALUES ({}, 'n')", i * 400 + round % 400 + 1), "SELECT 1", "UPDATE orders SET quantity = quantity + 1" + order, "COMMIT"};
        for (const std::string& sql : texts) {
          const Reply reply = i % 2 == 1 && round % 2 == 1 && sql != "BEGIN" ? client.Execute(sql, {}) : client.Query(sql);
          if (!reply.ok()) errors[i] = fmt::format("{} {}: {}", reply.error, reply.message, sql);
          if (sql[0] == 'S') std::this_thread::sleep_for(milliseconds(2));  // what the application does in between
        }
        ++done;
      }
      mysql_thread_end();
    });
  }
  // One that may read alone, and one whose transactions may: nothing of this is told them.
  clients.emplace_back([&] {
    auto reader = Client::Connect({.port = proxies_[0]->port(), .user = "reader", .password = "r", .database = "shop"});
    ASSERT_TRUE(reader.ok()) << reader.status();
    while (!stop && errors[kClients].empty()) {
      for (const char* sql : {"BEGIN", "SELECT COUNT(*) FROM items", "COMMIT", "START TRANSACTION READ ONLY", "SELECT quantity FROM orders WHERE id = 1", "COMMIT"}) {
        const Reply reply = reader->Query(sql);
        if (!reply.ok() || reply.warnings != 0) errors[kClients] = fmt::format("{} {}: {}", reply.error, reply.message, sql);
      }
    }
    mysql_thread_end();
  });
  for (const char* phase : {"verify", "cutover", "retire", "contract", "done"}) {
    relatives = std::string_view(phase) != "verify";  // the backfill writes rows that the child's locks are on
    const absl::Status status = proxies_[0]->WalkTo("shop", phase, std::string_view(phase) == "cutover" ? 100 : -1, seconds(60));
    EXPECT_TRUE(status.ok()) << phase << ": " << status;
  }
  EXPECT_EQ(Value("SELECT building FROM crossfade.migrations"), "0");
  stop = true;
  for (std::thread& client : clients) client.join();
  for (const std::string& error : errors) EXPECT_EQ(error, "");
  EXPECT_GT(done.load(), 200);
}

INSTANTIATE_TEST_SUITE_P(Engines, Victim, testing::Values(Engine::kMariaDb, Engine::kMySql), EngineOf);
INSTANTIATE_TEST_SUITE_P(Engines, Gate, testing::Values(Engine::kMariaDb, Engine::kMySql), EngineOf);

}  // namespace
}  // namespace crossfade::fleet
