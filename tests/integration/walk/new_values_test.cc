// SPDX-License-Identifier: Apache-2.0
// Values of the new key's shape, given to references whose old key is an integer, where both keys find: what the server warns of is what it
// would warn of alone.
#include <memory>

#include "tests/integration/walk/fixture.h"

namespace crossfade::walk {
namespace {

using servers::Client;
using servers::Engine;
using servers::Reply;

constexpr char kMigration[] =
    "  - name: m\n    schema: z\n    phase: observe\n    keys:\n"
    "      - {{table: p, old: o, new: {{column: n, type: {}}}, references: [{{table: r, old: ro, new: rn}}]}}\n"
    "      - {{table: b, old: o, new: {{column: n, type: binary(16)}}, references: [{{table: c, old: ro, new: rn}}]}}\n";

class NewValuesTest : public WalkFixture {
 protected:
  void SetUp() override {
    StartServer();
    for (const char* schema : {"z", "d"}) {
      Do(fmt::format("CREATE DATABASE {}", schema));
      for (const char* names : {"p r", "b c"}) {
        const std::string parent(1, names[0]), child(1, names[2]);
        Do(fmt::format("CREATE TABLE {}.{} (o int PRIMARY KEY, v int)", schema, parent));
        Do(fmt::format("CREATE TABLE {}.{} (id int PRIMARY KEY, ro int, w int, FOREIGN KEY (ro) REFERENCES {} (o))", schema, child, parent));
        Do(fmt::format("INSERT INTO {}.{} VALUES (1, 1), (2, 2)", schema, parent));
        Do(fmt::format("INSERT INTO {}.{} VALUES (1, 1, 1), (2, 2, 2), (3, NULL, 3)", schema, child));
      }
    }
    StartProxy(fmt::format(kMigration, GetParam() == Engine::kMariaDb ? "uuid" : "char(36)"), "  control_poll: 50ms\n", "z");
    Do("USE d");
  }
  static std::string Told(const Reply& reply) { return fmt::format("{} affected {} warnings {} {}", reply.error, reply.affected, reply.warnings, reply.info); }
};

// A column of type UUID warns of what it is compared with, also where the row is not met that would be given it.
TEST_P(NewValuesTest, WhatIsNoKeyWarnsOfNothingWhereNoRowIsWritten) {
  for (const char* phase : {"verify", "cutover"}) {
    WalkTo("m", phase, std::string(phase) == "cutover" ? 0 : -1);
    for (const char* value : {"", "x", "00000000-0000-0000-0000-00000000000", "-"}) {
      SCOPED_TRACE(fmt::format("{} '{}'", phase, value));
      const std::string sql = fmt::format("UPDATE r SET ro = '{}' WHERE ro = '7'", value);
      EXPECT_EQ(Told(direct_->Query(sql)), Told(client_->Query(sql)));
      const std::string prepared = "UPDATE r SET ro = ? WHERE ro = 7";
      EXPECT_EQ(Told(direct_->Execute(prepared, {std::string(value)})), Told(client_->Execute(prepared, {std::string(value)})));
      const std::string row = fmt::format("INSERT INTO r (id, ro) VALUES (9, '{}')", value);
      EXPECT_NE(direct_->Query(row).error, 0u);
      EXPECT_NE(client_->Query(row).error, 0u);
    }
    // Keys in any spelling are found as before.
    const std::string key = One("SELECT n FROM z.p WHERE o = 2");
    std::string plain = key, upper = key;
    for (size_t at = 0; (at = plain.find('-', at)) != std::string::npos;) plain.erase(at, 1);
    for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    std::vector<std::string> spellings = {"'" + key + "'", "'" + upper + "'"};
    if (GetParam() == Engine::kMariaDb) spellings.insert(spellings.end(), {"'" + plain + "'", "x'" + plain + "'", "_binary x'" + plain + "'"});
    for (const std::string& spelling : spellings) {
      SCOPED_TRACE(spelling);
      Do("UPDATE z.r SET ro = 1, rn = (SELECT n FROM z.p WHERE o = 1) WHERE id = 1");
      Write(fmt::format("UPDATE r SET ro = {} WHERE id = 1", spelling), 1);
      EXPECT_EQ(One("SELECT COUNT(*) FROM z.r JOIN z.p ON p.n = r.rn AND p.o = r.ro WHERE r.id = 1 AND p.o = 2"), "1");
    }
  }
}

// In steps the statement is a text, in which bytes are no text of the session's.
TEST_P(NewValuesTest, NewKeysOfBytesInSteps) {
  WalkTo("m", "verify");
  Do("UPDATE z.b SET n = x'E8FF4127005C80818283FFFEFDFCFBFA' WHERE o = 2");
  Do("UPDATE z.c SET rn = x'E8FF4127005C80818283FFFEFDFCFBFA' WHERE ro = 2");
  const std::string key("\xE8\xFF\x41\x27\x00\x5C\x80\x81\x82\x83\xFF\xFE\xFD\xFC\xFB\xFA", 16);
  for (const char* sql : {"UPDATE c JOIN b ON b.o = 1 SET c.ro = ?, b.v = b.v + 1 WHERE c.id = 1", "UPDATE c JOIN b ON b.o = 1 SET c.ro = c.ro - 1, b.v = 0 WHERE c.ro = ? OR c.ro IN (5, ?)"}) {
    std::vector<servers::Parameter> old_key = {int64_t{2}}, new_key = {key};
    if (std::string(sql).find("IN (5") != std::string::npos) old_key.push_back(int64_t{2}), new_key.push_back(key);
    EXPECT_EQ(Told(direct_->Execute(sql, old_key)), Told(client_->Execute(sql, new_key))) << sql;
    EXPECT_EQ(One("SELECT GROUP_CONCAT(CONCAT_WS(' ', id, ro, HEX(rn)) ORDER BY id) FROM z.c"), One("SELECT GROUP_CONCAT(CONCAT_WS(' ', c.id, c.ro, HEX(p.n)) ORDER BY c.id) FROM d.c LEFT JOIN z.b AS p ON p.o = c.ro")) << sql;
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, NewValuesTest, testing::Values(Engine::kMariaDb, Engine::kMySql), EngineOf);

}  // namespace
}  // namespace crossfade::walk
