// SPDX-License-Identifier: Apache-2.0
// A guarded statement under way (rewrite::Plan::guard): what it takes to run it again. See session_guard.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/statement.h"
#include "rewrite/planner.h"

namespace crossfade::proxy {

struct PreparedStatement;

// Kept from one statement of a session to the next. What it points to is of the command, which stays where it is until it is done.
struct GuardedStatement {
  std::shared_ptr<const rewrite::Plan> plan;  // nullptr: none is under way
  std::string_view head, sql;                 // of a COM_QUERY: what stands before its text, and its text
  PreparedStatement* statement = nullptr;     // … or of a COM_STMT_EXECUTE
  uint32_t id = 0;                            // the backend's, of the guarded text; 0: there is none
  protocol::Execute execute;
  std::vector<std::pair<uint16_t, std::string>> long_data;
  std::vector<uint64_t> keys;
  bool ahead = false;  // its references stand in the text that was sent: see session_ahead.cc
  rewrite::Form form = rewrite::Form::kGuarded;  // of that text
  std::string own;     // what `sql` is of, where that is not the client's command
};

}  // namespace crossfade::proxy
