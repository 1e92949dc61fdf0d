# SPDX-License-Identifier: Apache-2.0
# Running the command line programs of either engine; for dump_client.py and cli_client.py.
import os
import subprocess
import sys

import fixture

PORT, CA = os.environ["CF_PORT"], os.environ["CF_CA"]
OURS = sys.argv[1] == "mariadb"


def program(name):
    if OURS:
        return ["mariadb" if name == "mysql" else name.replace("mysql", "mariadb-", 1)]
    return fixture.mysql_program(name)


def options(user="u_empty", password="", tls=True):
    out = ["--no-defaults", "--protocol=tcp", "-h127.0.0.1", f"-P{PORT}", f"-u{user}", f"--password={password}", "--default-character-set=utf8mb4"]
    if OURS:
        return out + ([f"--ssl-ca={CA}", "--ssl-verify-server-cert"] if tls else ["--skip-ssl"])
    tree = ["--plugin-dir=" + fixture.MYSQL_ROOT + "/usr/lib/mysql/plugin", "--character-sets-dir=" + fixture.MYSQL_ROOT + "/usr/share/mysql/charsets"]
    return out + (tree if os.path.isdir(fixture.MYSQL_ROOT) else []) + ([f"--ssl-ca={CA}", "--ssl-mode=VERIFY_CA"] if tls else ["--ssl-mode=DISABLED", "--get-server-public-key"])


def run(name, arguments, input=None):
    result = subprocess.run(program(name) + options() + arguments, input=input, text=True, capture_output=True, timeout=120, errors="backslashreplace")
    print(name, *arguments[:12])
    for line in result.stderr.splitlines():
        print("  stderr:", line)
    print("  exit", result.returncode)
    return result.stdout
