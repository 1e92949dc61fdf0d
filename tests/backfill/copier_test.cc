// SPDX-License-Identifier: Apache-2.0
// The backfill by itself: every kind of key, interruption at any point, rows that the application holds locked, and the
// comparison that finds what is wrong and mends it.
#include "backfill/copier.h"

#include "backfill/alter.h"
#include "backfill/catalog_loader.h"
#include "backfill/status.h"
#include "backfill/throttle.h"
#include "backfill/verifier.h"
#include "tests/backfill/workload.h"
#include "tests/servers/relay.h"

namespace crossfade::backfill {
namespace {

class Copy : public ServerTest {
 protected:
  void Begin(const std::string& migrations, const std::string& limits = "chunk_rows: 50, backfill_idle_share: 0, backfill_workers: 1") {
    config_ = Load(migrations, limits);
    ASSERT_OK(InstallControlSchema(*db_, *config_));
    ASSERT_OK(SyncDeclared(*db_, *config_));
    auto tables = LoadCatalog(*db_, config_->migrations);
    ASSERT_TRUE(tables.ok()) << tables.status();
    ASSERT_OK(RunAlters(*db_, *config_, "ik", ExpandDdl(config_->migrations[0], *tables)));
    Run("UPDATE cf_control.migrations SET phase = 'backfill'");
  }
  // Runs it until it is complete; connections that die are replaced.
  int CopyAll(const std::function<void(int)>& at_step = nullptr) {
    int lost = 0;
    for (int tries = 0; tries < 500; ++tries) {
      auto opened = Connection::Open(*config_);
      if (!opened.ok()) {  // killed before it was open
        EXPECT_TRUE(absl::IsUnavailable(opened.status())) << opened.status();
        ++lost;
        continue;
      }
      Connection connection = *std::move(opened);
      id_ = connection.thread_id();
      auto copier = Copier::Make(connection, *config_, config_->migrations[0]);
      for (int step = 0; copier.ok() && step < 100'000; ++step) {
        if (at_step != nullptr) at_step(step);
        auto result = (*copier)->Step();
        if (!result.ok()) {
          EXPECT_TRUE(absl::IsUnavailable(result.status()) || absl::IsAborted(result.status())) << result.status();
          break;
        }
        if (result->complete) return lost;
        if (!result->waiting_for.empty()) std::this_thread::sleep_for(result->rest);
      }
      ++lost;
    }
    ADD_FAILURE() << "never complete";
    return lost;
  }
  Verification Check(bool repair = false) {
    auto result = Verify(*db_, *config_, config_->migrations[0], repair, nullptr);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : Verification();
  }
  std::atomic<uint64_t> id_{0};
};

TEST_P(Copy, EveryKindOfKeyIsWalkedToItsEnd) {
  Run("CREATE TABLE P(code varchar(20) CHARACTER SET latin1 NOT NULL, a varbinary(8) NOT NULL, b bigint unsigned NOT NULL, c char(5) CHARACTER SET utf8mb4 NOT NULL,"
      " d datetime(3) NOT NULL, e decimal(10,2) NOT NULL, PRIMARY KEY(a, b, c, d, e), UNIQUE KEY code(code))");
  Run("CREATE TABLE seed(i int PRIMARY KEY)");
  Run("INSERT INTO seed WITH RECURSIVE s(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i < 999) SELECT i FROM s");
  Run("INSERT INTO P SELECT CONCAT(CHAR(228 USING latin1), i), UNHEX(LPAD(HEX(i MOD 7 * 40), 4, '0')), 18446744073709551615 - i MOD 11, CONVERT(CONCAT('\\'\\\\', i MOD 3) USING utf8mb4),"
      " '2026-01-01 00:00:00.125' + INTERVAL i MOD 5 SECOND, i / 4 FROM seed");
  Run("CREATE TABLE R(u binary(4) NOT NULL, p varchar(20) CHARACTER SET latin1 NULL, UNIQUE KEY u(u), KEY(p), FOREIGN KEY(p) REFERENCES P(code))");
  Run("INSERT INTO R SELECT UNHEX(LPAD(HEX(i * 7919), 8, '0')), IF(i MOD 4 = 0, NULL, CONCAT(CHAR(228 USING latin1), i)) FROM seed");
  Begin("[{name: ik, schema: cf_data, phase: observe, keys: [{table: P, old: code, new: {column: id, type: int unsigned}, references: [{table: R, old: p, new: pid}]}]}]");
  EXPECT_EQ(CopyAll(), 0);
  EXPECT_EQ(Value("SELECT COUNT(DISTINCT id) FROM P"), "1000");
  EXPECT_EQ(Value("SELECT COUNT(*) FROM R WHERE NOT (pid <=> (SELECT id FROM P WHERE code = p))"), "0");
  EXPECT_EQ(Value("SELECT COUNT(*) FROM R WHERE pid IS NULL"), "250");
  const Verification result = Check();
  EXPECT_EQ(result.rows_checked, 2000u);
  EXPECT_EQ(result.differences, 0u);
}

TEST_P(Copy, ATableThatRefersToItself) {
  Run("CREATE TABLE P(name varchar(10) NOT NULL PRIMARY KEY, boss varchar(10) NULL, KEY(boss), CONSTRAINT fk FOREIGN KEY(boss) REFERENCES P(name))");
  Run("INSERT INTO P VALUES ('a', NULL), ('b', 'a'), ('c', 'b'), ('d', 'd')");
  Begin("[{name: ik, schema: cf_data, phase: observe, keys: [{table: P, old: name, new: {column: id, type: int unsigned}, references: [{table: P, old: boss, new: boss_id}]}]}]");
  EXPECT_EQ(CopyAll(), 0);
  EXPECT_EQ(Value("SELECT COUNT(*) FROM P AS c LEFT JOIN P AS b ON b.name = c.boss WHERE NOT (c.boss_id <=> b.id)"), "0");
  EXPECT_EQ(Check().differences, 0u);
}

TEST_P(Copy, KilledAtAnyMomentItGoesOnWhereItWas) {
  for (const std::string& sql : ZooTables(2'000, 3)) Run(sql);
  Begin(kZoo);
  std::atomic<bool> stop{false};
  std::thread killer([&] {
    Connection own = Open();
    std::mt19937 random(7);
    for (int kills = 0; kills < 40 && !stop;) {
      std::this_thread::sleep_for(std::chrono::microseconds(2'000 + random() % 60'000));
      if (id_ != 0 && own.Execute(fmt::format("KILL {}", id_.exchange(0))).ok()) ++kills;
    }
  });
  const int lost = CopyAll();
  stop = true;
  killer.join();
  EXPECT_GT(lost, 0);
  EXPECT_EQ(Value("SELECT COUNT(DISTINCT id) FROM P"), "2000");
  EXPECT_EQ(Value("SELECT COUNT(*) FROM R WHERE p_id IS NULL"), "0");
  EXPECT_EQ(Check().differences, 0u);
}

TEST_P(Copy, LockedRowsHoldItUpWithoutADeadlock) {
  for (const std::string& sql : ZooTables(500, 1)) Run(sql);
  Begin(kZoo);
  Connection application = Open();
  ASSERT_OK(StatusOf(application.Execute("START TRANSACTION")));
  ASSERT_OK(StatusOf(application.Execute("UPDATE P SET v = 2 WHERE name = 'k499'")));
  Connection connection = Open();
  auto copier = Copier::Make(connection, *config_, config_->migrations[0]);
  ASSERT_TRUE(copier.ok()) << copier.status();
  bool held_up = false;
  for (int i = 0; i < 200 && !held_up; ++i) {
    auto result = (*copier)->Step();
    ASSERT_TRUE(result.ok()) << result.status();
    held_up = result->waiting_for.find("locked") != std::string::npos;
  }
  EXPECT_TRUE(held_up);
  // The application goes on to rows that the copy has touched: nothing is held that could close a circle.
  ASSERT_OK(StatusOf(application.Execute("UPDATE P SET v = 3 WHERE name <> 'k499'")));
  ASSERT_OK(StatusOf(application.Execute("COMMIT")));
  EXPECT_EQ(CopyAll(), 0);
  EXPECT_EQ(Value("SELECT COUNT(*) FROM P WHERE id IS NULL OR v IS NULL"), "0");
}

TEST_P(Copy, ReferencesWaitForTransactionsThatMayHaveMissedAKey) {
  for (const std::string& sql : ZooTables(100, 1)) Run(sql);
  Begin(kZoo);
  Connection application = Open();
  ASSERT_OK(StatusOf(application.Execute("START TRANSACTION")));
  // As a dual write does before the parent has its key: the new side stays empty.
  ASSERT_OK(StatusOf(application.Execute("INSERT INTO R(p, p_id, ptag) VALUES ('k7', (SELECT id FROM P AS cf WHERE cf.name = R.p LOCK IN SHARE MODE), 'k7')")));
  Connection connection = Open();
  auto copier = Copier::Make(connection, *config_, config_->migrations[0]);
  ASSERT_TRUE(copier.ok()) << copier.status();
  // Its parent row is share-locked until it ends; let it end only once the copy waits.
  bool committed = false;
  for (int i = 0; i < 2'000; ++i) {
    auto result = (*copier)->Step();
    ASSERT_TRUE(result.ok()) << result.status();
    if (result->complete) break;
    if (!result->waiting_for.empty()) {
      if (i > 20 && !committed) {
        ASSERT_OK(StatusOf(application.Execute("COMMIT")));
        committed = true;
      }
      std::this_thread::sleep_for(result->rest);
    }
  }
  EXPECT_TRUE(committed);
  EXPECT_EQ(Value("SELECT COUNT(*) FROM R WHERE p_id IS NULL"), "0");
}

TEST_P(Copy, RowsThatMoveBehindItAreFilledAtTheEnd) {
  Run("CREATE TABLE P(name varchar(10) NOT NULL PRIMARY KEY)");
  Run("CREATE TABLE R(rid int PRIMARY KEY, p varchar(10) NULL, q varchar(10) NULL, FOREIGN KEY(p) REFERENCES P(name) ON UPDATE CASCADE, FOREIGN KEY(q) REFERENCES P(name))");
  Run("INSERT INTO P WITH RECURSIVE s(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM s WHERE i < 499) SELECT CONCAT('n', i) FROM s");
  Run("INSERT INTO R SELECT SUBSTRING(name, 2), name, NULL FROM P");
  Begin("[{name: ik, schema: cf_data, phase: observe, keys: [{table: P, old: name, new: {column: id, type: int unsigned},"
        " references: [{table: R, old: p, new: pid}, {table: R, old: q, new: qid}]}]}]");
  CopyAll([&](int step) {
    if (step == 3) Run("UPDATE P SET name = CONCAT('a', name) WHERE name > 'n450'");
    if (Value("SELECT COUNT(*) FROM R WHERE pid IS NOT NULL AND rid > 0") != "0" && Value("SELECT COUNT(*) FROM R WHERE rid < 0") == "0") {
      Run("UPDATE R SET rid = -rid WHERE rid > 480");
    }
  });
  EXPECT_EQ(Value("SELECT COUNT(*) FROM P WHERE id IS NULL"), "49");
  EXPECT_EQ(Value("SELECT COUNT(*) FROM R WHERE pid IS NULL"), "49");  // of these 19 moved themselves
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
    ASSERT_LT(calls, 10);
  }
  EXPECT_EQ(Value("SELECT COUNT(DISTINCT id) FROM P"), "400");
  EXPECT_EQ(Check().differences, 0u);
}

// Its stale reference is not missing, and no UPDATE of the application's assigned it.
TEST_P(Copy, AStaleRowThatACascadeMovesIsFoundByTheNextPass) {
  Run("CREATE TABLE codes(code varchar(10) NOT NULL PRIMARY KEY)");
  Run("CREATE TABLE P(name varchar(10) NOT NULL PRIMARY KEY)");
  Run("CREATE TABLE R(code varchar(10) NOT NULL PRIMARY KEY, p varchar(10) NULL, FOREIGN KEY(p) REFERENCES P(name), FOREIGN KEY(code) REFERENCES codes(code) ON UPDATE CASCADE)");
  Run("INSERT INTO P WITH RECURSIVE s(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM s WHERE i < 499) SELECT CONCAT('n', i) FROM s");
  Run("INSERT INTO codes SELECT CONCAT('c', SUBSTRING(name, 2)) FROM P");
  Run("INSERT INTO R SELECT CONCAT('c', SUBSTRING(name, 2)), name FROM P");
  Begin("[{name: ik, schema: cf_data, phase: observe, keys: [{table: P, old: name, new: {column: id, type: int unsigned}, references: [{table: R, old: p, new: pid}]}]}]",
        "chunk_rows: 50, chunk_target: 1ms, backfill_idle_share: 0, backfill_workers: 1");
  CopyAll();
  Run("UPDATE R SET p = 'n100' WHERE code >= 'c480'");  // with dual writes off
  ASSERT_OK(RestartProgress(*db_, *config_, "ik"));
  bool moved = false;
  CopyAll([&](int) {
    if (moved || Value("SELECT COALESCE(MAX(w.last_key), '') FROM cf_control.backfill_workers AS w JOIN cf_control.backfill_progress AS p USING (migration, table_name, role, pass)"
                       " WHERE table_name = 'R' AND p.recompute = 1").empty()) return;
    Run("UPDATE codes SET code = CONCAT('a', code) WHERE code >= 'c490'");
    moved = true;
  });
  EXPECT_TRUE(moved);
  EXPECT_EQ(Check().differences, 0u);
}

TEST_P(Copy, VerificationFindsAndMends) {
  for (const std::string& sql : ZooTables(300, 2)) Run(sql);
  Begin(kZoo, "chunk_rows: 100, backfill_idle_share: 0, verify_chunk_rows: 70");
  EXPECT_EQ(CopyAll(), 0);
  EXPECT_EQ(Check().rows_checked, 900u);
  Run("UPDATE R SET p_id = p_id + 1 WHERE rid IN (3, 600)");
  Run("UPDATE R SET q_id = NULL WHERE q = 'k1' ORDER BY rid LIMIT 1");
  Run("UPDATE P SET id = NULL WHERE name = 'k299'");
  const Verification found = Check();
  EXPECT_GE(found.differences, 4u);
  EXPECT_EQ(found.repaired, 0u);
  ASSERT_FALSE(found.examples.empty());
  EXPECT_NE(found.examples.front().find("cf_data.P (name 'k299')"), std::string::npos) << found.examples.front();
  const Verification mended = Check(true);
  EXPECT_EQ(mended.differences, mended.repaired);
  EXPECT_EQ(Check().differences, 0u);
  EXPECT_EQ(Value("SELECT COUNT(DISTINCT id) FROM P"), "300");
}

TEST_P(Copy, WhoHoldsUpASchemaChangeIsNamed) {
  Run("CREATE TABLE P(name varchar(10) NOT NULL PRIMARY KEY)");
  Run("INSERT INTO P VALUES ('a')");
  ASSERT_OK(InstallControlSchema(*db_, *config_));
  if (IsMariaDb()) (void)db_->Execute("INSTALL SONAME 'metadata_lock_info'");
  // An older transaction elsewhere is not the one.
  Connection other = Open(), application = Open();
  Run("CREATE TABLE elsewhere(i int PRIMARY KEY)");
  ASSERT_OK(StatusOf(other.Execute("START TRANSACTION")));
  ASSERT_OK(StatusOf(other.Execute("INSERT INTO elsewhere VALUES (1)")));
  ASSERT_OK(StatusOf(application.Execute("START TRANSACTION")));
  ASSERT_OK(StatusOf(application.Query("SELECT * FROM P")));
  const bool told = db_->Query("SELECT 1 FROM information_schema.metadata_lock_info LIMIT 1").ok() || db_->Query("SELECT 1 FROM performance_schema.metadata_locks LIMIT 1").ok();
  const auto begin = std::chrono::steady_clock::now();
  const absl::Status status = RunAlter(*db_, *config_, "ik", {"cf_data", "P", {"ADD COLUMN n int NULL"}, "INSTANT"});
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(2'500));
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  const std::string message(status.message());
  if (told && Value("SELECT @@performance_schema") == "1") {
    EXPECT_NE(message.find(fmt::format("it is held by connection {} (root@", application.thread_id())), std::string::npos) << message;
    EXPECT_NE(message.find("idle in a transaction"), std::string::npos) << message;
  } else {
    EXPECT_NE(message.find("connection "), std::string::npos) << message;
  }
}

// ddl_lock_wait below a second: the application never stands behind a waiting ALTER for longer.
TEST_P(Copy, AnAlterWaitsForNoLongerThanItMay) {
  Run("CREATE TABLE P(name varchar(10) NOT NULL PRIMARY KEY)");
  Run("INSERT INTO P VALUES ('a')");
  ASSERT_OK(InstallControlSchema(*db_, *config_));
  for (const int limit : {80, 300, 1'500}) {
    SCOPED_TRACE(limit);
    const auto config = Load("[]", fmt::format("ddl_lock_wait: {}ms", limit));
    Connection holder = Open(), application = Open(), altering = Open();
    ASSERT_OK(StatusOf(holder.Execute("START TRANSACTION")));
    ASSERT_OK(StatusOf(holder.Query("SELECT * FROM P")));
    absl::Status status;
    std::chrono::milliseconds took{0}, stood{0};
    const auto since = [](std::chrono::steady_clock::time_point begin) {
      return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
    };
    std::thread alter([&] {
      const auto begin = std::chrono::steady_clock::now();
      status = RunAlter(altering, *config, "ik", {"cf_data", "P", {"ADD COLUMN n int NULL"}, "INSTANT"});
      took = since(begin);
    });
    for (int i = 0; i < 500 && Value("SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE 'Waiting for%lock'") == "0"; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_TRUE(application.Execute("UPDATE P SET name = name").ok());  // stands behind the ALTER
    stood = since(begin);
    alter.join();
    EXPECT_TRUE(absl::IsAborted(status)) << status;
    EXPECT_NE(status.message().find("is in use"), std::string::npos) << status;
    EXPECT_GE(took.count(), limit / 2);
    EXPECT_LT(took.count(), limit + 400);
    EXPECT_LT(stood.count(), limit + 150);
    EXPECT_GT(stood.count(), limit / 10);
    EXPECT_EQ(*altering.Query("SELECT 7")->rows[0][0], "7");  // the kill hit nothing but the ALTER
    ASSERT_OK(StatusOf(holder.Execute("COMMIT")));
    EXPECT_EQ(Value("SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'cf_data' AND table_name = 'P' AND column_name = 'n'"), "0");
  }
  ASSERT_OK(RunAlter(*db_, *Load("[]", "ddl_lock_wait: 80ms"), "ik", {"cf_data", "P", {"ADD COLUMN n int NULL"}, "INSTANT"}));
}

// A verification that died goes on where it last said it was.
TEST_P(Copy, VerificationGoesOnWhereItWas) {
  for (const std::string& sql : ZooTables(300, 3)) Run(sql);
  Begin(kZoo, "chunk_rows: 100, backfill_idle_share: 0, verify_chunk_rows: 50");
  EXPECT_EQ(CopyAll(), 0);
  Run("UPDATE P SET id = NULL WHERE name = 'k299'");
  Run("UPDATE R SET p_id = p_id + 1 WHERE rid = 890");
  const auto make = [&](Connection& connection, uint64_t since = 0) { return Verifier::Make(connection, *config_, config_->migrations[0], false, since); };
  const auto rows = [&] { return Value("SELECT rows_checked FROM cf_control.verifications ORDER BY id DESC LIMIT 1"); };
  std::string saved;
  {
    Connection connection = Open();
    auto verifier = make(connection);
    ASSERT_TRUE(verifier.ok()) << verifier.status();
    for (int i = 0; i < 1'000 && (rows() == "0" || (*verifier)->result().rows_checked < 350); ++i) ASSERT_OK(StatusOf((*verifier)->Step()));
    saved = rows();
    auto report = ReadStatus(*db_, *config_, "ik");
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_FALSE(report->migrations[0].verification.finished);
    EXPECT_NE(ToText(*report, 0).find("verification under way in R, "), std::string::npos) << ToText(*report, 0);
  }
  EXPECT_GE(std::stoul(saved), 300u);  // P, at the least
  // One that somebody asked for by hand begins anew, and does not take that one's place.
  EXPECT_EQ(Check().rows_checked, 1200u);
  Run("DELETE FROM cf_control.verifications WHERE finished IS NOT NULL");
  {
    auto verifier = make(*db_);
    ASSERT_TRUE(verifier.ok()) << verifier.status();
    EXPECT_EQ(std::to_string((*verifier)->result().rows_checked), saved);
    EXPECT_GE((*verifier)->result().differences, 1u);  // that of P
    absl::StatusOr<bool> done = false;
    for (int i = 0; i < 1'000 && done.ok() && !*done; ++i) done = (*verifier)->Step();
    ASSERT_TRUE(done.ok() && *done) << done.status();
    EXPECT_EQ((*verifier)->result().rows_checked, 1200u);
    EXPECT_EQ((*verifier)->result().examples.size(), (*verifier)->result().differences);
    EXPECT_EQ(Value("SELECT COUNT(*) FROM cf_control.verifications"), "1");
  }
  // What an earlier epoch began does not count: dual writes may have been off meanwhile.
  Run("UPDATE cf_control.verifications SET finished = NULL");
  EXPECT_EQ((*make(*db_, 1'000'000))->result().rows_checked, 0u);
}

TEST_P(Copy, OrphansAreToldFromFailedRows) {
  Run("CREATE TABLE P(name varchar(10) NOT NULL PRIMARY KEY)");
  Run("CREATE TABLE R(rid int PRIMARY KEY, p varchar(10) NULL, KEY(p))");
  Run("INSERT INTO P VALUES ('a'), ('b')");
  Run("INSERT INTO R VALUES (1, 'a'), (2, 'b'), (3, 'gone')");
  Begin("[{name: ik, schema: cf_data, phase: observe, keys: [{table: P, old: name, new: {column: id, type: int unsigned}, references: [{table: R, old: p, new: pid}]}]}]");
  CopyAll();
  Run("UPDATE R SET pid = pid + 7 WHERE rid = 1");
  const Verification result = Check(true);
  EXPECT_EQ(result.differences, 2u);
  EXPECT_EQ(result.repaired, 1u);
  EXPECT_EQ(result.orphans, 1u);
  ASSERT_EQ(result.examples.size(), 1u);
  EXPECT_NE(result.examples[0].find("cf_data.R (rid '3'): p 'gone', pid NULL, an orphan: P has no such row"), std::string::npos) << result.examples[0];
}

// Several workers, each on its own connection; all of them die now and then.
TEST_P(Copy, WorkersShareATableAndAnyOfThemMayDie) {
  for (const std::string& sql : ZooTables(4'000, 4)) Run(sql);
  Begin(kZoo, "chunk_rows: 50, chunk_target: 5ms, backfill_idle_share: 0, backfill_workers: 4");
  const uint64_t own_id = db_->thread_id();
  std::atomic<bool> stop{false};
  std::atomic<int> kills{0};
  std::thread killer([&] {
    Connection own = Open();
    std::mt19937 random(5);
    while (!stop && kills < 40) {
      std::this_thread::sleep_for(std::chrono::microseconds(10'000 + random() % 60'000));
      auto list = own.Query(fmt::format("SELECT id FROM information_schema.processlist WHERE user = 'root' AND id NOT IN ({}, CONNECTION_ID()) AND command <> 'Daemon'", own_id));
      if (!list.ok() || list->rows.empty()) continue;
      if (own.Execute("KILL " + *list->rows[random() % list->rows.size()][0]).ok()) ++kills;
    }
  });
  CopyAll();
  stop = true;
  killer.join();
  EXPECT_GT(kills, 3);
  EXPECT_EQ(Value("SELECT COUNT(DISTINCT id) FROM P"), "4000");
  EXPECT_EQ(Value("SELECT COUNT(*) FROM R WHERE p_id IS NULL"), "0");
  EXPECT_GT(std::stoi(Value("SELECT COUNT(DISTINCT worker) FROM cf_control.backfill_workers WHERE table_name = 'R' AND rows_done > 0")), 1);
  EXPECT_EQ(Check().differences, 0u);
}

// What a worker did beyond the mark is done again and changes nothing; what it changed counts, so that a pass over rows that may
// move is only the last one if nothing was changed in it.
TEST_P(Copy, AnotherNumberOfWorkersGoesOnFromTheMark) {
  for (const std::string& sql : ZooTables(2'000, 3)) Run(sql);
  for (const char* workers : {"3", "1", "5", "2"}) {
    Begin(kZoo, fmt::format("chunk_rows: 50, chunk_target: 2ms, backfill_idle_share: 0, backfill_workers: {}", workers));
    Connection connection = Open();
    auto copier = Copier::Make(connection, *config_, config_->migrations[0]);
    ASSERT_TRUE(copier.ok()) << copier.status();
    for (int i = 0; i < 12; ++i) ASSERT_OK(StatusOf((*copier)->Step()));
  }
  ASSERT_OK(RestartProgress(*db_, *config_, "ik"));
  Run("UPDATE R SET p_id = p_id + 1 WHERE rid % 7 = 0");
  CopyAll();
  EXPECT_EQ(Value("SELECT COUNT(*) FROM R LEFT JOIN P ON P.id = R.p_id WHERE NOT (P.tag <=> R.ptag)"), "0");
  EXPECT_EQ(Value("SELECT MIN(rows_changed) FROM cf_control.backfill_progress WHERE role = 'references'"), "0");
  EXPECT_EQ(Check().differences, 0u);
}

// chunk_target_beside is for a database that is near: where it is far away, a chunk lasts ten round trips, as they are measured.
TEST_P(Copy, BesideAnApplicationAChunkLastsTenRoundTrips) {
  Run("CREATE TABLE P(i int PRIMARY KEY, c char(20) NOT NULL)");
  Run("CREATE TABLE seed(i int PRIMARY KEY)");
  Run("INSERT INTO seed WITH RECURSIVE s(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i < 999) SELECT i FROM s");
  Run("INSERT INTO P SELECT a.i + 1000 * b.i, HEX(a.i) FROM seed a, seed b WHERE b.i < 200");
  const std::string migrations = "[{name: ik, schema: cf_data, phase: observe, columns: [{table: P, old: [c], new: {d: {type: int unsigned, from: 'CRC32(c)'}}}]}]";
  const std::string limits = "chunk_rows: 50, chunk_target_beside: 1ms, backfill_idle_share: 0, backfill_workers: 1";
  Begin(migrations, limits);
  auto relay = servers::Relay::Start(std::stoi(address_.substr(address_.find(':') + 1)));
  ASSERT_TRUE(relay.ok()) << relay.status();
  const std::jthread proxy([this, own = Open()](const std::stop_token& stop) mutable {
    while (!stop.stop_requested()) {
      EXPECT_TRUE(ReportLatency(own, *config_, "p", 1'000, 1'000, 5'000).ok());
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  });
  address_ = (*relay)->address();
  const auto far = Load(migrations, limits);
  Throttle throttle(*config_);
  auto connection = Connection::Open(*far);
  ASSERT_TRUE(connection.ok()) << connection.status();
  auto copier = Copier::Make(*connection, *far, far->migrations[0], &throttle);
  ASSERT_TRUE(copier.ok()) << copier.status();
  for (int i = 0; i < 1'000 && !throttle.application(); ++i) {
    throttle.Look();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(throttle.application());
  const auto copied = [&] { return std::stod(Value("SELECT COALESCE(SUM(rows_done), 0) FROM cf_control.backfill_workers")); };
  // The rows of the next chunks, on average.
  const auto rows = [&](int chunks) {
    const double before = copied();
    for (int i = 0; i < chunks && !HasFailure(); ++i) {
      throttle.Look();
      auto result = (*copier)->Step();
      EXPECT_TRUE(result.ok()) << result.status();
      EXPECT_FALSE(result.ok() && result->complete) << "its rows are at an end";
    }
    return (copied() - before) / chunks;
  };
  rows(30);
  const double near_by = rows(20);
  // A chunk's statements take some six of ten round trips of 10 ms; what is left is time for many rows.
  (*relay)->Delay(std::chrono::milliseconds(5));
  double far_away = 0;
  for (int i = 0; i < 30 && far_away < std::max(400.0, 3 * near_by); ++i) far_away = rows(5);
  EXPECT_GE(far_away, std::max(400.0, 3 * near_by)) << "near by " << near_by;
  (*relay)->Delay(std::chrono::milliseconds(0));
  double again = far_away;
  for (int i = 0; i < 30 && again > far_away / 2; ++i) again = rows(5);
  EXPECT_LE(again, far_away / 2) << "near by " << near_by;
  RecordProperty("rows", fmt::format("{} {} {}", near_by, far_away, again));
}

ON_EACH_ENGINE(Copy);

}  // namespace
}  // namespace crossfade::backfill
