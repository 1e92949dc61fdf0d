// SPDX-License-Identifier: Apache-2.0
// Which tables wait at the statement gate beside those that are held.
#include "backfill/relatives.h"

#include <algorithm>

#include "tests/backfill/fixture.h"

namespace crossfade::backfill {
namespace {

class RelativesTest : public ServerTest {};

TEST_P(RelativesTest, AllThatForeignKeysTieToThem) {
  for (const char* sql : {"CREATE TABLE top(id int PRIMARY KEY)", "CREATE TABLE middle(id int PRIMARY KEY, t int, FOREIGN KEY (t) REFERENCES top(id))",
                          "CREATE TABLE held(id int PRIMARY KEY, m int, h int, FOREIGN KEY (m) REFERENCES middle(id), FOREIGN KEY (h) REFERENCES held(id))",
                          "CREATE TABLE `a child$-x`(id int PRIMARY KEY, h int, FOREIGN KEY (h) REFERENCES held(id))",
                          "CREATE TABLE sibling(id int PRIMARY KEY, t int, FOREIGN KEY (t) REFERENCES top(id))", "CREATE TABLE `é`(id int PRIMARY KEY, s int, FOREIGN KEY (s) REFERENCES sibling(id))",
                          "CREATE TABLE stranger(id int PRIMARY KEY)"}) {
    Run(sql);
  }
  auto names = Relatives(*db_, {{"cf_data", "held"}});
  ASSERT_TRUE(names.ok()) << names.status();
  std::sort(names->begin(), names->end());
  EXPECT_EQ(*names, (std::vector<std::string>{"a child$-x", "middle", "top"}));
  names = Relatives(*db_, {{"cf_data", "held"}, {"cf_data", "middle"}});
  ASSERT_TRUE(names.ok()) << names.status();
  EXPECT_EQ(names->size(), 2u);
  names = Relatives(*db_, {{"cf_data", "stranger"}});
  ASSERT_TRUE(names.ok()) << names.status();
  EXPECT_TRUE(names->empty());
}

TEST(InnodbName, IsReadAsTheServersWriteIt) {
  std::pair<std::string, std::string> table;
  EXPECT_TRUE(ReadInnodbName("shop/order@0024s", &table));
  EXPECT_EQ(table, std::pair(std::string("shop"), std::string("order$s")));
  EXPECT_TRUE(ReadInnodbName("a@002db/x#P#p0", &table));
  EXPECT_EQ(table, std::pair(std::string("a-b"), std::string("x")));
  for (const char* name : {"", "noslash", "a/b@00", "a/b@zzzz"}) EXPECT_FALSE(ReadInnodbName(name, &table)) << name;
}

INSTANTIATE_TEST_SUITE_P(Engines, RelativesTest, testing::Values(servers::Engine::kMariaDb, servers::Engine::kMySql),
                         [](const auto& info) { return servers::EngineName(info.param); });

}  // namespace
}  // namespace crossfade::backfill
