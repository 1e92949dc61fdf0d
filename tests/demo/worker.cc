// SPDX-License-Identifier: Apache-2.0
// The life of one connection: rounds of statements, transactions, and what is found after the connection was lost.
#include "tests/demo/worker.h"

#include <chrono>
#include <thread>

#include "fmt/format.h"

namespace crossfade::demo {

using servers::Reply;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr uint32_t kDeadlock = 1213, kLockWait = 1205;
constexpr size_t kListLength = 100;

uint64_t Number(const servers::Cell& cell) { return cell ? std::strtoull(cell->c_str(), nullptr, 10) : 0; }

std::string Marks(size_t count) {
  std::string marks;
  for (size_t i = 0; i < count; ++i) marks += i == 0 ? "?" : ", ?";
  return marks;
}

}  // namespace

Worker::Worker(Application* application, int index, std::vector<std::string> base, uint64_t seed)
    : application_(application), index_(index), prefix_(fmt::format("zz-w{}-", index)), base_(std::move(base)),
      rng_(seed), session_(application->stats), next_id_(1'000'000'000 + 10'000'000ull * static_cast<uint64_t>(index)) {}

void Worker::Fail(const std::string& what) {
  application_->stats->Error(fmt::format("connection {}: {}", index_, what));
}

Reply Worker::Call(const std::string& sql, const Parameters& parameters) {
  if (outcome_ != Outcome::kFine) return Reply{.error = 1, .message = "not sent"};
  const bool prepared = Chance(0.5);
  last_sql_ = (prepared ? "(prepared) " : "") + Inline(sql, parameters);
  Reply reply = session_.Run(sql, parameters, prepared);
  if (reply.lost()) {
    outcome_ = Outcome::kLost;
    last_sql_ += " -> " + Describe(reply);
  } else if (reply.error == kDeadlock || reply.error == kLockWait) {
    outcome_ = Outcome::kDeadlock;
  }
  return reply;
}

bool Worker::Usable(const Reply& reply, const std::string& sql) {
  if (outcome_ != Outcome::kFine) return false;
  if (reply.ok()) return true;
  Fail(fmt::format("{}: {}", last_sql_.empty() ? sql : last_sql_, Describe(reply)));
  outcome_ = Outcome::kBroken;
  return false;
}

void Worker::Plain(const std::string& sql) {
  if (outcome_ != Outcome::kFine) return;
  last_sql_ = sql;
  const Reply reply = session_.Run(sql, {}, false);
  if (reply.lost()) {
    outcome_ = Outcome::kLost;
  } else {
    Usable(reply, sql);
  }
}

bool Worker::Reconnect() {
  const auto end = steady_clock::now() + std::chrono::seconds(60);
  while (!application_->stop) {
    const int other = application_->other_port;
    const absl::Status status =
        session_.Connect({other != 0 && Below(2) == 0 ? other : application_->port.load(), application_->user, application_->password, application_->schema});
    if (status.ok()) {
      outcome_ = Outcome::kFine;
      in_transaction_ = committing_ = false;
      return true;
    }
    if (!application_->faults || steady_clock::now() > end) {
      Fail(fmt::format("cannot connect: {}", std::string(status.message())));
      std::this_thread::sleep_for(milliseconds(500));
    }
    std::this_thread::sleep_for(milliseconds(20));
  }
  return false;
}

void Worker::Run() {
  acked_release_ = application_->release.load();
  release_ = static_cast<Release>(acked_release_.load());
  while (!application_->stop && !ready_) {
    if (!Reconnect()) return;
    acked_port_ = application_->port.load();
    Truth truth;
    if (ReadAll(&truth)) {
      truth_ = std::move(truth);
      ready_ = true;
    }
  }
  auto reconnect_at = steady_clock::now() + milliseconds(Below(3000));
  std::exponential_distribution<> think(1 / application_->think_ms);
  while (!application_->stop) {
    if (const int wanted = application_->release; wanted != acked_release_) {
      release_ = static_cast<Release>(wanted);
      acked_release_ = wanted;
    }
    const int port = application_->port;
    if (steady_clock::now() > reconnect_at || port != acked_port_) {  // as pools do; and it draws its cohort anew
      if (!Reconnect()) return;
      acked_port_ = port;
      reconnect_at = steady_clock::now() + milliseconds(500 + Below(2500));
    }
    if (const int wanted = application_->audit; wanted != acked_audit_) {
      Audit();
      Settle();
      acked_audit_ = wanted;
    }
    Round();
    Settle();
    std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(think(rng_)));
  }
  session_.Close();
}

void Worker::Round() {
  if (Chance(0.35)) {
    Transaction();
  } else {
    OneOperation();
  }
}

void Worker::Transaction() {
  Plain(Chance(0.5) ? "BEGIN" : "START TRANSACTION");
  in_transaction_ = true;
  const uint64_t operations = 2 + Below(4);
  for (uint64_t i = 0; i < operations && outcome_ == Outcome::kFine; ++i) {
    if (!Chance(0.1)) {
      OneOperation();
      continue;
    }
    const size_t mark = truth_.Mark();
    Plain("SAVEPOINT here");
    OneOperation();
    Plain("ROLLBACK TO SAVEPOINT here");
    if (outcome_ == Outcome::kFine) truth_.UndoTo(mark);
  }
  if (outcome_ != Outcome::kFine) return;
  if (Chance(0.2)) {
    Plain("ROLLBACK");
    if (outcome_ == Outcome::kFine) truth_.UndoTo(0);
  } else {
    committing_ = true;
    Plain("COMMIT");
    if (outcome_ == Outcome::kFine) truth_.Commit();
  }
}

void Worker::OneOperation() {
  using Operation = void (Worker::*)();
  static constexpr std::pair<int, Operation> kOperations[] = {
      {5, &Worker::InsertPackage},     {8, &Worker::InsertDependency},   {3, &Worker::InsertPackageWithDependencies},
      {8, &Worker::UpdatePackage},     {9, &Worker::UpdateReference},    {3, &Worker::MoveDependency},
      {1, &Worker::RenamePackage},     {4, &Worker::DeleteDependency},   {2, &Worker::DeletePackage},
      {3, &Worker::ReplacePackage},    {5, &Worker::UpsertPackage},      {3, &Worker::UpsertDependency},
      {3, &Worker::ReplaceDependency}, {2, &Worker::Mistake},            {10, &Worker::ReadPackage},
      {3, &Worker::ReadWholePackage},  {2, &Worker::ReadMissing},        {10, &Worker::ReadReferences},
      {5, &Worker::ReadPackageList},   {6, &Worker::ReadReferenceList},  {6, &Worker::ReadJoin},
      {4, &Worker::ReadCounts},        {3, &Worker::ReadRange},          {2, &Worker::ReadReferenceRange},
      {2, &Worker::ReadSubquery},      {3, &Worker::ReadForUpdate}};
  static const int total = [] {
    int sum = 0;
    for (const auto& [weight, operation] : kOperations) sum += weight;
    return sum;
  }();
  auto draw = static_cast<int>(Below(static_cast<uint64_t>(total)));
  for (const auto& [weight, operation] : kOperations) {
    if ((draw -= weight) < 0) return (this->*operation)();
  }
}

// After a round: whatever went wrong is put right, and what is known agrees with the database again.
void Worker::Settle() {
  switch (outcome_) {
    case Outcome::kFine:
      break;
    case Outcome::kDeadlock:
      application_->stats->Deadlock();
      truth_.UndoTo(0);
      outcome_ = Outcome::kFine;
      Plain("ROLLBACK");
      break;
    case Outcome::kLost:
      break;
    case Outcome::kBroken: {
      outcome_ = Outcome::kFine;
      Plain("ROLLBACK");
      Truth truth;
      if (ReadAll(&truth)) truth_ = std::move(truth);
      break;
    }
  }
  while (outcome_ == Outcome::kLost && !application_->stop) Recover();
  if (outcome_ == Outcome::kBroken) outcome_ = Outcome::kFine;
  in_transaction_ = committing_ = false;
  truth_.Commit();
}

// What was under way has been done wholly or not at all; which of the two is read from the database.
void Worker::Recover() {
  application_->stats->Lost();
  if (!application_->faults) Fail("the connection was lost: " + last_sql_);
  const uint64_t orphan = session_.connected() ? session_.thread_id() : 0;
  const bool may_be_done = !in_transaction_ || committing_;
  const std::string what = last_sql_;
  const Truth after = truth_;
  truth_.UndoTo(0);
  if (!Reconnect()) return;
  for (int i = 0; i < 500 && orphan != 0; ++i) {  // the server may still be at it
    const Reply reply =
        session_.Run(fmt::format("SELECT COUNT(*) FROM information_schema.processlist WHERE id = {}", orphan), {}, false);
    if (reply.lost()) break;
    if (reply.ok() && reply.rows.size() == 1 && reply.rows[0][0] == "0") break;
    std::this_thread::sleep_for(milliseconds(20));
  }
  Truth actual;
  if (!ReadAll(&actual)) {  // lost again: the question stays open
    truth_ = after;
    committing_ = may_be_done;
    in_transaction_ = true;
    return;
  }
  const std::string undone = truth_.DifferenceTo(actual), done = after.DifferenceTo(actual);
  if (!undone.empty() && !(may_be_done && done.empty())) {
    Fail(fmt::format("after a lost connection the rows are neither as before ({}) nor as after ({}): {}", undone, done, what));
  }
  truth_ = std::move(actual);
}

void Worker::Audit() {
  Truth actual;
  if (!ReadAll(&actual)) return;
  const std::string difference = truth_.DifferenceTo(actual);
  if (difference.empty()) return;
  Fail("audit, known against read: " + difference);
  truth_ = std::move(actual);
}

bool Worker::ReadPackages(const std::vector<std::string>& names, Truth* truth) {
  const std::string columns = "SELECT name, version, section, installed_size FROM packages WHERE name ";
  Reply reply;
  if (names.empty()) {
    const std::string sql = columns + "BETWEEN ? AND ?";
    reply = Call(sql, {prefix_, prefix_ + "~"});
  } else {
    Parameters parameters(names.begin(), names.end());
    reply = Call(columns + "IN (" + Marks(names.size()) + ")", parameters);
  }
  if (!Usable(reply, columns)) return false;
  for (const auto& row : reply.rows) {
    const std::string name = row[0].value_or("");
    const PackageRow* known = truth_.FindPackage(name);
    truth->SetPackage(name, {row[1].value_or(""), row[2].value_or(""), static_cast<int64_t>(Number(row[3])),
                             !names.empty(), known == nullptr ? 0 : known->id});
  }
  return true;
}

bool Worker::ReadDependencies(const std::vector<std::string>& names, Truth* truth) {
  const bool by_id = release_ == Release::kFinal;
  const std::string sql = fmt::format(
      "SELECT d.id, p.name, t.name, d.kind, d.note FROM dependencies d JOIN packages p ON p.{0} = d.package "
      "JOIN packages t ON t.{0} = d.depends_on WHERE p.name IN ({1})", by_id ? "id" : "name", Marks(names.size()));
  const Reply reply = Call(sql, Parameters(names.begin(), names.end()));
  if (!Usable(reply, sql)) return false;
  for (const auto& row : reply.rows) {
    DependencyRow dependency{Number(row[0]), row[1].value_or(""), row[2].value_or(""), row[3].value_or(""),
                             row[4].value_or("")};
    const bool own = dependency.note.rfind("zz-", 0) == 0;
    const std::string token = own ? dependency.note : fmt::format("#{}", dependency.id);
    truth->SetDependency(token, std::move(dependency));
  }
  return true;
}

bool Worker::ReadAll(Truth* truth) {
  if (!ReadPackages({}, truth)) return false;
  for (size_t i = 0; i < base_.size(); i += kListLength) {
    const auto begin = base_.begin() + static_cast<long>(i);
    const auto end = base_.begin() + static_cast<long>(std::min(base_.size(), i + kListLength));
    if (!ReadPackages({begin, end}, truth)) return false;
  }
  std::vector<std::string> names;
  for (const auto& [name, row] : truth->packages()) {
    names.push_back(name);
    if (names.size() < kListLength) continue;
    if (!ReadDependencies(names, truth)) return false;
    names.clear();
  }
  if (!names.empty() && !ReadDependencies(names, truth)) return false;
  truth->Commit();
  return true;
}

}  // namespace crossfade::demo
