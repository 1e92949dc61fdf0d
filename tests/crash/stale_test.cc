// SPDX-License-Identifier: Apache-2.0
// The stale copy. A copying procedure of 2011 read rows, was overtaken by the application, and wrote back what it had read. Here
// each row of a chunk is changed at every point between the chunk's start and its commit, and while the chunk's statement waits
// for that very row: the newer row always wins, and its new side is that of the newer row.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "backfill/alter.h"
#include "backfill/catalog_loader.h"
#include "backfill/copier.h"
#include "tests/backfill/workload.h"
#include "tests/crash/failpoint.h"

namespace crossfade::backfill {
namespace {

constexpr int kRows = 6;

struct Kind {
  const char* name;
  const char* table;
  const char* role;
  bool stale;  // the new side is wrong and is compared, else it is missing
};
constexpr Kind kKinds[] = {{"keys", "P", "keys", false},
                           {"references", "R", "references", false},
                           {"stale references", "R", "references", true},
                           {"columns", "C", "columns", false},
                           {"stale columns", "C", "columns", true}};
constexpr const char* kPoints[] = {"chunk.begin", "chunk.reserved", "chunk.locked", "chunk.filled", "chunk.checkpoint", "chunk.committed"};

class Stale : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (HasFatalFailure()) return;
    Run("CREATE TABLE P(name varchar(20) NOT NULL PRIMARY KEY, tag int NOT NULL, UNIQUE KEY tag(tag))");
    Run("CREATE TABLE R(rid int PRIMARY KEY, p varchar(20) NULL, FOREIGN KEY(p) REFERENCES P(name) ON UPDATE CASCADE)");
    Run("CREATE TABLE C(cid int PRIMARY KEY, phone varchar(30) NULL)");
    config_ = Load("[{name: ik, schema: cf_data, phase: observe, keys: [{table: P, old: name, new: {column: id, type: int unsigned},"
                   " references: [{table: R, old: p, new: p_id}]}], columns: [{table: C, old: [phone], new: {digits: {type: bigint unsigned, from: \"" +
                       fmt::format(fmt::runtime(kDigitsOf), "phone") + "\"}}}]}]",
                   "backfill_idle_share: 0, backfill_workers: 1, chunk_rows: 50, key_block: 10");
    ASSERT_OK(InstallControlSchema(*db_, *config_));
    ASSERT_OK(SyncDeclared(*db_, *config_));
    auto tables = LoadCatalog(*db_, config_->migrations);
    ASSERT_TRUE(tables.ok()) << tables.status();
    ASSERT_OK(RunAlters(*db_, *config_, "ik", ExpandDdl(config_->migrations[0], *tables)));
    ASSERT_OK(PrepareProgress(*db_, *config_, config_->migrations[0]));
  }
  void TearDown() override { SetFailpointHandler(nullptr); }

  // All is filled but the table of `kind`.
  void Reset(const Kind& kind) {
    for (const char* table : {"R", "P", "C"}) Run(fmt::format("DELETE FROM {}", table));
    for (int i = 1; i <= kRows; ++i) {
      Run(fmt::format("INSERT INTO P(name, tag, id) VALUES ('k{0}', {0}, {1})", i, std::string_view(kind.role) == "keys" ? "NULL" : std::to_string(1000 + i)));
      Run(fmt::format("INSERT INTO R(rid, p, p_id) VALUES ({0}, 'k{0}', {1})", i, kind.stale ? "7" : "NULL"));
      Run(fmt::format("INSERT INTO C(cid, phone, digits) VALUES ({0}, '+{0}', {1})", i, kind.stale ? "7" : "NULL"));
    }
    Run("DELETE FROM cf_control.backfill_workers");
    Run(fmt::format("UPDATE cf_control.backfill_progress SET complete = table_name <> '{}' OR role <> '{}', last_key = NULL, seq = 0, pass = pass + 1, recompute = {}", kind.table,
                    kind.role, kind.stale ? 1 : 0));
  }
  // A dual write, as of `backfill`. Every other row becomes NULL.
  static std::string Change(const Kind& kind, int row) {
    if (std::string_view(kind.table) == "P") return fmt::format("UPDATE P SET name = 'new{0}' WHERE tag = {0}", row);
    if (std::string_view(kind.table) == "C") {
      return fmt::format("UPDATE C SET phone = {}, digits = {} WHERE cid = {}", NewPhone(row), fmt::format(fmt::runtime(kDigitsOf), "phone"), row);
    }
    return fmt::format("UPDATE R SET p_id = IF(p <=> {0}, p_id, 0), p = {0}, p_id = IF(p_id = 0 OR p_id IS NULL, (SELECT cf.id FROM P AS cf WHERE cf.name = R.p LOCK IN SHARE MODE), p_id)"
                       " WHERE rid = {1}", NewParent(row), row);
  }
  static std::string NewPhone(int row) { return row % 2 == 0 ? "NULL" : fmt::format("'(9) 00-{}'", row); }
  static std::string NewParent(int row) { return row % 2 == 0 ? "NULL" : fmt::format("'k{}'", row % kRows + 1); }

  void Judge(const Kind& kind, int row) {
    if (std::string_view(kind.table) == "C") {
      EXPECT_EQ(Value("SELECT COUNT(*) FROM C WHERE NOT (digits <=> " + fmt::format(fmt::runtime(kDigitsOf), "phone") + ")"), "0");
      EXPECT_EQ(Value(fmt::format("SELECT phone <=> {} FROM C WHERE cid = {}", NewPhone(row), row)), "1");
      EXPECT_EQ(Value("SELECT COUNT(*) FROM C"), std::to_string(kRows));
    } else if (std::string_view(kind.table) == "R") {
      EXPECT_EQ(Value("SELECT COUNT(*) FROM R LEFT JOIN P ON P.name = R.p WHERE NOT (R.p_id <=> P.id)"), "0");
      EXPECT_EQ(Value(fmt::format("SELECT p <=> {} FROM R WHERE rid = {}", NewParent(row), row)), "1");
      EXPECT_EQ(Value("SELECT COUNT(*) FROM R"), std::to_string(kRows));
    } else {
      EXPECT_EQ(Value(fmt::format("SELECT name FROM P WHERE tag = {}", row)), fmt::format("new{}", row));
      EXPECT_EQ(Value("SELECT COUNT(DISTINCT id) FROM P"), std::to_string(kRows));
      EXPECT_EQ(Value(fmt::format("SELECT p FROM R WHERE rid = {}", row)), fmt::format("new{}", row));
    }
  }
  void CopyAll(Connection* connection) {
    auto copier = Copier::Make(*connection, *config_, config_->migrations[0]);
    ASSERT_TRUE(copier.ok()) << copier.status();
    for (int i = 0; i < 10'000; ++i) {
      auto result = (*copier)->Step();
      ASSERT_TRUE(result.ok()) << result.status();
      if (result->complete) return;
      std::this_thread::sleep_for(result->rest);
    }
    FAIL() << "never complete";
  }
};

TEST_P(Stale, TheNewerRowWinsAtEveryPointOfAChunk) {
  Connection application = Open(), copying = Open();
  for (const Kind& kind : kKinds) {
    for (const char* point : kPoints) {
      if (std::string_view(point) == "chunk.reserved" && std::string_view(kind.role) != "keys") continue;
      for (int row = 1; row <= kRows; ++row) {
        SCOPED_TRACE(fmt::format("{}, row {} changed at {}", kind.name, row, point));
        ASSERT_NO_FATAL_FAILURE(Reset(kind));
        std::thread writer;
        std::atomic<bool> written{false};
        SetFailpointHandler([&](const std::string& name, const std::string&) {
          if (name != point || writer.joinable()) return;
          writer = std::thread([&] {
            absl::StatusOr<uint64_t> done = uint64_t{0};
            do {
              done = application.Execute(Change(kind, row));
            } while (ServerError(done.status()) == 1213);
            EXPECT_TRUE(done.ok()) << done.status();
            EXPECT_EQ(done.ok() ? *done : 0, 1u);
            written = true;
          });
          // It is through, or waits for the chunk's locks.
          for (int i = 0; i < 15 && !written; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(2));
        });
        CopyAll(&copying);
        ASSERT_TRUE(writer.joinable());
        writer.join();
        SetFailpointHandler(nullptr);
        Judge(kind, row);
        if (HasFailure()) return;
      }
    }
  }
}

// The chunk's statement itself stands still in the middle of its rows, at one that the application has changed and not yet committed.
TEST_P(Stale, TheNewerRowWinsWhileTheStatementWaitsForIt) {
  Connection application = Open(), copying = Open();
  for (const Kind& kind : kKinds) {
    for (const int row : {1, 3, kRows}) {
      for (const bool commits : {true, false}) {
        SCOPED_TRACE(fmt::format("{}, row {}{}", kind.name, row, commits ? "" : ", rolled back"));
        ASSERT_NO_FATAL_FAILURE(Reset(kind));
        std::atomic<int> tries{0};
        // Not before: the pass over references waits for transactions that were open before it.
        SetFailpointHandler([&](const std::string& name, const std::string&) {
          if (name != "chunk.begin" || ++tries != 1) return;
          EXPECT_TRUE(application.Execute("START TRANSACTION").ok());
          EXPECT_TRUE(application.Execute(Change(kind, row)).ok());
        });
        std::atomic<bool> over{false};
        std::thread copy([&] {
          CopyAll(&copying);
          over = true;
        });
        while (tries < (commits ? 9 : 2) && !over) std::this_thread::sleep_for(std::chrono::milliseconds(2));  // the ninth waits
        std::this_thread::sleep_for(std::chrono::milliseconds(80));
        EXPECT_LE(tries, commits ? 10 : 9);
        ASSERT_OK(StatusOf(application.Execute(commits ? "COMMIT" : "ROLLBACK")));
        copy.join();
        SetFailpointHandler(nullptr);
        if (!commits) ASSERT_OK(StatusOf(application.Execute(Change(kind, row))));
        Judge(kind, row);
        if (HasFailure()) return;
      }
    }
  }
}

ON_EACH_ENGINE(Stale);

}  // namespace
}  // namespace crossfade::backfill
