// SPDX-License-Identifier: Apache-2.0
// The operator's commands but `serve`. Each returns the process's exit code: 0 done, 1 could not be done (one clear line
// on stderr says why). They talk to the database only; what they ask for, a running proxy's migrator does.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace crossfade::proxy {

// Validates the file, then runs the preflight of each migration against the live database. 1 if any finding is an error.
int Check(const std::string& config_path);

struct StatusOptions {
  std::string migration;  // empty: all
  bool json = false, watch = false;
};
int Status(const std::string& config_path, const StatusOptions& options);

struct PhaseOptions {
  std::string migration, phase;
  std::optional<double> percent;  // cutover: 0 to 100; none given: 100
  bool wait = false, yes = false;
  double timeout = 0;             // seconds that --wait may take; 0: no limit
};
int SetPhase(const std::string& config_path, const PhaseOptions& options);

int Pause(const std::string& config_path, const std::string& migration, bool pause);

// The runbook: each phase with its exact SQL, rehearsed on empty copies of the tables.
int Plan(const std::string& config_path, const std::string& migration);

int RunVerify(const std::string& config_path, const std::string& migration, bool repair);

struct ExplainOptions {
  std::string phase, cohort = "old", migration, sql, schema, sql_mode;
};
// Plans against the live catalog as if the migration (all, if none is named) were in `phase`.
int ExplainStatement(const std::string& config_path, const ExplainOptions& options);

struct LintOptions {
  std::string log;                     // "-": standard input
  std::string schema_file, schema, sql_mode;
  std::string phase = "observe", cohort = "old";
  size_t top = 20;                     // shapes shown of each strategy; 0: all
  bool json = false;
};
// Classifies the statements of a general log, slow log or .sql file, as `observe` would or as they would fare in `phase`. 1 if one would be refused. With a schema file no server is asked.
int LintLog(const std::string& config_path, const LintOptions& options);

}  // namespace crossfade::proxy
