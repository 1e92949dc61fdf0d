// SPDX-License-Identifier: Apache-2.0
// See announce.h.
#include "proxy/announce.h"

#include "backfill/phase_machine.h"
#include "fmt/format.h"

namespace crossfade::proxy {
namespace {

using config::Phase;

std::string OldColumns(const config::Migration& migration) {
  std::string names;
  const auto add = [&](const std::string& table, const std::string& column) { names += fmt::format("{}{}.{}", names.empty() ? "" : ", ", table, column); };
  for (const config::KeyMigration& key : migration.keys) {
    if (!key.keep_old_lookup) add(key.table, key.old_column);
    for (const config::KeyReference& reference : key.references) add(reference.table, reference.old_column);
  }
  for (const config::ColumnMigration& columns : migration.columns) {
    for (const std::string& old : columns.old_columns) add(columns.table, old);
  }
  return names;
}

std::string Forward(const config::Migration& migration, Phase phase, double percent) {
  switch (phase) {
    case Phase::kObserve: return "";
    case Phase::kExpand: return "adds the new columns, invisible and at once";
    case Phase::kDualWrite: return "writes fill both sides from here on";
    case Phase::kBackfill: return "fills the new side of the rows that are there, in chunks";
    case Phase::kVerify: return "builds the indexes on the new columns online, then compares every row";
    case Phase::kCutover: return fmt::format("{:g} % of the connections read the new side{}", percent,
                                             migration.cutover.plain() ? "" : migration.cutover.sticky_user ? " (by user), and whom the file names" : ", and whom the file names");
    case Phase::kRetire: return "swaps the keys online, then writes and reads the new side alone; the old foreign keys and the old columns' indexes go";
    case Phase::kContract: return fmt::format("gives the new columns their final names and drops {}", OldColumns(migration));
    case Phase::kDone: return "the proxy has nothing left to do";
  }
  return "";
}

std::string Back(Phase phase) {
  switch (phase) {
    case Phase::kObserve: return "nothing is rewritten any more; the new columns stay, unused";
    case Phase::kExpand: return "both sides stop being written; the next backfill compares every row";
    case Phase::kDualWrite: return "everybody reads the old side; both sides are written on, and nothing has to be copied again";
    case Phase::kBackfill:
    case Phase::kVerify: return "everybody reads the old side; both sides are written on";
    default: return "";
  }
}

}  // namespace

std::string Announcement(const config::Migration& migration, Phase from, Phase to, double percent) {
  std::string text;
  if (from == to) return to == Phase::kCutover ? fmt::format("  cutover: {}\n", Forward(migration, to, percent)) : "";
  if (to < from) return fmt::format("  back to {}: {}\n", config::PhaseName(to), Back(to));
  for (Phase phase = from; phase != to;) {
    phase = backfill::NextPhase(phase, to);
    text += fmt::format("  {}: {}\n", config::PhaseName(phase), Forward(migration, phase, phase == to ? percent : 100));
  }
  return text;
}

std::string NoWayBack(const config::Migration& migration, Phase from, Phase to) {
  std::string text;
  if (from < Phase::kRetire && to >= Phase::kRetire) text = "from `retire` on only the new side is written: there is no way back to an earlier phase";
  if (from < Phase::kContract && to >= Phase::kContract) text += fmt::format("{}`contract` drops {}", text.empty() ? "" : "; ", OldColumns(migration));
  return text;
}

}  // namespace crossfade::proxy
