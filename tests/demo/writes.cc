// SPDX-License-Identifier: Apache-2.0
// The statements that write. Each one changes what is known first, then the database, and compares affected rows.
#include "fmt/format.h"
#include "tests/demo/worker.h"

namespace crossfade::demo {

using servers::Reply;

namespace {

constexpr uint32_t kDuplicate = 1062, kNoParent = 1452, kHasChildren = 1451;
constexpr const char* kKinds[] = {"depends", "recommends", "suggests"};

}  // namespace

void Worker::Write(const std::string& sql, const Parameters& parameters, uint64_t affected,
                   const std::function<void()>& effect, const std::function<void(const Reply&)>& then) {
  if (outcome_ != Outcome::kFine) return;
  const size_t mark = truth_.Mark();
  effect();
  const Reply reply = Call(sql, parameters);
  if (outcome_ != Outcome::kFine) return;
  if (!reply.ok()) truth_.UndoTo(mark);
  if (!Usable(reply, sql)) return;
  if (reply.affected != affected) {
    Fail(fmt::format("{}: {} rows affected instead of {}", last_sql_, reply.affected, affected));
  }
  if (then) then(reply);
  if (!in_transaction_) truth_.Commit();
}

void Worker::ExpectError(const std::string& sql, const Parameters& parameters, uint32_t error) {
  const Reply reply = Call(sql, parameters);
  if (outcome_ != Outcome::kFine || reply.error == error) return;
  Fail(fmt::format("{}: error {} was due, not {}", last_sql_, error, Describe(reply)));
  outcome_ = Outcome::kBroken;
}

void Worker::InsertPackage() {
  const bool with_id = release_ == Release::kFinal;
  const size_t count = Chance(0.3) ? 3 : 1;
  std::vector<std::pair<std::string, PackageRow>> rows;
  Parameters parameters;
  std::string sql;
  for (size_t i = 0; i < count; ++i) {
    rows.emplace_back(NewName(), NewPackage());
    const auto& [name, row] = rows.back();
    if (with_id) parameters.emplace_back(static_cast<int64_t>(row.id));
    parameters.insert(parameters.end(), {name, row.version, row.section, row.installed_size});
  }
  if (count == 1 && Chance(0.3)) {
    sql = fmt::format("INSERT INTO packages SET {}name = ?, version = ?, section = ?, installed_size = ?",
                      with_id ? "id = ?, " : "");
  } else {
    sql = fmt::format("INSERT INTO packages ({}name, version, section, installed_size) VALUES ", with_id ? "id, " : "");
    for (size_t i = 0; i < count; ++i) sql += fmt::format("{}({}?, ?, ?, ?)", i == 0 ? "" : ", ", with_id ? "?, " : "");
  }
  Write(sql, parameters, count, [&] {
    for (const auto& [name, row] : rows) truth_.SetPackage(name, row);
  }, [&](const Reply& reply) {
    if (reply.insert_id != 0) Fail(fmt::format("{}: insert id {} where there is none", last_sql_, reply.insert_id));
  });
}

void Worker::InsertDependency() {
  const std::string package = AnyPackage();
  const size_t count = Chance(0.4) ? 1 + Below(4) : 1;
  std::vector<NewDependency> rows;
  Parameters parameters;
  const bool columns = Chance(0.8);
  std::string sql = columns ? "INSERT INTO dependencies (package, depends_on, kind, note) VALUES " : "INSERT INTO dependencies VALUES ";
  for (size_t i = 0; i < count; ++i) {
    NewDependency made{fmt::format("{}{}", prefix_, ++counter_), {}};
    made.row = {0, package, Target(), kKinds[Below(3)], made.token};
    sql += fmt::format("{}({}?, ?, ?, ?)", i == 0 ? "" : ", ", columns ? "" : "DEFAULT, ");
    parameters.insert(parameters.end(), {WrittenKey(package), WrittenKey(made.row.depends_on), made.row.kind, made.token});
    rows.push_back(std::move(made));
  }
  if (count == 1 && columns && Chance(0.3)) sql = "INSERT INTO dependencies SET package = ?, depends_on = ?, kind = ?, note = ?";
  uint64_t first = 0;
  Write(sql, parameters, count, [&] {
    for (const NewDependency& made : rows) truth_.SetDependency(made.token, made.row);
  }, [&](const Reply& reply) {
    first = reply.insert_id;
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i].row.id = first + i;
      truth_.SetDependency(rows[i].token, rows[i].row);
    }
    if (first == 0) Fail(last_sql_ + ": no insert id");
  });
  if (first == 0 || outcome_ != Outcome::kFine || !Chance(0.2)) return;
  const Reply reply = Call("SELECT LAST_INSERT_ID()");
  if (Usable(reply, "") && (reply.rows.size() != 1 || reply.rows[0][0] != std::to_string(first))) {
    Fail(fmt::format("LAST_INSERT_ID() is not {}: {}", first, Describe(reply)));
  }
}

void Worker::InsertPackageWithDependencies() {
  InsertPackage();
  InsertDependency();
  InsertDependency();
}

void Worker::UpdatePackage() {
  const std::string name = AnyPackage();
  PackageRow row = *truth_.FindPackage(name);
  Parameters parameters;
  std::string sql;
  const uint64_t kind = Below(4);
  uint64_t affected = 1;
  if (kind == 0) {
    sql = "UPDATE packages SET installed_size = installed_size + 7 WHERE ";
    row.installed_size += 7;
  } else if (kind == 1) {  // no change: no row affected
    sql = "UPDATE packages SET version = ?, section = ? WHERE ";
    parameters = {row.version, row.section};
    affected = 0;
  } else {
    const PackageRow fresh = NewPackage();
    affected = fresh.version == row.version && fresh.installed_size == row.installed_size ? 0 : 1;
    row.version = fresh.version;
    row.installed_size = fresh.installed_size;
    sql = "UPDATE packages SET version = ?, installed_size = ? WHERE ";
    parameters = {row.version, row.installed_size};
  }
  sql += PackageIs(name, &parameters);
  row.id = truth_.FindPackage(name)->id;
  Write(sql, parameters, affected, [&] { truth_.SetPackage(name, row); });
}

void Worker::UpdateReference() {
  const std::string token = AnyToken();
  if (token.empty()) return;
  DependencyRow row = truth_.dependencies().at(token);
  const std::string before = row.depends_on;
  if (Chance(0.8)) row.depends_on = Target();  // else the same again: no row affected
  const bool changed = row.depends_on != before;
  Parameters parameters{WrittenKey(row.depends_on)};
  if (Chance(0.6)) {
    parameters.emplace_back(static_cast<int64_t>(row.id));
    Write("UPDATE dependencies SET depends_on = ? WHERE id = ?", parameters, changed ? 1 : 0,
          [&] { truth_.SetDependency(token, row); });
    return;
  }
  std::vector<std::pair<std::string, DependencyRow>> hit;
  for (auto& [other_token, other] : truth_.DependenciesOf(row.package)) {
    if (other.depends_on == before) hit.emplace_back(other_token, other);
  }
  parameters.push_back(SoughtKey(row.package));
  parameters.push_back(SoughtKey(before));
  const bool note = Chance(0.2);
  Write(fmt::format("UPDATE dependencies SET depends_on = ?{} WHERE package = ? AND depends_on = ?", note ? ", kind = 'enhances'" : ""),
        parameters, [&] {
    uint64_t affected = 0;
    for (const auto& [other_token, other] : hit) affected += changed || (note && other.kind != "enhances") ? 1 : 0;
    return affected;
  }(), [&] {
    for (auto& [other_token, other] : hit) {
      other.depends_on = row.depends_on;
      if (note) other.kind = "enhances";
      truth_.SetDependency(other_token, other);
    }
  });
}

void Worker::MoveDependency() {
  const std::string token = AnyToken();
  if (token.empty()) return;
  DependencyRow row = truth_.dependencies().at(token);
  const std::string before_package = row.package, before_target = row.depends_on;
  row.package = AnyPackage();
  row.depends_on = Target();
  const Parameters parameters{WrittenKey(row.package), WrittenKey(row.depends_on), static_cast<int64_t>(row.id)};
  Write("UPDATE dependencies SET package = ?, depends_on = ? WHERE id = ?", parameters,
        row.package != before_package || row.depends_on != before_target ? 1 : 0, [&] { truth_.SetDependency(token, row); });
}

void Worker::RenamePackage() {
  const std::string from = OwnPackage();
  if (from.empty()) return;
  const std::string to = NewName();
  Parameters parameters{to};
  const std::string where = PackageIs(from, &parameters);
  Write("UPDATE packages SET name = ? WHERE " + where, parameters, 1, [&] { truth_.Rename(from, to); });
}

void Worker::DeleteDependency() {
  if (Chance(0.3)) {
    const std::string package = OwnPackage();
    if (package.empty()) return;
    const auto rows = truth_.DependenciesOf(package);
    Write("DELETE FROM dependencies WHERE package = ?", {SoughtKey(package)}, rows.size(), [&] {
      for (const auto& [token, row] : rows) truth_.EraseDependency(token);
    });
    return;
  }
  const std::string token = AnyToken();
  if (token.empty()) return;
  Write("DELETE FROM dependencies WHERE id = ?", {static_cast<int64_t>(truth_.dependencies().at(token).id)}, 1,
        [&] { truth_.EraseDependency(token); });
}

void Worker::DeletePackage() {
  const std::string name = OwnPackage();
  if (name.empty()) return;
  Parameters parameters;
  const std::string sql = "DELETE FROM packages WHERE " + PackageIs(name, &parameters);
  if (truth_.IsTarget(name)) {
    // Where all that refers to it is its own dependencies, the engines differ in what they say.
    for (const auto& [token, row] : truth_.DependenciesOf(name)) {
      if (row.depends_on == name) return;
    }
    ExpectError(sql, parameters, kHasChildren);
  } else {
    Write(sql, parameters, 1, [&] { truth_.ErasePackage(name); });
  }
}

void Worker::ReplacePackage() {
  const std::string own = OwnPackage();
  const std::string name = own.empty() || Chance(0.3) ? NewName() : own;
  if (truth_.IsTarget(name)) return;
  const PackageRow* known = truth_.FindPackage(name);
  PackageRow row = NewPackage();
  if (known != nullptr && release_ == Release::kFinal) row.id = IdOf(name);
  if (known != nullptr && release_ != Release::kFinal) row.id = known->id;
  Parameters parameters;
  const bool with_id = release_ == Release::kFinal;
  if (with_id) parameters.emplace_back(static_cast<int64_t>(row.id));
  parameters.insert(parameters.end(), {name, row.version, row.section, row.installed_size});
  Write(fmt::format("REPLACE INTO packages ({}name, version, section, installed_size) VALUES ({}?, ?, ?, ?)",
                    with_id ? "id, " : "", with_id ? "?, " : ""),
        parameters, known == nullptr ? 1 : 2, [&] {
    if (application_->replace_deletes_children) truth_.ErasePackage(name);
    truth_.SetPackage(name, row);
  });
}

void Worker::UpsertPackage() {
  const std::string any = AnyPackage();
  const std::string name = any.empty() || Chance(0.3) ? NewName() : any;
  PackageRow row = NewPackage();
  const bool with_id = release_ == Release::kFinal;
  const PackageRow* known = truth_.FindPackage(name);
  if (known != nullptr) row.id = with_id ? IdOf(name) : known->id;
  Parameters parameters;
  if (with_id) parameters.emplace_back(static_cast<int64_t>(row.id));
  parameters.insert(parameters.end(), {name, row.version, row.section, row.installed_size});
  uint64_t affected = 1;
  if (known = truth_.FindPackage(name); known != nullptr) {
    affected = 2;  // installed_size always grows
    row.section = known->section;
    row.installed_size = known->installed_size + 1;
    row.base = known->base;
  }
  Write(fmt::format("INSERT INTO packages ({}name, version, section, installed_size) VALUES ({}?, ?, ?, ?) "
                    "ON DUPLICATE KEY UPDATE version = VALUES(version), installed_size = packages.installed_size + 1",
                    with_id ? "id, " : "", with_id ? "?, " : ""),
        parameters, affected, [&] { truth_.SetPackage(name, row); });
}

void Worker::UpsertDependency() {
  const std::string token = AnyToken();
  if (token.empty()) return;
  DependencyRow row = truth_.dependencies().at(token);
  const std::string target = Target();
  const bool changed = row.depends_on != target;
  const Parameters parameters{static_cast<int64_t>(row.id), WrittenKey(row.package), WrittenKey(row.depends_on), row.kind,
                              row.note, WrittenKey(target)};
  row.depends_on = target;
  Write("INSERT INTO dependencies (id, package, depends_on, kind, note) VALUES (?, ?, ?, ?, ?) "
        "ON DUPLICATE KEY UPDATE depends_on = ?",
        parameters, changed ? 2 : 0, [&] { truth_.SetDependency(token, row); });
}

void Worker::ReplaceDependency() {
  const std::string token = AnyToken();
  if (token.empty()) return;
  DependencyRow row = truth_.dependencies().at(token);
  const std::string target = Target();
  if (target == row.depends_on) return;  // a row replaced by itself counts differently on the engines
  row.depends_on = target;
  const Parameters parameters{static_cast<int64_t>(row.id), WrittenKey(row.package), WrittenKey(target), row.kind, row.note};
  Write("REPLACE INTO dependencies (id, package, depends_on, kind, note) VALUES (?, ?, ?, ?, ?)", parameters, 2,
        [&] { truth_.SetDependency(token, row); });
}

// Errors are replies too.
void Worker::Mistake() {
  const std::string name = AnyPackage();
  if (Chance(0.5)) {
    const bool with_id = release_ == Release::kFinal;
    Parameters parameters;
    if (with_id) parameters.emplace_back(static_cast<int64_t>(++next_id_));
    parameters.emplace_back(name);
    ExpectError(with_id ? "INSERT INTO packages (id, name) VALUES (?, ?)" : "INSERT INTO packages (name) VALUES (?)", parameters,
                kDuplicate);
  } else if (release_ <= Release::kEither) {
    ExpectError("INSERT INTO dependencies (package, depends_on, kind) VALUES (?, ?, 'depends')", {name, prefix_ + "nowhere"},
                kNoParent);
  }
}

}  // namespace crossfade::demo
