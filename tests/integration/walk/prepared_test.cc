// SPDX-License-Identifier: Apache-2.0
// ProxySQL 965: what a statement was said to return when it was prepared, after a column has been added behind it. A statement
// prepared before the migration began goes on through all phases, with the columns that it had.
#include <gtest/gtest.h>

#include "fmt/format.h"
#include "tests/integration/walk/load.h"
#include "tests/servers/crossfade_process.h"
#include "tests/servers/server.h"

namespace crossfade::walk {
namespace {

using servers::Client;
using servers::CrossfadeProcess;
using servers::Engine;
using servers::Reply;

class PreparedTest : public testing::TestWithParam<Engine> {};

std::vector<std::string> Names(const Reply& reply) {
  std::vector<std::string> names;
  for (const servers::ReplyColumn& column : reply.columns) names.push_back(column.name);
  return names;
}

TEST_P(PreparedTest, AStatementPreparedBeforeItBeganKeepsItsColumns) {
  auto server = servers::Server::Start(GetParam());
  ASSERT_TRUE(server.ok()) << server.status();
  auto direct = Client::Connect({.port = (*server)->port()});
  ASSERT_TRUE(direct.ok());
  for (const std::string& sql : CreateShop()) ASSERT_TRUE(direct->Query(sql).ok());
  ASSERT_TRUE(direct->Query("INSERT INTO shop.items (code, label) VALUES ('here', 'l')").ok());
  auto proxy = CrossfadeProcess::Start({.backend = (*server)->address(), .migrations = ShopMigration()});
  ASSERT_TRUE(proxy.ok()) << proxy.status();
  auto client = Client::Connect({.port = (*proxy)->port(), .database = "shop"});
  ASSERT_TRUE(client.ok()) << client.status();
  std::unique_ptr<servers::Statement> star, insert;
  ASSERT_TRUE(client->Prepare("SELECT * FROM items WHERE code = ?", &star).ok());
  ASSERT_TRUE(client->Prepare("INSERT INTO items (code, label) VALUES (?, ?)", &insert).ok());
  const Reply first = star->Execute({std::string("here")});
  ASSERT_TRUE(first.ok()) << first.message;
  ASSERT_EQ(first.rows.size(), 1u);
  int number = 0;
  for (const char* phase : {"expand", "dual_write", "backfill", "verify", "cutover"}) {
    SCOPED_TRACE(phase);
    const absl::Status walked = (*proxy)->WalkTo("shop", phase);
    ASSERT_TRUE(walked.ok()) << walked;
    const std::string code = fmt::format("new-{}", number++);
    const Reply written = insert->Execute({code, std::string("l")});
    EXPECT_EQ(written.affected, 1u) << written.message;
    for (const std::string& value : {std::string("here"), code}) {
      const Reply reply = star->Execute({value});
      ASSERT_TRUE(reply.ok()) << reply.message;
      EXPECT_EQ(Names(reply), Names(first));
      ASSERT_EQ(reply.rows.size(), 1u);
      EXPECT_EQ(reply.rows[0].size(), first.rows[0].size());
    }
  }
  const Reply missing = direct->Query("SELECT COUNT(*) FROM shop.items WHERE item_no IS NULL");
  ASSERT_EQ(missing.rows.size(), 1u) << missing.message;
  EXPECT_EQ(missing.rows[0][0].value_or("NULL"), "0");
}

INSTANTIATE_TEST_SUITE_P(Engines, PreparedTest, testing::Values(Engine::kMariaDb, Engine::kMySql),
                         [](const auto& info) { return servers::EngineName(info.param); });

}  // namespace
}  // namespace crossfade::walk
