// SPDX-License-Identifier: Apache-2.0
// Reads migrations. Every column that an entry names is claimed once for (schema, table, column), so that no two
// migrations can work on the same column and no two columns of one table can take the same name.
#include "config/migrations.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <string>

#include "config/cutover.h"
#include "config/names.h"

namespace crossfade::config {
namespace {

class Claims {
 public:
  explicit Claims(Diagnostics* diagnostics) : diagnostics_(diagnostics) {}

  // False (with an error): somebody has it.
  bool Take(const Migration& migration, const std::string& table, const std::string& column, int line) {
    const std::string key = FoldCase(migration.schema) + '.' + FoldCase(table) + '.' + FoldCase(column);
    const auto [place, fresh] = owners_.try_emplace(key, Owner{migration.name, line});
    if (fresh) return true;
    diagnostics_->Fail(line, fmt::format("column {}.{}.{} is claimed already by migration '{}' in line {}", migration.schema,
                                         table, column, place->second.migration, place->second.line));
    return false;
  }

 private:
  struct Owner {
    std::string migration;
    int line;
  };
  Diagnostics* diagnostics_;
  std::map<std::string, Owner> owners_;
};

std::string Identifier(Section& section, std::string_view key, bool needed) {
  const std::string name = needed ? section.Required(key) : section.String(key);
  if (name.empty()) return name;
  if (const std::string reason = CheckIdentifier(name); !reason.empty()) section.Fail(key, reason);
  return name;
}

// `final` may take the name of the column it replaces, where that one goes, and no other's.
void ClaimColumns(Section& section, const Migration& migration, Claims* claims, const std::string& table,
                  const std::string& old_column, const std::string& new_column, int new_line,
                  const std::string& final_name, bool old_stays) {
  claims->Take(migration, table, old_column, section.Line("old"));
  if (FoldCase(old_column) == FoldCase(new_column)) {
    section.Fail("new", fmt::format("the new column has the name of the old one, {}; give it another, and "
                                    "'final: {}' to take the old name in the end", old_column, old_column));
    return;
  }
  claims->Take(migration, table, new_column, new_line);
  if (final_name.empty() || FoldCase(final_name) == FoldCase(new_column)) return;
  if (FoldCase(final_name) != FoldCase(old_column)) {
    claims->Take(migration, table, final_name, new_line);
  } else if (old_stays) {
    section.Fail("new", fmt::format("final: {} is the old column's name, which keep_old_lookup keeps", final_name));
  }
}

KeyReference ReadReference(const YAML::Node& node, const std::string& what, const Migration& migration, Claims* claims,
                           Diagnostics* diagnostics) {
  Section section(node, what, diagnostics);
  KeyReference reference;
  reference.table = Identifier(section, "table", true);
  reference.old_column = Identifier(section, "old", true);
  reference.new_column = Identifier(section, "new", true);
  reference.final_name = Identifier(section, "final", false);
  section.Done();
  if (!diagnostics->ok()) return reference;
  ClaimColumns(section, migration, claims, reference.table, reference.old_column, reference.new_column,
               section.Line("new"), reference.final_name, false);
  return reference;
}

KeyMigration ReadKey(const YAML::Node& node, const std::string& what, const Migration& migration, Claims* claims,
                     Diagnostics* diagnostics) {
  Section section(node, what, diagnostics);
  KeyMigration key;
  key.table = Identifier(section, "table", true);
  key.old_column = Identifier(section, "old", true);
  Section fresh(section.Mapping("new"), what + ".new", diagnostics);
  key.new_column = Identifier(fresh, "column", true);
  key.new_type = fresh.Required("type");
  if (const std::string reason = CheckType(key.new_type); diagnostics->ok() && !reason.empty()) {
    fresh.Fail("type", reason);
  }
  key.from = fresh.String("from");
  if (const std::string reason = key.from.empty() ? "" : CheckExpression(key.from); !reason.empty()) fresh.Fail("from", reason);
  // A key of letters holds a UUID; tables of different character sets could not refer to each other.
  const std::string folded = FoldCase(key.new_type);
  const bool letters = folded.rfind("char", 0) == 0 || folded.rfind("varchar", 0) == 0;
  if (letters && key.from.empty() && folded.find("charset") == std::string::npos && folded.find("character set") == std::string::npos) key.new_type += " CHARACTER SET ascii";
  key.final_name = Identifier(fresh, "final", false);
  if (section.Has("final")) {
    if (!key.final_name.empty()) section.Fail("final", "stands under 'new' too");
    key.final_name = Identifier(section, "final", false);
  }
  fresh.Done();
  key.keep_old_lookup = section.Bool("keep_old_lookup");
  key.old_from = section.String("old_from");
  if (const std::string reason = key.old_from.empty() ? "" : CheckExpression(key.old_from); !reason.empty()) {
    section.Fail("old_from", reason);
  }
  key.back = section.String("back");
  if (const std::string reason = key.back.empty() ? "" : CheckExpression(key.back); !reason.empty()) section.Fail("back", reason);
  if (key.from.empty() && !key.back.empty()) section.Fail("back", "has a meaning with 'new: {from: …}' only");
  if (!key.from.empty() && key.keep_old_lookup) section.Fail("keep_old_lookup", "has no meaning for a key that is made of the old one");
  if (!key.from.empty() && key.back.empty()) {
    if (FoldCase(key.from) == FoldCase(key.old_column)) key.back = key.new_column;
    else section.Fail("new", "from needs the way back beside it: back, an expression over the new column");
  }
  const std::vector<YAML::Node> references = section.List("references");
  section.Done();
  if (!diagnostics->ok()) return key;
  ClaimColumns(section, migration, claims, key.table, key.old_column, key.new_column, fresh.Line("column"),
               key.final_name, key.keep_old_lookup);
  for (size_t i = 0; i < references.size() && diagnostics->ok(); ++i) {
    key.references.push_back(
        ReadReference(references[i], fmt::format("{}.references[{}]", what, i), migration, claims, diagnostics));
  }
  return key;
}

void ReadNewColumns(Section& section, const Migration& migration, Claims* claims, ColumnMigration* columns) {
  Diagnostics* diagnostics = section.diagnostics();
  Section fresh(section.Mapping("new"), section.what() + ".new", diagnostics);
  for (const std::string& name : fresh.Keys()) {
    if (const std::string reason = CheckIdentifier(name); !reason.empty()) fresh.Fail(name, reason);
    Section column(fresh.Value(name), section.what() + ".new." + name, diagnostics);
    NewColumn made{name, column.Required("type"), column.Required("from")};
    column.Done();
    if (!diagnostics->ok()) return;
    if (const std::string reason = CheckType(made.type); !reason.empty()) column.Fail("type", reason);
    if (const std::string reason = CheckExpression(made.from); !reason.empty()) column.Fail("from", reason);
    claims->Take(migration, columns->table, name, fresh.Line(name));
    columns->new_columns.push_back(std::move(made));
  }
  if (columns->new_columns.empty()) section.Fail("new", "no column stands here");
}

void ReadBack(Section& section, ColumnMigration* columns) {
  if (!section.Has("back")) return;
  Section back(section.Mapping("back"), section.what() + ".back", section.diagnostics());
  for (const std::string& name : back.Keys()) {
    bool known = false;
    for (const std::string& old_column : columns->old_columns) known = known || FoldCase(old_column) == FoldCase(name);
    if (!known) back.Fail(name, "is none of the old columns");
    const std::string expression = back.String(name);
    if (const std::string reason = CheckExpression(expression); section.diagnostics()->ok() && !reason.empty()) {
      back.Fail(name, reason);
    }
    columns->back.push_back({name, expression});
  }
}

ColumnMigration ReadColumns(const YAML::Node& node, const std::string& what, const Migration& migration, Claims* claims,
                            Diagnostics* diagnostics) {
  Section section(node, what, diagnostics);
  ColumnMigration columns;
  columns.table = Identifier(section, "table", true);
  columns.old_columns = section.Strings("old");
  if (diagnostics->ok() && columns.old_columns.empty()) section.Fail("old", "at least one column is needed");
  for (const std::string& name : columns.old_columns) {
    if (const std::string reason = CheckIdentifier(name); !reason.empty()) section.Fail("old", reason);
    if (diagnostics->ok()) claims->Take(migration, columns.table, name, section.Line("old"));
  }
  if (diagnostics->ok()) ReadNewColumns(section, migration, claims, &columns);
  if (diagnostics->ok()) ReadBack(section, &columns);
  columns.final_name = Identifier(section, "final", false);
  section.Done();
  if (!diagnostics->ok() || columns.final_name.empty()) return columns;
  if (columns.new_columns.size() != 1) section.Fail("final", "needs exactly one new column");
  bool replaces = FoldCase(columns.final_name) == FoldCase(columns.new_columns[0].name);
  for (const std::string& name : columns.old_columns) replaces = replaces || FoldCase(name) == FoldCase(columns.final_name);
  if (!replaces) claims->Take(migration, columns.table, columns.final_name, section.Line("final"));
  return columns;
}

void ReadPhase(Section& section, Migration* migration) {
  migration->accepted = section.Strings("accepted");
  const std::string phase = section.String("phase");
  if (!phase.empty()) {
    const auto parsed = ParsePhase(phase);
    if (!parsed) {
      section.Fail("phase", fmt::format("'{}' is no phase; they are observe, expand, dual_write, backfill, verify, "
                                        "cutover, retire, contract, done", phase));
      return;
    }
    migration->phase = *parsed;
  }
  const bool percent = section.Has("percent");
  migration->percent = section.Number("percent", 0, 100, 0);
  const bool cutover = migration->phase == Phase::kCutover;
  if (percent && !cutover) section.Fail("percent", "has a meaning with 'phase: cutover' only");
  if (!percent && cutover) section.Fail("phase", "cutover needs 'percent:', the share of connections that read the new side");
}

void CheckSchema(Section& section, const std::string& schema, const Control& control) {
  static constexpr std::array<std::string_view, 4> kSystem = {"mysql", "information_schema", "performance_schema", "sys"};
  for (const std::string_view system : kSystem) {
    if (FoldCase(schema) == system) section.Fail("schema", fmt::format("{} belongs to the server", schema));
  }
  if (FoldCase(schema) == FoldCase(control.schema)) section.Fail("schema", fmt::format("{} is the control schema", schema));
}

bool Names(const Migration& migration, const std::string& table) {
  for (const KeyMigration& key : migration.keys) {
    if (key.table == table) return true;
    for (const KeyReference& reference : key.references) {
      if (reference.table == table) return true;
    }
  }
  for (const ColumnMigration& columns : migration.columns) {
    if (columns.table == table) return true;
  }
  return false;
}

// {TABLE: NUMBER, …}
void ReadWorkers(const YAML::Node& node, const std::string& what, Migration* migration, Diagnostics* diagnostics) {
  Section section(node, what, diagnostics);
  for (const std::string& table : section.Keys()) {
    if (!Names(*migration, table)) section.Fail(table, "the migration names no such table");
    const double number = section.Number(table, 1, 64, 1);
    if (number != static_cast<uint32_t>(number)) section.Fail(table, "is a whole number, 1 to 64");
    migration->workers.push_back({table, static_cast<uint32_t>(number)});
  }
  section.Done();
}

Migration ReadMigration(const YAML::Node& node, const std::string& what, const Control& control, Claims* claims,
                        Diagnostics* diagnostics) {
  Section section(node, what, diagnostics);
  Migration migration;
  migration.name = section.Required("name");
  if (const std::string reason = CheckMigrationName(migration.name); !reason.empty()) section.Fail("name", reason);
  migration.schema = Identifier(section, "schema", true);
  if (diagnostics->ok()) CheckSchema(section, migration.schema, control);
  ReadPhase(section, &migration);
  ReadCutover(section, &migration);
  const std::vector<YAML::Node> keys = section.List("keys"), columns = section.List("columns");
  migration.verify_on = section.String("verify_on");
  const YAML::Node workers = section.Has("workers") ? section.Mapping("workers") : YAML::Node();
  section.Done();
  if (keys.empty() && columns.empty()) {
    diagnostics->Fail(section.line(), fmt::format("{}: 'keys' or 'columns' is needed", what));
  }
  for (size_t i = 0; i < keys.size() && diagnostics->ok(); ++i) {
    migration.keys.push_back(ReadKey(keys[i], fmt::format("{}.keys[{}]", what, i), migration, claims, diagnostics));
  }
  for (size_t i = 0; i < columns.size() && diagnostics->ok(); ++i) {
    migration.columns.push_back(
        ReadColumns(columns[i], fmt::format("{}.columns[{}]", what, i), migration, claims, diagnostics));
  }
  if (workers.IsMap() && diagnostics->ok()) ReadWorkers(workers, what + ".workers", &migration, diagnostics);
  return migration;
}

}  // namespace

std::vector<Migration> ReadMigrations(const std::vector<YAML::Node>& nodes, const Control& control,
                                      Diagnostics* diagnostics) {
  std::vector<Migration> migrations;
  std::map<std::string, int> lines;  // of each name
  Claims claims(diagnostics);
  for (size_t i = 0; i < nodes.size() && diagnostics->ok(); ++i) {
    const int line = LineOf(nodes[i]);
    if (i >= kMaxMigrations) {
      diagnostics->Fail(line, fmt::format("more than {} migrations", kMaxMigrations));
      break;
    }
    Migration migration = ReadMigration(nodes[i], fmt::format("migrations[{}]", i), control, &claims, diagnostics);
    const auto [earlier, fresh] = lines.try_emplace(migration.name, line);
    if (!fresh) {
      diagnostics->Fail(line, fmt::format("migration '{}' stands here twice (first in line {})", migration.name,
                                          earlier->second));
    }
    migrations.push_back(std::move(migration));
  }
  return migrations;
}

}  // namespace crossfade::config
