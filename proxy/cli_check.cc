// SPDX-License-Identifier: Apache-2.0
// crossfade check, pause, resume, verify, explain.
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "backfill/control.h"
#include "backfill/preflight.h"
#include "backfill/verify.h"
#include "fmt/format.h"
#include "proxy/cli.h"
#include "proxy/cli_common.h"
#include "rewrite/explain.h"
#include "rewrite/planner.h"

namespace crossfade::proxy {
namespace {

const char* LevelName(backfill::Finding::Level level) {
  switch (level) {
    case backfill::Finding::kInfo: return "info";
    case backfill::Finding::kWarning: return "warning";
    case backfill::Finding::kError: return "error";
  }
  return "";
}

}  // namespace

int Check(const std::string& config_path) {
  auto opened = OpenControl(config_path);
  if (!opened.ok()) return Fail(opened.status());
  auto& [config, connection] = *opened;
  int errors = 0;
  for (const config::Migration& migration : config.migrations) {
    auto findings = backfill::Preflight(connection, config, migration);
    if (!findings.ok()) return Fail(fmt::format("{}: {}", migration.name, std::string(findings.status().message())));
    for (const backfill::Finding& finding : *findings) {
      fmt::print("{}: {}: {}\n", migration.name, LevelName(finding.level), finding.text);
      if (!finding.advice.empty()) fmt::print("    {}\n", finding.advice);
      if (finding.level == backfill::Finding::kError) ++errors;
    }
    if (!backfill::HasErrors(*findings)) fmt::print("{}: ready\n", migration.name);
  }
  if (errors != 0) return Fail(fmt::format("{} error{} found", errors, errors == 1 ? "" : "s"));
  fmt::print("{}: valid, {} migration{}\n", config.path, config.migrations.size(), config.migrations.size() == 1 ? "" : "s");
  return 0;
}

int Pause(const std::string& config_path, const std::string& name, bool pause) {
  auto opened = OpenControl(config_path);
  if (!opened.ok()) return Fail(opened.status());
  auto declared = FindDeclared(opened->config, name);
  if (!declared.ok()) return Fail(declared.status());
  absl::Status synced = backfill::SyncDeclared(opened->connection, opened->config);
  if (!synced.ok()) return Fail(synced);
  absl::Status set = backfill::SetPaused(opened->connection, opened->config, name, pause);
  if (!set.ok()) return Fail(set);
  fmt::print("{}: {}\n", name, pause ? "paused" : "resumed");
  return 0;
}

int RunVerify(const std::string& config_path, const std::string& name, bool repair) {
  auto opened = OpenControl(config_path);
  if (!opened.ok()) return Fail(opened.status());
  auto& [config, connection] = *opened;
  auto declared = FindDeclared(config, name);
  if (!declared.ok()) return Fail(declared.status());
  const bool terminal = isatty(STDERR_FILENO) != 0;
  auto result = backfill::Verify(connection, config, **declared, repair, [&](uint64_t done, uint64_t total) {
    if (terminal) fmt::print(stderr, "\r{} of about {} rows", done, std::max(done, total));
    return true;
  });
  if (terminal) fmt::print(stderr, "\r\033[K");
  if (!result.ok()) return Fail(result.status());
  fmt::print("{}: {} rows checked, {} differ, {} repaired\n", name, result->rows_checked, result->differences, result->repaired);
  for (const std::string& example : result->examples) fmt::print("  {}\n", example);
  if (result->orphans != 0) fmt::print("{}: {} of them refer to rows that do not exist: what they should be, only you know\n", name, result->orphans);
  if (result->differences == result->repaired) return 0;
  return Fail(fmt::format("{}: old and new side differ{}", name, repair ? "" : "; `verify --repair` mends them"));
}

int ExplainStatement(const std::string& config_path, const ExplainOptions& options) {
  auto opened = OpenControl(config_path);
  if (!opened.ok()) return Fail(opened.status());
  auto& [config, connection] = *opened;
  if (!options.migration.empty()) {
    auto declared = FindDeclared(config, options.migration);
    if (!declared.ok()) return Fail(declared.status());
  }
  auto state = StateIn(config, options.phase, options.cohort, options.migration);
  if (!state.ok()) return Fail(state.status());
  auto snapshot = backfill::LoadSnapshot(connection, config, *state);
  if (!snapshot.ok()) return Fail(snapshot.status());
  rewrite::SessionFacts facts;
  facts.schema = options.schema;
  if (facts.schema.empty() && !(*snapshot)->migrations.empty()) facts.schema = (*snapshot)->migrations[0].spec.schema;
  std::string mode = options.sql_mode;
  if (mode.empty()) {
    auto rows = connection.Query("SELECT @@GLOBAL.sql_mode");
    if (!rows.ok()) return Fail(rows.status());
    mode = rows->rows[0][0].value_or("");
  }
  facts.sql_mode = rewrite::ParseSqlMode(mode);
  facts.new_cohort = rewrite::CohortOf(**snapshot, 0);
  fmt::print("{}", rewrite::Explain(**snapshot, facts, options.sql));
  return 0;
}

}  // namespace crossfade::proxy
