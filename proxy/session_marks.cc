// SPDX-License-Identifier: Apache-2.0
// Statements that cannot be run again as session_guard.cc has it, in a transaction of the client's at READ COMMITTED. Where a lookup finds no
// parent, their marked text (rewrite::Plan::marks) stores a new reference that is no key, and the foreign key refuses the row, unless the parent has
// come by then. So before the next command, once nobody asks any more what the statement before left to be told, the transaction
// is asked for rows with such a mark; they get what is to be found then.
#include <algorithm>

#include "fmt/format.h"
#include "proxy/prepared_statement.h"
#include "proxy/session.h"
#include "proxy/sql_words.h"

namespace crossfade::proxy {
using protocol::Command;

namespace {

constexpr char kNotMended[] = "crossfade: the parent of a row came while the row was written, and its new reference could not be set; try restarting transaction";

}  // namespace

// Which of the texts of a plan that has such lookups is to run. `guards`: it may be the guarded one. False: the session ends.
awaitable<bool> Session::ChooseForm(const rewrite::Plan& plan, std::string_view sql, bool guards, rewrite::Form* form) {
  const bool guarded = guards && plan.guard != rewrite::Plan::kUnguarded;
  Gaps gaps = Gaps::kUnsure;
  if (plan.exposed || !guards) {
    const bool alive = co_await LockGaps(sql, plan.several, &gaps);
    if (!alive) co_return false;
  }
  const bool marks = gaps == Gaps::kOpen && !plan.marks.empty() && (!guarded || !plan.unmarked);
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

std::string_view Session::TextOf(std::string_view payload) {
  if (last_command_ == static_cast<uint8_t>(Command::kQuery)) return payload.substr(std::min(TextOffset(payload), payload.size()));
  const PreparedStatement* statement = last_command_ == static_cast<uint8_t>(Command::kStmtExecute) ? FindPrepared(payload) : nullptr;
  return statement != nullptr ? std::string_view(statement->text) : std::string_view();
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
  if (AsksOfDiagnostics(TextOf(payload))) co_return kAgain;
  const std::vector<std::shared_ptr<const rewrite::Plan>> plans = std::exchange(marked_, {});
  std::string ask;
  for (const std::shared_ptr<const rewrite::Plan>& plan : plans)
    for (const rewrite::Plan::Mark& mark : plan->marks) ask += (ask.empty() ? "SELECT " : " OR ") + mark.find;
  ask += " LIMIT 1";
  bool alive = true, done = true, found = false;
  for (int i = 0; i < 3 && alive; ++i) {  // a KILL QUERY may meet each; see HiddenUntil
    std::vector<std::string> row;
    alive = co_await HiddenQuery(ask, &row, &done);
    if (!alive) break;
    if (done && row.size() == 1 && row[0] == "0") co_return kAgain;
    if (!done) continue;
    found = true;
    for (size_t at = 0; at < plans.size(); ++at) {
      for (const rewrite::Plan::Mark& mark : plans[at]->marks)
        if (alive && done) alive = co_await HiddenStatement(mark.mend, &done);
    }
    if (!done) break;
  }
  if (alive && !found) co_return kAgain;  // who may not read the table leaves it to verification
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
