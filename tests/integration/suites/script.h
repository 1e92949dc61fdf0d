// SPDX-License-Identifier: Apache-2.0
// The statements of a mysqltest script (.test, .inc), as far as they can be told without running it: directives are taken
// out, the delimiter followed, variables that a plain `let` has set put in. What else has a $variable in it is left out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace crossfade::suites {

struct Scripted {
  std::string text;
  bool may_fail = false;  // under --error or --disable_abort_on_error
};

std::vector<Scripted> ReadScript(std::string_view script);

}  // namespace crossfade::suites
