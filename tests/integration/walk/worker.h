// SPDX-License-Identifier: Apache-2.0
// One thread of the load: its connection, the rows it owns, and its operations.
#pragma once

#include <chrono>
#include <deque>
#include <set>

#include "tests/integration/walk/load.h"

namespace crossfade::walk {

class Load::Worker {
 public:
  Worker(Load* load, int index) : load_(load), index_(index), random_(load->options_.seed * 131 + index) {}
  void Run();

  LoadReport report_;
  Rows rows_;  // as this thread's own replies say

 private:
  enum class Outcome { kDone, kWaited, kLost, kWrong };
  bool Connect();   // and reads the rows; false: stopping, or it cannot be had
  // After a loss: only what the broken statement or transaction touched may be otherwise than it was.
  std::string CheckAfterLoss(const Rows& found) const;
  void Lose();      // the connection is gone: waits until the server has ended its work
  Outcome Transaction();
  Outcome Operation();
  Outcome InsertItem();
  Outcome InsertOrders();
  Outcome UpdateOrder();
  Outcome Rename();
  Outcome Stock();
  Outcome DeleteOrder();
  Outcome WriteOrderAgain();
  Outcome ReplaceItem();
  Outcome DeleteItem();
  Outcome FindItems();
  Outcome FindOrders();
  Outcome CountOrders();

  // Sends it as text or prepared; parameters stand for '?'.
  servers::Reply Send(const std::string& sql, const std::vector<servers::Parameter>& parameters);
  // What an error means; kDone: none. Anything but waits and losses is an error of the product.
  Outcome Judge(const std::string& what, const servers::Reply& reply, int64_t affected = -1, uint32_t error = 0);
  // The last statements that named what the last one was about are told too, and what the server itself has of it.
  Outcome Wrong(const std::string& what);
  std::string Evidence();
  bool OnMariaDb() const;
  void Note(std::string what);  // for such messages
  const std::string* SomeLabel();  // nullptr: no items
  int64_t SomeOrder();             // 0: none
  servers::Parameter CodeOf(const std::string& label) const;

  Load* load_;
  int index_;
  twin::Random random_;
  std::unique_ptr<servers::Client> client_;
  uint64_t server_thread_ = 0;
  std::string last_sent_, key_;  // for messages; the order or code that it was about
  std::deque<std::string> history_;
  std::chrono::steady_clock::time_point connected_at_;
  bool in_transaction_ = false, known_ = false;
  Rows committed_;                       // before the statement or transaction under way
  std::set<std::string> touched_items_;  // by it
  std::set<int64_t> touched_orders_;
  size_t new_orders_ = 0;
  int sequence_ = 100'000;
};

}  // namespace crossfade::walk
