// SPDX-License-Identifier: Apache-2.0
// Back from every phase before `retire`, at any percent, under a load that checks itself, through two proxies: by one command, at
// once; and nothing is copied for it as long as `dual_write` is not left.
#include "tests/integration/fleet/fixture.h"

namespace crossfade::fleet {
namespace {

constexpr char kLimits[] = "  chunk_rows: 100\n  control_poll: 50ms\n  lease: 10s\n  backfill_idle_share: 0.5\n";

class Rollback : public ShopFixture {
 protected:
  void SetUp() override {
    StartServer();
    for (int i = 0; i < 2; ++i) ASSERT_NE(Proxy({.limits = kLimits}), nullptr);
    walk::LoadOptions options{.direct_port = server_->port()};
    for (const auto& proxy : proxies_) options.ports.push_back(proxy->port());
    load_ = std::make_unique<walk::Load>(options);
    load_->Start();
  }
  void Forward(const char* phase, int percent = -1) {
    const absl::Status status = proxies_[0]->WalkTo("shop", phase, percent, seconds(120));
    ASSERT_TRUE(status.ok()) << status;
  }
  // The command alone, from another proxy's host than the one before. It returns when every proxy serves by that phase.
  void Back(const char* phase, int percent = -1) {
    const auto begun = Clock::now();
    const std::string from = Value("SELECT CONCAT(phase, ' ', percent) FROM crossfade.migrations");
    const absl::Status status = proxies_[1]->WalkTo("shop", phase, percent, seconds(120));
    ASSERT_TRUE(status.ok()) << "from " << from << ": " << status;
    const int64_t took = std::chrono::duration_cast<milliseconds>(Clock::now() - begun).count();
    fmt::print("{} -> {} after {} ms\n", from, phase, took);
    // On a machine that is busy with other things a command that only looks takes long as well.
    const auto looked = Clock::now();
    EXPECT_EQ(proxies_[1]->Run("status", {"shop"}).exit_code, 0);
    const int64_t look = std::chrono::duration_cast<milliseconds>(Clock::now() - looked).count();
    EXPECT_LT(took, std::max<int64_t>(10'000, 20 * look)) << "from " << from << ", where status took " << look << " ms";
  }
  std::string Copies() { return Value("SELECT COUNT(*) FROM crossfade.events WHERE text = 'backfill complete'"); }

  std::unique_ptr<walk::Load> load_;
};

TEST_P(Rollback, FromEveryPhaseAtOnce) {
  Forward("expand");
  Back("observe");
  Forward("dual_write");
  Back("expand");
  Forward("dual_write");
  Back("observe");
  // In the middle of the backfill.
  const CommandResult asked = proxies_[0]->Run("phase", {"shop", "verify"});
  ASSERT_EQ(asked.exit_code, 0) << asked.output;
  WaitFor("SELECT phase FROM crossfade.migrations", "backfill", seconds(30));
  Back("dual_write");
  Forward("verify");
  ExpectBothSidesAgree();
  EXPECT_EQ(Copies(), "1");
  Back("dual_write");
  Forward("verify");
  Back("backfill");
  for (const int percent : {0, 1, 35, 100}) {
    for (const char* phase : {"verify", "backfill", "dual_write"}) {
      Forward("cutover", percent);
      Back(phase);
      if (HasFatalFailure()) return;
    }
  }
  Forward("cutover", 80);
  Back("cutover", 5);
  ExpectBothSidesAgree();
  EXPECT_EQ(Copies(), "1") << "copied again, though dual_write was not left";
  Forward("cutover", 60);
  Back("observe");
  Forward("verify");
  EXPECT_EQ(Copies(), "2");
  ExpectBothSidesAgree();
  const walk::LoadReport report = load_->Stop();
  for (const std::string& error : report.errors) ADD_FAILURE() << error;
  EXPECT_GT(report.operations, 200u);
  auto direct = Client::Connect({.port = server_->port()});
  ASSERT_TRUE(direct.ok());
  const absl::Status same = load_->CheckTables(*direct, "o.item = i.code");
  EXPECT_TRUE(same.ok()) << same;
  EXPECT_EQ(Value("SELECT COUNT(*) FROM crossfade.drift"), "0") << Value("SELECT GROUP_CONCAT(text) FROM crossfade.drift");
}

INSTANTIATE_TEST_SUITE_P(Engines, Rollback, testing::Values(Engine::kMariaDb, Engine::kMySql), EngineOf);

}  // namespace
}  // namespace crossfade::fleet
