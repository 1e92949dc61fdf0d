// SPDX-License-Identifier: Apache-2.0
// A key that other tables have inside their primary keys, that refers to its own table, and whose table has a plain column
// migrating beside it: from observe to done, with what the application writes in each phase. And statements that MariaDB
// runs in a way of its own.
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
    "  - name: till\n    schema: till\n    phase: observe\n    keys:\n"
    "      - table: orders\n        old: id\n        new: {column: uid, type: binary(16)}\n        final: id\n"
    "        references: [{table: items, old: orderId, new: orderUid, final: orderId}]\n"
    "      - table: people\n        old: id\n        new: {column: uid, type: char(36)}\n        keep_old_lookup: true\n"
    "        references: [{table: orders, old: person, new: personUid, final: person}]\n"
    "  - name: club\n    schema: club\n    phase: observe\n    keys:\n"
    "      - table: members\n        old: id\n        new: {column: no, type: int unsigned}\n        final: id\n"
    "        references:\n"
    "          - {table: visits, old: member, new: memberNo, final: member}\n"
    "          - {table: profiles, old: member, new: memberNo, final: member}\n"
    "          - {table: members, old: sponsor, new: sponsorNo, final: sponsor}\n"
    "    columns:\n"
    "      - {table: members, old: [note], new: {remark: {type: varchar(200), from: note}}, back: {note: remark}, final: note}\n";

// Rows of any table whose new side is not what it should be.
constexpr char kWrong[] =
    "SELECT (SELECT COUNT(*) FROM club.members m LEFT JOIN club.members p ON p.id = m.sponsor WHERE NOT m.sponsorNo <=> p.no OR m.no IS NULL OR NOT m.remark <=> m.note)"
    " + (SELECT COUNT(*) FROM club.visits v JOIN club.members m ON m.id = v.member WHERE NOT v.memberNo <=> m.no)"
    " + (SELECT COUNT(*) FROM club.profiles v JOIN club.members m ON m.id = v.member WHERE NOT v.memberNo <=> m.no)";
// What the application knows, by names that do not migrate.
constexpr char kTruth[] =
    "SELECT m.nick, m.note, s.nick, (SELECT GROUP_CONCAT(v.day ORDER BY v.day) FROM club.visits v WHERE v.member = m.id), p.text FROM club.members m"
    " LEFT JOIN club.members s ON s.id = m.sponsor LEFT JOIN club.profiles p ON p.member = m.id ORDER BY m.nick";

class KeysTest : public WalkFixture {
 protected:
  void SetUp() override {
    StartServer();
    for (const char* sql :
         {"CREATE DATABASE club DEFAULT CHARACTER SET utf8mb4",
          "CREATE TABLE club.members (id char(36) NOT NULL PRIMARY KEY, nick varchar(20) NOT NULL UNIQUE, note varchar(60) NULL, sponsor char(36) NULL,"
          " CONSTRAINT sponsored FOREIGN KEY (sponsor) REFERENCES members (id))",
          "CREATE TABLE club.visits (day int NOT NULL, member char(36) NOT NULL, place int NOT NULL DEFAULT 0, PRIMARY KEY (member, day), KEY by_day (day),"
          " CONSTRAINT visited FOREIGN KEY (member) REFERENCES members (id) ON UPDATE CASCADE ON DELETE CASCADE)",
          "CREATE DATABASE till DEFAULT CHARACTER SET utf8mb4",
          "CREATE TABLE till.people (id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, name varchar(20) NOT NULL)",
          "CREATE TABLE till.orders (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, person bigint unsigned NULL, note varchar(20) NOT NULL,"
          " CONSTRAINT by_person FOREIGN KEY (person) REFERENCES people (id))",
          "CREATE TABLE till.items (orderId int NOT NULL, line int NOT NULL, what varchar(20) NOT NULL, PRIMARY KEY (orderId, line),"
          " CONSTRAINT of_order FOREIGN KEY (orderId) REFERENCES orders (id) ON DELETE CASCADE)",
          "CREATE TABLE club.profiles (member char(36) NOT NULL PRIMARY KEY, text varchar(50) NOT NULL,"
          " CONSTRAINT profiled FOREIGN KEY (member) REFERENCES members (id) ON UPDATE CASCADE ON DELETE CASCADE)"})
      Do(sql);
    for (int i = 0; i < 400; ++i) {
      Do(fmt::format("INSERT INTO club.members VALUES ('id-{0:03}', 'n{0:03}', 'note {0}', {1})", i, i == 0 ? "NULL" : fmt::format("'id-{:03}'", i / 2)));
      Do(fmt::format("INSERT INTO club.visits (day, member) VALUES ({0}, 'id-{0:03}'), ({0} + 1, 'id-{0:03}')", i));
      if (i % 3 == 0) Do(fmt::format("INSERT INTO club.profiles VALUES ('id-{0:03}', 'profile {0}')", i));
    }
    StartProxy(kMigration, "  chunk_rows: 50\n  control_poll: 50ms\n", "club");
  }
  // A file with these lines, as the server reads it.
  static std::string File(const std::string& lines) {
    const std::string name = fmt::format("{}keys_test.{}.csv", testing::TempDir(), getpid());
    std::ofstream(name) << lines;
    return name;
  }
  void Walk(const char* phase, int percent = -1, const char* migration = "club") {
    const absl::Status walked = proxy_->WalkTo(migration, phase, percent);
    ASSERT_TRUE(walked.ok()) << walked;
  }

};

TEST_P(KeysTest, InPrimaryKeysAndToThemselvesToTheEnd) {
  EXPECT_EQ(proxy_->Run("check", {}).exit_code, 0) << proxy_->Run("check", {}).output;
  // What is written while both sides are kept, by old keys. `at`: names of its own for each phase.
  const auto write = [&](const std::string& at) {
    Write(fmt::format("INSERT INTO members (id, nick, note, sponsor) VALUES ('{0}-a', '{0}-a', 'x', 'id-007'), ('{0}-b', '{0}-b', NULL, '{0}-a'), ('{0}-c', '{0}-c', '', '{0}-c')", at), 3);
    Write(fmt::format("INSERT INTO visits (day, member) VALUES (1, '{0}-a'), (2, '{0}-a'), (1, '{0}-b')", at), 3);
    Write(fmt::format("INSERT INTO profiles VALUES ('{0}-b', 'of {0}')", at), 1);
    Write(fmt::format("UPDATE members SET sponsor = '{0}-b', note = 'again' WHERE nick = '{0}-c'", at), 1);
    Write(fmt::format("UPDATE visits SET member = '{0}-c' WHERE member = '{0}-a' AND day = 2", at), 1);
    Write(fmt::format("UPDATE members SET sponsor = NULL WHERE id = '{0}-a'", at), 1);
    Write(fmt::format("UPDATE profiles SET member = '{0}-a', text = 'moved' WHERE member = '{0}-b'", at), 1);
    Write(fmt::format("INSERT INTO visits (day, member, place) VALUES (1, '{0}-b', 5) ON DUPLICATE KEY UPDATE place = VALUES(place), member = VALUES(member)", at), 2);
    Write(fmt::format("INSERT INTO members (id, nick, sponsor) VALUES ('{0}-a', '{0}-a', '{0}-c') ON DUPLICATE KEY UPDATE sponsor = VALUES(sponsor)", at), 2);
    Write(fmt::format("LOAD DATA INFILE '{1}' INTO TABLE visits FIELDS TERMINATED BY ',' (day, @who) SET member = CONCAT('{0}-', LOWER(@who))", at, File("31,A\n32,B\n")), 2);
    Write(fmt::format("LOAD DATA INFILE '{}' REPLACE INTO TABLE visits FIELDS TERMINATED BY ','", File(fmt::format("31,{0}-a,7\n33,{0}-c,8\n", at))), 3);
  };
  for (const char* phase : {"dual_write", "backfill", "verify"}) {
    Walk(phase);
    write(phase);
  }
  Write("UPDATE members SET id = 'moved' WHERE id = 'id-399'", 1);
  EXPECT_EQ(One(kWrong), "0");
  for (const int percent : {0, 50, 100}) {
    Walk("cutover", percent);
    write(fmt::format("cut{}", percent));
    EXPECT_EQ(One(kWrong), "0");
  }
  const Reply truth = direct_->Query(kTruth);
  ASSERT_TRUE(truth.ok());
  const Reply seen = client_->Query(kTruth);
  EXPECT_EQ(seen.rows, truth.rows) << servers::Describe(seen);
  Walk("retire");
  const std::string seven = One("SELECT no FROM club.members WHERE nick = 'n007'");
  Write(fmt::format("INSERT INTO members (id, nick, sponsor) VALUES ('late', 'zz', {})", seven), 1);
  EXPECT_EQ(client_->Query("INSERT INTO members (id, no, nick) VALUES ('none', 0, 'none')").error, 1048u);  // 0 is what no key is looked up as
  EXPECT_EQ(client_->Execute("INSERT INTO members (id, nick, no) VALUES ('none', ?, ?)", {std::string("none"), int64_t{0}}).error, 1048u);
  Write(fmt::format("INSERT INTO visits (day, member) VALUES (77, {})", seven), 1);
  Write(fmt::format("UPDATE visits SET day = 78 WHERE member = {} AND day = 77", seven), 1);
  Write(fmt::format("DELETE FROM visits WHERE member = {} AND day = 78", seven), 1);
  Write("DELETE FROM members WHERE nick = 'zz'", 1);
  Walk("contract");
  Walk("done");
  const Reply end = direct_->Query(kTruth);
  ASSERT_TRUE(end.ok()) << end.message;
  EXPECT_EQ(end.rows, truth.rows);
  const auto keys = [&](const std::string& table) {
    return One(fmt::format("SELECT GROUP_CONCAT(CONCAT(index_name, ':', column_name) ORDER BY index_name <> 'PRIMARY', index_name, seq_in_index) FROM information_schema.statistics"
                           " WHERE table_schema = 'club' AND table_name = '{}'", table));
  };
  EXPECT_EQ(keys("members"), "PRIMARY:id,nick:nick,sponsored:sponsor");
  EXPECT_THAT(keys("visits"), testing::StartsWith("PRIMARY:member,PRIMARY:day,by_day:day"));
  EXPECT_THAT(keys("profiles"), testing::StartsWith("PRIMARY:member"));
  EXPECT_EQ(One("SELECT GROUP_CONCAT(CONCAT(table_name, '.', column_name, ' ', data_type, ' ', is_nullable) ORDER BY table_name, ordinal_position) FROM information_schema.columns"
                " WHERE table_schema = 'club'"),
            "members.id int NO,members.nick varchar NO,members.note varchar YES,members.sponsor int YES,profiles.member int NO,profiles.text varchar NO,"
            "visits.day int NO,visits.member int NO,visits.place int NO");
  EXPECT_EQ(One("SELECT COUNT(*) FROM information_schema.referential_constraints WHERE constraint_schema = 'club'"), "3");
}

// AUTO_INCREMENT keys that become UUIDs, as bytes and as text.
// The server would close the connection; what fits, and what was too long already, is left to it.
TEST_P(KeysTest, AStatementThatGrowsOverThePacketLimit) {
  Walk("dual_write");
  Write("INSERT INTO members (id, nick) VALUES ('late', 'late')", 1);
  Do("SET GLOBAL max_allowed_packet = 1048576");
  auto client = Client::Connect({.port = proxy_->port(), .database = "club"});
  ASSERT_TRUE(client.ok()) << client.status();
  const auto insert = [&](int day, size_t bytes) {
    std::string sql = fmt::format("INSERT INTO visits (day, member) VALUES ({}, 'late')", day);
    return client->Query(sql + " /*" + std::string(bytes - 1 - sql.size() - 5, 'x') + "*/");
  };
  EXPECT_EQ(insert(9000, 1048000).affected, 1u);
  const Reply refused = insert(9001, 1048570);
  EXPECT_EQ(refused.error, 1235u) << servers::Describe(refused);
  EXPECT_NE(refused.message.find("over the server's max_allowed_packet"), std::string::npos) << refused.message;
  EXPECT_EQ(client->Query("INSERT INTO visits (day, member) VALUES (9002, 'late')").affected, 1u);
  EXPECT_EQ(One("SELECT GROUP_CONCAT(day ORDER BY day) FROM club.visits WHERE day >= 9000"), "9000,9002");
  EXPECT_EQ(One("SELECT COUNT(*) FROM club.visits v JOIN club.members m ON m.id = v.member WHERE day >= 9000 AND v.memberNo = m.no"), "2");
}

TEST_P(KeysTest, NumbersToUuidsToTheEnd) {
  for (int i = 1; i <= 300; ++i) {
    Do(fmt::format("INSERT INTO till.people (name) VALUES ('p{}')", i));
    Do(fmt::format("INSERT INTO till.orders (person, note) VALUES ({}, 'o{}')", i % 5 == 0 ? "NULL" : std::to_string(i), i));
    Do(fmt::format("INSERT INTO till.items VALUES ({0}, 1, 'a{0}'), ({0}, 2, 'b{0}')", i));
  }
  ASSERT_TRUE(client_->Query("USE till").ok());
  const std::string wrong =
      "SELECT (SELECT COUNT(*) FROM till.orders o LEFT JOIN till.people p ON p.id = o.person WHERE NOT o.personUid <=> p.uid OR o.uid IS NULL OR LENGTH(o.uid) <> 16)"
      " + (SELECT COUNT(*) FROM till.items i JOIN till.orders o ON o.id = i.orderId WHERE NOT i.orderUid <=> o.uid) + (SELECT COUNT(*) - COUNT(DISTINCT uid) FROM till.people)";
  const std::string known = "SELECT o.note, p.name, (SELECT GROUP_CONCAT(i.what ORDER BY i.line) FROM till.items i WHERE i.orderId = o.id) FROM till.orders o"
                            " LEFT JOIN till.people p ON p.id = o.person ORDER BY o.note, p.name";
  const auto write = [&](const std::string& at) {
    Write(fmt::format("INSERT INTO people (name) VALUES ('{0}-1'), ('{0}-2')", at), 2);
    const Reply last = client_->Query("SELECT LAST_INSERT_ID()");
    const std::string id = last.rows.at(0).at(0).value_or("");
    Write(fmt::format("INSERT INTO orders (person, note) VALUES (LAST_INSERT_ID(), '{}')", at), 1);
    const std::string order = client_->Query("SELECT LAST_INSERT_ID()").rows.at(0).at(0).value_or("");
    EXPECT_TRUE(client_->Execute("INSERT INTO items VALUES (?, 1, 'x'), (?, 2, 'y')", {order, int64_t{std::stoll(order)}}).ok());
    Write(fmt::format("UPDATE orders SET person = '{}' WHERE note = 'o7'", id), 1);
    Write(fmt::format("REPLACE INTO items VALUES ({}, 2, 'z')", order), 2);
    Write(fmt::format("LOAD DATA INFILE '{}' INTO TABLE people (name)", File("loaded 1\nloaded 2\n")), 2);
    Write(fmt::format("INSERT INTO people (name) SELECT CONCAT('s', name) FROM people WHERE name LIKE '{0}-_'", at), 2);
    Write("INSERT IGNORE INTO people SELECT * FROM people WHERE id < 4", 0);
    Write(fmt::format("INSERT INTO orders (person, note) SELECT id, '{0} s' FROM people WHERE name LIKE '{0}-_'", at), 2);
    const Reply found = client_->Execute("SELECT note FROM orders WHERE id = ?", {order});
    EXPECT_EQ(found.rows.size(), 1u) << servers::Describe(found);
  };
  for (const char* phase : {"dual_write", "backfill", "verify"}) {
    Walk(phase, -1, "till");
    write(phase);
  }
  EXPECT_EQ(One(wrong), "0");
  const std::string uid = One("SELECT HEX(uid) FROM till.orders WHERE id = 9");
  EXPECT_EQ(client_->Query(fmt::format("SELECT note FROM orders WHERE id IN (x'{}', 10, '11')", uid)).rows.size(), 3u);
  Write(fmt::format("UPDATE items SET orderId = x'{}', line = 9 WHERE orderId = 10 AND line = 2", uid), 1);
  for (const int percent : {50, 100}) {
    Walk("cutover", percent, "till");
    write(fmt::format("cut{}", percent));
  }
  EXPECT_EQ(One(wrong), "0");
  const Reply truth = direct_->Query(known);
  EXPECT_EQ(client_->Query(known).rows, truth.rows);
  Walk("retire", -1, "till");
  Write("INSERT INTO people (name) SELECT 'late' FROM people WHERE name = 'p1'", 1);
  EXPECT_EQ(client_->Query("INSERT INTO people SELECT id, 'x' FROM people").error, 1062u);  // as directly: these numbers are there
  Write(fmt::format("INSERT INTO items VALUES (x'{}', 77, 'late')", uid), 1);
  Write(fmt::format("DELETE FROM items WHERE orderId = x'{}' AND line = 77", uid), 1);
  Walk("contract", -1, "till");
  Walk("done", -1, "till");
  // The server goes on making the keys.
  Write("INSERT INTO people (name) VALUES ('after')", 1);
  EXPECT_EQ(One("SELECT LENGTH(uid) FROM till.people WHERE name = 'after'"), "36");
  const std::string end = "SELECT o.note, p.name, (SELECT GROUP_CONCAT(i.what ORDER BY i.line) FROM till.items i WHERE i.orderId = o.id) FROM till.orders o"
                          " LEFT JOIN till.people p ON p.uid = o.person ORDER BY o.note, p.name";
  EXPECT_EQ(direct_->Query(end).rows, truth.rows);
  EXPECT_EQ(One("SELECT GROUP_CONCAT(CONCAT(table_name, '.', column_name, ' ', column_type, ' ', is_nullable, ' ', column_key) ORDER BY table_name, ordinal_position) FROM"
                " information_schema.columns WHERE table_schema = 'till' AND column_name NOT IN ('name', 'note', 'what', 'line', 'id')"),
            "items.orderId binary(16) NO PRI,orders.person char(36) YES MUL,people.uid char(36) NO PRI");
  EXPECT_EQ(One("SELECT GROUP_CONCAT(CONCAT(table_name, ' ', data_type, ' ', column_key, ' ', REPLACE(extra, 'DEFAULT_GENERATED', '')) ORDER BY table_name) FROM"
                " information_schema.columns WHERE table_schema = 'till'"
                " AND column_name = 'id'"),
            "orders binary PRI ,people bigint UNI auto_increment");
}

// MariaDB runs an UPDATE that reads the table it changes as one of several tables: SET sees the row as it was. In an INSERT
// that does so by the table's own name, expressions see NULL for what was set before them.
TEST_P(KeysTest, StatementsThatReadTheTableTheyChange) {
  if (GetParam() != Engine::kMariaDb) GTEST_SKIP() << "MySQL refuses such statements itself (error 1093)";
  Walk("verify");
  Write("UPDATE visits SET member = 'id-005' WHERE member = 'id-300' AND day = 300 AND place IN (SELECT place FROM visits)", 1);
  Write("UPDATE visits SET place = (SELECT MAX(v.day) FROM visits v), member = 'id-006' WHERE member = 'id-301' AND day = 301", 1);
  Write("INSERT INTO visits (day, member, place) VALUES (901, 'id-005', (SELECT MAX(v.day) FROM visits AS v))", 1);
  EXPECT_EQ(One("SELECT COUNT(*) FROM club.visits WHERE member = 'id-005' AND day IN (300, 901)"), "2");
  EXPECT_EQ(One(kWrong), "0");
  const Reply reply = client_->Query("INSERT INTO visits (day, member, place) VALUES (902, 'id-005', (SELECT MAX(day) FROM visits))");
  EXPECT_EQ(reply.error, 1235u) << servers::Describe(reply);
  // These change what they read: in steps.
  Write("UPDATE visits SET member = CONCAT('id-00', '6') WHERE day IN (SELECT MAX(day) FROM visits)", 1);
  Write("UPDATE members SET sponsor = 'id-005' WHERE nick LIKE 'n01%' AND sponsor IN (SELECT p.id FROM members p)", 8);
  Write("UPDATE members SET note = CONCAT(note, '!') WHERE nick IN (SELECT nick FROM members WHERE note = 'note 7')", 1);
  EXPECT_EQ(One(kWrong), "0");
}

// One table cannot take its final names: the others get their own back, nobody is held, and the walk goes on when it can.
TEST_P(KeysTest, AContractThatCannotBeDone) {
  if (GetParam() != Engine::kMySql) GTEST_SKIP() << "MariaDB has no functional indexes";
  Walk("retire");
  Do("CREATE INDEX fx ON club.profiles ((LOWER(member)))");
  ASSERT_EQ(proxy_->Run("phase", {"club", "contract", "--yes"}).exit_code, 0);
  const std::string let_go = "SELECT COUNT(*) FROM crossfade.events WHERE text LIKE '%functional index%'";
  for (int i = 0; i < 200 && One(let_go) == "0"; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_NE(One(let_go), "0");
  Write("INSERT INTO members (id, nick) VALUES ('meanwhile', 'mw')", 1);
  EXPECT_EQ(client_->Query("SELECT nick FROM members WHERE nick = 'mw'").rows.size(), 1u);
  EXPECT_EQ(One("SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'club' AND column_name LIKE '%crossfade_old'"), "0");
  Do("DROP INDEX fx ON club.profiles");
  Walk("done");
  EXPECT_EQ(One("SELECT COUNT(*) FROM club.members WHERE nick = 'mw' AND id > 0"), "1");
}

INSTANTIATE_TEST_SUITE_P(Engines, KeysTest, testing::Values(Engine::kMariaDb, Engine::kMySql), [](const auto& info) { return std::string(servers::EngineName(info.param)); });

}  // namespace
}  // namespace crossfade::walk
