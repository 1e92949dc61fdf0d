// SPDX-License-Identifier: Apache-2.0
// Name binding: which table's column a name means. Only migrating tables are known column by column; of all other
// tables nothing is known, so a binding can be uncertain: whoever would have to change something there refuses.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "rewrite/ast.h"
#include "rewrite/world.h"

namespace crossfade::rewrite {

enum class Side : uint8_t { kNone, kOld, kNew };

// What a value is: one side of a key, or nothing of the kind.
struct Tag {
  const Key* key = nullptr;
  Side side = Side::kNone;
  const Key* made = nullptr;  // without `key`: a function has made it of the key's new side
  bool opaque = false;        // … in a way that is not known
  bool named = false;         // the application asked for the new side by its name
};

struct OutputColumn {
  std::string name;  // empty: unknown
  Tag tag;
};

struct Output {
  std::vector<OutputColumn> columns;
  bool opaque = false;  // has columns that are not known
};

// One table of a FROM clause.
struct Source {
  std::string alias;                      // as written or implied
  std::string schema;                     // of a base table, as written or the session's
  const MigratingTable* table = nullptr;  // a migrating base table
  bool derived = false;
  Output output;                          // derived; for other base tables opaque
};

// A column of a USING that was spelled out as ON: alone, its name means this table's.
struct JoinedColumn {
  std::string name, alias;
};

struct Scope {
  const Scope* outer = nullptr;
  std::vector<Source> sources;
  bool merged = false;                  // NATURAL or USING: unqualified names may stand for two columns
  std::vector<std::string> using_names;
  std::vector<JoinedColumn> joined;
  int spelled_joins = 0;                // USING that stands as ON now; above 1 the order of * is not known
  bool merged_as_written = false;       // … that does not, or NATURAL
  const Output* aliases = nullptr;      // select list, seen by ORDER BY and HAVING
  bool aliases_last = false;            // … within an expression of ORDER BY, where no table has the name
};

struct Bound {
  enum Kind : uint8_t {
    kPlain,      // surely no key column
    kBase,       // the key column of a migrating base table
    kDerived,    // a column of a derived table or CTE that holds a key (tag)
    kUncertain,  // a key column, or a column of a table that is not known
  } kind = kPlain;
  const Scope* scope = nullptr;
  const Source* source = nullptr;
  const KeyColumn* column = nullptr;  // kBase, kUncertain
  bool named_new = false;             // by the new column's name
  bool via_alias = false;             // it is a name of the select list
  bool hidden = false;                // kPlain: a new column of a column migration, which the application may not know
  bool unsure = false;                // kPlain: a table that is not known may have the name instead
  Tag tag;
};

class Binder {
 public:
  explicit Binder(const World& world) : world_(world) {}
  Bound Resolve(const Expr& column, const Scope& scope) const;
  bool SameTableName(std::string_view a, std::string_view b) const;

 private:
  Bound InSource(const Source& source, std::string_view column, bool* has, bool* maybe) const;
  const World& world_;
};

}  // namespace crossfade::rewrite
