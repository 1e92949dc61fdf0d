// SPDX-License-Identifier: Apache-2.0
// Comparison of replies; see compare.h.
#include "tests/integration/twin/compare.h"

#include <algorithm>
#include <cctype>
#include <iterator>

#include "fmt/format.h"

namespace crossfade::twin {

using servers::Cell;
using servers::Reply;
using servers::ReplyColumn;
using Row = std::vector<Cell>;

namespace {

std::string Fold(std::string text) {
  for (size_t i = 0; i < text.size(); ++i) {
    char& c = text[i];
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (c == '\x96' && i > 0 && text[i - 1] == '\xC3') c = '\xB6';  // Ö, of the workload's own keys
  }
  return text;
}

std::string Show(const Row& row) {
  std::string text;
  for (const Cell& cell : row) text += cell ? "'" + *cell + "' " : "NULL ";
  return text;
}

constexpr uint32_t kState = 1 | 2 | 8 | 64 | 128 | 512 | 8192 | 0x4000;  // not the plan's flags: statistics differ

constexpr uint32_t kTypeFlags = NOT_NULL_FLAG | UNSIGNED_FLAG | BLOB_FLAG | ZEROFILL_FLAG;

// Which of several rows an UPDATE visits first is the plan's business: "at row 2" becomes "at row".
std::string WithoutRowNumber(std::string text) {
  const size_t at = text.rfind(" at row ");
  return at == std::string::npos ? text : text.substr(0, at + 7);
}

// MySQL names the column only where it looked for an index on it to compare a text with that is no date; see docs/rewriting.md.
std::string WithoutColumn(std::string text) {
  const size_t at = text.starts_with("Incorrect datetime value: ") ? text.rfind(" for column ") : std::string::npos;
  return at == std::string::npos ? text : text.substr(0, at);
}

}  // namespace

absl::Status KeyMap::Refresh(servers::Client& client, const Schema& schema) {
  const Column& key = schema.parent.key();
  const Reply rows = client.Query(fmt::format("SELECT {}, {} FROM {}.{} WHERE {} IS NOT NULL", key.new_name, key.name, schema.name, schema.parent.name, key.new_name));
  if (!rows.ok()) return absl::InternalError("reading the key map: " + rows.message);
  number_.clear();
  key_.clear();
  for (const Row& row : rows.rows) {
    if (schema.integer_keys) number_[row[1].value_or("")] = *row[0];
    else number_[row[1].value_or("")] = int64_t{std::stoll(*row[0])};
    const std::string key = Fold(row[1].value_or(""));
    was_[*row[0]].insert(key);
    key_[*row[0]] = key;
  }
  return absl::OkStatus();
}

std::optional<servers::Parameter> KeyMap::Number(const std::string& old_key) const {
  const auto found = number_.find(old_key);
  if (found == number_.end()) return std::nullopt;
  return found->second;
}

std::string KeyMap::Now(const std::string& number) const {
  const auto found = key_.find(number);
  return found == key_.end() ? number : found->second;
}

bool KeyMap::Was(const std::string& number, const std::string& old_key) const {
  const auto found = was_.find(number);
  return found != was_.end() && found->second.count(Fold(old_key)) > 0;
}

namespace {

class Comparer {
 public:
  Comparer(const Statement& statement, const Comparison& how) : statement_(statement), how_(how) {}

  bool IsKey(size_t column) const {
    return std::any_of(statement_.key_columns.begin(), statement_.key_columns.end(), [&](const KeyColumn& key) { return key.index == column; });
  }

  std::string Columns(const Reply& a, const Reply& b) const {
    if (a.has_rows != b.has_rows) return "one has a result set, the other has none";
    if (a.columns.size() != b.columns.size()) return fmt::format("{} columns, not {}", a.columns.size(), b.columns.size());
    for (size_t i = 0; i < a.columns.size(); ++i) {
      ReplyColumn x = a.columns[i], y = b.columns[i];
      const bool loose = (how_.mode->new_cohort || how_.mode->retired) && IsKey(i);
      if (loose) {  // the new key has a type, a length and flags of its own
        x.org_name = y.org_name;
        x.length = y.length;
        x.flags = y.flags;
        x.decimals = y.decimals;
        x.charset = y.charset;
        x.type = y.type;
      }
      for (const Schema::Mapped& mapped : how_.schema->mapped) {
        if ((how_.mode->new_cohort || how_.mode->retired) && x.org_table == mapped.table && x.org_name == mapped.fresh && y.org_name == mapped.from) x.org_name = y.org_name;
      }
      // A temporary table may stand between, or not: then key flags differ. From retire on so it is with ranges of old keys.
      if (statement_.folds || how_.mode->retired) {
        x.flags &= kTypeFlags;
        y.flags &= kTypeFlags;
        if (y.org_table.empty() && x.org_table.empty()) {  // the temporary table's column for an expression
          x.org_name = y.org_name;
          x.decimals = y.decimals;
          x.flags = y.flags;
          const auto text = [](const ReplyColumn& c) { return c.type >= MYSQL_TYPE_TINY_BLOB && c.type <= MYSQL_TYPE_BLOB; };
          if (text(x) && text(y)) {
            x.type = y.type;
            x.length = y.length;
          }
          const auto string = [](const ReplyColumn& c) { return c.type == MYSQL_TYPE_STRING || c.type == MYSQL_TYPE_VAR_STRING; };
          if (string(x) && string(y)) x.type = y.type;
          if (x.type == MYSQL_TYPE_LONG && y.type == MYSQL_TYPE_LONGLONG) x.type = y.type;
          if (y.type == MYSQL_TYPE_LONG && x.type == MYSQL_TYPE_LONGLONG) x.type = y.type;
        }
      }
      // Of an outer join without a row: whether the server saw that from constants alone.
      if (how_.mode->new_cohort && a.rows.empty() && b.rows.empty() && statement_.label == "select join") x.flags = (x.flags & ~NOT_NULL_FLAG) | (y.flags & NOT_NULL_FLAG);
      if (x == y) continue;
      auto text = [](const ReplyColumn& c) {
        return fmt::format("{} ({}) of {} ({}.{}) type {} length {} flags {:#x} decimals {} charset {}", c.name, c.org_name, c.table, c.schema, c.org_table,
                           c.type, c.length, c.flags, c.decimals, c.charset);
      };
      return fmt::format("column {}: {}, not {}", i + 1, text(a.columns[i]), text(b.columns[i]));
    }
    return "";
  }

  bool SameCell(const Cell& a, const Cell& b, size_t column) const {
    if (a == b) return true;
    if (!a || !b || !IsKey(column)) return false;
    if (statement_.folds && Fold(*a) == Fold(*b)) return true;
    return how_.mode->new_cohort && how_.keys->Was(*a, *b);
  }

  bool SameRow(const Row& a, const Row& b) const {
    for (size_t i = 0; i < a.size(); ++i) {
      if (!SameCell(a[i], b[i], i)) return false;
    }
    return true;
  }

  // The rows that only one side has, as far as they are shown the same way on both.
  std::string Lone(const Reply& a, const Reply& b) const {
    const auto now = [&](const Reply& reply) {
      std::vector<Row> rows;
      for (const Row& row : reply.rows) {
        const std::vector<std::string> cells = Now(row);
        rows.emplace_back(cells.begin(), cells.end());
      }
      std::sort(rows.begin(), rows.end());
      return rows;
    };
    std::vector<Row> x = now(a), y = now(b), left;
    std::string text;
    for (const bool proxied : {true, false}) {
      left.clear();
      const auto &from = proxied ? x : y, &without = proxied ? y : x;
      std::set_difference(from.begin(), from.end(), without.begin(), without.end(), std::back_inserter(left));
      text += fmt::format("{} only {}", left.size(), proxied ? "proxied" : "direct");
      for (size_t i = 0; i < left.size() && i < 4; ++i) text += fmt::format("{} {}", i == 0 ? ":" : ",", Show(left[i]));
      if (proxied) text += "; ";
    }
    return text;
  }

  // Where an INSERT lists its columns, MariaDB goes on with the columns behind one that is given NULL (1048), and tells what
  // else it finds; without a list it stops there. Crossfade lists them.
  static bool GoesOnBehindNull(const Reply& a, const Reply& b) {
    if (a.rows.size() <= b.rows.size() || b.rows.empty() || b.rows.back().size() != 3) return false;
    return b.rows.back()[0] == "Error" && b.rows.back()[1] == "1048" && std::equal(b.rows.begin(), b.rows.end(), a.rows.begin());
  }

  std::string Rows(const Reply& given, const Reply& b) const {
    Reply without;
    const bool beside = statement_.label == "show warnings" && GoesOnBehindNull(given, b);
    if (beside) {
      without = given;
      without.rows.resize(b.rows.size());
    }
    const Reply& a = beside ? without : given;
    if (a.rows.size() != b.rows.size()) return fmt::format("{} rows, not {}; {}", a.rows.size(), b.rows.size(), Lone(a, b));
    if (statement_.ordered) {
      for (size_t i = 0; i < a.rows.size(); ++i) {
        if (!SameRow(a.rows[i], b.rows[i])) return fmt::format("row {}: {}, not {}", i + 1, Show(a.rows[i]), Show(b.rows[i]));
      }
      return "";
    }
    std::vector<Row> x = a.rows, y = b.rows;
    if (how_.mode->retired && statement_.label == "show warnings") {
      // As in an error's own message: constraints, keys and references have other names now.
      for (std::vector<Row>* rows : {&x, &y}) {
        for (Row& row : *rows) row.back().reset();
      }
    }
    if (how_.any_row && statement_.label == "show warnings") {
      for (std::vector<Row>* rows : {&x, &y}) {
        for (Row& row : *rows) row.back() = WithoutColumn(WithoutRowNumber(row.back().value_or("")));
      }
    }
    std::sort(x.begin(), x.end());
    std::sort(y.begin(), y.end());
    if (x == y) return "";
    // Most rows are the same by the numbers that the keys have now. A number may have stood for several keys in the course
    // of time, which old snapshots still show: which of the other rows is whose is a matching.
    std::vector<size_t> owner(x.size(), kNone), left;
    std::multimap<std::vector<std::string>, size_t> by_now;
    for (size_t k = 0; k < x.size(); ++k) by_now.emplace(Now(x[k]), k);
    for (size_t i = 0; i < y.size(); ++i) {
      const auto found = by_now.find(Now(y[i]));
      if (found != by_now.end() && SameRow(x[found->second], y[i])) {
        owner[found->second] = i;
        by_now.erase(found);
      } else {
        left.push_back(i);
      }
    }
    std::vector<bool> tried;
    for (const size_t i : left) {
      tried.assign(x.size(), false);
      if (Place(i, x, y, &owner, &tried)) continue;
      std::string text = fmt::format("no row like {}; without a counterpart so far:", Show(y[i]));
      for (size_t k = 0, shown = 0; k < x.size() && shown < 4; ++k) {
        if (owner[k] != kNone) continue;
        ++shown;
        text += " | " + Show(x[k]) + "(now";
        for (const std::string& cell : Now(x[k])) text += " " + cell;
        text += ")";
      }
      return text;
    }
    return "";
  }

 private:
  static constexpr size_t kNone = static_cast<size_t>(-1);

  // The row with the keys that its numbers stand for now.
  std::vector<std::string> Now(const Row& row) const {
    std::vector<std::string> out;
    for (size_t i = 0; i < row.size(); ++i) {
      out.push_back(!row[i] ? std::string("\0", 1) : !IsKey(i) ? *row[i] : how_.mode->new_cohort ? how_.keys->Now(Fold(*row[i])) : Fold(*row[i]));
    }
    return out;
  }

  // Finds a row of x for row i of y, moving others to another of theirs where it must (augmenting path).
  bool Place(size_t i, const std::vector<Row>& x, const std::vector<Row>& y, std::vector<size_t>* owner, std::vector<bool>* tried) const {
    for (const bool take_free : {true, false}) {
      for (size_t k = 0; k < x.size(); ++k) {
        if ((*tried)[k] || (take_free && (*owner)[k] != kNone) || !SameRow(x[k], y[i])) continue;
        (*tried)[k] = true;
        if ((*owner)[k] != kNone && !Place((*owner)[k], x, y, owner, tried)) continue;
        (*owner)[k] = i;
        return true;
      }
    }
    return false;
  }

  const Statement& statement_;
  const Comparison& how_;
};

}  // namespace

std::string Difference(const Reply& a, const Reply& b, const Statement& statement, const Comparison& how) {
  // A constant that is no date: MySQL looks at it where an index on its column may serve, which the key's other index can change.
  if ((how.mode->new_cohort || how.mode->either_key) && a.error + b.error == 1525 && statement.label.starts_with("select")) return "";
  if (a.error != b.error) return fmt::format("error {}, not {}", a.error, b.error);
  if (a.sqlstate != b.sqlstate) return fmt::format("SQLSTATE {}, not {}", a.sqlstate, b.sqlstate);
  // After the key swap an index or constraint has another name.
  const bool same_message = how.any_row ? WithoutRowNumber(a.message) == WithoutRowNumber(b.message) : a.message == b.message;
  if (!same_message && !how.mode->retired) return fmt::format("message '{}', not '{}'", a.message, b.message);
  if (!a.ok()) return "";
  const Comparer comparer(statement, how);
  if (std::string text = comparer.Columns(a, b); !text.empty()) return text;
  if (std::string text = comparer.Rows(a, b); !text.empty()) return text;
  if (a.affected != b.affected) return fmt::format("affected rows {}, not {}", a.affected, b.affected);
  if (a.insert_id != b.insert_id) return fmt::format("insert id {}, not {}", a.insert_id, b.insert_id);
  if (a.warnings != b.warnings) return fmt::format("{} warnings, not {}", a.warnings, b.warnings);
  const bool seen_sooner = (how.other_text || how.mode->retired) && a.affected == 0 && (a.info.empty() || b.info.empty());
  if (a.info != b.info && !seen_sooner) return fmt::format("info '{}', not '{}'", a.info, b.info);
  if ((a.status & kState) != (b.status & kState)) return fmt::format("status {:#x}, not {:#x}", a.status & kState, b.status & kState);
  return "";
}

}  // namespace crossfade::twin
