// SPDX-License-Identifier: Apache-2.0
// Several migrations of one table at once, whose columns stand in the same indexes: each comes to its end, and at the end of all the
// indexes are those that the application made, on the new columns.
#include <gtest/gtest.h>

#include <string>

#include "tests/integration/walk/fixture.h"

namespace crossfade::walk {
namespace {

using servers::Engine;

constexpr char kTwoKeys[] =
    "  - name: first\n    schema: shop\n    phase: observe\n    keys:\n"
    "      - {table: P1, old: o, new: {column: n, type: int unsigned}, final: o, references: [{table: RR, old: a, new: an, final: a}]}\n"
    "  - name: second\n    schema: shop\n    phase: observe\n    keys:\n"
    "      - {table: P2, old: o, new: {column: n, type: bigint}, final: o, references: [{table: RR, old: b, new: bn, final: b}]}\n";

constexpr char kKeyAndColumns[] =
    "  - name: first\n    schema: shop\n    phase: observe\n    columns:\n"
    "      - {table: K, old: [v], new: {v_new: {type: bigint, from: v}}, back: {v: v_new}, final: v}\n"
    "      - {table: K, old: [u], new: {u_new: {type: varchar(40), from: u}}, back: {u: u_new}, final: u}\n"
    "  - name: second\n    schema: shop\n    phase: observe\n    keys:\n"
    "      - {table: K, old: id, new: {column: nid, type: bigint, from: id}, back: nid, final: id, references: [{table: C, old: kid, new: nkid, final: kid}]}\n";

class NeighboursTest : public WalkFixture {
 protected:
  void SetUp() override {
    StartServer();
    Do("CREATE DATABASE shop DEFAULT CHARACTER SET utf8mb4");
    Do("CREATE TABLE shop.P1 (o varchar(40) NOT NULL PRIMARY KEY)");
    Do("CREATE TABLE shop.P2 (o char(8) NOT NULL PRIMARY KEY)");
    Do("CREATE TABLE shop.RR (id int NOT NULL PRIMARY KEY, a varchar(40), b char(8), KEY ab (a, b), KEY ba (b, a), FOREIGN KEY (a) REFERENCES P1 (o), FOREIGN KEY (b) REFERENCES P2 (o))");
    Do("CREATE TABLE shop.K (id int NOT NULL PRIMARY KEY, v int, u varchar(10), KEY vi (v, id), KEY vu (v, u))");
    Do("CREATE TABLE shop.C (id int NOT NULL PRIMARY KEY, kid int, FOREIGN KEY (kid) REFERENCES K (id))");
    Do("INSERT INTO shop.P1 VALUES ('a1'), ('a2')");
    Do("INSERT INTO shop.P2 VALUES ('b1'), ('b2')");
    Do("INSERT INTO shop.RR VALUES (1, 'a1', 'b1'), (2, 'a2', NULL), (3, NULL, 'b2'), (4, 'a1', 'b2')");
    Do("INSERT INTO shop.K VALUES (1, 10, 'x'), (2, 20, 'y')");
    Do("INSERT INTO shop.C VALUES (1, 1), (2, 2), (3, NULL)");
  }
  std::string Indexes(const std::string& table) {
    Do("SET SESSION group_concat_max_len = 10000");
    return One("SELECT GROUP_CONCAT(i ORDER BY i SEPARATOR ' ') FROM (SELECT CONCAT(LOWER(index_name), IF(non_unique, '', '!'), '(', GROUP_CONCAT(LOWER(column_name) ORDER BY seq_in_index), ')') AS i"
               " FROM information_schema.statistics WHERE table_schema = 'shop' AND table_name = '" + table + "' GROUP BY index_name, non_unique) AS t");
  }
};

TEST_P(NeighboursTest, TwoKeysThatOneTableRefersTo) {
  const std::string before = Indexes("RR");
  StartProxy(kTwoKeys, "  control_poll: 50ms\n", "shop");
  for (const char* phase : {"dual_write", "verify"})
    for (const char* name : {"second", "first"}) WalkTo(name, phase);
  Write("INSERT INTO RR VALUES (5, 'a2', 'b1')", 1);
  Write("INSERT INTO P1 VALUES ('a3')", 1);
  WalkTo("first", "done");
  Write("INSERT INTO RR (id, b) VALUES (6, 'b1')", 1);
  WalkTo("second", "done");
  EXPECT_EQ(Indexes("RR"), before);
  EXPECT_EQ(One("SELECT COUNT(*) FROM shop.RR LEFT JOIN shop.P1 ON P1.o = RR.a LEFT JOIN shop.P2 ON P2.o = RR.b WHERE (a IS NULL) <> (P1.o IS NULL) OR (b IS NULL) <> (P2.o IS NULL)"), "0");
  EXPECT_EQ(One("SELECT GROUP_CONCAT(id ORDER BY id) FROM shop.RR WHERE a = (SELECT a FROM shop.RR WHERE id = 1)"), "1,4");
}

TEST_P(NeighboursTest, AKeyAndColumnsOfOneTable) {
  const std::string before = Indexes("K");
  StartProxy(kKeyAndColumns, "  control_poll: 50ms\n", "shop");
  WalkTo("second", "verify");
  WalkTo("first", "contract");  // two sets whose columns stand in one index
  Write("INSERT INTO K VALUES (3, 30, 'z')", 1);
  WalkTo("first", "done");
  Write("INSERT INTO C VALUES (4, 3)", 1);
  WalkTo("second", "done");
  EXPECT_EQ(Indexes("K"), before);
  EXPECT_EQ(One("SELECT GROUP_CONCAT(CONCAT_WS('-', id, v, u) ORDER BY id) FROM shop.K"), "1-10-x,2-20-y,3-30-z");
}

INSTANTIATE_TEST_SUITE_P(Engines, NeighboursTest, testing::Values(Engine::kMariaDb, Engine::kMySql), EngineOf);

}  // namespace
}  // namespace crossfade::walk
