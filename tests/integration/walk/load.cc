// SPDX-License-Identifier: Apache-2.0
// The application's tables and its checking load; see load.h.
#include "tests/integration/walk/load.h"

#include "fmt/format.h"
#include "tests/integration/walk/worker.h"

namespace crossfade::walk {

using servers::Client;
using servers::Reply;

std::vector<std::string> CreateShop() {
  std::vector<std::string> sql = {
      "CREATE DATABASE shop DEFAULT CHARACTER SET utf8mb4",
      "CREATE TABLE shop.items (code varchar(40) NOT NULL PRIMARY KEY, label varchar(40) NOT NULL, stock int NOT NULL DEFAULT 0)",
      "CREATE TABLE shop.orders (id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, item varchar(40) NULL, quantity int NOT NULL,"
      " owner int NOT NULL, KEY owner (owner), CONSTRAINT order_item FOREIGN KEY (item) REFERENCES items (code) ON UPDATE CASCADE)"};
  twin::Random random(7);
  for (int thread = 0; thread < kThreads; ++thread) {
    std::string items, orders;
    for (int i = 0; i < kItems; ++i) items += fmt::format("{}('t{}-{}','L{}-{}',{})", i > 0 ? "," : "", thread, i, thread, i, i % 50);
    sql.push_back("INSERT INTO shop.items VALUES " + items);
    for (int i = 0; i < kOrders; ++i) {
      orders += fmt::format("{}({},{},{})", i > 0 ? "," : "", random.Chance(10) ? "NULL" : fmt::format("'t{}-{}'", thread, random.Below(kItems)), i, thread);
    }
    sql.push_back("INSERT INTO shop.orders (item, quantity, owner) VALUES " + orders);
  }
  return sql;
}

std::string ShopMigration() {
  return "  - name: shop\n    schema: shop\n    phase: observe\n    keys:\n"
         "      - table: items\n        old: code\n        new: {column: item_no, type: int unsigned}\n        keep_old_lookup: true\n"
         "        references:\n          - {table: orders, old: item, new: item_ref, final: item}\n";
}

Load::Load(const LoadOptions& options) : options_(options) {
  for (int i = 0; i < kThreads; ++i) workers_.push_back(std::make_unique<Worker>(this, i));
}

Load::~Load() { Stop(); }

void Load::Start() {
  stopping_ = false;
  for (auto& worker : workers_) threads_.emplace_back([&worker] { worker->Run(); });
}

LoadReport Load::Stop() {
  stopping_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  LoadReport report;
  for (auto& worker : workers_) {
    report.operations += worker->report_.operations;
    report.transactions += worker->report_.transactions;
    report.waits += worker->report_.waits;
    report.ended += worker->report_.ended;
    report.lost += worker->report_.lost;
    for (const std::string& error : worker->report_.errors) report.errors.push_back(error);
  }
  return report;
}

absl::Status Load::Read(Client& client, int thread, const std::string& item, Rows* rows) {
  *rows = Rows{};
  const Reply items = client.Query(fmt::format("SELECT i.label, i.code, i.stock FROM shop.items i WHERE i.label LIKE 'L{}-%'", thread));
  if (!items.ok()) return absl::UnavailableError(items.message);
  for (const auto& row : items.rows) rows->items[*row[0]] = {*row[1], std::stoll(*row[2])};
  const Reply orders = client.Query(fmt::format("SELECT o.id, i.label, o.quantity FROM shop.orders o LEFT JOIN shop.items i ON {} WHERE o.owner = {}", item, thread));
  if (!orders.ok()) return absl::UnavailableError(orders.message);
  for (const auto& row : orders.rows) rows->orders[std::stoll(*row[0])] = {row[1].value_or(""), std::stoll(*row[2])};
  return absl::OkStatus();
}

std::string Load::Compare(const Rows& expected, const Rows& found) {
  for (const auto& [label, item] : expected.items) {
    const auto at = found.items.find(label);
    if (at == found.items.end()) return fmt::format("item {} is missing", label);
    if (at->second.code != item.code || at->second.stock != item.stock) {
      return fmt::format("item {} is {} with {}, not {} with {}", label, at->second.code, at->second.stock, item.code, item.stock);
    }
  }
  for (const auto& [id, order] : expected.orders) {
    const auto at = found.orders.find(id);
    if (at == found.orders.end()) return fmt::format("order {} is missing", id);
    if (at->second.label != order.label || at->second.quantity != order.quantity) {
      return fmt::format("order {} is of '{}' with {}, not of '{}' with {}", id, at->second.label, at->second.quantity, order.label, order.quantity);
    }
  }
  if (found.items.size() != expected.items.size() || found.orders.size() != expected.orders.size()) {
    return fmt::format("{} items and {} orders, not {} and {}", found.items.size(), found.orders.size(), expected.items.size(), expected.orders.size());
  }
  return "";
}

absl::Status Load::CheckTables(Client& client, const std::string& item) const {
  for (int i = 0; i < kThreads; ++i) {
    Rows found;
    if (absl::Status status = Read(client, i, item, &found); !status.ok()) return status;
    if (const std::string what = Compare(workers_[i]->rows_, found); !what.empty()) return absl::InternalError(fmt::format("rows of thread {}: {}", i, what));
  }
  return absl::OkStatus();
}

}  // namespace crossfade::walk
