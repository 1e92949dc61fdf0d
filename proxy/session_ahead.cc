// SPDX-License-Identifier: Apache-2.0
// The references of an INSERT of many rows, looked up by one query before it: see rewrite/ahead.h. Whatever comes in between, the text
// is the one with its lookups.
#include <algorithm>

#include "proxy/comparisons.h"
#include "proxy/execution_text.h"
#include "proxy/prepared_statement.h"
#include "proxy/session.h"
#include "rewrite/ahead.h"
#include "rewrite/names.h"

namespace crossfade::proxy {

namespace {

constexpr uint64_t kMostOfKey = 4096;  // bytes of an answer's row
// A key in the two queries costs both servers about what a lookup in the text does, as long as these are not too many.
constexpr size_t kTooMany = 1000;
constexpr size_t kMostText = 4 << 20;  // bytes of an execution that is written as a text
constexpr size_t kLookup = 400;        // … that a lookup takes, at most

}  // namespace

// kRelay: the statement goes on, with `*values` if there are any.
awaitable<Session::Action> Session::LookAhead(const rewrite::Plan& plan, std::string_view sql, std::vector<std::string>* values) {
  const uint32_t least = limits().insert_lookups;
  if (least == 0 || plan.ahead.size() < least || rewrite::AsksForTheLast(sql)) co_return kRelay;
  const bool own = (status_ & protocol::kStatusInTrans) == 0 && (status_ & protocol::kStatusAutocommit) != 0;
  if (own && isolation_unsure_) {  // the query would use up what SET TRANSACTION has said for the statement
    uses_up_level_ = MayChange(sql) == 0;
    co_return kRelay;
  }
  absl::StatusOr<rewrite::Ahead> ahead = thread_->planner()->LookAhead(plan, *facts_, pinned_->snapshot->catalog.dialect, sql);
  if (!ahead.ok() || ahead->lookups() < least || (2 * ahead->keys() > ahead->lookups() && ahead->lookups() < kTooMany)) co_return kRelay;
  for (const rewrite::Ahead::Question& question : ahead->Questions(/*locking=*/!own)) {
    ImageStep step;
    const bool alive = co_await RunImageStep(question.sql, 1024 + question.keys * kMostOfKey, &step);
    if (!alive) co_return kEnd;
    if (step.failed()) {
      const std::string nothing;
      // The transaction may be gone, of which nobody else will tell the client.
      if (!own && MayEndTransaction(step.tracker.error_code())) co_return co_await ImageReply(step, own, nothing);
      co_return kRelay;
    }
    if (!own) status_ = step.tracker.status();  // with autocommit off, that began a transaction
    SideResult found;
    if (step.whole) ParseSide(step.reply, capabilities_, &found);
    if (!found.ok) co_return kRelay;
    for (const std::vector<std::string>& row : found.rows) {
      if (row.size() < 2) co_return kRelay;
      ahead->Answer(question.parent, row[0], row[1] == "\xFB" ? std::nullopt : std::optional<std::string_view>(row[1]));
    }
  }
  *values = ahead->Values();
  if (std::all_of(values->begin(), values->end(), [](const std::string& value) { return value.empty(); })) values->clear();
  co_return kRelay;
}

// The same of a prepared statement, whose values are written into its text. kAgain: it is executed as it is.
awaitable<Session::Action> Session::ExecuteAhead(PreparedStatement* statement, const protocol::Execute& execute, const rewrite::SessionFacts& facts) {
  const rewrite::Snapshot& snapshot = *pinned_->snapshot;
  const bool same = facts_->schema == facts.schema && facts_->sql_mode == facts.sql_mode && facts_->charset == facts.charset;
  if (!same || !statement->long_data.empty() || execute.attribute_count > 0) co_return kAgain;
  const std::optional<std::string> text = ExecutionText(statement->text, facts, snapshot.catalog.dialect, execute, {}, converts_, kMostText, /*letters=*/true);
  if (!text || text->size() + kLookup * execute.values.size() > std::min<uint64_t>(max_allowed_packet_, 15 << 20)) co_return kAgain;
  const std::shared_ptr<const rewrite::Plan> plan = thread_->planner()->PlanQuery(snapshot, facts, *text);
  if (plan->strategy != rewrite::Strategy::kOneStatement || plan->Ranged() || plan->ahead.empty()) co_return kAgain;
  statement->types_elsewhere = true;
  statement->active_id = statement->id;  // no cursor is open
  const std::string head = QueryCommand("");
  co_return co_await SendPlanned(plan, head, *text, /*kept=*/false);
}

}  // namespace crossfade::proxy
