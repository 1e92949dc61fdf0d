// SPDX-License-Identifier: Apache-2.0
// See relatives.h. InnoDB's own tables are asked: MariaDB's key_column_usage would open every table of the server.
#include "backfill/relatives.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "backfill/catalog_loader.h"
#include "fmt/format.h"

namespace crossfade::backfill {
namespace {

using Table = std::pair<std::string, std::string>;

constexpr char kUnknown[] = "/";  // in place of the schema: the name beside it could not be read

std::string Lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return text;
}

void AppendUtf8(uint32_t code, std::string* out) {
  if (code < 0x80) {
    *out += static_cast<char>(code);
  } else if (code < 0x800) {
    *out += static_cast<char>(0xC0 | code >> 6);
    *out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    *out += static_cast<char>(0xE0 | code >> 12);
    *out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    *out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

bool Decode(std::string_view text, std::string* out) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '@') {
      *out += text[i];
      continue;
    }
    uint32_t code = 0;
    if (i + 5 > text.size()) return false;
    const auto read = std::from_chars(text.data() + i + 1, text.data() + i + 5, code, 16);
    if (read.ec != std::errc() || read.ptr != text.data() + i + 5) return false;
    AppendUtf8(code, out);
    i += 4;
  }
  return true;
}

// All that can be reached from `begin`.
std::set<Table> Reach(const std::vector<std::pair<Table, Table>>& edges, const std::set<Table>& begin, bool up) {
  std::set<Table> reached = begin;
  for (bool more = true; more;) {
    more = false;
    for (const auto& [child, parent] : edges) {
      if (reached.count(up ? child : parent) != 0) more = reached.insert(up ? parent : child).second || more;
    }
  }
  return reached;
}

}  // namespace

bool ReadInnodbName(std::string_view name, Table* table) {
  const size_t slash = name.find('/');
  if (slash == std::string_view::npos) return false;
  std::string_view last = name.substr(slash + 1);
  if (const size_t partition = std::min(last.find("#P#"), last.find("#p#")); partition != std::string_view::npos) last = last.substr(0, partition);
  *table = {};
  return Decode(name.substr(0, slash), &table->first) && Decode(last, &table->second);
}

absl::StatusOr<std::vector<std::string>> Relatives(Connection& connection, const std::vector<Table>& tables) {
  auto dialect = LoadDialect(connection);
  if (!dialect.ok()) return dialect.status();
  const bool maria = dialect->flavor == rewrite::Flavor::kMariaDb;
  auto rows = connection.Query(fmt::format("SELECT DISTINCT for_name, ref_name FROM information_schema.{}", maria ? "innodb_sys_foreign" : "innodb_foreign"));
  if (absl::IsUnavailable(rows.status())) return rows.status();
  std::vector<std::string> names;
  if (!rows.ok()) return names;
  std::vector<std::pair<Table, Table>> edges;
  for (const Row& row : rows->rows) {
    Table tables_of[2];  // child, parent
    for (int i = 0; i < 2; ++i) {
      const std::string name = row[i].value_or("");
      if (!ReadInnodbName(name, &tables_of[i])) tables_of[i] = {kUnknown, name};
      tables_of[i] = {Lower(tables_of[i].first), Lower(tables_of[i].second)};
    }
    edges.emplace_back(tables_of[0], tables_of[1]);
  }
  std::set<Table> own;
  for (const auto& [schema, name] : tables) own.insert({Lower(schema), Lower(name)});
  std::set<Table> all = Reach(edges, own, true);
  all.merge(Reach(edges, own, false));
  for (const Table& table : all) {
    if (own.count(table) == 0) names.push_back(table.first == kUnknown ? "" : table.second);
  }
  return names;
}

}  // namespace crossfade::backfill
