// SPDX-License-Identifier: Apache-2.0
// crossfade plan.
#include "backfill/plan.h"
#include "backfill/preflight.h"
#include "fmt/format.h"
#include "proxy/cli.h"
#include "proxy/cli_common.h"

namespace crossfade::proxy {

int Plan(const std::string& config_path, const std::string& name) {
  auto opened = OpenControl(config_path);
  if (!opened.ok()) return Fail(opened.status());
  auto& [config, connection] = *opened;
  auto declared = FindDeclared(config, name);
  if (!declared.ok()) return Fail(declared.status());
  // Where the way is barred already the rehearsal would fail with less to say.
  auto state = backfill::ReadState(connection, config);
  if (!state.ok()) return Fail(state.status());
  for (const backfill::MigrationRow& row : state->migrations) {
    if (row.name == name && row.phase >= config::Phase::kRetire) return Fail(fmt::format("{} is in {}: what is left has no choices", name, config::PhaseName(row.phase)));
  }
  auto findings = backfill::Preflight(connection, config, **declared);
  if (!findings.ok()) return Fail(findings.status());
  for (const backfill::Finding& finding : *findings) {
    if (finding.level == backfill::Finding::kError) return Fail(fmt::format("{}: {}; see `crossfade check`", name, finding.text));
  }
  auto plan = backfill::MakePlan(connection, config, **declared);
  if (!plan.ok()) return Fail(plan.status());
  fmt::print("{}", *plan);
  return 0;
}

}  // namespace crossfade::proxy
