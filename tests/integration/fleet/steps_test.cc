// SPDX-License-Identifier: Apache-2.0
// A proxy that dies behind any step of a write that takes several (strategy B): all of it is there or nothing, the locks are free,
// and another proxy goes on at once.
#include "tests/integration/fleet/fixture.h"
#include "tests/servers/relay.h"

namespace crossfade::fleet {
namespace {

constexpr char kMigration[] =
    "  - name: contact\n    schema: shop\n    phase: observe\n    columns:\n"
    "      - {table: customer, old: [phone], new: {digits: {type: bigint unsigned, from: \"CAST(phone AS UNSIGNED)\"}}, back: {phone: \"CAST(digits AS CHAR)\"}}\n";
constexpr char kDrift[] = "SELECT COUNT(*) FROM shop.customer WHERE NOT (digits <=> CAST(phone AS UNSIGNED))";

class Steps : public ShopFixture {
 protected:
  void SetUp() override {
    StartServer();
    Do("CREATE TABLE shop.customer (id int NOT NULL PRIMARY KEY, phone varchar(24) NULL)");
    Do("CREATE TABLE shop.imports (customer int NOT NULL PRIMARY KEY, phone varchar(24) NULL)");
    for (int i = 1; i <= 20; ++i) {
      Do(fmt::format("INSERT INTO shop.customer VALUES ({}, '{}')", i, 100 + i));
      Do(fmt::format("INSERT INTO shop.imports VALUES ({}, '{}')", i, 100 + i));
    }
    auto relay = servers::Relay::Start(server_->port());
    ASSERT_TRUE(relay.ok()) << relay.status();
    relay_ = *std::move(relay);
    // The other one leads, so that what passes through the relay is sessions' alone.
    leader_ = Proxy({.migrations = kMigration, .limits = kLimits});
    ASSERT_NE(leader_, nullptr);
    WaitFor("SELECT COUNT(*) FROM crossfade.leader", "1");
    victim_ = Proxy({.backend = relay_->address(), .migrations = kMigration, .limits = kLimits});
    ASSERT_NE(victim_, nullptr);
  }

  // The UPDATE through the victim, which is killed behind `step`. Both sides are as before or as after, in all rows.
  void DieBehind(const std::string& step, bool in_transaction) {
    SCOPED_TRACE(step);
    ++round_;
    Do(fmt::format("UPDATE shop.imports SET phone = customer + {}", round_ * 1'000));
    const std::string before = Value("SELECT MIN(phone - id) FROM shop.customer");
    {
      Client client = Connect(victim_->port());
      if (in_transaction) ASSERT_TRUE(client.Query("BEGIN").ok());
      relay_->HoldBehind(step);
      std::thread writer([&] {
        EXPECT_FALSE(client.Query("UPDATE customer c JOIN imports i ON i.customer = c.id SET c.phone = i.phone").ok());
        mysql_thread_end();
      });
      const auto end = Clock::now() + seconds(10);
      while (!relay_->held() && Clock::now() < end) std::this_thread::sleep_for(milliseconds(2));
      EXPECT_TRUE(relay_->held()) << "no such step";
      victim_->Kill();
      writer.join();
      relay_->Join();
    }
    // Through the other proxy at once: it waits for the rows while the server has not seen the connection go.
    Client other = Connect(leader_->port());
    const Reply touched = other.Query("UPDATE customer c JOIN imports i ON i.customer = c.id SET c.phone = c.phone WHERE c.id > 0");
    EXPECT_TRUE(touched.ok()) << touched.message;
    EXPECT_EQ(Value(kDrift), "0");
    EXPECT_EQ(Value("SELECT COUNT(DISTINCT phone - id) FROM shop.customer"), "1") << "half of it is there";
    const std::string after = Value("SELECT MIN(phone - id) FROM shop.customer");
    EXPECT_TRUE(after == before || (!in_transaction && after == std::to_string(round_ * 1'000))) << before << " became " << after;
    done_ += after != before;
    ASSERT_TRUE(victim_->StartAgain().ok());
    WaitFor("SELECT COUNT(*) FROM crossfade.proxies WHERE expires > UTC_TIMESTAMP(6)", "2");
  }

  static constexpr char kLimits[] = "  control_poll: 50ms\n  lease: 1s\n";
  std::unique_ptr<servers::Relay> relay_;
  CrossfadeProcess *leader_ = nullptr, *victim_ = nullptr;
  int round_ = 0, done_ = 0;
};

TEST_P(Steps, AProxyDiesBehindEachStepOfAWrite) {
  for (const char* phase : {"dual_write", "verify", "cutover"}) {
    SCOPED_TRACE(phase);
    const absl::Status status = leader_->WalkTo("contact", phase, std::string_view(phase) == "cutover" ? 50 : -1, seconds(60));
    ASSERT_TRUE(status.ok()) << status;
    if (std::string_view(phase) == "dual_write") Do("UPDATE shop.customer SET digits = CAST(phone AS UNSIGNED)");
    done_ = 0;
    for (const char* step : {"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SET autocommit = 0", "FROM customer c JOIN imports", "SET c.phone = i.phone", "`digits` = ", "COMMIT AND NO CHAIN"})
      DieBehind(step, false);
    EXPECT_EQ(done_, 1) << "behind COMMIT it is there";
    for (const char* step : {"FROM customer c JOIN imports", "SAVEPOINT crossfade_image", "SET c.phone = i.phone", "`digits` = ", "RELEASE SAVEPOINT crossfade_image"}) DieBehind(step, true);
    if (HasFailure()) return;
  }
  const CommandResult verified = leader_->Run("verify", {"contact"});
  EXPECT_EQ(verified.exit_code, 0) << verified.output;
}

INSTANTIATE_TEST_SUITE_P(Engines, Steps, testing::Values(Engine::kMariaDb, Engine::kMySql), EngineOf);

}  // namespace
}  // namespace crossfade::fleet
