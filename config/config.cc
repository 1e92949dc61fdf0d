// SPDX-License-Identifier: Apache-2.0
// Names of the phases, and look-ups in a loaded configuration.
#include "config/config.h"

#include <array>

namespace crossfade::config {
namespace {

constexpr std::array<std::string_view, 9> kPhaseNames = {
    "observe", "expand", "dual_write", "backfill", "verify", "cutover", "retire", "contract", "done"};

}  // namespace

std::string_view PhaseName(Phase phase) { return kPhaseNames[static_cast<size_t>(phase)]; }

std::optional<Phase> ParsePhase(std::string_view name) {
  for (size_t i = 0; i < kPhaseNames.size(); ++i) {
    if (kPhaseNames[i] == name) return static_cast<Phase>(i);
  }
  return std::nullopt;
}

const Backend* Config::FindBackend(std::string_view name) const {
  for (const Backend& backend : backends) {
    if (backend.name == name) return &backend;
  }
  return nullptr;
}

const Migration* Config::FindMigration(std::string_view name) const {
  for (const Migration& migration : migrations) {
    if (migration.name == name) return &migration;
  }
  return nullptr;
}

}  // namespace crossfade::config
