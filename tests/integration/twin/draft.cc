// SPDX-License-Identifier: Apache-2.0
// The generator's small parts: text in varying dress, names, values, conditions.
#include <cctype>

#include "fmt/format.h"
#include "tests/integration/twin/generator.h"

namespace crossfade::twin {

void Generator::Begin(size_t schema, const Lexis& lexis, const std::string& label) {
  schema_ = &schemas_[schema];
  lexis_ = lexis;
  statement_ = Statement{};
  given_.clear();
  statement_.schema = schema;
  statement_.uuids = schema_->integer_keys;
  statement_.no_old_keys = mode_.retired && !schema_->keeps_old;
  statement_.label = label;
  statement_.prepared = random_.Chance(35);
  lower_ = random_.Chance(40);
  airy_ = random_.Chance(10);
}

Statement Generator::Finish() { return std::move(statement_); }

// Words in capitals are keywords here: no name in the schemas is.
void Generator::T(std::string_view text) {
  std::string out;
  const bool quoted = text.find_first_of("'`\"") != std::string_view::npos;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (lower_ && !quoted && std::isupper(static_cast<unsigned char>(c)) && i + 1 < text.size() &&
        (std::isupper(static_cast<unsigned char>(text[i + 1])) || (i > 0 && std::isupper(static_cast<unsigned char>(text[i - 1]))))) {
      out += static_cast<char>(std::tolower(c));
    } else if (lower_ && !quoted && i > 0 && std::isupper(static_cast<unsigned char>(c)) &&
               std::isupper(static_cast<unsigned char>(text[i - 1]))) {
      out += static_cast<char>(std::tolower(c));
    } else if (airy_ && !quoted && c == ' ' && random_.Chance(12)) {
      out += random_.OneOf({"\n", "  ", " /* so */ ", "\t", " -- why\n "});
    } else {
      out += c;
    }
  }
  statement_.pieces.push_back({std::move(out), std::nullopt, false});
}

void Generator::V(Value value) {
  const bool bound = random_.Chance(80);
  statement_.pieces.push_back({"", std::move(value), bound});
}

std::string Generator::Id(const std::string& name) {
  if (!random_.Chance(12)) return name;
  return lexis_.ansi_quotes && random_.Chance(50) ? "\"" + name + "\"" : "`" + name + "`";
}

std::string Generator::TableName(const Table& table) {
  if (random_.Chance(10)) return Id(schema_->name) + "." + Id(table.name);
  return Id(table.name);
}

std::string Generator::OneKey() { return random_.Pick(schema_->keys); }

// An integer now and then as a text, as some drivers send it.
Value Generator::OldKey() { return {OneKey(), false, schema_->integer_keys && random_.Chance(85)}; }

Value Generator::KeyValue(bool number_allowed) {
  Value value = OldKey();
  if (!number_allowed || !mode_.either_key) return value;
  const bool new_only = mode_.retired && !schema_->keeps_old;
  value.as_number = random_.Chance(new_only ? 95 : 40);
  if (new_only && !value.as_number) statement_.refusable = true;  // an old key where the file has given them up
  return value;
}

Value Generator::ValueFor(const Column& column) {
  if (random_.Chance(column.nullable ? 12 : 1)) {
    if (mode_.retired && column.kind == Kind::kReference && !column.nullable) statement_.refusable = true;  // may mean ''
    return {nullptr};
  }
  switch (column.kind) {
    case Kind::kKey:
      if (!schema_->integer_keys && random_.Chance(1)) return {std::string(100, 'k')};
      given_.push_back(OneKey());
      return {given_.back(), false, schema_->integer_keys};
    case Kind::kReference: {
      if (schema_->refers_to_itself && !given_.empty() && random_.Chance(30)) {
        if (mode_.retired) statement_.refusable = true;
        return {random_.Pick(given_), false};
      }
      const Value value = KeyValue(true);
      // Where the mode is not strict, a text that is no key could be stored as a number that is one.
      if (schema_->integer_keys && value.as_number) statement_.refusable = true;
      return value;
    }
    case Kind::kSerial: return {int64_t{random_.Between(1, static_cast<int>(last_serial_) + 3)}};
    case Kind::kOwnKey: return {random_.Pick(schema_->own_keys)};
    case Kind::kUnique: return {fmt::format("cave {}", random_.Between(0, 400))};
    case Kind::kText:
      if (random_.Chance(1)) return {std::string(70, 't')};
      return {std::string(random_.OneOf({"depends", "suggests", "it's", "a\\b", "", "größer", "1.0", "x y", "NULL", "?"}))};
    case Kind::kInteger:
      if (random_.Chance(1)) return {int64_t{99999999999}};
      if (random_.Chance(5)) return {std::to_string(random_.Between(0, 400))};
      return {int64_t{random_.Between(-5, 400)}};
    case Kind::kDecimal:
      if (random_.Chance(1)) return {std::string("12345678901.5")};
      return {fmt::format("{}.{}", random_.Between(0, 900), random_.Between(0, 999))};
    case Kind::kTime:
      if (random_.Chance(1)) return {std::string("no time")};
      return {fmt::format("2021-{:02}-{:02} 04:05:06", random_.Between(1, 12), random_.Between(1, 28))};
    case Kind::kStamp: return {fmt::format("2022-05-{:02} 01:02:03", random_.Between(1, 28))};
  }
  return {nullptr};
}

bool Generator::Expression(const Column& column) {
  if (column.has_default && random_.Chance(5)) {
    T("DEFAULT");
    return false;
  }
  const bool keyish = column.kind == Kind::kKey || column.kind == Kind::kReference;
  // Once the old references are gone there is no old value to compute one from.
  if (!random_.Chance(6) || (keyish && (mode_.retired || schema_->integer_keys))) {
    V(ValueFor(column));
  } else if (keyish) {
    T("CONCAT(");
    V({OneKey()});
    T(", '')");
    if (column.kind == Kind::kReference && schema_->refers_to_itself) statement_.refusable = true;
  } else if (column.kind == Kind::kInteger || column.kind == Kind::kDecimal) {
    T("1 + ");
    V({int64_t{random_.Between(0, 50)}});
    return false;
  } else if (column.kind == Kind::kText) {
    T("LOWER(");
    V({std::string("ABC")});
    T(")");
    return false;
  } else {
    V(ValueFor(column));
  }
  return keyish && statement_.pieces.back().text == ", '')";
}

bool Generator::Plain(const Column& column) const {
  if (!mode_.new_cohort) return true;
  if (column.kind == Kind::kReference) return false;
  return column.kind != Kind::kKey || schema_->keeps_old;
}

bool Generator::KeyOrderHolds(const Table& table) const { return Plain(table.key()); }

std::string Generator::OrderByKey(const Table& table, const std::string& alias) {
  return fmt::format(" ORDER BY {}{}", alias.empty() ? "" : alias + ".", Id(table.key().name));
}

std::vector<const Column*> Generator::SomeColumns(const Table& table, bool with_key) {
  std::vector<const Column*> columns;
  for (const Column& column : table.columns) {
    const bool key = &column == &table.key();
    if (key ? with_key : random_.Chance(column.kind == Kind::kStamp ? 10 : 65)) columns.push_back(&column);
  }
  if (columns.size() > 1 && random_.Chance(30)) std::swap(columns.front(), columns.back());
  return columns;
}

void Generator::KeyComparison(const Column& column, const std::string& prefix) {
  const std::string name = prefix + Id(column.name);
  const bool old_only = mode_.retired && !schema_->keeps_old && column.kind == Kind::kReference;
  switch (random_.Below(old_only ? 6 : 12)) {
    case 0: case 1: case 2:
      T(name + " = ");
      return V(KeyValue(true));
    case 3:
      V(KeyValue(true));
      return T(" = " + name);
    case 4: {
      T(name + random_.OneOf({" IN (", " IN (", " NOT IN ("}));
      const int count = random_.Between(1, 4);
      for (int i = 0; i < count; ++i) {
        if (i > 0) T(", ");
        V(KeyValue(true));
      }
      return T(")");
    }
    case 5:
      T(name + " <=> ");
      return V(KeyValue(true));
    case 6:
      T(name + random_.OneOf({" <> ", " != "}));
      return V(KeyValue(true));
    case 7:
      T(name + random_.OneOf({" < ", " >= ", " > "}));
      return V(OldKey());
    case 8:
      T(name + " BETWEEN ");
      V(OldKey());
      T(" AND ");
      return V(OldKey());
    case 9:
      if (Plain(column)) {
        T(name + " LIKE ");
        return V({OneKey().substr(0, schema_->integer_keys ? 1 : 4) + "%"});
      }
      [[fallthrough]];
    case 10: return T(name + random_.OneOf({" IS NULL", " IS NOT NULL"}));
    default:
      T("(" + name + " = ");
      V(KeyValue(true));
      T(" OR " + name + " = ");
      V(KeyValue(true));
      return T(")");
  }
}

void Generator::Condition(const Table& table, const std::string& alias) {
  const std::string prefix = alias.empty() ? (random_.Chance(8) ? Id(table.name) + "." : "") : alias + ".";
  std::vector<const Column*> keys, others;
  for (const Column& column : table.columns) {
    const bool key = column.kind == Kind::kKey || column.kind == Kind::kReference;
    if (column.kind != Kind::kStamp) (key ? keys : others).push_back(&column);
  }
  if (!keys.empty() && random_.Chance(60)) return KeyComparison(*random_.Pick(keys), prefix);
  const Column& column = *random_.Pick(others);
  const std::string name = prefix + Id(column.name);
  switch (random_.Below(4)) {
    case 0:
      T(name + " = ");
      return V(ValueFor(column));
    case 1:
      T(name + random_.OneOf({" > ", " <= "}));
      return V(ValueFor(column));
    case 2:
      T(name + " IN (");
      V(ValueFor(column));
      T(", ");
      V(ValueFor(column));
      return T(")");
    default: return T(name + random_.OneOf({" IS NULL", " IS NOT NULL"}));
  }
}

void Generator::Where(const Table& table, const std::string& alias) {
  T(" WHERE ");
  const bool negated = random_.Chance(4);
  if (negated) T("NOT (");
  Condition(table, alias);
  if (random_.Chance(35)) {
    T(random_.OneOf({" AND ", " AND ", " OR "}));
    Condition(table, alias);
  }
  if (negated) T(")");
}

}  // namespace crossfade::twin
