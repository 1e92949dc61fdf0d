// SPDX-License-Identifier: Apache-2.0
// Migrations of the file: what is read, what is refused and where, and claims on columns.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/load.h"

namespace crossfade::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kHead[] =
    "listen: [{address: \"127.0.0.1:6033\", backend: p}]\n"
    "backends: {p: {address: \"127.0.0.1:3306\"}}\n"
    "control: {backend: p, user: crossfade}\n"
    "migrations:\n";  // four lines

absl::StatusOr<Config> ParseMigrations(const std::string& text) { return Parse(kHead + text, "f"); }

std::string Message(const std::string& text) {
  const auto config = ParseMigrations(text);
  return config.ok() ? "" : std::string(config.status().message());
}

// A migration with one key of zoo.<table>.
std::string Key(const std::string& name, const std::string& table, const std::string& rest) {
  return fmt::format("- {{name: {}, schema: zoo, keys: [{{table: {}, {}}}]}}\n", name, table, rest);
}

TEST(Migrations, VerifyOnNamesABackendThatIsNotThePrimary) {
  const auto with = [](const std::string& verify_on) {
    return Parse("listen: [{address: '127.0.0.1:1', backend: p}]\nbackends: {p: {address: '127.0.0.1:2'}, r: {address: '127.0.0.1:3'}}\ncontrol: {backend: p, user: c}\n"
                 "migrations: [{name: a, schema: zoo, verify_on: " + verify_on + ", keys: [{table: T, old: o, new: {column: n, type: int}}]}]\n", "f");
  };
  ASSERT_TRUE(with("r").ok()) << with("r").status();
  EXPECT_EQ(with("r")->migrations[0].verify_on, "r");
  EXPECT_THAT(std::string(with("q").status().message()), HasSubstr("there is no backend 'q'"));
  EXPECT_THAT(std::string(with("p").status().message()), HasSubstr("which is the primary"));
}

TEST(Migrations, KeysAndReferences) {
  const auto config = ParseMigrations(
      "  - name: integer-keys\n"
      "    schema: zoo\n"
      "    phase: cutover\n"
      "    percent: 12.5\n"
      "    accepted: [\"LOCK TABLES Caves WRITE\", \"TRUNCATE x\"]\n"
      "    keys:\n"
      "      - table: Caves\n"
      "        old: id\n"
      "        new: {column: newId, type: int unsigned, final: id}\n"
      "        old_from: \"CONCAT('c-', UUID())\"\n"
      "        references:\n"
      "          - {table: Bears, old: caveId, new: caveNewId, final: caveId}\n"
      "          - {table: Caves, old: parent, new: newParent}\n"
      "      - table: packages\n"
      "        old: name\n"
      "        keep_old_lookup: true\n"
      "        new: {column: id, type: bigint}\n");
  ASSERT_TRUE(config.ok()) << config.status();
  const Migration* migration = config->FindMigration("integer-keys");
  ASSERT_NE(migration, nullptr);
  EXPECT_EQ(migration->phase, Phase::kCutover);
  EXPECT_DOUBLE_EQ(migration->percent, 12.5);
  EXPECT_EQ(migration->accepted, (std::vector<std::string>{"LOCK TABLES Caves WRITE", "TRUNCATE x"}));
  ASSERT_EQ(migration->keys.size(), 2u);
  const KeyMigration& caves = migration->keys[0];
  EXPECT_EQ(caves.table, "Caves");
  EXPECT_EQ(caves.old_column, "id");
  EXPECT_EQ(caves.new_column, "newId");
  EXPECT_EQ(caves.new_type, "int unsigned");
  EXPECT_EQ(caves.final_name, "id");
  EXPECT_EQ(caves.old_from, "CONCAT('c-', UUID())");
  EXPECT_FALSE(caves.keep_old_lookup);
  ASSERT_EQ(caves.references.size(), 2u);
  EXPECT_EQ(caves.references[0].table, "Bears");
  EXPECT_EQ(caves.references[0].old_column, "caveId");
  EXPECT_EQ(caves.references[0].new_column, "caveNewId");
  EXPECT_EQ(caves.references[0].final_name, "caveId");
  EXPECT_EQ(caves.references[1].final_name, "");
  EXPECT_TRUE(migration->keys[1].keep_old_lookup);
}

TEST(Migrations, Columns) {
  const auto config = ParseMigrations(
      "  - name: contact-columns\n"
      "    schema: billing\n"
      "    phase: dual_write\n"
      "    columns:\n"
      "      - table: customer\n"
      "        old: [phone]\n"
      "        new:\n"
      "          phone_digits: {type: \"bigint unsigned\", from: \"CAST(REGEXP_REPLACE(phone,'[^0-9;]','') AS UNSIGNED)\"}\n"
      "        back: {phone: \"CAST(phone_digits AS CHAR)\"}\n"
      "        final: phone\n");
  ASSERT_TRUE(config.ok()) << config.status();
  const Migration& migration = config->migrations[0];
  EXPECT_EQ(migration.phase, Phase::kDualWrite);
  ASSERT_EQ(migration.columns.size(), 1u);
  const ColumnMigration& columns = migration.columns[0];
  EXPECT_THAT(columns.old_columns, ElementsAre("phone"));
  ASSERT_EQ(columns.new_columns.size(), 1u);
  EXPECT_EQ(columns.new_columns[0].name, "phone_digits");
  EXPECT_EQ(columns.new_columns[0].type, "bigint unsigned");
  EXPECT_THAT(columns.new_columns[0].from, HasSubstr("REGEXP_REPLACE"));
  ASSERT_EQ(columns.back.size(), 1u);
  EXPECT_EQ(columns.back[0].column, "phone");
  EXPECT_EQ(columns.final_name, "phone");
}

TEST(Migrations, ErrorsSayLineAndReason) {
  struct Case {
    std::string text;
    int line;
    std::string reason;
  };
  const std::string good = "old: id, new: {column: n, type: int}";
  const Case cases[] = {
      {"- {schema: zoo, keys: []}\n", 5, "'name' is missing"},
      {"- {name: \"a b\", schema: zoo}\n", 5, "letters, digits, - and _ only"},
      {"- {name: --yes, schema: zoo}\n", 5, "may not begin with -"},
      {"- {name: a, schema: zoo}\n", 5, "'keys' or 'columns' is needed"},
      {"- {name: a, schema: mysql, keys: []}\n", 5, "belongs to the server"},
      {"- {name: a, schema: Crossfade, keys: []}\n", 5, "is the control schema"},
      {"- name: a\n  schema: zoo\n  phase: dual-write\n", 7, "'dual-write' is no phase"},
      {"- name: a\n  schema: zoo\n  percent: 5\n", 7, "'phase: cutover' only"},
      {"- name: a\n  schema: zoo\n  phase: cutover\n", 7, "needs 'percent:'"},
      {"- name: a\n  schema: zoo\n  phase: cutover\n  percent: 101\n", 8, "out of range: 0 to 100"},
      {"- name: a\n  schema: zoo\n  colums: []\n", 7, "unknown key 'colums'"},
      {Key("a", "\"ca`ves\"", good), 5, "'ca`ves' is no identifier"},
      {Key("a", "caves", "old: 12, new: {column: n, type: int}"), 5, "it is a number"},
      {Key("a", std::string(65, 'x'), good), 5, "longer than 64"},
      {Key("a", "caves", "old: id"), 5, "'new' is missing"},
      {Key("a", "caves", "old: id, new: n"), 5, "a mapping"},
      {Key("a", "caves", "old: id, new: {column: n}"), 5, "'type' is missing"},
      {Key("a", "caves", "old: id, new: {column: n, type: \"int, drop table x\"}"), 5, "no column type"},
      {Key("a", "caves", "old: id, new: {column: n, type: \"int; drop table x\"}"), 5, "; may not stand"},
      {Key("a", "caves", "old: id, new: {column: n, type: \"int /* x\"}"), 5, "a comment may not stand"},
      {Key("a", "caves", "old: id, new: {column: n, type: int not null}"), 5, "without null"},
      {Key("a", "caves", "old: id, new: {column: N, type: int, form: id}"), 5, "unknown key 'form'"},
      {Key("a", "caves", "old: id, new: {column: ID, type: int}"), 5, "the name of the old one"},
      {Key("a", "caves", "old: id, keep_old_lookup: true, new: {column: n, type: int, final: id}"), 5, "keep_old_lookup keeps"},
      {Key("a", "caves", "old: id, keep_old_lookup: yes, new: {column: n, type: int}"), 5, "neither true nor false"},
      {Key("a", "caves", good + ", old_from: \"uuid(\""), 5, "not closed"},
      {Key("a", "caves", good + ", old_from: \"uuid() -- x\""), 5, "comment"},
      {Key("a", "caves", good + ", old_from: \"'a\""), 5, "is not closed"},
      {Key("a", "caves", good + ", references: [{table: bears, old: c}]"), 5, "'new' is missing"},
      {Key("a", "caves", good + ", references: {table: bears}"), 5, "a list is needed"},
      {Key("a", "caves", good + ", references: [{table: bears, old: c, new: C}]"), 5, "the name of the old one"},
      {"- {name: a, schema: zoo, columns: [{table: t, new: {b: {type: int, from: a}}}]}\n", 5, "at least one column"},
      {"- {name: a, schema: zoo, columns: [{table: t, old: [a]}]}\n", 5, "'new' is missing"},
      {"- {name: a, schema: zoo, columns: [{table: t, old: [a], new: {}}]}\n", 5, "no column stands here"},
      {"- {name: a, schema: zoo, columns: [{table: t, old: [a], new: {b: {type: int}}}]}\n", 5, "'from' is missing"},
      {"- {name: a, schema: zoo, columns: [{table: t, old: [a], new: {b: {type: int, from: \"a?\"}}}]}\n", 5, "a parameter"},
      {"- {name: a, schema: zoo, columns: [{table: t, old: [a], new: {b: {type: int, from: a}}, back: {c: b}}]}\n", 5,
       "none of the old columns"},
      {"- {name: a, schema: zoo, columns: [{table: t, old: [a], new: {A: {type: int, from: a}}}]}\n", 5, "claimed already"},
      {"- {name: a, schema: zoo, columns: [{table: t, old: [a], final: a, new: {b: {type: int, from: a}, "
       "c: {type: int, from: a}}}]}\n", 5, "exactly one new column"},
  };
  for (const Case& c : cases) {
    const std::string message = Message(c.text);
    EXPECT_THAT(message, HasSubstr(fmt::format("f:{}: ", c.line))) << c.text;
    EXPECT_THAT(message, HasSubstr(c.reason)) << c.text;
  }
}

TEST(Migrations, NoTwoMayClaimAColumn) {
  const std::string first = Key("a", "caves", "old: id, new: {column: n, type: int}, references: [{table: bears, old: c, new: cn}]");
  EXPECT_EQ(Message(first + Key("b", "bears", "old: id, new: {column: n, type: int}")), "");
  EXPECT_EQ(Message(first + "- {name: b, schema: zoo2, keys: [{table: caves, old: id, new: {column: n, type: int}}]}\n"), "");
  for (const std::string& second : {
           Key("b", "caves", "old: id, new: {column: m, type: int}"),
           Key("b", "Caves", "old: ID, new: {column: m, type: int}"),
           Key("b", "caves", "old: x, new: {column: n, type: int}"),
           Key("b", "caves", "old: x, new: {column: m, type: int, final: id}"),
           Key("b", "caves", "old: x, new: {column: m, type: int, final: n}"),
           Key("b", "dens", "old: x, new: {column: m, type: int}, references: [{table: bears, old: c, new: k}]"),
           Key("b", "bears", "old: cn, new: {column: m, type: int}"),
       }) {
    EXPECT_THAT(Message(first + second), HasSubstr("f:6: ")) << second;
    EXPECT_THAT(Message(first + second), HasSubstr("claimed already by migration 'a' in line 5")) << second;
  }
  EXPECT_THAT(Message(first + Key("a", "dens", "old: id, new: {column: n, type: int}")), HasSubstr("'a' stands here twice"));
}

TEST(Migrations, SoManyAndNoMore) {
  std::string text;
  for (int i = 0; i < 128; ++i) text += Key(fmt::format("m{}", i), fmt::format("t{}", i), "old: id, new: {column: n, type: int}");
  const auto config = ParseMigrations(text);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->migrations.size(), 128u);
  text += Key("last", "last", "old: id, new: {column: n, type: int}");
  EXPECT_THAT(Message(text), HasSubstr("f:133: more than 128 migrations"));
}

TEST(Phases, NamesRoundTrip) {
  for (int i = 0; i <= static_cast<int>(Phase::kDone); ++i) {
    const auto phase = static_cast<Phase>(i);
    EXPECT_EQ(ParsePhase(PhaseName(phase)), phase);
  }
  EXPECT_EQ(ParsePhase("Observe"), std::nullopt);
  EXPECT_EQ(ParsePhase(""), std::nullopt);
}

}  // namespace
}  // namespace crossfade::config
