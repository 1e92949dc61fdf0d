// SPDX-License-Identifier: Apache-2.0
// What a client sees of the schema: each question goes to a server that has never heard of a migration and, through the
// proxy, to one that is in the middle of it, and the replies must be the same bytes in every phase up to the retirement of
// the old side; from then on the same columns and keys.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "fmt/format.h"
#include "tests/integration/wire/raw_client.h"
#include "tests/servers/client.h"
#include "tests/servers/crossfade_process.h"
#include "tests/servers/server.h"

namespace crossfade::wire {
namespace {

using servers::Client;
using servers::CrossfadeProcess;
using servers::Engine;
using servers::Reply;
using servers::Server;

constexpr uint64_t kClassic = protocol::kClientLongPassword | protocol::kClientTransactions | protocol::kClientMultiStatements |
                              protocol::kClientMultiResults | protocol::kClientPsMultiResults;
constexpr uint64_t kModern = kClassic | protocol::kClientDeprecateEof | protocol::kClientSessionTrack | protocol::kMariaDbExtendedMetadata |
                             protocol::kClientQueryAttributes | protocol::kClientOptionalResultsetMetadata;

const char* const kTables[] = {
    "CREATE DATABASE zoo DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
    "CREATE TABLE zoo.Caves (id char(36) NOT NULL, label varchar(50) NULL, size int NOT NULL DEFAULT 3, PRIMARY KEY (id), KEY by_label (label, id)) COMMENT 'dark; cold'",
    "CREATE TABLE zoo.Bears (id int NOT NULL AUTO_INCREMENT, name varchar(50) NULL COMMENT 'its, ) name', caveId char(36) NOT NULL, second char(36) NULL, age int NULL, PRIMARY KEY (id),"
    " KEY at_home (name, caveId), UNIQUE KEY one (caveId, name), CONSTRAINT home FOREIGN KEY (caveId) REFERENCES Caves (id) ON UPDATE CASCADE,"
    " CONSTRAINT other FOREIGN KEY (second) REFERENCES Caves (id) ON DELETE RESTRICT)",
    "CREATE TABLE zoo.Trees (id int NOT NULL PRIMARY KEY, kind varchar(20) NULL)",
    "CREATE TABLE zoo.People (id int NOT NULL PRIMARY KEY, phone varchar(20) NULL, born date NULL, KEY by_phone (phone))",
};

constexpr char kMigrations[] =
    "  - name: integer-keys\n    schema: zoo\n    phase: observe\n    keys:\n"
    "      - table: Caves\n        old: id\n        new: {column: newId, type: int unsigned, final: id}\n"
    "        references:\n"
    "          - {table: Bears, old: caveId, new: caveNewId, final: caveId}\n"
    "          - {table: Bears, old: second, new: newSecond, final: second}\n"
    "    columns:\n"
    "      - table: People\n        old: [phone]\n        new:\n"
    "          digits: {type: varchar(40) CHARACTER SET utf8mb4, from: phone}\n"
    "        back: {phone: digits}\n        final: phone\n";

const char* const kQuestions[] = {
    "SHOW COLUMNS FROM Bears",
    "show full columns in Bears from zoo",
    "SHOW FIELDS FROM `zoo`.`Caves` LIKE '%d'",
    "SHOW COLUMNS FROM Caves WHERE Field <> 'label'",
    "SHOW COLUMNS FROM Trees",
    "SHOW COLUMNS FROM Nothing",
    "DESCRIBE Bears",
    "DESC Bears name",
    "EXPLAIN Bears 'c%'",
    "/* a tool */ DESC zoo.People",
    "SHOW CREATE TABLE Bears",
    "SHOW CREATE TABLE zoo.Caves",
    "SHOW CREATE TABLE People",
    "SHOW CREATE TABLE `zoo`.`Trees`",
    "SHOW INDEX FROM Bears",
    "SHOW KEYS IN Caves IN zoo",
    "SHOW INDEXES FROM People WHERE Non_unique = 1",
    "SHOW INDEX FROM Bears WHERE Column_name = 'name'",
    "SELECT 1; SHOW COLUMNS FROM Caves; SHOW CREATE TABLE Bears; SHOW INDEX FROM Bears",
    "SELECT * FROM information_schema.columns WHERE table_schema = 'zoo' ORDER BY table_name, ordinal_position",
    "SELECT column_name, ordinal_position, column_type FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'Bears' ORDER BY ORDINAL_POSITION",
    "SELECT COUNT(*), MAX(ordinal_position) FROM information_schema.columns WHERE table_schema = 'zoo'",
    "SELECT information_schema.columns.column_name FROM information_schema.columns WHERE information_schema.columns.table_name = 'Caves' ORDER BY 1",
    "SELECT t.table_name, c.column_name, c.ordinal_position p FROM information_schema.tables t LEFT JOIN information_schema.columns c ON c.table_schema = t.table_schema AND"
    " c.table_name = t.table_name WHERE t.table_schema = 'zoo' ORDER BY 1, 3",
    "SELECT table_name FROM information_schema.tables t WHERE table_schema = 'zoo' AND (SELECT COUNT(*) FROM information_schema.columns x WHERE x.table_schema = t.table_schema AND"
    " x.table_name = t.table_name) > 3 ORDER BY 1",
    "SELECT index_name, seq_in_index, column_name, non_unique FROM information_schema.statistics WHERE table_schema = 'zoo' ORDER BY table_name, index_name, seq_in_index",
    "SELECT * FROM information_schema.key_column_usage WHERE table_schema = 'zoo' ORDER BY table_name, constraint_name, ordinal_position",
    "SELECT * FROM information_schema.table_constraints WHERE table_schema = 'zoo' ORDER BY table_name, constraint_name",
    "SELECT * FROM information_schema.referential_constraints WHERE constraint_schema = 'zoo' ORDER BY constraint_name",
    // As ActiveRecord, Django and JDBC's drivers ask.
    "SELECT fk.referenced_table_name AS 'to_table', fk.referenced_column_name AS 'primary_key', fk.column_name AS 'column', fk.constraint_name AS 'name', fk.ordinal_position AS 'position',"
    " rc.update_rule AS 'on_update', rc.delete_rule AS 'on_delete' FROM information_schema.referential_constraints rc JOIN information_schema.key_column_usage fk"
    " USING (constraint_schema, constraint_name) WHERE fk.referenced_column_name IS NOT NULL AND fk.table_schema = database() AND fk.table_name = 'Bears' AND"
    " rc.constraint_schema = database() AND rc.table_name = 'Bears' ORDER BY 4",
    "SELECT column_name FROM information_schema.statistics WHERE index_name = 'PRIMARY' AND table_schema = database() AND table_name = 'Caves' ORDER BY seq_in_index",
    "SELECT kc.`column_name`, kc.`referenced_table_name`, kc.`referenced_column_name` FROM information_schema.key_column_usage AS kc WHERE kc.table_schema = DATABASE() AND"
    " kc.table_name = 'Bears' AND kc.referenced_table_name IS NOT NULL ORDER BY 1",
    "SELECT TABLE_SCHEMA TABLE_CAT, NULL TABLE_SCHEM, TABLE_NAME, COLUMN_NAME, IF(IS_NULLABLE = 'yes', 1, 0) NULLABLE, ORDINAL_POSITION FROM INFORMATION_SCHEMA.COLUMNS WHERE"
    " TABLE_SCHEMA = 'zoo' AND TABLE_NAME LIKE 'Bear%' ORDER BY TABLE_CAT, TABLE_SCHEM, TABLE_NAME, ORDINAL_POSITION",
    "SELECT nothing FROM information_schema.columns",
};

// Frames, one a line, without the flags of which index the optimizer found (it has more to choose from).
std::string Lines(std::string_view bytes) {
  std::string out;
  while (bytes.size() >= protocol::kFrameHeader) {
    const protocol::FrameHeader header = protocol::ParseFrameHeader(bytes.data());
    std::string payload(bytes.substr(protocol::kFrameHeader, header.length));
    bytes.remove_prefix(protocol::kFrameHeader + payload.size());
    if (!payload.empty() && (payload[0] == '\xfe' || payload[0] == '\0') && payload.size() > 4 && payload.size() < 100) payload[3] = static_cast<char>(payload[3] & ~0x30);
    out += fmt::format("{} ", header.sequence);
    for (const unsigned char c : payload) out += c >= ' ' && c < 127 ? std::string(1, static_cast<char>(c)) : fmt::format("\\{:02x}", c);
    out += "\n";
  }
  return out + std::string(bytes);
}

class SchemaTest : public testing::TestWithParam<Engine> {
 protected:
  void SetUp() override {
    for (auto* server : {&plain_, &migrating_}) {
      auto started = Server::Start(GetParam());
      if (absl::IsNotFound(started.status())) GTEST_SKIP() << started.status();
      ASSERT_TRUE(started.ok()) << started.status();
      *server = *std::move(started);
      auto client = Client::Connect({.port = (*server)->port()});
      ASSERT_TRUE(client.ok());
      for (const char* sql : kTables) ASSERT_TRUE(client->Query(sql).ok()) << sql;
    }
    auto proxy = CrossfadeProcess::Start({.backend = migrating_->address(), .migrations = kMigrations});
    ASSERT_TRUE(proxy.ok()) << proxy.status();
    proxy_ = *std::move(proxy);
  }
  void Walk(const std::string& phase, int percent = -1) {
    const absl::Status walked = proxy_->WalkTo("integer-keys", phase, percent);
    ASSERT_TRUE(walked.ok()) << walked << proxy_->log();
    if (phase == "observe") return;
    // In `expand` the columns come behind the statement gate, and the proxy hears of them a moment later.
    auto client = Client::Connect({.port = migrating_->port()});
    ASSERT_TRUE(client.ok());
    for (int i = 0; i < 200; ++i) {
      const Reply reply = client->Query(
          "SELECT NOT EXISTS (SELECT 1 FROM crossfade.migrations WHERE held = 1) AND NOT EXISTS (SELECT 1 FROM crossfade.proxies p JOIN crossfade.state s WHERE p.acked_epoch < s.epoch)"
          " AND EXISTS (SELECT 1 FROM information_schema.columns c WHERE c.table_schema = 'zoo' AND c.column_name = 'caveNewId')");
      ASSERT_TRUE(reply.ok()) << reply.message;
      if (reply.rows[0][0] == "1") return;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    FAIL() << "the proxy does not take up " << phase;
  }
  std::string Ask(int port, uint64_t capabilities, const std::string& schema, const std::string& payload, bool field_list = false) {
    RawClient client(port, capabilities, schema);
    EXPECT_TRUE(client.connected());
    return Lines(client.Exchange(field_list ? Frame(payload) : client.Query(payload)));
  }
  void ExpectSameBytes(const std::string& where) {
    for (const uint64_t capabilities : {kClassic, kModern}) {
      for (const char* sql : kQuestions) {
        const std::string direct = Ask(plain_->port(), capabilities, "zoo", sql), proxied = Ask(proxy_->port(), capabilities, "zoo", sql);
        EXPECT_EQ(direct, proxied) << where << ": " << sql;
      }
      for (const std::string& command : {std::string("\x04" "Bears\0", 7), std::string("\x04" "Caves\0n%", 9), std::string("\x04" "Trees\0", 7)})
        EXPECT_EQ(Ask(plain_->port(), capabilities, "zoo", command, true), Ask(proxy_->port(), capabilities, "zoo", command, true)) << where << ": COM_FIELD_LIST " << command;
      const char* const bare = "SELECT column_name, ordinal_position FROM columns WHERE table_name = 'Bears' ORDER BY 2";
      EXPECT_EQ(Ask(plain_->port(), capabilities, "information_schema", bare), Ask(proxy_->port(), capabilities, "information_schema", bare)) << where;
    }
    auto direct = Client::Connect({.port = plain_->port(), .database = "zoo"}), proxied = Client::Connect({.port = proxy_->port(), .database = "zoo"});
    ASSERT_TRUE(direct.ok() && proxied.ok());
    for (const char* sql : kQuestions) {
      if (std::string_view(sql).starts_with("SELECT 1;")) continue;
      const Reply a = direct->Execute(sql, {}), b = proxied->Execute(sql, {});
      EXPECT_EQ(a.columns, b.columns) << where << ", prepared: " << sql;
      EXPECT_EQ(a.rows, b.rows) << where << ", prepared: " << sql << "\n" << servers::Describe(a, 40) << servers::Describe(b, 40);
      EXPECT_EQ(a.error, b.error) << where << ", prepared: " << sql;
    }
    const char* const by_value = "SELECT column_name, ordinal_position FROM information_schema.columns WHERE table_schema = 'zoo' AND table_name = ? ORDER BY ordinal_position";
    EXPECT_EQ(direct->Execute(by_value, {std::string("Bears")}).rows, proxied->Execute(by_value, {std::string("Bears")}).rows) << where;
  }

  std::unique_ptr<Server> plain_, migrating_;
  std::unique_ptr<CrossfadeProcess> proxy_;
};

TEST_P(SchemaTest, NothingOfTheMigrationIsSeenBeforeTheOldSideRetires) {
  for (const auto& [phase, percent] : std::vector<std::pair<std::string, int>>{
           {"observe", -1}, {"expand", -1}, {"dual_write", -1}, {"verify", -1}, {"cutover", 50}, {"cutover", 100}, {"dual_write", -1}, {"observe", -1}}) {
    Walk(phase, percent);
    if (HasFatalFailure()) return;
    ExpectSameBytes(phase);
    if (HasFailure()) return;
  }
}

// The new side stands in for the old one under its names. What may differ is told in docs/rewriting.md: the order of keys
// and the default that lets an old reference be left out.
TEST_P(SchemaTest, InRetireTheNewSideIsShownUnderTheOldNames) {
  Walk("cutover", 100);
  Walk("retire");
  auto direct = Client::Connect({.port = plain_->port(), .database = "zoo"}), proxied = Client::Connect({.port = proxy_->port(), .database = "zoo"});
  ASSERT_TRUE(direct.ok() && proxied.ok());
  for (const char* sql : kQuestions) {
    if (std::string_view(sql).starts_with("SELECT 1;")) continue;
    for (const bool prepared : {false, true}) {
      const Reply a = prepared ? direct->Execute(sql, {}) : direct->Query(sql), b = prepared ? proxied->Execute(sql, {}) : proxied->Query(sql);
      EXPECT_EQ(a.columns, b.columns) << sql;
      const auto lines = [](const Reply& reply) {
        std::multiset<std::string> out;
        for (const auto& row : reply.rows) {
          std::string line;
          for (size_t i = 0; i < row.size(); ++i) {
            std::string name = reply.columns[i].name;
            std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
            if (name == "default" || name == "column_default" || name == "null" || name == "nullable" || name == "cardinality") continue;
            line += row[i].value_or("NULL") + "|";
          }
          // Of a CREATE TABLE: its lines in any order.
          for (size_t at = 0; at < line.size();) {
            const size_t end = std::min(line.find('\n', at), line.size());
            std::string one = line.substr(at, end - at);
            if (!one.empty() && one.back() == ',') one.pop_back();
            if (const size_t made = one.find(" DEFAULT ''"); made != std::string::npos) one.erase(made, 11);
            out.insert(one);
            at = end + 1;
          }
        }
        return out;
      };
      EXPECT_EQ(lines(a), lines(b)) << sql;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, SchemaTest, testing::Values(Engine::kMariaDb, Engine::kMySql),
                         [](const auto& info) { return servers::EngineName(info.param); });

}  // namespace
}  // namespace crossfade::wire
