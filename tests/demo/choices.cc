// SPDX-License-Identifier: Apache-2.0
// What a worker picks: rows, names, and which of its keys it calls a package by in the release it runs.
#include "fmt/format.h"
#include "tests/demo/worker.h"

namespace crossfade::demo {

using servers::Parameter;
using servers::Reply;

std::string Worker::AnyPackage() {
  const auto& packages = truth_.packages();
  if (packages.empty()) return {};
  if (const std::string own = Chance(0.5) ? OwnPackage() : ""; !own.empty()) return own;
  return base_.empty() ? std::string() : base_[Below(base_.size())];
}

std::string Worker::OwnPackage() {
  // One of those that follow a random number, as names are prefix and number.
  const auto& packages = truth_.packages();
  auto found = packages.lower_bound(prefix_ + std::to_string(Below(counter_ + 1)));
  if (found == packages.end() || found->first.rfind(prefix_, 0) != 0) found = packages.lower_bound(prefix_);
  if (found == packages.end() || found->first.rfind(prefix_, 0) != 0) return {};
  return found->first;
}

std::string Worker::Target() {
  if (const std::string own = Chance(0.2) ? OwnPackage() : ""; !own.empty()) return own;
  return application_->targets[Below(application_->targets.size())];
}

std::string Worker::AnyToken() {
  for (int i = 0; i < 10; ++i) {
    const auto rows = truth_.DependenciesOf(AnyPackage());
    if (rows.empty()) continue;
    const auto& [token, row] = rows[Below(rows.size())];
    if (row.id != 0) return token;
  }
  return {};
}

PackageRow Worker::NewPackage() {
  static constexpr const char* kSections[] = {"admin", "libs", "net", "utils", "d'oc"};
  PackageRow row;
  row.version = fmt::format("{}.{}-{}", Below(10), Below(100), Below(1000));
  row.section = kSections[Below(5)];
  row.installed_size = static_cast<int64_t>(Below(1'000'000));
  if (release_ == Release::kFinal) row.id = ++next_id_;
  return row;
}

uint64_t Worker::IdOf(const std::string& name) {
  const PackageRow* row = truth_.FindPackage(name);
  if (row != nullptr && row->id != 0) return row->id;
  if (const auto found = target_ids_.find(name); row == nullptr && found != target_ids_.end()) return found->second;
  const Reply reply = Call("SELECT id FROM packages WHERE name = ?", {name});
  if (!Usable(reply, "id")) return 0;
  if (reply.rows.size() != 1 || !reply.rows[0][0]) {
    Fail(fmt::format("package {} has no new key: {}", name, Describe(reply)));
    outcome_ = Outcome::kBroken;
    return 0;
  }
  const uint64_t id = std::strtoull(reply.rows[0][0]->c_str(), nullptr, 10);
  if (row != nullptr) {
    truth_.LearnId(name, id);
  } else {
    target_ids_[name] = id;
  }
  return id;
}

Parameter Worker::WrittenKey(const std::string& name) {
  const double ids = release_ == Release::kNames ? 0 : release_ == Release::kEither ? 0.2 : release_ == Release::kIds ? 0.8 : 1;
  if (Chance(ids)) return static_cast<int64_t>(IdOf(name));
  return name;
}

Parameter Worker::SoughtKey(const std::string& name) {
  const double ids = release_ == Release::kNames ? 0 : release_ == Release::kEither ? 0.5 : 1;
  if (Chance(ids)) return static_cast<int64_t>(IdOf(name));
  return name;
}

bool Worker::IsKeyOf(const servers::Cell& cell, const std::string& name) {
  if (!cell) return false;
  if (*cell == name) {
    application_->stats->ReadReference(false);
    return release_ != Release::kFinal;
  }
  if (cell->empty() || cell->find_first_not_of("0123456789") != std::string::npos) return false;
  application_->stats->ReadReference(true);
  const uint64_t id = IdOf(name);
  return id == 0 || std::to_string(id) == *cell;  // 0: failed and said so
}

std::string Worker::PackageIs(const std::string& name, Parameters* parameters) {
  if (release_ == Release::kEither && Chance(0.4)) {
    parameters->emplace_back(std::in_place_type<int64_t>, static_cast<int64_t>(IdOf(name)));
    return "name = ?";  // an either-key lookup
  }
  if (release_ >= Release::kIds && Chance(0.7)) {
    parameters->emplace_back(std::in_place_type<int64_t>, static_cast<int64_t>(IdOf(name)));
    return "id = ?";
  }
  parameters->push_back(name);
  return "name = ?";
}

std::string Worker::JoinOn(const std::string& packages, const std::string& reference) {
  const bool by_id = release_ == Release::kFinal || (release_ == Release::kIds && Chance(0.5));
  return fmt::format("{}.{} = {}", packages, by_id ? "id" : "name", reference);
}

}  // namespace crossfade::demo
