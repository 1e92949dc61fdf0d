// SPDX-License-Identifier: Apache-2.0
// Are two replies what one application would have to see as the same? Where the new key is shown, through the parent's own mapping.
#pragma once

#include <map>
#include <set>
#include <string>

#include "tests/integration/grammar/grammar.h"
#include "tests/servers/client.h"

namespace crossfade::grammar {

// Which old keys each new key has stood for so far, as the parent on the proxy's side says, uncommitted rows included.
class History {
 public:
  absl::Status Refresh(servers::Client& client, const Model& model);
  bool Was(int key, const std::string& fresh, const std::string& old) const;

 private:
  std::map<std::pair<int, std::string>, std::set<std::string>> was_;  // old keys, folded
};

struct Comparison {
  const Mode* mode = nullptr;
  const History* history = nullptr;
  bool other_text = false;  // a new key stands for an old one on one side
  bool any_row = false;     // "at row N" of messages and warnings depends on the plan
  bool filling = false;     // rows may wait for the backfill
  bool warnings = false;    // the reply is that of SHOW WARNINGS
};

// Empty: the same. Else what differs first.
std::string Difference(const servers::Reply& proxied, const servers::Reply& direct, const Statement& statement, const Comparison& how);

}  // namespace crossfade::grammar
