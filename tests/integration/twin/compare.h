// SPDX-License-Identifier: Apache-2.0
// Are two replies what one application would have to see as the same? Where the new key is shown, integers are
// compared through the parent's own mapping.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "tests/integration/twin/generator.h"
#include "tests/servers/client.h"

namespace crossfade::twin {

// Old keys by new ones and back, as the parent on the proxy's side says, uncommitted rows included.
class KeyMap {
 public:
  absl::Status Refresh(servers::Client& client, const Schema& schema);
  std::optional<servers::Parameter> Number(const std::string& old_key) const;
  // Has `number` ever been the new key of `old_key`? Case does not count, as in the tables' collations.
  bool Was(const std::string& number, const std::string& old_key) const;
  // The key that has it now, folded; the text itself if none has.
  std::string Now(const std::string& number) const;

 private:
  std::map<std::string, servers::Parameter> number_;  // now
  std::map<std::string, std::string> key_;            // number -> the old key now, folded
  std::map<std::string, std::set<std::string>> was_;  // number -> old keys, folded
};

struct Comparison {
  const Mode* mode = nullptr;
  const KeyMap* keys = nullptr;
  const Schema* schema = nullptr;
  // A number stands for an old key on one side: the server may see sooner that nothing matches. (From retire on so may it
  // with a range of old keys, which is looked up.)
  bool other_text = false;
  bool any_row = false;  // the row number in a message depends on the plan
};

// Empty: the same. Else what differs first.
std::string Difference(const servers::Reply& proxied, const servers::Reply& direct, const Statement& statement, const Comparison& how);

}  // namespace crossfade::twin
