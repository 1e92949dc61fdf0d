// SPDX-License-Identifier: Apache-2.0
// Parser of Debian's package lists; see package_index.h.
#include "tests/demo/package_index.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <tuple>
#include <unordered_map>

#include "fmt/format.h"

namespace crossfade::demo {
namespace {

using Paragraph = std::map<std::string, std::string, std::less<>>;

std::string_view Trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

// At most `limit` bytes, cut between two characters.
std::string Field(const Paragraph& paragraph, std::string_view name, size_t limit) {
  const auto found = paragraph.find(name);
  if (found == paragraph.end()) return {};
  const std::string& value = found->second;
  if (value.size() <= limit) return value;
  while (limit > 0 && (static_cast<unsigned char>(value[limit]) & 0xC0) == 0x80) --limit;
  return value.substr(0, limit);
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(separator, begin), text.size());
    parts.push_back(Trim(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return parts;
}

struct RawDependency {
  std::string package, target, kind, note;
};

// "libc6 (>= 2.34), foo:any | bar": the alternatives count like the rest.
void ReadRelations(const std::string& package, std::string_view kind, std::string_view text,
                   std::vector<RawDependency>* out) {
  for (const std::string_view clause : Split(text, ',')) {
    for (const std::string_view one : Split(clause, '|')) {
      const size_t paren = one.find('(');
      std::string_view name = Trim(one.substr(0, paren));
      name = name.substr(0, name.find_first_of(": [<"));
      if (name.empty()) continue;
      std::string note;
      if (paren != std::string_view::npos) note = one.substr(paren + 1, one.find(')', paren) - paren - 1);
      out->push_back({package, std::string(name), std::string(kind), note.substr(0, 100)});
    }
  }
}

Package MakePackage(const Paragraph& p) {
  Package package;
  package.name = Field(p, "Package", 80);
  package.version = Field(p, "Version", 80);
  package.architecture = Field(p, "Architecture", 20);
  package.section = Field(p, "Section", 60);
  package.priority = Field(p, "Priority", 20);
  package.maintainer = Field(p, "Maintainer", 200);
  package.source = Field(p, "Source", 100);
  package.homepage = Field(p, "Homepage", 250);
  package.filename = Field(p, "Filename", 250);
  package.sha256 = Field(p, "SHA256", 64);
  package.description = Field(p, "Description", 500);
  package.installed_size = std::atoll(Field(p, "Installed-Size", 20).c_str());
  package.size = std::atoll(Field(p, "Size", 20).c_str());
  return package;
}

}  // namespace

PackageIndex ParsePackageIndex(std::string_view text) {
  static constexpr std::pair<std::string_view, std::string_view> kRelations[] = {
      {"Pre-Depends", "pre-depends"}, {"Depends", "depends"},     {"Recommends", "recommends"},
      {"Suggests", "suggests"},       {"Breaks", "breaks"},       {"Conflicts", "conflicts"},
      {"Replaces", "replaces"},       {"Enhances", "enhances"}};
  PackageIndex index;
  std::vector<RawDependency> raw;
  std::set<std::string> seen;
  Paragraph paragraph;
  std::string* last = nullptr;
  const auto finish = [&] {
    if (Package package = MakePackage(paragraph); !package.name.empty() && seen.insert(package.name).second) {
      for (const auto& [field, kind] : kRelations) {
        if (const auto found = paragraph.find(field); found != paragraph.end()) {
          ReadRelations(package.name, kind, found->second, &raw);
        }
      }
      index.packages.push_back(std::move(package));
    }
    paragraph.clear();
    last = nullptr;
  };
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    const size_t colon = line.find(':');
    if (Trim(line).empty()) {
      finish();
    } else if (line[0] == ' ' || line[0] == '\t') {  // goes on with the field before
      if (last != nullptr) last->append("\n").append(line);
    } else if (colon != std::string_view::npos) {
      last = &paragraph[std::string(line.substr(0, colon))];
      *last = Trim(line.substr(colon + 1));
    }
  }
  finish();
  std::sort(index.packages.begin(), index.packages.end(),
            [](const Package& a, const Package& b) { return a.name < b.name; });
  std::unordered_map<std::string, uint32_t> place;
  for (uint32_t i = 0; i < index.packages.size(); ++i) place[index.packages[i].name] = i;
  std::map<std::tuple<uint32_t, uint32_t, std::string>, size_t> known;
  for (RawDependency& one : raw) {
    const auto target = place.find(one.target);
    if (target == place.end()) continue;
    const uint32_t from = place[one.package];
    const auto [found, fresh] = known.try_emplace({from, target->second, one.kind}, index.dependencies.size());
    if (fresh) {
      index.dependencies.push_back({from, target->second, std::move(one.kind), std::move(one.note)});
    } else if (std::string& note = index.dependencies[found->second].note; note.size() + one.note.size() < 98) {
      note += ", " + one.note;
    }
  }
  return index;
}

PackageIndex Multiply(const PackageIndex& index, int times) {
  PackageIndex out = index;
  const auto count = static_cast<uint32_t>(index.packages.size());
  for (int copy = 1; copy < times; ++copy) {
    for (const Package& package : index.packages) {
      out.packages.push_back(package);
      out.packages.back().name += fmt::format("~{}", copy + 1);
    }
    for (const Dependency& dependency : index.dependencies) {
      out.dependencies.push_back(dependency);
      out.dependencies.back().package += copy * count;
      out.dependencies.back().depends_on += copy * count;
    }
  }
  return out;
}

absl::StatusOr<PackageIndex> ReadPackageIndex(const std::string& path, int times) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  PackageIndex index = ParsePackageIndex(text.str());
  if (index.packages.empty()) return absl::NotFoundError(fmt::format("{}: holds no packages", path));
  return Multiply(index, times);
}

}  // namespace crossfade::demo
