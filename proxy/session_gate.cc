// SPDX-License-Identifier: Apache-2.0
// Statements that name no migrating table, but one that a foreign key ties to a held one: they wait at the statement gate too. Such a
// write takes the metadata lock of the held table, and its transaction would keep it while it waits at the gate for the next.
#include "protocol/constants.h"
#include "proxy/metrics.h"
#include "proxy/prepared_statement.h"
#include "proxy/session.h"
#include "rewrite/touch.h"

namespace crossfade::proxy {
using protocol::Command;

bool Session::NamesRelative(const rewrite::TouchSet& relatives, Command command, std::string_view payload) {
  switch (command) {
    case Command::kQuery: return relatives.Matches(payload);
    case Command::kStmtExecute:
    case Command::kStmtBulkExecute: {
      const PreparedStatement* statement = FindPrepared(payload);
      return statement != nullptr && relatives.Matches(statement->text);
    }
    default: return false;
  }
}

// A transaction from before the gate closed has an older snapshot pinned, whose gate is open. False: the session ends. A gate
// that does not open goes its way without this statement: that one needs no plan, so it has no reason to fail.
awaitable<bool> Session::WaitAtGate(Command command, std::string_view payload) {
  while (pinned_->snapshot != nullptr && pinned_->snapshot->gate != nullptr && NamesRelative(*pinned_->snapshot->gate, command, payload)) {
    thread_->metrics()->waited_for_gate.Add();
    const bool came = co_await WaitForSnapshot(limits().hold_limit * 4);
    if (closing_) co_return false;
    if (!came) break;
  }
  co_return true;
}

}  // namespace crossfade::proxy
