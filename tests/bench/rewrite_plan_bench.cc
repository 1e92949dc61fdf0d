// SPDX-License-Identifier: Apache-2.0
// Speed of what a query pays on its way: the scan that most queries end with, lexing with the digest, planning anew, and the plan
// from the cache with the text rendered. On the golden cases' tables, while both sides are written and for the new cohort.
#include <string>
#include <vector>

#include "benchmark/benchmark.h"
#include "rewrite/cache.h"
#include "rewrite/lexer.h"
#include "rewrite/touch.h"
#include "tests/rewrite/golden_schema.h"

namespace crossfade::rewrite {
namespace {

struct Case {
  const char* name;
  const char* sql;
};
constexpr Case kCases[] = {
    {"other table", "SELECT id, name, owner FROM users WHERE id = 17 AND owner <> 5"},
    {"point select", "SELECT version, size FROM packages WHERE name = 'libboost1.81-dev'"},
    {"star", "SELECT * FROM dependencies WHERE package = 'libboost1.81-dev'"},
    {"insert", "INSERT INTO dependencies (package, depends_on, kind) VALUES ('libboost1.81-dev', 'libc6', 'depends')"},
    {"update", "UPDATE dependencies SET depends_on = 'libc6' WHERE id = 4711"},
    {"join", "SELECT p.name, p.version, COUNT(*) AS n FROM packages p JOIN dependencies d ON d.package = p.name LEFT JOIN packages q ON q.name = "
             "d.depends_on AND q.section IN ('libs', 'devel') WHERE p.size BETWEEN 3 AND 12 GROUP BY p.name, p.version HAVING COUNT(*) > 2 "
             "ORDER BY n DESC, p.version LIMIT 20"},
};

std::shared_ptr<const Snapshot> Now(bool new_cohort) {
  return GoldenSnapshot({"", new_cohort ? config::Phase::kCutover : config::Phase::kDualWrite, new_cohort});
}

SessionFacts FactsOf(const Snapshot& snapshot) {
  SessionFacts facts;
  facts.schema = "deb";
  facts.new_cohort = CohortOf(snapshot, 0);
  return facts;
}

void BM_MightTouch(benchmark::State& state) {
  const std::string sql = kCases[state.range(0)].sql;
  const auto snapshot = Now(false);
  for (auto _ : state) benchmark::DoNotOptimize(MightTouch(*snapshot, sql));
  state.SetLabel(kCases[state.range(0)].name);
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * sql.size()));
}

// The same text against so many migrations of other tables: as they are named in life, and all with one first letter.
void BM_MightTouchOfMany(benchmark::State& state) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < state.range(0); ++i) {
    names.push_back((state.range(1) != 0 ? std::string("p") : std::string(1, static_cast<char>('a' + i % 26))) + "_table_" + std::to_string(i));
  }
  const TouchSet set(names, false);
  const std::string sql = kCases[5].sql;
  for (auto _ : state) benchmark::DoNotOptimize(set.Matches(sql));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * sql.size()));
}

void BM_LexAndDigest(benchmark::State& state) {
  const std::string sql = kCases[state.range(0)].sql;
  TokenList tokens;
  for (auto _ : state) {
    if (!Lex(sql, {}, {}, &tokens).ok()) state.SkipWithError("lex");
    benchmark::DoNotOptimize(Digest(tokens));
  }
  state.SetLabel(kCases[state.range(0)].name);
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * sql.size()));
}

// `cached`: the plan is found; else the text comes under a hundred epochs in turn, more than the cache holds.
void Plans(benchmark::State& state, bool cached) {
  const std::string sql = kCases[state.range(0)].sql;
  std::vector<std::shared_ptr<const Snapshot>> snapshots;
  for (int i = 0; i < (cached ? 1 : 100); ++i) snapshots.push_back(Now(state.range(1) != 0));
  const SessionFacts facts = FactsOf(*snapshots[0]);
  Planner planner(cached ? 1000 : 20);
  size_t turn = 0;
  std::string text;
  for (auto _ : state) {
    const Snapshot& snapshot = *snapshots[turn++ % snapshots.size()];
    const auto plan = planner.PlanQuery(snapshot, facts, sql);
    if (plan->strategy == Strategy::kRefuse) state.SkipWithError("refused");
    if (plan->strategy != Strategy::kOneStatement) continue;
    text.clear();
    const auto rendered = planner.RenderTo(*plan, facts, snapshot.catalog.dialect, sql, std::vector<uint64_t>(plan->key_slots.size(), 17), plan->guard != Plan::kUnguarded ? Form::kGuarded : Form::kPlain, &text);
    benchmark::DoNotOptimize(rendered.ok());
  }
  state.counters["found"] = static_cast<double>(planner.hits()) / static_cast<double>(planner.hits() + planner.misses());
  state.SetLabel(std::string(kCases[state.range(0)].name) + (state.range(1) != 0 ? ", new cohort" : ", dual_write"));
}
void BM_Plan(benchmark::State& state) { Plans(state, false); }
void BM_CachedPlan(benchmark::State& state) { Plans(state, true); }

BENCHMARK(BM_MightTouch)->DenseRange(0, 5);
BENCHMARK(BM_MightTouchOfMany)->ArgsProduct({{1, 10, 100}, {0, 1}});
BENCHMARK(BM_LexAndDigest)->DenseRange(0, 5);
BENCHMARK(BM_Plan)->ArgsProduct({{1, 2, 3, 4, 5}, {0, 1}});
BENCHMARK(BM_CachedPlan)->ArgsProduct({{1, 2, 3, 4, 5}, {0, 1}});

}  // namespace
}  // namespace crossfade::rewrite
