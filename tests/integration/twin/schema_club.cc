// SPDX-License-Identifier: Apache-2.0
// `club`: members who sponsor each other and their visits. The reference is part of the child's primary key, and follows
// the parent's; a column of the parent migrates together with its key.
#include "fmt/format.h"
#include "tests/integration/twin/random.h"
#include "tests/integration/twin/schema.h"

namespace crossfade::twin {

Schema Club(Random& random) {
  constexpr int kKeys = 300, kFirstRows = 200, kChildren = 500;
  Schema schema;
  schema.name = "club";
  schema.cascades = true;
  schema.parent = {"members",
                   {{"id", Kind::kKey, false, false, "memberNo"},
                    {"note", Kind::kText, true, false, ""},
                    {"points", Kind::kInteger, false, true, ""},
                    {"region", Kind::kInteger, true, false, ""},
                    {"nick", Kind::kUnique, true, false, ""},
                    {"sponsor", Kind::kReference, true, false, "sponsorNo"}}};
  schema.refers_to_itself = true;
  schema.child = {"visits",
                  {{"id", Kind::kOwnKey, false, false, ""},
                   {"member", Kind::kReference, false, false, "memberRef"},
                   {"what", Kind::kText, false, true, ""},
                   {"weight", Kind::kDecimal, true, false, ""},
                   {"seen", Kind::kTime, true, false, ""}}};
  schema.other = {"Regions", {{"id", Kind::kInteger, false, false, ""}, {"title", Kind::kText, true, false, ""}}};
  schema.other_column = "region";
  schema.mapped = {{"members", "remark", "note"}};
  for (int i = 0; i < kKeys; ++i) schema.keys.push_back(fmt::format("{}{:04}", random.OneOf({"a-", "b-", "q'", "z"}), i));
  for (int i = 0; i < 2 * kChildren; ++i) schema.own_keys.push_back(fmt::format("v{}", i));
  auto& sql = schema.create;
  sql = {"CREATE DATABASE club DEFAULT CHARACTER SET utf8mb4",
         "CREATE TABLE club.Regions (id int PRIMARY KEY, title varchar(60) NULL)",
         "CREATE TABLE club.members (id varchar(40) NOT NULL PRIMARY KEY, note varchar(60) NULL, points int NOT NULL DEFAULT 3,"
         " region int NULL, nick varchar(20) NULL, sponsor varchar(40) NULL, UNIQUE KEY nick (nick),"
         " CONSTRAINT member_sponsor FOREIGN KEY (sponsor) REFERENCES members (id))",
         "CREATE TABLE club.visits (id varchar(36) NOT NULL, member varchar(40) NOT NULL, what varchar(20) NOT NULL DEFAULT 'visit',"
         " weight decimal(8,2) NULL, seen datetime NULL, PRIMARY KEY (member, id), UNIQUE KEY id (id),"
         " CONSTRAINT visit_member FOREIGN KEY (member) REFERENCES members (id) ON UPDATE CASCADE)"};
  // As in `debian`.
  sql.push_back("ALTER TABLE club.visits COMMENT = 'altered'");
  sql.push_back("ALTER TABLE club.members ADD KEY altered (points)");
  sql.push_back("ALTER TABLE club.members DROP KEY altered");
  const auto escaped = [](const std::string& key) {
    std::string text;
    for (char c : key) text += c == '\'' ? std::string("''") : std::string(1, c);
    return text;
  };
  std::string rows;
  for (int i = 1; i <= 20; ++i) rows += fmt::format("{}({},'region {}')", i > 1 ? "," : "", i, i);
  sql.push_back("INSERT INTO club.Regions VALUES " + rows);
  rows.clear();
  for (int i = 0; i < kFirstRows; ++i) {
    const std::string sponsor = i == 0 || random.Chance(40) ? "NULL" : "'" + escaped(schema.keys[random.Between(0, i)]) + "'";
    rows += fmt::format("{}('{}',{},{},{},{},{})", i > 0 ? "," : "", escaped(schema.keys[i]), random.Chance(20) ? "NULL" : fmt::format("'n{}'", i),
                        random.Between(0, 300), random.Between(1, 25), random.Chance(30) ? "NULL" : fmt::format("'cave {}'", i), sponsor);
  }
  sql.push_back("INSERT INTO club.members VALUES " + rows);
  rows.clear();
  for (int i = 0; i < kChildren; ++i) {
    rows += fmt::format("{}('{}','{}','visit {}',{},'2020-01-{:02} 10:00:00')", i > 0 ? "," : "", schema.own_keys[i],
                        escaped(schema.keys[random.Between(0, kFirstRows - 1)]), random.Between(0, 50), random.Between(100, 999) / 4.0, random.Between(1, 28));
  }
  sql.push_back("INSERT INTO club.visits VALUES " + rows);
  schema.migration =
      "  - name: club\n    schema: club\n    phase: observe\n    keys:\n"
      "      - table: members\n        old: id\n        new: {column: memberNo, type: int unsigned}\n        final: id\n"
      "        references:\n          - {table: visits, old: member, new: memberRef}\n          - {table: members, old: sponsor, new: sponsorNo}\n"
      "    columns:\n      - table: members\n        old: [note]\n        new: {remark: {type: varchar(60), from: note}}\n"
      "        back: {note: remark}\n        final: note\n";
  return schema;
}

}  // namespace crossfade::twin
