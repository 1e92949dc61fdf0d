// SPDX-License-Identifier: Apache-2.0
// Completing a snapshot, and the questions that need no text: see snapshot.h and planner.h.
#include "rewrite/snapshot.h"

#include "rewrite/new_key.h"

#include <utility>

#include "rewrite/derived.h"
#include "rewrite/hidden.h"
#include "rewrite/names.h"
#include "rewrite/planner.h"
#include "rewrite/touch.h"

namespace crossfade::rewrite {

ParsedColumns ParseColumns(const config::ColumnMigration& spec) {
  ParsedColumns out;
  const auto read = [&](const std::string& column, const std::string& sql, std::vector<ParsedColumns::Made>* made) {
    auto expression = ColumnExpression::Parse(sql);
    if (expression.ok()) made->push_back({column, *std::move(expression)});
    else if (out.fault.empty()) out.fault = std::string(expression.status().message());
  };
  for (const config::NewColumn& fresh : spec.new_columns) read(fresh.name, fresh.from, &out.from);
  for (const config::ColumnMigration::Back& back : spec.back) read(back.column, back.expression, &out.back);
  return out;
}

std::shared_ptr<const Snapshot> MakeSnapshot(uint64_t epoch, std::vector<MigrationState> migrations, Catalog catalog) {
  auto snapshot = std::make_shared<Snapshot>();
  std::vector<MigrationState> later = migrations;
  bool retires = false;
  for (MigrationState& migration : later) {
    if (migration.phase != config::Phase::kVerify && migration.phase != config::Phase::kCutover) continue;
    migration.phase = config::Phase::kRetire;
    retires = true;
  }
  if (retires) snapshot->retired = MakeSnapshot(epoch, std::move(later), catalog);
  snapshot->epoch = epoch;
  snapshot->migrations = std::move(migrations);
  for (MigrationState& migration : snapshot->migrations) {
    migration.parsed.clear();
    std::erase_if(migration.spec.columns, [](const config::ColumnMigration& columns) { return columns.of_key; });
    for (config::ColumnMigration& columns : DerivedColumns(migration.spec)) migration.spec.columns.push_back(std::move(columns));
    for (const config::ColumnMigration& columns : migration.spec.columns) migration.parsed.push_back(ParseColumns(columns));
  }
  snapshot->catalog = std::move(catalog);
  for (const MigrationState& migration : snapshot->migrations) {
    for (const config::KeyMigration& key : migration.spec.keys) {
      if (!key.from.empty()) continue;
      const Table* table = snapshot->catalog.FindTable(migration.spec.schema, key.table);
      const Column* old = table != nullptr ? table->FindColumn(key.old_column) : nullptr;
      if (old != nullptr && old->type_class == TypeClass::kInteger && !IsIntegerType(key.new_type)) snapshot->integers_go = true;
    }
  }
  snapshot->touch = std::make_shared<const TouchSet>(MakeTouchSet(*snapshot, /*dynamic=*/true));
  snapshot->gate = MakeGate(*snapshot, &MigrationState::held);
  snapshot->kin = MakeGate(*snapshot, &MigrationState::building);
  snapshot->hidden = MakeHidden(*snapshot);
  return snapshot;
}

ValueShape ShapeOfText(std::string_view text, bool numbers) {
  if (!numbers) return ValueShape::kString;
  if (!ReadsAsNumber(text)) return HasHighByte(text) ? ValueShape::kWide : ValueShape::kString;
  return ReadsAsInteger(text) ? ValueShape::kNumeric : ValueShape::kFraction;
}

bool ReadsAsInteger(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n\v\f";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return false;
  text = text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
  if (text[0] == '-' || text[0] == '+') text.remove_prefix(1);
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool ReadsAsNumber(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n\v\f", kDigits = "0123456789";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return false;
  text = text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
  if (text.size() == 32 && text.find('.') == std::string_view::npos) return ReadsAsInteger(text);  // the digits of a UUID
  const auto skip = [&](std::string_view set, size_t most) {
    size_t n = 0;
    while (n < most && n < text.size() && set.find(text[n]) != std::string_view::npos) ++n;
    text.remove_prefix(n);
    return n;
  };
  skip("+-", 1);
  size_t digits = skip(kDigits, text.size());
  if (skip(".", 1) == 1) digits += skip(kDigits, text.size());
  if (digits == 0) return false;
  if (skip("eE", 1) == 0) return text.empty();
  skip("+-", 1);
  return skip(kDigits, text.size()) > 0 && text.empty();
}

size_t First(const MigrationSet& set) {
  size_t i = 0;
  while (i < set.size() && !set[i]) ++i;
  return i;
}

MigrationSet CohortOf(const Snapshot& snapshot, uint32_t ticket) {
  MigrationSet cohort;
  for (size_t i = 0; i < snapshot.migrations.size() && i < cohort.size(); ++i) {
    const MigrationState& migration = snapshot.migrations[i];
    const bool by_percent = migration.phase == config::Phase::kCutover && ticket < migration.percent * 100;
    if (by_percent || migration.phase >= config::Phase::kRetire) cohort.set(i);
  }
  return cohort;
}

uint32_t ParseSqlMode(std::string_view modes) {
  static constexpr struct {
    std::string_view name;
    uint32_t bits;
  } kModes[] = {
      {"ANSI_QUOTES", kAnsiQuotes},
      {"NO_BACKSLASH_ESCAPES", kNoBackslashEscapes},
      {"PIPES_AS_CONCAT", kPipesAsConcat},
      {"IGNORE_SPACE", kIgnoreSpace},
      {"HIGH_NOT_PRECEDENCE", kHighNotPrecedence},
      {"SIMULTANEOUS_ASSIGNMENT", kSimultaneousAssignment},
      {"ORACLE", kOracle},
      {"STRICT_TRANS_TABLES", kStrict},
      {"STRICT_ALL_TABLES", kStrict},
      {"PAD_CHAR_TO_FULL_LENGTH", kOddValues | kPadChar},
      {"NO_UNSIGNED_SUBTRACTION", kOddValues},
      {"ALLOW_INVALID_DATES", kOddValues},
      {"REAL_AS_FLOAT", kOddValues},
      {"EMPTY_STRING_IS_NULL", kOddValues},
      {"TIME_ROUND_FRACTIONAL", kOddValues},
      {"TIME_TRUNCATE_FRACTIONAL", kOddValues},
  };
  uint32_t bits = 0;
  while (!modes.empty()) {
    const size_t comma = modes.find(',');
    std::string_view word = modes.substr(0, comma);
    while (!word.empty() && word.front() == ' ') word.remove_prefix(1);
    while (!word.empty() && word.back() == ' ') word.remove_suffix(1);
    for (const auto& mode : kModes)
      if (NameEq(mode.name, word)) bits |= mode.bits;
    if (comma == std::string_view::npos) break;
    modes.remove_prefix(comma + 1);
  }
  return bits;
}

std::string_view StrategyName(Strategy strategy) {
  switch (strategy) {
    case Strategy::kUntouched: return "untouched";
    case Strategy::kOneStatement: return "A";
    case Strategy::kRowImage: return "B";
    case Strategy::kRefuse: return "C";
  }
  return "?";
}

bool Plan::Ranged() const {
  return std::any_of(key_slots.begin(), key_slots.end(), [](const KeySlot& slot) { return slot.use != KeySlot::kOne; });
}

}  // namespace crossfade::rewrite
