// SPDX-License-Identifier: Apache-2.0
// One connection of the application: statements as text or prepared (kept for reuse), each one timed.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tests/demo/loader.h"
#include "tests/demo/stats.h"
#include "tests/servers/client.h"

namespace crossfade::demo {

using Parameters = std::vector<servers::Parameter>;

struct Endpoint {
  int port = 0;
  std::string user = "root", password, schema = kSchema;
};

class Session {
 public:
  explicit Session(Stats* stats) : stats_(stats) {}

  absl::Status Connect(const Endpoint& endpoint);
  void Close();
  bool connected() const { return client_.has_value(); }
  uint64_t thread_id() const { return client_->thread_id(); }

  // `sql` has a '?' for each parameter; as text, literals take their places.
  servers::Reply Run(const std::string& sql, const Parameters& parameters, bool prepared);

 private:
  Stats* stats_;
  std::optional<servers::Client> client_;
  std::map<std::string, std::unique_ptr<servers::Statement>> statements_;
};

std::string Inline(const std::string& sql, const Parameters& parameters);

}  // namespace crossfade::demo
