// SPDX-License-Identifier: Apache-2.0
// A primary and a replica of either engine, replicating for real.
#pragma once

#include "tests/backfill/fixture.h"

namespace crossfade::backfill {

class ReplicatedTest : public ServerTest {
 protected:
  // `report`: the replica says its host to the primary, as report_host. `more`: arguments of both servers.
  void StartBoth(bool report, const std::vector<std::string>& more = {}) {
    const bool maria = IsMariaDb();
    std::vector<std::string> first = {"--log-bin=binlog", "--binlog-format=ROW", "--server-id=1"};
    first.insert(first.end(), more.begin(), more.end());
    auto primary = servers::Server::Start(GetParam(), {first});
    ASSERT_TRUE(primary.ok()) << primary.status();
    server_ = *std::move(primary);
    address_ = server_->address();
    std::vector<std::string> arguments = {"--server-id=2", "--log-bin=binlog", "--binlog-format=ROW"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    if (report) arguments.push_back("--report-host=127.0.0.1");
    auto replica = servers::Server::Start(GetParam(), {arguments});
    ASSERT_TRUE(replica.ok()) << replica.status();
    replica_server_ = *std::move(replica);
    config_ = Load("[]");
    auto connection = Connection::Open(*config_);
    ASSERT_TRUE(connection.ok()) << connection.status();
    db_ = std::make_unique<Connection>(*std::move(connection));
    auto at = db_->Query(maria ? "SHOW MASTER STATUS" : "SHOW BINARY LOG STATUS");
    ASSERT_TRUE(at.ok()) << at.status();
    ASSERT_FALSE(at->rows.empty());
    auto there = Connection::OpenAt(*config_, replica_server_->address());
    ASSERT_TRUE(there.ok()) << there.status();
    replica_ = std::make_unique<Connection>(*std::move(there));
    const std::string file = *at->rows[0][0], position = *at->rows[0][1];
    OnReplica(maria ? fmt::format("CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={}, MASTER_USER='root', MASTER_LOG_FILE='{}', MASTER_LOG_POS={}, MASTER_CONNECT_RETRY=1",
                                  server_->port(), file, position)
                    : fmt::format("CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={}, SOURCE_USER='root', SOURCE_LOG_FILE='{}', SOURCE_LOG_POS={},"
                                  " GET_SOURCE_PUBLIC_KEY=1, SOURCE_CONNECT_RETRY=1",
                                  server_->port(), file, position));
    OnReplica(maria ? "START SLAVE" : "START REPLICA");
    Run(fmt::format("CREATE DATABASE {} CHARACTER SET utf8mb4", kData));
    Run(fmt::format("USE {}", kData));
  }
  void SetUp() override {}

  void OnReplica(const std::string& sql) {
    auto done = replica_->Execute(sql);
    ASSERT_TRUE(done.ok()) << sql << ": " << done.status();
  }
  std::string ReplicaValue(const std::string& sql) {
    auto rows = replica_->Query(sql);
    return rows.ok() && !rows->rows.empty() ? rows->rows[0][0].value_or("NULL") : std::string(rows.status().message());
  }
  // The replica goes on fetching, but applies nothing until told to.
  void Applier(bool on) { OnReplica(fmt::format("{} {} SQL_THREAD", on ? "START" : "STOP", IsMariaDb() ? "SLAVE" : "REPLICA")); }

  std::unique_ptr<servers::Server> replica_server_;
  std::unique_ptr<Connection> replica_;
};

}  // namespace crossfade::backfill
