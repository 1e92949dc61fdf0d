// SPDX-License-Identifier: Apache-2.0
// What other tools lost, each as a test by its name: an application writes through the rewriter while the backfill copies, and
// the end is judged by the server. Where a loss is shown elsewhere, that is:
//   last rows lost at the cutover (spirit 156, gh-ost 887): Walk.UpAndDownUnderLoad, Walk.TheProxyIsKilledInEveryPhase
//   mirrored writes dropped and reordered (ProxySQL 5010): Relay.PipelinedCommandsCutAtEveryOffsetAreAnsweredInOrder
//   TIMESTAMP and NOW() in another time zone (gh-ost 161): ColumnsTest.CheckSaysWhatCannotBe refuses TIMESTAMP; DATETIME below
//   stale metadata of a prepared statement (ProxySQL 965): PreparedTest.AStatementPreparedBeforeItBeganKeepsItsColumns
//   a reverse path never looked at (Vitess 16794): Walk.ThereAndBackAndToTheEndUnderLoad
#include "backfill/alter.h"
#include "backfill/catalog_loader.h"
#include "backfill/copier.h"
#include "backfill/verify.h"
#include "rewrite/planner.h"
#include "tests/backfill/workload.h"

namespace crossfade::backfill {
namespace {

constexpr char kKeys[] =
    "[{name: ik, schema: cf_data, phase: observe, keys: [{table: P, old: name, new: {column: id, type: int unsigned}, keep_old_lookup: true,"
    " references: [{table: R, old: p, new: p_id}]}]}]";

class Losses : public ServerTest {
 protected:
  void Keys(const std::string& charset = "utf8mb4") {
    Run(fmt::format("CREATE TABLE P(name varchar(40) NOT NULL PRIMARY KEY, v int) CHARACTER SET {}", charset));
    Run(fmt::format("CREATE TABLE R(rid int AUTO_INCREMENT PRIMARY KEY, p varchar(40) NULL, t varchar(40), KEY(p), FOREIGN KEY(p) REFERENCES P(name) ON UPDATE CASCADE) CHARACTER SET {}", charset));
    Run("CREATE TABLE seed(i int PRIMARY KEY)");
    Run("INSERT INTO seed WITH RECURSIVE s(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i < 399) SELECT i FROM s");
    Run("INSERT INTO P SELECT CONCAT('k', i), i FROM seed");
    Run("INSERT INTO R(p, t) SELECT CONCAT('k', i), CONCAT('k', i) FROM seed");
  }
  // One column migration of table T(id, …).
  static std::string Columns(const std::string& body) {
    return fmt::format("[{{name: ik, schema: cf_data, phase: observe, columns: [{{table: T, {}}}]}}]", body);
  }
  void Begin(const std::string& migrations) {
    config_ = Load(migrations, "chunk_rows: 20, backfill_idle_share: 0, backfill_workers: 1");
    ASSERT_EQ(config_->migrations.size(), 1u);
    ASSERT_OK(InstallControlSchema(*db_, *config_));
    ASSERT_OK(SyncDeclared(*db_, *config_));
    auto tables = LoadCatalog(*db_, config_->migrations);
    ASSERT_TRUE(tables.ok()) << tables.status();
    ASSERT_OK(RunAlters(*db_, *config_, "ik", ExpandDdl(config_->migrations[0], *tables)));
    Run("UPDATE cf_control.migrations SET phase = 'backfill'");
    Phase(config::Phase::kBackfill);
    application_ = std::make_unique<Connection>(Open());
    facts_.schema = kData;
  }
  void Phase(config::Phase phase) {
    auto tables = LoadCatalog(*db_, config_->migrations);
    ASSERT_TRUE(tables.ok()) << tables.status();
    rewrite::MigrationState state;
    state.spec = config_->migrations[0];
    state.phase = phase;
    static uint64_t epoch = 0;
    snapshot_ = rewrite::MakeSnapshot(++epoch, {state}, *std::move(tables));
  }
  // What a session of the proxy sends for it; `may_fail`: the server's error is the application's.
  void Application(const std::string& sql, bool may_fail = false) {
    const auto plan = planner_.PlanQuery(*snapshot_, facts_, sql);
    ASSERT_NE(plan->strategy, rewrite::Strategy::kRefuse) << sql << ": " << plan->reason;
    std::vector<uint64_t> keys;
    for (size_t i = 0; i < plan->key_slots.size(); ++i) keys.push_back(next_key_++);
    const auto text = plan->strategy == rewrite::Strategy::kUntouched ? absl::StatusOr<std::string>(sql)
                                                                      : rewrite::Render(*plan, facts_, snapshot_->catalog.dialect, sql, keys);
    ASSERT_TRUE(text.ok()) << text.status();
    const auto result = application_->Execute(*text);
    ASSERT_TRUE(result.ok() || may_fail) << *text << ": " << result.status();
  }
  // Rows of P that moved while there was no index on the new column; as before `verify`.
  void FillMoved() {
    auto tables = LoadCatalog(*db_, config_->migrations);
    ASSERT_TRUE(tables.ok()) << tables.status();
    ASSERT_OK(RunAlters(*db_, *config_, "ik", IndexDdl(config_->migrations[0], *tables)));
    auto copier = Copier::Make(*db_, *config_, config_->migrations[0]);
    ASSERT_TRUE(copier.ok()) << copier.status();
    Copier::Result result;
    int calls = 0;
    for (absl::StatusOr<bool> filled = false; !*filled; ++calls) {
      filled = (*copier)->FillMoved(&result);
      ASSERT_TRUE(filled.ok()) << filled.status();
      ASSERT_LT(calls, 100);
    }
  }
  // To its end; the application does something at each step.
  void CopyAll(const std::function<void(int)>& at_step = [](int) {}) {
    auto copier = Copier::Make(*db_, *config_, config_->migrations[0]);
    ASSERT_TRUE(copier.ok()) << copier.status();
    for (int step = 0; step < 20'000; ++step) {
      at_step(step);
      if (HasFatalFailure()) return;
      auto result = (*copier)->Step();
      ASSERT_TRUE(result.ok()) << result.status();
      if (result->complete) return;
    }
    FAIL() << "never complete";
  }
  void ExpectVerified(uint64_t at_least) {
    auto result = Verify(*db_, *config_, config_->migrations[0], false, nullptr);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->differences, 0u) << (result->examples.empty() ? "" : result->examples[0]);
    EXPECT_GE(result->rows_checked, at_least);
  }
  void ExpectReferences() {
    EXPECT_EQ(Value("SELECT COUNT(*) FROM R LEFT JOIN P ON P.name = R.p WHERE NOT (R.p_id <=> P.id)"), "0");
    EXPECT_EQ(Value("SELECT GROUP_CONCAT(name) FROM P WHERE id IS NULL"), "NULL");
    EXPECT_EQ(Value("SELECT COUNT(*) - COUNT(DISTINCT id) FROM P"), "0");
  }

  std::shared_ptr<const rewrite::Snapshot> snapshot_;
  rewrite::Planner planner_{100};
  rewrite::SessionFacts facts_;
  std::unique_ptr<Connection> application_;
  uint64_t next_key_ = 500'000;
};

// The trigger story of 2011: the copy read a row, the application changed it, the copy wrote what it had read.
TEST_P(Losses, AStaleSnapshotNeverGoesOverANewerRow) {
  Keys();
  Begin(kKeys);
  CopyAll([&](int step) {
    Application(fmt::format("UPDATE R SET p = 'k{}' WHERE rid IN ({}, {}, {})", step * 7 % 400, step * 13 % 400 + 1, 400 - step % 400, step * 20 % 400 + 1));
    if (step % 3 == 0) Application(fmt::format("UPDATE P SET name = 'n{}' WHERE name = 'k{}'", step, step * 11 % 400));
    if (step % 5 == 0) Application(fmt::format("REPLACE INTO P (name, v) VALUES ('k{}', {})", 390 + step % 10, step), true);
  });
  FillMoved();
  ExpectReferences();
  ExpectVerified(800);
}

// gh-ost 1636, 1526: rows that collide under a key that was not there before are swallowed.
TEST_P(Losses, ANewUniqueKeySwallowsNoRow) {
  Keys();
  Begin(kKeys);
  CopyAll();
  Run("ALTER TABLE P ADD UNIQUE KEY by_id (id)");
  Run("CREATE TABLE D LIKE P");
  Run("ALTER TABLE D DROP KEY by_id, DROP COLUMN id");
  Run("INSERT INTO D SELECT name, v FROM P");
  Phase(config::Phase::kVerify);
  for (int i = 0; i < 200; ++i) {
    const std::string key = fmt::format("k{}", 300 + i), more = fmt::format("m{}", i % 50);
    for (const std::string& sql : {fmt::format("INSERT IGNORE INTO % (name, v) VALUES ('{}', {}), ('{}', 1)", key, i, more),
                                  fmt::format("INSERT INTO % (name, v) VALUES ('{}', 1), ('{}', 2) ON DUPLICATE KEY UPDATE v = v + VALUES(v)", more, key)}) {
      std::string mine = sql, direct = sql;
      Application(mine.replace(mine.find('%'), 1, "P"));
      Run(direct.replace(direct.find('%'), 1, "D"));
    }
  }
  EXPECT_EQ(Value("SELECT COUNT(*) FROM P"), Value("SELECT COUNT(*) FROM D"));
  EXPECT_EQ(Value("SELECT COUNT(*) FROM P JOIN D USING (name) WHERE NOT (P.v <=> D.v)"), "0");
  ExpectReferences();
}

// gh-ost 1273: a column under a new name arrived as NULL.
TEST_P(Losses, ARenamedColumnIsNotNull) {
  Run("CREATE TABLE T(id int PRIMARY KEY, phone varchar(30) NOT NULL)");
  Run("INSERT INTO T WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 200) SELECT i, CONCAT('p', i) FROM s");
  Begin(Columns("old: [phone], new: {telephone: {type: varchar(30), from: phone}}, back: {phone: telephone}"));
  CopyAll([&](int step) {
    Application(fmt::format("INSERT INTO T VALUES ({}, 'x')", 1000 + step));
    Application(fmt::format("UPDATE T SET phone = 'y{}' WHERE id = {}", step, step % 200 + 1));
  });
  EXPECT_EQ(Value("SELECT COUNT(*) FROM T WHERE NOT (telephone <=> phone)"), "0");
  ExpectVerified(200);
}

// gh-ost 1568, 290: right in the copy, wrong in the live write.
TEST_P(Losses, TheLiveWriteHasTheCharacterSetOfTheCopy) {
  Keys();
  Run("CREATE TABLE T(id int PRIMARY KEY, a varchar(40) CHARACTER SET latin1, b varchar(40) CHARACTER SET utf8mb4)");
  Run("INSERT INTO T VALUES (1, 'größe', 'größe'), (2, '', ''), (3, NULL, NULL)");
  Run("INSERT INTO P VALUES ('größe', 1)");
  const struct { const char *charset, *text; } sessions[] = {{"utf8mb4", "\xc3\xa4\xe2\x82\xac"}, {"latin1", "\xe4\x80"}, {"gbk", "\xd5\x5c"}, {"sjis", "\x83\x5c"}};
  Begin(kKeys);
  int row = 0;
  CopyAll([&](int step) {
    if (step >= 8) return;
    const auto& session = sessions[step % 4];
    facts_.charset = session.charset;
    ASSERT_OK(StatusOf(application_->Execute(fmt::format("SET NAMES {}", session.charset))));
    Application(fmt::format("INSERT INTO P (name, v) VALUES ('{}{}', 1)", session.text, step));
    Application(fmt::format("INSERT INTO R (p) VALUES ('{}{}')", session.text, step));
    Application(fmt::format("UPDATE R SET p = '{}{}' WHERE rid = {}", session.text, step, 390 + ++row));
    Application(fmt::format("REPLACE INTO R (rid, p) VALUES (900, '{}{}')", session.text, step));
  });
  EXPECT_EQ(Value("SELECT COUNT(*) FROM R JOIN P ON P.name = R.p WHERE R.rid > 390 AND R.p NOT LIKE 'k%'"), "17");
  ExpectReferences();
  ExpectVerified(800);
}

TEST_P(Losses, AnExpressionHasTheCharacterSetOfTheCopy) {
  Run("CREATE TABLE T(id int PRIMARY KEY, a varchar(40) CHARACTER SET latin1 COLLATE latin1_swedish_ci)");
  Run("INSERT INTO T VALUES (1, 'größe'), (2, ''), (3, NULL)");
  Begin(Columns("old: [a], new: {b: {type: varchar(50) character set utf8mb4, from: \"CONCAT(a, '-ß')\"}}"));
  CopyAll([&](int step) {
    const bool latin = step % 2 == 0;
    facts_.charset = latin ? "latin1" : "utf8mb4";
    ASSERT_OK(StatusOf(application_->Execute(fmt::format("SET NAMES {}", facts_.charset))));
    Application(fmt::format("INSERT INTO T VALUES ({}, '{}')", 100 + step, latin ? "\xe4" : "\xc3\xa4"));
    Application(fmt::format("UPDATE T SET a = '{}' WHERE id = 1", latin ? "\xfc" : "\xc3\xbc"));
  });
  EXPECT_EQ(Value("SELECT COUNT(*) FROM T WHERE id >= 100 AND HEX(b) <> 'C3A42DC39F'"), "0");
  EXPECT_EQ(Value("SELECT HEX(b) FROM T WHERE id = 1"), "C3BC2DC39F");
  ExpectVerified(3);
}

// gh-ost 920: by its ordinal in one path, as text in the other.
TEST_P(Losses, AnEnumIsTheSameInBothPaths) {
  Run("CREATE TABLE T(id int PRIMARY KEY, e enum('2', '1', 'c') NULL, s set('x', 'y') NULL)");
  Run("INSERT INTO T VALUES (1, '1', 'x,y'), (2, '2', ''), (3, NULL, NULL), (4, 'c', 'y')");
  Begin(Columns("old: [e, s], new: {t: {type: varchar(20), from: \"CONCAT(e, '/', s)\"}}"));
  CopyAll([&](int step) {
    Application(fmt::format("INSERT INTO T VALUES ({}, '1', 'y')", 100 + 3 * step));
    Application(fmt::format("INSERT INTO T VALUES ({}, 1, 3)", 101 + 3 * step));
    Application(fmt::format("UPDATE T SET e = {} WHERE id = {}", step % 2 == 0 ? "'2'" : "2", 100 + 3 * step));
  });
  EXPECT_EQ(Value("SELECT COUNT(*) FROM T WHERE NOT (t <=> CONCAT(e, '/', s))"), "0");
  EXPECT_EQ(Value("SELECT t FROM T WHERE id = 101"), "2/x,y");
  EXPECT_EQ(Value("SELECT t FROM T WHERE id = 1"), "1/x,y");
  ExpectVerified(4);
}

// gh-ost 161: the copy's session has another time zone.
TEST_P(Losses, ATimeIsTheSameInEveryTimeZone) {
  Run("CREATE TABLE T(id int PRIMARY KEY, d datetime(3) NULL)");
  Run("INSERT INTO T VALUES (1, '2026-03-29 02:30:00.125'), (2, NULL)");
  Begin(Columns("old: [d], new: {u: {type: bigint, from: \"((TO_DAYS(d) * 24 + HOUR(d)) * 3600 + MINUTE(d) * 60 + SECOND(d)) * 1000000 + MICROSECOND(d)\"}}"));
  CopyAll([&](int step) {
    ASSERT_OK(StatusOf(application_->Execute(fmt::format("SET time_zone = '{}'", step % 2 == 0 ? "+09:00" : "-07:00"))));
    Application(fmt::format("INSERT INTO T VALUES ({}, NOW(3))", 100 + step));
    Application(fmt::format("INSERT INTO T VALUES ({}, '2026-03-29 02:30:00.125')", 200 + step));
  });
  EXPECT_EQ(Value("SELECT COUNT(DISTINCT u) FROM T WHERE d = '2026-03-29 02:30:00.125'"), "1");
  ExpectVerified(2);
}

// spirit 842: a decimal in a document became another number on the way through text.
TEST_P(Losses, ADocumentKeepsItsNumbers) {
  Run("CREATE TABLE T(id int PRIMARY KEY, doc json NULL)");
  const std::string document = R"({"a": 1.10, "b": 12345678901234567890.5, "c": [0.1, 1e2]})";
  Run(fmt::format("INSERT INTO T VALUES (1, '{}'), (2, NULL)", document));
  Begin(Columns("old: [doc], new: {copy: {type: json, from: doc}}, back: {doc: copy}"));
  CopyAll([&](int step) { Application(fmt::format("INSERT INTO T VALUES ({}, '{}')", 100 + step, document)); });
  EXPECT_EQ(Value("SELECT COUNT(*) FROM T WHERE NOT (CAST(doc AS CHAR) <=> CAST(copy AS CHAR))"), "0");
  EXPECT_EQ(Value("SELECT COUNT(DISTINCT CAST(copy AS CHAR)) FROM T"), "1");
  ExpectVerified(2);
}

// spirit 417: the value of the primary key changes while the copy walks along it.
TEST_P(Losses, ARowWhosePrimaryKeyChangesIsNotLeftBehind) {
  Keys();
  Begin(kKeys);
  CopyAll([&](int step) {
    Application(fmt::format("UPDATE R SET rid = rid - 100000 WHERE rid = {}", 400 - step % 400));
    Application(fmt::format("UPDATE P SET name = CONCAT('a', name) WHERE name = 'k{}'", 399 - step % 400));
  });
  FillMoved();
  ExpectReferences();
  ExpectVerified(800);
}

// gh-ost 1746: beyond 2^63 it came out negative.
TEST_P(Losses, LargeUnsignedNumbersStayPositive) {
  Run("CREATE TABLE T(id bigint unsigned PRIMARY KEY, n bigint unsigned NULL)");
  Run("INSERT INTO T VALUES (18446744073709551615, 18446744073709551615), (9223372036854775808, 9223372036854775808), (0, 0)");
  Begin(Columns("old: [n], new: {t: {type: varchar(20), from: \"CAST(n AS CHAR)\"}}"));
  CopyAll([&](int step) { Application(fmt::format("INSERT INTO T VALUES ({0}, {0})", 18446744073709551000ull + static_cast<uint64_t>(step))); });
  EXPECT_EQ(Value("SELECT t FROM T WHERE id = 18446744073709551615"), "18446744073709551615");
  EXPECT_EQ(Value("SELECT COUNT(*) FROM T WHERE NOT (CAST(t AS UNSIGNED) <=> n) OR t LIKE '-%' OR t IS NULL"), "0");
  ExpectVerified(3);
}

// pgroll 910: it had copied nothing, and nobody noticed.
TEST_P(Losses, ABackfillThatDidNothingIsNoticed) {
  Keys();
  Begin(kKeys);
  const auto nothing = Verify(*db_, *config_, config_->migrations[0], false, nullptr);
  ASSERT_TRUE(nothing.ok()) << nothing.status();
  EXPECT_EQ(nothing->differences, 800u);
  CopyAll();
  Run("UPDATE R SET p_id = NULL WHERE rid = 200");
  const auto one = Verify(*db_, *config_, config_->migrations[0], false, nullptr);
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_EQ(one->differences, 1u);
}

// Vitess 9715: keys that are equal under the collation are no difference.
TEST_P(Losses, ACollationMakesNoDifferences) {
  Keys("utf8mb4 COLLATE utf8mb4_unicode_ci");
  Run("INSERT INTO P VALUES ('Größe', 1), ('straße', 1)");
  Run("INSERT INTO R (p) VALUES ('grösse'), ('GRÖSSE'), ('GRÖßE'), ('STRAßE'), ('K7'), ('k7 ')");
  Begin(kKeys);
  CopyAll([&](int step) {
    if (step < 5) Application(fmt::format("INSERT INTO R (p) VALUES ('{}')", step % 2 == 0 ? "K8" : "GRÖßE"));
  });
  ExpectReferences();
  ExpectVerified(800);
}

ON_EACH_ENGINE(Losses);

}  // namespace
}  // namespace crossfade::backfill
