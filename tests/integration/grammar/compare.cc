// SPDX-License-Identifier: Apache-2.0
// Comparison of replies; see compare.h.
#include "tests/integration/grammar/compare.h"

#include <algorithm>
#include <cctype>

#include "fmt/format.h"

namespace crossfade::grammar {

using servers::Cell;
using servers::Reply;
using servers::ReplyColumn;
using Row = std::vector<Cell>;

namespace {

constexpr uint32_t kState = 1 | 2 | 8 | 64 | 128 | 512 | 8192 | 0x4000;  // not the plan's flags: statistics differ
constexpr size_t kNone = static_cast<size_t>(-1);

std::string Fold(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

std::string Show(const Row& row) {
  std::string text;
  for (const Cell& cell : row) text += cell ? "'" + *cell + "' " : "NULL ";
  return text;
}

std::string WithoutRowNumber(std::string text) {
  const size_t at = text.rfind(" at row ");
  return at == std::string::npos ? text : text.substr(0, at + 7);
}

class Comparer {
 public:
  Comparer(const Statement& statement, const Comparison& how) : statement_(statement), how_(how) {}

  Item Of(size_t column) const { return column < statement_.items.size() ? statement_.items[column] : Item{}; }

  std::string Columns(const Reply& a, const Reply& b) const {
    if (a.has_rows != b.has_rows) return "one has a result set, the other has none";
    if (a.columns.size() != b.columns.size()) return fmt::format("{} columns, not {}", a.columns.size(), b.columns.size());
    if (statement_.shape_only) return "";
    for (size_t i = 0; i < a.columns.size(); ++i) {
      ReplyColumn x = a.columns[i], y = b.columns[i];
      const Shown shown = Of(i).shown;
      if (shown != Shown::kSame && how_.mode->new_cohort) {  // of another type, and maybe computed
        y.table = x.table, y.schema = x.schema, y.org_table = x.org_table;
        x.org_name = y.org_name, x.length = y.length, x.flags = y.flags, x.decimals = y.decimals, x.charset = y.charset, x.type = y.type;
      }
      // A temporary table may stand between, or not: of the flags those of the plan are left out, and of an expression its type.
      x.flags = y.flags;
      if (statement_.folds || how_.mode->new_cohort || how_.other_text) {
        if (x.org_table.empty() || y.org_table.empty()) x.org_name = y.org_name, x.decimals = y.decimals, x.length = y.length, x.type = y.type, x.org_table = y.org_table, x.schema = y.schema;
      }
      if (x == y) continue;
      const auto text = [](const ReplyColumn& c) {
        return fmt::format("{} ({}) of {} ({}.{}) type {} length {} flags {:#x} decimals {} charset {}", c.name, c.org_name, c.table, c.schema, c.org_table, c.type, c.length,
                           c.flags, c.decimals, c.charset);
      };
      return fmt::format("column {}: {}, not {}", i + 1, text(a.columns[i]), text(b.columns[i]));
    }
    return "";
  }

  bool SameCell(const Cell& a, const Cell& b, size_t column) const {
    if (a == b) return true;
    const Item item = Of(column);
    if (item.shown == Shown::kAny) return true;
    if (!a || !b) return false;
    // Of a key too, where a connection of the old cohort reads what was given as the new key: it is stored as its parent spells it.
    if ((statement_.folds || item.shown == Shown::kLoose || item.shown == Shown::kKey) && Fold(*a) == Fold(*b)) return true;
    return item.shown == Shown::kKey && how_.mode->new_cohort && how_.history->Was(item.key, *a, *b);
  }

  bool SameRow(const Row& a, const Row& b) const {
    for (size_t i = 0; i < a.size(); ++i)
      if (!SameCell(a[i], b[i], i)) return false;
    return true;
  }

  std::string Rows(const Reply& a, const Reply& b) const {
    if (statement_.shape_only) return "";
    if (a.rows.size() != b.rows.size()) {
      std::string text = fmt::format("{} rows, not {}:", a.rows.size(), b.rows.size());
      for (const Reply* reply : {&a, &b}) {
        text += reply == &a ? " proxied " : " direct ";
        for (size_t i = 0; i < reply->rows.size() && i < 6; ++i) text += (i > 0 ? "| " : "") + Show(reply->rows[i]);
      }
      return text;
    }
    if (statement_.ordered) {
      for (size_t i = 0; i < a.rows.size(); ++i)
        if (!SameRow(a.rows[i], b.rows[i])) return fmt::format("row {}: {}, not {}", i + 1, Show(a.rows[i]), Show(b.rows[i]));
      return "";
    }
    std::vector<Row> x = a.rows, y = b.rows;
    if (how_.warnings) {
      for (std::vector<Row>* rows : {&x, &y}) {
        for (Row& row : *rows) {
          const bool foreign = row.size() == 3 && (row[1] == "1451" || row[1] == "1452");  // whichever of them was looked at first
          if (how_.mode->retired || foreign) row.back().reset();
          else if (how_.any_row && row.back()) row.back() = WithoutRowNumber(*row.back());
        }
      }
    }
    std::sort(x.begin(), x.end());
    std::sort(y.begin(), y.end());
    if (x == y) return "";
    owner_.assign(x.size(), kNone);
    for (size_t i = 0; i < y.size(); ++i) {
      std::vector<bool> tried(x.size(), false);
      if (!Place(i, x, y, &tried)) return fmt::format("no row like {}", Show(y[i])) + (x.empty() ? "" : "; proxied has " + Show(x[0]));
    }
    return "";
  }

 private:
  // Finds a row of x for row i of y, moving others to another of theirs where it must (augmenting path).
  bool Place(size_t i, const std::vector<Row>& x, const std::vector<Row>& y, std::vector<bool>* tried) const {
    for (const bool take_free : {true, false}) {
      for (size_t k = 0; k < x.size(); ++k) {
        if ((*tried)[k] || (take_free && owner_[k] != kNone) || !SameRow(x[k], y[i])) continue;
        (*tried)[k] = true;
        if (owner_[k] != kNone && !Place(owner_[k], x, y, tried)) continue;
        owner_[k] = i;
        return true;
      }
    }
    return false;
  }

  const Statement& statement_;
  const Comparison& how_;
  mutable std::vector<size_t> owner_;
};

}  // namespace

absl::Status History::Refresh(servers::Client& client, const Model& model) {
  for (size_t i = 0; i < model.keys.size(); ++i) {
    const Key& key = model.keys[i];
    if (!key.Mapped() || model.Find(key.table) == nullptr) continue;
    const Reply rows = client.Query(fmt::format("SELECT {}, {} FROM {}.{} WHERE {} IS NOT NULL", key.fresh, key.column, kDatabase, key.table, key.fresh));
    if (!rows.ok()) return absl::InternalError("reading the keys: " + rows.message);
    for (const Row& row : rows.rows) was_[{static_cast<int>(i), *row[0]}].insert(Fold(row[1].value_or("")));
  }
  return absl::OkStatus();
}

bool History::Was(int key, const std::string& fresh, const std::string& old) const {
  const auto found = was_.find({key, fresh});
  return found != was_.end() && found->second.count(Fold(old)) > 0;
}

std::string Difference(const Reply& a, const Reply& b, const Statement& statement, const Comparison& how) {
  // A constant that is no date: MySQL looks at it where an index on its column may serve, which the key's other index can change.
  if ((how.mode->new_cohort || how.mode->either_key) && a.error + b.error == 1525 && statement.label.starts_with("select")) return "";
  if (a.error != b.error) {
    if (statement.any_error && !a.ok() && !b.ok()) return "";
    return fmt::format("error {} ({}), not {} ({})", a.error, a.message, b.error, b.message);
  }
  if (a.sqlstate != b.sqlstate) return fmt::format("SQLSTATE {}, not {}", a.sqlstate, b.sqlstate);
  if (!a.ok()) {
    if (statement.any_error || how.mode->retired || how.mode->new_cohort) return "";
    if (a.error == 1451 || a.error == 1452) return "";  // which of several foreign keys is looked at first
    if (how.other_text) return "";  // it names values as they were sent
    const bool same = how.any_row ? WithoutRowNumber(a.message) == WithoutRowNumber(b.message) : a.message == b.message;
    return same ? "" : fmt::format("message '{}', not '{}'", a.message, b.message);
  }
  const Comparer comparer(statement, how);
  if (std::string text = comparer.Columns(a, b); !text.empty()) return text;
  if (std::string text = comparer.Rows(a, b); !text.empty()) return text;
  // A row that stays as it is but gets its new side counts as changed, where that cannot be told from the values.
  const bool gets_new = statement.computes && how.filling && a.affected >= b.affected;
  if (a.affected != b.affected && !gets_new) return fmt::format("affected rows {}, not {}", a.affected, b.affected);
  if (a.insert_id != b.insert_id) return fmt::format("insert id {}, not {}", a.insert_id, b.insert_id);
  if (a.warnings != b.warnings && !statement.shape_only) return fmt::format("{} warnings, not {}", a.warnings, b.warnings);
  const bool seen_sooner = a.affected == 0 && (a.info.empty() || b.info.empty());
  if (a.info != b.info && !seen_sooner && !gets_new) return fmt::format("info '{}', not '{}'", a.info, b.info);
  if ((a.status & kState) != (b.status & kState)) return fmt::format("status {:#x}, not {:#x}", a.status & kState, b.status & kState);
  return "";
}

}  // namespace crossfade::grammar
