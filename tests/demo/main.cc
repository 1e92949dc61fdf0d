// SPDX-License-Identifier: Apache-2.0
// The demo: loads the package index, starts the proxy and an application that never pauses, walks one migration from
// observe to done under it, back once and forward again, and reports. Exits 1 unless everything was right.
// scripts/demo builds it, starts the server and calls it.
#include <cstdio>

#include "CLI/CLI.hpp"
#include "tests/demo/demo.h"

int main(int argc, char** argv) {
  crossfade::demo::DemoOptions options;
  CLI::App app{"Crossfade's demo; see scripts/demo"};
  app.add_option("--index", options.index, "the package index, as `apt-cache dumpavail` prints it")->required();
  app.add_option("--port", options.port, "of the server, on 127.0.0.1, root without password")->required();
  app.add_option("--crossfade", options.crossfade, "the executable")->required();
  app.add_option("--dir", options.dir, "a folder for the configuration and the logs")->required();
  app.add_option("--rows", options.rows, "how many times each package is loaded")->check(CLI::Range(1, 1000));
  app.add_option("--connections", options.fleet.connections, "of the application")->check(CLI::Range(1, 400));
  app.add_option("--think", options.fleet.think_ms, "mean pause of a connection between two rounds, in ms");
  app.add_option("--dwell", options.dwell_s, "seconds that the application runs in each phase");
  app.add_option("--seed", options.fleet.seed, "of everything random");
  app.add_flag("--kill-proxy", options.kill_proxy, "kill the proxy (SIGKILL) at random moments and start it again");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const absl::Status status = crossfade::demo::RunDemo(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "\nthe demo failed: %s\n", std::string(status.message()).c_str());
  return 1;
}
