// SPDX-License-Identifier: Apache-2.0
// See plan.h. The rehearsal's SQL is shown with the real schema's name in place of its own.
#include "backfill/plan.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "backfill/catalog_loader.h"
#include "backfill/ddl.h"
#include "backfill/fill_sql.h"
#include "backfill/keyset.h"
#include "backfill/store.h"
#include "fmt/format.h"

namespace crossfade::backfill {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kSampleRows = 10'000, kChunk = 1'000;

struct Size {
  uint64_t rows = 0, data = 0, index = 0;
};

uint64_t Number(const std::optional<std::string>& value) { return value ? std::strtoull(value->c_str(), nullptr, 10) : 0; }

std::string Bytes(uint64_t bytes) {
  if (bytes < 10'000) return fmt::format("{} B", bytes);
  if (bytes < 10'000'000) return fmt::format("{} KB", bytes / 1'000);
  if (bytes < 10'000'000'000) return fmt::format("{} MB", bytes / 1'000'000);
  return fmt::format("{} GB", bytes / 1'000'000'000);
}

std::string Time(double seconds) {
  if (seconds < 120) return fmt::format("{:.0f} s", std::max(1.0, seconds));
  if (seconds < 7'200) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3'600);
}

double Seconds(Clock::time_point since) { return std::chrono::duration<double>(Clock::now() - since).count(); }

class Rehearsal {
 public:
  Rehearsal(Connection& connection, const config::Config& config, const config::Migration& migration)
      : connection_(connection), config_(config), migration_(migration), scratch_(migration), schema_(config.control.schema + "_plan") {
    scratch_.schema = schema_;
  }
  ~Rehearsal() {
    if (made_) (void)connection_.Execute("DROP DATABASE IF EXISTS " + QuoteName(schema_));
    (void)connection_.Execute("SET SESSION foreign_key_checks = 1");
  }

  absl::StatusOr<std::string> Run() {
    absl::Status status = MakeCopies();
    if (!status.ok()) return status;
    Heading("expand", "statements on the tables wait for the moment; ALGORITHM=INSTANT changes metadata alone");
    status = Ddl(ExpandDdl);
    if (!status.ok()) return status;
    status = Ddl([](const config::Migration& migration, const rewrite::Catalog& catalog) { return DefaultsDdl(migration, catalog, true); });
    if (!status.ok()) return status;
    Heading("dual_write", "nothing is done to the tables; every INSERT and UPDATE through the proxies writes both sides");
    Heading("backfill", "chunks, each a transaction of its own at READ COMMITTED; rows that the application has locked are not waited for");
    status = Backfill();
    if (!status.ok()) return status;
    Note("behind the last chunk, indexes on the new columns:");
    status = Ddl(IndexDdl);
    if (!status.ok()) return status;
    Heading("verify", "every row is read and compared without a lock");
    Heading("cutover", "nothing is done to the tables; --percent of the connections read the new side");
    Heading("retire", fmt::format("no way back from here. Online first; each waits for its metadata lock for {} ms at most", config_.limits.ddl_lock_wait.count()));
    status = Ddl(KeySwapDdl);
    if (!status.ok()) return status;
    Note(fmt::format("with statements on the tables held, for {} ms at most:", config_.limits.hold_limit.count()));
    status = Ddl(ReleaseOldDdl);
    if (!status.ok()) return status;
    Note("afterwards, online:");
    status = Ddl(DropOldIndexDdl);
    if (!status.ok()) return status;
    Heading("contract", "with statements on the tables held: the final names, then the old columns go");
    status = Ddl(FinalNamesDdl);
    if (!status.ok()) return status;
    for (int i = 0; i < 2; ++i) {
      status = Ddl(DropOldColumnDdl);
      if (!status.ok()) return status;
    }
    Heading("done", "the proxy may be taken out of the path");
    return out_;
  }

 private:
  void Heading(std::string_view phase, std::string_view text) { out_ += fmt::format("\n{}: {}\n", phase, text); }
  void Note(std::string_view text) { out_ += fmt::format("  -- {}\n", text); }

  // With the real schema's name.
  std::string Real(std::string sql) const {
    const std::string from = QuoteName(schema_), to = QuoteName(migration_.schema);
    for (size_t at = sql.find(from); at != std::string::npos; at = sql.find(from, at + to.size())) sql.replace(at, from.size(), to);
    return sql;
  }

  absl::Status Do(const std::string& sql) {
    absl::Status status = connection_.Execute(sql).status();
    if (status.ok()) return status;
    return absl::FailedPreconditionError(fmt::format("the rehearsal failed: {}: {}", Real(sql), std::string(status.message())));
  }

  absl::Status MakeCopies() {
    auto made = connection_.Execute("DROP DATABASE IF EXISTS " + QuoteName(schema_));
    if (made.ok()) made = connection_.Execute("CREATE DATABASE " + QuoteName(schema_));
    if (!made.ok()) {
      return absl::PermissionDeniedError(fmt::format("the plan is rehearsed on empty copies of the tables, for which the control user needs: GRANT ALL ON {}.*; {}",
                                                     QuoteName(schema_), std::string(made.status().message())));
    }
    made_ = true;
    out_ += fmt::format("{}: {}\n", migration_.name, "the runbook, as rehearsed on this server");
    absl::Status status = Do("SET SESSION foreign_key_checks = 0");
    if (status.ok()) status = Do("USE " + QuoteName(schema_));
    for (const auto& [schema, table] : TablesOf(migration_)) {
      if (!status.ok()) return status;
      auto create = connection_.Query("SHOW CREATE TABLE " + TableName(schema, table));
      if (!create.ok()) return create.status();
      status = Do(create->rows[0][1].value_or(""));
      if (!status.ok()) return status;
      auto size = connection_.Query(fmt::format("SELECT table_rows, data_length, index_length FROM information_schema.tables WHERE table_schema = {} AND table_name = {}",
                                                connection_.Quote(schema), connection_.Quote(table)));
      if (!size.ok()) return size.status();
      Size& of = sizes_.emplace_back(table, Size()).second;
      if (!size->rows.empty()) of = {Number(size->rows[0][0]), Number(size->rows[0][1]), Number(size->rows[0][2])};
      out_ += fmt::format("  {}: about {} rows, {} of data, {} of indexes\n", table, of.rows, Bytes(of.data), Bytes(of.index));
    }
    return status;
  }

  Size SizeOf(const std::string& table) const {
    for (const auto& [name, size] : sizes_) {
      if (name == table) return size;
    }
    return {};
  }

  absl::Status Ddl(std::vector<Alter> (*what)(const config::Migration&, const rewrite::Catalog&)) {
    auto catalog = LoadCatalog(connection_, {scratch_});
    if (!catalog.ok()) return catalog.status();
    for (const Alter& alter : what(scratch_, *catalog)) {
      const std::string sql = AlterSql(alter);
      absl::Status status = Do(sql);
      if (!status.ok()) return status;
      out_ += fmt::format("  {};\n", Real(sql));
      const Size size = SizeOf(alter.table);
      if (sql.find("PRIMARY KEY") != std::string::npos) {
        Note(fmt::format("rebuilds {} online (LOCK=NONE): needs about {} of free disk meanwhile; a replica repeats it", alter.table, Bytes(size.data + size.index)));
      } else if (alter.algorithm == "INPLACE" && sql.find(" ADD ") != std::string::npos && sql.find("KEY") != std::string::npos) {
        Note(fmt::format("reads {} once, online (LOCK=NONE); a replica repeats it", alter.table));
      }
    }
    return absl::OkStatus();
  }

  std::string PlainColumns(const rewrite::Table& table, std::string_view alias) const {
    std::string out;
    for (const rewrite::Column& column : table.columns) {
      if (!column.generated) out += fmt::format("{}{}{}", out.empty() ? "" : ", ", alias, QuoteName(column.name));
    }
    return out;
  }

  // A sample of the rows, and of the parents that they refer to.
  absl::Status Sample(const Role& role, const rewrite::Table& real) {
    const std::string columns = PlainColumns(real, ""), to = TableName(schema_, real.name);
    absl::Status status = Do(fmt::format("INSERT IGNORE INTO {}({}) SELECT {} FROM {} LIMIT {}", to, columns, columns, TableName(migration_.schema, real.name), kSampleRows));
    for (const ColumnPair& pair : role.pairs.pairs) {
      if (!status.ok() || pair.is_key) continue;
      auto parent = LoadTable(connection_, migration_.schema, pair.key_table);
      if (!parent.ok()) return parent.status();
      const std::string key = QuoteName(pair.key_old_column);
      status = Do(fmt::format("INSERT IGNORE INTO {}({}) SELECT {} FROM {} AS p WHERE p.{} IN (SELECT r.{} FROM {} AS r)", TableName(schema_, parent->name),
                              PlainColumns(*parent, ""), PlainColumns(*parent, "p."), TableName(migration_.schema, parent->name), key, QuoteName(pair.old_column), to));
    }
    return status;
  }

  absl::Status Backfill() {
    auto dialect = LoadDialect(connection_);
    if (!dialect.ok()) return dialect.status();
    const std::vector<Role> roles = RolesOf(scratch_);
    for (const Role& role : roles) {
      auto real = LoadTable(connection_, migration_.schema, role.pairs.table);
      if (!real.ok()) return real.status();
      absl::Status sampled = Sample(role, *real);
      if (!sampled.ok()) return sampled;
    }
    // New columns may be filled in the rows copied: the sample begins empty.
    auto catalog = LoadCatalog(connection_, {scratch_});
    if (!catalog.ok()) return catalog.status();
    double total = 0;
    uint64_t key = 1'000'000;
    for (const Role& role : roles) {
      std::string unset;
      for (const ColumnPair& pair : role.pairs.pairs) unset += fmt::format("{}{} = NULL", unset.empty() ? "" : ", ", QuoteName(pair.new_column));
      for (const config::ColumnMigration& set : role.pairs.sets) {
        for (const config::NewColumn& column : set.new_columns) unset += fmt::format("{}{} = NULL", unset.empty() ? "" : ", ", QuoteName(column.name));
      }
      absl::Status status = Do(fmt::format("UPDATE {} SET {}", TableName(schema_, role.pairs.table), unset));
      if (!status.ok()) return status;
    }
    for (const Role& role : roles) {
      const rewrite::Table* table = catalog->FindTable(schema_, role.pairs.table);
      if (table == nullptr) return absl::NotFoundError("no table " + role.pairs.table);
      auto keyset = Keyset::Of(*table);
      if (!keyset.ok()) return keyset.status();
      auto sql = FillSql::Of(scratch_, role, *table, *keyset, *dialect, false);
      if (!sql.ok()) return sql.status();
      KeyValues after;
      std::vector<double> rates;
      std::string shown;
      uint64_t sampled = 0;
      for (bool more = true; more;) {
        auto bound = NextBound(connection_, *table, *keyset, after, {}, kChunk);
        if (!bound.ok()) return bound.status();
        more = !bound->empty();
        const std::string range = keyset->Range(sql->alias(), after, *bound);
        const std::string lock = sql->Lock(range, false);
        const auto begin = Clock::now();
        uint64_t rows = 0;
        absl::Status status = InTransaction(connection_, [&]() -> absl::Status {
          absl::Status locked = lock.empty() ? absl::OkStatus() : connection_.Query(lock).status();
          if (!locked.ok()) return locked;
          const std::string before = sql->BeforeFill(key);
          if (!before.empty()) locked = connection_.Execute(before).status();
          if (!locked.ok()) return locked;
          auto filled = connection_.Execute(sql->Fill(range, key, kChunk));
          if (!filled.ok()) return filled.status();
          rows = *filled;
          return absl::OkStatus();
        });
        if (!status.ok()) return status;
        if (rows > 0) rates.push_back(static_cast<double>(rows) / Seconds(begin));
        sampled += rows;
        if (shown.empty()) {
          for (const std::string& statement : {lock, sql->BeforeFill(key), sql->Fill(range, key, kChunk)}) {
            if (!statement.empty()) shown += "  " + statement + ";\n";
          }
        }
        key += kChunk;
        after = *bound;
      }
      Note(fmt::format("{} ({}), the first chunk of the sample:", role.pairs.table, FillKindName(role.kind)));
      out_ += Real(shown);
      total += Estimate(role, rates, sampled);
    }
    Note(fmt::format("in all about {}, one worker, {:.0f} % of the time left idle", Time(total), config_.limits.backfill_idle_share * 100));
    return absl::OkStatus();
  }

  double Estimate(const Role& role, std::vector<double> rates, uint64_t sampled) {
    const Size size = SizeOf(role.pairs.table);
    if (rates.empty() || size.rows == 0) {
      Note("no row of the sample needed it");
      return 0;
    }
    std::sort(rates.begin(), rates.end());
    const double rate = rates[rates.size() / 2];
    const double seconds = static_cast<double>(size.rows) / rate / (1 - config_.limits.backfill_idle_share);
    const uint64_t row = size.data / size.rows;
    Note(fmt::format("measured on a copy of {} rows in the rehearsal's schema, so that nothing of the application's is locked or changed (of rows in memory; "
                     "those on disk take longer): {:.0f} rows/s, {} for all", sampled, rate, Time(seconds)));
    Note(fmt::format("binary log: about {} with full row images, {} with minimal ones", Bytes(size.rows * (2 * row + 40)), Bytes(size.rows * 43)));
    return seconds;
  }

  Connection& connection_;
  const config::Config& config_;
  const config::Migration& migration_;
  config::Migration scratch_;
  std::string schema_, out_;
  std::vector<std::pair<std::string, Size>> sizes_;
  bool made_ = false;
};

}  // namespace

absl::StatusOr<std::string> MakePlan(Connection& connection, const config::Config& config, const config::Migration& migration) {
  Rehearsal rehearsal(connection, config, migration);
  return rehearsal.Run();
}

}  // namespace crossfade::backfill
