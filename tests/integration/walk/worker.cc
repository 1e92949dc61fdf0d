// SPDX-License-Identifier: Apache-2.0
// The load's operations, each checked; see worker.h.
#include "tests/integration/walk/worker.h"

#include <chrono>
#include <set>

#include "fmt/format.h"

namespace crossfade::walk {

using servers::Client;
using servers::Parameter;
using servers::Reply;

namespace {
constexpr uint32_t kInTransaction = 1;  // SERVER_STATUS_IN_TRANS
constexpr auto kConnectWithin = std::chrono::seconds(240);  // beyond what a server may take to start (tests/servers/server.cc)
}

void Load::Worker::Run() {
  // A loss is looked into even when the load stops: until then it is not known which rows this thread has.
  while ((!load_->stopping_ || (client_ == nullptr && known_)) && report_.errors.size() < 3) {
    if (client_ == nullptr && !Connect()) break;
    if (load_->stopping_) break;
    committed_ = rows_;
    touched_items_.clear();
    touched_orders_.clear();
    new_orders_ = 0;
    const Outcome outcome = random_.Chance(35) ? Transaction() : Operation();
    if (outcome == Outcome::kLost) Lose();
    ++load_->operations_;
  }
  client_.reset();
  mysql_thread_end();
}

bool Load::Worker::Connect() {
  const auto end = std::chrono::steady_clock::now() + kConnectWithin;
  std::string why;
  while (std::chrono::steady_clock::now() < end) {
    const LoadOptions& options = load_->options_;
    const int port = options.ports.empty() ? options.port : options.ports[random_.Below(options.ports.size())];
    auto client = Client::Connect({.port = port, .database = "shop", .timeout_s = options.timeout_s});
    if (client.ok()) {
      client_ = std::make_unique<Client>(*std::move(client));
      const Reply id = client_->Query("SELECT CONNECTION_ID()");
      Rows found;
      if (id.ok() && Load::Read(*client_, index_, "i.code = o.item", &found).ok()) {
        server_thread_ = std::stoull(*id.rows[0][0]);
        connected_at_ = std::chrono::steady_clock::now();
        in_transaction_ = false;
        const std::string what = known_ ? CheckAfterLoss(found) : "";
        if (!what.empty()) report_.errors.push_back(fmt::format("thread {}, after its connection was lost: {}", index_, what));
        known_ = true;
        rows_ = std::move(found);
        Note(fmt::format("-- connected to port {} as {}", port, server_thread_));
        return true;
      }
      why = id.ok() ? "reading the rows failed" : id.message;
      client_.reset();
    } else {
      why = std::string(client.status().message());
    }
    if (!load_->may_lose_) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  report_.errors.push_back(fmt::format("thread {}: cannot connect: {}", index_, why));
  return false;
}

std::string Load::Worker::CheckAfterLoss(const Rows& found) const {
  Rows expected = committed_, rest = found;
  size_t fresh = 0;
  for (const std::string& label : touched_items_) {
    expected.items.erase(label);
    rest.items.erase(label);
  }
  for (int64_t id : touched_orders_) {
    expected.orders.erase(id);
    rest.orders.erase(id);
  }
  std::erase_if(rest.orders, [&](const auto& entry) {
    const bool is_new = committed_.orders.count(entry.first) == 0;
    fresh += is_new;
    return is_new;
  });
  if (fresh > new_orders_) return fmt::format("{} new orders, where {} were sent", fresh, new_orders_);
  return Load::Compare(expected, rest);
}

void Load::Worker::Lose() {
  ++report_.lost;
  Note("-- lost");
  client_.reset();
  const auto end = std::chrono::steady_clock::now() + kConnectWithin;
  while (std::chrono::steady_clock::now() < end) {
    auto direct = Client::Connect({.port = load_->options_.direct_port});
    if (direct.ok()) {
      // A server that was started since counts its connections anew. The time is taken before it is asked: it may take its time to
      // answer, and what runs for the lost connection is over only where it is.
      const auto since = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - connected_at_).count();
      const Reply uptime = direct->Query("SHOW GLOBAL STATUS LIKE 'Uptime'");
      if (uptime.ok() && std::stoll(*uptime.rows[0][1]) < since) return;
      const Reply alive = direct->Query(fmt::format("SELECT COUNT(*) FROM information_schema.processlist WHERE id = {}", server_thread_));
      if (alive.ok() && alive.rows[0][0] == "0") return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  report_.errors.push_back(fmt::format("thread {}: the server still works for a connection that was lost", index_));
}

Reply Load::Worker::Send(const std::string& sql, const std::vector<Parameter>& parameters) {
  ++report_.operations;
  const bool prepared = random_.Chance(40);
  std::string text;
  size_t next = 0;
  for (char c : sql) {
    if (c != '?') {
      text += c;
      continue;
    }
    const Parameter& parameter = parameters[next++];
    if (const auto* number = std::get_if<int64_t>(&parameter)) text += std::to_string(*number);
    else if (const auto* value = std::get_if<std::string>(&parameter)) text += "'" + *value + "'";
    else text += "NULL";
  }
  key_.clear();
  if (!parameters.empty()) {
    const Parameter& about = sql.find("WHERE") != std::string::npos ? parameters.back() : parameters.front();
    if (const auto* number = std::get_if<int64_t>(&about)) key_ = std::to_string(*number);
    else if (const auto* value = std::get_if<std::string>(&about)) key_ = *value;
  }
  last_sent_ = fmt::format("{}{} on connection {}", prepared ? "(prepared) " : "", text, server_thread_);
  Reply reply = prepared ? client_->Execute(sql, parameters) : client_->Query(text);
  Note(fmt::format("{}{}: {}", in_transaction_ ? "in a transaction: " : "", last_sent_,
                   reply.ok() ? fmt::format("{} affected, status {}", reply.affected, reply.status) : fmt::format("{} {}", reply.error, reply.message)));
  return reply;
}

void Load::Worker::Note(std::string what) {
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  history_.push_back(fmt::format("{}.{:03} {}", now / 1000, now % 1000, what));
  if (history_.size() > 2'000) history_.pop_front();
}

std::string Load::Worker::Evidence() {
  std::string more;
  size_t named = 0, told = 0;
  for (size_t i = history_.size(); i-- > 0;) {
    const bool names = !key_.empty() && (history_[i].find(key_) != std::string::npos || history_[i].find("--") != std::string::npos);
    if (++told <= 8 || (names && ++named <= 12)) more = "\n    " + history_[i] + more;
  }
  auto direct = Client::Connect({.port = load_->options_.direct_port, .database = "shop"});
  if (!direct.ok() || key_.empty()) return more;
  more += "\n    the server: " + servers::Describe(direct->Query(fmt::format("SELECT * FROM orders WHERE CAST(id AS CHAR) = '{}'", key_)));
  return more + "\n    and: " + servers::Describe(direct->Query(fmt::format("SELECT * FROM items WHERE code = '{}'", key_)));
}

Load::Worker::Outcome Load::Worker::Wrong(const std::string& what) {
  report_.errors.push_back(fmt::format("thread {}: {}{}", index_, what, Evidence()));
  return Outcome::kWrong;
}

bool Load::Worker::OnMariaDb() const { return std::string_view(mysql_get_server_info(client_->raw())).find("MariaDB") != std::string_view::npos; }

Load::Worker::Outcome Load::Worker::Judge(const std::string& what, const Reply& reply, int64_t affected, uint32_t error) {
  if (reply.lost()) return load_->may_lose_ ? Outcome::kLost : Wrong(fmt::format("{}: {} {}", what, reply.error, reply.message));
  if (reply.error == 1213 || reply.error == 1205) {
    ++report_.waits;
    if (reply.error == 1205 && in_transaction_ && client_->Query("ROLLBACK").lost()) return Outcome::kLost;
    return Outcome::kWaited;
  }
  // A server that stops answers so before it closes; a proxy without its lease, or just started, holds statements back.
  if (load_->may_lose_ && (reply.error == 1053 || reply.error == 1927 || (reply.error == 1235 && reply.message.find("try again") != std::string::npos))) {
    client_->Drop();
    return Outcome::kLost;
  }
  if (reply.error != error) return Wrong(fmt::format("{}: {} {}", what, reply.error, reply.message));
  // MySQL 9.7 answers OK with no row to an UPDATE whose cascade lost a deadlock, and has rolled the transaction back: only the
  // status flags tell. Seen without a proxy too.
  if (!OnMariaDb() && reply.ok() && in_transaction_ && affected == 1 && reply.affected == 0 && (reply.status & kInTransaction) == 0) {
    ++report_.ended;
    return Outcome::kWaited;
  }
  if (reply.ok() && affected >= 0 && reply.affected != static_cast<uint64_t>(affected)) {
    return Wrong(fmt::format("{}: {} rows affected, not {}; in a transaction: {}, to the server: {}: {}", what, reply.affected, affected, in_transaction_,
                             (reply.status & kInTransaction) != 0, last_sent_));
  }
  return Outcome::kDone;
}

const std::string* Load::Worker::SomeLabel() {
  if (rows_.items.empty()) return nullptr;
  auto at = rows_.items.lower_bound(fmt::format("L{}-{}", index_, random_.Below(1000)));
  return at == rows_.items.end() ? &rows_.items.begin()->first : &at->first;
}

int64_t Load::Worker::SomeOrder() {
  if (rows_.orders.empty()) return 0;
  const int64_t low = rows_.orders.begin()->first, high = rows_.orders.rbegin()->first;
  return rows_.orders.lower_bound(low + static_cast<int64_t>(random_.Below(high - low + 1)))->first;
}

Parameter Load::Worker::CodeOf(const std::string& label) const {
  if (label.empty()) return nullptr;
  return rows_.items.at(label).code;
}

Load::Worker::Outcome Load::Worker::Transaction() {
  ++report_.transactions;
  const Rows before = rows_;
  Outcome outcome = Judge("BEGIN", client_->Query("BEGIN"));
  if (outcome != Outcome::kDone) return outcome;
  in_transaction_ = true;
  const int count = random_.Between(1, 5);
  for (int i = 0; i < count && outcome == Outcome::kDone; ++i) outcome = Operation();
  in_transaction_ = false;
  if (outcome == Outcome::kWaited) {
    rows_ = before;
    return outcome;
  }
  if (outcome != Outcome::kDone) return outcome;
  if (random_.Below(100) < load_->options_.drops) {
    client_->Drop();
    return Outcome::kLost;
  }
  const bool commit = random_.Chance(75);
  outcome = Judge(commit ? "COMMIT" : "ROLLBACK", client_->Query(commit ? "COMMIT" : "ROLLBACK"));
  Note(fmt::format("-- {}: {}", commit ? "COMMIT" : "ROLLBACK", outcome == Outcome::kDone ? "done" : "not done"));
  if (!commit || outcome == Outcome::kWaited) rows_ = before;
  return outcome;
}

Load::Worker::Outcome Load::Worker::Operation() {
  switch (random_.Below(20)) {
    case 0: case 1: return InsertItem();
    case 2: case 3: case 4: return InsertOrders();
    case 5: case 6: case 7: return UpdateOrder();
    case 8: return Rename();
    case 9: return Stock();
    case 10: case 11: return DeleteOrder();
    case 12: case 13: return WriteOrderAgain();
    case 14: return ReplaceItem();
    case 15: return DeleteItem();
    case 16: return FindItems();
    case 17: case 18: return FindOrders();
    default: return CountOrders();
  }
}

Load::Worker::Outcome Load::Worker::InsertItem() {
  const int number = ++sequence_ * 10 + random_.Between(0, 9);
  const Item item{fmt::format("t{}-n{}-{}", index_, number, random_.Below(1'000'000)), random_.Between(0, 99)};
  const std::string label = fmt::format("L{}-n{}-{}", index_, number, random_.Below(1'000'000));
  touched_items_.insert(label);
  const Reply reply = Send("INSERT INTO items (code, label, stock) VALUES (?, ?, ?)", {item.code, label, item.stock});
  const Outcome outcome = Judge("insert item", reply, 1);
  if (outcome == Outcome::kDone) rows_.items[label] = item;
  return outcome;
}

Load::Worker::Outcome Load::Worker::InsertOrders() {
  const int count = random_.Between(1, 3);
  std::string sql = "INSERT INTO orders (item, quantity, owner) VALUES ";
  std::vector<Parameter> parameters;
  std::vector<Order> orders;
  for (int i = 0; i < count; ++i) {
    const std::string* label = random_.Chance(10) ? nullptr : SomeLabel();
    orders.push_back({label == nullptr ? "" : *label, random_.Between(1, 100'000)});
    sql += i > 0 ? ", (?, ?, ?)" : "(?, ?, ?)";
    parameters.push_back(CodeOf(orders.back().label));
    parameters.push_back(orders.back().quantity);
    parameters.push_back(int64_t{index_});
  }
  new_orders_ += count;
  const Reply reply = Send(sql, parameters);
  const Outcome outcome = Judge("insert orders", reply, count);
  if (outcome != Outcome::kDone) return outcome;
  if (reply.insert_id == 0) return Wrong("insert orders: no insert id");
  for (int i = 0; i < count; ++i) rows_.orders[static_cast<int64_t>(reply.insert_id) + i] = orders[i];
  return outcome;
}

Load::Worker::Outcome Load::Worker::UpdateOrder() {
  const int64_t id = SomeOrder();
  if (id == 0) return Outcome::kDone;
  const std::string* label = random_.Chance(15) ? nullptr : SomeLabel();
  const std::string next = label == nullptr ? "" : *label;
  touched_orders_.insert(id);
  Order& order = rows_.orders[id];
  const Outcome outcome = Judge("update order", Send("UPDATE orders SET item = ? WHERE id = ?", {CodeOf(next), id}), next == order.label ? 0 : 1);
  if (outcome == Outcome::kDone) order.label = next;
  return outcome;
}

Load::Worker::Outcome Load::Worker::Rename() {
  const std::string* label = SomeLabel();
  if (label == nullptr) return Outcome::kDone;
  touched_items_.insert(*label);
  Item& item = rows_.items[*label];
  const std::string code = fmt::format("t{}-r{}-{}", index_, ++sequence_, random_.Below(1'000'000));
  const Reply reply = Send("UPDATE items SET code = ? WHERE code = ?", {code, item.code});
  // As above, outside of a transaction: no row, no error, and nothing done.
  if (reply.ok() && reply.affected == 0 && !in_transaction_ && !OnMariaDb() &&
      client_->Query(fmt::format("SELECT 1 FROM items WHERE code = '{}'", item.code)).rows.size() == 1) {
    ++report_.ended;
    return Outcome::kWaited;
  }
  const Outcome outcome = Judge("rename item", reply, 1);
  if (outcome == Outcome::kDone) item.code = code;
  return outcome;
}

Load::Worker::Outcome Load::Worker::Stock() {
  const std::string* label = SomeLabel();
  if (label == nullptr) return Outcome::kDone;
  touched_items_.insert(*label);
  Item& item = rows_.items[*label];
  const Outcome outcome = Judge("update stock", Send("UPDATE items SET stock = stock + ? WHERE code = ?", {int64_t{3}, item.code}), 1);
  if (outcome == Outcome::kDone) item.stock += 3;
  return outcome;
}

Load::Worker::Outcome Load::Worker::DeleteOrder() {
  const int64_t id = SomeOrder();
  if (id == 0) return Outcome::kDone;
  touched_orders_.insert(id);
  const Outcome outcome = Judge("delete order", Send("DELETE FROM orders WHERE id = ?", {id}), 1);
  if (outcome == Outcome::kDone) rows_.orders.erase(id);
  return outcome;
}

Load::Worker::Outcome Load::Worker::WriteOrderAgain() {
  const int64_t id = SomeOrder();
  if (id == 0) return Outcome::kDone;
  Order& order = rows_.orders[id];
  touched_orders_.insert(id);
  const std::string* label = SomeLabel();
  const Order next{label == nullptr ? "" : *label, order.quantity + 1};
  const std::vector<Parameter> parameters = {id, CodeOf(next.label), next.quantity, int64_t{index_}};
  const Reply reply = random_.Chance(50)
                          ? Send("REPLACE INTO orders (id, item, quantity, owner) VALUES (?, ?, ?, ?)", parameters)
                          : Send("INSERT INTO orders (id, item, quantity, owner) VALUES (?, ?, ?, ?) ON DUPLICATE KEY UPDATE item = VALUES(item), quantity = VALUES(quantity)", parameters);
  const Outcome outcome = Judge("write order again", reply, 2);
  if (outcome == Outcome::kDone) order = next;
  return outcome;
}

Load::Worker::Outcome Load::Worker::ReplaceItem() {
  const std::string* label = SomeLabel();
  if (label == nullptr) return Outcome::kDone;
  touched_items_.insert(*label);
  Item& item = rows_.items[*label];
  bool used = false;
  for (const auto& [id, order] : rows_.orders) used = used || order.label == *label;
  const Reply reply = Send("REPLACE INTO items (code, label, stock) VALUES (?, ?, ?)", {item.code, *label, item.stock + 1});
  // MySQL replaces such a row in place and its references stay; MariaDB deletes it first, which its foreign key forbids.
  const bool forbidden = used && OnMariaDb();
  const Outcome outcome = forbidden ? Judge("replace an item with orders", reply, -1, 1451) : Judge("replace item", reply, 2);
  if (outcome == Outcome::kDone && !forbidden) ++item.stock;
  return outcome;
}

Load::Worker::Outcome Load::Worker::DeleteItem() {
  if (!in_transaction_ || rows_.items.size() < 100) return InsertItem();
  const std::string label = *SomeLabel();
  int64_t used = 0;
  touched_items_.insert(label);
  for (const auto& [id, order] : rows_.orders) {
    if (order.label != label) continue;
    touched_orders_.insert(id);
    ++used;
  }
  const Parameter code = CodeOf(label);
  Outcome outcome = Judge("delete the item's orders", Send("DELETE FROM orders WHERE item = ?", {code}), used);
  if (outcome == Outcome::kDone) outcome = Judge("delete item", Send("DELETE FROM items WHERE code = ?", {code}), 1);
  if (outcome != Outcome::kDone) return outcome;
  std::erase_if(rows_.orders, [&](const auto& entry) { return entry.second.label == label; });
  rows_.items.erase(label);
  return outcome;
}

Load::Worker::Outcome Load::Worker::FindItems() {
  if (rows_.items.empty()) return Outcome::kDone;
  const std::string a = *SomeLabel(), b = *SomeLabel();
  const Reply reply = Send("SELECT label, stock FROM items WHERE code IN (?, ?) ORDER BY label", {CodeOf(a), CodeOf(b)});
  const Outcome outcome = Judge("find items", reply);
  if (outcome != Outcome::kDone) return outcome;
  std::vector<std::vector<servers::Cell>> expected;
  for (const std::string& label : std::set<std::string>{a, b}) expected.push_back({label, std::to_string(rows_.items[label].stock)});
  return reply.rows == expected ? outcome : Wrong("find items: " + servers::Describe(reply));
}

Load::Worker::Outcome Load::Worker::FindOrders() {
  const int64_t id = SomeOrder();
  if (id == 0) return Outcome::kDone;
  const Order& order = rows_.orders[id];
  const Reply reply = Send("SELECT i.label, o.quantity FROM orders o LEFT JOIN items i ON i.code = o.item WHERE o.id = ?", {id});
  const Outcome outcome = Judge("find order", reply);
  if (outcome != Outcome::kDone) return outcome;
  const bool right = reply.rows.size() == 1 && reply.rows[0][0].value_or("") == order.label && reply.rows[0][1] == std::to_string(order.quantity);
  return right ? outcome : Wrong(fmt::format("find order {}, of '{}' with {}: {}", id, order.label, order.quantity, servers::Describe(reply)));
}

Load::Worker::Outcome Load::Worker::CountOrders() {
  const std::string* label = SomeLabel();
  if (label == nullptr) return Outcome::kDone;
  int64_t expected = 0;
  for (const auto& [id, order] : rows_.orders) expected += order.label == *label;
  const Reply reply = Send("SELECT COUNT(*) FROM orders WHERE item = ?", {CodeOf(*label)});
  const Outcome outcome = Judge("count orders", reply);
  if (outcome != Outcome::kDone) return outcome;
  return reply.rows.size() == 1 && reply.rows[0][0] == std::to_string(expected) ? outcome : Wrong(fmt::format("count orders of {}, which are {}: {}", *label, expected, servers::Describe(reply)));
}

}  // namespace crossfade::walk
