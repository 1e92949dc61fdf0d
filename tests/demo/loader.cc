// SPDX-License-Identifier: Apache-2.0
// Loading by multi-row INSERTs, on two connections; see loader.h.
#include "tests/demo/loader.h"

#include <functional>
#include <thread>

#include "fmt/format.h"
#include "tests/servers/client.h"

namespace crossfade::demo {
namespace {

using servers::Client;
using servers::Reply;

constexpr size_t kRowsPerInsert = 500;
constexpr size_t kInsertsPerTransaction = 20;

constexpr char kPackages[] = R"(CREATE TABLE packages (
  name varchar(100) NOT NULL,
  version varchar(100) NOT NULL DEFAULT '',
  architecture varchar(20) NOT NULL DEFAULT 'all',
  section varchar(60) NOT NULL DEFAULT '',
  priority varchar(20) NOT NULL DEFAULT '',
  maintainer varchar(200) NOT NULL DEFAULT '',
  source varchar(100) NOT NULL DEFAULT '',
  installed_size bigint NOT NULL DEFAULT 0,
  size bigint NOT NULL DEFAULT 0,
  homepage varchar(250) NOT NULL DEFAULT '',
  filename varchar(250) NOT NULL DEFAULT '',
  sha256 char(64) NOT NULL DEFAULT '',
  description varchar(500) NOT NULL DEFAULT '',
  PRIMARY KEY (name),
  KEY by_section (section)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin)";

constexpr char kDependencies[] = R"(CREATE TABLE dependencies (
  id bigint unsigned NOT NULL AUTO_INCREMENT,
  package varchar(100) NOT NULL,
  depends_on varchar(100) NOT NULL,
  kind varchar(20) NOT NULL,
  note varchar(100) NOT NULL DEFAULT '',
  PRIMARY KEY (id),
  KEY by_package (package),
  KEY by_target (depends_on),
  CONSTRAINT dependency_of FOREIGN KEY (package) REFERENCES packages (name) ON UPDATE CASCADE ON DELETE CASCADE,
  CONSTRAINT dependency_on FOREIGN KEY (depends_on) REFERENCES packages (name) ON UPDATE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin)";

absl::Status Run(Client& client, const std::string& sql) {
  const Reply reply = client.Query(sql);
  if (reply.ok()) return absl::OkStatus();
  return absl::InternalError(fmt::format("{}: {}", sql.substr(0, 80), Describe(reply)));
}

std::string Quoted(Client& client, const std::string& text) {
  std::string out(text.size() * 2 + 1, '\0');
  out.resize(mysql_real_escape_string(client.raw(), out.data(), text.data(), text.size()));
  return "'" + out + "'";
}

// `row` makes the tuple of row i.
absl::Status Insert(Client& client, const std::string& head, size_t rows,
                    const std::function<std::string(size_t)>& row) {
  size_t inserts = 0;
  for (size_t begin = 0; begin < rows; begin += kRowsPerInsert, ++inserts) {
    std::string sql = head;
    for (size_t i = begin; i < std::min(rows, begin + kRowsPerInsert); ++i) {
      if (i != begin) sql += ',';
      sql += row(i);
    }
    absl::Status status = Run(client, sql);
    if (status.ok() && inserts % kInsertsPerTransaction == kInsertsPerTransaction - 1) status = Run(client, "COMMIT");
    if (!status.ok()) return status;
  }
  return Run(client, "COMMIT");
}

absl::StatusOr<Client> Open(int port, const std::string& schema) {
  absl::StatusOr<Client> client = Client::Connect({.port = port, .database = schema});
  if (!client.ok()) return client;
  absl::Status status = Run(*client, "SET autocommit = 0, foreign_key_checks = 0, unique_checks = 0");
  if (!status.ok()) return status;
  return client;
}

absl::Status LoadPackages(const PackageIndex& index, int port, const std::string& schema) {
  absl::StatusOr<Client> client = Open(port, schema);
  if (!client.ok()) return client.status();
  return Insert(*client, "INSERT INTO packages VALUES ", index.packages.size(), [&](size_t i) {
    const Package& p = index.packages[i];
    const auto q = [&](const std::string& text) { return Quoted(*client, text); };
    return fmt::format("({},{},{},{},{},{},{},{},{},{},{},{},{})", q(p.name), q(p.version), q(p.architecture),
                       q(p.section), q(p.priority), q(p.maintainer), q(p.source), p.installed_size, p.size,
                       q(p.homepage), q(p.filename), q(p.sha256), q(p.description));
  });
}

absl::Status LoadDependencies(const PackageIndex& index, int port, const std::string& schema) {
  absl::StatusOr<Client> client = Open(port, schema);
  if (!client.ok()) return client.status();
  return Insert(*client, "INSERT INTO dependencies VALUES ", index.dependencies.size(), [&](size_t i) {
    const Dependency& d = index.dependencies[i];
    return fmt::format("({},{},{},{},{})", i + 1, Quoted(*client, index.packages[d.package].name),
                       Quoted(*client, index.packages[d.depends_on].name), Quoted(*client, d.kind),
                       Quoted(*client, d.note));
  });
}

}  // namespace

absl::Status Load(const PackageIndex& index, int port, const std::string& schema) {
  {
    absl::StatusOr<Client> client = Client::Connect({.port = port});
    if (!client.ok()) return client.status();
    for (const std::string& sql : {fmt::format("DROP DATABASE IF EXISTS {}", schema),
                                   fmt::format("CREATE DATABASE {} DEFAULT CHARSET utf8mb4", schema),
                                   fmt::format("USE {}", schema), std::string(kPackages), std::string(kDependencies)}) {
      absl::Status status = Run(*client, sql);
      if (!status.ok()) return status;
    }
  }
  absl::Status packages, dependencies;
  std::thread other([&] { packages = LoadPackages(index, port, schema); });
  dependencies = LoadDependencies(index, port, schema);
  other.join();
  if (!packages.ok()) return packages;
  return dependencies;
}

}  // namespace crossfade::demo
