// SPDX-License-Identifier: Apache-2.0
// What the tests of several proxies have in common: a private server with the shop's tables, proxies before it that the fixture
// owns, clients directly and through them, and waiting for what the database says.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fmt/format.h"
#include "tests/integration/walk/load.h"
#include "tests/servers/client.h"
#include "tests/servers/crossfade_process.h"
#include "tests/servers/server.h"

namespace crossfade::fleet {

using servers::Client;
using servers::CommandResult;
using servers::CrossfadeProcess;
using servers::Engine;
using servers::Reply;
using servers::Server;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

class ShopFixture : public testing::TestWithParam<Engine> {
 protected:
  void SetUp() override { StartServer(); }
  void StartServer(servers::ServerOptions options = {}) {
    auto server = Server::Start(GetParam(), std::move(options));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    for (const std::string& sql : walk::CreateShop()) Do(sql);
  }
  void TearDown() override {
    for (const auto& proxy : proxies_) {
      proxy->Signal(SIGCONT);
      if (HasFailure()) fmt::print("a proxy's log ends so:\n{}\n", servers::LastLines(proxy->log(), 15));
    }
  }

  // Before the server and with the shop's migration, unless `options` says otherwise. Null: it did not start.
  CrossfadeProcess* Proxy(servers::CrossfadeOptions options) {
    if (options.backend.empty()) options.backend = server_->address();
    if (options.migrations.empty()) options.migrations = walk::ShopMigration();
    auto proxy = CrossfadeProcess::Start(options);
    EXPECT_TRUE(proxy.ok()) << proxy.status();
    if (!proxy.ok()) return nullptr;
    return proxies_.emplace_back(*std::move(proxy)).get();
  }

  Client Connect(int port, unsigned timeout = 20) {
    auto client = Client::Connect({.port = port, .database = "shop", .timeout_s = timeout});
    EXPECT_TRUE(client.ok()) << client.status();
    return *std::move(client);
  }
  Client Direct() { return Connect(server_->port(), 60); }
  void Do(const std::string& sql) {
    auto direct = Client::Connect({.port = server_->port()});
    ASSERT_TRUE(direct.ok()) << direct.status();
    const Reply reply = direct->Query(sql);
    ASSERT_TRUE(reply.ok()) << reply.message << ": " << sql.substr(0, 200);
  }
  // Of the first row; an error's message, also where the server is away.
  std::string Value(const std::string& sql) {
    auto direct = Client::Connect({.port = server_->port()});
    if (!direct.ok()) return std::string(direct.status().message());
    const Reply reply = direct->Query(sql);
    return !reply.ok() || reply.rows.empty() ? reply.message : reply.rows[0][0].value_or("NULL");
  }
  void WaitFor(const std::string& sql, const std::string& value, seconds limit = seconds(60)) {
    const auto end = Clock::now() + limit;
    std::string found;
    while ((found = Value(sql)) != value && Clock::now() < end) std::this_thread::sleep_for(milliseconds(10));
    EXPECT_EQ(found, value) << sql;
  }
  uint64_t Epoch() { return std::stoull(Value("SELECT epoch FROM crossfade.state")); }
  // new = f(old), read directly.
  void ExpectBothSidesAgree() {
    EXPECT_EQ(Value("SELECT COUNT(*) FROM shop.items WHERE item_no IS NULL OR item_no = 0"), "0");
    EXPECT_EQ(Value("SELECT COUNT(*) FROM (SELECT 1 FROM shop.items GROUP BY item_no HAVING COUNT(*) > 1) d"), "0");
    EXPECT_EQ(Value("SELECT COUNT(*) FROM shop.orders o WHERE NOT item_ref <=> (SELECT item_no FROM shop.items i WHERE i.code = o.item)"), "0");
  }

  std::unique_ptr<Server> server_;
  std::vector<std::unique_ptr<CrossfadeProcess>> proxies_;
};

inline std::string EngineOf(const testing::TestParamInfo<Engine>& info) { return servers::EngineName(info.param); }

}  // namespace crossfade::fleet
