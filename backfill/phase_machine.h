// SPDX-License-Identifier: Apache-2.0
// Which phase comes next. Pure: what must be true before a step is taken is the walker's matter (walker.h).
//
//   observe <-> expand <-> dual_write <-> backfill <-> verify <-> cutover -> retire -> contract -> done
//                              ^------------+------------+----------'
//
// From backfill, verify and cutover the way back leads at once to any phase down to dual_write: in all of them both
// sides are written, so any two of them may be live together. Below dual_write one step at a time: first every
// reader of the new side has to be gone, then the writers may stop.
#pragma once

#include "config/config.h"

namespace crossfade::backfill {

// The phase to go to from `phase` on the way to `desired`; `phase` itself: stay.
config::Phase NextPhase(config::Phase phase, config::Phase desired);

// Whether a change from one phase to the other is ever made.
bool IsStep(config::Phase from, config::Phase to);

}  // namespace crossfade::backfill
