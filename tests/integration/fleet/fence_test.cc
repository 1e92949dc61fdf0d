// SPDX-License-Identifier: Apache-2.0
// Several proxies, and what must not happen when one of them stops, is cut off, or dies: no write under an epoch that is over,
// by statements under way and on their way included, and no step by a leader that was replaced.
#include <algorithm>
#include <array>

#include "tests/integration/fleet/fixture.h"
#include "tests/servers/relay.h"

namespace crossfade::fleet {
namespace {

constexpr char kLimits[] = "  chunk_rows: 100\n  control_poll: 50ms\n  hold_limit: 1s\n";

class Fence : public ShopFixture {
 protected:
  void SetUp() override {
    StartServer();
    auto relay = servers::Relay::Start(server_->port());
    ASSERT_TRUE(relay.ok()) << relay.status();
    relay_ = *std::move(relay);
    first_ = Proxy({.backend = relay_->address(), .limits = fmt::format("{}  lease: {}\n", kLimits, Leases()[0])});  // the first is the leader
    ASSERT_NE(first_, nullptr);
    WaitFor("SELECT COUNT(*) FROM crossfade.leader", "1");
    second_ = Proxy({.limits = fmt::format("{}  lease: {}\n", kLimits, Leases()[1])});
    ASSERT_NE(second_, nullptr);
    WaitFor("SELECT COUNT(*) FROM crossfade.proxies", "2");
  }

  // Of the one that is stopped, and of the one that goes on: that must not lose its own on a busy machine.
  virtual std::array<const char*, 2> Leases() const { return {"2s", "20s"}; }
  // Rows of items that nobody has written yet.
  static std::string Values(int* number, int rows) {
    std::string values;
    for (int i = 0; i < rows; ++i, ++*number) values += fmt::format("{}('n{}', 'N{}', 1)", i == 0 ? "" : ", ", *number, *number);
    return values;
  }
  // By the second proxy, which alone is up.
  void Walk(const std::string& phase, int percent = -1) {
    const absl::Status status = second_->WalkTo("shop", phase, percent, seconds(90));
    ASSERT_TRUE(status.ok()) << status << "\n" << servers::LastLines(second_->log(), 15);
  }
  std::string CodeOf(const std::string& label) { return Value("SELECT code FROM shop.items WHERE label = '" + label + "'"); }
  void ExpectComplete() {
    ExpectBothSidesAgree();
    const servers::CommandResult verified = second_->Run("verify", {"shop"});
    EXPECT_EQ(verified.exit_code, 0) << verified.output;
  }

  std::unique_ptr<servers::Relay> relay_;
  CrossfadeProcess *first_ = nullptr, *second_ = nullptr;
};

// The first stays the leader on a busy machine too.
class FenceOfLeader : public Fence {
 protected:
  std::array<const char*, 2> Leases() const override { return {"3s", "3s"}; }
};
class FenceCost : public Fence {
 protected:
  std::array<const char*, 2> Leases() const override { return {"60s", "60s"}; }
};

// Stopped while the server still works at its statement, which waits for a row: it must end before the epoch changes.
TEST_P(Fence, AStatementUnderWayOfAStoppedProxyIsEnded) {
  Client locker = Direct();
  ASSERT_TRUE(locker.Query("BEGIN").ok());
  ASSERT_TRUE(locker.Query("SELECT * FROM shop.items WHERE label = 'L1-7' FOR UPDATE").ok());
  Client client = Connect(first_->port());
  Reply reply;
  std::thread writer([&] {
    reply = client.Query("UPDATE items SET code = 'too-late' WHERE code = 't1-7'");
    mysql_thread_end();
  });
  WaitFor("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'UPDATE items%'", "1");
  const std::string id = Value("SELECT id FROM information_schema.processlist WHERE info LIKE 'UPDATE items%'");
  const uint64_t before = Epoch();
  first_->Signal(SIGSTOP);
  std::thread walker([&] { Walk("dual_write"); });
  WaitFor(fmt::format("SELECT epoch > {} FROM crossfade.state", before + 1), "1");
  EXPECT_EQ(Value("SELECT COUNT(*) FROM information_schema.processlist WHERE id = " + id), "0") << "the epoch changed while an old statement was under way";
  ASSERT_TRUE(locker.Query("ROLLBACK").ok());
  walker.join();
  first_->Signal(SIGCONT);
  writer.join();
  EXPECT_FALSE(reply.ok());
  EXPECT_EQ(CodeOf("L1-7"), "t1-7");
  Walk("verify");
  ExpectComplete();
  // It is back, under the present epoch.
  Client again = Connect(first_->port());
  const Reply later = again.Query("UPDATE items SET code = 'in-time' WHERE code = 't1-7'");
  EXPECT_TRUE(later.ok()) << later.message;
  ExpectComplete();
}

// A transaction with a write from before, and a client that goes on with it afterwards.
TEST_P(Fence, ATransactionOfAStoppedProxyCannotGoOn) {
  Client open = Connect(first_->port()), fresh = Connect(first_->port());
  ASSERT_TRUE(open.Query("BEGIN").ok());
  ASSERT_TRUE(open.Query("INSERT INTO items (code, label, stock) VALUES ('late', 'L-late', 1)").ok());
  ASSERT_TRUE(fresh.Query("BEGIN").ok());
  ASSERT_TRUE(fresh.Query("SELECT 1").ok());  // pins its epoch, and has not written yet
  first_->Signal(SIGSTOP);
  Walk("dual_write");
  Walk("verify");
  first_->Signal(SIGCONT);
  EXPECT_FALSE(fresh.Query("INSERT INTO items (code, label, stock) VALUES ('later', 'L-later', 1)").ok());
  const Reply commit = open.Query("COMMIT");
  EXPECT_FALSE(commit.ok());
  EXPECT_EQ(Value("SELECT COUNT(*) FROM shop.items WHERE label LIKE 'L-late%'"), "0");
  ExpectComplete();
}

// The network holds what the proxy has sent, and lets it go on its way after the epoch has changed.
TEST_P(Fence, AStatementHeldByTheNetworkComesTooLate) {
  Client client = Connect(first_->port(), 60);
  ASSERT_TRUE(client.Query("UPDATE items SET stock = 1 WHERE code = 't2-1'").ok());
  relay_->Hold();
  Reply reply;
  std::thread writer([&] {
    reply = client.Query("UPDATE items SET code = 'too-late' WHERE code = 't2-3'");
    mysql_thread_end();
  });
  Walk("dual_write");
  Walk("verify");
  relay_->Join();
  writer.join();
  EXPECT_FALSE(reply.ok());
  EXPECT_EQ(CodeOf("L2-3"), "t2-3");
  ExpectComplete();
  Client again = Connect(first_->port());
  EXPECT_TRUE(again.Query("UPDATE items SET code = 'in-time' WHERE code = 't2-3'").ok());
  ExpectComplete();
}

// A read of the new side, by a proxy that was stopped or held by the network until nobody wrote that side any more; and of the old
// side, where it is the one that goes. `begun`: its connection has read before, and is registered.
TEST_P(Fence, AReadOfASideThatNobodyWritesAnyMoreComesTooLate) {
  const std::string sql = "SELECT i.label FROM orders o JOIN items i ON i.code = o.item WHERE o.id = 1";
  int moves = 0;
  for (const bool held : {false, true}) {
    SCOPED_TRACE(held ? "held by the network" : "stopped");
    Walk("cutover", 100);
    WaitFor("SELECT COUNT(*) FROM crossfade.proxies WHERE expires > UTC_TIMESTAMP(6) AND acked_epoch = (SELECT epoch FROM crossfade.state)", "2");
    Client begun = Connect(first_->port(), 60), fresh = Connect(first_->port(), 60);
    EXPECT_EQ(begun.Query(sql).rows.size(), 1u);
    EXPECT_TRUE(fresh.Query("SELECT 1").ok());
    if (held) relay_->Hold();
    else first_->Signal(SIGSTOP);
    Reply replies[2];
    std::vector<std::thread> readers;
    for (int i = 0; i < 2; ++i) {
      readers.emplace_back([&, i] {
        replies[i] = (i == 0 ? begun : fresh).Query(sql);
        mysql_thread_end();
      });
    }
    Walk("expand");
    const std::string label = fmt::format("L0-{}", 100 + ++moves);
    {
      Client other = Connect(second_->port());
      const Reply moved = other.Query(fmt::format("UPDATE orders SET item = 't0-{}' WHERE id = 1", 100 + moves));
      EXPECT_EQ(moved.affected, 1u) << moved.message;
    }
    if (held) relay_->Join();
    else first_->Signal(SIGCONT);
    for (std::thread& reader : readers) reader.join();
    for (const Reply& reply : replies) {
      if (reply.ok()) EXPECT_EQ(reply.rows[0][0], label) << "read of the side that is not written";
      else EXPECT_TRUE(reply.lost() || reply.message.find("try again") != std::string::npos) << reply.error << " " << reply.message;
    }
    WaitFor("SELECT COUNT(*) FROM crossfade.proxies WHERE expires > UTC_TIMESTAMP(6)", "2");
    EXPECT_EQ(Connect(first_->port()).Query(sql).rows[0][0], label);
  }
}

// Cut off altogether, with the leader in it: the other one goes on, and the first comes back as one that follows.
TEST_P(Fence, ALeaderThatIsCutOffIsReplaced) {
  Client client = Connect(first_->port());
  ASSERT_TRUE(client.Query("UPDATE items SET stock = 1 WHERE code = 't2-1'").ok());
  relay_->Cut();
  Walk("dual_write");
  Walk("backfill");
  relay_->Join();
  WaitFor("SELECT COUNT(*) FROM crossfade.proxies WHERE expires > UTC_TIMESTAMP(6)", "2");
  Walk("verify");
  ExpectComplete();
  EXPECT_TRUE(Connect(first_->port()).Query("UPDATE items SET code = 'in-time' WHERE code = 't2-3'").ok());
  ExpectComplete();
}

// The leader stops in the middle of its backfill, another takes over, and the first goes on where it stopped.
TEST_P(FenceOfLeader, AStoppedLeaderDoesNothingWhenItWakes) {
  Do("INSERT INTO shop.items SELECT CONCAT('x', code), CONCAT('X', label), stock FROM shop.items");
  for (int round = 0; round < 2; ++round) {
    CrossfadeProcess& leader = *first_;
    if (round == 0) {
      const servers::CommandResult asked = leader.Run("phase", {"shop", "backfill"});
      ASSERT_EQ(asked.exit_code, 0) << asked.output;
      WaitFor("SELECT phase FROM crossfade.migrations", "backfill");
    }
    const std::string was = Value("SELECT connection_id FROM crossfade.leader"), all = Value("SELECT GROUP_CONCAT(connection_id) FROM crossfade.connections WHERE leader = 1");
    leader.Signal(SIGSTOP);
    WaitFor("SELECT connection_id = " + was + " FROM crossfade.leader", "0");
    EXPECT_EQ(Value(fmt::format("SELECT COUNT(*) FROM information_schema.processlist WHERE id IN ({}, {})", was, all)), "0") << "with those of its workers";
    Walk(round == 0 ? "verify" : "cutover", round == 0 ? -1 : 50);
    const std::string now = Value("SELECT connection_id FROM crossfade.leader");
    leader.Signal(SIGCONT);
    std::this_thread::sleep_for(milliseconds(1500));
    EXPECT_EQ(Value("SELECT connection_id FROM crossfade.leader"), now) << "the old leader took the lead from a live one";
    ExpectComplete();
    std::swap(first_, second_);
  }
}

// What the fence costs: one wait of a connection at its first write to a migrating table, and not one statement for any later one.
TEST_P(FenceCost, AWriteCostsNoStatement) {
  Walk("dual_write");
  const auto metric = [&](const std::string& name) {
    const CommandResult page = servers::RunCommand(
        {"bash", "-c", fmt::format("exec 3<>/dev/tcp/127.0.0.1/{}; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3", second_->admin_port())}, seconds(10));
    const size_t at = page.output.find("\n" + name + " ");
    EXPECT_NE(at, std::string::npos) << page.output.substr(0, 300);
    return at == std::string::npos ? -1.0 : std::stod(page.output.substr(at + name.size() + 2));
  };
  std::vector<int64_t> first, later;
  double hidden = 0;
  for (int i = 0; i < 20; ++i) {
    Client client = Connect(second_->port());
    const auto write = [&](std::vector<int64_t>* times) {
      const auto begun = Clock::now();
      const Reply reply = client.Query(fmt::format("UPDATE items SET stock = stock + 1, code = code WHERE code = 't2-{}'", i));
      times->push_back(std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begun).count());
      EXPECT_TRUE(reply.ok()) << reply.message;
    };
    write(&first);
    const double before = metric("crossfade_hidden_statements_total");
    for (int k = 0; k < 10; ++k) write(&later);
    hidden += metric("crossfade_hidden_statements_total") - before;
  }
  EXPECT_EQ(hidden, 0);
  WaitFor("SELECT COUNT(*) FROM crossfade.connections WHERE leader = 0", "0");
  for (auto* times : {&first, &later}) std::sort(times->begin(), times->end());
  fmt::print("the median of first writes took {} us, of later ones {} us\n", first[first.size() / 2], later[later.size() / 2]);
}

// Behind the statement that raises the epoch, before it is committed: that row is locked, and nobody else can renew meanwhile. The
// leader is dislodged once its lease is over, and the others go on.
TEST_P(FenceOfLeader, ALeaderThatStopsWhileItChangesTheEpochIsDislodged) {
  Walk("dual_write");
  Client client = Connect(second_->port());
  ASSERT_TRUE(client.Query("UPDATE items SET stock = 1 WHERE code = 't2-1'").ok());
  const std::string was = Value("SELECT connection_id FROM crossfade.leader");
  const uint64_t before = Epoch();
  relay_->HoldBehind("`state` SET epoch = ");
  const CommandResult asked = second_->Run("phase", {"shop", "verify"});
  ASSERT_EQ(asked.exit_code, 0) << asked.output;
  const auto end = Clock::now() + seconds(60);
  while (!relay_->held() && Clock::now() < end) std::this_thread::sleep_for(milliseconds(5));
  ASSERT_TRUE(relay_->held());
  EXPECT_EQ(Epoch(), before);
  // Writes go on; while no lease can be renewed they are told to try again, and none is done under an epoch that is over.
  int refused = 0, done = 0;
  for (int i = 0; Value("SELECT phase FROM crossfade.migrations") != "verify" && Clock::now() < end + seconds(30); ++i) {
    const Reply reply = client.Query(fmt::format("UPDATE items SET code = 'again-{}' WHERE label = 'L2-{}'", i, i % 400));
    EXPECT_TRUE(reply.ok() || reply.error == 1235) << reply.error << " " << reply.message;
    ++(reply.ok() ? done : refused);
    std::this_thread::sleep_for(milliseconds(10));
  }
  fmt::print("{} writes done, {} told to try again\n", done, refused);
  EXPECT_GT(done, 0);
  EXPECT_NE(Value("SELECT connection_id FROM crossfade.leader"), was);
  EXPECT_EQ(Value("SELECT COUNT(*) FROM information_schema.processlist WHERE id = " + was), "0");
  Walk("verify");
  ExpectComplete();
  relay_->Join();
  WaitFor("SELECT COUNT(*) FROM crossfade.proxies WHERE expires > UTC_TIMESTAMP(6)", "2");
  ExpectComplete();
}

// Connections cannot be ended without the right to: then the phase waits, and says for which.
TEST_P(Fence, WithoutTheRightToEndConnectionsThePhaseWaits) {
  Do("CREATE USER humble@'%'");
  Do("GRANT ALL ON crossfade.* TO humble@'%'");
  Do("GRANT ALL ON shop.* TO humble@'%'");
  Do("GRANT PROCESS ON *.* TO humble@'%'");
  for (CrossfadeProcess* proxy : {first_, second_}) {
    EXPECT_EQ(proxy->Stop(), 0);
    std::string text = servers::ReadFile(proxy->config_path());
    text.replace(text.find("user: root"), 10, "user: humble");
    servers::WriteFile(proxy->config_path(), text);
  }
  for (CrossfadeProcess* proxy : {second_, first_}) {
    ASSERT_TRUE(proxy->StartAgain().ok());
    WaitFor("SELECT COUNT(*) FROM crossfade.leader", "1");
  }
  Walk("dual_write");
  Client open = Connect(first_->port());
  ASSERT_TRUE(open.Query("BEGIN").ok());
  ASSERT_TRUE(open.Query("UPDATE items SET code = 'late' WHERE code = 't2-3'").ok());
  const std::string id = Value("SELECT MAX(connection_id) FROM crossfade.connections WHERE leader = 0");
  first_->Signal(SIGSTOP);
  WaitFor("SELECT COUNT(*) FROM crossfade.proxies WHERE expires > UTC_TIMESTAMP(6)", "1");
  const CommandResult asked = second_->Run("phase", {"shop", "verify"});
  ASSERT_EQ(asked.exit_code, 0) << asked.output;
  WaitFor("SELECT message LIKE '%" + id + "%' FROM crossfade.migrations", "1");
  EXPECT_EQ(Value("SELECT phase FROM crossfade.migrations"), "dual_write") << Value("SELECT message FROM crossfade.migrations");
  Do("KILL " + id);
  Walk("verify");
  first_->Signal(SIGCONT);
  EXPECT_FALSE(open.Query("COMMIT").ok());
  EXPECT_EQ(CodeOf("L2-3"), "t2-3");
  ExpectComplete();
}

// A proxy that was killed leaves statements with the server; they too are over before the epoch changes.
TEST_P(Fence, AStatementUnderWayOfAKilledProxyIsEnded) {
  Client locker = Direct();
  ASSERT_TRUE(locker.Query("BEGIN").ok());
  ASSERT_TRUE(locker.Query("SELECT * FROM shop.items WHERE label = 'L1-7' FOR UPDATE").ok());
  Client client = Connect(first_->port());
  std::thread writer([&] {
    (void)client.Query("UPDATE items SET code = 'too-late' WHERE code = 't1-7'");
    mysql_thread_end();
  });
  WaitFor("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'UPDATE items%'", "1");
  const std::string id = Value("SELECT id FROM information_schema.processlist WHERE info LIKE 'UPDATE items%'");
  const uint64_t before = Epoch();
  first_->Kill();
  writer.join();
  std::thread walker([&] { Walk("dual_write"); });
  WaitFor(fmt::format("SELECT epoch > {} FROM crossfade.state", before + 1), "1");
  EXPECT_EQ(Value("SELECT COUNT(*) FROM information_schema.processlist WHERE id = " + id), "0");
  ASSERT_TRUE(locker.Query("ROLLBACK").ok());
  walker.join();
  EXPECT_EQ(CodeOf("L1-7"), "t1-7");
  Walk("verify");
  ExpectComplete();
}

// A client that vanishes in the middle of a statement leaves it with the server, under its epoch: the drain waits for it.
TEST_P(Fence, AStatementOfAClientThatLeftIsWaitedFor) {
  Client locker = Direct();
  ASSERT_TRUE(locker.Query("BEGIN").ok());
  ASSERT_TRUE(locker.Query("SELECT * FROM shop.items WHERE label = 'L1-7' FOR UPDATE").ok());
  {
    Client client = Connect(second_->port());
    std::thread writer([&] {
      (void)client.Query("UPDATE items SET code = 'renamed' WHERE code = 't1-7'");
      mysql_thread_end();
    });
    WaitFor("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'UPDATE items%'", "1");
    client.Drop();
    writer.join();
  }
  const std::string id = Value("SELECT MIN(id) FROM information_schema.processlist WHERE info LIKE 'UPDATE items%'");
  ASSERT_NE(id, "NULL") << "the server ended the statement by itself";
  const uint64_t before = Epoch();
  const servers::CommandResult asked = second_->Run("phase", {"shop", "verify"});
  ASSERT_EQ(asked.exit_code, 0) << asked.output;
  std::this_thread::sleep_for(seconds(2));
  if (Value("SELECT COUNT(*) FROM information_schema.processlist WHERE id = " + id) == "1") EXPECT_LE(Epoch(), before + 1) << "nobody waited for it";
  ASSERT_TRUE(locker.Query("ROLLBACK").ok());
  Walk("verify");
  ExpectComplete();
}

// After a restart the server counts its connections from the start: whoever has an old number now is left alone.
TEST_P(Fence, AConnectionWithAnOldNumberIsLeftAlone) {
  std::vector<Client> writers;
  for (int i = 0; i < 20; ++i) {
    writers.push_back(Connect(first_->port()));
    ASSERT_TRUE(writers.back().Query(fmt::format("UPDATE items SET stock = 2 WHERE code = 't2-{}'", i)).ok());
  }
  EXPECT_EQ(Value("SELECT COUNT(*) FROM crossfade.connections WHERE leader = 0"), "20");
  first_->Kill();
  server_->Kill();
  ASSERT_TRUE(server_->StartAgain().ok()) << server_->log();
  std::vector<Client> others;
  for (int i = 0; i < 60; ++i) others.push_back(Direct());
  WaitFor("SELECT COUNT(*) FROM crossfade.connections WHERE leader = 0", "0");
  for (Client& other : others) EXPECT_TRUE(other.Query("SELECT 1").ok());
  Walk("dual_write");
}

// The server goes in the middle of statements, and gives their connections' numbers to other sessions of the same proxy: nobody is
// waited for, and those are registered as themselves.
TEST_P(Fence, NumbersThatAreGivenAgain) {
  std::vector<Client> before;
  std::vector<std::thread> sleepers;
  for (int i = 0; i < 12; ++i) before.push_back(Connect(second_->port()));
  for (Client& client : before) ASSERT_TRUE(client.Query("UPDATE items SET stock = stock + 1 WHERE code = 't1-1'").ok());
  for (Client& client : before) {
    sleepers.emplace_back([&client] {
      EXPECT_FALSE(client.Query("SELECT SLEEP(300) FROM items LIMIT 1").ok());
      mysql_thread_end();
    });
  }
  WaitFor("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'", "12");
  server_->Kill();
  for (std::thread& sleeper : sleepers) sleeper.join();
  ASSERT_TRUE(server_->StartAgain().ok()) << server_->log();
  std::vector<Client> after;
  for (int i = 0; i < 60; ++i) after.push_back(Connect(second_->port()));
  for (Client& client : after) {
    // The lease may have run out while there was no server.
    Reply reply;
    for (int tries = 0; tries < 200 && !(reply = client.Query("UPDATE items SET stock = stock + 1 WHERE code = 't1-2'")).ok(); ++tries)
      std::this_thread::sleep_for(milliseconds(50));
    ASSERT_TRUE(reply.ok()) << reply.message;
  }
  WaitFor("SELECT COUNT(*) FROM crossfade.connections WHERE leader = 0", "60");
  Walk("dual_write");
  EXPECT_EQ(Value("SELECT COUNT(*) FROM crossfade.connections WHERE leader = 0"), "60");
}

// Stopped right behind a statement on a table that all proxies write: nothing there is locked, so the others go on. (They were
// transactions of several statements once: the key allocator's row stayed locked, and the epoch's, which renewals wait for.)
TEST_P(Fence, AProxyThatStopsHoldsNoLockOfTheControlSchema) {
  Walk("dual_write");
  int number = 0;
  for (const auto& [sent, locked] : std::vector<std::pair<std::string, std::string>>{{"INSERT INTO `crossfade`.`proxies`", "state"},
                                                                                     {"INTO `crossfade`.`connections`", "state"},
                                                                                     {"`crossfade`.`allocators`", "allocators"},
                                                                                     {"INSERT INTO `crossfade`.`digests`", "digests"}}) {
    SCOPED_TRACE(sent);
    WaitFor("SELECT COUNT(*) FROM crossfade.proxies WHERE expires > UTC_TIMESTAMP(6)", "2");
    WaitFor("SELECT COUNT(*) > 0 FROM crossfade.leader", "1");
    std::vector<Client> clients;
    for (int i = 0; i < 2; ++i) clients.push_back(Connect(first_->port(), 30));
    relay_->HoldBehind(sent);
    std::vector<std::thread> writers;  // of a connection that is not registered yet, with keys to be reserved
    for (Client& client : clients) {
      writers.emplace_back([&client, sql = fmt::format("INSERT INTO items (code, label, stock) VALUES {}", Values(&number, 700))] {
        (void)client.Query(sql);
        mysql_thread_end();
      });
    }
    const auto end = std::chrono::steady_clock::now() + seconds(60);
    while (!relay_->held() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(milliseconds(5));
    EXPECT_TRUE(relay_->held());
    std::this_thread::sleep_for(milliseconds(100));
    Client direct = Direct();
    ASSERT_TRUE(direct.Query("SET SESSION innodb_lock_wait_timeout = 5").ok());
    ASSERT_TRUE(direct.Query("BEGIN").ok());
    const Reply free = direct.Query("SELECT * FROM crossfade." + locked + " FOR UPDATE");
    EXPECT_TRUE(free.ok()) << free.message;
    ASSERT_TRUE(direct.Query("ROLLBACK").ok());
    relay_->Join();
    for (std::thread& writer : writers) writer.join();
  }
  Walk("verify");
  ExpectComplete();
}

INSTANTIATE_TEST_SUITE_P(Engines, Fence, testing::Values(Engine::kMariaDb, Engine::kMySql), EngineOf);
INSTANTIATE_TEST_SUITE_P(Engines, FenceCost, testing::Values(Engine::kMariaDb, Engine::kMySql), EngineOf);
INSTANTIATE_TEST_SUITE_P(Engines, FenceOfLeader, testing::Values(Engine::kMariaDb, Engine::kMySql), EngineOf);

}  // namespace
}  // namespace crossfade::fleet
