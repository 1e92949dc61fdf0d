// SPDX-License-Identifier: Apache-2.0
// See cutover.h.
#include "config/cutover.h"

#include "config/limits.h"
#include "fmt/format.h"

namespace crossfade::config {
namespace {

constexpr std::chrono::hours kLongestQuiet{24 * 366};

void ReadCohort(Section& outer, Migration* migration) {
  Section section(outer.Mapping("cutover"), outer.what() + ".cutover", outer.diagnostics());
  Cutover& cutover = migration->cutover;
  const std::string sticky = section.String("sticky");
  if (!sticky.empty() && sticky != "connection" && sticky != "user") section.Fail("sticky", "is 'connection' or 'user'");
  cutover.sticky_user = sticky == "user";
  cutover.users = section.Strings("users");
  cutover.listeners = section.Strings("listeners");
  if (section.Has("attributes")) {
    Section attributes(section.Mapping("attributes"), section.what() + ".attributes", outer.diagnostics());
    for (const std::string& name : attributes.Keys()) cutover.attributes.push_back({name, attributes.Required(name)});
    attributes.Done();
  }
  section.Done();
}

void ReadComparison(Section& outer, Migration* migration) {
  Section section(outer.Mapping("compare_reads"), outer.what() + ".compare_reads", outer.diagnostics());
  CompareReads& compare = migration->compare_reads;
  compare.share = section.Number("share", 0, 100, 0);
  compare.mismatch_limit = section.Number("mismatch_limit", 0, 100, 0);
  compare.at_least = static_cast<uint32_t>(section.Number("at_least", 1, 1e9, compare.at_least));
  section.Done();
}

}  // namespace

void ReadCutover(Section& section, Migration* migration) {
  if (section.Has("cutover")) ReadCohort(section, migration);
  if (section.Has("compare_reads")) ReadComparison(section, migration);
  const std::string quiet = section.String("quiet_before_retire");
  if (quiet.empty()) return;
  const auto value = ParseDuration(quiet);
  if (!value || *value > kLongestQuiet) {
    section.Fail("quiet_before_retire", fmt::format("'{}' is no duration up to 8784h; write it as 168h, 30m or 0", quiet));
  } else {
    migration->quiet_before_retire = *value;
  }
}

}  // namespace crossfade::config
