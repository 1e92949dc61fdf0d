// SPDX-License-Identifier: Apache-2.0
// Chunks of the backfill; see copier.h for what makes them safe.
#include "backfill/copier.h"

#include <algorithm>

#include "backfill/catalog_loader.h"
#include "backfill/columns.h"
#include "backfill/control.h"
#include "backfill/store.h"
#include "fmt/format.h"

namespace crossfade::backfill {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kMinRows = 50, kMaxRows = 5'000;
constexpr int kPatience = 8;  // chunks given up in a row before one waits for locks

uint64_t Number(const std::optional<std::string>& value) { return value ? std::strtoull(value->c_str(), nullptr, 10) : 0; }

bool IsMySql(const rewrite::Dialect& dialect) { return dialect.flavor == rewrite::Flavor::kMySql; }

}  // namespace

std::string ReferenceJoins(const config::Migration& migration, const TablePairs& pairs) {
  std::string out;
  for (size_t i = 0; i < pairs.pairs.size(); ++i) {
    const ColumnPair& pair = pairs.pairs[i];
    if (pair.is_key) continue;
    out += fmt::format(" LEFT JOIN {0} AS p{1} ON p{1}.{2} = r.{3}", TableName(migration.schema, pair.key_table), i, QuoteName(pair.key_old_column),
                       QuoteName(pair.old_column));
  }
  return out;
}

std::string ReferenceAssignments(const TablePairs& pairs) {
  std::string out;
  for (size_t i = 0; i < pairs.pairs.size(); ++i) {
    const ColumnPair& pair = pairs.pairs[i];
    if (pair.is_key) continue;
    out += fmt::format("{}r.{} = p{}.{}", out.empty() ? "" : ", ", QuoteName(pair.new_column), i, QuoteName(pair.key_new_column));
  }
  return out;
}

std::string ReferenceDiffers(const TablePairs& pairs) {
  std::string out;
  for (size_t i = 0; i < pairs.pairs.size(); ++i) {
    const ColumnPair& pair = pairs.pairs[i];
    if (pair.is_key) continue;
    out += fmt::format("{}NOT (r.{} <=> p{}.{})", out.empty() ? "" : " OR ", QuoteName(pair.new_column), i, QuoteName(pair.key_new_column));
  }
  return "(" + out + ")";
}

namespace {

std::string ReferenceMissing(const TablePairs& pairs) {
  std::string out;
  for (const ColumnPair& pair : pairs.pairs) {
    if (pair.is_key) continue;
    out += fmt::format("{}(r.{} IS NULL AND r.{} IS NOT NULL)", out.empty() ? "" : " OR ", QuoteName(pair.new_column), QuoteName(pair.old_column));
  }
  return "(" + out + ")";
}

std::string KeyMissing(const TablePairs& pairs) { return fmt::format("t.{} IS NULL", QuoteName(pairs.pairs.front().new_column)); }

struct Role {
  TablePairs pairs;
  FillKind kind;
};

// Key tables first, each role of a table by itself: a table that refers to itself is in both.
std::vector<Role> RolesOf(const config::Migration& migration) {
  std::vector<Role> out;
  const std::vector<TablePairs> tables = PairsByTable(migration);
  for (const FillKind kind : {FillKind::kKeys, FillKind::kReferences, FillKind::kColumns}) {
    for (const TablePairs& entry : tables) {
      TablePairs part{entry.table, {}, {}};
      for (const ColumnPair& pair : entry.pairs) {
        if (kind == (pair.is_key ? FillKind::kKeys : FillKind::kReferences)) part.pairs.push_back(pair);
      }
      if (kind == FillKind::kColumns) part.sets = entry.sets;
      if (part.pairs.empty() && part.sets.empty()) continue;
      out.push_back({part, kind});
    }
  }
  return out;
}

const char* RoleName(FillKind kind) {
  switch (kind) {
    case FillKind::kKeys: return "keys";
    case FillKind::kReferences: return "references";
    case FillKind::kColumns: return "columns";
  }
  return "";
}

}  // namespace

absl::Status PrepareProgress(Connection& connection, const config::Config& config, const config::Migration& migration) {
  for (const Role& role : RolesOf(migration)) {
    auto added = connection.Execute(fmt::format(
        "INSERT IGNORE INTO {}(migration, table_name, role, rows_total, chunk_rows) SELECT {}, {}, '{}', COALESCE((SELECT table_rows FROM"
        " information_schema.tables WHERE table_schema = {} AND table_name = {}), 0), {}",
        ControlTable(config, "backfill_progress"), connection.Quote(migration.name), connection.Quote(role.pairs.table), RoleName(role.kind),
        connection.Quote(migration.schema), connection.Quote(role.pairs.table), config.limits.chunk_rows));
    if (!added.ok()) return added.status();
  }
  return absl::OkStatus();
}

absl::Status RestartProgress(Connection& connection, const config::Config& config, const std::string& migration) {
  return connection
      .Execute(fmt::format("UPDATE {} SET last_key = NULL, rows_done = 0, rows_changed = 0, complete = 0, recompute = 1 WHERE migration = {}",
                           ControlTable(config, "backfill_progress"), connection.Quote(migration)))
      .status();
}

absl::StatusOr<bool> BackfillComplete(Connection& connection, const config::Config& config, const std::string& migration) {
  auto rows = connection.Query(fmt::format("SELECT COUNT(*), COALESCE(SUM(complete), 0) FROM {} WHERE migration = {}",
                                           ControlTable(config, "backfill_progress"), connection.Quote(migration)));
  if (!rows.ok()) return rows.status();
  return Number(rows->rows[0][0]) > 0 && rows->rows[0][0] == rows->rows[0][1];
}

absl::StatusOr<std::unique_ptr<Copier>> Copier::Make(Connection& connection, const config::Config& config, const config::Migration& migration) {
  std::unique_ptr<Copier> copier(new Copier(connection, config, migration));
  absl::Status status = copier->Load();
  if (!status.ok()) return status;
  return copier;
}

absl::Status Copier::Load() {
  auto dialect = LoadDialect(connection_);
  if (!dialect.ok()) return dialect.status();
  dialect_ = *dialect;
  absl::Status prepared = PrepareProgress(connection_, config_, migration_);
  if (!prepared.ok()) return prepared;
  for (Role& role : RolesOf(migration_)) {
    auto table = LoadTable(connection_, migration_.schema, role.pairs.table);
    if (!table.ok()) return table.status();
    auto keyset = Keyset::Of(*table);
    if (!keyset.ok()) return keyset.status();
    auto row = connection_.Query(fmt::format(
        "SELECT last_key, rows_done, rows_total, chunk_rows, complete, recompute, rate, rows_changed FROM {} WHERE migration = {} AND table_name = {} AND role = '{}'",
        ControlTable(config_, "backfill_progress"), connection_.Quote(migration_.name), connection_.Quote(role.pairs.table), RoleName(role.kind)));
    if (!row.ok()) return row.status();
    if (row->rows.empty()) return absl::InternalError(std::string("a progress row has gone"));
    const Row& values = row->rows[0];
    Unit unit{role.pairs, role.kind, *std::move(table), *std::move(keyset)};
    if (values[0]) unit.last = KeyValuesFromJson(*values[0]);
    if (values[0] && unit.last.size() != unit.keyset.columns().size()) {
      return absl::DataLossError(fmt::format("the checkpoint of {} does not fit its key", role.pairs.table));
    }
    unit.done = Number(values[1]);
    unit.total = Number(values[2]);
    unit.rows = std::clamp<uint64_t>(Number(values[3]), kMinRows, std::max<uint64_t>(kMaxRows, config_.limits.chunk_rows));
    unit.complete = Number(values[4]) != 0;
    unit.recompute = Number(values[5]) != 0;
    unit.rate = std::atof(values[6].value_or("0").c_str());
    unit.changed = Number(values[7]);
    units_.push_back(std::move(unit));
  }
  return absl::OkStatus();
}

absl::StatusOr<Copier::Result> Copier::Step() {
  Result result;
  for (Unit& unit : units_) {
    if (unit.complete) continue;
    if (unit.kind == FillKind::kReferences && !barrier_passed_) {
      auto gone = OldTransactionsGone(&result.waiting_for);
      if (!gone.ok()) return gone.status();
      if (!*gone) {
        result.rest = std::chrono::milliseconds(50);
        return result;
      }
      barrier_passed_ = true;
    }
    absl::Status status = Chunk(&unit, &result);
    if (!status.ok()) return status;
    return result;
  }
  result.complete = true;
  return result;
}

// A transaction that was open when the last key was given may have inserted a reference whose key was still missing; until
// it is over, its row cannot be seen, and a pass over the references would miss it.
absl::StatusOr<bool> Copier::OldTransactionsGone(std::string* waiting_for) {
  // InnoDB renews this table's content only when nobody read it for 100 ms.
  const auto now_at = Clock::now();
  if (now_at - looked_at_ < std::chrono::milliseconds(150)) {
    *waiting_for = awaited_text_;
    return false;
  }
  looked_at_ = now_at;
  if (!barrier_set_) {
    // A transaction of our own marks the moment: content that shows it was gathered after it.
    auto begun = connection_.Execute("START TRANSACTION");
    if (!begun.ok()) return begun.status();
    begun = connection_.Execute(fmt::format("SELECT 1 FROM {} WHERE migration = {} FOR UPDATE", ControlTable(config_, "backfill_progress"),
                                            connection_.Quote(migration_.name)));
    if (!begun.ok()) return begun.status();
  }
  auto open = connection_.Query("SELECT trx_mysql_thread_id, trx_started FROM information_schema.innodb_trx");
  if (!barrier_set_) (void)connection_.Execute("ROLLBACK");
  if (!open.ok()) return open.status();
  std::vector<std::pair<std::string, std::string>> now;
  bool current = false;
  for (const Row& row : open->rows) {
    if (row[0] == std::to_string(connection_.thread_id())) {
      current = true;
    } else {
      now.emplace_back(row[0].value_or(""), row[1].value_or(""));
    }
  }
  if (!barrier_set_) {
    awaited_text_ = "a view of the open transactions";
    *waiting_for = awaited_text_;
    if (!current) return false;
    barrier_set_ = true;
    awaited_ = now;
  } else {
    std::erase_if(awaited_, [&](const auto& entry) { return std::find(now.begin(), now.end(), entry) == now.end(); });
  }
  if (awaited_.empty()) return true;
  awaited_text_ = fmt::format("the transaction of connection {}, open since {}, which may hold references without a new key",
                              awaited_.front().first, awaited_.front().second);
  *waiting_for = awaited_text_;
  return false;
}

absl::Status Copier::ReserveFor(Unit* unit, const std::string& range, bool bounded) {
  if (bounded && unit->end_key - unit->next_key >= unit->rows) return absl::OkStatus();
  auto missing = connection_.Query(fmt::format("SELECT COUNT(*) FROM {} AS t WHERE {} AND {}", TableName(migration_.schema, unit->table.name), range,
                                               KeyMissing(unit->pairs)));
  if (!missing.ok()) return missing.status();
  const uint64_t count = Number(missing->rows[0][0]);
  if (unit->end_key - unit->next_key >= count) return absl::OkStatus();
  const uint64_t block = std::max<uint64_t>(count, std::max<uint64_t>(unit->rows, config_.limits.key_block) * 4);
  auto first = ReserveKeys(connection_, config_, migration_.name, unit->table.name, block);
  // Near the end of the type a smaller block may still fit.
  uint64_t reserved = block;
  if (absl::IsResourceExhausted(first.status())) {
    first = ReserveKeys(connection_, config_, migration_.name, unit->table.name, count);
    reserved = count;
  }
  if (!first.ok()) return first.status();
  unit->next_key = *first;
  unit->end_key = *first + reserved;
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> Copier::FillKeys(Unit* unit, const std::string& range, bool wait) {
  const std::string table = TableName(migration_.schema, unit->table.name);
  const std::string column = QuoteName(unit->pairs.pairs.front().new_column);
  auto locked = connection_.Query(fmt::format("SELECT COUNT(*) FROM {} AS t FORCE INDEX ({}) WHERE {} AND {} FOR UPDATE{}", table,
                                              QuoteName(unit->keyset.index()), range, KeyMissing(unit->pairs), wait ? "" : " NOWAIT"));
  if (!locked.ok()) return locked.status();
  const uint64_t count = Number(locked->rows[0][0]);
  if (count == 0) return uint64_t{0};
  if (unit->end_key - unit->next_key < count) return absl::AbortedError(std::string("rows without a new key were added meanwhile"));
  std::string join;
  for (const rewrite::Column& key : unit->keyset.columns()) {
    join += fmt::format("{}t.{} = s.{}", join.empty() ? "" : " AND ", QuoteName(key.name), QuoteName(key.name));
  }
  auto filled = connection_.Execute(fmt::format(
      "UPDATE (SELECT {0}, ROW_NUMBER() OVER (ORDER BY {0}) AS cf_n FROM {1} AS t FORCE INDEX ({2}) WHERE {3} AND {4}) AS s"
      " STRAIGHT_JOIN {1} AS t ON {5} SET t.{6} = {7} + s.cf_n{8} WHERE {4}",
      unit->keyset.Columns("t"), table, QuoteName(unit->keyset.index()), range, KeyMissing(unit->pairs), join, column, unit->next_key - 1,
      KeepStamps(unit->table, "t")));
  if (!filled.ok()) return filled.status();
  if (*filled > count) return absl::AbortedError(std::string("more rows were numbered than locked"));
  unit->next_key += count;
  return *filled;
}

absl::StatusOr<uint64_t> Copier::FillReferences(Unit* unit, const std::string& range, bool wait) {
  const std::string table = TableName(migration_.schema, unit->table.name);
  const std::string joins = ReferenceJoins(migration_, unit->pairs);
  const std::string condition = unit->recompute ? ReferenceDiffers(unit->pairs) : ReferenceMissing(unit->pairs);
  const std::string from = fmt::format("{} AS r FORCE INDEX ({}){}", table, QuoteName(unit->keyset.index()), joins);
  if (IsMySql(dialect_) && !wait) {  // MariaDB: innodb_lock_wait_timeout = 0 does this for the UPDATE itself
    std::string parents;
    for (size_t i = 0; i < unit->pairs.pairs.size(); ++i) parents += fmt::format("{}p{}", i == 0 ? "" : ", ", i);
    auto locked = connection_.Query(
        fmt::format("SELECT COUNT(*) FROM {} WHERE {} AND {} FOR UPDATE OF r NOWAIT FOR SHARE OF {} NOWAIT", from, range, condition, parents));
    if (!locked.ok()) return locked.status();
    if (locked->rows[0][0] == "0") return uint64_t{0};
  }
  return connection_.Execute(fmt::format("UPDATE {} SET {}{} WHERE {} AND {}", from, ReferenceAssignments(unit->pairs), KeepStamps(unit->table, "r"), range, condition));
}

// Rows that live writes have filled are found by comparing; a value that is rightly NULL cannot tell them apart.
absl::StatusOr<uint64_t> Copier::FillColumns(Unit* unit, const std::string& range, bool wait) {
  auto columns = FilledColumns(unit->pairs);
  if (!columns.ok()) return columns.status();
  const std::string from = fmt::format("{} AS r FORCE INDEX ({})", TableName(migration_.schema, unit->table.name), QuoteName(unit->keyset.index()));
  const std::string differs = ColumnsDiffer(unit->table, *columns, "r");
  if (IsMySql(dialect_) && !wait) {
    auto locked = connection_.Query(fmt::format("SELECT COUNT(*) FROM {} WHERE {} AND {} FOR UPDATE NOWAIT", from, range, differs));
    if (!locked.ok()) return locked.status();
    if (locked->rows[0][0] == "0") return uint64_t{0};
  }
  return connection_.Execute(fmt::format("UPDATE {} SET {}{} WHERE {} AND {}", from, ColumnAssignments(*columns, "r"), KeepStamps(unit->table, "r"), range, differs));
}

// A cascade may move a row from ahead of a pass to behind it, and its new side need not be missing to be wrong: until a
// whole pass finds nothing to do, another one follows.
bool Copier::Repeats(const Unit& unit) {
  if (unit.kind == FillKind::kKeys) return false;
  if (unit.recompute) return true;
  if (unit.kind == FillKind::kReferences) return false;  // what is missing is found by the index: FillMoved
  return std::any_of(unit.table.foreign_keys.begin(), unit.table.foreign_keys.end(), [&](const rewrite::ForeignKey& key) {
    return key.on_update == "CASCADE" && std::any_of(key.columns.begin(), key.columns.end(), [&](const std::string& column) {
      return std::any_of(unit.keyset.columns().begin(), unit.keyset.columns().end(), [&](const rewrite::Column& each) { return each.name == column; });
    });
  });
}

absl::Status Copier::StartAnew(const Unit& unit) {
  return connection_
      .Execute(fmt::format("UPDATE {} SET last_key = NULL, rows_done = 0, rows_changed = 0, updated = UTC_TIMESTAMP(6) WHERE migration = {} AND table_name = {} AND role = '{}'",
                           ControlTable(config_, "backfill_progress"), connection_.Quote(migration_.name), connection_.Quote(unit.table.name), RoleName(unit.kind)))
      .status();
}

absl::Status Copier::Chunk(Unit* unit, Result* result) {
  const auto begin = Clock::now();
  const bool wait = unit->failures >= kPatience;
  auto bound = NextBound(connection_, unit->table, unit->keyset, unit->last, unit->rows);
  if (!bound.ok()) return bound.status();
  const bool last_chunk = bound->empty();
  const std::string range = unit->keyset.Range(unit->kind == FillKind::kKeys ? "t" : "r", unit->last, *bound);
  if (unit->kind == FillKind::kKeys) {
    absl::Status reserved = ReserveFor(unit, range, !last_chunk);
    if (!reserved.ok()) return reserved;
  }
  const char* lock_wait = IsMySql(dialect_) || wait ? "SET SESSION innodb_lock_wait_timeout = 1" : "SET SESSION innodb_lock_wait_timeout = 0";
  auto set = connection_.Execute(lock_wait);
  if (!set.ok()) return set.status();
  // The last chunk's rows are what the estimate leaves; its own count would need another scan.
  uint64_t changed = 0;
  bool again = false;
  const double before = unit->rate;
  absl::Status status = InTransaction(connection_, [&]() -> absl::Status {
    auto filled = unit->kind == FillKind::kKeys         ? FillKeys(unit, range, wait)
                  : unit->kind == FillKind::kReferences ? FillReferences(unit, range, wait)
                                                        : FillColumns(unit, range, wait);
    if (!filled.ok()) return filled.status();
    changed = *filled;
    again = last_chunk && Repeats(*unit) && unit->changed + changed > 0;
    if (again) return StartAnew(*unit);
    const uint64_t rows = last_chunk ? changed : unit->rows;
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count() / (1 - config_.limits.backfill_idle_share);
    const double rate = static_cast<double>(rows) / std::max(seconds, 1e-6);
    unit->rate = before == 0 ? rate : before * 0.8 + rate * 0.2;
    return connection_
        .Execute(fmt::format("UPDATE {} SET last_key = {}, rows_done = rows_done + {}, rows_changed = rows_changed + {}, chunk_rows = {}, complete = {},"
                             " rate = {}, started = COALESCE(started, UTC_TIMESTAMP(6)), updated = UTC_TIMESTAMP(6)"
                             " WHERE migration = {} AND table_name = {} AND role = '{}'",
                             ControlTable(config_, "backfill_progress"), last_chunk ? "NULL" : connection_.Quote(ToJson(*bound)), rows, changed,
                             unit->rows, last_chunk ? 1 : 0, unit->rate, connection_.Quote(migration_.name), connection_.Quote(unit->table.name),
                             RoleName(unit->kind)))
        .status();
  });
  (void)connection_.Execute("SET SESSION innodb_lock_wait_timeout = 50");
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
  if (absl::IsAborted(status)) {
    unit->rate = before;
    ++unit->failures;
    unit->rows = std::max(unit->failures > kPatience ? 1 : kMinRows, unit->rows / 2);
    result->rest = std::chrono::milliseconds(std::min(10 * unit->failures, 200));
    result->waiting_for = fmt::format("rows of {} that the application holds locked", unit->table.name);
    return absl::OkStatus();
  }
  if (!status.ok()) return status;
  unit->failures = 0;
  if (again) {
    unit->last.clear();
    unit->done = unit->changed = 0;
    return absl::OkStatus();
  }
  unit->changed += changed;
  unit->done += unit->rows;
  unit->last = *bound;
  unit->complete = last_chunk;
  const auto target = std::chrono::duration_cast<std::chrono::microseconds>(config_.limits.chunk_target);
  const double factor = std::clamp(static_cast<double>(target.count()) / std::max<double>(1, took.count()), 0.5, 2.0);
  unit->rows = std::clamp<uint64_t>(static_cast<uint64_t>(unit->rows * factor), kMinRows, std::max<uint64_t>(kMaxRows, config_.limits.chunk_rows));
  const double idle = config_.limits.backfill_idle_share;
  result->rest = std::chrono::microseconds(static_cast<int64_t>(took.count() * idle / (1 - idle)));
  return absl::OkStatus();
}

}  // namespace crossfade::backfill
