// SPDX-License-Identifier: Apache-2.0
// A statement under way with a range of new keys: what it takes to run it again. See session_range.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "protocol/statement.h"
#include "rewrite/planner.h"

namespace crossfade::proxy {

struct PreparedStatement;

struct RangedStatement {
  std::shared_ptr<const rewrite::Plan> plan;
  std::string head, sql;                   // of a COM_QUERY: what stands before its text, and its text
  PreparedStatement* statement = nullptr;  // … or of a COM_STMT_EXECUTE
  uint32_t id = 0;                         // the backend's
  protocol::Execute execute;               // points into the command, which stays where it is until it is done
  std::vector<std::pair<uint16_t, std::string>> long_data;
  uint64_t rows = 0;                       // asked for
  bool counted = false;                    // the reply is an OK packet, which says how many rows were affected
  std::vector<uint64_t> keys;              // the first and the last; empty: none are held
};

}  // namespace crossfade::proxy
