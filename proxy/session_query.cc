// SPDX-License-Identifier: Apache-2.0
// Text statements that may touch a migrating table: facts, plan, statement gate, lease, new keys, edited text.
#include "fmt/format.h"
#include "protocol/codec.h"
#include "proxy/cohort.h"
#include "proxy/control_thread.h"
#include "proxy/guarded_statement.h"
#include "proxy/prepared_statement.h"
#include "proxy/ranged_statement.h"
#include "proxy/session.h"
#include "proxy/sql_words.h"

namespace crossfade::proxy {
using protocol::Command;

void Session::Pin() {
  if (pinned_ == nullptr) pinned_ = thread_->snapshots()->Pin();
}

rewrite::MigrationSet Session::Cohort() {
  if (cohort_of_ != pinned_->generation) cohort_ = CohortOf(*pinned_->snapshot, {ticket_, user_, listener_->spec.address, attributes_});
  cohort_of_ = pinned_->generation;
  return cohort_;
}

void Session::KeepAttributes(std::string_view attributes) {
  cohort_of_ = kNoGeneration;
  const rewrite::Snapshot* snapshot = thread_->snapshots()->current()->snapshot.get();
  comparable_ = snapshot != nullptr && ComparesReads(*snapshot) && !authenticated_;
  if (snapshot != nullptr && AsksAttributes(*snapshot)) attributes_ = attributes;
  else attributes_.clear();
}

void Session::Count(const std::shared_ptr<const rewrite::Plan>& plan, const rewrite::SessionFacts& facts, std::string_view sql,
                    const std::vector<rewrite::ValueShape>* shapes) {
  thread_->digests()->Count(*pinned_->snapshot, plan, user_, {sql, &facts, shapes, &identity_.source});
}

// Of a command, where migrations are declared.
void Session::Begin() {
  Pin();
  began_ = Clock::now();
}

void Session::Unpin() {
  if (pinned_ == nullptr) return;
  SnapshotStore::Entry* entry = pinned_;
  pinned_ = nullptr;
  taken_.reset();
  thread_->snapshots()->Unpin(entry);
}

awaitable<Session::Action> Session::Refuse(std::string reason) {
  thread_->metrics()->refused.Add();
  std::string message = "crossfade: ";
  message += reason;
  const bool sent = co_await SendError(AfterCommand(), 1235, "42000", std::move(message));
  co_return sent ? kAnswered : kEnd;
}

// Waits until this session may go on under a newer snapshot, which it then pins. Outside transactions only.
awaitable<bool> Session::WaitForSnapshot(std::chrono::milliseconds limit) {
  const SnapshotStore::Entry* held = pinned_;
  const uint64_t generation = held->generation;
  Unpin();  // a waiting statement is not in flight: the drain must not wait for it
  const auto until = std::chrono::steady_clock::now() + limit;
  while (!closing_ && thread_->snapshots()->current()->generation == generation) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    co_await thread_->snapshot_changed()->Wait(left);
  }
  Pin();
  co_return pinned_->generation != generation;
}

// A write under an epoch that is over would leave one side behind. A read may see one that was left behind: from `verify` on, both
// sides are read, and either may be no longer written soon. Before that all read the old side, which is written till `retire`.
bool Session::IsFenced(const rewrite::Plan& plan) const {
  return plan.strategy != rewrite::Strategy::kRefuse && (plan.writes || (plan.touched & pinned_->parting).any());
}

// Reads need no valid lease: a registered connection that is still there was not left behind.
bool Session::StillMayGoOn(const rewrite::Plan& plan) const {
  if (!IsFenced(plan)) return true;
  const LeaseKeeper& lease = thread_->server()->control()->lease();
  return registered_ && pinned_->epoch >= lease.fence() && (!plan.writes || lease.Valid());
}

// Whether a fenced statement may go on under the pinned snapshot; waits for the lease, which a proxy that has just
// started has yet to get. kRelay: yes; kAgain: yes, under another snapshot, so it has to be planned anew.
awaitable<Session::Action> Session::PassFence(bool writes) {
  const LeaseKeeper& lease = thread_->server()->control()->lease();
  const bool in_transaction = (status_ & protocol::kStatusInTrans) != 0;
  if (!registered_) registered_ = !FenceReaches();  // of another server's connections nobody would ever ask
  if (!lease.Valid() && (writes || !registered_)) {
    const uint64_t held = pinned_->generation;
    if (!in_transaction) Unpin();  // a waiting statement is not in flight: the drain must not wait for it
    const auto until = std::chrono::steady_clock::now() + limits().state_wait;
    while (!closing_ && !lease.Valid() && std::chrono::steady_clock::now() < until) {
      co_await thread_->snapshot_changed()->Wait(std::chrono::milliseconds(10));
    }
    Pin();
    if (closing_) co_return kEnd;
    if (!lease.Valid()) {
      co_return co_await Refuse(kNoLease);
    }
    if (pinned_->generation != held) co_return kAgain;
  }
  if (!registered_) {
    const Action action = co_await Register();
    if (action != kRelay) co_return action;
    if (writes && !lease.Valid()) co_return co_await Refuse(kNoLease);
  }
  if (pinned_->epoch >= lease.fence()) co_return kRelay;
  bool came = false;
  if (!in_transaction) came = co_await WaitForSnapshot(limits().state_wait);
  if (closing_) co_return kEnd;
  if (came) co_return kAgain;
  co_return co_await Refuse("the migration may have gone on while this proxy had lost its lease on the control schema; roll back and try again");
}

awaitable<bool> Session::TakeKeys(const std::vector<rewrite::KeySlot>& slots, std::vector<uint64_t>* keys, uint64_t rows) {
  if (slots.empty()) co_return true;
  const auto until = std::chrono::steady_clock::now() + limits().keys_wait;
  while (!closing_) {
    if (thread_->keys()->Take(*pinned_->snapshot, slots, keys, rows)) co_return true;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0 || !thread_->keys()->UsedUp(*pinned_->snapshot, slots).empty()) co_return false;
    thread_->metrics()->waited_for_keys.Add();
    co_await thread_->keys_came()->Wait(std::min<std::chrono::milliseconds>(left, std::chrono::milliseconds(500)));
  }
  co_return false;
}

// Where the text begins in a COM_QUERY or COM_STMT_PREPARE.
size_t Session::TextOffset(std::string_view payload) const {
  if (static_cast<Command>(payload[0]) != Command::kQuery || (capabilities_ & protocol::kClientQueryAttributes) == 0) return 1;
  const absl::StatusOr<protocol::Query> query = protocol::ParseQuery(payload.substr(1), capabilities_);
  return query.ok() ? static_cast<size_t>(query->sql.data() - payload.data()) : std::string_view::npos;
}

// Common to text and prepared statements: makes sure the plan may run now. kRelay: go on with *plan.
awaitable<Session::Action> Session::Admit(std::string_view sql, const std::vector<rewrite::ValueShape>* shapes,
                                          rewrite::SessionFacts* facts, std::shared_ptr<const rewrite::Plan>* plan,
                                          PreparedStatement* statement) {
  for (;;) {
    if (!pinned_->known) {
      const bool came = co_await WaitForSnapshot(limits().state_wait);
      if (closing_) co_return kEnd;
      if (!came) {
        co_return co_await Refuse("the state of the migrations is not known yet: the control schema cannot be read; try again");
      }
      continue;
    }
    const rewrite::Snapshot& snapshot = *pinned_->snapshot;
    facts->new_cohort = Cohort();
    if (statement != nullptr && statement->memo.Fits(pinned_->generation, *facts, *shapes)) {
      *plan = statement->memo.plan;
    } else {
      *plan = shapes == nullptr ? thread_->planner()->PlanQuery(snapshot, *facts, sql)
                                : thread_->planner()->PlanPrepared(snapshot, *facts, sql, *shapes);
      if (statement != nullptr) statement->memo = {*plan, pinned_->generation, facts->new_cohort, facts->foreign_key_checks, *shapes};
    }
    // A transaction from before the gate closed has an older snapshot pinned, and goes on.
    if (((*plan)->touched & pinned_->held).any()) {
      thread_->metrics()->waited_for_gate.Add();
      const bool came = co_await WaitForSnapshot(limits().hold_limit * 4);
      if (closing_) co_return kEnd;
      if (!came && !thread_->server()->control()->lease().Valid()) {
        co_return co_await Refuse("the statement gate is closed and the lease on the control schema has run out; try again");
      }
      continue;
    }
    if (IsFenced(**plan) && !StillMayGoOn(**plan)) {
      const Action action = co_await PassFence((*plan)->writes);
      if (action == kAgain) continue;
      if (action != kRelay) co_return action;
    }
    break;
  }
  Count(*plan, *facts, sql, shapes);
  if ((*plan)->strategy == rewrite::Strategy::kRefuse) {
    if (preparing_ != nullptr) {
      const bool alive = co_await ForgetPrepared();
      if (!alive) co_return kEnd;
    }
    co_return co_await Refuse((*plan)->reason);
  }
  if (((*plan)->touched & pinned_->building).any() && MayMeetAlter()) {
    const Action action = co_await TakeTables((*plan)->touched & pinned_->building, sql);
    if (action != kRelay) co_return action;
    if (!StillMayGoOn(**plan)) co_return co_await Refuse(kNoLease);
  }
  co_return kRelay;
}

awaitable<Session::Action> Session::PlanQuery(std::string_view payload) {
  const size_t offset = TextOffset(payload);
  if (offset == std::string_view::npos || offset > payload.size()) {
    const bool sent = co_await SendError(AfterCommand(), 1835, "HY000", "Malformed communication packet");
    co_return sent ? kAnswered : kEnd;
  }
  std::string_view sql = payload.substr(offset);
  if (!facts_known_) {
    if (FactsWouldTell(sql) && !IsPrepare(sql)) co_return co_await NoFacts(kAsksForTheLast);
    const bool learnt = co_await LearnFacts();
    if (!learnt) co_return kEnd;
    if (!facts_known_) co_return co_await NoFacts();
  }
  std::string resolved;
  if (ContainsWord(sql, "prepare") || ContainsWord(sql, "execute")) {
    const Action action = co_await DynamicStatement(payload, offset, &resolved);
    if (action != kAgain) co_return action;
    if (!resolved.empty()) sql = resolved;
  }
  if (const uint8_t change = MayChange(sql); change != 0) {
    NoteChange(change);  // for the next statement
    if (ContainsWord(sql, "use") && ContainsWord(sql, "information_schema")) MayEnterInformation("information_schema");
  }
  std::shared_ptr<const rewrite::Plan> plan;
  Action action = co_await Admit(sql, nullptr, facts_.get(), &plan);
  if (action != kRelay) co_return action;
  if (plan->several && !multi_statements_) co_return kRelay;  // an error of the server's, about the client's own text
  if (comparable_) {
    const rewrite::MigrationSet asked = ToCompare(*plan);
    if (asked.any()) {
      const bool alive = co_await CompareSides(sql, *plan, asked);
      if (!alive) co_return kEnd;
    }
  }
  if (!plan->replies.empty()) {
    const bool edited = co_await EditReplies(plan, sql, payload, /*binary=*/false);
    if (!edited) co_return kEnd;
  }
  if (plan->strategy == rewrite::Strategy::kUntouched) {
    no_way_back_ = plan->no_way_back;
    co_return kRelay;
  }
  if (plan->strategy == rewrite::Strategy::kRowImage) co_return co_await RunImage(plan, sql);

  if (plan->Ranged()) {
    RangedStatement ranged;
    ranged.plan = plan;
    ranged.head = payload.substr(0, offset);
    ranged.sql = sql;
    co_return co_await BeginRange(std::move(ranged));
  }
  std::vector<std::string> ahead;
  if (!plan->ahead.empty()) {
    action = co_await LookAhead(*plan, *facts_, sql, nullptr, &ahead);
    if (action != kRelay) co_return action;
  }
  std::vector<uint64_t> keys;
  if (!plan->key_slots.empty()) {
    const bool enough = co_await TakeKeys(plan->key_slots, &keys);
    if (closing_) co_return kEnd;
    if (!enough) co_return co_await NoKeys(plan->key_slots);
  }
  rewrite::Form form = plan->guard != rewrite::Plan::kUnguarded ? rewrite::Form::kGuarded : rewrite::Form::kPlain;
  if (plan->exposed) {
    const bool alive = co_await ChooseForm(*plan, sql, /*guards=*/true, &form);
    if (!alive) co_return kEnd;
  }
  if (!StillMayGoOn(*plan)) co_return co_await Refuse(kNoLease);  // it waited for keys
  outgoing_.assign(protocol::kFrameHeader, '\0');  // the header is known once the text is
  outgoing_ += payload.substr(0, offset);
  const absl::Status rendered = thread_->planner()->RenderTo(*plan, *facts_, pinned_->snapshot->catalog.dialect, sql, keys, form, &outgoing_, &ahead);
  if (!rendered.ok()) {
    outgoing_.clear();
    co_return co_await Refuse(std::string(rendered.message()));
  }
  if (!ahead.empty() && outgoing_.size() - protocol::kFrameHeader > std::min<uint64_t>(max_allowed_packet_, 15 << 20)) {  // keys are given three times, perhaps
    ahead.clear();
    outgoing_.resize(protocol::kFrameHeader + offset);
    (void)thread_->planner()->RenderTo(*plan, *facts_, pinned_->snapshot->catalog.dialect, sql, keys, form, &outgoing_);
  }
  if (GrowsTooLong(outgoing_.size() - protocol::kFrameHeader, payload.size())) {
    outgoing_.clear();
    co_return co_await Refuse(kTooLong);
  }
  if (protocol::FrameInPlace(0, &outgoing_) != command_frames_) {
    // The server counts on from our frames; the client counts from its own.
    outgoing_.clear();
    co_return co_await Refuse(kNearFrame);
  }
  thread_->metrics()->rewritten.Add();
  no_way_back_ = plan->no_way_back;
  if (form == rewrite::Form::kMarked) marking_ = plan;
  if (form == rewrite::Form::kGuarded || !ahead.empty()) {
    GuardedStatement* guarded = Guard(plan);
    guarded->head = payload.substr(0, offset);
    guarded->own = std::move(resolved);
    guarded->sql = guarded->own.empty() ? sql : std::string_view(guarded->own);
    guarded->ahead = !ahead.empty();
    guarded->form = form;
    guarded->keys = std::move(keys);
  }
  co_return kRelay;
}

awaitable<Session::Action> Session::NoKeys(const std::vector<rewrite::KeySlot>& slots) {
  const std::string used_up = thread_->keys()->UsedUp(*pinned_->snapshot, slots);
  if (!used_up.empty()) co_return co_await Refuse(used_up);
  const bool sent = co_await SendError(AfterCommand(), 1205, "HY000", "crossfade: no new keys could be reserved in time; try restarting transaction");
  co_return sent ? kAnswered : kEnd;
}

awaitable<Session::Action> Session::Special(std::string_view payload) {
  if (last_image_ != nullptr || !marked_.empty()) {
    Action action = kAgain;
    if (!marked_.empty()) action = co_await Mend(payload);
    if (action == kAgain && last_image_ != nullptr) action = co_await AfterImage(payload);
    if (action != kAgain) co_return action;
    if (IsPlain(static_cast<Command>(last_command_), payload, pinned_ != nullptr ? pinned_->snapshot.get() : nullptr)) co_return kRelay;
  }
  switch (static_cast<Command>(last_command_)) {
    case Command::kQuit: {
      closing_ = true;
      std::string_view bytes = client_.in().data().substr(0, command_size_);
      (void)backend_.TryWrite(&bytes);
      co_return kEnd;
    }
    case Command::kQuery: co_return co_await PlanQuery(payload);
    case Command::kStmtPrepare: co_return co_await Prepare(payload);
    case Command::kStmtExecute: co_return co_await Execute(payload);
    case Command::kStmtBulkExecute:
    case Command::kStmtSendLongData:
    case Command::kStmtFetch:
    case Command::kStmtReset:
    case Command::kStmtClose: co_return co_await OtherStatementCommand(payload);
    case Command::kChangeUser: {
      if (ContainsWord(payload, "information_schema")) MayEnterInformation("information_schema");
      const bool ok = co_await ChangeUser(payload);
      co_return ok ? kAnswered : kEnd;
    }
    case Command::kResetConnection:
      ResetState();
      co_return kRelay;
    case Command::kFieldList: co_return co_await FieldList(payload);
    case Command::kInitDb:
      MayEnterInformation(payload.substr(1));
      facts_known_ = false;
      co_return kRelay;
    case Command::kSetOption:
      facts_known_ = false;
      co_return kRelay;
    case Command::kBinlogDump:
    case Command::kBinlogDumpGtid:
    case Command::kTableDump:
    case Command::kClone:
    case Command::kGroupReplication: co_return co_await Replicate();
    default: co_return kRelay;
  }
}

}  // namespace crossfade::proxy
