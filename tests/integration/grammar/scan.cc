// SPDX-License-Identifier: Apache-2.0
// The full scan and what is left after `done`; see world.h.
#include <algorithm>
#include <cctype>
#include <map>

#include "fmt/format.h"
#include "tests/integration/grammar/world.h"

namespace crossfade::grammar {

using servers::Cell;
using servers::Client;
using servers::Reply;

namespace {

std::string Show(const std::vector<Cell>& row) {
  std::string text;
  for (const Cell& cell : row) text += cell ? "'" + *cell + "' " : "NULL ";
  return text;
}

// The key's expression over another column.
std::string Over(const std::string& expression, const std::string& column, const std::string& other) {
  std::string out;
  const auto word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  for (size_t i = 0; i < expression.size();) {
    const bool begins = i == 0 || !word(expression[i - 1]);
    if (begins && expression.compare(i, column.size(), column) == 0 && (i + column.size() == expression.size() || !word(expression[i + column.size()]))) {
      out += other;
      i += column.size();
    } else {
      out += expression[i++];
    }
  }
  return out;
}

std::string SameRows(const std::string& what, const Reply& a, const Reply& b, bool null_is_fine) {
  if (!a.ok() || !b.ok()) return "scan of " + what + ": " + a.message + b.message;
  for (size_t i = 0; i < std::max(a.rows.size(), b.rows.size()); ++i) {
    if (i < a.rows.size() && i < b.rows.size() && (a.rows[i] == b.rows[i] || (null_is_fine && !a.rows[i].back() && a.rows[i][0] == b.rows[i][0]))) continue;
    return fmt::format("{}, row {}: proxied {}, direct {} ({} and {} rows)", what, i + 1, i < a.rows.size() ? Show(a.rows[i]) : "none", i < b.rows.size() ? Show(b.rows[i]) : "none", a.rows.size(), b.rows.size());
  }
  return "";
}

}  // namespace

// The columns an application sees; references as their parents spell the key, and by the new side where only that is kept.
std::string World::Old(const Table& table, bool of_proxy) const {
  std::string list;
  for (const Column& column : table.columns) {
    list += list.empty() ? "" : ", ";
    const bool gone = kStages[stage_].mode.retired && proxy_ != nullptr;
    if (column.role == Role::kReference && model_.keys[column.key].Mapped()) {
      const Key& key = model_.keys[column.key];
      const bool by_new = gone && of_proxy;
      list += fmt::format("(SELECT cf.{} FROM {} cf WHERE cf.{} = t.{})", key.column, key.table, by_new ? key.fresh : key.column, by_new ? column.fresh : column.name);
    } else if (gone && (column.role == Role::kReference || (column.role == Role::kMapped && model_.sets[column.set].back.empty()))) {
      list += "1";  // by its new side
    } else {
      list += "t." + column.name;
    }
  }
  return list;
}

// The new column, as the server without a proxy makes it of its old ones.
std::string World::Made(const Table& table, const std::string& fresh, const std::string& type, const std::string& from, bool complete) {
  (void)on_b_->Query("DROP TEMPORARY TABLE IF EXISTS crossfade_made");
  const Reply made = on_b_->Query(fmt::format("CREATE TEMPORARY TABLE crossfade_made (u int, n {} NULL) SELECT u, {} AS n FROM {}", type, from, table.name));
  if (!made.ok()) return "making " + from + ": " + made.message;
  return SameRows(fmt::format("{}.{}", table.name, fresh), on_a_->Query(fmt::format("SELECT u, {} FROM {} ORDER BY u", fresh, table.name)),
                  on_b_->Query("SELECT u, n FROM crossfade_made ORDER BY u"), !complete);
}

std::string World::Mapping(const Table& table) {
  const Stage& stage = kStages[stage_];
  const auto none = [&](const std::string& what, const std::string& from, const std::string& beside = "") -> std::string {
    const Reply count = on_a_->Query("SELECT COUNT(*) " + from);
    if (!count.ok()) return what + ": " + count.message;
    if (count.rows[0][0] == "0") return "";
    return fmt::format("{} rows of {} {}: {}", *count.rows[0][0], table.name, what, Describe(on_a_->Query("SELECT *" + beside + " " + from + " LIMIT 3"), 3));
  };
  std::string text;
  for (const Column& column : table.columns) {
    if (!text.empty()) return text;
    if (column.role != Role::kKey && column.role != Role::kReference) continue;
    const Key& key = model_.keys[column.key];
    if (column.role == Role::kReference && column.declared && !stage.mode.retired) {
      // Rows that refer to nothing although there is a foreign key: told by themselves, as the server's own doing.
      const std::string orphans = fmt::format("SELECT COUNT(*) FROM {} t WHERE t.{} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {} cf WHERE cf.{} = t.{})", table.name, column.name, key.table, key.column, column.name);
      for (const auto& [server, client] : {std::pair{"proxied", on_a_.get()}, std::pair{"direct", on_b_.get()}}) {
        const Reply found = client->Query(orphans);
        if (found.ok() && found.rows[0][0] != "0") text += fmt::format("{}: {} rows of {} refer to nothing by their old side, against the foreign key; ", server, *found.rows[0][0], table.name);
      }
      if (!text.empty()) return text;
    }
    if (!key.Mapped()) {
      text = Made(table, column.fresh, key.new_type, Over(key.from, key.column, column.name), stage.complete);
    } else if (column.role == Role::kKey) {
      text = none("share a new key", fmt::format("FROM (SELECT {0} FROM {1} WHERE {0} IS NOT NULL GROUP BY {0} HAVING COUNT(*) > 1) d", column.fresh, table.name));
      if (text.empty() && stage.complete) text = none("have no new key", fmt::format("FROM {} WHERE {} IS NULL", table.name, column.fresh));
    } else if (stage.mode.retired) {
      text = none("refer to nothing", fmt::format("FROM {} t WHERE t.{} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {} cf WHERE cf.{} = t.{})", table.name, column.fresh, key.table, key.fresh, column.fresh));
    } else {
      const std::string lookup = fmt::format("(SELECT cf.{} FROM {} cf WHERE cf.{} = t.{})", key.fresh, key.table, key.column, column.name);
      text = none("have a new reference that is not that of the old one", fmt::format("FROM {} t WHERE {} NOT t.{} <=> {}", table.name,
                                                                                     stage.complete ? "" : fmt::format("t.{} IS NOT NULL AND", column.fresh), column.fresh, lookup),
                  fmt::format(", t.{}, {}", column.fresh, lookup));
    }
  }
  for (const Set& set : model_.sets) {
    if (set.table != table.name || !text.empty()) continue;
    // Its old columns are left alone from retire on, and its new ones with them.
    if (stage.mode.retired && set.back.empty()) continue;
    for (const Set::Fresh& fresh : set.fresh)
      if (text.empty()) text = Made(table, fresh.name, fresh.type, fresh.from, stage.complete);
  }
  return text;
}

std::string World::Scan() {
  for (const Table& table : model_.tables) {
    const std::string text = SameRows(table.name, on_a_->Query(fmt::format("SELECT {} FROM {} t ORDER BY u", Old(table, true), table.name)),
                                      on_b_->Query(fmt::format("SELECT {} FROM {} t ORDER BY u", Old(table, false), table.name)), false);
    if (!text.empty()) return text;
    if (proxy_ == nullptr || !kStages[stage_].written) continue;
    if (std::string mapping = Mapping(table); !mapping.empty()) return mapping;
  }
  return "";
}

std::string World::Finish() {
  if (proxy_ == nullptr) return "";
  // What the rows have to be in the end: the new columns under their final names.
  std::map<std::string, Reply> before;
  const auto fresh = [&](const Table& table, bool final) {
    std::string list = "u";
    for (const Column& column : table.columns) {
      if (column.role == Role::kPlain) list += ", " + column.name;
      if (column.role == Role::kKey) list += ", " + (final && model_.keys[column.key].takes_name ? column.name : column.fresh);
      if (column.role == Role::kReference) list += ", " + (final && (column.indexed || column.nullable) ? column.name : column.fresh);
    }
    for (const Set& set : model_.sets) {
      if (set.table != table.name) continue;
      for (const Set::Fresh& one : set.fresh) list += ", " + (final && !set.final_name.empty() ? set.final_name : one.name);
    }
    return fmt::format("SELECT {} FROM {} ORDER BY u", list, table.name);
  };
  for (const Table& table : model_.tables) before[table.name] = on_a_->Query(fresh(table, false));
  for (auto& [name, reply] : before)
    if (!reply.ok()) return "before contract: " + reply.message;
  for (const char* phase : {"contract", "done"}) {
    for (const std::string& name : model_.Migrations()) {
      const absl::Status status = proxy_->WalkTo(name, phase, -1, kPatience);
      if (!status.ok()) return std::string(status.message());
    }
  }
  for (const Table& table : model_.tables) {
    const std::string text = SameRows(table.name + " after done", on_a_->Query(fresh(table, true)), before[table.name], false);
    if (!text.empty()) return text;
  }
  return "";
}

}  // namespace crossfade::grammar
