// SPDX-License-Identifier: Apache-2.0
// What the tests of walks have in common: a private server with the application's tables, Crossfade before it, a client directly
// and one through the proxy.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "fmt/format.h"
#include "tests/servers/client.h"
#include "tests/servers/crossfade_process.h"
#include "tests/servers/server.h"

namespace crossfade::walk {

class WalkFixture : public testing::TestWithParam<servers::Engine> {
 protected:
  void StartServer() {
    auto server = servers::Server::Start(GetParam());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    auto direct = servers::Client::Connect({.port = server_->port()});
    ASSERT_TRUE(direct.ok()) << direct.status();
    direct_ = std::make_unique<servers::Client>(*std::move(direct));
  }
  void StartProxy(const std::string& migrations, const std::string& limits, const std::string& database) {
    auto proxy = servers::CrossfadeProcess::Start({.backend = server_->address(), .migrations = migrations, .limits = limits});
    ASSERT_TRUE(proxy.ok()) << proxy.status();
    proxy_ = *std::move(proxy);
    auto client = servers::Client::Connect({.port = proxy_->port(), .database = database});
    ASSERT_TRUE(client.ok()) << client.status();
    client_ = std::make_unique<servers::Client>(*std::move(client));
  }
  void TearDown() override {
    if (HasFailure() && proxy_ != nullptr) fmt::print("the proxy's log ends so:\n{}", servers::LastLines(proxy_->log(), 15));
  }

  // Directly.
  void Do(const std::string& sql) {
    const servers::Reply reply = direct_->Query(sql);
    ASSERT_TRUE(reply.ok()) << reply.message << ": " << sql.substr(0, 200);
  }
  std::string One(const std::string& sql) {
    const servers::Reply reply = direct_->Query(sql);
    EXPECT_TRUE(reply.ok()) << reply.message << ": " << sql;
    return !reply.ok() || reply.rows.empty() ? "no row" : reply.rows[0][0].value_or("NULL");
  }
  // Through the proxy.
  void Write(const std::string& sql, uint64_t affected) {
    const servers::Reply reply = client_->Query(sql);
    EXPECT_TRUE(reply.ok()) << reply.message << ": " << sql;
    EXPECT_EQ(reply.affected, affected) << sql;
  }
  void WalkTo(const std::string& migration, const std::string& phase, int percent = -1) {
    const absl::Status walked = proxy_->WalkTo(migration, phase, percent);
    ASSERT_TRUE(walked.ok()) << walked;
  }

  std::unique_ptr<servers::Server> server_;
  std::unique_ptr<servers::CrossfadeProcess> proxy_;
  std::unique_ptr<servers::Client> direct_, client_;
};

inline std::string EngineOf(const testing::TestParamInfo<servers::Engine>& info) { return servers::EngineName(info.param); }

}  // namespace crossfade::walk
