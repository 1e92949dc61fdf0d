// SPDX-License-Identifier: Apache-2.0
// What a statement uses of the side that goes in the end: old columns whose names nobody takes over, and values of the old
// key's shape. Noted while the text is planned, counted by the proxy, shown before `retire`.
#include "fmt/format.h"
#include "rewrite/context.h"
#include "rewrite/names.h"

namespace crossfade::rewrite {
namespace {

void NoteUse(Plan* plan, uint32_t migration, std::string text) {
  plan->old_uses.set(migration);
  if (plan->old_use.empty()) plan->old_use = std::move(text);
}

}  // namespace

void Context::OldValue(const Key& key, ValueShape shape) {
  if (!key.active || key.old_shape == key.new_shape || shape != key.old_shape || key.spec->keep_old_lookup) return;
  NoteUse(plan, key.migration, fmt::format("a key of {} in its old shape", key.spec->table));
}

void Context::OldName(const KeyColumn& column) {
  const Key& key = *column.key;
  if (!key.active || (column.own && (key.spec->keep_old_lookup || NameEq(key.spec->final_name, column.old_name)))) return;
  if (!column.own) {
    for (const config::KeyReference& reference : key.spec->references)
      if (NameEq(reference.new_column, column.new_name) && NameEq(reference.old_column, column.old_name) && NameEq(reference.final_name, column.old_name)) return;
  }
  NoteUse(plan, key.migration, fmt::format("the old column {}", column.old_name));
}

void Context::OldName(const ColumnSet& set, std::string_view column) {
  if (set.active && !NameEq(set.spec->final_name, column)) NoteUse(plan, set.migration, fmt::format("the old column {}", column));
}

}  // namespace crossfade::rewrite
