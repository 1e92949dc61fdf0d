// SPDX-License-Identifier: Apache-2.0
// Who reads the new side in `cutover`: by user, by listener, by connection attribute, or a share of users that is the same
// through every proxy; and what one cohort writes, the other reads at once.
#include <algorithm>
#include <set>

#include "tests/integration/fleet/fixture.h"

namespace crossfade::fleet {
namespace {

class Cohorts : public ShopFixture {
 protected:
  void SetUp() override {
    StartServer();
    for (int i = 0; i < 40; ++i) {
      Do(fmt::format("CREATE USER user{}@'%'", i));
      Do(fmt::format("GRANT ALL ON shop.* TO user{}@'%'", i));
    }
  }

  // With one more listener, and in `cutover` where `percent` is not negative.
  CrossfadeProcess* CutOver(const std::string& cutover, int percent, int listener = servers::FreePort()) {
    CrossfadeProcess* proxy = Proxy({.migrations = walk::ShopMigration() + cutover,
                                     .listeners = fmt::format("  - {{address: \"127.0.0.1:{}\", backend: primary}}\n", listener),
                                     .limits = "  control_poll: 50ms\n  lease: 1s\n"});
    if (proxy == nullptr || percent < 0) return proxy;
    const absl::Status status = proxy->WalkTo("shop", "cutover", percent);
    EXPECT_TRUE(status.ok()) << status;
    return proxy;
  }

  // What a reference reads as: "new" where it is a number.
  static std::string Side(Client& client) {
    const Reply reply = client.Query("SELECT item FROM orders WHERE item IS NOT NULL ORDER BY id LIMIT 1");
    if (!reply.ok() || reply.rows.empty()) return "error: " + reply.message;
    return reply.rows[0][0]->find_first_not_of("0123456789") == std::string::npos ? "new" : "old";
  }
  static std::string SideOf(const servers::ConnectOptions& options) {
    auto client = Client::Connect(options);
    return client.ok() ? Side(*client) : std::string(client.status().message());
  }
};

TEST_P(Cohorts, ByUserAndListener) {
  const int listener = servers::FreePort();
  CrossfadeProcess* proxy = CutOver(fmt::format("    cutover: {{users: [user1, user2], listeners: [\"127.0.0.1:{}\"]}}\n", listener), 0, listener);
  ASSERT_NE(proxy, nullptr);
  for (int i = 0; i < 4; ++i) {
    const std::string user = fmt::format("user{}", i);
    EXPECT_EQ(SideOf({.port = proxy->port(), .user = user, .database = "shop"}), i == 1 || i == 2 ? "new" : "old") << user;
    EXPECT_EQ(SideOf({.port = listener, .user = user, .database = "shop"}), "new") << user;
  }
  // A connection that becomes another user's reads as that one.
  auto client = Client::Connect({.port = proxy->port(), .user = "user0", .database = "shop"});
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_EQ(Side(*client), "old");
  ASSERT_EQ(mysql_change_user(client->raw(), "user1", "", "shop"), 0) << mysql_error(client->raw());
  EXPECT_EQ(Side(*client), "new");
  ASSERT_TRUE(proxy->WalkTo("shop", "verify").ok());
  EXPECT_EQ(Side(*client), "old");
}

TEST_P(Cohorts, ByConnectionAttribute) {
  CrossfadeProcess* proxy = CutOver("    cutover: {attributes: {program_name: reports}}\n", 0);
  ASSERT_NE(proxy, nullptr);
  for (const char* program : {"reports", "shop"}) {
    MYSQL* mysql = mysql_init(nullptr);
    mysql_options4(mysql, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", program);
    ASSERT_NE(mysql_real_connect(mysql, "127.0.0.1", "root", "", "shop", static_cast<unsigned>(proxy->port()), nullptr, 0), nullptr) << mysql_error(mysql);
    ASSERT_EQ(mysql_query(mysql, "SELECT item FROM orders WHERE item IS NOT NULL ORDER BY id LIMIT 1"), 0) << mysql_error(mysql);
    MYSQL_RES* result = mysql_store_result(mysql);
    const std::string item = mysql_fetch_row(result)[0];
    mysql_free_result(result);
    mysql_close(mysql);
    EXPECT_EQ(item.find_first_not_of("0123456789") == std::string::npos, program == std::string("reports")) << item;
  }
}

TEST_P(Cohorts, AShareOfUsersIsTheSameThroughEveryProxy) {
  const std::string cutover = "    cutover: {sticky: user}\n";
  CrossfadeProcess* one = CutOver(cutover, 50);
  CrossfadeProcess* two = CutOver(cutover, -1);
  ASSERT_TRUE(one != nullptr && two != nullptr);
  std::set<std::string> fresh;
  for (int i = 0; i < 40; ++i) {
    const std::string user = fmt::format("user{}", i);
    const std::string side = SideOf({.port = one->port(), .user = user, .database = "shop"});
    if (side == "new") fresh.insert(user);
    for (int again = 0; again < 2; ++again) EXPECT_EQ(SideOf({.port = two->port(), .user = user, .database = "shop"}), side) << user;
  }
  EXPECT_GT(fresh.size(), 8u);
  EXPECT_LT(fresh.size(), 32u);
  // Whoever read the new side does so at a higher percentage too.
  ASSERT_TRUE(one->WalkTo("shop", "cutover", 80).ok());
  for (const std::string& user : fresh) EXPECT_EQ(SideOf({.port = two->port(), .user = user, .database = "shop"}), "new") << user;
}

TEST_P(Cohorts, WhatOneWritesTheOtherReadsAtOnce) {
  CrossfadeProcess* proxy = CutOver("    cutover: {users: [user1]}\n", 0);
  ASSERT_NE(proxy, nullptr);
  auto before = Client::Connect({.port = proxy->port(), .user = "user0", .database = "shop"}), after = Client::Connect({.port = proxy->port(), .user = "user1", .database = "shop"});
  ASSERT_TRUE(before.ok() && after.ok());
  for (int i = 0; i < 30; ++i) {
    const std::string code = fmt::format("both-{}", i);
    ASSERT_TRUE(before->Query(fmt::format("INSERT INTO items (code, label, stock) VALUES ('{}', '{}', 1)", code, code)).ok());
    const Reply number = after->Query(fmt::format("SELECT item_no FROM items WHERE code = '{}'", code));
    ASSERT_TRUE(number.ok() && number.rows.size() == 1) << number.message;
    const std::string no = *number.rows[0][0];
    const Reply by_number = after->Query(fmt::format("INSERT INTO orders (item, quantity, owner) VALUES ({}, 1, 99)", no));
    ASSERT_TRUE(by_number.ok()) << by_number.message;
    const Reply read = before->Query(fmt::format("SELECT item FROM orders WHERE id = {}", by_number.insert_id));
    ASSERT_TRUE(read.ok() && read.rows.size() == 1) << read.message;
    EXPECT_EQ(read.rows[0][0], code);
    const Reply by_code = before->Query(fmt::format("INSERT INTO orders (item, quantity, owner) VALUES ('{}', 1, 99)", code));
    ASSERT_TRUE(by_code.ok()) << by_code.message;
    const Reply found = after->Query(fmt::format("SELECT id, item FROM orders WHERE item = {} ORDER BY id", no));
    ASSERT_TRUE(found.ok() && found.rows.size() == 2) << servers::Describe(found);
    EXPECT_EQ(found.rows[0][1], no);
    EXPECT_EQ(found.rows[1][1], no);
    const Reply renamed = before->Query(fmt::format("UPDATE items SET code = '{0}-x' WHERE code = '{0}'", code));
    ASSERT_TRUE(renamed.ok()) << renamed.message;
    EXPECT_EQ(after->Query(fmt::format("SELECT COUNT(*) FROM orders WHERE item = '{}-x'", code)).rows[0][0], "2");
    ASSERT_TRUE(after->Query(fmt::format("DELETE FROM orders WHERE item = {}", no)).ok());
    EXPECT_EQ(before->Query(fmt::format("SELECT COUNT(*) FROM orders WHERE item = '{}-x'", code)).rows[0][0], "0");
  }
}

// A percent is one of connections, each for as long as it lives; whoever reads the new side does so at a higher one as well.
TEST_P(Cohorts, AShareOfConnectionsKeepsToItsSide) {
  CrossfadeProcess* proxy = CutOver("", 30);
  ASSERT_NE(proxy, nullptr);
  std::vector<Client> clients;
  for (int i = 0; i < 100; ++i) clients.push_back(Connect(proxy->port()));
  const auto sides = [&] {
    std::string all;
    for (Client& client : clients) all += Side(client).substr(0, 1);
    return all;
  };
  const std::string at_30 = sides();
  EXPECT_EQ(at_30.find_first_not_of("on"), std::string::npos) << at_30;
  EXPECT_NEAR(static_cast<double>(std::count(at_30.begin(), at_30.end(), 'n')), 30, 5);
  EXPECT_EQ(sides(), at_30);
  ASSERT_TRUE(proxy->WalkTo("shop", "cutover", 70).ok());
  const std::string at_70 = sides();
  EXPECT_NEAR(static_cast<double>(std::count(at_70.begin(), at_70.end(), 'n')), 70, 5);
  for (size_t i = 0; i < clients.size(); ++i) EXPECT_FALSE(at_30[i] == 'n' && at_70[i] != 'n') << i;
  ASSERT_TRUE(proxy->WalkTo("shop", "verify").ok());
  EXPECT_EQ(sides(), std::string(100, 'o'));
  ASSERT_TRUE(proxy->WalkTo("shop", "cutover", 30).ok());
  EXPECT_EQ(sides(), at_30);
}

TEST_P(Cohorts, TheFileMayChangeAtAnyTime) {
  CrossfadeProcess* proxy = CutOver("    cutover: {users: [user1]}\n", 0);
  ASSERT_NE(proxy, nullptr);
  auto one = Client::Connect({.port = proxy->port(), .user = "user1", .database = "shop"}), two = Client::Connect({.port = proxy->port(), .user = "user2", .database = "shop"});
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_EQ(Side(*one) + Side(*two), "newold");
  std::string text = servers::ReadFile(proxy->config_path());
  text.replace(text.find("[user1]"), 7, "[user2]");
  servers::WriteFile(proxy->config_path(), text);
  const auto end = Clock::now() + seconds(10);
  while (Side(*two) != "new" && Clock::now() < end) std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(Side(*one) + Side(*two), "oldnew");
}

INSTANTIATE_TEST_SUITE_P(Engines, Cohorts, testing::Values(Engine::kMariaDb, Engine::kMySql), EngineOf);

}  // namespace
}  // namespace crossfade::fleet
