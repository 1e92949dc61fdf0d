// SPDX-License-Identifier: Apache-2.0
// Texts made to be read in two ways, on real servers: characters whose last byte is a quote, a backslash or a backtick, in every
// character set; writes hidden in comments, modes, dynamic SQL and behind other statements. What the server does is what the
// lexer saw, or the text is refused. And texts made to take long: they end soon.
#include <gtest/gtest.h>

#include <chrono>
#include <optional>

#include "fmt/format.h"
#include "rewrite/lexer.h"
#include "rewrite/lexer_charset.h"
#include "rewrite/parser.h"
#include "tests/rewrite/golden_schema.h"
#include "tests/servers/client.h"
#include "tests/servers/server.h"

namespace crossfade::suites {
namespace {

using rewrite::SessionFacts;
using rewrite::Strategy;
using servers::Client;
using servers::Engine;
using servers::Reply;

class Threats : public testing::TestWithParam<Engine> {
 protected:
  void SetUp() override {
    auto server = servers::Server::Start(GetParam());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    Connect();
    dialect_ = GetParam() == Engine::kMariaDb ? rewrite::Dialect{rewrite::Flavor::kMariaDb, 101119} : rewrite::Dialect{rewrite::Flavor::kMySql, 90704};
  }
  void Connect(uint64_t flags = 0) {
    auto client = Client::Connect({.port = server_->port(), .flags = flags});
    ASSERT_TRUE(client.ok()) << client.status();
    client_.emplace(*std::move(client));
  }
  // The columns of the first query; nullopt: not understood.
  std::optional<size_t> Columns(const std::string& sql, const SessionFacts& facts) const {
    rewrite::TokenList tokens;
    rewrite::Arena arena;
    if (!rewrite::Lex(sql, facts, dialect_, &tokens).ok()) return std::nullopt;
    const auto parsed = rewrite::Parse(tokens, facts, dialect_, 200, &arena);
    if (!parsed.ok() || parsed->statements.empty() || parsed->statements[0]->query == nullptr) return std::nullopt;
    return parsed->statements[0]->query->selects[0]->items.size();
  }

  std::unique_ptr<servers::Server> server_;
  std::optional<Client> client_;
  rewrite::Dialect dialect_;
};

TEST_P(Threats, ACharactersLastByteIsNoQuoteInAnyCharacterSet) {
  const Reply charsets = client_->Query("SHOW CHARACTER SET");
  ASSERT_GE(charsets.rows.size(), 30u);
  size_t compared = 0, refused = 0, sets = 0;
  for (const auto& row : charsets.rows) {
    SessionFacts facts;
    facts.charset = row[0].value_or("");
    for (const std::string how : {"SET NAMES {}", "SET character_set_client = {}"}) {
      Connect();
      if (!client_->Query(fmt::format(fmt::runtime(how), facts.charset)).ok()) continue;  // no client may have it
      ++sets;
      for (const char* mode : {"", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES"}) {
        ASSERT_TRUE(client_->Query(fmt::format("SET sql_mode = '{}'", mode)).ok());
        facts.sql_mode = rewrite::ParseSqlMode(mode);
        for (int lead = 0x80; lead < 0x100; ++lead) {
          const std::string l(1, static_cast<char>(lead));
          for (const std::string& sql : {"SELECT '" + l + "\\' , ' # '", "SELECT '" + l + "' , ' # '", "SELECT 1 AS `" + l + "` , 2 AS ` # `",
                                        "SELECT 1 AS \"" + l + "\" , 2 AS \" # \"", "SELECT 1 AS a" + l + "`b` , 2 # "}) {
            const Reply reply = client_->Query(sql);
            if (!reply.ok()) continue;  // the server takes it in no way
            const std::optional<size_t> ours = Columns(sql, facts);
            if (!ours.has_value()) {
              ++refused;
              continue;
            }
            ++compared;
            EXPECT_EQ(*ours, reply.columns.size()) << facts.charset << " " << mode << fmt::format(" {:02x}: ", lead) << sql;
            if (HasFailure() && compared > 2000) return;
          }
        }
      }
    }
  }
  EXPECT_GE(sets, 50u);
  EXPECT_GE(compared, 20'000u);
  RecordProperty("compared", static_cast<int>(compared));
  RecordProperty("refused", static_cast<int>(refused));
}

// Each text may add a package, name 'hidden'. Where the server does so, the planner has seen it.
TEST_P(Threats, AHiddenWriteIsSeen) {
  Connect(CLIENT_MULTI_STATEMENTS);
  for (const char* sql : {"CREATE DATABASE deb", "CREATE TABLE deb.packages (name varchar(100) PRIMARY KEY, version varchar(100) NOT NULL DEFAULT '', section varchar(50), size int NOT NULL DEFAULT 0)",
                          "ALTER TABLE deb.packages ADD COLUMN id int unsigned NULL INVISIBLE AFTER name"})
    ASSERT_TRUE(client_->Query(sql).ok()) << sql;
  const std::string write = "INSERT INTO packages (name) VALUES ('hidden')";
  std::vector<std::string> texts = {
      write, "/*!insert*/ into packages (name) values ('hidden')", "insert/**/into/**/packages(name)values('hidden')", "/*!00000 " + write + " */", "/*!50000 " + write + "*/",
      "/*!80000 " + write + " */", "/*!90000 " + write + " */", "/*!999999 " + write + " */", "/*M! " + write + " */", "/*M!100100 " + write + " */", "/*M!999999 " + write + " */",
      "/*!100100 " + write + " */", "/*!50700 " + write + " */", "/*!50699 " + write + " */", "/* */ " + write, "-- x\n" + write, "#x\n" + write, "--\t\n" + write, "/*! */ " + write,
      "/*!50000 /* */ " + write + " */", "/**/" + write + "/**/", write + " -- x", write + ";", write + std::string(1, '\0'), write.substr(0, 12) + std::string(1, '\0') + write.substr(12),
      "SELECT 1; " + write, write + "; SELECT 1", "SELECT 1; " + write + "; SELECT 2", "SELECT ';'; " + write, "SELECT '/*'; " + write + "; SELECT '*/'", "SELECT \"'\"; " + write + "; SELECT \"'\"",
      "SELECT `'` FROM (SELECT 1 AS `'`) x; " + write, "SELECT 1 /* ; */; " + write, "SET @t = \"" + write + "\"; PREPARE s FROM @t; EXECUTE s", "PREPARE s FROM \"" + write + "\"; EXECUTE s",
      "BEGIN NOT ATOMIC EXECUTE IMMEDIATE CONCAT('INSERT INTO pack', 'ages (name) VALUES (''hidden'')'); END", "BEGIN NOT ATOMIC SET @t = CONCAT('INSERT INTO pack', 'ages (name) VALUES (''hidden'')'); PREPARE s FROM @t; EXECUTE s; END",
      "IF 1 THEN EXECUTE IMMEDIATE CONCAT('INSERT INTO pack', 'ages (name) VALUES (''hidden'')'); END IF", "EXECUTE IMMEDIATE \"" + write + "\"", "EXECUTE IMMEDIATE CONCAT('INSERT INTO pack', 'ages (name) VALUES (''hidden'')')", "BEGIN NOT ATOMIC " + write + "; END", "SET STATEMENT max_statement_time = 9 FOR " + write,
      "IF 1 THEN " + write + "; END IF", "ANALYZE " + write, "EXPLAIN ANALYZE " + write, "WITH c AS (SELECT 'hidden' AS n) INSERT INTO packages (name) SELECT n FROM c", "INSERT INTO packages (name) WITH c AS (SELECT 'hidden' AS n) SELECT n FROM c",
      "INSERT INTO `packages` (`name`) VALUES ('hidden')", "INSERT packages (name) VALUE ('hidden')", "INSERT INTO deb . packages (name) VALUES ('hidden')", "INSERT INTO /*x*/deb./*y*/packages SET name = 'hidden'",
      "REPLACE packages (name) SELECT 'hidden'", "INSERT INTO packages (name) TABLE x", "INSERT INTO packages (name) VALUES ROW('hidden')", "(" + write + ")", "DO (SELECT 1); " + write, "CALL x(); " + write,
      "USE deb; " + write, "SET sql_mode = 'ANSI_QUOTES'; INSERT INTO \"packages\" (\"name\") VALUES ('hidden')", "INSERT INTO \"packages\" (\"name\") VALUES ('hidden')", "CREATE TABLE IF NOT EXISTS y AS SELECT 1; " + write,
      "LOCK TABLES packages WRITE; " + write + "; UNLOCK TABLES", "START TRANSACTION; " + write + "; COMMIT", "XA START 'a'; " + write + "; XA END 'a'; XA ROLLBACK 'a'",
      "UPDATE packages SET name = 'hidden' WHERE name = 'none'", "SELECT $$ ; " + write + " -- $$", "SELECT 1 AS $x$; " + write, "\xef\xbb\xbf" + write, "\xc2\xa0" + write, "DELIMITER //\n" + write + "//", "SELECT 1\\G " + write};
  // In every place of a batch.
  for (int place = 0; place < 6; ++place) {
    std::string batch;
    for (int i = 0; i < 6; ++i) batch += (i > 0 ? "; " : "") + (i == place ? write : std::string("SELECT 'a;b'"));
    texts.push_back(batch);
  }
  const rewrite::GoldenState dual{"dual_write", config::Phase::kDualWrite};
  const auto snapshot = rewrite::GoldenSnapshot(dual, dialect_);
  size_t written = 0, refused = 0;
  for (const char* mode : {"STRICT_TRANS_TABLES", "STRICT_TRANS_TABLES,ANSI_QUOTES", "STRICT_TRANS_TABLES,NO_BACKSLASH_ESCAPES", "STRICT_TRANS_TABLES,PIPES_AS_CONCAT,IGNORE_SPACE", "ORACLE"}) {
    if (std::string(mode) == "ORACLE" && GetParam() == Engine::kMySql) continue;
    // As a session learns it: ORACLE brings others along.
    client_->Query(fmt::format("SET sql_mode = '{}'", mode));
    const Reply whole_mode = client_->Query("SELECT @@sql_mode");
    ASSERT_EQ(whole_mode.rows.size(), 1u);
    for (const std::string& sql : texts) {
      SCOPED_TRACE(std::string(mode) + ": " + sql);
      SessionFacts facts;
      facts.schema = "deb";
      facts.sql_mode = rewrite::ParseSqlMode(whole_mode.rows[0][0].value_or(""));
      rewrite::Planner planner;
      const auto plan = planner.PlanQuery(*snapshot, facts, sql);
      // `text` by the server, and whether it has added the package, without its new key.
      const auto run = [&](const std::string& text) {
        Connect(CLIENT_MULTI_STATEMENTS);
        client_->Query("USE deb");
        client_->Query(fmt::format("SET sql_mode = '{}', @{} = 16", mode, rewrite::kRowVariable));
        client_->Query(text);
        while (mysql_more_results(client_->raw()) && mysql_next_result(client_->raw()) == 0)
          if (MYSQL_RES* result = mysql_store_result(client_->raw())) mysql_free_result(result);
        Connect(CLIENT_MULTI_STATEMENTS);
        const Reply found = client_->Query("SELECT id IS NULL FROM deb.packages WHERE name = 'hidden'");
        const std::string answer = found.rows.empty() ? "none" : found.rows[0][0].value_or("?");
        client_->Query("DELETE FROM deb.packages");
        return answer;
      };
      const std::string direct = run(sql);
      if (direct == "none") continue;
      ++written;
      EXPECT_TRUE(rewrite::MightTouch(*snapshot, sql));
      ASSERT_NE(plan->strategy, Strategy::kUntouched);
      if (plan->strategy == Strategy::kRefuse) {
        ++refused;
        continue;
      }
      const auto text = rewrite::Render(*plan, facts, dialect_, sql, std::vector<uint64_t>(plan->key_slots.size(), 17));
      ASSERT_TRUE(text.ok());
      EXPECT_EQ(run(*text), "0") << *text;
    }
  }
  EXPECT_GE(written, 100u);
  RecordProperty("written", static_cast<int>(written));
  RecordProperty("refused", static_cast<int>(refused));
}

TEST(QueriesOfDeath, EndSoon) {
  const auto repeat = [](const std::string& text, int times) {
    std::string out;
    out.reserve(text.size() * static_cast<size_t>(times));
    for (int i = 0; i < times; ++i) out += text;
    return out;
  };
  constexpr int kMany = 40'000;
  const std::string from = " FROM dependencies WHERE package = ";
  const std::vector<std::string> texts = {
      "SELECT " + repeat("(", kMany) + "1" + repeat(")", kMany) + from + "1", "SELECT " + repeat("(SELECT ", kMany) + "1" + repeat(")", kMany) + from + "1",
      "SELECT 1" + from + repeat("- ", kMany) + "1", "SELECT 1" + from + repeat("NOT ", kMany) + "1", "SELECT 1" + from + repeat("CASE WHEN ", kMany) + "1", "SELECT 1" + from + repeat("f(", kMany) + "1" + repeat(")", kMany),
      "SELECT 1" + from + "1" + repeat(" = 1", kMany), "SELECT 1" + from + "1" + repeat(" OR package = 1", kMany), "SELECT 1" + from + "1" + repeat(" + package", kMany), "SELECT 1 FROM dependencies" + repeat(" JOIN dependencies", kMany),
      "SELECT 1 FROM " + repeat("(", kMany) + "dependencies" + repeat(")", kMany), "SELECT 1 FROM dependencies" + repeat(", dependencies", kMany), "SELECT 1 FROM dependencies WHERE package IN (1" + repeat(", 'a', 2", kMany) + ")",
      "SELECT 1 FROM dependencies" + repeat(" UNION SELECT 1 FROM dependencies", kMany), "INSERT INTO dependencies (package) VALUES ('a')" + repeat(", ('a')", kMany), "WITH " + repeat("a AS (SELECT 1), ", kMany) + "b AS (SELECT 1) SELECT 1 FROM dependencies",
      repeat("SELECT 1 FROM dependencies;", kMany), "SELECT 1 FROM dependencies WHERE package = " + repeat("_utf8mb4", kMany) + "'a'", "SELECT " + repeat("/*!50000 ", kMany) + " 1 FROM dependencies", "SELECT 1 FROM dependencies " + repeat("/* x */", kMany),
      "SELECT " + repeat("`a`.", kMany) + "`a` FROM dependencies", "SELECT 1 FROM dependencies WHERE package = 'a" + repeat("''", kMany), "SELECT " + repeat("'a' ", kMany) + " FROM dependencies", "EXPLAIN " + repeat("EXPLAIN ", kMany) + "SELECT 1 FROM dependencies",
      "SET STATEMENT a = 1 FOR " + repeat("SET STATEMENT a = 1 FOR ", kMany) + "SELECT 1 FROM dependencies", "SELECT 1 FROM dependencies ORDER BY " + repeat("package, ", kMany) + "1",
      "SELECT 1" + from + "CONCAT(''" + repeat(", package, 'a'", kMany) + ")", "SELECT 1" + from + "GREATEST('a'" + repeat(", package, 'a'", kMany) + ")", "SELECT 1" + from + repeat("GREATEST('a', ", kMany) + "package" + repeat(")", kMany),
      "SELECT 1 FROM dependencies WHERE UPPER(package) IN ('A'" + repeat(", UPPER(package), 'b'", kMany) + ")", "SELECT 1" + from + "package" + repeat(" COLLATE utf8mb4_bin", kMany), "UPDATE dependencies SET " + repeat("package = 'a', ", kMany) + "kind = 1"};
  for (const auto& dialect : {rewrite::Dialect{rewrite::Flavor::kMySql, 90704}, rewrite::Dialect{rewrite::Flavor::kMariaDb, 101119}}) {
    const auto snapshot = rewrite::GoldenSnapshot({"cutover new", config::Phase::kCutover, true}, dialect);
    SessionFacts facts;
    facts.schema = "deb";
    facts.new_cohort = rewrite::CohortOf(*snapshot, 0);
    for (const std::string& sql : texts) {
      rewrite::Planner planner;
      const auto begin = std::chrono::steady_clock::now();
      const auto plan = planner.PlanQuery(*snapshot, facts, sql);
      const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin).count();
      EXPECT_LT(took, 5'000) << sql.substr(0, 60) << "… " << sql.size() << " bytes";
      EXPECT_FALSE(plan->strategy == Strategy::kUntouched && plan->touched == 0) << sql.substr(0, 60);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, Threats, testing::Values(Engine::kMariaDb, Engine::kMySql),
                         [](const auto& info) { return servers::EngineName(info.param); });

}  // namespace
}  // namespace crossfade::suites
