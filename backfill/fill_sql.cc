// SPDX-License-Identifier: Apache-2.0
// See fill_sql.h.
#include "backfill/fill_sql.h"

#include "backfill/catalog_loader.h"
#include "backfill/connection.h"
#include "backfill/store.h"
#include "fmt/format.h"
#include "rewrite/new_key.h"

namespace crossfade::backfill {
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

}  // namespace

const char* FillKindName(FillKind kind) {
  switch (kind) {
    case FillKind::kKeys: return "keys";
    case FillKind::kReferences: return "references";
    case FillKind::kColumns: return "columns";
  }
  return "";
}

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

absl::StatusOr<FillSql> FillSql::Of(const config::Migration& migration, const Role& role, const rewrite::Table& table, const Keyset& keyset,
                                    const rewrite::Dialect& dialect, bool recompute) {
  FillSql sql;
  sql.kind_ = role.kind;
  sql.mysql_ = dialect.flavor == rewrite::Flavor::kMySql;
  sql.table_ = table;
  sql.keyset_ = keyset;
  sql.name_ = TableName(migration.schema, table.name);
  sql.from_ = fmt::format("{} AS {} FORCE INDEX ({})", sql.name_, sql.alias(), QuoteName(keyset.index()));
  switch (role.kind) {
    case FillKind::kKeys:
      sql.missing_ = KeyMissing(role.pairs);
      sql.column_ = QuoteName(role.pairs.pairs.front().new_column);
      sql.fresh_ = rewrite::FreshKey(role.pairs.pairs.front().new_type);
      if (!sql.fresh_.empty()) sql.assignments_ = fmt::format("t.{} = {}", sql.column_, sql.fresh_);
      break;
    case FillKind::kReferences:
      sql.from_ += ReferenceJoins(migration, role.pairs);
      sql.missing_ = recompute ? ReferenceDiffers(role.pairs) : ReferenceMissing(role.pairs);
      sql.assignments_ = ReferenceAssignments(role.pairs);
      for (size_t i = 0; i < role.pairs.pairs.size(); ++i) sql.parents_ += fmt::format("{}p{}", i == 0 ? "" : ", ", i);
      break;
    case FillKind::kColumns: {
      // Rows that live writes have filled are found by comparing; a value that is rightly NULL cannot tell them apart.
      auto columns = FilledColumns(role.pairs);
      if (!columns.ok()) return columns.status();
      // One that is NULL is assigned without computing twice what it should be; where that is NULL too, nothing changes.
      for (const FilledColumn& column : *columns) sql.missing_ += fmt::format("r.{} IS NULL OR ", QuoteName(column.name));
      sql.missing_ = "(" + sql.missing_ + ColumnsDiffer(table, *columns, "r") + ")";
      sql.assignments_ = ColumnAssignments(*columns, "r");
      break;
    }
  }
  return sql;
}

std::string FillSql::CountMissing(const std::string& range) const {
  return fmt::format("SELECT COUNT(*) FROM {} AS {} WHERE {} AND {}", name_, alias(), range, missing_);
}

std::string FillSql::Lock(const std::string& range, bool wait) const {
  if (!mysql_ || (kind_ != FillKind::kKeys && wait)) return "";
  const std::string locks = kind_ == FillKind::kReferences ? fmt::format("FOR UPDATE OF r NOWAIT FOR SHARE OF {} NOWAIT", parents_)
                                                           : std::string(wait ? "FOR UPDATE" : "FOR UPDATE NOWAIT");
  return fmt::format("SELECT COUNT(*) FROM {} WHERE {} AND {} {}", from_, range, missing_, locks);
}

std::string FillSql::BeforeFill(uint64_t first_key) const {
  return numbers() && !mysql_ ? fmt::format("SET @crossfade_key = {}", first_key - 1) : std::string();
}

std::string FillSql::Fill(const std::string& range, uint64_t first_key, uint64_t most_keys) const {
  if (!numbers()) return fmt::format("UPDATE {} SET {}{} WHERE {} AND {}", from_, assignments_, KeepStamps(table_, alias()), range, missing_);
  if (!mysql_) {
    return fmt::format("UPDATE {} SET t.{} = (@crossfade_key := @crossfade_key + 1){} WHERE {} AND {} ORDER BY {} LIMIT {}", from_, column_, KeepStamps(table_, "t"), range,
                       missing_, keyset_.Columns("t"), most_keys);
  }
  std::string join;
  for (const rewrite::Column& key : keyset_.columns()) {
    join += fmt::format("{}t.{} = s.{}", join.empty() ? "" : " AND ", QuoteName(key.name), QuoteName(key.name));
  }
  return fmt::format("UPDATE (SELECT {0}, ROW_NUMBER() OVER (ORDER BY {0}) AS cf_n FROM {1} WHERE {2} AND {3}) AS s STRAIGHT_JOIN {4} AS t ON {5}"
                     " SET t.{6} = {7} + s.cf_n{8} WHERE {3}",
                     keyset_.Columns("t"), from_, range, missing_, name_, join, column_, first_key - 1, KeepStamps(table_, "t"));
}

}  // namespace crossfade::backfill
