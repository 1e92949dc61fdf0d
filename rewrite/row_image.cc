// SPDX-License-Identifier: Apache-2.0
// See row_image.h.
#include "rewrite/row_image.h"

#include <algorithm>

#include "fmt/format.h"

namespace crossfade::rewrite {
namespace {

constexpr std::string_view kNull = "\xFB";

bool IsNumber(std::string_view text) {
  if (!text.empty() && text[0] == '-') text.remove_prefix(1);
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// A cell of `select` as a literal, which compares with its column as the column does with itself. Empty: it is none.
std::string Literal(RowImage::Kind kind, const std::string& charset, std::string_view cell) {
  if (kind == RowImage::Kind::kNumber) return IsNumber(cell) ? std::string(cell) : "";
  if (cell.size() % 2 != 0 || cell.find_first_not_of("0123456789ABCDEFabcdef") != std::string_view::npos) return "";
  return kind == RowImage::Kind::kText ? fmt::format("_{} X'{}'", charset, cell) : fmt::format("X'{}'", cell);
}

}  // namespace

bool ImageRows::Of(const RowImage& image, const std::vector<std::vector<std::string>>& cells, ImageRows* rows) {
  rows->image_ = &image;
  rows->rows_.assign(image.targets.size(), {});
  for (const std::vector<std::string>& each : cells) {
    size_t at = 0;
    for (size_t t = 0; t < image.targets.size(); ++t) {
      const RowImage::Target& target = image.targets[t];
      Row row;
      bool none = false;  // behind an outer join
      for (size_t i = 0; i < target.key.size(); ++i, ++at) {
        if (at == each.size()) return false;
        none = none || each[at] == kNull;
        row.push_back(none ? "" : Literal(target.kinds[i], target.charsets[i], each[at]));
        if (!none && row.back().empty()) return false;
      }
      if (!none) rows->rows_[t].push_back(std::move(row));
    }
  }
  for (std::vector<Row>& each : rows->rows_) {
    std::sort(each.begin(), each.end());
    each.erase(std::unique(each.begin(), each.end()), each.end());
  }
  return true;
}

// A row is one of [begin, end). Rows of several columns by AND and OR: MariaDB uses no index for (a, b) IN.
std::string ImageRows::Among(size_t t, const std::string& alias, size_t begin, size_t end) const {
  const RowImage::Target& target = image_->targets[t];
  const bool single = target.key.size() == 1;
  std::string out = single ? fmt::format("{}.{} IN (", alias, target.key[0]) : "(";
  for (size_t i = begin; i < end; ++i) {
    if (i != begin) out += single ? ", " : " OR ";
    if (!single) out += '(';
    for (size_t c = 0; c < target.key.size(); ++c) {
      if (single) out += rows_[t][i][c];
      else out += fmt::format("{}{}.{} = {}", c == 0 ? "" : " AND ", alias, target.key[c], rows_[t][i][c]);
    }
    if (!single) out += ')';
  }
  return out + ")";
}

std::vector<std::string> ImageRows::Conditions() const {
  std::vector<std::string> out;
  for (size_t t = 0; t < rows_.size(); ++t) {
    const RowImage::Target& target = image_->targets[t];
    const std::string key = target.alias + "." + target.key[0];
    // Never true, but the server must not see that beforehand: it would leave out the reply's info text.
    std::string text = rows_[t].empty() ? fmt::format("NULLIF({0}, {0}) IS NOT NULL", key) : Among(t, target.alias, 0, rows_[t].size());
    out.push_back(target.outer ? fmt::format("({} OR {} <=> NULL)", text, key) : std::move(text));
  }
  return out;
}

std::vector<std::string> ImageRows::Repairs(size_t each) const {
  std::vector<std::string> out;
  for (size_t t = 0; t < rows_.size(); ++t) {
    const RowImage::Target& target = image_->targets[t];
    for (size_t begin = 0; begin < rows_[t].size(); begin += each) {
      const std::string where = " WHERE " + Among(t, target.repair_alias, begin, std::min(rows_[t].size(), begin + each));
      out.push_back(target.repair + where + target.reads);
      if (!target.check.empty()) out.push_back(target.check + where + " FOR UPDATE");
    }
  }
  return out;
}

}  // namespace crossfade::rewrite
