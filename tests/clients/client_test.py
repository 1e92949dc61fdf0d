# SPDX-License-Identifier: Apache-2.0
# mysql_client_test, the engines' own test of the C API: every one of its tests by itself, with what it did. What fails
# directly may fail through the proxy as well, in the same way; nothing else may.
import concurrent.futures
import os
import re
import subprocess

import fixture

PORT, ENGINE, DIR = os.environ["CF_PORT"], os.environ["CF_ENGINE"], os.environ["CF_DIR"]
command = fixture.client_test(ENGINE) + ["--no-defaults"]
names = subprocess.run(command + ["--show-tests"], capture_output=True, text=True).stdout.split()
LEFT_OUT = {
    "test_proxy_header": "speaks the PROXY protocol to the server, which takes it from nobody here",
    "test_wl13075": "switches the server's cache of TLS sessions off; a client's TLS ends at the proxy, which has its own",
    "test_wl14839": "asks the server for the host name in the client's TLS hello; it ends at the proxy",
}
names = [name.rstrip(";") for name in names if name.startswith(("test_", "client_")) and name not in LEFT_OUT]
print("tests", len(names))


def one(name):
    result = subprocess.run(command + ["-uroot", "-h127.0.0.1", f"-P{PORT}", f"--vardir={DIR}", "--silent", "--silent", name],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=DIR, timeout=120, errors="replace",
                            env={**os.environ, "MYSQL_TEST_DIR": DIR, "MYSQL_TMP_DIR": DIR})
    return result.returncode, result.stdout


passed = 0
for name in names:
    code, text = one(name)
    passed += code == 0
    # Where it stopped: the last line that names a place.
    where = [line for line in text.splitlines() if re.search(r"error|check|failed|assert", line, re.I)]
    print(name, code, *([re.sub(r"0x[0-9a-f]+", "0x", line) for line in where[-3:]] if code else []))
print("passed", passed)
assert passed > len(names) * 0.8, "most pass directly: the runs would all fail alike"
print("end")
