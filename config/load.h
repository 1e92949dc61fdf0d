// SPDX-License-Identifier: Apache-2.0
// crossfade.yaml -> Config, or one error that says file, line and reason.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "config/config.h"

namespace crossfade::config {

// Reads and validates the file at `path`. Errors (InvalidArgument, NotFound): "FILE:LINE: reason".
// Unknown keys, duplicates, names that are no identifiers and limits out of range are errors.
absl::StatusOr<Config> Load(const std::string& path);

// As Load, of a text; `name` stands for the file in errors.
absl::StatusOr<Config> Parse(const std::string& text, const std::string& name);

// The password of `control`: the file's first line without its line end. Relative paths are relative to the config file.
absl::StatusOr<std::string> ReadControlPassword(const Config& config);

}  // namespace crossfade::config
