// SPDX-License-Identifier: Apache-2.0
// What an execution of a prepared statement asks, as one text: each parameter written as a literal of its own type and value. For
// reads that are compared and updates in steps; what could not be written so exactly has no text.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/statement.h"
#include "rewrite/planner.h"

namespace crossfade::proxy {

// NULL, integers, strings (not binary ones), DOUBLE, DATE and DATETIME. nullopt: another type, data sent in pieces, a value or a
// text that grows beyond 64 KiB, a string in a character set whose bytes may read as a backslash, or no such number of parameters.
// `bytes`: the parameters that mean the same as bytes. On MySQL they are written so, since it warns (1300) of a literal that is no text of its character set.
// `converts`: character_set_connection is another than character_set_client, and neither is binary. MySQL converts parameters to it, or fails with an error (3988) of
// theirs: strings beyond ASCII are not written then.
std::optional<std::string> ExecutionText(std::string_view sql, const rewrite::SessionFacts& facts, const rewrite::Dialect& dialect, const protocol::Execute& execute,
                                         const std::vector<uint32_t>& bytes = {}, bool converts = false);

}  // namespace crossfade::proxy
