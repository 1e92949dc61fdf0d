// SPDX-License-Identifier: Apache-2.0
// The command line of Crossfade. What each command does is in cli.h and serve.h.
#include <string>

#include "CLI/CLI.hpp"
#include "proxy/cli.h"
#include "proxy/serve.h"

int main(int argc, char** argv) {
  namespace proxy = crossfade::proxy;
  CLI::App app{"Crossfade: live MySQL and MariaDB schema migrations, by a proxy the application cannot see"};
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("crossfade ") + CROSSFADE_VERSION);
  std::string config;
  int code = 0;
  auto command = [&](const char* name, const char* what) {
    CLI::App* sub = app.add_subcommand(name, what);
    sub->add_option("-c,--config", config, "the configuration file")->required();
    return sub;
  };

  command("serve", "run the proxy, with the migrator inside")->callback([&] { code = proxy::Serve(config); });
  command("check", "validate the file, then preflight it against the live database")->callback([&] { code = proxy::Check(config); });

  proxy::StatusOptions status;
  CLI::App* sub = command("status", "phases, progress, proxies, refused statements");
  sub->add_option("name", status.migration, "one migration only");
  sub->add_flag("--json", status.json, "as JSON");
  sub->add_flag("--watch", status.watch, "again every second");
  sub->callback([&] { code = proxy::Status(config, status); });

  proxy::PhaseOptions phase;
  double percent = 100;
  sub = command("phase", "ask for a phase; the migrator walks there one gate at a time");
  sub->add_option("name", phase.migration, "the migration")->required();
  sub->add_option("phase", phase.phase, "observe, expand, dual_write, backfill, verify, cutover, retire, contract or done")->required();
  CLI::Option* percent_option = sub->add_option("--percent", percent, "cutover: connections that read the new side, 0 to 100");
  sub->add_flag("--wait", phase.wait, "return once it is reached");
  sub->add_option("--timeout", phase.timeout, "seconds that --wait may take; 0: no limit");
  sub->add_flag("--yes", phase.yes, "do what cannot be undone without asking");
  sub->callback([&] {
    if (percent_option->count() > 0) phase.percent = percent;
    code = proxy::SetPhase(config, phase);
  });

  std::string name;
  sub = command("pause", "stop the backfill after the chunk under way");
  sub->add_option("name", name, "the migration")->required();
  sub->callback([&] { code = proxy::Pause(config, name, true); });
  sub = command("resume", "go on with a paused backfill");
  sub->add_option("name", name, "the migration")->required();
  sub->callback([&] { code = proxy::Pause(config, name, false); });

  sub = command("plan", "the runbook: every phase with its exact SQL, locks, sizes and times");
  sub->add_option("name", name, "the migration")->required();
  sub->callback([&] { code = proxy::Plan(config, name); });

  bool repair = false;
  sub = command("verify", "compare old and new side, every row");
  sub->add_option("name", name, "the migration")->required();
  sub->add_flag("--repair", repair, "set what differs by the same expression");
  sub->callback([&] { code = proxy::RunVerify(config, name, repair); });

  proxy::ExplainOptions explain;
  sub = command("explain", "what would be sent for a statement, and why");
  sub->add_option("--phase", explain.phase, "the phase to plan for")->required();
  sub->add_option("--cohort", explain.cohort, "old or new");
  sub->add_option("--migration", explain.migration, "one migration only");
  sub->add_option("--schema", explain.schema, "the session's default schema; else the first migration's");
  sub->add_option("--sql-mode", explain.sql_mode, "the session's sql_mode; else the server's");
  sub->add_option("sql", explain.sql, "the statement")->required();
  sub->callback([&] { code = proxy::ExplainStatement(config, explain); });

  proxy::LintOptions lint;
  sub = command("lint", "what the statements of a general log, slow log or .sql file would meet");
  sub->add_option("log", lint.log, "the file; - is standard input")->required();
  sub->add_option("--schema-file", lint.schema_file, "CREATE TABLEs as mysqldump --no-data writes them, instead of the live database");
  sub->add_option("--schema", lint.schema, "the default schema of sessions that name none; else the first migration's");
  sub->add_option("--sql-mode", lint.sql_mode, "the sql_mode of sessions that set none; else the server's, or strict");
  sub->add_option("--phase", lint.phase, "how they would fare in this phase; observe: as if both sides were written");
  sub->add_option("--cohort", lint.cohort, "in cutover: old or new");
  sub->add_option("--top", lint.top, "statement shapes shown of each strategy; 0: all");
  sub->add_flag("--json", lint.json, "as JSON");
  sub->callback([&] { code = proxy::LintLog(config, lint); });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return code;
}
