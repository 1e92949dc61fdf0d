// SPDX-License-Identifier: Apache-2.0
// Full scans; see checks.h.
#include "tests/demo/checks.h"

#include <cstdio>
#include <cstdlib>
#include <unordered_map>
#include <unordered_set>

#include "fmt/format.h"
#include "tests/demo/loader.h"
#include "tests/servers/client.h"

namespace crossfade::demo {
namespace {

using servers::Client;
using servers::Reply;

absl::StatusOr<Reply> Query(int port, const std::string& sql) {
  absl::StatusOr<Client> client = Client::Connect({.port = port, .database = kSchema});
  if (!client.ok()) return client.status();
  Reply reply = client->Query(sql);
  if (!reply.ok()) return absl::InternalError(fmt::format("{}: {}", sql, Describe(reply)));
  return reply;
}

uint64_t Number(const servers::Cell& cell) { return cell ? std::strtoull(cell->c_str(), nullptr, 10) : 0; }

}  // namespace

absl::StatusOr<uint64_t> CountRows(const std::string& table, int port) {
  const absl::StatusOr<Reply> reply = Query(port, "SELECT COUNT(*) FROM " + table);
  if (!reply.ok()) return reply.status();
  return Number(reply->rows[0][0]);
}

absl::StatusOr<std::string> ShowCreateTable(const std::string& table, int port) {
  const absl::StatusOr<Reply> reply = Query(port, "SHOW CREATE TABLE " + table);
  if (!reply.ok()) return reply.status();
  return reply->rows[0][1].value_or("");
}

absl::StatusOr<Scan> ScanBothSides(int port) {
  Scan scan;
  // One statement: a consistent view while the application writes.
  const absl::StatusOr<Reply> reply = Query(
      port,
      "SELECT (SELECT COUNT(*) FROM packages), (SELECT COUNT(DISTINCT id) FROM packages),"
      " (SELECT COUNT(*) FROM dependencies),"
      " (SELECT COUNT(*) FROM dependencies d JOIN packages p ON p.name = d.package AND p.id = d.package_id"
      "  JOIN packages t ON t.name = d.depends_on AND t.id = d.depends_on_id)");
  if (!reply.ok()) return reply.status();
  const auto& row = reply->rows[0];
  scan.rows = Number(row[0]) + Number(row[2]);
  scan.wrong = Number(row[0]) - Number(row[1]) + Number(row[2]) - Number(row[3]);
  return scan;
}

absl::StatusOr<Scan> ScanAgainstIndex(const PackageIndex& index, const std::vector<uint32_t>& owned, int port) {
  Scan scan;
  const std::unordered_set<uint32_t> skip(owned.begin(), owned.end());
  std::unordered_map<std::string, uint32_t> place;
  for (uint32_t i = 0; i < index.packages.size(); ++i) place[index.packages[i].name] = i;
  const auto wrong = [&](const std::string& what) {
    if (++scan.wrong <= 5) std::fprintf(stderr, "ERROR: not as it was loaded: %s\n", what.c_str());
  };
  absl::StatusOr<Reply> packages = Query(port, "SELECT name, version, installed_size, sha256, maintainer FROM packages");
  if (!packages.ok()) return packages.status();
  size_t found = 0;
  for (const auto& row : packages->rows) {
    const auto at = place.find(*row[0]);
    if (at == place.end()) continue;
    ++found;
    const Package& package = index.packages[at->second];
    const bool same = *row[3] == package.sha256 && *row[4] == package.maintainer &&
                      (skip.contains(at->second) || (*row[1] == package.version && *row[2] == std::to_string(package.installed_size)));
    if (!same) wrong("package " + package.name);
  }
  if (found != index.packages.size()) wrong(fmt::format("{} of {} packages are there", found, index.packages.size()));
  absl::StatusOr<Reply> dependencies = Query(
      port, fmt::format("SELECT d.id, p.name, t.name, d.kind, d.note FROM dependencies d JOIN packages p ON p.id = d.package "
                        "JOIN packages t ON t.id = d.depends_on WHERE d.id <= {}", index.dependencies.size()));
  if (!dependencies.ok()) return dependencies.status();
  size_t kept = 0, expected = 0;
  for (const Dependency& dependency : index.dependencies) expected += skip.contains(dependency.package) ? 0 : 1;
  for (const auto& row : dependencies->rows) {
    const Dependency& loaded = index.dependencies[Number(row[0]) - 1];
    if (skip.contains(loaded.package)) continue;
    ++kept;
    if (*row[1] != index.packages[loaded.package].name || *row[2] != index.packages[loaded.depends_on].name ||
        *row[3] != loaded.kind || *row[4] != loaded.note) {
      wrong(fmt::format("dependency {}: {} -> {}", *row[0], *row[1], *row[2]));
    }
  }
  if (kept != expected) wrong(fmt::format("{} of {} dependencies are there", kept, expected));
  scan.rows = found + kept;
  return scan;
}

}  // namespace crossfade::demo
