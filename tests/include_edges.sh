#!/usr/bin/env bash
# Holds the #include edges between the rooms to the table of ARCHITECTURE.md; exits 1 and names each edge that is not in it.
set -u
cd "$1" || exit 2
declare -A may=(
  [config]="config"
  [protocol]="protocol"
  [rewrite]="rewrite config"
  [backfill]="backfill rewrite config"
  [proxy]="proxy backfill rewrite protocol config"
)
bad=0
for room in config protocol rewrite backfill proxy; do
  while IFS=: read -r file line include; do
    [ -n "$file" ] || continue
    to=$(sed -E 's/.*"([a-z]+)\/.*/\1/' <<<"$include")
    case " ${may[$room]} " in
      *" $to "*) ;;
      *) echo "$file:$line: $room may not include $to"; bad=1 ;;
    esac
  done < <(grep -rnE '^#include "(config|protocol|rewrite|backfill|proxy)/' --include='*.h' --include='*.cc' "$room" 2>/dev/null)
  if [ "$room" != proxy ] && grep -rnE '#include <boost/(asio|beast)' "$room"; then
    echo "$room may not use Asio: only proxy does"; bad=1
  fi
done
for room in config protocol rewrite; do
  if grep -rnE '#include <(spdlog|mysql|mariadb)' "$room"; then echo "$room is pure: no logging, no client library"; bad=1; fi
done
exit $bad
