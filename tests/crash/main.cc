// SPDX-License-Identifier: Apache-2.0
// The crash tests, and the process that they kill: crash_test --migrator FILE FOLDER
// die|stop|live point|name [PROXY]. live: it reaches no failpoint.
#include <gtest/gtest.h>

#include <cstdio>
#include <string_view>
#include <thread>

#include "backfill/migrator.h"
#include "config/load.h"
#include "tests/crash/failpoint.h"

int main(int argc, char** argv) {
  using namespace crossfade;
  if (argc >= 6 && std::string_view(argv[1]) == "--migrator") {
    auto config = config::Load(argv[2]);
    if (!config.ok()) {
      std::fprintf(stderr, "%s\n", std::string(config.status().message()).c_str());
      return 2;
    }
    const std::string_view mode = argv[4];
    if (mode != "live") {
      backfill::SetFailpointHandler(backfill::CrashAtEachPoint(argv[3], mode == "die" ? backfill::CrashMode::kDie : backfill::CrashMode::kStop,
                                                               std::string_view(argv[5]) == "name"));
    }
    backfill::Migrator migrator(std::make_shared<const config::Config>(*std::move(config)), argc > 6 ? argv[6] : "");
    migrator.Start();
    while (true) std::this_thread::sleep_for(std::chrono::hours(1));
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
