// SPDX-License-Identifier: Apache-2.0
// Files for LOAD DATA; see grammar.h.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "fmt/format.h"
#include "tests/integration/grammar/grammar.h"

namespace crossfade::grammar {

namespace {

struct Folder {
  Folder() : path(std::filesystem::temp_directory_path() / fmt::format("crossfade-grammar-{}", getpid())) {
    std::filesystem::create_directories(path);
    std::filesystem::permissions(path, std::filesystem::perms::all);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  const std::filesystem::path path;
};

}  // namespace

std::string KeepFile(const std::string& lines) {
  static const Folder folder;
  const std::filesystem::path file = folder.path / fmt::format("{:016x}.tsv", std::hash<std::string>()(lines));
  if (!std::filesystem::exists(file)) std::ofstream(file) << lines;
  return file.string();
}

}  // namespace crossfade::grammar
