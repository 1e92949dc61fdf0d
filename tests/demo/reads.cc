// SPDX-License-Identifier: Apache-2.0
// The statements that read, each compared with what is known.
#include "fmt/format.h"
#include "tests/demo/worker.h"

namespace crossfade::demo {

using servers::Cell;
using servers::Reply;

namespace {

std::string List(size_t count) {
  std::string marks;
  for (size_t i = 0; i < count; ++i) marks += i == 0 ? "?" : ", ?";
  return marks;
}

bool Is(const Cell& cell, const std::string& text) { return cell && *cell == text; }
bool Is(const Cell& cell, uint64_t number) { return Is(cell, std::to_string(number)); }

}  // namespace

// `columns`: how many the reply must have; a reply that is no result set of that width is an error.
Reply Worker::Read(const std::string& sql, const Parameters& parameters, size_t columns) {
  Reply reply = Call(sql, parameters);
  if (!Usable(reply, sql)) return reply;
  if (reply.columns.size() != columns) {
    Fail(fmt::format("{}: {} columns instead of {}", last_sql_, reply.columns.size(), columns));
    outcome_ = Outcome::kBroken;
  }
  return reply;
}

void Worker::ReadPackage() {
  const std::string name = AnyPackage();
  Parameters parameters;
  const std::string where = PackageIs(name, &parameters);
  const Reply reply = Read("SELECT version, section, installed_size, name FROM packages WHERE " + where, parameters, 4);
  if (outcome_ != Outcome::kFine) return;
  const PackageRow* row = truth_.FindPackage(name);
  const bool right = reply.rows.size() == 1 && Is(reply.rows[0][0], row->version) && Is(reply.rows[0][1], row->section) &&
                     Is(reply.rows[0][2], static_cast<uint64_t>(row->installed_size)) && Is(reply.rows[0][3], name);
  if (!right) Fail(fmt::format("{}: not ({}, {}, {}) but {}", last_sql_, row->version, row->section, row->installed_size, Describe(reply)));
}

// Until contract, * has the columns that the application knows, in their order.
void Worker::ReadWholePackage() {
  const std::string name = AnyPackage();
  if (release_ == Release::kFinal) return ReadPackage();
  const std::string sql = "SELECT * FROM packages WHERE name = ?";
  const Reply reply = Read(sql, {name}, 13);
  if (outcome_ != Outcome::kFine) return;
  const PackageRow* row = truth_.FindPackage(name);
  const bool right = reply.rows.size() == 1 && reply.columns[0].name == "name" && reply.columns[12].name == "description" &&
                     Is(reply.rows[0][0], name) && Is(reply.rows[0][1], row->version) && Is(reply.rows[0][3], row->section);
  if (!right) Fail(fmt::format("{}: wrong reply: {}", last_sql_, Describe(reply)));
}

void Worker::ReadMissing() {
  const Reply reply = Read("SELECT name FROM packages WHERE name = ?", {prefix_ + "nobody"}, 1);
  if (outcome_ == Outcome::kFine && !reply.rows.empty()) Fail(last_sql_ + ": found what is not there");
}

void Worker::ReadReferences() {
  const std::string package = AnyPackage();
  const bool all = Chance(0.2);
  const auto known = truth_.DependenciesOf(package);
  const std::string table = Chance(0.3) ? "dependencies AS d" : "dependencies";
  const Reply reply = Read(fmt::format("SELECT {} FROM {} WHERE package = ? ORDER BY {}id",
                                       all ? "*" : "id, package, depends_on, kind, note", table,
                                       Chance(0.5) ? "" : table.ends_with("d") ? "d." : "dependencies."),
                           {SoughtKey(package)}, 5);
  if (outcome_ != Outcome::kFine) return;
  bool right = reply.rows.size() == known.size();
  for (size_t i = 0; right && i < known.size(); ++i) {
    const DependencyRow& row = known[i].second;
    const auto& cells = reply.rows[i];
    right = Is(cells[0], row.id) && IsKeyOf(cells[1], row.package) && IsKeyOf(cells[2], row.depends_on) &&
            Is(cells[3], row.kind) && Is(cells[4], row.note);
  }
  right = right && reply.columns[1].name == "package" && reply.columns[2].name == "depends_on";
  if (!right && outcome_ == Outcome::kFine) Fail(fmt::format("{}: not the {} rows known of {}: {}", last_sql_, known.size(), package, Describe(reply)));
}

void Worker::ReadPackageList() {
  std::map<std::string, PackageRow> wanted;
  for (uint64_t i = 0; i < 2 + Below(5); ++i) {
    const std::string name = AnyPackage();
    wanted[name] = *truth_.FindPackage(name);
  }
  Parameters parameters{prefix_ + "nobody"};
  for (const auto& [name, row] : wanted) {  // from the second release on, both kinds in one list
    if (release_ == Release::kEither && Chance(0.5)) {
      parameters.emplace_back(static_cast<int64_t>(IdOf(name)));
    } else {
      parameters.emplace_back(name);
    }
  }
  const Reply reply = Read(fmt::format("SELECT name, version FROM packages WHERE name IN ({}) ORDER BY name", List(parameters.size())),
                           parameters, 2);
  if (outcome_ != Outcome::kFine) return;
  bool right = reply.rows.size() == wanted.size();
  size_t i = 0;
  for (const auto& [name, row] : wanted) {
    if (!right) break;
    right = Is(reply.rows[i][0], name) && Is(reply.rows[i][1], row.version);
    ++i;
  }
  if (!right) Fail(fmt::format("{}: not the {} packages known: {}", last_sql_, wanted.size(), Describe(reply)));
}

void Worker::ReadReferenceList() {
  std::map<uint64_t, std::string> known;
  Parameters parameters;
  std::set<std::string> names;
  for (uint64_t i = 0; i < 2 + Below(4); ++i) names.insert(AnyPackage());
  for (const std::string& name : names) {
    for (const auto& [token, row] : truth_.DependenciesOf(name)) known[row.id] = name;
    parameters.push_back(release_ == Release::kIds && Chance(0.3) ? servers::Parameter(name) : SoughtKey(name));
  }
  const Reply reply = Read(fmt::format("SELECT id, package FROM dependencies WHERE package IN ({}) ORDER BY id", List(parameters.size())),
                           parameters, 2);
  if (outcome_ != Outcome::kFine) return;
  bool right = reply.rows.size() == known.size();
  size_t i = 0;
  for (const auto& [id, name] : known) {
    if (!right) break;
    right = Is(reply.rows[i][0], id) && IsKeyOf(reply.rows[i][1], name);
    ++i;
  }
  if (!right && outcome_ == Outcome::kFine) Fail(fmt::format("{}: not the {} rows known: {}", last_sql_, known.size(), Describe(reply)));
}

void Worker::ReadJoin() {
  const std::string package = AnyPackage();
  const auto known = truth_.DependenciesOf(package);
  const std::string sql = fmt::format(
      "SELECT d.id, d.depends_on, t.name, p.version FROM dependencies d JOIN packages t ON {} JOIN packages p ON {} "
      "WHERE d.package = ? ORDER BY d.id", JoinOn("t", "d.depends_on"), JoinOn("p", "d.package"));
  const Reply reply = Read(sql, {SoughtKey(package)}, 4);
  if (outcome_ != Outcome::kFine) return;
  bool right = reply.rows.size() == known.size();
  const PackageRow* parent = truth_.FindPackage(package);
  for (size_t i = 0; right && i < known.size(); ++i) {
    const auto& cells = reply.rows[i];
    right = Is(cells[0], known[i].second.id) && IsKeyOf(cells[1], known[i].second.depends_on) &&
            Is(cells[2], known[i].second.depends_on) && Is(cells[3], parent->version);
  }
  if (!right && outcome_ == Outcome::kFine) Fail(fmt::format("{}: not the {} rows known: {}", last_sql_, known.size(), Describe(reply)));
}

void Worker::ReadCounts() {
  std::map<std::string, size_t> wanted;
  for (int i = 0; i < 3; ++i) {
    const std::string name = AnyPackage();
    wanted[name] = truth_.DependenciesOf(name).size();
  }
  Parameters parameters;
  for (const auto& [name, count] : wanted) parameters.emplace_back(name);
  const Reply reply = Read(fmt::format("SELECT p.name, COUNT(d.id) FROM packages p LEFT JOIN dependencies d ON {} "
                                       "WHERE p.name IN ({}) GROUP BY p.name ORDER BY p.name",
                                       JoinOn("p", "d.package"), List(wanted.size())),
                           parameters, 2);
  if (outcome_ != Outcome::kFine) return;
  bool right = reply.rows.size() == wanted.size();
  size_t i = 0;
  for (const auto& [name, count] : wanted) {
    if (!right) break;
    right = Is(reply.rows[i][0], name) && Is(reply.rows[i][1], count);
    ++i;
  }
  if (!right) Fail(fmt::format("{}: wrong counts: {}", last_sql_, Describe(reply)));
}

void Worker::ReadRange() {
  const std::string from = prefix_ + std::to_string(Below(counter_ + 1));
  const Reply reply = Read("SELECT name, installed_size FROM packages WHERE name >= ? AND name < ? ORDER BY name LIMIT 20",
                           {from, prefix_ + "~"}, 2);
  if (outcome_ != Outcome::kFine) return;
  auto known = truth_.packages().lower_bound(from);
  bool right = true;
  size_t i = 0;
  for (; i < 20 && known != truth_.packages().end() && known->first < prefix_ + "~"; ++i, ++known) {
    right = right && i < reply.rows.size() && Is(reply.rows[i][0], known->first) &&
            Is(reply.rows[i][1], static_cast<uint64_t>(known->second.installed_size));
  }
  if (!right || i != reply.rows.size()) Fail(fmt::format("{}: not the {} rows known: {}", last_sql_, i, Describe(reply)));
}

void Worker::ReadReferenceRange() {
  if (release_ <= Release::kEither) {  // by old keys
    std::set<uint64_t> known;
    const std::string from = prefix_, to = prefix_ + "~";
    for (auto own = truth_.packages().lower_bound(from); own != truth_.packages().end() && own->first < to; ++own) {
      for (const auto& [token, row] : truth_.DependenciesOf(own->first)) known.insert(row.id);
    }
    const Reply reply = Read("SELECT id, package FROM dependencies WHERE package BETWEEN ? AND ? ORDER BY id", {from, to}, 2);
    if (outcome_ != Outcome::kFine) return;
    bool right = reply.rows.size() == known.size();
    size_t i = 0;
    for (const uint64_t id : known) right = right && Is(reply.rows[i++][0], id);
    if (!right) Fail(fmt::format("{}: not the {} rows known: {}", last_sql_, known.size(), Describe(reply)));
    return;
  }
  const std::string name = AnyPackage();
  const auto id = static_cast<int64_t>(IdOf(name));
  const Reply reply = Read("SELECT id, name FROM packages WHERE id BETWEEN ? AND ? ORDER BY id", {id - 3, id + 3}, 2);
  if (outcome_ != Outcome::kFine) return;
  for (const auto& row : reply.rows) {
    if (Is(row[0], static_cast<uint64_t>(id)) && Is(row[1], name)) return;
  }
  Fail(fmt::format("{}: {} is not among {}", last_sql_, name, Describe(reply)));
}

void Worker::ReadSubquery() {
  const std::string package = AnyPackage();
  const auto known = truth_.DependenciesOf(package);
  const Reply reply = Read(fmt::format("SELECT COUNT(*) FROM packages p WHERE p.name = ? AND EXISTS "
                                       "(SELECT 1 FROM dependencies d WHERE {})", JoinOn("p", "d.package")), {package}, 1);
  if (outcome_ != Outcome::kFine) return;
  if (reply.rows.size() != 1 || !Is(reply.rows[0][0], known.empty() ? 0 : 1)) {
    Fail(fmt::format("{}: wrong for {} rows: {}", last_sql_, known.size(), Describe(reply)));
  }
}

// Read, then written from what was read, as applications do.
void Worker::ReadForUpdate() {
  if (!in_transaction_) return ReadPackage();
  const std::string name = AnyPackage();
  PackageRow row = *truth_.FindPackage(name);
  const Reply reply = Read("SELECT installed_size FROM packages WHERE name = ? FOR UPDATE", {name}, 1);
  if (outcome_ != Outcome::kFine) return;
  if (reply.rows.size() != 1 || !Is(reply.rows[0][0], static_cast<uint64_t>(row.installed_size))) {
    Fail(fmt::format("{}: not {}: {}", last_sql_, row.installed_size, Describe(reply)));
    return;
  }
  row.installed_size += 1;
  Write("UPDATE packages SET installed_size = ? WHERE name = ?", {row.installed_size, name}, 1,
        [&] { truth_.SetPackage(name, row); });
}

}  // namespace crossfade::demo
