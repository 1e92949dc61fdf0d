// SPDX-License-Identifier: Apache-2.0
// A server looks at a foreign key when the row is stored, which may be long behind the moment in which its new reference was looked up: the
// row waits for another with the same unique key, and meanwhile somebody commits its parent. So that it is not stored with its old side
// alone, a lookup that finds no parent fails (rewrite::Plan::guard). The text without that, in a transaction or behind a savepoint, then
// tells what the server says. An error, as a rule, which is the reply. If it says nothing, the parent has come: what was stored is taken back, and
// the guarded text runs again.
#include "proxy/guarded_statement.h"

#include "fmt/format.h"
#include "protocol/codec.h"
#include "proxy/comparisons.h"
#include "proxy/prepared_statement.h"
#include "proxy/session.h"
#include "proxy/sql_words.h"
#include "rewrite/names.h"

namespace crossfade::proxy {
using protocol::Command;
using protocol::ReplyTracker;

namespace {

constexpr size_t kMostReply = 1 << 20;  // bytes, to an INSERT, REPLACE or UPDATE
constexpr char kParentCame[] = "crossfade: the parent of a row came and went while the row was written; try restarting transaction";

}  // namespace

GuardedStatement* Session::Guard(const std::shared_ptr<const rewrite::Plan>& plan) {
  if (guarded_ == nullptr) guarded_ = std::make_unique<GuardedStatement>();
  guarded_->plan = plan;
  guarded_->statement = nullptr;
  guarded_->ahead = false;
  guarded_->form = rewrite::Form::kGuarded;
  return guarded_.get();
}

// Looks at the head of the reply to the guarded text. kRelay: the reply in the backend's buffer is the client's.
awaitable<Session::Action> Session::GuardedReply() {
  const std::shared_ptr<const rewrite::Plan> plan = guarded_->plan;
  Action action = kRelay;
  for (bool again = false; action == kRelay; again = true) {
    protocol::ErrPacket error;
    const size_t size = co_await HeadError(&error);
    const bool other = error.message.empty() && !no_way_back_.empty();  // servers send no message where character_set_results is UTF-16 and the like
    if (size == 0 || other || !rewrite::IsMissingParent(error.code, error.message)) break;
    backend_.in().Consume(size);
    if (guarded_->ahead && guarded_->form != rewrite::Form::kGuarded) {  // a parent is another one than it was a moment ago
      action = co_await SendGuardedAgain(guarded_->form);
      break;
    }
    if (!again) {
      bool stored = false;
      action = co_await AskUnguarded(&stored);
      if (stored) action = co_await SendGuardedAgain(rewrite::Form::kGuarded);
      continue;
    }
    // It went through, but the parent is not there: nor need it be, or it has gone again.
    Gaps gaps = Gaps::kUnsure;
    const std::string_view sql = guarded_->statement != nullptr ? guarded_->statement->text : guarded_->sql;
    const bool alive = co_await LockGaps(sql, false, &gaps);
    if (!alive) co_return kEnd;
    if (gaps == Gaps::kLocked || plan->guard == rewrite::Plan::kMayPass) {
      const bool marks = gaps == Gaps::kOpen && MayMark(*plan, sql);
      action = co_await SendGuardedAgain(marks ? rewrite::Form::kMarked : rewrite::Form::kPlain);
      if (marks && action == kRelay) marking_ = plan;
    } else {
      const bool sent = co_await SendError(AfterCommand(), 1205, "HY000", kParentCame);
      action = sent ? kAnswered : kEnd;
    }
    break;
  }
  guarded_->plan.reset();
  std::string().swap(guarded_->own);
  co_return action;
}

// Puts one of the statement's texts into outgoing_. kRelay: it is to be sent. `*prepared`: the backend's number of a statement of ours to be
// closed behind it; 0: none.
awaitable<Session::Action> Session::BuildGuarded(rewrite::Form form, uint32_t* prepared) {
  const bool guarded = form == rewrite::Form::kGuarded;
  GuardedStatement& its = *guarded_;
  const rewrite::Dialect dialect = pinned_->snapshot->catalog.dialect;
  outgoing_.clear();
  bool fits = true;
  if (its.statement == nullptr) {
    const absl::StatusOr<std::string> text = rewrite::Render(*its.plan, *facts_, dialect, its.sql, its.keys, form);
    if (!text.ok()) co_return co_await Refuse(std::string(text.status().message()));
    std::string command(its.head);
    command += *text;
    fits = protocol::AppendFrames(command, 0, &outgoing_) == command_frames_;
  } else {
    uint32_t id = its.id;
    if (!guarded || id == 0) {
      const absl::StatusOr<std::string> text = rewrite::Render(*its.plan, its.statement->facts, dialect, its.statement->text, {}, form);
      if (!text.ok()) co_return co_await Refuse(std::string(text.status().message()));
      const bool alive = co_await HiddenPrepare(*text, &id);
      if (!alive) co_return kEnd;
      if (id == 0) co_return kAnswered;
      *prepared = id;
    }
    its.statement->long_data = its.long_data;
    fits = Build(its.statement, id, its.execute, its.plan.get(), its.keys);
    if (!guarded || its.id == 0) its.statement->active_id = its.statement->id;  // no cursor is open
  }
  if (fits) co_return kRelay;
  outgoing_.clear();
  co_return co_await Refuse(kNearFrame);
}

void Session::CloseHidden(uint32_t id) {
  protocol::Writer close;
  close.U8(static_cast<uint8_t>(Command::kStmtClose));
  close.U32(id);
  if (id != 0) protocol::AppendFrames(close.out(), 0, &outgoing_);
}

// kRelay: its reply is the client's.
awaitable<Session::Action> Session::SendGuardedAgain(rewrite::Form form) {
  if (!StillMayGoOn(*guarded_->plan)) co_return co_await Refuse(kNoLease);
  uint32_t prepared = 0;
  const Action action = co_await BuildGuarded(form, &prepared);
  CloseHidden(prepared);
  if (action == kRelay) tracker_.Start(ReplyTracker::Kind::kGeneric, capabilities_, AfterCommand());
  if (action == kRelay) tracker_.set_status(status_);
  if (!outgoing_.empty()) (void)co_await backend_.Write(outgoing_);  // lost: the backend's last words may still be readable
  outgoing_.clear();
  co_return action;
}

// Runs the text that is not guarded so that it can be taken back. `*stored`: it went through, and was. Else the client has its reply.
awaitable<Session::Action> Session::AskUnguarded(bool* stored) {
  if (!StillMayGoOn(*guarded_->plan)) co_return co_await Refuse(kNoLease);
  const bool own = (status_ & protocol::kStatusInTrans) == 0 && (status_ & protocol::kStatusAutocommit) != 0;
  bool done = false;
  bool alive = true;
  if (own) alive = co_await HiddenUntil("SET autocommit = 0", protocol::kStatusAutocommit, false, &done);
  else alive = co_await HiddenStatement("SAVEPOINT crossfade_image_5a8e1c", &done);
  if (!alive) co_return kEnd;
  if (!done) co_return co_await Refuse("a row's parent was not there when it was looked up, and no savepoint can be set here (as in an XA transaction) to look again");
  uint32_t prepared = 0;
  Action action = co_await BuildGuarded(rewrite::Form::kPlain, &prepared);
  if (action != kRelay) {
    alive = co_await EndImage(own, /*savepoint=*/!own, /*keep=*/false);
    co_return alive ? action : kEnd;
  }
  ImageStep step;
  alive = co_await HiddenFrames(AfterCommand(), &step.tracker, &step.reply, kMostReply, &step.whole);
  if (!alive) co_return kEnd;
  *stored = !step.failed();
  std::unique_ptr<LastImage> last;
  if (own && step.failed()) {
    last = std::make_unique<LastImage>();
    last->told = true;
    alive = co_await ShowWarnings(&last->shown);
  }
  // In a transaction of the client's a statement that failed has left nothing, and what there is to ask of it stays: the savepoint too.
  if (alive && (own || *stored)) alive = co_await EndImage(own, /*savepoint=*/!own, /*keep=*/false);
  if (!alive) co_return kEnd;
  // Who asks for ROW_COUNT() or @@error_count is told of the error, and not of what came behind it.
  protocol::ErrPacket error;
  SideResult told;
  if (last != nullptr) ParseSide(last->shown, capabilities_, &told);
  if (last != nullptr && protocol::ParseErr(step.tracker.last_packet(), capabilities_, &error) && error.sql_state.size() == 5) {
    const std::string again = fmt::format("SIGNAL SQLSTATE '{}' SET MYSQL_ERRNO = {}", error.sql_state, error.code);
    bool quiet = false;
    alive = co_await HiddenStatement(again, &quiet);
    if (!alive) co_return kEnd;
    last->counted = !quiet;
    last->said = !quiet && told.ok && told.rows.size() == 1;
  }
  CloseHidden(prepared);
  if (!outgoing_.empty()) (void)co_await backend_.Write(outgoing_);
  outgoing_.clear();
  if (*stored) co_return kAnswered;
  const std::string nothing;
  co_return co_await TellImage(step, own, nothing, guarded_->plan->no_way_back, &last);
}

// Has the lookups of a command's statements lock the gap where they find no parent, so that none can come before the foreign key is looked
// at: outside of a transaction they are run at REPEATABLE READ. kLocked: they do; kOpen: they do not, and the transaction is at a level at which each
// statement sees what was committed before it. False: the session ends.
awaitable<bool> Session::LockGaps(std::string_view sql, bool several, Gaps* gaps) {
  *gaps = isolation_ != Isolation::kUnknown && isolation_ < Isolation::kRepeatableRead ? Gaps::kOpen : Gaps::kUnsure;
  const bool own = (status_ & protocol::kStatusInTrans) == 0 && (status_ & protocol::kStatusAutocommit) != 0;
  if (rewrite::AsksForTheLast(sql)) co_return true;  // of the statement before
  Isolation level = isolation_;
  bool done = true;
  if (level == Isolation::kUnknown) {
    std::vector<std::string> row;
    const std::string ask = fmt::format("SELECT CAST({} AS BINARY) LIMIT 1", pinned_->snapshot->catalog.dialect.flavor == rewrite::Flavor::kMariaDb ? "@@tx_isolation" : "@@transaction_isolation");
    const bool alive = co_await HiddenQuery(ask, &row, &done);
    if (!alive) co_return false;
    if (done && row.size() == 1) level = ParseIsolation(row[0]);
    if (MayChange(sql) == 0) isolation_ = level;
  }
  const bool low = level < Isolation::kRepeatableRead;
  *gaps = level == Isolation::kUnknown ? Gaps::kUnsure : low ? Gaps::kOpen : isolation_unsure_ ? Gaps::kUnsure : Gaps::kLocked;
  if (*gaps == Gaps::kLocked || !own || level == Isolation::kUnknown) co_return true;
  // A transaction that the text begins, and leaves open, would stay as it began.
  if (several && low && (MayChange(sql) != 0 || ContainsWord(sql, "start"))) co_return true;
  const char* name = level == Isolation::kSerializable ? "SERIALIZABLE" : "REPEATABLE READ";
  const std::string raise = fmt::format("SET TRANSACTION ISOLATION LEVEL {}", name);
  bool alive = co_await HiddenStatement(raise, &done);
  if (alive && done && several && low) alive = co_await HiddenStatement("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", &done);
  if (!alive) co_return false;
  if (done) *gaps = Gaps::kLocked;
  raised_ = several && low ? Raised::kSession : Raised::kTransaction;
  lower_to_ = level;
  if (MayChange(sql) == 0) isolation_unsure_ = false;  // the statement uses up what SET TRANSACTION has said
  co_return true;
}

// Behind the reply. Where the statement failed it may not have begun a transaction, and the client's next one is not to be at that level.
void Session::Lower() {
  const Raised raised = std::exchange(raised_, Raised::kNo);
  if (tracker_.is_error()) isolation_unsure_ = true;  // it may have used nothing up
  if (lower_to_ >= Isolation::kRepeatableRead || (raised == Raised::kTransaction && !tracker_.is_error())) return;
  constexpr const char* kNames[] = {"", "READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"};
  last_image_ = std::make_unique<LastImage>();
  last_image_->then = fmt::format("SET {}TRANSACTION ISOLATION LEVEL {}", raised == Raised::kSession ? "SESSION " : "", kNames[static_cast<size_t>(lower_to_)]);
}

}  // namespace crossfade::proxy
