// SPDX-License-Identifier: Apache-2.0
// The full scan; see scan.h.
#include "tests/integration/twin/scan.h"

#include "fmt/format.h"

namespace crossfade::twin {

using servers::Client;
using servers::Reply;

namespace {

absl::Status MustBeNone(Client& client, const std::string& what, const std::string& from) {
  const Reply count = client.Query("SELECT COUNT(*) " + from);
  if (!count.ok()) return absl::InternalError(what + ": " + count.message);
  if (count.rows[0][0] == "0") return absl::OkStatus();
  const Reply sample = client.Query("SELECT * " + from + " LIMIT 3");
  return absl::InternalError(fmt::format("{} rows {}: {}", *count.rows[0][0], what, Describe(sample, 3)));
}

// The columns an application sees, with the reference written as the old key whatever side holds it.
std::string Visible(const Schema& schema, const Table& table, bool new_only) {
  std::string list;
  for (const Column& column : table.columns) {
    if (!list.empty()) list += ", ";
    if (new_only && column.kind == Kind::kReference) {
      list += fmt::format("(SELECT LOWER(cf.{}) FROM {}.{} cf WHERE cf.{} = t.{})", schema.parent.key().name, schema.name, schema.parent.name, schema.parent.key().new_name, column.new_name);
    } else if (column.kind == Kind::kReference) {
      list += "LOWER(t." + column.name + ")";
    } else {
      list += "t." + column.name;
    }
  }
  return list;
}

absl::Status SameTable(Client& proxied, Client& direct, const Schema& schema, const Table& table, bool new_only) {
  const std::string order = fmt::format(" FROM {}.{} t ORDER BY t.{}", schema.name, table.name, table.key().name);
  const Reply a = proxied.Query("SELECT " + Visible(schema, table, new_only) + order);
  const Reply b = direct.Query("SELECT " + Visible(schema, table, false) + order);
  if (!a.ok() || !b.ok()) return absl::InternalError("scan: " + a.message + b.message);
  for (size_t i = 0; i < std::max(a.rows.size(), b.rows.size()); ++i) {
    if (i < a.rows.size() && i < b.rows.size() && a.rows[i] == b.rows[i]) continue;
    auto show = [&](const Reply& reply) {
      std::string text;
      if (i >= reply.rows.size()) return std::string("no row");
      for (const servers::Cell& cell : reply.rows[i]) text += cell ? "'" + *cell + "' " : "NULL ";
      return text;
    };
    return absl::InternalError(fmt::format("{}.{}, row {} by key: proxied {}, direct {} ({} and {} rows)", schema.name, table.name, i + 1, show(a), show(b), a.rows.size(), b.rows.size()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ScanMapping(Client& client, const Schema& schema, NewSide side, int64_t first_serial) {
  const std::string parent = schema.name + "." + schema.parent.name;
  const std::string n = schema.parent.key().new_name, o = schema.parent.key().name;
  const bool complete = side == NewSide::kComplete || side == NewSide::kOnly;
  absl::Status status = MustBeNone(client, "of one new key twice", fmt::format("FROM (SELECT {0} FROM {1} WHERE {0} IS NOT NULL GROUP BY {0} HAVING COUNT(*) > 1) d", n, parent));
  if (status.ok()) status = MustBeNone(client, "with a new key that is none", fmt::format("FROM {} WHERE {} = {}", parent, n, schema.integer_keys ? "''" : "0"));
  if (status.ok() && complete) status = MustBeNone(client, "of the parent without a new key", fmt::format("FROM {} WHERE {} IS NULL", parent, n));
  for (const Schema::Mapped& mapped : schema.mapped) {
    if (!status.ok() || side == NewSide::kWritten) continue;
    status = MustBeNone(client, "whose new column is not made of the old", fmt::format("FROM {}.{} t WHERE NOT t.{} <=> t.{}", schema.name, mapped.table, mapped.fresh, mapped.from));
  }
  for (const Table* table : {&schema.parent, &schema.child}) {
    const std::string name = schema.name + "." + table->name;
    for (const Column& column : table->columns) {
      if (column.kind != Kind::kReference || !status.ok()) continue;
      const std::string lookup = fmt::format("(SELECT cf.{} FROM {} cf WHERE cf.{} = t.{})", n, parent, o, column.name);
      if (side == NewSide::kOnly) {
        status = MustBeNone(client, "whose new reference points nowhere", fmt::format("FROM {} t WHERE t.{} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {} cf WHERE cf.{} = t.{})", name, column.new_name, parent, n, column.new_name));
        continue;
      }
      if (side == NewSide::kComplete) {
        status = MustBeNone(client, "whose new reference is not that of the old", fmt::format("FROM {} t WHERE NOT t.{} <=> {}", name, column.new_name, lookup));
        continue;
      }
      status = MustBeNone(client, "whose new reference is wrong", fmt::format("FROM {} t WHERE t.{} IS NOT NULL AND NOT t.{} <=> {}", name, column.new_name, column.new_name, lookup));
      // A row inserted since dual_write has its reference wherever the parent had a number by then.
      if (status.ok() && table->key().kind == Kind::kSerial && first_serial > 0) {
        status = MustBeNone(client, "inserted through the proxy without a new reference",
                            fmt::format("FROM {} t WHERE t.{} > {} AND t.{} IS NULL AND {} IS NOT NULL", name, table->key().name, first_serial, column.new_name, lookup));
      }
    }
  }
  return status;
}

absl::Status Scan(Client& proxied, Client& direct, const Schema& schema, NewSide side, int64_t first_serial) {
  for (const Table* table : {&schema.parent, &schema.child, &schema.other}) {
    if (absl::Status status = SameTable(proxied, direct, schema, *table, side == NewSide::kOnly); !status.ok()) return status;
  }
  if (side == NewSide::kAbsent || side == NewSide::kUnused) return absl::OkStatus();
  return ScanMapping(proxied, schema, side, first_serial);
}

}  // namespace crossfade::twin
