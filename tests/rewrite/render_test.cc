// SPDX-License-Identifier: Apache-2.0
// Render: templates, slots, comments round the places of edits, and plans that do not fit their text.
#include <gtest/gtest.h>

#include "rewrite/editor.h"
#include "tests/rewrite/golden_schema.h"

namespace crossfade::rewrite {
namespace {

const Dialect kMySqlNow{Flavor::kMySql, 90700};

Plan WithEdits(std::vector<Plan::Edit> edits) {
  Plan plan;
  plan.strategy = Strategy::kOneStatement;
  plan.edits = std::move(edits);
  return plan;
}

std::string Text(const Plan& plan, std::string_view sql, const std::vector<uint64_t>& keys = {}) {
  const auto text = Render(plan, {}, kMySqlNow, sql, keys);
  return text.ok() ? *text : std::string(text.status().message());
}

TEST(Render, TokensSlotsAndInsertions) {
  EXPECT_EQ(Text(WithEdits({{1, 2, "<" + TokenMark(1) + ">"}}), "a b c"), "a <b> c");
  EXPECT_EQ(Text(WithEdits({{2, 2, "!"}}), "a b /* x */ c"), "a b! /* x */ c");
  EXPECT_EQ(Text(WithEdits({{0, 0, "!"}}), " a b"), " !a b");
  EXPECT_EQ(Text(WithEdits({{3, 3, "!"}}), "a b c -- end"), "a b c! -- end");
  EXPECT_EQ(Text(WithEdits({{1, 3, TokenMark(2) + "," + TokenMark(0)}}), "a b c d"), "a c,a d");
  EXPECT_EQ(Text(WithEdits({{1, 1, SlotMark(1) + SlotMark(0)}}), "a b", {5, 6}), "a65 b");
  Plan prepared = WithEdits({{1, 1, SlotMark(0)}});
  prepared.prepared = true;
  EXPECT_EQ(Text(prepared, "a b"), "a? b");
}

TEST(Render, UntouchedIsTheTextItself) {
  Plan plan;
  EXPECT_EQ(Text(plan, "any 'thing"), "any 'thing");
}

TEST(Render, WhatDoesNotFitIsAnError) {
  for (const Plan& plan : {WithEdits({{7, 8, "x"}}), WithEdits({{2, 1, "x"}}), WithEdits({{1, 2, "x"}, {0, 1, "y"}}),
                           WithEdits({{0, 1, TokenMark(9)}}), WithEdits({{0, 1, SlotMark(0)}}), WithEdits({{0, 1, "\x01" "1"}})})
    EXPECT_EQ(Render(plan, {}, kMySqlNow, "a b", {}).status().code(), absl::StatusCode::kInternal);
  EXPECT_FALSE(Render(WithEdits({{0, 1, "x"}}), {}, kMySqlNow, "a 'b", {}).ok());
}

TEST(Editor, NestedEditsGoAlong) {
  TokenList tokens;
  SessionFacts facts;
  ASSERT_TRUE(Lex("a IN ( ? , ? )", facts, kMySqlNow, &tokens).ok());
  Editor editor(tokens);
  editor.Replace({3, 4}, "f(" + TokenMark(3) + ")");
  editor.After(5, "!");
  const std::string moved = editor.Emit({5, 6}) + " " + editor.Emit({3, 4});
  editor.Replace({0, 7}, "(" + moved + ")");
  Plan plan;
  plan.strategy = Strategy::kOneStatement;
  ASSERT_TRUE(editor.Finish(&plan));
  EXPECT_EQ(Text(plan, "a IN ( ? , ? )"), "(?! f(?))");
  ASSERT_EQ(plan.params.size(), 2u);
  EXPECT_EQ(plan.params[0].index, 1u);
  EXPECT_EQ(plan.params[1].index, 0u);
}

}  // namespace
}  // namespace crossfade::rewrite
