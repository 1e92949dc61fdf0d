// SPDX-License-Identifier: Apache-2.0
// A server of either engine with fresh schemas for one test. CROSSFADE_TEST_MARIADB and CROSSFADE_TEST_MYSQL name
// ports of servers to use in place of private ones (user root, no password); their schemas cf_* are dropped.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "backfill/connection.h"
#include "backfill/control.h"
#include "config/load.h"
#include "fmt/format.h"
#include "tests/servers/server.h"

#define ASSERT_OK(expression)                     \
  do {                                            \
    const absl::Status ok_status = (expression);  \
    ASSERT_TRUE(ok_status.ok()) << ok_status;     \
  } while (false)

namespace crossfade::backfill {

inline absl::Status StatusOf(const absl::Status& status) { return status; }
template <typename T>
absl::Status StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

class ServerTest : public testing::TestWithParam<servers::Engine> {
 protected:
  static constexpr char kControl[] = "cf_control", kData[] = "cf_data";

  void SetUp() override {
    const char* port = std::getenv(GetParam() == servers::Engine::kMySql ? "CROSSFADE_TEST_MYSQL" : "CROSSFADE_TEST_MARIADB");
    if (port != nullptr) {
      address_ = fmt::format("127.0.0.1:{}", port);
    } else {
      auto server = servers::Server::Start(GetParam());
      ASSERT_TRUE(server.ok()) << server.status();
      server_ = *std::move(server);
      address_ = server_->address();
    }
    config_ = Load("[]");
    auto connection = Connection::Open(*config_);
    ASSERT_TRUE(connection.ok()) << connection.status();
    db_ = std::make_unique<Connection>(*std::move(connection));
    Run(fmt::format("DROP DATABASE IF EXISTS {}", kControl));
    Run(fmt::format("DROP DATABASE IF EXISTS {}", kData));
    Run(fmt::format("CREATE DATABASE {} CHARACTER SET utf8mb4", kData));
    Run(fmt::format("USE {}", kData));
  }

  // A config with these migrations (YAML, flow or block) and limits that suit a test.
  std::shared_ptr<const config::Config> Load(const std::string& migrations, const std::string& limits = "") {
    auto parsed = config::Parse(
        fmt::format("listen: [{{address: '127.0.0.1:1', backend: primary}}]\nbackends: {{primary: {{address: '{}'}}}}\n"
                    "control: {{backend: primary, user: root, schema: {}}}\nlimits: {{{}}}\nmigrations: {}\n",
                    address_, kControl, limits, migrations),
        "test.yaml");
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    return std::make_shared<const config::Config>(parsed.ok() ? *std::move(parsed) : config::Config());
  }

  Connection Open() {
    auto connection = Connection::Open(*config_);
    EXPECT_TRUE(connection.ok()) << connection.status();
    EXPECT_TRUE(connection->Execute(fmt::format("USE {}", kData)).ok());
    return *std::move(connection);
  }

  void Run(const std::string& sql) {
    auto result = db_->Execute(sql);
    ASSERT_TRUE(result.ok()) << sql << ": " << result.status();
  }

  // The first value of the first row; "NULL", or "" where there is no row.
  std::string Value(const std::string& sql) {
    auto rows = db_->Query(sql);
    EXPECT_TRUE(rows.ok()) << sql << ": " << rows.status();
    if (!rows.ok() || rows->rows.empty()) return "";
    return rows->rows[0][0].value_or("NULL");
  }

  bool IsMariaDb() const { return GetParam() == servers::Engine::kMariaDb; }

  std::unique_ptr<servers::Server> server_;
  std::string address_;
  std::shared_ptr<const config::Config> config_;
  std::unique_ptr<Connection> db_;
};

#define ON_EACH_ENGINE(suite)                                                                                          \
  INSTANTIATE_TEST_SUITE_P(Engines, suite, testing::Values(servers::Engine::kMariaDb, servers::Engine::kMySql),        \
                           [](const auto& info) { return servers::EngineName(info.param); })

}  // namespace crossfade::backfill
