// SPDX-License-Identifier: Apache-2.0
// Plans any bytes on the tables and migrations of the golden cases, in any phase and cohort, as a query and as a prepared
// statement. A plan ends, renders, renders the same again from the cache, and its text is understood; a parameter comes from
// somewhere; a refusal has its reason; what is not understood never passes where it may name an active table.
// Input: dialect and state, sql_mode, character set, flags, shapes of parameters, the text.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "rewrite/lexer.h"
#include "rewrite/parser.h"
#include "tests/rewrite/golden_schema.h"

namespace crossfade::rewrite {
namespace {

void Require(bool held, std::string_view what = "", std::string_view text = "") {
  if (held) return;
  std::fprintf(stderr, "%.*s: %.*s\n", static_cast<int>(what.size()), what.data(), static_cast<int>(text.size()), text.data());
  std::abort();
}

constexpr uint32_t kDepth = 100;

// The last states: neighbouring phases at once, as between two epochs, and migrations that walk apart.
const Snapshot& SnapshotOf(size_t number, bool mariadb) {
  using config::Phase;
  static std::array<std::shared_ptr<const Snapshot>, 32> snapshots;
  const size_t states = GoldenStates().size();
  number %= states + 3;
  std::shared_ptr<const Snapshot>& snapshot = snapshots[number * 2 + (mariadb ? 1 : 0)];
  if (snapshot == nullptr) {
    const Dialect dialect = mariadb ? Dialect{Flavor::kMariaDb, 101119} : Dialect{Flavor::kMySql, 90704};
    std::map<std::string, Phase> phases;
    if (number == states) phases = {{"names", Phase::kRetire}, {"caves", Phase::kObserve}, {"contact", Phase::kCutover}};
    if (number == states + 1) phases = {{"names", Phase::kObserve}, {"caves", Phase::kCutover}, {"contact", Phase::kBackfill}};
    if (number == states + 2) phases = {{"names", Phase::kVerify}, {"caves", Phase::kDone}, {"contact", Phase::kRetire}};
    const GoldenState state = number < states ? GoldenStates()[number] : GoldenState{"mixed", Phase::kCutover, true};
    snapshot = GoldenSnapshot(state, dialect, number % 2 == 1 && mariadb ? 1 : 0, phases);
  }
  return *snapshot;
}

void Rendered(const Plan& plan, const Plan& again, const SessionFacts& facts, const Dialect& dialect, std::string_view sql) {
  std::vector<uint64_t> keys(plan.key_slots.size(), 4294967295u);
  const auto text = Render(plan, facts, dialect, sql, keys);
  Require(text.ok(), "not rendered", text.ok() ? "" : std::string_view(text.status().message().data(), text.status().message().size()));
  const auto twice = Render(again, facts, dialect, sql, keys);
  Require(twice.ok() && *twice == *text, "not the same again", *text);
  TokenList tokens;
  Require(Lex(*text, facts, dialect, &tokens).ok(), "not lexed", *text);
  Arena arena;
  // What is added nests, too.
  const auto parsed = Parse(tokens, facts, dialect, kDepth * 3, &arena);
  Require(parsed.ok(), "not understood", *text);
  if (!plan.prepared) return;
  Require(parsed->params == plan.params.size(), "parameters", *text);
  for (const ParamSource& source : plan.params)
    Require(source.index < (source.kind == ParamSource::kClient ? plan.client_params : plan.key_slots.size()));
  for (uint32_t param : plan.shape_params) Require(param < plan.client_params);
}

}  // namespace
}  // namespace crossfade::rewrite

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crossfade::rewrite;  // NOLINT
  if (size < 5) return 0;
  static constexpr std::array<const char*, 8> kCharsets = {"utf8mb4", "gbk", "sjis", "big5", "gb18030", "latin1", "cp1251", "ujis"};
  static Planner planner(200, kDepth);
  const Snapshot& snapshot = SnapshotOf(data[0] >> 1, (data[0] & 1) != 0);
  SessionFacts facts;
  facts.sql_mode = data[1] | ((data[3] & 8) != 0 ? 0u : static_cast<uint32_t>(kStrict));
  facts.charset = kCharsets[data[2] % kCharsets.size()];
  facts.schema = (data[3] & 1) != 0 ? "zoo" : "deb";
  facts.foreign_key_checks = (data[3] & 4) == 0;
  facts.new_cohort = CohortOf(snapshot, 0);
  std::vector<ValueShape> shapes;
  for (int i = 0; i < 4; ++i) shapes.push_back(static_cast<ValueShape>((data[4] >> (2 * i)) & 3));
  const std::string_view sql(reinterpret_cast<const char*>(data) + 5, size - 5);
  const bool prepared = (data[3] & 2) != 0;
  const auto ask = [&] { return prepared ? planner.PlanPrepared(snapshot, facts, sql, shapes) : planner.PlanQuery(snapshot, facts, sql); };
  const auto plan = ask(), again = ask();
  Require(plan->strategy == again->strategy && plan->reason == again->reason, "another plan");
  if (!MightTouch(snapshot, sql)) Require(plan->strategy == Strategy::kUntouched && plan->touched == 0, "touched", plan->reason);
  if (plan->strategy == Strategy::kRefuse) Require(!plan->reason.empty() && plan->edits.empty(), "a refusal");
  if (plan->strategy == Strategy::kUntouched) Require(plan->edits.empty() && plan->key_slots.empty(), "untouched");
  Require((plan->strategy == Strategy::kRowImage) == (plan->image != nullptr), "row image");
  if (plan->strategy == Strategy::kOneStatement) Rendered(*plan, *again, facts, snapshot.catalog.dialect, sql);
  return 0;
}
