// SPDX-License-Identifier: Apache-2.0
// Reads what a migration says of its cutover: `cutover:`, `compare_reads:` and `quiet_before_retire:`. All of it may be
// changed while the migration is under way.
#pragma once

#include "config/config.h"
#include "config/section.h"

namespace crossfade::config {

void ReadCutover(Section& section, Migration* migration);

}  // namespace crossfade::config
