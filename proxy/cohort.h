// SPDX-License-Identifier: Apache-2.0
// Which side a session reads during `cutover`: by its ticket or its user's, or because the file names its user, its listener or
// one of its connection attributes.
#pragma once

#include <cstdint>
#include <string_view>

#include "rewrite/snapshot.h"

namespace crossfade::proxy {

struct Reader {
  uint32_t ticket = 0;  // 0 to 9,999
  std::string_view user, listener;
  std::string_view attributes;  // as the login has them: length-encoded names and values
};

uint32_t TicketOf(std::string_view user);
// Bit i: it reads the new side of snapshot.migrations[i].
rewrite::MigrationSet CohortOf(const rewrite::Snapshot& snapshot, const Reader& reader);
// Some migration asks for connection attributes.
bool AsksAttributes(const rewrite::Snapshot& snapshot);

}  // namespace crossfade::proxy
