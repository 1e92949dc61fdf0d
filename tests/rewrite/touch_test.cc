// SPDX-License-Identifier: Apache-2.0
// MightTouch: a superset of the texts that name a migrating table.
#include "rewrite/touch.h"

#include <gtest/gtest.h>

#include "tests/rewrite/golden_schema.h"

namespace crossfade::rewrite {
namespace {

std::shared_ptr<const Snapshot> In(config::Phase phase, int lower_case_table_names = 0) {
  return GoldenSnapshot({"", phase, false}, {Flavor::kMySql, 90700}, lower_case_table_names);
}

TEST(Touch, FindsNamesInEverySpelling) {
  const auto snapshot = In(config::Phase::kDualWrite);
  for (const char* sql : {"SELECT * FROM packages", "select*from`packages`", "SELECT 1 FROM \"packages\"", "x PACKAGES", "packages",
                          "INSERT/**/INTO/*!50000 packages*/ VALUES ()", "SELECT '\\' FROM packages", "DELETE FROM deb.dependencies",
                          "-- packages", "SELECT 1;SELECT 2 FROM packages;", "(packages)", "PREPARE s FROM @x", "execute immediate @x"})
    EXPECT_TRUE(MightTouch(*snapshot, sql)) << sql;
}

TEST(Touch, IgnoresTheRest) {
  const auto snapshot = In(config::Phase::kDualWrite);
  for (const char* sql : {"", "SELECT 1", "SELECT * FROM packages2", "SELECT my_packages FROM t", "SELECT a$packages FROM t", "package",
                          "dependencie s", "SELECT 'é' FROM t", "EXECUTE s", "prepared"})
    EXPECT_FALSE(MightTouch(*snapshot, sql)) << sql;
}

TEST(Touch, NothingOnceFinished) {
  const auto snapshot = In(config::Phase::kDone);
  EXPECT_FALSE(MightTouch(*snapshot, "SELECT * FROM packages"));
  EXPECT_FALSE(MightTouch(*snapshot, "PREPARE s FROM @x"));
  EXPECT_FALSE(MightTouch(*MakeSnapshot(1, {}, {}), "SELECT * FROM packages"));
}

TEST(Touch, ObservedTablesAreFound) { EXPECT_TRUE(MightTouch(*In(config::Phase::kObserve), "SELECT * FROM Bears")); }

TEST(Touch, TheGateHoldsRelativesOfHeldMigrationsAlone) {
  EXPECT_EQ(In(config::Phase::kDualWrite)->gate, nullptr);
  std::vector<MigrationState> migrations(2);
  migrations[0].relatives = {"shipments", "Order Lines"};
  migrations[1].relatives = {"strangers"};
  EXPECT_EQ(MakeSnapshot(1, migrations, {})->gate, nullptr);
  migrations[0].held = true;
  const auto gate = MakeSnapshot(1, migrations, {})->gate;
  ASSERT_NE(gate, nullptr);
  for (const char* sql : {"INSERT INTO Shipments VALUES (1)", "DELETE FROM `order lines`", "CALL p()", "EXECUTE s"}) EXPECT_TRUE(gate->Matches(sql)) << sql;
  for (const char* sql : {"COMMIT", "ROLLBACK", "SELECT 1", "INSERT INTO strangers VALUES (1)"}) EXPECT_FALSE(gate->Matches(sql)) << sql;
  migrations[0].relatives.clear();
  EXPECT_EQ(MakeSnapshot(1, migrations, {})->gate, nullptr);
}

// U+212A is a 'k' to a server that folds table names.
TEST(Touch, FoldedLettersOutsideAscii) {
  EXPECT_TRUE(MightTouch(*In(config::Phase::kDualWrite, 1), "SELECT * FROM pac\xE2\x84\xAA" "ages"));
  EXPECT_FALSE(MightTouch(*In(config::Phase::kDualWrite, 0), "SELECT * FROM pac\xE2\x84\xAA" "ages"));
}

// Some hundred names, of every letter and of one: each is found, and nothing else.
TEST(Touch, ManyNames) {
  for (const bool one_letter : {false, true}) {
    std::vector<std::string> names;
    for (int i = 0; i < 300; ++i) names.push_back((one_letter ? std::string("t_") : std::string(1, static_cast<char>('a' + i % 26)) + "_") + std::to_string(i));
    const TouchSet set(names, false);
    for (const std::string& name : names) {
      EXPECT_TRUE(set.Matches("SELECT a FROM " + name + " WHERE b = 1")) << name;
      EXPECT_FALSE(set.Matches("SELECT a FROM " + name + "x WHERE b = 1")) << name;
      EXPECT_FALSE(set.Matches("SELECT a FROM x" + name + " WHERE b = 1")) << name;
    }
    EXPECT_FALSE(set.Matches("SELECT t_300, t_301 0 FROM t_1_ JOIN a_1 ON t = 2"));
  }
}

// Every place of a name in a text, over the edges of the blocks that are scanned at once.
TEST(Touch, EveryOffset) {
  const TouchSet set({"packages", "x9", "dependencies_of_packages"}, false);
  const TouchSet slow({"packages", "x9", "_t", "dependencies_of_packages"}, false);  // a word that begins with no letter
  for (size_t before = 0; before < 40; ++before) {
    for (size_t after = 0; after < 20; ++after) {
      const std::string left(before, '('), right(after, ')');
      for (const char* name : {"packages", "PACKAGES", "x9", "dependencies_of_packages"}) {
        EXPECT_TRUE(set.Matches(left + name + right)) << left + name + right;
        EXPECT_TRUE(slow.Matches(left + name + right));
        EXPECT_FALSE(set.Matches(left + "a" + name + right));
        EXPECT_FALSE(set.Matches(left + name + "\xC3" + right));
        EXPECT_FALSE(set.Matches(left + name + "$" + right));
      }
      EXPECT_TRUE(slow.Matches(left + "_T" + right));
    }
  }
}

TEST(Touch, NamesWithOtherCharacters) {
  const TouchSet set({"my table-of`things", "café", "order$items"}, false);
  EXPECT_TRUE(set.Matches("SELECT * FROM `my table-of``things`"));
  EXPECT_TRUE(set.Matches("SELECT * FROM `caf\xE9`"));  // latin1
  EXPECT_TRUE(set.Matches("SELECT * FROM Order$Items"));
  EXPECT_FALSE(set.Matches("SELECT * FROM table"));
  EXPECT_TRUE(TouchSet({"---"}, false).Matches("SELECT 1"));  // no word in it: everything might
}

}  // namespace
}  // namespace crossfade::rewrite
