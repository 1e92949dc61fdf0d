// SPDX-License-Identifier: Apache-2.0
// The fixtures themselves: both engines start, survive a kill, and the client keeps what a reply holds.
#include <gtest/gtest.h>

#include "tests/servers/client.h"
#include "tests/servers/crossfade_process.h"
#include "tests/servers/server.h"

namespace crossfade::servers {
namespace {

class EachEngine : public testing::TestWithParam<Engine> {};

TEST_P(EachEngine, StartsAnswersAndComesBackAfterAKill) {
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(GetParam());
  ASSERT_TRUE(server.ok()) << server.status();
  {
    absl::StatusOr<Client> client = Client::Connect({.port = (*server)->port()});
    ASSERT_TRUE(client.ok()) << client.status();
    EXPECT_TRUE(client->Query("create database t").ok());
    EXPECT_TRUE(client->Query("create table t.a (id int primary key, s varchar(9))").ok());
    const Reply insert = client->Query("insert into t.a values (1,'x'),(2,NULL)");
    EXPECT_EQ(insert.affected, 2u);
    EXPECT_EQ(insert.info, "Records: 2  Duplicates: 0  Warnings: 0");
    const Reply twice = client->Query("insert into t.a values (1,'x')");
    EXPECT_EQ(twice.error, 1062u);
    EXPECT_EQ(twice.sqlstate, "23000");
    (*server)->Kill();
    EXPECT_TRUE(client->Query("select 1").lost());
  }
  ASSERT_TRUE((*server)->StartAgain().ok()) << (*server)->log();
  absl::StatusOr<Client> client = Client::Connect({.port = (*server)->port(), .database = "t"});
  ASSERT_TRUE(client.ok()) << client.status();
  const Reply text = client->Query("select id, s from a order by id");
  const Reply binary = client->Execute("select id, s from a where id > ? order by id", {int64_t{0}});
  ASSERT_EQ(text.rows.size(), 2u);
  EXPECT_EQ(text.rows[1][1], std::nullopt);
  EXPECT_EQ(text.columns[1].name, "s");
  EXPECT_EQ(binary.rows, text.rows);
  EXPECT_TRUE((*server)->Stop().ok());
}

INSTANTIATE_TEST_SUITE_P(Servers, EachEngine, testing::Values(Engine::kMariaDb, Engine::kMySql),
                         [](const auto& info) { return EngineName(info.param); });

TEST(Command, GivesExitCodeAndOutput) {
  const CommandResult result = RunCommand({"sh", "-c", "echo out; echo err >&2; exit 3"}, std::chrono::seconds(10));
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.output, "out\nerr\n");
  EXPECT_EQ(RunCommand({"sleep", "30"}, std::chrono::milliseconds(50)).exit_code, -1);
}

TEST(LastLines, GivesTheEnd) {
  EXPECT_EQ(LastLines("a\nb\nc\n", 2), "b\nc\n");
  EXPECT_EQ(LastLines("a\n", 5), "a\n");
}

}  // namespace
}  // namespace crossfade::servers
