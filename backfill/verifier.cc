// SPDX-License-Identifier: Apache-2.0
// The comparison is one statement for each chunk, with the very expressions that live writes and the backfill use: one
// read view over both tables, so that a row and its parent are seen as of the same moment.
#include "backfill/verifier.h"

#include "backfill/catalog_loader.h"
#include "backfill/columns.h"
#include "backfill/control.h"
#include "backfill/ddl.h"
#include "backfill/failpoint.h"
#include "backfill/fill_sql.h"
#include "backfill/store.h"
#include "fmt/format.h"
#include "nlohmann/json.hpp"
#include "rewrite/new_key.h"
#include "rewrite/stored_form.h"

namespace crossfade::backfill {
namespace {

constexpr size_t kExamples = 20;
constexpr int kLockTries = 5;

uint64_t Number(const std::optional<std::string>& value) { return value ? std::strtoull(value->c_str(), nullptr, 10) : 0; }

bool HasReference(const TablePairs& pairs) { return !pairs.pairs.empty() && !pairs.pairs.back().is_key; }

std::string Condition(const rewrite::Table& table, const TablePairs& pairs, const std::vector<FilledColumn>& columns) {
  std::string out;
  if (!columns.empty()) out = ColumnsDiffer(table, columns, "r");
  for (const ColumnPair& pair : pairs.derived) {
    // In retire the foreign key of the old side is gone already.
    if (!pair.is_key && (ForeignKeyOn(table, pair.old_column) != nullptr || ForeignKeyOn(table, pair.new_column) != nullptr)) {
      // Whatever the spelling, it refers to the same row.
      out += fmt::format(" OR (r.{0} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {1} AS p WHERE p.{2} = r.{3}))", QuoteName(pair.old_column), TableName(table.schema, pair.key_table),
                         QuoteName(pair.key_new_column), QuoteName(pair.new_column));
      continue;
    }
    for (const config::ColumnMigration& set : pairs.sets)
      if (set.of_key && SameName(set.old_columns[0], pair.old_column)) out += " OR " + NotBack(table, set, "r");
  }
  for (size_t i = 0; i < pairs.pairs.size(); ++i) {
    const ColumnPair& pair = pairs.pairs[i];
    if (!out.empty()) out += " OR ";
    if (pair.is_key) {
      out += fmt::format("r.{0} IS NULL OR r.{0} = {1}", QuoteName(pair.new_column), rewrite::NoKey(pair.new_type));
    } else {
      out += fmt::format("NOT (r.{0} <=> p{1}.{2}) OR (r.{3} IS NOT NULL AND p{1}.{2} IS NULL)", QuoteName(pair.new_column), i,
                         QuoteName(pair.key_new_column), QuoteName(pair.old_column));
    }
  }
  return "(" + out + ")";
}

// Old, new and expected value of each pair, and of columns what `back` makes of the new one. Bytes as hexadecimal digits.
std::string Values(const rewrite::Table& table, const TablePairs& pairs, const std::vector<FilledColumn>& columns) {
  std::string out;
  for (size_t i = 0; i < pairs.pairs.size(); ++i) {
    const ColumnPair& pair = pairs.pairs[i];
    out += fmt::format(", r.{}, r.{}, ", QuoteName(pair.old_column), QuoteName(pair.new_column));
    out += pair.is_key ? std::string("'a fresh key'") : fmt::format("p{}.{}", i, QuoteName(pair.key_new_column));
  }
  for (const FilledColumn& column : columns) {
    const std::string old = column.from.columns().empty() ? "NULL" : "r." + QuoteName(column.from.columns()[0]);
    const std::string name = "r." + QuoteName(column.name);
    const rewrite::Column* stored = table.FindColumn(column.name);
    const std::string expected = stored == nullptr ? "" : rewrite::StoredBytes(*stored, column.from.Text("r"));
    const bool bytes = stored != nullptr && stored->charset.empty() && expected.find("BINARY") != std::string::npos;
    out += bytes ? fmt::format(", {}, CONCAT('0x', HEX({})), CONCAT('0x', HEX({}))", old, name, expected) : fmt::format(", {}, {}, {}", old, name, column.from.Text("r"));
    out += ", " + (column.back ? column.back->Text("r") : std::string("NULL"));
  }
  return out;
}

std::string Shown(const std::optional<std::string>& value) {
  if (!value) return "NULL";
  return "'" + value->substr(0, 40) + (value->size() > 40 ? "…'" : "'");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Verifier>> Verifier::Make(Connection& connection, const config::Config& config, const config::Migration& migration,
                                                         bool repair, std::optional<uint64_t> resume_since) {
  std::unique_ptr<Verifier> verifier(new Verifier(connection, config, migration, repair));
  verifier->resumable_ = resume_since.has_value();
  absl::Status status = verifier->Load();
  if (!status.ok()) return status;
  absl::StatusOr<bool> resumed = false;
  if (resume_since) resumed = verifier->Resume(*resume_since);
  if (!resumed.ok()) return resumed.status();
  status = *resumed ? absl::OkStatus() : verifier->Begin();
  if (!status.ok()) return status;
  return verifier;
}

absl::Status Verifier::Load() {
  for (const TablePairs& pairs : PairsByTable(migration_)) {
    auto table = LoadTable(connection_, migration_.schema, pairs.table);
    if (!table.ok()) return table.status();
    auto keyset = Keyset::Of(*table);
    if (!keyset.ok()) return keyset.status();
    auto rows = connection_.Query(fmt::format("SELECT table_rows FROM information_schema.tables WHERE table_schema = {} AND table_name = {}",
                                              connection_.Quote(migration_.schema), connection_.Quote(pairs.table)));
    if (!rows.ok()) return rows.status();
    if (!rows->rows.empty()) total_ += Number(rows->rows[0][0]);
    auto columns = FilledColumns(pairs);
    if (!columns.ok()) return columns.status();
    units_.push_back({pairs, *std::move(table), *std::move(keyset), *std::move(columns)});
  }
  if (migration_.verify_on.empty()) return absl::OkStatus();
  auto replica = ReplicaReader::Open(connection_, config_, migration_.verify_on);
  if (!replica.ok()) return replica.status();
  replica_ = *std::move(replica);
  return absl::OkStatus();
}

// Where it is, for `status` and for one that goes on from here. `last` is empty at a table's beginning.
std::string Verifier::Place() const {
  nlohmann::json place = {{"unit", unit_}, {"last", last_}, {"on", migration_.verify_on}};
  if (unit_ < units_.size()) place["table"] = units_[unit_].table.name;
  if (resumable_) place["resumable"] = true;
  return place.dump(-1, ' ', true);
}

absl::StatusOr<bool> Verifier::Resume(uint64_t since) {
  auto rows = connection_.Query(fmt::format(
      "SELECT id, place, rows_checked, differences, repaired, orphans, examples, rows_total FROM {} WHERE migration = {} AND epoch >= {} AND finished IS NULL"
      " AND place LIKE '%\"resumable\":true%' ORDER BY id DESC LIMIT 1", ControlTable(config_, "verifications"), connection_.Quote(migration_.name), since));
  if (!rows.ok()) return rows.status();
  if (rows->rows.empty()) return false;
  const Row& row = rows->rows[0];
  const auto place = nlohmann::json::parse(row[1].value_or(""), nullptr, false), examples = nlohmann::json::parse(row[6].value_or(""), nullptr, false);
  if (!place.is_object() || !place.contains("last") || !examples.is_array()) return false;
  const size_t unit = place.value("unit", size_t{0});
  const KeyValues last = KeyValuesFromJson(place["last"].dump());
  if (unit > units_.size() || (unit < units_.size() && place.value("table", "") != units_[unit].table.name)) return false;
  if (!last.empty() && (unit == units_.size() || last.size() != units_[unit].keyset.columns().size())) return false;
  id_ = row[0].value_or("0");
  unit_ = unit;
  last_ = last;
  result_.rows_checked = Number(row[2]);
  result_.differences = Number(row[3]);
  result_.repaired = Number(row[4]);
  result_.orphans = Number(row[5]);
  for (const auto& example : examples) {
    if (example.is_string()) result_.examples.push_back(example.get<std::string>());
  }
  total_ = Number(row[7]);
  saved_ = std::chrono::steady_clock::now();
  return true;
}

absl::Status Verifier::Begin() {
  const std::string verifications = ControlTable(config_, "verifications");
  auto added = connection_.Execute(fmt::format(
      "INSERT INTO {}(migration, epoch, started, updated, rows_total, examples) SELECT {}, epoch, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), {}, '[]' FROM {}"
      " WHERE id = 1", verifications, connection_.Quote(migration_.name), total_, ControlTable(config_, "state")));
  if (!added.ok()) return added.status();
  auto id = connection_.Query("SELECT LAST_INSERT_ID()");
  if (!id.ok()) return id.status();
  id_ = id->rows[0][0].value_or("0");
  (void)connection_.Execute(fmt::format("DELETE FROM {} WHERE migration = {} AND id < {} - 1000", verifications,
                                        connection_.Quote(migration_.name), id_));
  saved_ = std::chrono::steady_clock::now();
  return absl::OkStatus();
}

absl::StatusOr<Rows> Verifier::Differing(const Unit& unit, const std::string& range, bool lock) {
  return (lock ? connection_ : Reader()).Query(fmt::format("SELECT {}, {}{} FROM {} AS r FORCE INDEX ({}){} WHERE {} AND {}{}", unit.keyset.SelectItems("r"), unit.keyset.Columns("r"), Values(unit.table, unit.pairs, unit.columns),
                                       TableName(unit.table.schema, unit.table.name), QuoteName(unit.keyset.index()),
                                       ReferenceJoins(migration_, unit.pairs), range, Condition(unit.table, unit.pairs, unit.columns), lock ? " LOCK IN SHARE MODE" : ""));
}

absl::StatusOr<bool> Verifier::Step() {
  if (unit_ == units_.size()) {
    CROSSFADE_FAILPOINT("verify.finish", migration_.name);
    absl::Status saved = Save(true);
    CROSSFADE_FAILPOINT("verify.finished", migration_.name);
    if (!saved.ok()) return saved;
    return true;
  }
  if (replica_ != nullptr) {
    auto caught_up = replica_->CaughtUp();
    if (!caught_up.ok()) return caught_up.status();
    waiting_for_ = *caught_up ? "" : fmt::format("the replica {}, until it has what the primary had when verification began", replica_->name());
    if (!*caught_up) return false;
  }
  const Unit& unit = units_[unit_];
  auto bound = NextBound(Reader(), unit.table, unit.keyset, last_, {}, config_.limits.verify_chunk_rows);
  if (!bound.ok()) return OfReader(bound.status());
  const std::string range = unit.keyset.Range("r", last_, *bound);
  uint64_t rows = config_.limits.verify_chunk_rows;
  if (bound->empty()) {
    auto count = Reader().Query(fmt::format("SELECT COUNT(*) FROM {} AS r WHERE {}", TableName(unit.table.schema, unit.table.name), range));
    if (!count.ok()) return OfReader(count.status());
    rows = Number(count->rows[0][0]);
  }
  auto suspects = Differing(unit, range, false);
  if (!suspects.ok()) return OfReader(suspects.status());
  for (const Row& suspect : suspects->rows) {
    absl::Status settled = Settle(unit, suspect);
    if (!settled.ok()) return settled;
  }
  CROSSFADE_FAILPOINT("verify.chunk", unit.table.name);
  result_.rows_checked += rows;
  last_ = *bound;
  if (bound->empty()) ++unit_;
  if (bound->empty() || std::chrono::steady_clock::now() - saved_ > std::chrono::milliseconds(300)) {
    absl::Status saved = Save(false);
    CROSSFADE_FAILPOINT("verify.saved", unit.table.name);
    if (!saved.ok()) return saved;
  }
  return false;
}

absl::Status Verifier::Settle(const Unit& unit, const Row& suspect) {
  const std::string row = unit.keyset.Equals("r", unit.keyset.Literals(connection_, suspect));
  absl::StatusOr<Rows> now = Differing(unit, row, true);
  for (int i = 1; i < kLockTries && absl::IsAborted(now.status()); ++i) now = Differing(unit, row, true);
  if (!now.ok()) return now.status();
  if (now->rows.empty()) return absl::OkStatus();
  std::string key;
  bool orphan = false;
  const std::string text = Describe(unit, now->rows[0], &key, &orphan);
  ++result_.differences;
  bool mended = false;
  if (repair_) {
    CROSSFADE_FAILPOINT("verify.repair", unit.table.name);
    absl::Status repaired = Repair(unit, row);
    CROSSFADE_FAILPOINT("verify.repaired", unit.table.name);
    if (!repaired.ok()) return repaired;
    now = Differing(unit, row, true);
    if (!now.ok()) return now.status();
    mended = now->rows.empty();
  }
  result_.repaired += mended ? 1 : 0;
  result_.orphans += orphan && !mended ? 1 : 0;
  if (!mended && result_.examples.size() < kExamples) result_.examples.push_back(text);
  if (on_difference_ != nullptr) on_difference_(key, text, mended);
  return absl::OkStatus();
}

std::string Verifier::Describe(const Unit& unit, const Row& values, std::string* key, bool* orphan) const {
  size_t at = 0;
  const size_t width = unit.keyset.columns().size();  // first as Literals takes them, then as they read
  for (const rewrite::Column& column : unit.keyset.columns()) {
    *key += fmt::format("{}{} {}", at == 0 ? "" : ", ", column.name, Shown(values[width + at]));
    ++at;
  }
  std::string text = fmt::format("{}.{} ({}):", unit.table.schema, unit.table.name, *key);
  at = 2 * width;
  for (const ColumnPair& pair : unit.pairs.pairs) {
    const bool lost = !pair.is_key && values[at] && !values[at + 2];
    *orphan = *orphan || lost;
    text += fmt::format(" {} {}, {} {}, ", pair.old_column, Shown(values[at]), pair.new_column, Shown(values[at + 1]));
    text += lost ? fmt::format("an orphan: {} has no such row with a new key;", pair.key_table) : fmt::format("should be {};", Shown(values[at + 2]));
    at += 3;
  }
  for (const FilledColumn& column : unit.columns) {
    const std::string old = column.from.columns().empty() ? "" : fmt::format("{} {}, ", column.from.columns()[0], Shown(values[at]));
    text += fmt::format(" {}{} {}, ", old, column.name, Shown(values[at + 1]));
    const bool lost = column.back && values[at + 1] == values[at + 2] && values[at + 3] != values[at];
    text += lost ? fmt::format("comes back as {};", Shown(values[at + 3])) : fmt::format("should be {};", Shown(values[at + 2]));
    at += 4;
  }
  return text;
}

absl::Status Verifier::Repair(const Unit& unit, const std::string& row) {
  const std::string table = TableName(unit.table.schema, unit.table.name);
  for (const ColumnPair& pair : unit.pairs.pairs) {
    if (!pair.is_key) continue;
    std::string key = rewrite::FreshKey(pair.new_type);
    if (key.empty()) {
      auto reserved = ReserveKeys(connection_, config_, migration_.name, unit.table.name, 1);
      if (!reserved.ok()) return reserved.status();
      key = std::to_string(*reserved);
    }
    auto set = connection_.Execute(fmt::format("UPDATE {0} AS r SET r.{1} = {2}{3} WHERE {4} AND (r.{1} IS NULL OR r.{1} = {5})", table, QuoteName(pair.new_column),
                                               key, KeepStamps(unit.table, "r"), row, rewrite::NoKey(pair.new_type)));
    if (!set.ok()) return set.status();
  }
  if (!unit.columns.empty()) {
    auto set = connection_.Execute(fmt::format("UPDATE {} AS r SET {}{} WHERE {} AND {}", table, ColumnAssignments(unit.columns, "r"),
                                               KeepStamps(unit.table, "r"), row, ColumnsDiffer(unit.table, unit.columns, "r")));
    if (!set.ok()) return set.status();
  }
  if (!HasReference(unit.pairs)) return absl::OkStatus();
  return connection_
      .Execute(fmt::format("UPDATE {} AS r{} SET {}{} WHERE {} AND {}", table, ReferenceJoins(migration_, unit.pairs), ReferenceAssignments(unit.pairs),
                           KeepStamps(unit.table, "r"), row,
                           ReferenceDiffers(unit.pairs)))
      .status();
}

absl::Status Verifier::Save(bool finished) {
  saved_ = std::chrono::steady_clock::now();
  const std::string examples = nlohmann::json(result_.examples).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return connection_
      .Execute(fmt::format("UPDATE {} SET updated = UTC_TIMESTAMP(6), finished = {}, rows_checked = {}, rows_total = GREATEST(rows_total, {}),"
                           " differences = {}, repaired = {}, orphans = {}, examples = {}, place = {} WHERE id = {}",
                           ControlTable(config_, "verifications"), finished ? "UTC_TIMESTAMP(6)" : "NULL", result_.rows_checked, result_.rows_checked,
                           result_.differences, result_.repaired, result_.orphans, connection_.Quote(examples), connection_.Quote(Place()), id_))
      .status();
}

absl::StatusOr<Verification> Verify(Connection& connection, const config::Config& config, const config::Migration& migration, bool repair,
                                    const std::function<bool(uint64_t, uint64_t)>& progress) {
  auto state = ReadState(connection, config);
  if (!state.ok()) return state.status();
  const MigrationRow* row = nullptr;
  for (const MigrationRow& candidate : state->migrations) {
    if (candidate.name == migration.name) row = &candidate;
  }
  if (row == nullptr) return absl::NotFoundError(fmt::format("no migration named {} in the control schema", migration.name));
  if (row->phase < config::Phase::kBackfill || row->phase > config::Phase::kCutover) {
    return absl::FailedPreconditionError(fmt::format("{} is in {}: both sides are kept, and can be compared, from backfill to cutover", migration.name,
                                                     config::PhaseName(row->phase)));
  }
  auto verifier = Verifier::Make(connection, config, migration, repair);
  if (!verifier.ok()) return verifier.status();
  while (true) {
    auto finished = (*verifier)->Step();
    if (!finished.ok()) return finished.status();
    if (*finished) return (*verifier)->result();
    if (progress != nullptr && !progress((*verifier)->result().rows_checked, (*verifier)->total())) {
      return absl::CancelledError(std::string("stopped"));
    }
  }
}

absl::StatusOr<Verdict> ReadVerdict(Connection& connection, const config::Config& config, const std::string& migration, uint64_t since) {
  auto rows = connection.Query(fmt::format(
      "SELECT differences - repaired FROM {} WHERE migration = {} AND epoch >= {} AND finished IS NOT NULL ORDER BY id DESC LIMIT 1",
      ControlTable(config, "verifications"), connection.Quote(migration), since));
  if (!rows.ok()) return rows.status();
  Verdict verdict;
  if (rows->rows.empty()) return verdict;
  verdict.finished = true;
  verdict.differences = Number(rows->rows[0][0]);
  return verdict;
}

}  // namespace crossfade::backfill
