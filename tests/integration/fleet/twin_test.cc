// SPDX-License-Identifier: Apache-2.0
// Three proxies under a load that checks itself, while phases go up and down at random, proxies are killed, stopped and
// started, the network between a proxy and the server is cut and held, and the server restarts. At the end nothing diverges and
// new = f(old). About half a minute; with CROSSFADE_LONG an hour on each engine, and at least 500 changes of phase.
#include <array>

#include "tests/integration/fleet/fixture.h"
#include "tests/servers/relay.h"

namespace crossfade::fleet {
namespace {

constexpr int kProxies = 3;
constexpr char kLimits[] =
    "  chunk_rows: 100\n  key_block: 100\n  control_poll: 50ms\n  lease: 1s\n  hold_limit: 1s\n  backfill_idle_share: 0.5\n  verify_chunk_rows: 2000\n";
constexpr char kCompare[] = "    compare_reads: {share: 20, mismatch_limit: 50}\n";

class Fleet : public ShopFixture {
 protected:
  struct Member {
    std::unique_ptr<servers::Relay> relay;
    CrossfadeProcess* proxy = nullptr;
    bool stopped = false, apart = false;
    Clock::time_point until;  // … then it is well again
  };

  void SetUp() override {
    const char* seed = getenv("CROSSFADE_SEED");
    seed_ = seed != nullptr ? std::strtoull(seed, nullptr, 10) : static_cast<uint64_t>(time(nullptr));
    fmt::print("CROSSFADE_SEED={}\n", seed_);
    StartServer();
    for (Member& member : members_) {
      auto relay = servers::Relay::Start(server_->port());
      ASSERT_TRUE(relay.ok()) << relay.status();
      member.relay = *std::move(relay);
      member.proxy = Proxy({.backend = member.relay->address(), .migrations = walk::ShopMigration() + kCompare, .limits = kLimits});
      ASSERT_NE(member.proxy, nullptr);
    }
  }

  void Well(Member& member) {
    if (member.stopped) member.proxy->Signal(SIGCONT);
    if (member.apart) member.relay->Join();
    member.stopped = member.apart = false;
    if (member.proxy->running()) return;
    const absl::Status status = member.proxy->StartAgain();
    EXPECT_TRUE(status.ok()) << status;
  }

  // Something happens to one of them, for a while.
  void Trouble(twin::Random& random) {
    Member& member = members_[random.Below(kProxies)];
    if (member.until > Clock::now()) return;
    member.until = Clock::now() + milliseconds(random.Between(50, 4000));
    switch (random.Below(5)) {
      case 0: member.proxy->Kill(); break;
      case 1: case 2:
        member.proxy->Signal(SIGSTOP);
        member.stopped = true;
        break;
      case 3:
        member.relay->Cut();
        member.apart = true;
        break;
      default:
        member.relay->Hold();
        member.apart = true;
    }
    ++troubles_;
  }

  // Asks for a phase, by the file of whichever proxy: the database takes it.
  void Ask(twin::Random& random) {
    static constexpr const char* kPhases[] = {"expand", "dual_write", "backfill", "verify", "verify", "cutover", "cutover", "cutover"};
    const std::string phase = kPhases[random.Below(std::size(kPhases))];
    auto direct = Client::Connect({.port = server_->port()});
    if (!direct.ok()) return;
    (void)direct->Query(fmt::format("UPDATE crossfade.migrations SET desired = '{}', desired_percent = {} WHERE phase < 'x'", phase,
                                    phase == "cutover" ? random.Between(0, 100) : 0));
  }

  std::array<Member, kProxies> members_;
  uint64_t seed_ = 1, troubles_ = 0;
};

TEST_P(Fleet, NothingDivergesWhateverHappens) {
  const bool whole = getenv("CROSSFADE_LONG") != nullptr;
  const char* given = getenv("CROSSFADE_SECONDS");
  const auto length = given != nullptr ? seconds(std::atoi(given)) : whole ? seconds(3600) : seconds(30);
  walk::LoadOptions options{.direct_port = server_->port(), .seed = seed_, .drops = 5};
  for (const Member& member : members_) options.ports.push_back(member.proxy->port());
  options.timeout_s = 10;
  walk::Load load(options);
  load.set_may_lose(true);
  load.Start();
  twin::Random random(seed_);
  const auto end = Clock::now() + length;
  auto next_phase = Clock::now(), next_trouble = Clock::now() + seconds(3), next_restart = Clock::now() + (whole ? seconds(90) : length / 2);
  uint64_t restarts = 0;
  while (Clock::now() < end && !HasFailure()) {
    std::this_thread::sleep_for(milliseconds(20));
    const auto now = Clock::now();
    if (now >= next_phase) {
      Ask(random);
      next_phase = now + milliseconds(random.Between(200, 4000));
    }
    if (now >= next_trouble) {
      Trouble(random);
      next_trouble = now + milliseconds(random.Between(500, 4000));
    }
    if (now >= next_restart) {
      if (random.Chance(50)) server_->Kill();
      else ASSERT_TRUE(server_->Stop().ok());
      ASSERT_TRUE(server_->StartAgain().ok()) << server_->log();
      next_restart = now + (whole ? seconds(random.Between(60, 180)) : seconds(60));
      ++restarts;
    }
    for (Member& member : members_)
      if ((member.stopped || member.apart || !member.proxy->running()) && now >= member.until) Well(member);
  }
  for (Member& member : members_) Well(member);
  const absl::Status status = members_[0].proxy->WalkTo("shop", "cutover", 50, seconds(60));
  EXPECT_TRUE(status.ok()) << status;
  const walk::LoadReport report = load.Stop();
  for (const std::string& error : report.errors) ADD_FAILURE() << error;
  const std::string changes = Value("SELECT COUNT(*) FROM crossfade.events WHERE text LIKE 'epoch %'");
  fmt::print("{} changes of phase, {} troubles, {} restarts, {} operations, {} transactions, {} connections lost, {} ended without an error, epoch {}\n", changes, troubles_, restarts, report.operations,
             report.transactions, report.lost, report.ended, Value("SELECT epoch FROM crossfade.state"));
  EXPECT_GT(report.operations, 100u);
  EXPECT_LE(report.ended, report.operations / 1'000 + 10) << "what MySQL ends without an error is rare";
  EXPECT_EQ(Value("SELECT COUNT(*) FROM crossfade.drift"), "0") << Value("SELECT GROUP_CONCAT(found_at, ' ', text) FROM crossfade.drift");
  fmt::print("{} reads compared\n", Value("SELECT COALESCE(SUM(compared), 0) FROM crossfade.comparisons"));
  EXPECT_EQ(Value("SELECT COALESCE(SUM(mismatches), 0) FROM crossfade.comparisons"), "0") << Value("SELECT GROUP_CONCAT(sample) FROM crossfade.comparisons");
  if (whole) EXPECT_GE(std::stoi(changes), 500);
  ExpectBothSidesAgree();
  auto direct = Client::Connect({.port = server_->port()});
  ASSERT_TRUE(direct.ok());
  const absl::Status same = load.CheckTables(*direct, "o.item = i.code");
  EXPECT_TRUE(same.ok()) << same;
  const servers::CommandResult verified = members_[0].proxy->Run("verify", {"shop"});
  EXPECT_EQ(verified.exit_code, 0) << verified.output;
}

INSTANTIATE_TEST_SUITE_P(Engines, Fleet, testing::Values(Engine::kMariaDb, Engine::kMySql), EngineOf);

}  // namespace
}  // namespace crossfade::fleet
