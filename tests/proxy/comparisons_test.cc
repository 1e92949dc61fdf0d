// SPDX-License-Identifier: Apache-2.0
// When two results of one read are the same: as sets, in order where the statement orders, and of a key only whether it is there.
#include "proxy/comparisons.h"

#include <gtest/gtest.h>

namespace crossfade::proxy {
namespace {

constexpr char kNull[] = "\xFB";

// Columns "label" and "item"; on the new side that is a key of the other shape.
SideResult Side(bool fresh, std::vector<std::vector<std::string>> rows) {
  SideResult side;
  side.columns = {{"label", "items", "label"}, {"item", "orders", fresh ? "item_ref" : "item"}};
  side.rows = std::move(rows);
  side.ok = true;
  return side;
}

std::shared_ptr<const rewrite::Snapshot> Shop() {
  std::vector<rewrite::MigrationState> migrations(1);
  config::KeyMigration& key = migrations[0].spec.keys.emplace_back();
  key.table = "items";
  key.old_column = "code";
  key.new_column = "item_no";
  config::KeyReference& reference = key.references.emplace_back();
  reference.table = "orders";
  reference.old_column = "item";
  reference.new_column = "item_ref";
  migrations[0].phase = config::Phase::kCutover;
  return rewrite::MakeSnapshot(1, std::move(migrations), {});
}

std::string Difference(std::vector<std::vector<std::string>> a, std::vector<std::vector<std::string>> b, const rewrite::Comparable& how = {.yes = true}) {
  return DifferenceOf(Side(false, std::move(a)), Side(true, std::move(b)), how, *Shop());
}

TEST(DifferenceOf, RowsAreASet) {
  EXPECT_EQ(Difference({{"x", "t1"}, {"y", "t2"}}, {{"y", "2"}, {"x", "1"}}), "");
  EXPECT_EQ(Difference({{"x", "t1"}, {"x", "t2"}, {"y", "t3"}}, {{"y", "2"}, {"x", "1"}, {"x", "9"}}), "");
  EXPECT_NE(Difference({{"x", "t1"}, {"x", "t2"}, {"y", "t3"}}, {{"y", "2"}, {"y", "1"}, {"x", "9"}}), "");
  EXPECT_EQ(Difference({{"x", "t1"}}, {{"z", "1"}}), "(x, a key) on the old side, (z, a key) on the new");
  EXPECT_EQ(Difference({{"x", "t1"}}, {}), "1 rows on the old side, 0 on the new");
}

TEST(DifferenceOf, OfAKeyOnlyWhetherItIsThere) {
  EXPECT_EQ(Difference({{"x", kNull}}, {{"x", kNull}}), "");
  EXPECT_EQ(Difference({{"x", "t1"}}, {{"x", kNull}}), "(x, a key) on the old side, (x, NULL) on the new");
  // Columns that are no such pair are compared as they are.
  SideResult a = Side(false, {{"x", "t1"}}), b = Side(false, {{"x", "t2"}});
  EXPECT_NE(DifferenceOf(a, b, {.yes = true}, *Shop()), "");
}

TEST(DifferenceOf, InOrderWhereTheStatementOrders) {
  const rewrite::Comparable by_label{.yes = true, .ordered = {"LABEL"}}, by_key{.yes = true, .ordered = {"item", "label"}}, unseen{.yes = true, .ordered = {"id", "label"}};
  EXPECT_NE(Difference({{"x", "t1"}, {"y", "t2"}}, {{"y", "2"}, {"x", "1"}}, by_label).find("row 1 in order"), std::string::npos);
  EXPECT_EQ(Difference({{"x", "t1"}, {"x", kNull}}, {{"x", kNull}, {"x", "1"}}, by_label), "");
  // Behind a key, or a column that is not shown, any order may be right.
  EXPECT_EQ(Difference({{"x", "t1"}, {"y", "t2"}}, {{"y", "2"}, {"x", "1"}}, by_key), "");
  EXPECT_EQ(Difference({{"x", "t1"}, {"y", "t2"}}, {{"y", "2"}, {"x", "1"}}, unseen), "");
  // With LIMIT other rows may have come for equal ones.
  const rewrite::Comparable limited{.yes = true, .limited = true, .ordered = {"label"}};
  EXPECT_EQ(Difference({{"x", "t1"}, {"x", kNull}}, {{"x", "7"}, {"x", "8"}}, limited), "");
  EXPECT_NE(Difference({{"x", "t1"}, {"x", kNull}}, {{"x", "7"}, {"y", "8"}}, limited), "");
}

TEST(Comparisons, AreSummedByMigrationAndDigestOfOneEpoch) {
  Comparisons comparisons;
  comparisons.Add({.migration = "m", .digest = "d", .epoch = 4, .compared = 1, .mismatches = 1, .old_us = 10, .new_us = 20, .sample = "s"});
  comparisons.Add({.migration = "m", .digest = "d", .epoch = 5, .compared = 1, .old_us = 1, .new_us = 2});
  comparisons.Add({.migration = "m", .digest = "d", .epoch = 5, .compared = 1, .mismatches = 1, .old_us = 3, .new_us = 4, .sample = "later"});
  comparisons.Add({.migration = "n", .digest = "d", .epoch = 5, .compared = 1});
  std::vector<backfill::ComparisonRow> rows;
  comparisons.Collect(&rows);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].compared, 2u);
  EXPECT_EQ(rows[0].mismatches, 1u);
  EXPECT_EQ(rows[0].old_us, 4);
  EXPECT_EQ(rows[0].new_us, 6);
  EXPECT_EQ(rows[0].sample, "later");
  rows.clear();
  comparisons.Collect(&rows);
  EXPECT_TRUE(rows.empty());
}

}  // namespace
}  // namespace crossfade::proxy
