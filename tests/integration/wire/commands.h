// SPDX-License-Identifier: Apache-2.0
// Every command of both engines as bytes, well formed and not, in the orders in which clients send them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/integration/wire/raw_client.h"

namespace crossfade::wire {

struct Exchange {
  std::string name;
  std::function<std::string(const RawClient&, uint32_t id)> bytes;
  enum class Compare : uint8_t { kBytes, kNoDigits /* uptime and the like */, kHead /* the first packets: others' rows follow */ };
  Compare compare = Compare::kBytes;
  bool mariadb = true, mysql = true;
  std::string prepare;  // sent alone before: the statement that gets `id`
};

// On the tables of kTables.
std::vector<Exchange> Exchanges();

// Caves and Bears are to be migrated, Plain is not.
inline const std::vector<std::string> kTables = {
    "CREATE DATABASE zoo",
    "CREATE TABLE zoo.Caves (id char(36) NOT NULL PRIMARY KEY, name varchar(40))",
    "CREATE TABLE zoo.Bears (id int NOT NULL PRIMARY KEY, caveId char(36), name varchar(40), KEY (caveId),"
    " CONSTRAINT lives FOREIGN KEY (caveId) REFERENCES zoo.Caves (id))",
    "CREATE TABLE zoo.Plain (a int NOT NULL PRIMARY KEY, b varchar(40), c longtext)",
    "CREATE PROCEDURE zoo.two(IN a int, OUT b int, INOUT c varchar(20)) BEGIN SELECT a; SELECT a + 1, 'x'; SET b = a * 2;"
    " SET c = concat(c, '!'); END",
};
inline const std::vector<std::string> kRows = {
    "DELETE FROM zoo.Bears", "DELETE FROM zoo.Caves", "DELETE FROM zoo.Plain",
    "INSERT INTO zoo.Caves (id, name) VALUES ('c1', 'One'), ('c2', 'Two'), ('c3', NULL)",
    "INSERT INTO zoo.Bears (id, caveId, name) VALUES (1, 'c1', 'Bruno'), (2, 'c2', 'Ida'), (3, NULL, 'Olaf')",
    "INSERT INTO zoo.Plain VALUES (1, 'one', repeat('x', 300)), (2, 'two', NULL), (3, NULL, repeat('y', 70000))",
};

}  // namespace crossfade::wire
