// SPDX-License-Identifier: Apache-2.0
// Reads vectors.csv: what real servers and clients sent, as capture.py wrote it down.
#pragma once

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/protocol/exact.h"

namespace crossfade::protocol {

struct Vector {
  std::string engine, name, kind, capabilities_text;
  uint64_t capabilities = 0;
  std::vector<std::pair<std::string, std::string>> expect;
  std::vector<std::string> parts;  // two where a client's file is sent in between
};

inline std::vector<std::string> Split(const std::string& text, char at) {
  std::vector<std::string> out;
  std::istringstream stream(text);
  for (std::string piece; std::getline(stream, piece, at);) out.push_back(piece);
  return out;
}

inline std::vector<Vector> Vectors() {
  std::vector<Vector> out;
  std::ifstream file(CROSSFADE_SOURCE_DIR "/tests/protocol/vectors.csv");
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> fields = Split(line, ',');
    if (fields.size() != 6) continue;
    Vector vector{fields[0], fields[1], fields[2], fields[3], std::stoull(fields[3], nullptr, 16), {}, {}};
    for (const std::string& pair : Split(fields[4], ';')) {
      const size_t equals = pair.find('=');
      vector.expect.emplace_back(pair.substr(0, equals), pair.substr(equals + 1));
    }
    for (const std::string& part : Split(fields[5], '|')) vector.parts.push_back(FromHex(part));
    out.push_back(std::move(vector));
  }
  return out;
}

}  // namespace crossfade::protocol
