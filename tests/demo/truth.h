// SPDX-License-Identifier: Apache-2.0
// What one connection of the application knows to be in the database: the rows that it alone writes. Each change
// is journaled, so that a rollback, to a savepoint or of all, is undone here as the server undoes it there.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace crossfade::demo {

struct PackageRow {
  std::string version, section;
  int64_t installed_size = 0;
  bool base = false;     // came with the index: never renamed or deleted
  uint64_t id = 0;       // the new key, once learnt; 0: not yet
};

struct DependencyRow {
  uint64_t id = 0;       // 0: inserted, and the reply was lost
  std::string package, depends_on, kind, note;
};

// Rows are known by a token that no rename changes: "#ID" for those of the index, the unique note for the others.
class Truth {
 public:
  const std::map<std::string, PackageRow>& packages() const { return packages_; }
  const std::map<std::string, DependencyRow>& dependencies() const { return dependencies_; }
  const PackageRow* FindPackage(const std::string& name) const;
  std::vector<std::pair<std::string, DependencyRow>> DependenciesOf(const std::string& package) const;  // by id
  bool IsTarget(const std::string& package) const;  // something here depends on it

  void SetPackage(const std::string& name, PackageRow row);
  void ErasePackage(const std::string& name);  // with its dependencies, as ON DELETE CASCADE does
  void Rename(const std::string& from, const std::string& to);  // in the references too, as ON UPDATE CASCADE does
  void SetDependency(const std::string& token, DependencyRow row);
  void EraseDependency(const std::string& token);
  void LearnId(const std::string& name, uint64_t id);  // no change of the row: not journaled

  size_t Mark() const { return journal_.size(); }
  void UndoTo(size_t mark);
  void Commit() { journal_.clear(); }

  // The first difference in words; empty: the same (ids that one side does not know are not compared).
  std::string DifferenceTo(const Truth& other) const;

 private:
  struct Change {
    bool is_package;
    std::string key;
    std::optional<PackageRow> package;
    std::optional<DependencyRow> dependency;  // the row before
  };
  void RawSet(const std::string& token, const DependencyRow* row);

  std::map<std::string, PackageRow> packages_;
  std::map<std::string, DependencyRow> dependencies_;
  std::map<std::string, std::set<std::string>> by_package_, by_target_;  // tokens
  std::vector<Change> journal_;
};

}  // namespace crossfade::demo
