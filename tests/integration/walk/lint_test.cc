// SPDX-License-Identifier: Apache-2.0
// `crossfade lint` on the logs that real servers write, with the live schema and with a dump of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "nlohmann/json.hpp"
#include "tests/servers/client.h"
#include "tests/servers/crossfade_process.h"
#include "tests/servers/server.h"

namespace crossfade::walk {
namespace {

using servers::Client;
using servers::CommandResult;
using servers::CrossfadeProcess;
using servers::Engine;
using servers::Server;

constexpr char kMigration[] =
    "  - name: keys\n    schema: zoo\n    phase: observe\n    keys:\n      - table: Caves\n        old: id\n        new: {column: newId, type: int unsigned, final: id}\n"
    "        references:\n          - {table: Bears, old: caveId, new: caveNewId}\n";

class LintTest : public testing::TestWithParam<Engine> {
 protected:
  void SetUp() override {
    const std::string template_name = (std::filesystem::temp_directory_path() / "crossfade-lint-XXXXXX").string();
    std::vector<char> name(template_name.begin(), template_name.end());
    name.push_back(0);
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    dir_ = name.data();
    std::filesystem::permissions(dir_, std::filesystem::perms::all);
    auto server = Server::Start(GetParam(), {.arguments = {"--general-log=1", "--general-log-file=" + dir_ + "/general.log", "--slow-query-log=1", "--slow-query-log-file=" + dir_ + "/slow.log",
                                                           "--long-query-time=0"}});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    auto direct = Client::Connect({.port = server_->port()});
    ASSERT_TRUE(direct.ok());
    for (const char* sql : {"CREATE DATABASE zoo", "CREATE TABLE zoo.Caves (id char(36) NOT NULL PRIMARY KEY, label varchar(50)) DEFAULT CHARSET=utf8mb4",
                            "CREATE TABLE zoo.Bears (id int AUTO_INCREMENT PRIMARY KEY, name varchar(50), caveId char(36) NOT NULL, CONSTRAINT c FOREIGN KEY (caveId) REFERENCES Caves(id)) DEFAULT CHARSET=utf8mb4"}) {
      ASSERT_TRUE(direct->Query(sql).ok()) << sql;
    }
    auto proxy = CrossfadeProcess::Start({.backend = server_->address(), .migrations = kMigration});
    ASSERT_TRUE(proxy.ok()) << proxy.status();
    proxy_ = *std::move(proxy);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  // The application, without a proxy in its way; SetUp's CREATE TABLEs are in the logs too.
  void Work() {
    auto client = Client::Connect({.port = server_->port(), .database = "zoo"});
    ASSERT_TRUE(client.ok());
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(client->Query("INSERT INTO Caves VALUES ('cave-" + std::to_string(i) + "', 'a\n;b')").ok());
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(client->Execute("INSERT INTO Bears (name, caveId) VALUES (?, ?)", {"Bo", "cave-" + std::to_string(i)}).ok());
    ASSERT_TRUE(client->Query("REPLACE INTO Caves SELECT CONCAT(id, 'x'), label FROM Caves").ok());
    ASSERT_TRUE(client->Query("SELECT *\nFROM Caves\nWHERE id = 'cave-1'").ok());
    ASSERT_TRUE(client->Query("USE mysql").ok());
    ASSERT_TRUE(client->Query("SELECT COUNT(*) FROM zoo.Bears").ok());
  }
  nlohmann::json Lint(std::vector<std::string> arguments, int exit_code) {
    arguments.push_back("--json");
    const CommandResult result = proxy_->Run("lint", arguments);
    EXPECT_EQ(result.exit_code, exit_code) << result.output;
    const nlohmann::json out = nlohmann::json::parse(result.output, nullptr, false);
    EXPECT_FALSE(out.is_discarded()) << result.output;
    return out;
  }
  static uint64_t Count(const nlohmann::json& report, const std::string& digest) {
    uint64_t count = 0;
    for (const auto& shape : report["shapes"]) count += shape["digest"] == digest ? shape["count"].get<uint64_t>() : 0;
    return count;
  }

  std::string dir_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<CrossfadeProcess> proxy_;
};

TEST_P(LintTest, TheLogsOfARealServer) {
  Work();
  for (const char* log : {"/general.log", "/slow.log"}) {
    const nlohmann::json report = Lint({dir_ + log}, 1);
    EXPECT_EQ(Count(report, "INSERT INTO Caves VALUES ( ? , ? )"), 5u) << log << report.dump(1);
    EXPECT_EQ(Count(report, "INSERT INTO Bears ( name , caveId ) VALUES ( ? , ? )"), 3u) << log << report.dump(1);
    EXPECT_EQ(report["C"], 3u) << log << report.dump(1);
    EXPECT_GT(report["untouched"], 2u) << log;
  }
  const CommandResult text = proxy_->Run("lint", {dir_ + "/general.log"});
  EXPECT_THAT(text.output, testing::AllOf(testing::HasSubstr("would be refused (C), 3 shapes"), testing::HasSubstr("insert the rows with VALUES"), testing::Not(testing::HasSubstr("cave-1"))));
}

TEST_P(LintTest, WithADumpOfTheSchemaAndInLaterPhases) {
  std::string dump = "USE `zoo`;\n";
  auto direct = Client::Connect({.port = server_->port()});
  ASSERT_TRUE(direct.ok());
  dump = "-- Server version\t" + direct->Query("SELECT @@version").rows[0][0].value_or("") + "\n" + dump;
  for (const char* table : {"Caves", "Bears"}) dump += direct->Query(std::string("SHOW CREATE TABLE zoo.") + table).rows[0][1].value_or("") + ";\n";
  std::ofstream(dir_ + "/schema.sql") << dump;
  std::ofstream(dir_ + "/work.sql") << "INSERT INTO Caves VALUES ('a', 'b');\nINSERT INTO Bears (name, caveId) VALUES ('x', UPPER('y'));\nSELECT * FROM Bears WHERE caveId > 'b';\n";
  server_.reset();  // nobody is asked
  const nlohmann::json observed = Lint({"--schema-file", dir_ + "/schema.sql", dir_ + "/work.sql"}, 0);
  EXPECT_EQ(observed["A"], 2u) << observed.dump(1);
  EXPECT_EQ(observed["untouched"], 1u) << observed.dump(1);
  const nlohmann::json retired = Lint({"--schema-file", dir_ + "/schema.sql", "--phase", "retire", dir_ + "/work.sql"}, 1);
  EXPECT_EQ(retired["C"], 2u) << retired.dump(1);
  const CommandResult missing = proxy_->Run("lint", {"--schema-file", dir_ + "/work.sql", dir_ + "/work.sql"});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_THAT(missing.output, testing::HasSubstr("has no table zoo.Caves"));
  EXPECT_THAT(proxy_->Run("lint", {"--schema-file", dir_ + "/schema.sql", dir_ + "/none"}).output, testing::HasSubstr("cannot be read"));
  EXPECT_THAT(proxy_->Run("lint", {"--schema-file", dir_ + "/schema.sql", "--phase", "night", dir_ + "/work.sql"}).output, testing::HasSubstr("there is no phase 'night'"));
}

INSTANTIATE_TEST_SUITE_P(Engines, LintTest, testing::Values(Engine::kMariaDb, Engine::kMySql), [](const auto& info) { return std::string(servers::EngineName(info.param)); });

}  // namespace
}  // namespace crossfade::walk
