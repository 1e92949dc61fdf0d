// SPDX-License-Identifier: Apache-2.0
// See schema_file.h.
#include "rewrite/schema_file.h"

#include <algorithm>

#include "fmt/format.h"
#include "rewrite/names.h"

namespace crossfade::rewrite {
namespace {

std::string Lowered(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

// One line of a CREATE TABLE, from left to right.
class Line {
 public:
  explicit Line(std::string_view text) : text_(text) { Skip(); }

  bool Take(std::string_view word) {
    if (text_.size() < word.size() || !NameEq(text_.substr(0, word.size()), word)) return false;
    text_.remove_prefix(word.size());
    Skip();
    return true;
  }
  // `a``b`; empty: none stands here.
  std::string Name() {
    if (text_.empty() || text_[0] != '`') return "";
    std::string name;
    size_t i = 1;
    for (; i < text_.size(); ++i) {
      if (text_[i] != '`') name += text_[i];
      else if (i + 1 < text_.size() && text_[i + 1] == '`') name += text_[i++];
      else break;
    }
    text_.remove_prefix(std::min(i + 1, text_.size()));
    Skip();
    return name;
  }
  // (`a`,`b`(10)); a prefix stays behind its name, as it is no whole column.
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    if (!Take("(")) return names;
    while (!text_.empty() && text_[0] != ')') {
      std::string name = Name();
      if (name.empty()) name = "(expression)";
      const size_t end = Parenthesis();
      name += text_.substr(0, end);
      text_.remove_prefix(end);
      names.push_back(name);
      const size_t next = text_.find_first_of(",)");
      if (next == std::string_view::npos) break;
      text_.remove_prefix(text_[next] == ',' ? next + 1 : next);
      Skip();
    }
    Take(")");
    return names;
  }
  std::string Type() {
    size_t end = std::min(text_.find_first_of(" (,"), text_.size());
    std::string word(text_.substr(0, end));
    text_.remove_prefix(end);
    const size_t parameters = Parenthesis();
    word += text_.substr(0, parameters);
    text_.remove_prefix(parameters);
    Skip();
    if (Take("unsigned")) word += " unsigned";
    if (Take("zerofill")) word += " zerofill";
    return word;
  }
  std::string WordBehind(std::string_view label) const {
    const size_t at = Find(label);
    if (at == std::string_view::npos) return "";
    const std::string_view rest = text_.substr(at + label.size());
    return std::string(rest.substr(0, rest.find_first_of(" ,;\r)")));
  }
  bool Has(std::string_view words) const { return Find(words) != std::string_view::npos; }

 private:
  // Outside of quotes: a comment or default may hold any word.
  size_t Find(std::string_view words) const {
    char quote = 0;
    for (size_t i = 0; i < text_.size(); ++i) {
      if (quote != 0) {
        if (text_[i] == quote) quote = 0;
      } else if (text_[i] == '\'' || text_[i] == '`') {
        quote = text_[i];
      } else if (text_.size() - i >= words.size() && NameEq(text_.substr(i, words.size()), words)) {
        return i;
      }
    }
    return std::string_view::npos;
  }
  size_t Parenthesis() const {  // the length of one that stands here
    if (text_.empty() || text_[0] != '(') return 0;
    char quote = 0;
    for (size_t i = 1; i < text_.size(); ++i) {
      if (quote != 0) quote = text_[i] == quote ? 0 : quote;
      else if (text_[i] == '\'') quote = '\'';
      else if (text_[i] == ')') return i + 1;
    }
    return text_.size();
  }
  void Skip() {
    while (!text_.empty() && (text_[0] == ' ' || text_[0] == '\t')) text_.remove_prefix(1);
  }
  std::string_view text_;
};

void ReadColumn(Line line, std::string name, Table* table) {
  Column column;
  column.name = std::move(name);
  column.type = line.Type();
  const std::string word = Lowered(column.type.substr(0, column.type.find_first_of(" (")));
  column.type_class = ClassOfType(word);
  if (column.type_class == TypeClass::kString) {
    column.charset = line.WordBehind("CHARACTER SET ");
    column.collation = line.WordBehind("COLLATE ");
  }
  column.nullable = !line.Has("NOT NULL");
  column.invisible = line.Has("INVISIBLE");
  column.auto_increment = line.Has("AUTO_INCREMENT");
  column.generated = line.Has("GENERATED ALWAYS");
  column.stamped = line.Has("ON UPDATE");
  column.has_default = line.Has("DEFAULT ") && !line.Has("DEFAULT NULL");
  column.computed = line.Has("DEFAULT (");
  table->columns.push_back(std::move(column));
}

void ReadForeignKey(Line line, std::string_view schema, Table* table) {
  ForeignKey key;
  key.name = line.Name();
  if (!line.Take("FOREIGN KEY")) return;  // CHECK
  key.columns = line.Names();
  line.Take("REFERENCES");
  key.ref_schema = schema;
  key.ref_table = line.Name();
  if (line.Take(".")) {
    key.ref_schema = key.ref_table;
    key.ref_table = line.Name();
  }
  key.ref_columns = line.Names();
  const auto rule = [&](std::string_view when) -> std::string {
    for (const char* what : {"CASCADE", "SET NULL", "SET DEFAULT", "NO ACTION"})
      if (line.Has(fmt::format("{} {}", when, what))) return what;
    return "RESTRICT";
  };
  key.on_update = rule("ON UPDATE");
  key.on_delete = rule("ON DELETE");
  table->foreign_keys.push_back(std::move(key));
}

// The table's own character set, for columns that name none.
void CloseTable(const Line& line, Table* table) {
  const std::string charset = line.WordBehind("CHARSET="), collation = line.WordBehind("COLLATE=");
  for (Column& column : table->columns) {
    if (column.type_class != TypeClass::kString) continue;
    if (column.charset.empty() && !column.collation.empty()) column.charset = column.collation.substr(0, column.collation.find('_'));
    if (column.charset.empty()) {
      column.charset = charset;
      column.collation = collation;
    }
    if (column.collation.empty()) column.collation = column.charset + "_general_ci";
  }
  std::stable_sort(table->indexes.begin(), table->indexes.end(), [](const Index& a, const Index& b) { return a.name == "PRIMARY" && b.name != "PRIMARY"; });
}

}  // namespace

absl::StatusOr<Catalog> ReadSchemaFile(std::string_view text, std::string_view schema) {
  Catalog catalog;
  catalog.dialect = {Flavor::kMySql, 90700};
  std::string current(schema);
  Table* table = nullptr;
  int number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view raw = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (!raw.empty() && raw.back() == '\r') raw.remove_suffix(1);
    Line line(raw);
    if (table == nullptr) {
      if (line.Take("-- Server version")) {
        if (const auto dialect = DialectOf(raw.substr(std::min(raw.find_first_of("0123456789"), raw.size())))) catalog.dialect = *dialect;
      } else if (line.Take("USE ")) {
        current = line.Name();
      } else if (line.Take("CREATE TABLE ")) {
        line.Take("IF NOT EXISTS ");
        Table& fresh = catalog.tables.emplace_back();
        fresh.schema = current;
        fresh.name = line.Name();
        if (line.Take(".")) {
          fresh.schema = fresh.name;
          fresh.name = line.Name();
        }
        if (fresh.name.empty() || !line.Take("(")) {
          return absl::InvalidArgumentError(fmt::format("line {}: not a CREATE TABLE as SHOW CREATE TABLE and mysqldump print it", number));
        }
        table = &fresh;
      }
      continue;
    }
    if (line.Take(")")) {
      CloseTable(Line(raw), table);
      table = nullptr;
    } else if (std::string name = line.Name(); !name.empty()) {
      ReadColumn(line, std::move(name), table);
    } else if (line.Take("PRIMARY KEY")) {
      table->indexes.push_back({"PRIMARY", true, line.Names()});
    } else if (const bool unique = line.Take("UNIQUE"); line.Take("KEY") || line.Take("INDEX")) {
      std::string index = line.Name();
      table->indexes.push_back({std::move(index), unique, line.Names()});
    } else if (line.Take("CONSTRAINT")) {
      ReadForeignKey(line, table->schema, table);
    }
  }
  if (table != nullptr) return absl::InvalidArgumentError(fmt::format("line {}: {} has no end", number, table->name));
  return catalog;
}

}  // namespace crossfade::rewrite
