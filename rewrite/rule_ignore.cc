// SPDX-License-Identifier: Apache-2.0
// IGNORE of a parent's row that the server only half does. From 9.6 on MySQL keeps foreign keys above the storage engine,
// one after the other. If one of them, or the row itself, then says no, IGNORE makes a warning of it, and what was done to
// the children before stays done:
//   UPDATE IGNORE P SET o = …   the children refer to a key that their parent never got, their new reference to the parent
//   DELETE IGNORE FROM P …      children of a row that stays are gone, or not: the order in which the foreign keys are looked
//                               at changes with any index that is added to P, ours too
// See rules.h.
#include "fmt/format.h"
#include "rewrite/names.h"
#include "rewrite/rules.h"

namespace crossfade::rewrite {
namespace {

// What the foreign keys on `parent` do.
struct Actions {
  bool follows = false;   // CASCADE, SET NULL
  bool restricts = false;
};

Actions ActionsOn(const World& world, const MigratingTable& parent, bool deletes) {
  Actions actions;
  for (const MigratingTable& child : world.tables()) {
    if (child.table == nullptr) continue;
    for (const ForeignKey& foreign : child.table->foreign_keys) {
      if (!NameEq(foreign.ref_schema, parent.schema) || !NameEq(foreign.ref_table, parent.name)) continue;
      const std::string& action = deletes ? foreign.on_delete : foreign.on_update;
      (action == "RESTRICT" || action == "NO ACTION" ? actions.restricts : actions.follows) = true;
    }
  }
  return actions;
}

}  // namespace

void CheckIgnored(Context& context, const MigratingTable& parent, bool deletes) {
  if (context.dialect.flavor != Flavor::kMySql || context.dialect.version < 90600) return;
  for (const KeyColumn& column : parent.keys) {
    if (!column.own || !column.key->active) continue;
    const Actions actions = ActionsOn(context.world, parent, deletes);
    if (actions.follows && (actions.restricts || !deletes)) {
      context.Refuse(*column.key,
                     fmt::format("{} IGNORE of {} leaves rows of other tables changed where the row itself stays as it was",
                                 deletes ? "DELETE" : "UPDATE", deletes ? parent.name : column.old_name),
                     "leave IGNORE out");
    }
  }
}

}  // namespace crossfade::rewrite
