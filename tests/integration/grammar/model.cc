// SPDX-License-Identifier: Apache-2.0
// Making a random schema; see model.h.
#include "tests/integration/grammar/model.h"

#include <algorithm>

#include "fmt/format.h"

namespace crossfade::grammar {
namespace {

std::string Hex(Random& random, int digits) {
  std::string text;
  while (static_cast<int>(text.size()) < digits) text += fmt::format("{:016x}", random.Next());
  return text.substr(0, digits);
}

std::string Uuid(Random& random) { return fmt::format("{}-{}-4{}-8{}-{}", Hex(random, 8), Hex(random, 4), Hex(random, 3), Hex(random, 3), Hex(random, 12)); }

class Maker {
 public:
  Maker(uint64_t seed, servers::Engine engine) : random_(seed * 2654435761u + 17), maria_(engine == servers::Engine::kMariaDb) {
    model_.seed = seed;
    model_.engine = engine;
  }

  Model Make() {
    model_.collate = maria_ ? random_.OneOf({"utf8mb4_general_ci", "utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_bin"})
                            : random_.OneOf({"utf8mb4_0900_ai_ci", "utf8mb4_0900_ai_ci", "utf8mb4_general_ci", "utf8mb4_bin"});
    model_.rows = random_.Between(12, 40);
    on_delete_ = random_.OneOf({"CASCADE", "RESTRICT", "", "NO ACTION"});
    on_update_ = random_.OneOf({"CASCADE", "", "RESTRICT"});
    const int keys = random_.Chance(15) ? 0 : random_.Chance(55) ? 1 : 2;
    for (int i = 0; i < keys; ++i) Parent();
    const int children = keys == 0 ? 0 : random_.Between(1, 4);
    for (int i = 0; i < children; ++i) Child();
    model_.tables.push_back(Plain("other"));
    if (keys == 0 || random_.Chance(30)) model_.tables.push_back(Plain("extra"));
    const int sets = keys == 0 ? random_.Between(1, 4) : random_.Between(0, 3);
    for (int i = 0; i < sets; ++i) ColumnSet();
    return std::move(model_);
  }

 private:
  std::string Name(const char* base) { return fmt::format("{}{}", base, ++names_); }

  std::string Charset(bool ascii_too) {
    if (ascii_too && random_.Chance(30)) return random_.OneOf({" CHARACTER SET ascii", " CHARACTER SET ascii COLLATE ascii_bin", " CHARACTER SET latin1", " CHARACTER SET latin1 COLLATE latin1_bin"});
    return random_.Chance(60) ? "" : random_.OneOf({" CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", " CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci", " CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"});
  }

  Column PlainColumn() {
    Column column;
    column.name = Name("c");
    column.nullable = random_.Chance(50);
    switch (random_.Below(8)) {
      case 0: case 1:
        column.type = random_.OneOf({"int", "int", "bigint", "smallint", "int unsigned"});
        column.standard = random_.Chance(40) ? std::to_string(random_.Between(0, 9)) : "";
        break;
      case 2: case 3:
        column.type = random_.OneOf({"varchar(20)", "varchar(30)", "varchar(24)"}) + Charset(false);
        column.values = Values::kText;
        column.standard = random_.Chance(40) ? "'std'" : "";
        break;
      case 4:
        column.type = "decimal(10,2)";
        column.values = Values::kDecimal;
        break;
      case 5:
        column.type = "date";
        column.values = Values::kDate;
        break;
      case 6:
        column.type = "datetime";
        column.values = Values::kTime;
        break;
      default:
        column.type = random_.Chance(50) ? "enum('red','green','blue')" : "varchar(20) CHARACTER SET latin1";
        column.values = column.type[0] == 'e' ? Values::kEnum : Values::kText;
    }
    column.indexed = random_.Chance(20);
    return column;
  }

  Column Identity() {
    Column column;
    column.name = "u";
    column.type = "int";
    column.role = Role::kIdentity;
    column.unique = true;
    return column;
  }

  Table Plain(const char* name) {
    Table table{name, {}, {"u"}};
    table.columns.push_back(Identity());
    if (random_.Chance(40)) table.columns[0].automatic = true;
    const int count = random_.Between(2, 5);
    for (int i = 0; i < count; ++i) table.columns.push_back(PlainColumn());
    return table;
  }

  void Parent() {
    Table table{Name("p"), {}, {}};
    Key key;
    key.table = table.name;
    key.column = random_.OneOf({"id", "k", "Code", "key"});
    if (key.column == "key") key.column = "name";
    key.fresh = key.column + "_new";
    key.group = random_.Chance(60) ? 0 : groups_++;
    Column column;
    column.name = key.column;
    column.role = Role::kKey;
    column.values = Values::kKey;
    column.fresh = key.fresh;
    column.key = static_cast<int>(model_.keys.size());
    const unsigned dice = static_cast<unsigned>(random_.Below(100));
    if (dice < 45) KeyOfText(&key, &column);
    else if (dice < 65) KeyToUuid(&key, &column);
    else DerivedKey(&key, &column);
    last_key_type_ = column.type;
    key.keeps_old = key.Mapped() && random_.Chance(35);
    key.takes_name = !key.keeps_old && random_.Chance(60);
    model_.keys.push_back(key);

    const bool primary = column.automatic || random_.Chance(75);
    table.primary = {primary ? column.name : "u"};
    column.unique = !primary;
    Column identity = Identity();
    if (!column.automatic && random_.Chance(25)) identity.automatic = true;
    std::vector<Column> columns = {column, identity};
    const int count = random_.Between(1, 4);
    for (int i = 0; i < count; ++i) columns.push_back(PlainColumn());
    if (random_.Chance(25)) {
      Column up = Reference(column.key, table.name);
      up.name = "up";
      up.fresh = "up_new";
      up.nullable = true;
      // MySQL takes no CASCADE of a key on the table itself (nor does MariaDB follow one).
      up.on_update = "";
      up.on_delete = random_.OneOf({"", "CASCADE"});
      // MySQL 9.7 leaves rows behind whose parents such a cascade has deleted, also without a proxy.
      if (on_delete_ != "CASCADE" || !maria_) up.on_delete = "";
      columns.push_back(up);
    }
    Shuffle(&columns);
    table.columns = columns;
    model_.tables.push_back(table);
  }

  void Shuffle(std::vector<Column>* columns) {
    for (size_t i = columns->size(); i > 1; --i) std::swap((*columns)[i - 1], (*columns)[random_.Below(i)]);
  }

  void KeyOfText(Key* key, Column* column) {
    key->kind = Kind::kNumber;
    key->new_type = random_.OneOf({"int unsigned", "int", "bigint", "bigint unsigned", "mediumint unsigned", "int unsigned"});
    switch (random_.Below(4)) {
      case 0:
        column->type = "char(36)" + Charset(true);
        for (int i = 0; i < 60; ++i) key->pool.push_back(Uuid(random_));
        break;
      case 1:
        column->type = "binary(16)";
        key->bytes = true;
        for (int i = 0; i < 60; ++i) {
          std::string bytes;
          for (int n = 0; n < 16; ++n) bytes += static_cast<char>(random_.Below(256));
          if (i == 5) bytes[3] = '\0';
          if (i == 6) bytes[15] = '\0';
          if (i == 7) bytes[15] = ' ';
          key->pool.push_back(bytes);
        }
        break;
      default:
        column->type = random_.OneOf({"varchar(40)", "varchar(16)", "char(16)"}) + Charset(true);
        Names(&key->pool, column->type.find("ascii") == std::string::npos);
    }
  }

  void Names(std::vector<std::string>* pool, bool umlauts) {
    for (int i = 0; i < 60; ++i) {
      if (i % 20 == 7) pool->push_back(fmt::format("o'brien-{}", i));
      else if (i % 20 == 13) pool->push_back(fmt::format("a\\b-{}", i));
      else if (i % 20 == 17 && umlauts) pool->push_back(fmt::format("größe-{}", i));
      else pool->push_back(fmt::format("{}{}", random_.OneOf({"lib", "g-", "x ", "go."}), i + 100));
    }
  }

  void Integers(std::vector<std::string>* pool, bool negative) {
    for (int i = 0; i < 60; ++i) pool->push_back(std::to_string(negative && i % 20 == 3 ? -i : i + 1));
  }

  void KeyToUuid(Key* key, Column* column) {
    key->kind = Kind::kUuid;
    key->integer = true;
    key->new_type = maria_ ? random_.OneOf({"char(36)", "binary(16)", "uuid", "char(32)"}) : random_.OneOf({"char(36)", "binary(16)", "char(32)"});
    column->type = random_.OneOf({"int", "bigint", "int unsigned", "smallint", "bigint unsigned", "mediumint"});
    column->automatic = random_.Chance(60);
    Integers(&key->pool, !column->automatic && column->type.find("unsigned") == std::string::npos);
  }

  void DerivedKey(Key* key, Column* column) {
    key->kind = Kind::kDerived;
    const std::string& n = key->fresh;
    switch (random_.Below(5)) {
      case 0:
        column->type = "char(36)" + std::string(random_.Chance(50) ? "" : " CHARACTER SET ascii");
        key->new_type = "binary(16)";
        key->from = fmt::format("UNHEX(REPLACE({}, '-', ''))", key->column);
        key->back = fmt::format("LOWER(CONCAT_WS('-', LEFT(HEX({0}), 8), SUBSTR(HEX({0}), 9, 4), SUBSTR(HEX({0}), 13, 4), SUBSTR(HEX({0}), 17, 4), RIGHT(HEX({0}), 12)))", n);
        for (int i = 0; i < 60; ++i) key->pool.push_back(Uuid(random_));
        break;
      case 1:
      case 2: {
        column->type = random_.OneOf({"int", "smallint", "int unsigned", "mediumint"});
        key->new_type = column->type == "int unsigned" ? "bigint unsigned" : "bigint";
        key->from = key->column;
        if (random_.Chance(40)) key->back = n;
        key->integer = true;
        Integers(&key->pool, column->type.find("unsigned") == std::string::npos);
        break;
      }
      case 3: {
        const std::string charset = random_.OneOf({" CHARACTER SET ascii COLLATE ascii_bin", " CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", " CHARACTER SET latin1 COLLATE latin1_swedish_ci"});
        column->type = "varchar(16)" + charset;
        key->new_type = "varchar(40)" + (random_.Chance(60) ? charset : std::string(" CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"));
        key->from = key->column;
        Names(&key->pool, charset.find("ascii") == std::string::npos);
        break;
      }
      default:
        column->type = random_.OneOf({"int", "bigint"});
        key->new_type = "varchar(24) CHARACTER SET ascii COLLATE ascii_bin";
        key->from = fmt::format("CAST({} AS CHAR)", key->column);
        key->back = fmt::format("CAST({} AS SIGNED)", n);
        key->integer = true;
        Integers(&key->pool, true);
    }
  }

  Column Reference(int key, const std::string& table) {
    const Key& of = model_.keys[key];
    Column column;
    const Table* parent = model_.Find(of.table);
    column.type = parent != nullptr ? parent->Find(of.column)->type : last_key_type_;
    column.name = Name("r");
    column.fresh = column.name + "_new";
    column.role = Role::kReference;
    column.values = Values::kKey;
    column.key = key;
    column.nullable = random_.Chance(45);
    column.on_delete = on_delete_;
    column.on_update = on_update_;
    if (random_.Chance(2)) column.on_delete = "SET NULL", column.nullable = true;  // check refuses it
    if (of.kind == Kind::kDerived && random_.Chance(20)) column.declared = false;
    (void)table;
    return column;
  }

  void Child() {
    Table table{Name("t"), {}, {}};
    std::vector<Column> columns = {Identity()};
    const auto never_null = [](Column* column) {
      column->nullable = false;
      if (column->on_delete == "SET NULL") column->on_delete = "";
    };
    std::vector<Column> references;
    const int count = random_.Chance(60) ? 1 : 2;
    for (int i = 0; i < count; ++i) references.push_back(Reference(static_cast<int>(random_.Below(model_.keys.size())), table.name));
    switch (random_.Below(4)) {
      case 0:  // the reference stands in the primary key
        never_null(&references[0]);
        table.primary = {references[0].name, "u"};
        if (random_.Chance(50)) std::swap(table.primary[0], table.primary[1]);
        break;
      case 1:
        if (!references[0].declared) [[fallthrough]];
        else {  // one row for each parent
          never_null(&references[0]);
          table.primary = {references[0].name};
          break;
        }
      default:
        table.primary = {"u"};
        columns[0].unique = false;
        columns[0].automatic = random_.Chance(50);
    }
    for (Column& reference : references) columns.push_back(reference);
    const int plain = random_.Between(1, 3);
    for (int i = 0; i < plain; ++i) columns.push_back(PlainColumn());
    Shuffle(&columns);
    table.columns = columns;
    model_.tables.push_back(table);
  }

  // One to two plain columns of a table begin to migrate.
  void ColumnSet() {
    std::vector<std::pair<size_t, size_t>> free;
    for (size_t t = 0; t < model_.tables.size(); ++t) {
      for (size_t c = 0; c < model_.tables[t].columns.size(); ++c) {
        if (model_.tables[t].columns[c].role == Role::kPlain) free.push_back({t, c});
      }
    }
    if (free.empty()) return;
    const auto [t, c] = random_.Pick(free);
    Table& table = model_.tables[t];
    Column& column = table.columns[c];
    if (table.name == "other") return;  // stays as it is
    Set set;
    set.table = table.name;
    set.group = random_.Chance(50) ? 0 : groups_++;
    set.old = {column.name};
    const std::string o = column.name, n = column.name + "_n";
    const auto one = [&](const std::string& type, const std::string& from, const std::string& back) {
      set.fresh = {{n, type, from}};
      if (!back.empty()) set.back = {{o, back}};
      if (random_.Chance(50)) set.final_name = o;
    };
    Column* second = nullptr;
    switch (column.values) {
      case Values::kInteger:
        if (random_.Chance(15)) one("bigint", fmt::format("{} * 2", o), "");
        else if (random_.Chance(50)) one(column.type == "bigint" ? "decimal(20,0)" : "bigint", o, n);
        else one("varchar(24) CHARACTER SET ascii", fmt::format("CAST({} AS CHAR)", o), fmt::format("CAST({} AS SIGNED)", n));
        break;
      case Values::kText: {
        const size_t at = column.type.find(" CHARACTER");
        const std::string charset = at == std::string::npos ? " CHARACTER SET utf8mb4 COLLATE " + model_.collate : column.type.substr(at);
        for (Column& other : table.columns) {
          if (other.role == Role::kPlain && other.values == Values::kText && other.type == column.type && other.name != o && !other.nullable) second = &other;
        }
        if (second != nullptr && !column.nullable && random_.Chance(60)) {
          set.old.push_back(second->name);
          set.fresh = {{n, "varchar(80)" + charset, fmt::format("CONCAT({}, '|', {})", o, second->name)}};
          set.back = {{o, fmt::format("SUBSTRING_INDEX({}, '|', 1)", n)}, {second->name, fmt::format("SUBSTRING_INDEX({}, '|', -1)", n)}};
        } else {
          second = nullptr;
          switch (random_.Below(4)) {
            case 0: one("varchar(60)" + charset, o, n); break;
            case 1:
              set.fresh = {{n, "varchar(8)" + charset, fmt::format("LEFT({}, 3)", o)}, {n + "b", "varchar(40)" + charset, fmt::format("SUBSTR({}, 4)", o)}};
              set.back = {{o, fmt::format("CONCAT({}, {}b)", n, n)}};
              break;
            case 2: one("varchar(90)" + charset, fmt::format("UPPER({})", o), ""); break;
            default:
              one("varchar(60)" + (charset.find("latin1") != std::string::npos ? " CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci" : charset), o, n);
          }
        }
        break;
      }
      case Values::kDecimal:
        if (random_.Chance(50)) one("bigint", fmt::format("CAST({} * 100 AS SIGNED)", o), fmt::format("CAST({} * 0.01 AS DECIMAL(10,2))", n));
        else one("decimal(14,4)", o, fmt::format("CAST({} AS DECIMAL(10,2))", n));
        break;
      case Values::kDate: one("datetime", o, fmt::format("DATE({})", n)); break;
      case Values::kTime: one(random_.Chance(50) ? "date" : "datetime(3)", o, ""); if (set.fresh[0].type == "date") set.fresh[0].from = fmt::format("DATE({})", o); break;
      case Values::kEnum: one("varchar(10)", fmt::format("CAST({} AS CHAR)", o), n); break;
      case Values::kKey: return;
    }
    column.role = Role::kMapped;
    column.set = static_cast<int>(model_.sets.size());
    if (second != nullptr) {
      second->role = Role::kMapped;
      second->set = column.set;
    }
    model_.sets.push_back(set);
  }

  Random random_;
  bool maria_;
  Model model_;
  int names_ = 0, groups_ = 1;
  std::string on_delete_, on_update_, last_key_type_;
};

}  // namespace

Model Model::Make(uint64_t seed, servers::Engine engine) { return Maker(seed, engine).Make(); }

const Column* Table::Find(const std::string& column) const {
  for (const Column& one : columns)
    if (one.name == column) return &one;
  return nullptr;
}

bool Table::Migrates() const {
  return std::any_of(columns.begin(), columns.end(), [](const Column& c) { return c.role == Role::kKey || c.role == Role::kReference || c.role == Role::kMapped; });
}

const Table* Model::Find(const std::string& table) const {
  for (const Table& one : tables)
    if (one.name == table) return &one;
  return nullptr;
}

}  // namespace crossfade::grammar
