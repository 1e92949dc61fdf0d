// SPDX-License-Identifier: Apache-2.0
// See cohort.h.
#include "proxy/cohort.h"

#include <algorithm>

#include "protocol/codec.h"
#include "rewrite/planner.h"

namespace crossfade::proxy {
namespace {

bool HasAttribute(std::string_view attributes, const std::vector<config::Cutover::Attribute>& wanted) {
  protocol::Reader reader(attributes);
  while (reader.ok() && reader.remaining() > 0) {
    const std::string_view name = reader.LooseLenencString(), value = reader.LooseLenencString();
    if (!reader.ok()) return false;
    for (const config::Cutover::Attribute& each : wanted)
      if (name == each.name && value == each.value) return true;
  }
  return false;
}

template <typename List>
bool Contains(const List& list, std::string_view value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

}  // namespace

// FNV-1a, its high bits mixed down: every proxy comes to the same.
uint32_t TicketOf(std::string_view user) {
  uint64_t hash = 14695981039346656037ull;
  for (char c : user) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdull;
  return static_cast<uint32_t>((hash ^ hash >> 33) % 10'000);
}

rewrite::MigrationSet CohortOf(const rewrite::Snapshot& snapshot, const Reader& reader) {
  rewrite::MigrationSet cohort = rewrite::CohortOf(snapshot, reader.ticket);
  for (size_t i = 0; i < snapshot.migrations.size() && i < cohort.size(); ++i) {
    const rewrite::MigrationState& migration = snapshot.migrations[i];
    const config::Cutover& cutover = migration.spec.cutover;
    if (migration.phase != config::Phase::kCutover || cutover.plain()) continue;
    bool reads_new = cohort[i];
    if (cutover.sticky_user) reads_new = TicketOf(reader.user) < migration.percent * 100;
    reads_new = reads_new || Contains(cutover.users, reader.user) || Contains(cutover.listeners, reader.listener) ||
                (!cutover.attributes.empty() && HasAttribute(reader.attributes, cutover.attributes));
    cohort[i] = reads_new;
  }
  return cohort;
}

bool AsksAttributes(const rewrite::Snapshot& snapshot) {
  return std::any_of(snapshot.migrations.begin(), snapshot.migrations.end(),
                     [](const rewrite::MigrationState& migration) { return !migration.spec.cutover.attributes.empty(); });
}

}  // namespace crossfade::proxy
