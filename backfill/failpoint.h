// SPDX-License-Identifier: Apache-2.0
// Points of the migrator at which a test kills it, kills the server, or looks around: before and after every change that a crash
// could cut in two. Only tests/crash is compiled with CROSSFADE_FAILPOINTS; anywhere else they are nothing, arguments included.
#pragma once

#ifdef CROSSFADE_FAILPOINTS

#include <string>

namespace crossfade::backfill {
// `detail`: which of the many things that are done here. tests/crash/failpoint.cc says what happens then. Any thread.
void ReachFailpoint(const char* name, const std::string& detail);
}  // namespace crossfade::backfill
#define CROSSFADE_FAILPOINT(name, detail) ::crossfade::backfill::ReachFailpoint(name, detail)

#else
#define CROSSFADE_FAILPOINT(name, detail) static_cast<void>(0)
#endif
