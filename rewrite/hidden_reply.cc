// SPDX-License-Identifier: Apache-2.0
// Changes of the server's own replies to SHOW COLUMNS, SHOW INDEX and SHOW CREATE TABLE: see hidden.h.
#include <algorithm>

#include "rewrite/hidden.h"
#include "rewrite/names.h"

namespace crossfade::rewrite {
namespace {

size_t ColumnNamed(const std::vector<std::string>& names, std::string_view name) {
  for (size_t i = 0; i < names.size(); ++i)
    if (NameEq(names[i], name)) return i;
  return names.size();
}

void Set(ReplyCell* cell, std::string_view text, bool* changed) {
  if (cell->has_value() && **cell == text) return;
  *cell = std::string(text);
  *changed = true;
}

// An identifier as SHOW CREATE TABLE writes it: `x`, "x" or x. `*at` moves behind it.
struct Identifier {
  std::string name;
  char quote = 0;
};
Identifier ReadIdentifier(std::string_view text, size_t* at) {
  Identifier out;
  if (*at < text.size() && (text[*at] == '`' || text[*at] == '"')) {
    out.quote = text[(*at)++];
    while (*at < text.size()) {
      if (text[*at] == out.quote) {
        if (*at + 1 >= text.size() || text[*at + 1] != out.quote) break;
        ++*at;
      }
      out.name += text[(*at)++];
    }
    if (*at < text.size()) ++*at;
    return out;
  }
  while (*at < text.size() && std::string_view(" (),").find(text[*at]) == std::string_view::npos) out.name += text[(*at)++];
  return out;
}

std::string Written(const Identifier& identifier, std::string_view name) {
  if (identifier.quote == 0) return std::string(name);
  std::string out(1, identifier.quote);
  for (char c : name) {
    out += c;
    if (c == identifier.quote) out += c;
  }
  return out + identifier.quote;
}

// The names of a list "(`a`,`b`(10))" that begins at `at`, each replaced by what `shown` says.
template <typename F>
std::string EditList(std::string_view text, size_t* at, const F& shown) {
  std::string out;
  int depth = 0;
  bool name_next = false;
  while (*at < text.size()) {
    const char c = text[*at];
    if (name_next && c != ' ' && c != '(') {
      const Identifier identifier = ReadIdentifier(text, at);
      out += Written(identifier, shown(identifier.name));
      name_next = false;
      continue;
    }
    if (name_next && c == '(') name_next = false;  // an expression
    if (c == '(') name_next = ++depth == 1;
    if (c == ',' && depth == 1) name_next = true;
    out += c;
    ++*at;
    if (c == ')' && --depth == 0) break;
  }
  return out;
}

// One line of the list, without its comma. False: it is left out.
bool EditItem(const HiddenTable& table, std::string* line) {
  const std::string_view text = *line;
  size_t at = text.find_first_not_of(' ');
  if (at == std::string_view::npos) return true;
  const auto starts = [&](std::string_view word) { return text.substr(at).starts_with(word); };
  const auto shown = [&](const std::string& column) { return std::string(table.ColumnShown(column)); };
  if (starts("PRIMARY KEY")) {
    const size_t list = text.find('(');
    if (list == std::string_view::npos) return true;
    size_t end = list;
    std::string edited = std::string(text.substr(0, list)) + EditList(text, &end, shown);
    edited += text.substr(end);
    *line = edited;
    return true;
  }
  for (std::string_view head : {"KEY ", "UNIQUE KEY ", "FULLTEXT KEY ", "SPATIAL KEY ", "VECTOR KEY ", "CONSTRAINT "}) {
    if (!starts(head)) continue;
    at += head.size();
    std::string edited(text.substr(0, at));
    const Identifier name = ReadIdentifier(text, &at);
    const auto as = table.NameShown(name.name);
    if (!as) return false;
    edited += Written(name, *as);
    const bool renamed = *as != name.name;
    const size_t list = text.find('(', at);
    if (list != std::string_view::npos) {
      edited += text.substr(at, list - at);
      at = list;
      edited += EditList(text, &at, shown);
      const size_t referred = head == "CONSTRAINT " && renamed ? text.find(" (", at) : std::string_view::npos;
      if (referred != std::string_view::npos) {
        edited += text.substr(at, referred - at);
        at = referred;
        edited += EditList(text, &at, [&](const std::string& column) {
          const auto it = table.referred.find(FoldName(column));
          return it == table.referred.end() ? column : it->second;
        });
      }
    }
    edited += text.substr(at);
    *line = edited;
    return true;
  }
  const Identifier name = ReadIdentifier(text, &at);
  return table.Find(name.name) == nullptr || text.find("INVISIBLE") == std::string_view::npos;
}

}  // namespace

std::string EditCreateTable(const HiddenTable& table, std::string_view text) {
  std::vector<std::string_view> lines;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  std::string out(lines[0]);
  bool inside = true, first = true;
  for (size_t i = 1; i < lines.size(); ++i) {
    if (inside && lines[i].starts_with(")")) inside = false;
    if (!inside) {
      out += '\n';
      out += lines[i];
      continue;
    }
    std::string line(lines[i].ends_with(",") ? lines[i].substr(0, lines[i].size() - 1) : lines[i]);
    if (!EditItem(table, &line)) continue;
    out += first ? "\n" : ",\n";
    out += line;
    first = false;
  }
  return out;
}

bool EditRow(const ReplyEdit& edit, const std::vector<std::string>& names, std::vector<ReplyCell>* row, bool* changed) {
  if (edit.table == nullptr) return true;
  const HiddenTable& table = *edit.table;
  const auto cell = [&](std::string_view name) -> ReplyCell* {
    const size_t i = ColumnNamed(names, name);
    return i < row->size() && (*row)[i].has_value() ? &(*row)[i] : nullptr;
  };
  switch (edit.kind) {
    case ReplyEdit::kColumns: {
      const ReplyCell* field = cell("Field");
      const ReplyCell* extra = cell("Extra");
      if (field == nullptr || extra == nullptr) return true;
      if (table.Find(**field) != nullptr && (*extra)->find("INVISIBLE") != std::string::npos) return false;
      const auto key = table.keys.find(FoldName(**field));
      if (key != table.keys.end())
        if (ReplyCell* shown = cell("Key")) Set(shown, key->second, changed);
      return true;
    }
    case ReplyEdit::kIndexes: {
      ReplyCell* name = cell("Key_name");
      ReplyCell* column = cell("Column_name");
      if (name == nullptr) return true;
      const auto shown = table.NameShown(**name);
      if (!shown) return false;
      Set(name, std::string(*shown), changed);
      if (column != nullptr) Set(column, std::string(table.ColumnShown(**column)), changed);
      return true;
    }
    case ReplyEdit::kCreateTable: {
      if (ReplyCell* text = cell("Create Table")) Set(text, EditCreateTable(table, **text), changed);
      return true;
    }
    case ReplyEdit::kDefinitions:
    case ReplyEdit::kDefinitionsByRun: return true;
  }
  return true;
}

}  // namespace crossfade::rewrite
