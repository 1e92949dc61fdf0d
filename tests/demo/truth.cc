// SPDX-License-Identifier: Apache-2.0
// The rows that a connection owns; see truth.h.
#include "tests/demo/truth.h"

#include <algorithm>

#include "fmt/format.h"

namespace crossfade::demo {

const PackageRow* Truth::FindPackage(const std::string& name) const {
  const auto found = packages_.find(name);
  return found == packages_.end() ? nullptr : &found->second;
}

std::vector<std::pair<std::string, DependencyRow>> Truth::DependenciesOf(const std::string& package) const {
  std::vector<std::pair<std::string, DependencyRow>> rows;
  if (const auto tokens = by_package_.find(package); tokens != by_package_.end()) {
    for (const std::string& token : tokens->second) rows.emplace_back(token, dependencies_.at(token));
  }
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.second.id < b.second.id; });
  return rows;
}

bool Truth::IsTarget(const std::string& package) const {
  const auto tokens = by_target_.find(package);
  return tokens != by_target_.end() && !tokens->second.empty();
}

void Truth::SetPackage(const std::string& name, PackageRow row) {
  const auto found = packages_.find(name);
  journal_.push_back({true, name, found == packages_.end() ? std::nullopt : std::optional(found->second), std::nullopt});
  packages_[name] = std::move(row);
}

void Truth::ErasePackage(const std::string& name) {
  const std::set<std::string> tokens = by_package_[name];
  for (const std::string& token : tokens) EraseDependency(token);
  const auto found = packages_.find(name);
  if (found == packages_.end()) return;
  journal_.push_back({true, name, found->second, std::nullopt});
  packages_.erase(found);
}

void Truth::Rename(const std::string& from, const std::string& to) {
  const PackageRow row = packages_.at(from);
  const std::set<std::string> own = by_package_[from], incoming = by_target_[from];
  for (const std::string& token : own) {
    DependencyRow changed = dependencies_.at(token);
    changed.package = to;
    SetDependency(token, std::move(changed));
  }
  for (const std::string& token : incoming) {
    DependencyRow changed = dependencies_.at(token);
    changed.depends_on = to;
    SetDependency(token, std::move(changed));
  }
  ErasePackage(from);
  SetPackage(to, row);
}

void Truth::RawSet(const std::string& token, const DependencyRow* row) {
  if (const auto found = dependencies_.find(token); found != dependencies_.end()) {
    by_package_[found->second.package].erase(token);
    by_target_[found->second.depends_on].erase(token);
    dependencies_.erase(found);
  }
  if (row == nullptr) return;
  by_package_[row->package].insert(token);
  by_target_[row->depends_on].insert(token);
  dependencies_.emplace(token, *row);
}

void Truth::SetDependency(const std::string& token, DependencyRow row) {
  const auto found = dependencies_.find(token);
  journal_.push_back({false, token, std::nullopt, found == dependencies_.end() ? std::nullopt : std::optional(found->second)});
  RawSet(token, &row);
}

void Truth::EraseDependency(const std::string& token) {
  const auto found = dependencies_.find(token);
  if (found == dependencies_.end()) return;
  journal_.push_back({false, token, std::nullopt, found->second});
  RawSet(token, nullptr);
}

void Truth::LearnId(const std::string& name, uint64_t id) {
  if (const auto found = packages_.find(name); found != packages_.end()) found->second.id = id;
}

void Truth::UndoTo(size_t mark) {
  while (journal_.size() > mark) {
    const Change change = std::move(journal_.back());
    journal_.pop_back();
    if (!change.is_package) {
      RawSet(change.key, change.dependency ? &*change.dependency : nullptr);
    } else if (change.package) {
      packages_[change.key] = *change.package;
    } else {
      packages_.erase(change.key);
    }
  }
}

std::string Truth::DifferenceTo(const Truth& other) const {
  for (const auto& [name, row] : packages_) {
    const PackageRow* there = other.FindPackage(name);
    if (there == nullptr) return fmt::format("package {} is only on the first side", name);
    if (row.version != there->version || row.section != there->section || row.installed_size != there->installed_size) {
      return fmt::format("package {}: ({}, {}, {}) against ({}, {}, {})", name, row.version, row.section,
                         row.installed_size, there->version, there->section, there->installed_size);
    }
    if (row.id != 0 && there->id != 0 && row.id != there->id) {
      return fmt::format("package {}: its new key was {} and is {}", name, row.id, there->id);
    }
  }
  for (const auto& [name, row] : other.packages_) {
    if (FindPackage(name) == nullptr) return fmt::format("package {} is only on the second side", name);
  }
  for (const auto& [token, row] : dependencies_) {
    const auto found = other.dependencies_.find(token);
    if (found == other.dependencies_.end()) return fmt::format("dependency {} ({}, {} -> {}) is only on the first side", token, row.id, row.package, row.depends_on);
    const DependencyRow& there = found->second;
    const bool same_id = row.id == 0 || there.id == 0 || row.id == there.id;
    if (!same_id || row.package != there.package || row.depends_on != there.depends_on || row.kind != there.kind ||
        row.note != there.note) {
      return fmt::format("dependency {}: ({}, {} -> {}, {}, {}) against ({}, {} -> {}, {}, {})", token, row.id, row.package,
                         row.depends_on, row.kind, row.note, there.id, there.package, there.depends_on, there.kind, there.note);
    }
  }
  for (const auto& [token, row] : other.dependencies_) {
    if (!dependencies_.contains(token)) {
      return fmt::format("dependency {} ({}, {} -> {}) is only on the second side", token, row.id, row.package, row.depends_on);
    }
  }
  return {};
}

}  // namespace crossfade::demo
