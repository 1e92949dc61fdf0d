#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Runs one client's program against one engine: directly, through the proxy with secure and with clear connections to
# the server, and once more with a migration in dual_write over two of its tables. What it prints must be the same
# each time, line by line.
#   run.py --client NAME --engine mariadb|mysql --crossfade BINARY     (--list: the clients)
# CROSSFADE_KEEP=1 keeps the folder with all outputs.
import argparse
import difflib
import os
import subprocess
import sys
import time

import clients
import fixture


def run(client, box, port, label):
    """The normalised lines that the program prints against `port`."""
    environment = box.environment(port)
    begun = time.monotonic()
    result = subprocess.run(client.command(box.engine), env=environment, cwd=box.dir, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=client.limit)
    text = result.stdout.decode("utf-8", "backslashreplace")
    with open(f"{box.dir}/{label}.out", "w", encoding="utf-8") as f:
        f.write(text)
    lines = [line for line in (client.normalise(line, box, port) for line in text.splitlines()) if line is not None]
    print(f"{label}: {len(lines)} lines, exit {result.returncode}, {time.monotonic() - begun:.1f} s", flush=True)
    return lines, result.returncode


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--client", required="--list" not in sys.argv)
    parser.add_argument("--engine", choices=["mariadb", "mysql"], required="--list" not in sys.argv)
    parser.add_argument("--crossfade", required="--list" not in sys.argv)
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        for name, client in clients.CLIENTS.items():
            print(name, "long" if client.long else "normal", ",".join(client.engines))
        return 0
    client = clients.CLIENTS[options.client]
    skip = "runs with CROSSFADE_LONG=1 (scripts/test --long)" if client.long and not os.environ.get("CROSSFADE_LONG") else client.missing()
    if skip:
        print(f"SKIP: {skip}")
        return 77

    failed = False
    with fixture.Fixture(options.engine, options.crossfade) as box:
        box.load_schema()
        direct, code = run(client, box, box.port, "direct")
        # A program that ends early compares as equal everywhere: it has to come to its end, and to say enough.
        if code != 0 or len(direct) < client.least or "end" not in direct[-1:]:
            print(f"the program itself fails on {options.engine} (exit {code}, {len(direct)} lines):", *direct[-25:], sep="\n  ")
            return 1
        for label, listener, migrated in (("secure", "secure", False), ("clear", "clear", False), ("migrated", "secure", True)):
            box.load_schema()
            box.start_proxy(migrated, client)
            lines, code = run(client, box, box.ports[listener], label)
            box.stop_proxy()
            expected = client.direct_when_migrated(direct) if migrated else direct
            lines = client.direct_when_migrated(lines) if migrated else lines
            if lines != expected or code != 0:
                failed = True
                print(f"{label}: not as directly (exit {code}):")
                for line in list(difflib.unified_diff(expected, lines, "direct", label, lineterm="", n=2))[:80]:
                    print("  " + line[:600])
        if failed:
            print("the proxy's log:\n" + box.proxy_log())
    print("failed" if failed else "same")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
