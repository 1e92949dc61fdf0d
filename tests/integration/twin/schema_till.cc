// SPDX-License-Identifier: Apache-2.0
// `till`: orders under an AUTO_INCREMENT key that becomes a UUID, and their items.
#include "fmt/format.h"
#include "tests/integration/twin/random.h"
#include "tests/integration/twin/schema.h"

namespace crossfade::twin {

Schema Till(Random& random) {
  constexpr int kKeys = 300, kFirstRows = 200, kChildren = 500;
  Schema schema;
  schema.name = "till";
  schema.integer_keys = true;
  schema.parent = {"orders",
                   {{"id", Kind::kKey, false, false, "uid"},
                    {"note", Kind::kText, true, false, ""},
                    {"points", Kind::kInteger, false, true, ""},
                    {"region", Kind::kInteger, true, false, ""},
                    {"nick", Kind::kUnique, true, false, ""}}};
  schema.child = {"items",
                  {{"id", Kind::kSerial, false, true, ""},
                   {"orderId", Kind::kReference, true, false, "orderUid"},
                   {"what", Kind::kText, false, true, ""},
                   {"weight", Kind::kDecimal, true, false, ""},
                   {"seen", Kind::kTime, true, false, ""}}};
  schema.other = {"Regions", {{"id", Kind::kInteger, false, false, ""}, {"title", Kind::kText, true, false, ""}}};
  schema.other_column = "region";
  for (int i = 1; i <= kKeys; ++i) schema.keys.push_back(std::to_string(i));
  auto& sql = schema.create;
  sql = {"CREATE DATABASE till DEFAULT CHARACTER SET utf8mb4",
         "CREATE TABLE till.Regions (id int PRIMARY KEY, title varchar(60) NULL)",
         "CREATE TABLE till.orders (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, note varchar(60) NULL, points int NOT NULL DEFAULT 3,"
         " region int NULL, nick varchar(20) NULL, UNIQUE KEY nick (nick))",
         "CREATE TABLE till.items (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, orderId int NULL, what varchar(20) NOT NULL DEFAULT 'item',"
         " weight decimal(8,2) NULL, seen datetime NULL, CONSTRAINT item_order FOREIGN KEY (orderId) REFERENCES orders (id))"};
  std::string rows;
  for (int i = 1; i <= 20; ++i) rows += fmt::format("{}({},'region {}')", i > 1 ? "," : "", i, i);
  sql.push_back("INSERT INTO till.Regions VALUES " + rows);
  rows.clear();
  for (int i = 1; i <= kFirstRows; ++i) {
    rows += fmt::format("{}({},'n{}',{},{},{})", i > 1 ? "," : "", i, i, random.Between(0, 300), random.Between(1, 25),
                        random.Chance(30) ? "NULL" : fmt::format("'cave {}'", i));
  }
  sql.push_back("INSERT INTO till.orders VALUES " + rows);
  rows.clear();
  for (int i = 0; i < kChildren; ++i) {
    rows += fmt::format("{}({},'item {}',{},'2020-01-{:02} 10:00:00')", i > 0 ? "," : "", random.Chance(10) ? "NULL" : std::to_string(random.Between(1, kFirstRows)),
                        random.Between(0, 50), random.Between(100, 999) / 4.0, random.Between(1, 28));
  }
  sql.push_back("INSERT INTO till.items (orderId, what, weight, seen) VALUES " + rows);
  schema.migration =
      "  - name: till\n    schema: till\n    phase: observe\n    keys:\n"
      "      - table: orders\n        old: id\n        new: {column: uid, type: char(36)}\n        final: id\n"
      "        references:\n          - {table: items, old: orderId, new: orderUid}\n";
  return schema;
}

}  // namespace crossfade::twin
