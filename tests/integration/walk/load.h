// SPDX-License-Identifier: Apache-2.0
// An application under test: threads that write rows of their own through the proxy, know what they wrote, and
// check every reply against it. Rows are recognised by a label that never changes, so a check is right whichever
// key a connection is shown.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "tests/integration/twin/random.h"
#include "tests/servers/client.h"

namespace crossfade::walk {

inline constexpr int kThreads = 4;
inline constexpr int kItems = 400;    // of each thread, at the start
inline constexpr int kOrders = 1000;  // the same

// The statements that make schema `shop` with its first rows, and its migration for crossfade.yaml.
std::vector<std::string> CreateShop();
std::string ShopMigration();

struct LoadOptions {
  int port = 0;         // the proxy
  std::vector<int> ports = {};  // several: each connection takes one of them
  unsigned timeout_s = 30;
  int direct_port = 0;  // the server itself: to see whether a lost connection's work has ended
  uint64_t seed = 1;
  unsigned drops = 0;   // percent of transactions that end by the client's vanishing
};

struct LoadReport {
  uint64_t operations = 0, transactions = 0, waits = 0, lost = 0;
  uint64_t ended = 0;  // transactions that the server ended without an error
  std::vector<std::string> errors;
};

class Load {
 public:
  explicit Load(const LoadOptions& options);
  ~Load();
  void Start();
  LoadReport Stop();
  uint64_t operations() const { return operations_; }
  // Connections may break while set: then the thread reads its rows anew and goes on.
  void set_may_lose(bool may_lose) { may_lose_ = may_lose; }
  // Every row of the application, compared with the tables on `client`; `item` is how an order names its item:
  // "o.item = i.code" before `retire`, "o.item_ref = i.item_no" from then on.
  absl::Status CheckTables(servers::Client& client, const std::string& item) const;

 private:
  struct Item { std::string code; int64_t stock = 0; };
  struct Order { std::string label; int64_t quantity = 0; };  // label empty: NULL
  struct Rows {
    std::map<std::string, Item> items;   // by label
    std::map<int64_t, Order> orders;     // by id
  };
  class Worker;
  static absl::Status Read(servers::Client& client, int thread, const std::string& item, Rows* rows);
  static std::string Compare(const Rows& expected, const Rows& found);

  LoadOptions options_;
  std::atomic<bool> stopping_{false}, may_lose_{false};
  std::atomic<uint64_t> operations_{0};
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::thread> threads_;
};

}  // namespace crossfade::walk
