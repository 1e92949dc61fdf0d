// SPDX-License-Identifier: Apache-2.0
// The way to `retire`: who would break is counted and told, quiet days are asked for, and `--yes` goes on all the same.
#include "tests/integration/fleet/fixture.h"

namespace crossfade::fleet {
namespace {

constexpr char kMigration[] =
    "  - name: shop\n    schema: shop\n    quiet_before_retire: 4s\n    keys:\n"
    "      - {table: items, old: code, new: {column: item_no, type: int unsigned}, final: code, references: [{table: orders, old: item, new: item_ref, final: item}]}\n";

class Retire : public ShopFixture {};

TEST_P(Retire, AsksForQuietAndSaysWhoWouldBreak) {
  CrossfadeProcess* started = Proxy({.migrations = kMigration, .limits = "  control_poll: 50ms\n  lease: 1s\n"});
  ASSERT_NE(started, nullptr);
  CrossfadeProcess& proxy = *started;
  ASSERT_TRUE(proxy.WalkTo("shop", "cutover", 100).ok());
  Client client = Connect(proxy.port());
  const auto use = [&](const std::string& sql) {
    const Reply reply = client.Query(sql);
    EXPECT_TRUE(reply.ok()) << sql << ": " << reply.message;
    return reply;
  };
  const std::string number = *use("SELECT item_no FROM items WHERE label = 'L1-1'").rows[0][0];
  use("SELECT stock FROM items WHERE code = 't1-1'");                                       // a key of the old shape
  use("INSERT INTO orders (item, quantity, owner) VALUES ('t1-1', 1, 9)");                  // … is written
  use("SELECT stock FROM items WHERE code = " + number);                                    // the new one
  use("SELECT COUNT(*) FROM orders");
  const Reply prepared = client.Execute("SELECT label FROM items WHERE code = ?", {std::string("t1-2")});
  EXPECT_TRUE(prepared.ok()) << prepared.message;
  std::this_thread::sleep_for(std::chrono::milliseconds(2500));  // until it is reported
  CommandResult status_text = proxy.Run("status", {"shop"}), status_json = proxy.Run("status", {"shop", "--json"});
  EXPECT_NE(status_text.output.find("by 3 statement shape(s)"), std::string::npos) << status_text.output;
  EXPECT_NE(status_text.output.find("root from 127.0.0.1, 1 times"), std::string::npos) << status_text.output;
  EXPECT_NE(status_json.output.find("\"old_uses\""), std::string::npos) << status_json.output;
  CommandResult asked = proxy.Run("phase", {"shop", "retire"});
  EXPECT_EQ(asked.exit_code, 1);
  EXPECT_NE(asked.output.find("3 statement shape(s) still use the old side"), std::string::npos) << asked.output;
  EXPECT_NE(asked.output.find("root from 127.0.0.1, 1 times"), std::string::npos) << asked.output;
  EXPECT_NE(asked.output.find("INSERT INTO orders"), std::string::npos) << asked.output;
  EXPECT_NE(asked.output.find("there is no way back"), std::string::npos) << asked.output;
  EXPECT_EQ(asked.output.find("COUNT"), std::string::npos) << asked.output;
  std::this_thread::sleep_for(std::chrono::seconds(5));
  asked = proxy.Run("phase", {"shop", "retire"});  // quiet by now; it cannot be undone all the same
  EXPECT_EQ(asked.exit_code, 1);
  EXPECT_EQ(asked.output.find("still use the old side"), std::string::npos) << asked.output;
  EXPECT_NE(asked.output.find("there is no way back"), std::string::npos) << asked.output;
  const absl::Status status = proxy.WalkTo("shop", "retire");
  ASSERT_TRUE(status.ok()) << status;
  // The old shape is refused by the migration's name, or looked up; never passed on.
  const Reply refused = client.Query("INSERT INTO orders (item, quantity, owner) VALUES ('t1-1', 1, 9)");
  EXPECT_EQ(refused.error, 1235u);
  EXPECT_NE(refused.message.find("shop"), std::string::npos) << refused.message;
  asked = proxy.Run("phase", {"shop", "contract"});
  EXPECT_EQ(asked.exit_code, 1);
  EXPECT_NE(asked.output.find("`contract` drops items.code, orders.item"), std::string::npos) << asked.output;
}

// On a terminal `crossfade phase` asks, and does nothing without a yes.
TEST_P(Retire, OnATerminalItAsks) {
  CrossfadeProcess* proxy = Proxy({.migrations = std::string(kMigration).replace(std::string(kMigration).find("4s"), 2, "0s"), .limits = "  control_poll: 50ms\n  lease: 1s\n"});
  ASSERT_NE(proxy, nullptr);
  ASSERT_TRUE(proxy->WalkTo("shop", "cutover", 100).ok());
  const auto answer = [&](const char* text) {
    const std::string command = fmt::format("{} phase -c {} shop retire --wait", servers::CrossfadeBinary(), proxy->config_path());
    return servers::RunCommand({"sh", "-c", fmt::format("(sleep 1; echo {}; sleep 1) | script -qec '{}' /dev/null", text, command)}, seconds(60));
  };
  CommandResult asked = answer("n");
  EXPECT_NE(asked.output.find("Go on? [y/N]"), std::string::npos) << asked.output;
  EXPECT_EQ(asked.exit_code, 1) << asked.output;
  EXPECT_EQ(Value("SELECT CONCAT(phase, ' ', desired) FROM crossfade.migrations"), "cutover cutover");
  asked = answer("y");
  EXPECT_EQ(asked.exit_code, 0) << asked.output;
  EXPECT_EQ(Value("SELECT phase FROM crossfade.migrations"), "retire");
}

INSTANTIATE_TEST_SUITE_P(Engines, Retire, testing::Values(Engine::kMariaDb, Engine::kMySql), EngineOf);

}  // namespace
}  // namespace crossfade::fleet
