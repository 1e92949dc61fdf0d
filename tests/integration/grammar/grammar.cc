// SPDX-License-Identifier: Apache-2.0
// The grammar's small parts: names, values, what a column shows; see grammar.h.
#include "tests/integration/grammar/grammar.h"

#include <algorithm>

#include "fmt/format.h"

namespace crossfade::grammar {

void Grammar::Begin(const twin::Lexis& lexis, const std::string& label) {
  lexis_ = lexis;
  statement_ = Statement{};
  statement_.label = label;
  statement_.prepared = random_.Chance(35);
}

void Grammar::V(Value value) {
  // MySQL looks at a literal UUID beside an integer at PREPARE already: see docs/rewriting.md.
  const bool uuid = value.as_new && value.key >= 0 && model_.keys[value.key].kind == Kind::kUuid && statement_.locks;
  const bool bound = uuid || random_.Chance(80);
  statement_.pieces.push_back({"", std::move(value), bound});
}

std::string Grammar::Id(const std::string& name) {
  if (!random_.Chance(12)) return name;
  return lexis_.ansi_quotes && random_.Chance(50) ? "\"" + name + "\"" : "`" + name + "`";
}

std::string Grammar::Name(const Table& table) { return random_.Chance(8) ? Id(kDatabase) + "." + Id(table.name) : Id(table.name); }

const Table& Grammar::AnyTable() {
  const Table& table = random_.Pick(model_.tables);
  return table.Migrates() || random_.Chance(20) ? table : random_.Pick(model_.tables);
}

std::vector<const Column*> Grammar::Columns(const Table& table, Role role) const {
  std::vector<const Column*> found;
  for (const Column& column : table.columns)
    if (column.role == role) found.push_back(&column);
  return found;
}

const Table* Grammar::WithReference() {
  std::vector<const Table*> found;
  for (const Table& table : model_.tables)
    if (!Columns(table, Role::kReference).empty()) found.push_back(&table);
  return found.empty() ? nullptr : random_.Pick(found);
}

bool Grammar::OldGone(int key) const { return mode_.retired && model_.keys[key].Mapped() && !model_.keys[key].keeps_old; }

bool Grammar::Changes(const Column& column) const {
  if (!mode_.new_cohort || (column.role != Role::kKey && column.role != Role::kReference) || !model_.keys[column.key].Mapped()) return false;
  return column.role == Role::kReference || !model_.keys[column.key].keeps_old;
}

bool Grammar::Hidden(const Column& column) const {
  if (!mode_.retired || column.role != Role::kMapped) return false;
  return model_.sets[column.set].back.empty();
}

bool Grammar::NeverEmpty(const Column& column) const {
  // Verification compares a reference with `back` too where no foreign key says what it finds.
  const bool compared = column.role == Role::kKey || (column.role == Role::kReference && !column.declared && !column.nullable);
  return compared && model_.keys[column.key].kind == Kind::kDerived && model_.keys[column.key].new_type == "binary(16)";
}

Item Grammar::Of(const Column& column) const {
  if (Changes(column)) return {Shown::kKey, column.key};
  if (mode_.new_cohort && column.role != Role::kPlain && column.role != Role::kIdentity) return {Shown::kLoose, -1};
  // What was given as the new key is stored as its parent spells it.
  if (mode_.either_key && column.role == Role::kReference && model_.keys[column.key].Mapped()) return {Shown::kLoose, -1};
  return {};
}

Value Grammar::OldKey(int key) {
  const Key& of = model_.keys[key];
  Value value;
  std::string text = random_.Pick(of.pool);
  // Another spelling than that of the pool; of what the new key is made of there is one alone.
  const bool spelled = !of.integer && !of.bytes && of.Mapped();
  if (spelled && random_.Chance(4)) {
    for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  if (spelled && random_.Chance(2)) text += " ";
  value.data = text;
  value.key = key;
  value.bytes = of.bytes;
  value.integer = of.integer && random_.Chance(85);
  return value;
}

Value Grammar::KeyValue(int key, bool may_be_new) {
  Value value = OldKey(key);
  if (!may_be_new || !mode_.either_key || !model_.keys[key].Mapped()) return value;
  value.as_new = random_.Chance(OldGone(key) ? 97 : 40);
  value.new_only = OldGone(key);
  // Stored, a CHAR loses the blanks by which it is not found under a collation that does not pad.
  if (value.as_new) value.data = random_.Pick(model_.keys[key].pool);
  if (OldGone(key) && !value.as_new) MayRefuse("an old key after they are given up");
  return value;
}

Value Grammar::U() { return {int64_t{random_.Between(1, model_.rows * 2)}}; }

Value Grammar::ValueFor(const Table& table, const Column& column) {
  const bool dated = column.values == Values::kDate || column.values == Values::kTime;
  if (random_.Chance(column.nullable ? 12 : dated || NeverEmpty(column) ? 0 : 1)) return {nullptr};
  switch (column.role) {
    case Role::kIdentity: return U();
    case Role::kKey: return OldKey(column.key);
    case Role::kReference: return KeyValue(column.key, true);
    default: break;
  }
  (void)table;
  if (column.values == Values::kInteger) {
    if (random_.Chance(1)) return {int64_t{99999999999}};
    if (random_.Chance(3)) return {std::to_string(random_.Between(0, 30))};
    return {int64_t{random_.Between(column.type.find("unsigned") == std::string::npos && random_.Chance(5) ? -5 : 0, 30)}};
  }
  if (random_.Chance(1) && column.values == Values::kText) return {std::string(70, 't')};
  if (random_.Chance(1) && column.values == Values::kDecimal) return {std::string("3.14159")};
  Random& random = random_;
  return {SomeValue(random, column)};
}

Statement Grammar::Read(const twin::Lexis& lexis) {
  Begin(lexis, "");
  const unsigned dice = static_cast<unsigned>(random_.Below(100));
  if (dice < 30) SelectOne(AnyTable());
  else if (dice < 48) SelectJoin();
  else if (dice < 60) SelectAggregate();
  else if (dice < 78) SelectSubquery();
  else if (dice < 86) SelectSet();
  else if (dice < 93) SelectWindow();
  else SelectOther();
  return std::move(statement_);
}

Statement Grammar::LockingRead(const twin::Lexis& lexis) {
  Begin(lexis, "");
  statement_.locks = true;
  SelectOne(AnyTable());
  statement_.label += " locking";
  const bool maria = model_.engine == servers::Engine::kMariaDb;
  T(maria ? random_.OneOf({" FOR UPDATE", " LOCK IN SHARE MODE"}) : random_.OneOf({" FOR UPDATE", " FOR SHARE", " LOCK IN SHARE MODE", " FOR UPDATE NOWAIT"}));
  return std::move(statement_);
}

Statement Grammar::Write(const twin::Lexis& lexis, bool strict) {
  Begin(lexis, "");
  strict_ = strict;
  statement_.locks = true;
  const Table& table = AnyTable();
  const unsigned dice = static_cast<unsigned>(random_.Below(100));
  if (dice < 34) Insert(table, false);
  else if (dice < 44) Insert(table, true);
  else if (dice < 50) InsertSelect(table, random_.Chance(20));
  else if (dice < 78) Update(table);
  else if (dice < 90) Delete(table);
  else if (dice < 98) JoinWrite();
  else Load(table);
  return std::move(statement_);
}

}  // namespace crossfade::grammar
