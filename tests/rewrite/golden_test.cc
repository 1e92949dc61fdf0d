// SPDX-License-Identifier: Apache-2.0
// Runs tests/golden/*.test: a statement, then what is sent for it in every phase and cohort.
//
//   === the name of the case
//   @ option=value; ...              (optional) see GoldenOptions; bytes=1: \\xNN stands for one byte
//   the statement, on as many lines as it needs
//   --- observe, expand              states with the same outcome
//   untouched (in dual_write: A)
//   --- dual_write, backfill, …
//   A                                then the text that is sent, with new keys 101, 102, …
//   --- retire
//   C                                then the refusal
//
// `rewrite_test --update` writes the outcomes into the files; read the diff.
// Every text that would be sent is lexed and parsed again, and a plan from the cache must render the same.
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>

#include "fmt/format.h"
#include "rewrite/lexer.h"
#include "rewrite/parser.h"
#include "rewrite/row_image.h"
#include "tests/rewrite/golden_cases.h"

namespace crossfade::rewrite {
namespace {

void ExpectParses(const std::string& text, const GoldenOptions& options, const std::string& name, std::optional<size_t> params) {
  TokenList tokens;
  const absl::Status lexed = Lex(text, options.facts, options.dialect, &tokens);
  ASSERT_TRUE(lexed.ok()) << name << ": " << text << "\n" << lexed;
  Arena arena;
  const auto parsed = Parse(tokens, options.facts, options.dialect, 200, &arena);
  ASSERT_TRUE(parsed.ok()) << name << ": " << text << "\n" << parsed.status();
  if (options.prepared && params) {
    EXPECT_EQ(parsed->params, *params) << text;
  }
}

// Strategy B: its steps, with one row in each table. A prepared one is planned once more with its values in place.
std::string Steps(const Plan& plan, const GoldenOptions& options, const std::string& sql, const std::string& name) {
  std::vector<std::string> row;
  for (const RowImage::Target& target : plan.image->targets)
    for (const RowImage::Kind kind : target.kinds) row.push_back(kind == RowImage::Kind::kNumber ? "1" : "61");
  ImageRows rows, none;
  EXPECT_TRUE(ImageRows::Of(*plan.image, {row, row}, &rows));  // one, though it is told twice
  EXPECT_TRUE(ImageRows::Of(*plan.image, {}, &none));
  const auto select = RenderImageSelect(plan, options.facts, options.dialect, sql, 10);
  const auto text = RenderImageStatement(plan, options.facts, options.dialect, sql, &rows);
  const auto empty = RenderImageStatement(plan, options.facts, options.dialect, sql, &none);
  const auto whole = RenderImageStatement(plan, options.facts, options.dialect, sql, nullptr);
  EXPECT_TRUE(select.ok() && text.ok() && empty.ok() && whole.ok()) << name;
  if (!select.ok() || !text.ok() || !empty.ok() || !whole.ok()) return "";
  std::string out = "\n" + *select + "\n" + *text;
  for (const std::string& repair : rows.Repairs(10)) {
    out += "\n" + repair;
    ExpectParses(repair, options, name, 0);
  }
  for (const std::string& each : {*select, *text, *empty, *whole}) ExpectParses(each, options, name, std::nullopt);
  return out;
}

std::string Outcome(const GoldenCase& test, const GoldenState& state) {
  const GoldenOptions options = ParseOptions(test.options);
  const auto snapshot = GoldenSnapshot(state, options.dialect, options.lower_case_table_names, options.phases);
  SessionFacts facts = options.facts;
  if (state.new_cohort) facts.new_cohort = CohortOf(*snapshot, 0);
  Planner planner;
  const auto plan_it = [&] {
    return options.prepared ? planner.PlanPrepared(*snapshot, facts, test.sql, options.shapes)
                            : planner.PlanQuery(*snapshot, facts, test.sql);
  };
  const auto plan = plan_it();
  EXPECT_TRUE(MightTouch(*snapshot, test.sql) || (plan->strategy == Strategy::kUntouched && plan->touched == 0)) << test.sql;
  std::string out(StrategyName(plan->strategy));
  if (plan->strategy == Strategy::kUntouched && plan->would_be != Strategy::kUntouched)
    out += fmt::format(" (in dual_write: {})", StrategyName(plan->would_be));
  if (plan->writes) out += " writes";
  if (plan->strategy == Strategy::kRefuse) return out + "\n" + plan->reason;
  if (plan->strategy == Strategy::kUntouched) return out;
  if (plan->strategy == Strategy::kRowImage) return out + Steps(*plan, options, test.sql, test.name + ", " + state.name);
  const std::vector<uint64_t> keys = GoldenKeys(*plan, 101);
  const auto text = Render(*plan, facts, options.dialect, test.sql, keys, Form::kGuarded);
  EXPECT_TRUE(text.ok()) << test.name << ": " << text.status();
  if (!text.ok()) return out;
  // Again, perhaps from the cache.
  const auto again = Render(*plan_it(), facts, options.dialect, test.sql, keys, Form::kGuarded);
  EXPECT_TRUE(again.ok() && *again == *text) << test.name;
  ExpectParses(*text, options, test.name + ", " + state.name, plan->params.size());
  out += "\n" + *text;
  if (options.prepared) {
    out += "\n?";
    for (const ParamSource& source : plan->params)
      out += fmt::format(" {}{}", source.kind == ParamSource::kClient ? "client" : "key", source.index);
    out += " by shape of";
    for (uint32_t param : plan->shape_params) out += fmt::format(" {}", param);
  }
  return out;
}

std::string Outcomes(const GoldenCase& test) {
  std::vector<std::pair<std::string, std::string>> groups;  // outcome, states
  for (const GoldenState& state : GoldenStates()) {
    const std::string outcome = Outcome(test, state);
    auto it = groups.begin();
    while (it != groups.end() && it->first != outcome) ++it;
    if (it == groups.end()) groups.emplace_back(outcome, state.name);
    else it->second += ", " + state.name;
  }
  std::string out;
  for (const auto& [outcome, states] : groups) out += fmt::format("--- {}\n{}\n", states, outcome);
  return out;
}

TEST(Golden, Files) {
  bool update = false;
  for (const std::string& argument : testing::internal::GetArgvs()) update = update || argument == "--update";
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(CROSSFADE_SOURCE_DIR) + "/tests/golden")) {
    if (entry.path().extension() != ".test") continue;
    std::string head;
    const std::vector<GoldenCase> cases = ReadCases(entry.path(), &head);
    std::string text = head;
    for (const GoldenCase& test : cases) {
      SCOPED_TRACE(entry.path().filename().string() + ": " + test.name);
      const std::string outcomes = test.bytes ? WriteBytes(Outcomes(test)) : Outcomes(test);
      if (!update) {
        EXPECT_EQ(test.expected, outcomes) << test.sql;
      }
      text += "=== " + test.name + "\n";
      if (!test.options.empty()) text += "@ " + test.options.substr(0, test.options.size() - 1) + "\n";
      text += (test.bytes ? WriteBytes(test.sql) : test.sql) + "\n" + outcomes + "\n";
      ++count;
    }
    if (update) std::ofstream(entry.path()) << text;
  }
  EXPECT_GE(count, 600u);
}

}  // namespace
}  // namespace crossfade::rewrite
