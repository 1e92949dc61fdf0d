#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks the model of the epoch protocol by spin: as it is, no stale write or read; without the fence, the numbers of the leases, or
# registration, spin finds one, or the check would show nothing. With CROSSFADE_LONG alone; 77: not run.
set -euo pipefail
[ -n "${CROSSFADE_LONG:-}" ] || exit 77
command -v spin >/dev/null || { echo "spin is not installed: scripts/deps --long"; exit 77; }
model=$(cd "$(dirname "$0")" && pwd)/epoch.pml
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

# check EXPECTED_ERRORS DEFINE...
check() {
  local expected=$1
  shift
  spin "$@" -a "$model"
  cc -w -O2 -DSAFETY -DCOLLAPSE -DMEMLIM=4000 -o pan pan.c
  ./pan -E -m2000000 >log || true
  grep -E 'errors:|states, stored|assertion violated' log
  if grep -qE 'search not completed|max search depth too small|memory limit' log && [ "$expected" = 0 ]; then
    echo "the search was not completed"
    return 1
  fi
  if [ "$expected" = 0 ]; then grep -q 'errors: 0' log; else ! grep -q 'errors: 0' log; fi
}

echo "as it is"
check 0
echo "without the fence"
check 1 -DNO_FENCE
echo "two leaders"
check 0 -DLEADERS
echo "without an end to the old leader"
check 1 -DLEADERS -DNO_KILL_LEADER
echo "without the numbers of the leases"
check 1 -DNO_TERM
echo "without registration"
check 1 -DNO_REGISTRATION
