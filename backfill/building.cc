// SPDX-License-Identifier: Apache-2.0
// Online ALTERs beside an application. Such an ALTER waits for the metadata locks of its table twice, as it begins and as it ends, and
// what wants the table just then waits behind it. A transaction that has read the table, and now writes it, would wait for the ALTER
// that waits for its first lock: both engines take the transaction for the victim of this deadlock (1213), as the ALTER weighs more.
// Nobody can tell when an ALTER comes to its end, so no gate can be held for it. Instead, while `building` is set, each transaction
// takes the locks for writing with its first statement (proxy/session_building.cc): it never asks for more than it has.
#include "backfill/alter.h"
#include "backfill/store.h"
#include "backfill/walker.h"
#include "fmt/format.h"

namespace crossfade::backfill {

absl::StatusOr<Waiting> Walker::Build(const ControlState& state, const MigrationRow& row, const std::vector<Alter>& alters, std::chrono::microseconds* again) {
  if (row.building == !alters.empty()) {
    if (alters.empty()) return Waiting();
    // Transactions from before do not know of it.
    std::string waiting_for;
    auto drained = Drained(connection_, config_, state.epoch, &waiting_for);
    if (!drained.ok()) return drained.status();
    if (!*drained) return Waiting("waits for " + waiting_for);
    absl::Status built = RunAlters(connection_, config_, row.name, alters);
    if (!built.ok()) return built;
    *again = std::chrono::microseconds(0);
    return Waiting("the tables are changed");  // what was in their way may be changed now, too
  }
  EpochChange change{alters.empty() ? "building = 0" : "building = 1"};
  change.restarts_work = false;
  absl::Status changed = ChangeEpoch(connection_, config_, state.epoch, row.name, change);
  if (!changed.ok()) return changed;
  *again = std::chrono::microseconds(0);
  return Waiting(alters.empty() ? "the tables are changed" : "about to change the tables, online");
}

}  // namespace crossfade::backfill
