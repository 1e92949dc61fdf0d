// SPDX-License-Identifier: Apache-2.0
// The data models and their first rows; see schema.h.
#include "tests/integration/twin/schema.h"

#include "fmt/format.h"
#include "tests/integration/twin/random.h"

namespace crossfade::twin {
namespace {

constexpr int kKeys = 300;       // names that can occur
constexpr int kFirstRows = 200;  // of the parent
constexpr int kChildren = 500;

std::string Uuid(Random& random) {
  const uint64_t a = random.Next(), b = random.Next();
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", a >> 32, (a >> 16) & 0xFFFF, a & 0xFFFF,
                     b >> 48, b & 0xFFFFFFFFFFFF);
}

Schema Debian(Random& random) {
  Schema schema;
  schema.name = "debian";
  schema.keeps_old = true;
  schema.cascades = true;
  schema.parent = {"packages",
                   {{"name", Kind::kKey, false, false, "package_id"},
                    {"version", Kind::kText, false, true, ""},
                    {"size", Kind::kInteger, true, false, ""},
                    {"maintainer", Kind::kInteger, true, false, ""},
                    {"changed", Kind::kStamp, false, true, ""}}};
  schema.child = {"dependencies",
                  {{"id", Kind::kSerial, false, true, ""},
                   {"package", Kind::kReference, false, false, "package_ref"},
                   {"depends_on", Kind::kReference, true, false, "depends_ref"},
                   {"kind", Kind::kText, false, true, ""},
                   {"weight", Kind::kDecimal, true, false, ""},
                   {"changed", Kind::kStamp, false, true, ""}}};
  schema.other = {"maintainers", {{"id", Kind::kInteger, false, false, ""}, {"email", Kind::kText, true, false, ""}}};
  schema.other_column = "maintainer";
  for (int i = 0; i < kKeys; ++i) {
    // Names as Debian has them, and a few that are awkward: quotes, backslash, non-ASCII, digits alone in quotes.
    if (i % 40 == 7) schema.keys.push_back(fmt::format("o'brien-{}", i));
    else if (i % 40 == 17) schema.keys.push_back(fmt::format("back\\slash-{}", i));
    else if (i % 40 == 27) schema.keys.push_back(fmt::format("größe-{}", i));
    else schema.keys.push_back(fmt::format("{}{}-{}", random.OneOf({"lib", "python3-", "golang-", "g"}), random.OneOf({"xml", "ssl", "test", "core"}), i));
  }
  auto& sql = schema.create;
  sql = {"CREATE DATABASE debian DEFAULT CHARACTER SET utf8mb4",
         "CREATE TABLE debian.maintainers (id int PRIMARY KEY, email varchar(60) NULL)",
         "CREATE TABLE debian.packages (name varchar(80) NOT NULL PRIMARY KEY, version varchar(30) NOT NULL DEFAULT '1.0',"
         " size int NULL, maintainer int NULL, changed timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,"
         " KEY size (size))",
         "CREATE TABLE debian.dependencies (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, package varchar(80) NOT NULL,"
         " depends_on varchar(80) NULL, kind varchar(12) NOT NULL DEFAULT 'depends', weight decimal(8,2) NULL,"
         " changed timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,"
         " CONSTRAINT dep_package FOREIGN KEY (package) REFERENCES packages (name) ON UPDATE CASCADE ON DELETE CASCADE,"
         " CONSTRAINT dep_depends FOREIGN KEY (depends_on) REFERENCES packages (name))",
         "SET timestamp = 1700000000"};
  // MySQL looks at the foreign keys in the order in which they were made, until both tables have been altered: then by
  // name. Crossfade's own ALTERs would change that in the middle of the run; real tables have been altered before.
  sql.push_back("ALTER TABLE debian.dependencies COMMENT = 'altered'");
  sql.push_back("ALTER TABLE debian.packages ADD KEY altered (version)");
  sql.push_back("ALTER TABLE debian.packages DROP KEY altered");
  std::string rows;
  for (int i = 1; i <= 20; ++i) rows += fmt::format("{}({},'m{}@example.org')", i > 1 ? "," : "", i, i);
  sql.push_back("INSERT INTO debian.maintainers VALUES " + rows);
  auto escaped = [&](int i) {
    std::string text;
    for (char c : schema.keys[i]) {
      if (c == '\'' || c == '\\') text += '\\';
      text += c;
    }
    return text;
  };
  rows.clear();
  for (int i = 0; i < kFirstRows; ++i) {
    rows += fmt::format("{}('{}','{}.{}',{},{})", i > 0 ? "," : "", escaped(i), random.Between(0, 9), random.Between(0, 99),
                        random.Chance(10) ? "NULL" : std::to_string(random.Between(0, 9999)), random.Between(1, 25));
  }
  sql.push_back("INSERT INTO debian.packages (name,version,size,maintainer) VALUES " + rows);
  rows.clear();
  for (int i = 0; i < kChildren; ++i) {
    rows += fmt::format("{}('{}',{},'{}',{})", i > 0 ? "," : "", escaped(random.Between(0, kFirstRows - 1)),
                        random.Chance(30) ? "NULL" : "'" + escaped(random.Between(0, kFirstRows / 4)) + "'",
                        random.OneOf({"depends", "suggests"}), random.Between(0, 999) / 4.0);
  }
  sql.push_back("INSERT INTO debian.dependencies (package,depends_on,kind,weight) VALUES " + rows);
  schema.migration =
      "  - name: debian\n    schema: debian\n    phase: observe\n    keys:\n"
      "      - table: packages\n        old: name\n        new: {column: package_id, type: int unsigned}\n"
      "        keep_old_lookup: true\n        references:\n"
      "          - {table: dependencies, old: package, new: package_ref}\n"
      "          - {table: dependencies, old: depends_on, new: depends_ref}\n";
  return schema;
}

Schema Zoo(Random& random) {
  Schema schema;
  schema.name = "zoo";
  schema.parent = {"Caves",
                   {{"id", Kind::kKey, false, false, "newId"},
                    {"label", Kind::kUnique, true, false, ""},
                    {"depth", Kind::kInteger, false, true, ""},
                    {"region", Kind::kInteger, true, false, ""},
                    {"note", Kind::kText, true, false, ""}}};
  schema.child = {"Bears",
                  {{"id", Kind::kOwnKey, false, false, ""},
                   {"caveId", Kind::kReference, true, false, "caveNewId"},
                   {"name", Kind::kText, false, true, ""},
                   {"weight", Kind::kDecimal, true, false, ""},
                   {"born", Kind::kTime, true, false, ""}}};
  schema.other = {"Regions", {{"id", Kind::kInteger, false, false, ""}, {"title", Kind::kText, true, false, ""}}};
  schema.other_column = "region";
  for (int i = 0; i < kKeys; ++i) schema.keys.push_back(Uuid(random));
  for (int i = 0; i < 2 * kChildren; ++i) schema.own_keys.push_back(Uuid(random));
  auto& sql = schema.create;
  sql = {"CREATE DATABASE zoo DEFAULT CHARACTER SET utf8mb4",
         "CREATE TABLE zoo.Regions (id int PRIMARY KEY, title varchar(60) NULL)",
         "CREATE TABLE zoo.Caves (id char(36) CHARACTER SET ascii NOT NULL, label varchar(20) NULL, depth int NOT NULL DEFAULT 3,"
         " region int NULL, note text NULL, PRIMARY KEY (id), UNIQUE KEY label (label))",
         "CREATE TABLE zoo.Bears (id char(36) CHARACTER SET ascii NOT NULL PRIMARY KEY, caveId char(36) CHARACTER SET ascii NULL,"
         " name varchar(20) NOT NULL DEFAULT 'bear', weight decimal(8,2) NULL, born datetime NULL,"
         " KEY by_name (name), CONSTRAINT bear_cave FOREIGN KEY (caveId) REFERENCES Caves (id))"};
  std::string rows;
  for (int i = 1; i <= 20; ++i) rows += fmt::format("{}({},'region {}')", i > 1 ? "," : "", i, i);
  sql.push_back("INSERT INTO zoo.Regions VALUES " + rows);
  rows.clear();
  for (int i = 0; i < kFirstRows; ++i) {
    rows += fmt::format("{}('{}',{},{},{},'n{}')", i > 0 ? "," : "", schema.keys[i], random.Chance(30) ? "NULL" : fmt::format("'cave {}'", i),
                        random.Between(0, 300), random.Between(1, 25), i);
  }
  sql.push_back("INSERT INTO zoo.Caves VALUES " + rows);
  rows.clear();
  for (int i = 0; i < kChildren; ++i) {
    rows += fmt::format("{}('{}',{},'bear {}',{},'2020-01-{:02} 10:00:00')", i > 0 ? "," : "", schema.own_keys[i],
                        random.Chance(15) ? "NULL" : "'" + schema.keys[random.Between(0, kFirstRows - 1)] + "'", random.Between(0, 50),
                        random.Between(100, 999) / 4.0, random.Between(1, 28));
  }
  sql.push_back("INSERT INTO zoo.Bears VALUES " + rows);
  schema.migration =
      "  - name: zoo\n    schema: zoo\n    phase: observe\n    keys:\n"
      "      - table: Caves\n        old: id\n        new: {column: newId, type: int unsigned}\n        final: id\n"
      "        references:\n          - {table: Bears, old: caveId, new: caveNewId}\n";
  return schema;
}

}  // namespace

std::vector<Schema> Schemas(uint64_t seed) {
  Random random(seed);
  std::vector<Schema> schemas;
  schemas.push_back(Debian(random));
  schemas.push_back(Zoo(random));
  schemas.push_back(Club(random));
  schemas.push_back(Till(random));
  return schemas;
}

}  // namespace crossfade::twin
