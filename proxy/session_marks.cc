// SPDX-License-Identifier: Apache-2.0
// Statements that cannot be run again as session_guard.cc has it, in a transaction of the client's at READ COMMITTED. Where a lookup finds no
// parent, their marked text (rewrite::Plan::marks) stores a new reference that is no key, and the foreign key refuses the row, unless the parent has
// come by then. So before the next command, once nobody asks any more what the statement before left to be told, the transaction
// is asked for rows with such a mark; they get what is to be found then.
#include <algorithm>

#include "fmt/format.h"
#include "proxy/comparisons.h"
#include "proxy/prepared_statement.h"
#include "proxy/session.h"
#include "proxy/sql_words.h"
#include "rewrite/dynamic.h"
#include "rewrite/lexer.h"
#include "rewrite/names.h"

namespace crossfade::proxy {
using protocol::Command;

namespace {

constexpr char kNotMended[] = "crossfade: the parent of a row came while the row was written, and its new reference could not be set; try restarting transaction";

constexpr char kAsksAmong[] = "the text asks among other things for what the statement before has to tell, whose rows have to be looked at first; ask for it by itself";

constexpr uint64_t kMostReply = 1 << 16;  // bytes

bool IsDenied(uint16_t error) { return error == 1142 || error == 1143 || error == 1044 || error == 1227; }

bool IsOneOf(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view each) { return rewrite::NameEq(word, each); });
}

// Whether a text asks for what the statement before left to be told; among other things: it may end the transaction too.
enum class Asks : uint8_t { kNot, kAlone, kAmong };
Asks AsksIn(std::string_view text, const rewrite::SessionFacts& facts, const rewrite::Dialect& dialect) {
  rewrite::TokenList list;
  if (!AsksOfDiagnostics(text) || !rewrite::Lex(text, facts, dialect, &list).ok()) return Asks::kNot;
  bool asks = false, over = false, among = !IsOneOf(list.Text(0), {"show", "get", "explain", "desc", "describe", "select", "set", "do", "with", "values", "table", "(", "insert", "replace", "update", "delete"});
  for (uint32_t i = 0; i + 1 < list.tokens.size(); ++i) {
    const std::string_view word = list.Text(i);
    if (word == ";") {
      over = true;
      continue;
    }
    const bool name = list.tokens[i].kind == rewrite::TokenKind::kWord || list.tokens[i].kind == rewrite::TokenKind::kSysVar;
    asks = asks || (name && IsOneOf(word, {"row_count", "found_rows", "warnings", "errors", "diagnostics", "warning_count", "error_count", "@@warning_count", "@@error_count"}));
    among = among || over || (name && IsOneOf(word, {"commit", "rollback", "autocommit", "@@autocommit"}));
  }
  return !asks ? Asks::kNot : among ? Asks::kAmong : Asks::kAlone;
}

// What is committed by the text that writes it has nobody who looks behind it.
bool MayEndIt(std::string_view text) {
  for (const char* word : {"commit", "begin", "start", "xa", "autocommit", "create", "alter", "drop", "rename", "truncate", "lock", "unlock", "flush", "analyze", "optimize", "repair", "check", "cache", "load", "grant",
                           "revoke", "install", "uninstall", "call", "prepare", "execute", "import", "reset"})
    if (ContainsWord(text, word)) return true;
  return false;
}

}  // namespace

// Whether the transaction is over no sooner than a command behind this one, before which its rows are looked at.
bool Session::MayMark(const rewrite::Plan& plan, std::string_view sql) const {
  const bool own = (status_ & protocol::kStatusInTrans) == 0 && (status_ & protocol::kStatusAutocommit) != 0;
  return !plan.marks.empty() && !own && !(plan.several && MayEndIt(sql));
}

// Which of the texts of a plan that has such lookups is to run. `guards`: it may be the guarded one. False: the session ends.
awaitable<bool> Session::ChooseForm(const rewrite::Plan& plan, std::string_view sql, bool guards, rewrite::Form* form) {
  *form = rewrite::Form::kPlain;
  const bool guarded = guards && plan.guard != rewrite::Plan::kUnguarded;
  Gaps gaps = Gaps::kUnsure;
  if (plan.exposed || !guards) {
    const bool alive = co_await LockGaps(sql, plan.several, &gaps);
    if (!alive) co_return false;
  }
  const bool marks = gaps == Gaps::kOpen && (!guarded || !plan.unmarked) && MayMark(plan, sql);
  if (marks) *form = rewrite::Form::kMarked;
  else if (guarded && gaps != Gaps::kLocked) *form = rewrite::Form::kGuarded;
  co_return true;
}

// Behind the reply. A single statement that failed has stored nothing.
void Session::Marked() {
  const std::shared_ptr<const rewrite::Plan> plan = std::exchange(marking_, nullptr);
  if (tracker_.is_error() && !plan->several && last_command_ != static_cast<uint8_t>(Command::kStmtBulkExecute)) return;
  if (std::find(marked_.begin(), marked_.end(), plan) == marked_.end()) marked_.push_back(plan);
}

// What a command runs, or prepares. An EXECUTE of SQL: the text of that name.
std::string_view Session::TextOf(std::string_view payload) {
  if (last_command_ == static_cast<uint8_t>(Command::kStmtPrepare)) return payload.substr(1);
  if (last_command_ == static_cast<uint8_t>(Command::kQuery)) {
    const std::string_view text = payload.substr(std::min(TextOffset(payload), payload.size()));
    if (sql_prepared_.empty() || facts_ == nullptr || !ContainsWord(text, "execute")) return text;
    const rewrite::DynamicSql dynamic = rewrite::ParseDynamic(text, *facts_, pinned_->snapshot->catalog.dialect, /*numbers=*/false);
    const auto known = dynamic.kind == rewrite::DynamicSql::kExecute ? sql_prepared_.find(dynamic.name) : sql_prepared_.end();
    return known != sql_prepared_.end() && known->second->known ? std::string_view(known->second->text) : text;
  }
  const PreparedStatement* statement = last_command_ == static_cast<uint8_t>(Command::kStmtExecute) ? FindPrepared(payload) : nullptr;
  return statement != nullptr ? std::string_view(statement->text) : std::string_view();
}

// Whether the transaction sees a row with one of these. `*error`: the server did not say.
awaitable<bool> Session::AskForMarks(const std::vector<const rewrite::Plan::Mark*>& marks, bool* found, uint16_t* error) {
  *found = false;
  *error = 1105;
  std::string ask;
  for (const rewrite::Plan::Mark* mark : marks) ask += (ask.empty() ? "SELECT " : " OR ") + mark->find;
  ask += " LIMIT 1";
  for (int i = 0; i < 3; ++i) {  // a KILL QUERY may meet each; see HiddenUntil
    ImageStep step;
    const bool alive = co_await RunImageStep(ask, kMostReply, &step);
    if (!alive) co_return false;
    if (step.failed()) {
      *error = step.tracker.error_code();
      continue;
    }
    SideResult told;
    ParseSide(step.reply, capabilities_, &told);
    if (!told.ok || told.rows.size() != 1) continue;
    *error = 0;
    *found = told.rows[0].at(0) != "0";
    break;
  }
  co_return true;
}

// kAgain: the command goes on.
awaitable<Session::Action> Session::Mend(std::string_view payload) {
  switch (static_cast<Command>(last_command_)) {
    case Command::kPing:
    case Command::kStatistics:
    case Command::kStmtSendLongData:
    case Command::kStmtClose:
    case Command::kStmtReset:
    case Command::kQuit:  // these three end the transaction without a commit
    case Command::kResetConnection:
    case Command::kChangeUser: co_return kAgain;
    default: break;
  }
  const Asks asks = facts_ != nullptr ? AsksIn(TextOf(payload), *facts_, pinned_->snapshot->catalog.dialect) : Asks::kNot;
  if (asks == Asks::kAlone) co_return kAgain;
  if (asks == Asks::kAmong) co_return co_await Refuse(kAsksAmong);
  const std::vector<std::shared_ptr<const rewrite::Plan>> plans = std::exchange(marked_, {});
  std::vector<const rewrite::Plan::Mark*> marks;
  for (const std::shared_ptr<const rewrite::Plan>& plan : plans)
    for (const rewrite::Plan::Mark& mark : plan->marks) marks.push_back(&mark);
  bool found = false, done = true;
  uint16_t error = 0;
  bool alive = co_await AskForMarks(marks, &found, &error);
  if (alive && IsDenied(error)) {  // who may not read a table leaves it to verification
    std::vector<const rewrite::Plan::Mark*> readable;
    for (const rewrite::Plan::Mark* mark : marks) {
      bool here = false;
      uint16_t denied = 0;
      if (alive) alive = co_await AskForMarks({1, mark}, &here, &denied);
      found = found || here;
      if (!IsDenied(denied)) readable.push_back(mark);
      if (!IsDenied(denied) && denied != 0) done = false;
    }
    marks = std::move(readable);
    error = 0;
  }
  if (error != 0) done = false;
  for (int i = 0; i < 3 && alive && done && found; ++i) {  // a KILL QUERY may meet each; see HiddenUntil
    for (const rewrite::Plan::Mark* mark : marks)
      if (alive && done) alive = co_await HiddenStatement(mark->mend, &done);
    if (alive && done) alive = co_await AskForMarks(marks, &found, &error);
    done = done && error == 0;
  }
  if (alive && done && !found) co_return kAgain;
  uint16_t status = 0;
  bool undone = false;
  if (alive) alive = co_await HiddenStatement("ROLLBACK AND NO CHAIN NO RELEASE", &undone, &status);
  if (alive && !undone) alive = Fail("rows whose parent came while they were written could neither be mended nor taken back");
  if (!alive) co_return kEnd;
  tracker_.set_status(status);
  const bool sent = co_await SendError(AfterCommand(), 1213, "40001", kNotMended);
  co_return sent ? kAnswered : kEnd;
}

}  // namespace crossfade::proxy
