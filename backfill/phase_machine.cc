// SPDX-License-Identifier: Apache-2.0
// Which phase comes next.
#include "backfill/phase_machine.h"

#include <algorithm>

namespace crossfade::backfill {

using config::Phase;

Phase NextPhase(Phase phase, Phase desired) {
  if (desired == phase) return phase;
  const bool forward = desired > phase;
  switch (phase) {
    case Phase::kObserve: return Phase::kExpand;
    case Phase::kExpand: return forward ? Phase::kDualWrite : Phase::kObserve;
    case Phase::kDualWrite: return forward ? Phase::kBackfill : Phase::kExpand;
    case Phase::kBackfill: return forward ? Phase::kVerify : Phase::kDualWrite;
    case Phase::kVerify: return forward ? Phase::kCutover : std::max(desired, Phase::kDualWrite);
    case Phase::kCutover: return forward ? Phase::kRetire : std::max(desired, Phase::kDualWrite);
    case Phase::kRetire: return forward ? Phase::kContract : phase;
    case Phase::kContract: return forward ? Phase::kDone : phase;
    case Phase::kDone: return phase;
  }
  return phase;
}

bool IsStep(Phase from, Phase to) {
  if (from == to) return false;
  for (int desired = 0; desired <= static_cast<int>(Phase::kDone); ++desired) {
    if (NextPhase(from, static_cast<Phase>(desired)) == to) return true;
  }
  return false;
}

}  // namespace crossfade::backfill
