// SPDX-License-Identifier: Apache-2.0
// Texts made from the golden cases by cutting, doubling and swapping tokens: whatever comes out, the planner ends, a plan
// renders, its edits fit, and what it renders is understood by the parser if the original was.
#include <gtest/gtest.h>

#include "fmt/format.h"
#include "rewrite/lexer.h"
#include "rewrite/parser.h"
#include "tests/rewrite/golden_mutate.h"

namespace crossfade::rewrite {
namespace {

bool Understood(const std::string& sql, const SessionFacts& facts, const Dialect& dialect) {
  TokenList tokens;
  Arena arena;
  return Lex(sql, facts, dialect, &tokens).ok() && Parse(tokens, facts, dialect, 200, &arena).ok();
}

TEST(Mutations, EveryTextHasAPlanThatHolds) {
  std::vector<std::string> texts;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(CROSSFADE_SOURCE_DIR) + "/tests/golden")) {
    std::string head;
    if (entry.path().extension() == ".test")
      for (const GoldenCase& test : ReadCases(entry.path(), &head)) texts.push_back(test.sql);
  }
  ASSERT_GE(texts.size(), 300u);
  const char* wish = std::getenv("CROSSFADE_MUTATIONS");
  const int rounds = wish != nullptr ? std::atoi(wish) : 6000;
  std::mt19937 random(20261121);
  Planner planner(1000);
  std::vector<std::shared_ptr<const Snapshot>> snapshots;
  for (const GoldenState& state : GoldenStates()) {
    snapshots.push_back(GoldenSnapshot(state));
    snapshots.push_back(GoldenSnapshot(state, {Flavor::kMariaDb, 101119}));
  }
  size_t rewritten = 0;
  for (int round = 0; round < rounds; ++round) {
    const std::string sql = Mutate(texts[random() % texts.size()], texts[random() % texts.size()], &random);
    const auto& snapshot = snapshots[random() % snapshots.size()];
    const Dialect& dialect = snapshot->catalog.dialect;
    SessionFacts facts;
    facts.schema = random() % 4 == 0 ? "zoo" : "deb";
    facts.new_cohort = CohortOf(*snapshot, 0);
    const bool prepared = random() % 3 == 0;
    const auto plan = prepared ? planner.PlanPrepared(*snapshot, facts, sql, {ValueShape::kInteger}) : planner.PlanQuery(*snapshot, facts, sql);
    if (plan->strategy != Strategy::kOneStatement) continue;
    ++rewritten;
    const std::vector<uint64_t> keys(plan->key_slots.size(), 17);
    const auto text = Render(*plan, facts, dialect, sql, keys);
    ASSERT_TRUE(text.ok()) << sql << "\n" << text.status();
    EXPECT_TRUE(Understood(*text, facts, dialect)) << sql << "\n" << *text;
    if (prepared) {
      for (const ParamSource& source : plan->params)
        EXPECT_LT(source.index, source.kind == ParamSource::kClient ? plan->client_params : plan->key_slots.size()) << sql;
    }
  }
  EXPECT_GE(rewritten, static_cast<size_t>(rounds) / 50);
}

}  // namespace
}  // namespace crossfade::rewrite
