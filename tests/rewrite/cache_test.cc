// SPDX-License-Identifier: Apache-2.0
// The plan cache: what shares a plan, what must not, and its bound.
#include "rewrite/cache.h"

#include <gtest/gtest.h>

#include "tests/rewrite/golden_schema.h"

namespace crossfade::rewrite {
namespace {

using config::Phase;

struct Fixture : testing::Test {
  Planner planner{100};
  SessionFacts facts;
  std::shared_ptr<const Snapshot> snapshot = GoldenSnapshot({"", Phase::kVerify, false});
  Fixture() { facts.schema = "deb"; }

  std::string Text(const std::string& sql, std::vector<uint64_t> keys = {7, 8, 9}) {
    const auto plan = planner.PlanQuery(*snapshot, facts, sql);
    keys.resize(plan->key_slots.size());
    auto text = Render(*plan, facts, snapshot->catalog.dialect, sql, keys);
    EXPECT_TRUE(text.ok()) << text.status();
    return text.ok() ? *text : "";
  }
};

TEST_F(Fixture, OtherLiteralsOfTheSameShapeShareAPlan) {
  EXPECT_EQ(Text("INSERT INTO packages (name, size) VALUES ('a', 1)"), "INSERT INTO packages (name, size, `id`) VALUES ('a', 1, 7)");
  EXPECT_EQ(Text("INSERT INTO packages (name, size) VALUES ('longer ''name''', 123456)"),
            "INSERT INTO packages (name, size, `id`) VALUES ('longer ''name''', 123456, 7)");
  EXPECT_EQ(planner.hits(), 1u);
  EXPECT_EQ(planner.misses(), 1u);
}

TEST_F(Fixture, AnotherShapeIsAnotherPlan) {
  EXPECT_EQ(Text("SELECT size FROM packages WHERE name = 'a'"), "SELECT size FROM packages WHERE name = 'a'");
  EXPECT_EQ(Text("SELECT size FROM packages WHERE name = 17"), "SELECT size FROM packages WHERE `packages`.`id` = 17");
  EXPECT_EQ(Text("SELECT size FROM packages WHERE name = 18"), "SELECT size FROM packages WHERE `packages`.`id` = 18");
  EXPECT_EQ(planner.misses(), 2u);
}

// The item's name is the text of the item, literals and white space included.
TEST_F(Fixture, NamesOfItemsAreNotShared) {
  EXPECT_EQ(Text("SELECT name = 17 FROM packages"), "SELECT `packages`.`id` = 17 AS `name = 17` FROM packages");
  EXPECT_EQ(Text("SELECT name = 18 FROM packages"), "SELECT `packages`.`id` = 18 AS `name = 18` FROM packages");
  EXPECT_EQ(Text("SELECT name =  18 FROM packages"), "SELECT `packages`.`id` =  18 AS `name =  18` FROM packages");
}

TEST_F(Fixture, EveryFactIsPartOfTheKey) {
  const std::string sql = "INSERT INTO packages (name) VALUES ('a')";
  Text(sql);
  const auto misses = [&] {
    planner.PlanQuery(*snapshot, facts, sql);
    return planner.misses();
  };
  EXPECT_EQ(misses(), 1u);
  facts.schema = "other";
  EXPECT_EQ(misses(), 2u);
  facts.schema = "deb";
  facts.sql_mode = kNoBackslashEscapes;
  EXPECT_EQ(misses(), 3u);
  facts.foreign_key_checks = false;
  EXPECT_EQ(misses(), 4u);
  facts.charset = "latin1";
  EXPECT_EQ(misses(), 5u);
  facts.new_cohort = 1;
  EXPECT_EQ(misses(), 6u);
  snapshot = GoldenSnapshot({"", Phase::kVerify, false});  // another epoch
  EXPECT_EQ(misses(), 7u);
  planner.PlanPrepared(*snapshot, facts, sql, {});
  EXPECT_EQ(planner.misses(), 8u);
  EXPECT_EQ(misses(), 8u);
}

TEST_F(Fixture, HintsThatTurnChecksOffAreSeen) {
  EXPECT_EQ(planner.PlanQuery(*snapshot, facts, "INSERT /*+ x */ INTO packages (name) VALUES ('a')")->strategy, Strategy::kOneStatement);
  EXPECT_EQ(planner.PlanQuery(*snapshot, facts, "INSERT /*+ SET_VAR(foreign_key_checks=0) */ INTO packages (name) VALUES ('a')")->strategy,
            Strategy::kRefuse);
}

// What RenderTo takes from the last planning is as Render has it, and other texts and facts are lexed anew.
TEST_F(Fixture, RenderToIsRender) {
  std::string text = "INSERT INTO packages (name) VALUES ('a')";
  const auto plan = planner.PlanQuery(*snapshot, facts, text);
  const auto both = [&](const std::string& sql, const SessionFacts& of) {
    std::string out = "before: ";
    const absl::Status status = planner.RenderTo(*plan, of, snapshot->catalog.dialect, sql, {7}, Form::kPlain, &out);
    const auto rendered = Render(*plan, of, snapshot->catalog.dialect, sql, {7});
    EXPECT_EQ(status.ok(), rendered.ok());
    EXPECT_EQ(out, "before: " + (rendered.ok() ? *rendered : ""));
    return out.substr(8);
  };
  EXPECT_EQ(both(text, facts), "INSERT INTO packages (name, `id`) VALUES ('a', 7)");
  EXPECT_EQ(both("INSERT INTO packages (name) VALUES ('other')", facts), "INSERT INTO packages (name, `id`) VALUES ('other', 7)");
  planner.PlanQuery(*snapshot, facts, "SELECT 1 FROM packages WHERE name = 'x'");
  EXPECT_EQ(both(text, facts), "INSERT INTO packages (name, `id`) VALUES ('a', 7)");
  text = "INSERT INTO packages (name) VALUES ('\\')";
  planner.PlanQuery(*snapshot, facts, text);
  EXPECT_EQ(both(text, facts), "");  // the string has no end
  facts.sql_mode |= kNoBackslashEscapes;
  EXPECT_EQ(both(text, facts), "INSERT INTO packages (name, `id`) VALUES ('\\', 7)");
  planner.PlanQuery(*snapshot, facts, text);
  EXPECT_EQ(both(text, facts), "INSERT INTO packages (name, `id`) VALUES ('\\', 7)");
}

TEST_F(Fixture, EntriesAreCounted) {
  for (int i = 0; i < 120; ++i) Text("SELECT size AS s" + std::to_string(i) + " FROM packages");
  EXPECT_EQ(planner.entries(), 100u);
  EXPECT_EQ(planner.misses(), 120u);
}

TEST(PlanCache, LeastRecentlyUsedGoesFirst) {
  PlanCache cache(2);
  const auto plan = std::make_shared<const Plan>();
  cache.Put("a", plan);
  cache.Put("b", plan);
  EXPECT_NE(cache.Find("a"), nullptr);
  cache.Put("c", plan);
  EXPECT_EQ(cache.size(), 2u);
  EXPECT_NE(cache.Find("a"), nullptr);
  EXPECT_EQ(cache.Find("b"), nullptr);
  EXPECT_NE(cache.Find("c"), nullptr);
  PlanCache none(0);
  none.Put("a", plan);
  EXPECT_EQ(none.Find("a"), nullptr);
}

}  // namespace
}  // namespace crossfade::rewrite
