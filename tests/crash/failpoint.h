// SPDX-License-Identifier: Apache-2.0
// What happens at a failpoint. In a migrator's process (--migrator FILE FOLDER MODE): the first time that a point is reached, over
// all processes that used the folder, its name goes to FOLDER/reached; then the process kills itself (MODE die), or stands still
// until FOLDER/stopped has gone (MODE stop). In the test's own process: what SetFailpointHandler was given.
#pragma once

#include <functional>
#include <string>

namespace crossfade::backfill {

using FailpointHandler = std::function<void(const std::string& name, const std::string& detail)>;
// Not while a copier runs.
void SetFailpointHandler(FailpointHandler handler);

enum class CrashMode { kDie, kStop };
// `by_name`: a point is one name; else each detail is a point of its own.
FailpointHandler CrashAtEachPoint(const std::string& folder, CrashMode mode, bool by_name);

}  // namespace crossfade::backfill
