// SPDX-License-Identifier: Apache-2.0
// The control schema on real servers: declared and desired phases, leases, key blocks, digests.
#include "backfill/control.h"

#include <chrono>
#include <thread>

#include "backfill/catalog_loader.h"
#include "backfill/fence.h"
#include "backfill/store.h"
#include "tests/backfill/fixture.h"

namespace crossfade::backfill {
namespace {

using config::Phase;

constexpr char kKeys[] =
    "[{name: ik, schema: cf_data, phase: %s, keys: [{table: P, old: name, new: {column: id, type: int unsigned},"
    " references: [{table: R, old: p, new: p_id}]}]}]";

std::string Keys(const std::string& phase) {
  std::string text = kKeys;
  return text.replace(text.find("%s"), 2, phase);
}

class Control : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (HasFatalFailure()) return;
    config_ = Load(Keys("observe"));
    ASSERT_OK(InstallControlSchema(*db_, *config_));
  }
  MigrationRow Only() {
    auto state = ReadState(*db_, *config_);
    EXPECT_TRUE(state.ok()) << state.status();
    if (!state.ok() || state->migrations.size() != 1) return {};
    return state->migrations[0];
  }
};

TEST_P(Control, InstallsTwiceAndRefusesANewerVersion) {
  ASSERT_OK(InstallControlSchema(*db_, *config_));
  EXPECT_EQ(Value("SELECT epoch FROM cf_control.state"), "1");
  Run("UPDATE cf_control.state SET version = 99");
  EXPECT_TRUE(absl::IsFailedPrecondition(InstallControlSchema(*db_, *config_)));
}

TEST_P(Control, TheFileSetsThePhaseOnlyWhenItChanged) {
  ASSERT_OK(SyncDeclared(*db_, *config_));
  EXPECT_EQ(Only().phase, Phase::kObserve);
  EXPECT_EQ(Only().desired, Phase::kObserve);
  ASSERT_OK(SetDesired(*db_, *config_, "ik", Phase::kVerify, std::nullopt, false));
  ASSERT_OK(SyncDeclared(*db_, *config_));  // the file says what it said before
  EXPECT_EQ(Only().desired, Phase::kVerify);
  config_ = Load(Keys("backfill"));
  ASSERT_OK(SyncDeclared(*db_, *config_));
  EXPECT_EQ(Only().desired, Phase::kBackfill);
  EXPECT_FALSE(Only().confirmed);
  config_ = Load(Keys("retire"));
  ASSERT_OK(SyncDeclared(*db_, *config_));
  EXPECT_EQ(Only().desired, Phase::kRetire);
  EXPECT_TRUE(Only().confirmed);
}

TEST_P(Control, RequestsThatCannotBeMetAreRefused) {
  ASSERT_OK(SyncDeclared(*db_, *config_));
  EXPECT_TRUE(absl::IsNotFound(SetDesired(*db_, *config_, "none", Phase::kExpand, std::nullopt, false)));
  EXPECT_TRUE(absl::IsFailedPrecondition(SetDesired(*db_, *config_, "ik", Phase::kRetire, std::nullopt, false)));
  EXPECT_TRUE(absl::IsInvalidArgument(SetDesired(*db_, *config_, "ik", Phase::kCutover, 101, false)));
  Run("UPDATE cf_control.migrations SET phase = 'retire'");
  EXPECT_TRUE(absl::IsFailedPrecondition(SetDesired(*db_, *config_, "ik", Phase::kVerify, std::nullopt, false)));
  ASSERT_OK(SetDesired(*db_, *config_, "ik", Phase::kContract, std::nullopt, true));
  ASSERT_OK(SetPaused(*db_, *config_, "ik", true));
  EXPECT_TRUE(Only().paused);
  EXPECT_TRUE(absl::IsNotFound(SetPaused(*db_, *config_, "none", true)));
}

TEST_P(Control, ADescriptionUnderWayCannotChange) {
  ASSERT_OK(SyncDeclared(*db_, *config_));
  std::string other = Keys("observe");
  other.replace(other.find("p_id"), 4, "q_id");
  const auto changed = Load(other);
  ASSERT_OK(SyncDeclared(*db_, *changed));
  Run("UPDATE cf_control.migrations SET phase = 'backfill'");
  EXPECT_TRUE(absl::IsFailedPrecondition(SyncDeclared(*db_, *config_)));
}

TEST_P(Control, AnEpochChangesOnlyWhenAllLiveProxiesAreThere) {
  ASSERT_OK(SyncDeclared(*db_, *config_));
  const uint64_t epoch = ReadState(*db_, *config_)->epoch;
  ASSERT_OK(RenewLease(*db_, *config_, "a", "here", epoch, epoch).status());
  ASSERT_OK(RenewLease(*db_, *config_, "b", "there", epoch, epoch - 1).status());
  EXPECT_TRUE(absl::IsAborted(ChangeEpoch(*db_, *config_, epoch, "ik", {.assignments = "phase = 'expand'"})));
  EXPECT_EQ(Only().phase, Phase::kObserve);
  Run("UPDATE cf_control.proxies SET expires = UTC_TIMESTAMP(6) WHERE id = 'b'");  // b is dead
  ASSERT_EQ(ReadProxies(*db_, *config_)->size(), 2u);
  EXPECT_FALSE(ReadProxies(*db_, *config_)->at(1).alive);
  ASSERT_OK(ChangeEpoch(*db_, *config_, epoch, "ik", {.assignments = "phase = 'expand'"}));
  EXPECT_EQ(Only().phase, Phase::kExpand);
  EXPECT_EQ(ReadState(*db_, *config_)->epoch, epoch + 1);
  EXPECT_EQ(Only().changed_epoch, epoch + 1);
  EXPECT_TRUE(absl::IsAborted(ChangeEpoch(*db_, *config_, epoch, "ik", {.assignments = "phase = 'observe'"})));  // of a stale view
  // Whoever was not waited for is told so, once, and where the others are now.
  const auto late = RenewLease(*db_, *config_, "b", "there", epoch, epoch - 1), next = RenewLease(*db_, *config_, "b", "there", epoch, epoch - 1);
  ASSERT_TRUE(late.ok() && next.ok());
  EXPECT_FALSE(late->unbroken);
  EXPECT_EQ(late->epoch, epoch + 1);
  EXPECT_TRUE(next->unbroken);
  ASSERT_OK(EndLease(*db_, *config_, "a"));
  EXPECT_EQ(ReadProxies(*db_, *config_)->size(), 1u);
}

// After a restart of the server an id comes again. Whoever still looks after the one before must not take the row of the later one
// away: it would write without a fence. (Seen: the old and the new side differed after a server's restart under load.)
TEST_P(Control, TheRowOfAnIdThatCameAgainStays) {
  ASSERT_OK(RenewLease(*db_, *config_, "a", "here", 1, 1).status());
  EXPECT_TRUE(RegisterConnections(*db_, *config_, "a", {{50, "before:1"}, {51, "other:1"}}).value_or(false));
  EXPECT_TRUE(RegisterConnections(*db_, *config_, "a", {{50, "after:1"}}).value_or(false));
  ASSERT_OK(ForgetConnections(*db_, *config_, "a", {{50, "before:1"}, {51, "other:1"}}));
  EXPECT_EQ(Value("SELECT GROUP_CONCAT(connection_id, ' ', host) FROM cf_control.connections"), "50 after:1");
  ASSERT_OK(ForgetConnections(*db_, *config_, "a", {{50, "after:1"}}));
  EXPECT_EQ(Value("SELECT COUNT(*) FROM cf_control.connections"), "0");
  Run("UPDATE cf_control.proxies SET fenced = 1");
  EXPECT_FALSE(RegisterConnections(*db_, *config_, "a", {{50, "again:1"}}).value_or(true));
  EXPECT_EQ(Value("SELECT COUNT(*) FROM cf_control.connections"), "0");
}

TEST_P(Control, AVictimOfADeadlockIsRunAgain) {
  Run("CREATE TABLE cf_data.locks (id int PRIMARY KEY, n int NOT NULL)");
  Run("INSERT INTO cf_data.locks VALUES (1, 0), (2, 0), (3, 0), (4, 0), (5, 0)");
  auto other = Connection::Open(*config_);
  ASSERT_OK(other.status());
  // It has changed more rows, so that it is not the victim.
  ASSERT_OK(other->Execute("START TRANSACTION").status());
  ASSERT_OK(other->Execute("UPDATE cf_data.locks SET n = n + 1 WHERE id <> 2").status());
  std::thread waits;
  int runs = 0;
  const absl::Status status = Retried([&] {
    return InTransaction(*db_, [&]() -> absl::Status {
      absl::Status mine = db_->Execute("UPDATE cf_data.locks SET n = n + 10 WHERE id = 2").status();
      if (!mine.ok()) return mine;
      if (++runs == 1) {
        waits = std::thread([&] {
          EXPECT_TRUE(other->Execute("UPDATE cf_data.locks SET n = n + 1 WHERE id = 2").ok());
          EXPECT_TRUE(other->Execute("COMMIT").ok());
        });
        do {  // what is asked for more often than every 100 ms is answered from a cache
          std::this_thread::sleep_for(std::chrono::milliseconds(150));
        } while (Value("SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'") == "0");
      }
      return db_->Execute("UPDATE cf_data.locks SET n = n + 10 WHERE id = 1").status();
    });
  });
  waits.join();
  ASSERT_OK(status);
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(Value("SELECT GROUP_CONCAT(n ORDER BY id) FROM cf_data.locks"), "11,11,1,1,1");
  runs = 0;
  EXPECT_EQ(ServerError(Retried([&] {
              ++runs;
              return db_->Execute("SELECT * FROM cf_data.nothing").status();
            })), 1146u);
  EXPECT_EQ(runs, 1);
}

TEST_P(Control, KeyBlocksNeverOverlapAndKeepToTheType) {
  auto other = Open();
  EXPECT_EQ(*ReserveKeys(*db_, *config_, "ik", "P", 100), 1u);
  EXPECT_EQ(*ReserveKeys(other, *config_, "ik", "P", 1), 101u);
  EXPECT_EQ(*ReserveKeys(*db_, *config_, "ik", "P", 5), 102u);
  EXPECT_EQ(*ReserveKeys(*db_, *config_, "ik", "Q", 5), 1u);
  Run("UPDATE cf_control.allocators SET next = 4294967290");
  EXPECT_EQ(*ReserveKeys(*db_, *config_, "ik", "P", 6), 4294967290u);
  EXPECT_TRUE(absl::IsResourceExhausted(ReserveKeys(*db_, *config_, "ik", "P", 1).status()));
  // The last of a type come in parts, each an eighth of what is left.
  Run("UPDATE cf_control.allocators SET next = 4294967296 - 80");
  uint64_t granted = 0;
  EXPECT_TRUE(absl::IsResourceExhausted(ReserveKeys(*db_, *config_, "ik", "P", 1000).status()));
  EXPECT_EQ(*ReserveKeys(*db_, *config_, "ik", "P", 1000, &granted), 4294967216u);
  EXPECT_EQ(granted, 10u);
  EXPECT_EQ(*ReserveKeys(other, *config_, "ik", "P", 1000, &granted), 4294967226u);
  EXPECT_EQ(granted, 8u);
  EXPECT_EQ(*ReserveKeys(*db_, *config_, "ik", "P", 62, &granted), 4294967234u);
  EXPECT_EQ(granted, 62u);
  EXPECT_TRUE(absl::IsResourceExhausted(ReserveKeys(*db_, *config_, "ik", "P", 1, &granted).status()));
}

TEST_P(Control, DigestsAddUp) {
  DigestRow row{"ik", "select ' from P", "C", "ik: why", "app", 3};
  ASSERT_OK(ReportDigests(*db_, *config_, {row, row}));
  EXPECT_EQ(Value("SELECT count FROM cf_control.digests"), "6");
  EXPECT_EQ(Value("SELECT digest FROM cf_control.digests"), row.digest);
}

TEST_P(Control, TheCatalogIsWhatTheTablesAre) {
  Run("CREATE TABLE P(name varchar(20) CHARACTER SET latin1 NOT NULL PRIMARY KEY, hidden int NULL INVISIBLE, g int AS (hidden + 1) VIRTUAL,"
      " u bigint unsigned NOT NULL DEFAULT 5, UNIQUE KEY uu(u, name(3)))");
  Run("CREATE TABLE R(id int AUTO_INCREMENT PRIMARY KEY, p varchar(20) CHARACTER SET latin1 NULL, KEY kp(p),"
      " CONSTRAINT fk FOREIGN KEY(p) REFERENCES P(name) ON UPDATE CASCADE ON DELETE CASCADE)");
  auto catalog = LoadCatalog(*db_, config_->migrations);
  ASSERT_TRUE(catalog.ok()) << catalog.status();
  EXPECT_EQ(catalog->dialect.flavor, IsMariaDb() ? rewrite::Flavor::kMariaDb : rewrite::Flavor::kMySql);
  EXPECT_GE(catalog->dialect.version, 80029u);
  ASSERT_EQ(catalog->tables.size(), 2u);
  const rewrite::Table& p = catalog->tables[0];
  ASSERT_EQ(p.columns.size(), 4u);
  EXPECT_EQ(p.columns[0].charset, "latin1");
  EXPECT_EQ(p.columns[0].type_class, rewrite::TypeClass::kString);
  EXPECT_FALSE(p.columns[0].nullable);
  EXPECT_TRUE(p.columns[1].invisible && p.columns[1].nullable && !p.columns[1].has_default);
  EXPECT_TRUE(p.columns[2].generated);
  EXPECT_TRUE(p.columns[3].has_default);
  ASSERT_EQ(p.indexes.size(), 2u);
  EXPECT_EQ(p.indexes[0].name, "PRIMARY");
  EXPECT_EQ(p.indexes[1].columns, (std::vector<std::string>{"u", "name(3)"}));
  const rewrite::Table& r = catalog->tables[1];
  EXPECT_TRUE(r.columns[0].auto_increment);
  ASSERT_EQ(r.foreign_keys.size(), 1u);
  EXPECT_EQ(r.foreign_keys[0].ref_table, "P");
  EXPECT_EQ(r.foreign_keys[0].on_delete, "CASCADE");
}

TEST_P(Control, ErrorsKeepTheServersNumber) {
  auto missing = db_->Query("SELECT * FROM cf_data.none");
  EXPECT_EQ(ServerError(missing.status()), 1146u);
  auto victim = Open();
  Run(fmt::format("KILL {}", victim.thread_id()));
  auto gone = victim.Query("SELECT 1");
  if (gone.ok()) gone = victim.Query("SELECT 1");
  EXPECT_TRUE(absl::IsUnavailable(gone.status())) << gone.status();
}

ON_EACH_ENGINE(Control);

}  // namespace
}  // namespace crossfade::backfill
