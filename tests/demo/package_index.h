// SPDX-License-Identifier: Apache-2.0
// The Debian package index of this machine (`apt-cache dumpavail`) as two tables: packages, and the dependencies
// between them. Only dependencies on packages that are in the index are kept, one for each (package, target, kind).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace crossfade::demo {

struct Package {
  std::string name, version, architecture, section, priority, maintainer, source, homepage, filename, sha256, description;
  int64_t installed_size = 0;  // KiB
  int64_t size = 0;            // bytes
};

struct Dependency {
  uint32_t package = 0, depends_on = 0;  // indexes into PackageIndex::packages
  std::string kind;                      // "depends", "recommends", ...
  std::string note;                      // the version constraint: ">= 1.2"
};

struct PackageIndex {
  std::vector<Package> packages;  // ascending by name
  std::vector<Dependency> dependencies;
};

// Of a text in the format of Debian's Packages files. A package that stands there twice counts once (the first).
PackageIndex ParsePackageIndex(std::string_view text);

// Each package `times` times, the further ones under names with a suffix, with their dependencies.
PackageIndex Multiply(const PackageIndex& index, int times);

absl::StatusOr<PackageIndex> ReadPackageIndex(const std::string& path, int times);

}  // namespace crossfade::demo
