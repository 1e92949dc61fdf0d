// SPDX-License-Identifier: Apache-2.0
// Reads of a session that are run on both sides within one read view, ahead of the client's own statement: that comes last, so
// FOUND_ROWS(), ROW_COUNT(), warnings and the flags of its reply are its own.
//
//   outside of a transaction: SET TRANSACTION, START TRANSACTION READ ONLY, old side, new side, COMMIT
//   inside one at REPEATABLE READ: old side, new side
//
// Executions of prepared statements are compared as texts with their values written out. Only in sessions whose every text was seen
// since they began: one that said anything of locks, transactions to come, XA, GTIDs or procedures, or has opened a cursor, is left
// alone from then on.
#include <algorithm>
#include <optional>
#include <random>

#include "fmt/format.h"
#include "proxy/comparisons.h"
#include "proxy/execution_text.h"
#include "proxy/prepared_statement.h"
#include "proxy/session.h"
#include "proxy/sql_words.h"
#include "rewrite/comparable.h"

namespace crossfade::proxy {
using protocol::ReplyTracker;

namespace {

double Roll() {
  static thread_local std::minstd_rand random(std::random_device{}());
  return std::uniform_real_distribution<double>(0, 100)(random);
}
}  // namespace

bool ComparesReads(const rewrite::Snapshot& snapshot) {
  return std::any_of(snapshot.migrations.begin(), snapshot.migrations.end(),
                     [](const rewrite::MigrationState& migration) { return migration.spec.compare_reads.share > 0; });
}

// Of every text while this session may be compared.
void Session::WatchText(std::string_view text) {
  for (const char* word : {"tables", "transaction", "xa", "gtid_next", "call", "execute", "prepare", "statement", "autocommit"})
    if (ContainsWord(text, word) && !(word == std::string_view("transaction") && !ContainsWord(text, "set"))) comparable_ = false;
}

awaitable<bool> Session::RunSide(const std::string& sql, SideResult* result) {
  const auto begun = Clock::now();
  const std::string command = QueryCommand(sql);
  ReplyTracker tracker;
  std::string reply;
  bool whole = true;
  const bool alive = co_await HiddenCommand(command, &tracker, &reply, limits().compared_bytes, &whole);
  if (!alive) co_return false;
  result->microseconds = std::chrono::duration<double, std::micro>(Clock::now() - begun).count();
  if (whole && !tracker.is_error()) ParseSide(reply, capabilities_, result);
  co_return true;
}

// The migrations whose share this read falls into.
rewrite::MigrationSet Session::ToCompare(const rewrite::Plan& plan) const {
  rewrite::MigrationSet asked;
  if (!comparable_ || plan.writes || plan.touched.none() || plan.strategy == rewrite::Strategy::kRefuse || !plan.replies.empty()) return asked;
  const rewrite::Snapshot& snapshot = *pinned_->snapshot;
  for (size_t i = 0; i < snapshot.migrations.size(); ++i) {
    const rewrite::MigrationState& migration = snapshot.migrations[i];
    if (plan.touched[i] && migration.phase == config::Phase::kCutover && migration.spec.compare_reads.share > Roll()) asked.set(i);
  }
  return asked;
}

awaitable<bool> Session::CompareExecution(const PreparedStatement& statement, const protocol::Execute& execute, const rewrite::Plan& plan) {
  const rewrite::MigrationSet asked = ToCompare(plan);
  if (asked.none() || !statement.long_data.empty() || !statement.long_data_sent.empty()) co_return true;
  // Its text was read as the session's settings were then.
  if (facts_->schema != statement.facts.schema || facts_->sql_mode != statement.facts.sql_mode || facts_->charset != statement.facts.charset) co_return true;
  const std::optional<std::string> text = ExecutionText(statement.text, *facts_, pinned_->snapshot->catalog.dialect, execute);
  if (!text.has_value()) co_return true;
  facts_->new_cohort = Cohort();
  co_return co_await CompareSides(*text, plan, asked);
}

// False: the session ends.
awaitable<bool> Session::CompareSides(std::string_view sql, const rewrite::Plan& plan, rewrite::MigrationSet asked) {
  const std::shared_ptr<const rewrite::Snapshot> snapshot = pinned_->snapshot;
  const rewrite::Dialect& dialect = snapshot->catalog.dialect;
  const rewrite::Comparable how = rewrite::IsComparable(sql, *facts_, dialect);
  if (!how.yes) co_return true;
  std::string texts[2];
  for (int side = 0; side < 2; ++side) {
    rewrite::SessionFacts facts = *facts_;
    facts.new_cohort = side == 0 ? facts.new_cohort & ~asked : facts.new_cohort | asked;
    const std::shared_ptr<const rewrite::Plan> its = thread_->planner()->PlanQuery(*snapshot, facts, sql);
    if (its->strategy == rewrite::Strategy::kRefuse || its->writes || !its->replies.empty() || !its->key_slots.empty()) co_return true;
    texts[side] = sql;
    if (its->strategy == rewrite::Strategy::kUntouched) continue;
    absl::StatusOr<std::string> text = rewrite::Render(*its, facts, dialect, sql, {});
    if (!text.ok()) co_return true;
    texts[side] = *std::move(text);
  }
  if (texts[0] == texts[1]) co_return true;

  bool done = false, alive = true;
  const bool own = (status_ & protocol::kStatusInTrans) == 0;
  if (own) {
    if ((status_ & protocol::kStatusAutocommit) == 0) co_return true;
    alive = co_await HiddenStatement("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", &done);
    if (alive && done) alive = co_await HiddenStatement("START TRANSACTION READ ONLY", &done);
  } else {
    std::vector<std::string> row;
    const bool maria = dialect.flavor == rewrite::Flavor::kMariaDb;
    const std::string level = fmt::format("SELECT CAST({} AS BINARY) LIMIT 1", maria ? "@@tx_isolation" : "@@transaction_isolation");
    alive = co_await HiddenQuery(level, &row, &done);
    done = done && row.size() == 1 && row[0] == "REPEATABLE-READ";
  }
  if (!alive) co_return false;
  if (!done) co_return true;
  SideResult results[2];
  for (int side = 0; side < 2 && alive; ++side) alive = co_await RunSide(texts[side], &results[side]);
  if (alive && own) alive = co_await HiddenStatement("COMMIT AND NO CHAIN NO RELEASE", &done);
  if (!alive) co_return false;
  if (!results[0].ok || !results[1].ok) co_return true;
  backfill::ComparisonRow row;
  row.migration = snapshot->migrations[rewrite::First(asked)].spec.name;
  row.digest = plan.digest;
  row.epoch = snapshot->epoch;
  row.compared = 1;
  row.old_us = results[0].microseconds;
  row.new_us = results[1].microseconds;
  const std::string what = DifferenceOf(results[0], results[1], how, *snapshot);
  if (!what.empty()) {
    row.mismatches = 1;
    row.sample = fmt::format("{}\n{}", what, std::string(sql.substr(0, 4'000)));
  }
  thread_->comparisons()->Add(std::move(row));
  co_return true;
}

}  // namespace crossfade::proxy
