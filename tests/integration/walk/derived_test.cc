// SPDX-License-Identifier: Apache-2.0
// Keys whose new values are made of the old ones: a UUID as bytes and a wider integer, with references in primary keys, to the
// table itself and without a foreign key, from observe to done on both engines.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fmt/format.h"
#include "tests/integration/walk/fixture.h"

namespace crossfade::walk {
namespace {

using servers::Client;
using servers::CrossfadeProcess;
using servers::Engine;
using servers::Reply;
using servers::Server;

constexpr char kMigration[] =
    "  - name: bytes\n    schema: depot\n    phase: observe\n    keys:\n"
    "      - table: parts\n        old: id\n"
    "        new: {column: id_bytes, type: binary(16), from: \"UNHEX(REPLACE(id, '-', ''))\", final: id}\n"
    "        back: \"LOWER(CONCAT_WS('-', LEFT(HEX(id_bytes), 8), SUBSTR(HEX(id_bytes), 9, 4), SUBSTR(HEX(id_bytes), 13, 4), SUBSTR(HEX(id_bytes), 17, 4), RIGHT(HEX(id_bytes), 12)))\"\n"
    "        references:\n"
    "          - {table: parts, old: successor, new: successor_bytes, final: successor}\n"
    "          - {table: stock, old: part, new: part_bytes, final: part}\n"
    "          - {table: moves, old: part, new: part_bytes, final: part}\n"
    "  - name: wide\n    schema: depot\n    phase: observe\n    keys:\n"
    "      - table: sites\n        old: id\n        new: {column: id_wide, type: bigint, from: id, final: id}\n"
    "        references:\n"
    "          - {table: stock, old: site, new: site_wide, final: site}\n";

// Where the sides differ.
constexpr char kWrong[] =
    "SELECT (SELECT COUNT(*) FROM depot.parts WHERE NOT id_bytes <=> UNHEX(REPLACE(id, '-', '')) OR NOT successor_bytes <=> UNHEX(REPLACE(successor, '-', '')))"
    " + (SELECT COUNT(*) FROM depot.stock WHERE NOT part_bytes <=> UNHEX(REPLACE(part, '-', '')) OR NOT site_wide <=> site)"
    " + (SELECT COUNT(*) FROM depot.moves WHERE NOT part_bytes <=> UNHEX(REPLACE(part, '-', ''))) + (SELECT COUNT(*) FROM depot.sites WHERE NOT id_wide <=> id)";

std::string Id(int n) { return fmt::format("{:08x}-1111-4222-8333-{:012x}", n * 7919, n); }

class DerivedTest : public WalkFixture {
 protected:
  void SetUp() override {
    StartServer();
    for (const char* sql :
         {"CREATE DATABASE depot DEFAULT CHARACTER SET utf8mb4",
          "CREATE TABLE depot.parts (id char(36) NOT NULL PRIMARY KEY, name varchar(20) NOT NULL UNIQUE, successor char(36) NULL, KEY by_successor (successor))",
          "CREATE TABLE depot.sites (id int NOT NULL PRIMARY KEY, town varchar(20) NOT NULL)",
          "CREATE TABLE depot.stock (part char(36) NOT NULL, site int NOT NULL, n int NOT NULL DEFAULT 0, PRIMARY KEY (part, site),"
          " CONSTRAINT of_part FOREIGN KEY (part) REFERENCES parts (id) ON DELETE CASCADE, CONSTRAINT at_site FOREIGN KEY (site) REFERENCES sites (id) ON UPDATE CASCADE)",
          "CREATE TABLE depot.moves (no int NOT NULL AUTO_INCREMENT PRIMARY KEY, part char(36) NULL, what varchar(20) NOT NULL, KEY by_part (part))"})
      Do(sql);
    for (int i = 0; i < 5; ++i) Do(fmt::format("INSERT INTO depot.sites VALUES ({}, 'town {}')", i, i));
    for (int i = 0; i < 300; ++i) {
      Do(fmt::format("INSERT INTO depot.parts VALUES ('{}', 'part {}', {})", Id(i), i, i % 3 == 0 ? "NULL" : "'" + Id(i + 1) + "'"));  // some successors come later
      Do(fmt::format("INSERT INTO depot.stock VALUES ('{0}', {1}, {2}), ('{0}', {3}, 1)", Id(i), i % 4, i, i % 4 + 1));
      Do(fmt::format("INSERT INTO depot.moves (part, what) VALUES ('{}', 'in'), (NULL, 'count')", Id(i * 2)));
    }
    Do("INSERT INTO depot.stock VALUES (UPPER('" + Id(6) + "'), 0, 9)");  // finds its part in another spelling too
    StartProxy(kMigration, "  chunk_rows: 50\n  control_poll: 50ms\n", "depot");
  }
  void Walk(const char* phase, int percent = -1) {
    for (const char* migration : {"bytes", "wide"}) {
      const absl::Status walked = proxy_->WalkTo(migration, phase, percent);
      ASSERT_TRUE(walked.ok()) << walked;
    }
  }

};

TEST_P(DerivedTest, ToTheEnd) {
  EXPECT_EQ(proxy_->Run("check", {}).exit_code, 0) << proxy_->Run("check", {}).output;
  const std::string known = "SELECT p.id, p.name, p.successor, s.site, s.n, t.town, (SELECT GROUP_CONCAT(m.what ORDER BY m.no) FROM moves m WHERE m.part = p.id) FROM parts p"
                            " LEFT JOIN stock s ON s.part = p.id LEFT JOIN sites t ON t.id = s.site ORDER BY p.name, s.site";
  ASSERT_TRUE(direct_->Query("USE depot").ok());
  int next = 10'000;
  const std::string file = fmt::format("{}derived_test.{}.csv", testing::TempDir(), getpid());
  const auto write = [&](const std::string& at) {
    const std::string a = Id(++next), b = Id(++next), c = Id(++next);
    // Before the part that it is of.
    Write(fmt::format("INSERT INTO moves (part, what) VALUES ('{}', 'early')", a), 1);
    Write(fmt::format("INSERT INTO parts VALUES ('{}', '{}-a', NULL), ('{}', '{}-b', '{}')", a, at, b, at, a), 2);
    Write(fmt::format("INSERT INTO parts (name, id, successor) SELECT '{}-c', '{}', id FROM parts WHERE name = '{}-b'", at, c, at), 1);
    Write(fmt::format("INSERT INTO stock VALUES ('{}', 1, 5), ('{}', 2, 6)", a, b), 2);
    Write(fmt::format("INSERT INTO stock (part, site, n) SELECT id, 3, 9 FROM parts WHERE name LIKE '{}-_'", at), 3);
    Write(fmt::format("UPDATE stock SET part = '{}', site = site + 2, n = 7 WHERE part = '{}' AND site = 2", c, b), 1);
    Write(fmt::format("UPDATE parts SET successor = '{}' WHERE id = '{}'", b, a), 1);
    Write(fmt::format("UPDATE parts SET successor = '{}' WHERE id = '{}'", b, a), 0);
    Write(fmt::format("INSERT INTO stock VALUES ('{}', 1, 1) ON DUPLICATE KEY UPDATE n = n + VALUES(n), part = VALUES(part)", a), 2);
    Write(fmt::format("REPLACE INTO stock VALUES ('{}', 1, 77)", a), 2);
    std::ofstream(file) << a << ",loaded\n\\N,loaded\n";
    Write(fmt::format("LOAD DATA INFILE '{}' INTO TABLE moves FIELDS TERMINATED BY ',' (part, what)", file), 2);
    const Reply moved = client_->Execute("UPDATE moves SET part = ? WHERE part = ? AND what = ?", {b, a, std::string("early")});
    EXPECT_EQ(moved.affected, 1u) << moved.message;
    Write(fmt::format("UPDATE parts SET id = '{}' WHERE id = '{}' AND name = 'nobody'", Id(++next), a), 0);
    Write(fmt::format("DELETE FROM parts WHERE id IN ('{}')", c), 1);  // and its stock
    const Reply found = client_->Execute("SELECT id, name FROM parts WHERE id = ? OR successor = ? ORDER BY name", {a, a});
    const std::vector<std::vector<servers::Cell>> rows = {{a, at + "-a"}, {b, at + "-b"}};
    EXPECT_EQ(found.rows, rows) << servers::Describe(found);
    EXPECT_EQ(client_->Query(known).rows, direct_->Query(known).rows);
  };
  for (const char* phase : {"dual_write", "backfill", "verify"}) {
    Walk(phase);
    write(phase);
  }
  EXPECT_EQ(One(kWrong), "0");
  Walk("cutover", 50);
  write("half");
  Walk("dual_write");
  Walk("observe");
  Do("INSERT INTO depot.sites VALUES (50, 'past the proxy')");
  Write("INSERT INTO sites VALUES (51, 'while observing')", 1);
  Walk("cutover", 100);
  write("all");
  EXPECT_EQ(client_->Query("UPDATE sites SET id = 99 WHERE id = 4").error, 1235u);  // references would follow by themselves
  EXPECT_EQ(One(kWrong), "0");
  EXPECT_EQ(One("SELECT COUNT(*) FROM information_schema.statistics WHERE table_schema = 'depot' AND column_name LIKE '%\\_bytes'"), "4");
  Walk("retire");
  write("late");
  EXPECT_EQ(One(kWrong), "0");
  const std::vector<std::vector<servers::Cell>> truth = client_->Query(known).rows;
  Walk("contract");
  Walk("done");
  const Reply end = direct_->Query(
      "SELECT LOWER(CONCAT_WS('-', LEFT(HEX(p.id), 8), SUBSTR(HEX(p.id), 9, 4), SUBSTR(HEX(p.id), 13, 4), SUBSTR(HEX(p.id), 17, 4), RIGHT(HEX(p.id), 12))), p.name,"
      " LOWER(CONCAT_WS('-', LEFT(HEX(p.successor), 8), SUBSTR(HEX(p.successor), 9, 4), SUBSTR(HEX(p.successor), 13, 4), SUBSTR(HEX(p.successor), 17, 4), RIGHT(HEX(p.successor), 12))),"
      " s.site, s.n, t.town, (SELECT GROUP_CONCAT(m.what ORDER BY m.no) FROM moves m WHERE m.part = p.id) FROM parts p LEFT JOIN stock s ON s.part = p.id"
      " LEFT JOIN sites t ON t.id = s.site ORDER BY p.name, s.site");
  ASSERT_EQ(end.rows.size(), truth.size());
  for (size_t i = 0; i < truth.size(); ++i) {
    auto row = end.rows[i];
    if (!truth[i][2]) row[2] = truth[i][2];  // CONCAT_WS of NULL
    EXPECT_EQ(row, truth[i]);
  }
  EXPECT_EQ(One("SELECT GROUP_CONCAT(CONCAT(table_name, '.', column_name, ' ', data_type, ' ', is_nullable, ' ', column_key) ORDER BY table_name, ordinal_position) FROM"
                " information_schema.columns WHERE table_schema = 'depot' AND column_name NOT IN ('name', 'town', 'what', 'n', 'no')"),
            "moves.part binary YES MUL,parts.id binary NO PRI,parts.successor binary YES MUL,sites.id bigint NO PRI,stock.part binary NO PRI,stock.site bigint NO PRI");
  EXPECT_EQ(One("SELECT GROUP_CONCAT(CONCAT(constraint_name, ' ', delete_rule, ' ', update_rule) ORDER BY constraint_name) FROM information_schema.referential_constraints"
                " WHERE constraint_schema = 'depot'"),
            GetParam() == Engine::kMariaDb ? "at_site_crossfade RESTRICT CASCADE,of_part_crossfade CASCADE RESTRICT" : "at_site_crossfade NO ACTION CASCADE,of_part_crossfade CASCADE NO ACTION");
}

// What the way back does not give again is found before anybody reads it.
TEST_P(DerivedTest, KeysThatWouldChangeHoldTheGate) {
  const std::string odd = "0000ABCD-1111-4222-8333-000000000001";
  Do(fmt::format("INSERT INTO depot.parts VALUES ('{}', 'capitals', NULL)", odd));
  Do("INSERT INTO depot.moves (part, what) VALUES ('ABCD', 'no uuid')");
  const absl::Status walked = proxy_->WalkTo("bytes", "verify");
  ASSERT_TRUE(walked.ok()) << walked;
  const servers::CommandResult verified = proxy_->Run("verify", {"bytes"});
  EXPECT_NE(verified.exit_code, 0) << verified.output;
  EXPECT_THAT(verified.output, testing::HasSubstr(odd));
  // A reference without a foreign key: of the right bytes, from which the old value does not come back.
  EXPECT_THAT(verified.output, testing::HasSubstr("part 'ABCD', part_bytes '0xABCD0000000000000000000000000000', comes back as 'abcd0000-0000-0000-0000-000000000000'"));
}

// In retire both sides are still written: what was refused before stays so, what was right stays right.
TEST_P(DerivedTest, WritesInRetire) {
  Walk("retire");
  EXPECT_EQ(client_->Query("UPDATE sites SET id = 99 WHERE id = 4").error, 1235u);
  EXPECT_EQ(client_->Query("INSERT INTO sites VALUES (4, 'x') ON DUPLICATE KEY UPDATE id = 98").error, 1235u);
  EXPECT_EQ(client_->Query("INSERT INTO stock (part, n) VALUES ('" + Id(1) + "', 5)").error, 1364u);
  EXPECT_EQ(client_->Query("INSERT INTO parts VALUES ('ABCD', 'no key', NULL)").ok(), false);
  EXPECT_EQ(client_->Query("INSERT IGNORE INTO parts VALUES ('ABCD', 'no key', NULL)").error, 1235u);
  EXPECT_EQ(client_->Query("SELECT * FROM parts WHERE name = 'part 7'").rows[0][0], Id(7));
  EXPECT_EQ(One(kWrong), "0");
  // A reference without a foreign key that is none holds the end.
  Do("INSERT INTO depot.moves (part, part_bytes, what) VALUES ('lost', NULL, 'past the proxy')");
  const servers::CommandResult contract = proxy_->Run("phase", {"bytes", "contract", "--yes"});
  for (int i = 0; i < 100 && One("SELECT COALESCE(MAX(message LIKE '%differ%'), 0) FROM crossfade.migrations WHERE name = 'bytes'") != "1"; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(One("SELECT phase FROM crossfade.migrations WHERE name = 'bytes'"), "retire") << contract.output;
  EXPECT_EQ(One("SELECT part FROM depot.moves WHERE what = 'past the proxy'"), "lost");
}

// Two keys that the old column tells apart and the new one would not never meet in the new index.
TEST_P(DerivedTest, KeysThatWouldMeet) {
  Do("CREATE TABLE depot.loose (id char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY, v int)");
  Do(fmt::format("INSERT INTO depot.loose VALUES ('{}', 1)", Id(1)));
  auto proxy = CrossfadeProcess::Start(
      {.backend = server_->address(),
       .migrations = "  - name: loose\n    schema: depot\n    phase: observe\n    keys:\n      - table: loose\n        old: id\n"
                     "        new: {column: id_bytes, type: binary(16), from: \"UNHEX(REPLACE(id, '-', ''))\", final: id}\n"
                     "        back: \"LOWER(CONCAT_WS('-', LEFT(HEX(id_bytes), 8), SUBSTR(HEX(id_bytes), 9, 4), SUBSTR(HEX(id_bytes), 13, 4), SUBSTR(HEX(id_bytes), 17, 4), RIGHT(HEX(id_bytes), 12)))\"\n",
       .limits = "  control_poll: 50ms\n", .control_schema = "second"});
  ASSERT_TRUE(proxy.ok()) << proxy.status();
  const absl::Status walked = (*proxy)->WalkTo("loose", "verify");
  ASSERT_TRUE(walked.ok()) << walked;
  auto client = Client::Connect({.port = (*proxy)->port(), .database = "depot"});
  ASSERT_TRUE(client.ok());
  std::string capitals = Id(1);
  for (char& c : capitals) c = static_cast<char>(toupper(c));
  ASSERT_NE(capitals, Id(1));
  EXPECT_EQ(client->Query("REPLACE INTO loose VALUES ('" + capitals + "', 2)").affected, 1u);
  EXPECT_EQ(client->Query("INSERT INTO loose VALUES ('" + std::string(36, 'x') + "', 3) ON DUPLICATE KEY UPDATE v = 9").ok(), GetParam() == Engine::kMariaDb);
  EXPECT_EQ(One("SELECT GROUP_CONCAT(v ORDER BY v) FROM depot.loose WHERE v < 3"), "1,2");
}

INSTANTIATE_TEST_SUITE_P(Engines, DerivedTest, testing::Values(Engine::kMariaDb, Engine::kMySql), [](const auto& info) { return std::string(servers::EngineName(info.param)); });

}  // namespace
}  // namespace crossfade::walk
