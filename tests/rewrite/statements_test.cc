// SPDX-License-Identifier: Apache-2.0
// docs/statements.md is what the planner says: each row's shape and example are written by hand, all that follows is looked up.
// `rewrite_test --update` writes it into the file; read the diff. A row holds for both engines unless its shape ends with
// (MySQL) or (MariaDB); "[mode]" at its end is a sql_mode.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "fmt/format.h"
#include "tests/rewrite/golden_cases.h"

namespace crossfade::rewrite {
namespace {

constexpr char kDocument[] = CROSSFADE_SOURCE_DIR "/docs/statements.md";
constexpr Dialect kMySql{Flavor::kMySql, 90704}, kMariaDb{Flavor::kMariaDb, 101119};

std::vector<std::string> Cells(const std::string& line) {
  std::vector<std::string> cells;
  std::string cell;
  for (size_t i = 1; i < line.size(); ++i) {
    if (line[i] == '\\' && i + 1 < line.size() && line[i + 1] == '|') cell += line[++i];
    else if (line[i] == '|') cells.push_back(Trim(cell)), cell.clear();
    else cell += line[i];
  }
  return cells;
}

struct Row {
  std::string shape, sql;
  std::vector<Dialect> dialects{kMySql, kMariaDb};
  uint32_t sql_mode = kStrict;
};

Row ReadRow(const std::string& line) {
  const std::vector<std::string> cells = Cells(line);
  Row row{.shape = cells[0], .sql = cells.size() > 1 ? cells[1] : ""};
  if (row.sql.size() > 2) row.sql = row.sql.substr(1, row.sql.size() - 2);  // the backticks of code
  if (row.sql.starts_with("` ")) row.sql = row.sql.substr(2, row.sql.size() - 4);
  if (row.shape.find("(MySQL)") != std::string::npos) row.dialects = {kMySql};
  if (row.shape.find("(MariaDB)") != std::string::npos) row.dialects = {kMariaDb};
  if (const size_t open = row.shape.find('['); open != std::string::npos && row.shape.back() == ']')
    row.sql_mode = ParseSqlMode(row.shape.substr(open + 1, row.shape.size() - open - 2));
  return row;
}

// The states of the table's columns: neighbours with one outcome share a column.
struct Column {
  std::string name;
  std::vector<std::string> states;
};
const std::vector<Column> kColumns = {{"expand", {"expand"}},
                                      {"dual_write, backfill", {"dual_write", "backfill"}},
                                      {"verify", {"verify"}},
                                      {"cutover, old cohort", {"cutover old"}},
                                      {"cutover, new cohort", {"cutover new"}},
                                      {"retire, contract", {"retire", "contract"}}};

std::string Outcomes(const Row& row, size_t* refused) {
  std::string out, reasons;
  for (const Column& column : kColumns) {
    std::string cell;
    for (const std::string& name : column.states) {
      for (const GoldenState& state : GoldenStates()) {
        if (state.name != name) continue;
        for (const Dialect& dialect : row.dialects) {
          const auto snapshot = GoldenSnapshot(state, dialect);
          SessionFacts facts;
          facts.schema = "deb";
          facts.sql_mode = row.sql_mode;
          facts.new_cohort = CohortOf(*snapshot, 0);
          Planner planner;
          const auto plan = row.sql.find('?') != std::string::npos ? planner.PlanPrepared(*snapshot, facts, row.sql, {ValueShape::kString, ValueShape::kString})
                                                                  : planner.PlanQuery(*snapshot, facts, row.sql);
          const std::string strategy = plan->strategy == Strategy::kUntouched ? "–" : std::string(StrategyName(plan->strategy));
          EXPECT_TRUE(cell.empty() || cell == strategy) << "neither the engines nor the phases of a column may differ: " << row.shape << ": " << row.sql << ", " << name;
          cell = strategy;
          if (plan->strategy != Strategy::kRefuse) continue;
          ++*refused;
          const std::string reason = plan->reason.substr(plan->reason.find(": ") + 2);
          if (reasons.find(reason) == std::string::npos) reasons += (reasons.empty() ? "" : "; or: ") + reason;
        }
      }
    }
    out += " " + cell + " |";
  }
  for (size_t at = reasons.find('|'); at != std::string::npos; at = reasons.find('|', at + 2)) reasons.insert(at, "\\");
  return out + " " + reasons + (reasons.empty() ? "" : " ") + "|";
}

TEST(Statements, TheDocumentIsWhatThePlannerSays) {
  bool update = false;
  for (const std::string& argument : testing::internal::GetArgvs()) update = update || argument == "--update";
  std::ifstream in(kDocument);
  ASSERT_TRUE(in) << kDocument;
  std::string text;
  size_t rows = 0, refused = 0;
  for (std::string line; std::getline(in, line);) {
    const bool row = line.starts_with("| ") && line.find(" | `") != std::string::npos;
    if (line.starts_with("| shape |")) {
      line = "| shape | example |";
      for (const Column& column : kColumns) line += " " + column.name + " |";
      line += " why it is refused |";
    } else if (line.starts_with("|---")) {
      line = "|---|---|";
      for (size_t i = 0; i < kColumns.size(); ++i) line += "---|";
      line += "---|";
    } else if (row) {
      ++rows;
      const Row parsed = ReadRow(line);
      const std::string head = line.substr(0, line.find("` |", line.find(" | `") + 4) + 3);
      const std::string written = head + Outcomes(parsed, &refused);
      if (!update) {
        EXPECT_EQ(line, written);
      }
      line = written;
    }
    text += line + "\n";
  }
  if (update) std::ofstream(kDocument) << text;
  EXPECT_GE(rows, 120u);
  EXPECT_GE(refused, 100u);
}

}  // namespace
}  // namespace crossfade::rewrite
