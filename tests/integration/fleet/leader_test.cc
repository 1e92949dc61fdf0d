// SPDX-License-Identifier: Apache-2.0
// A leader that stops while the server works at its ALTER: it is ended before another leads, or it comes to its end and the next
// leader sees that; and the one that stopped does nothing more when it wakes.
#include "tests/integration/fleet/fixture.h"
#include "tests/servers/relay.h"

namespace crossfade::fleet {
namespace {

constexpr char kOfLeader[] = "id = (SELECT connection_id FROM crossfade.leader) AND info LIKE 'ALTER TABLE%'";

class LeaderAlter : public ShopFixture {
 protected:
  struct Member {
    std::unique_ptr<servers::Relay> relay;
    CrossfadeProcess* proxy = nullptr;
  };

  void SetUp() override {
    StartServer();
    for (Member& member : members_) {
      auto relay = servers::Relay::Start(server_->port());
      ASSERT_TRUE(relay.ok()) << relay.status();
      member.relay = *std::move(relay);
      // Nothing but the end of its lease ends an ALTER of the first one that waits.
      const char* patience = first_ == nullptr ? "  hold_limit: 60s\n  ddl_lock_wait: 60s\n" : "  hold_limit: 1s\n  ddl_lock_wait: 200ms\n";
      member.proxy = Proxy({.backend = member.relay->address(), .limits = std::string("  chunk_rows: 5000\n  control_poll: 50ms\n  lease: 4s\n  backfill_idle_share: 0.9\n") + patience});
      ASSERT_NE(member.proxy, nullptr);
      WaitFor("SELECT COUNT(*) FROM crossfade.leader", "1");
      first_ = members_[0].proxy;
    }
    second_ = members_[1].proxy;
    WaitFor("SELECT COUNT(*) FROM crossfade.proxies", "2");
  }

  // `needle`: what the relays hold behind; the command goes through one of them.
  void Ask(const std::vector<std::string>& phase, const std::string& needle = "") {
    std::vector<std::string> arguments = {"shop"};
    arguments.insert(arguments.end(), phase.begin(), phase.end());
    arguments.push_back("--yes");
    CommandResult asked = second_->Run("phase", arguments);
    for (int tries = 0; asked.exit_code != 0 && members_[1].relay->held() && tries < 5; ++tries) {
      members_[1].relay->Join();
      members_[1].relay->HoldBehind(needle);
      asked = second_->Run("phase", arguments);
    }
    ASSERT_EQ(asked.exit_code, 0) << asked.output;
  }
  void Walk(const std::string& phase, int percent = -1) {
    const absl::Status status = second_->WalkTo("shop", phase, percent, seconds(120));
    ASSERT_TRUE(status.ok()) << status << "\n" << servers::LastLines(second_->log(), 15);
  }
  // Until another leads than `was`; its ALTER is over then.
  void ExpectReplaced(const std::string& was) {
    WaitFor("SELECT connection_id = " + was + " FROM crossfade.leader", "0", seconds(60));
    EXPECT_EQ(Value("SELECT COUNT(*) FROM information_schema.processlist WHERE id = " + was), "0") << "another leads while its ALTER goes on";
  }
  std::string Tables() { return Value("SELECT GROUP_CONCAT(table_name, column_name, column_type, is_nullable ORDER BY 1) FROM information_schema.columns WHERE table_schema = 'shop'") + Value("SELECT GROUP_CONCAT(table_name, index_name, column_name ORDER BY 1) FROM information_schema.statistics WHERE table_schema = 'shop'"); }

  Member members_[2];
  CrossfadeProcess *first_ = nullptr, *second_ = nullptr;
};

// Its ALTER waits for the metadata lock of a transaction. Left alone it would be made once that ends, under another leader.
TEST_P(LeaderAlter, ThatWaitsIsEnded) {
  Walk("cutover", 100);
  Client locker = Direct();
  ASSERT_TRUE(locker.Query("BEGIN").ok());
  for (const char* table : {"items", "orders"}) ASSERT_TRUE(locker.Query(fmt::format("SELECT COUNT(*) FROM {}", table)).ok());
  Ask({"retire"});
  WaitFor(fmt::format("SELECT COUNT(*) FROM information_schema.processlist WHERE {} AND state LIKE '%metadata lock%'", kOfLeader), "1");
  const std::string was = Value("SELECT connection_id FROM crossfade.leader");
  first_->Signal(SIGSTOP);
  ExpectReplaced(was);
  const std::string before = Tables();
  Ask({"verify"});
  WaitFor("SELECT phase FROM crossfade.migrations", "verify");
  ASSERT_TRUE(locker.Query("ROLLBACK").ok());
  std::this_thread::sleep_for(milliseconds(500));
  EXPECT_EQ(Tables(), before) << "the old leader's ALTER was made";
  first_->Signal(SIGCONT);
  std::this_thread::sleep_for(milliseconds(1000));
  EXPECT_EQ(Tables(), before) << "the old leader went on";
  ExpectBothSidesAgree();
}

// Its ALTER is at work: an index of so many rows takes its time.
TEST_P(LeaderAlter, AtWorkIsEnded) {
  for (int i = 0; i < 6; ++i) Do("INSERT INTO shop.orders (item, quantity, owner) SELECT NULL, quantity, owner FROM shop.orders");
  Ask({"verify"});
  WaitFor("SELECT phase IN ('backfill', 'verify') FROM crossfade.migrations", "1", seconds(60));
  const std::string was = Value("SELECT connection_id FROM crossfade.leader");
  Client watcher = Direct();
  const std::string sql = "SELECT COUNT(*) FROM information_schema.processlist WHERE id = " + was + " AND info LIKE 'ALTER TABLE `shop`.`orders`%' AND state NOT LIKE '%metadata lock%'";
  const auto at_work = [&] { return watcher.Query(sql).rows[0][0] == "1"; };
  const auto end = Clock::now() + seconds(120);
  while (!at_work() && Clock::now() < end) {
  }
  first_->Signal(SIGSTOP);
  EXPECT_TRUE(at_work()) << "it was not met at work";
  ExpectReplaced(was);
  Walk("verify");
  first_->Signal(SIGCONT);
  std::this_thread::sleep_for(milliseconds(500));
  const std::string before = Tables();
  Walk("cutover", 50);
  EXPECT_EQ(Tables(), before);
  ExpectBothSidesAgree();
}

// Right behind ALTERs on the way through all phases, and behind the note of them: the server makes it, and nobody hears of that.
// Whoever leads next stops behind the next one.
TEST_P(LeaderAlter, ThatEndsUnheardIsSeenByTheNext) {
  const std::string needle = "ALTER TABLE `shop`";
  int stops = 0;
  for (const std::vector<std::string>& phase : std::vector<std::vector<std::string>>{{"verify"}, {"cutover", "--percent", "100"}, {"done"}}) {
    SCOPED_TRACE(phase[0]);
    for (Member& member : members_) member.relay->HoldBehind(needle);
    Ask(phase, needle);
    const auto end = Clock::now() + seconds(120);
    for (int i = 0; Clock::now() < end && Value("SELECT phase FROM crossfade.migrations") != phase[0]; i = 1 - i) {
      Member &member = members_[i], &other = members_[1 - i];
      if (member.relay->held()) {
        const std::string was = Value("SELECT connection_id FROM crossfade.leader");
        member.proxy->Signal(SIGSTOP);
        member.relay->Join();
        other.proxy->Signal(SIGCONT);
        WaitFor(fmt::format("SELECT COUNT(*) FROM crossfade.proxies WHERE id LIKE '%-{}-%' AND expires > UTC_TIMESTAMP(6)", other.proxy->pid()), "1");
        other.relay->HoldBehind(needle);  // it has told of what it did before it stopped, on a connection that is gone
        ExpectReplaced(was);
        if (HasFailure()) return;
        ++stops;
      }
      std::this_thread::sleep_for(milliseconds(5));
    }
    for (Member& member : members_) {
      member.relay->HoldBehind("");
      member.relay->Join();
      member.proxy->Signal(SIGCONT);
    }
    Walk(phase[0], phase[0] == "cutover" ? 100 : -1);
    if (HasFatalFailure()) return;
    if (phase[0] != "done") ExpectBothSidesAgree();
  }
  fmt::print("{} leaders stopped behind an ALTER\n", stops);
  EXPECT_GE(stops, 5);
  EXPECT_EQ(Value("SELECT COUNT(*) FROM shop.orders o LEFT JOIN shop.items i ON i.item_no = o.item WHERE o.item IS NOT NULL AND i.item_no IS NULL"), "0");
  EXPECT_EQ(Value("SELECT COUNT(*) FROM shop.orders"), std::to_string(walk::kThreads * walk::kOrders));
  EXPECT_EQ(Value("SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'shop' AND column_name LIKE '%crossfade%'"), "0");
}

INSTANTIATE_TEST_SUITE_P(Engines, LeaderAlter, testing::Values(Engine::kMariaDb, Engine::kMySql), EngineOf);

}  // namespace
}  // namespace crossfade::fleet
