# SPDX-License-Identifier: Apache-2.0
# The clients: each one's command, how long it may take, and what of its output must differ.
import os
import re
import subprocess

import fixture

HERE = fixture.HERE


class Client:
    def __init__(self, command, *, long=False, engines=("mariadb", "mysql"), limit=120, least=60, missing=None, normalise=None):
        self._command, self.long, self.engines, self.limit, self.least = command, long, engines, limit, least
        self._missing, self._normalise = missing, normalise

    def command(self, engine):
        return self._command(engine) if callable(self._command) else self._command

    def missing(self):
        return self._missing() if self._missing else None

    def normalise(self, line, box, port):
        line = line.replace(box.dir, "DIR")
        # The port is the proxy's; a few clients name it in messages.
        line = re.sub(rf"\b{port}\b", "PORT", line)
        return self._normalise(line) if self._normalise else line

    def direct_when_migrated(self, lines):
        return lines


def python(name, **more):
    return Client(["/usr/bin/python3", f"{HERE}/{name}.py"], **more)


CLIENTS = {
    "pymysql": python("pymysql_client"),
}
CLIENTS.update({
    "dbd-mysql": Client(["perl", f"{HERE}/perl_client.pl", "mysql"]),
    "dbd-mariadb": Client(["perl", f"{HERE}/perl_client.pl", "MariaDB"]),
    "mysqli": Client(["php", f"{HERE}/php_client.php", "mysqli"]),
    "pdo": Client(["php", f"{HERE}/php_client.php", "pdo"]),
})


def cli_line(line):
    # Differ from run to run: what was measured, and the connection's number.
    line = re.sub(r"\(?\b\d+\.\d+ sec\b\)?|\(\d+ min [\d.]+ sec\)", "TIME", line)
    line = re.sub(r"^(\s*(?:Connection id|\S*Connection id):\s+)\d+", r"\1N", line)
    line = re.sub(r"(Connection id:\s+)\d+", r"\1N", line)
    line = re.sub(r"(Uptime:\s+).*", r"\1T", line)
    if re.search(r"Threads: \d+\s+Questions: ", line):
        return "  statistics"
    # Negotiated between the client and whom it speaks to: the engines prefer other ciphers than OpenSSL's defaults.
    line = re.sub(r"TLS_AES_\d+_GCM_SHA\d+", "CIPHER", line)
    line = re.sub(r"KILL QUERY \d+", "KILL QUERY N", line)
    return line


CLIENTS.update({
    "cli-mariadb": python("cli_client", normalise=cli_line),
    "cli-mysql": python("cli_client", normalise=cli_line),
})
for name in ("mariadb", "mysql"):
    CLIENTS["cli-" + name]._command = ["/usr/bin/python3", f"{HERE}/cli_client.py", name]

NODE = os.environ.get("CROSSFADE_CLIENTS_NODE", "/var/cache/crossfade/clients-node")


def no_node(name):
    return lambda: None if os.path.isdir(f"{NODE}/node_modules/{name}") else f"npm's package {name} is not in {NODE}: scripts/deps --long could not install it"


CLIENTS.update({
    "mysqlclient": python("mysqlclient_client", long=True),
    "sqlalchemy": python("sqlalchemy_client", long=True),
    "node-mysql2": Client(["node", f"{HERE}/node_client.js", "mysql2"], long=True, missing=no_node("mysql2")),
    "node-mariadb": Client(["node", f"{HERE}/node_client.js", "mariadb"], long=True, missing=no_node("mariadb")),
})


def dump_line(line):
    # In XML: times of creation, and InnoDB's estimates.
    line = re.sub(r'(Created|Create_time|Update_time)="[^"]*"', r'\1="T"', line)
    return re.sub(r'(Cardinality|Rows|Avg_row_length|Data_length|Index_length|Data_free)="\d+"', r'\1="N"', line)


CLIENTS.update({
    "ruby": Client(["ruby", f"{HERE}/ruby_client.rb"], long=True),
    "dump-mariadb": Client(["/usr/bin/python3", f"{HERE}/dump_client.py", "mariadb"], long=True, normalise=dump_line),
    "dump-mysql": Client(["/usr/bin/python3", f"{HERE}/dump_client.py", "mysql"], long=True, normalise=dump_line),
    "sysbench": python("sysbench_client", long=True),
    "go": Client(["timeout", "60", "sh", "-c", f'GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE="${{XDG_CACHE_HOME:-/tmp}}/crossfade-go" GOFLAGS= go run {HERE}/go/main.go'], long=True),
})


def no_client_test():
    # Each run tells the engines apart; both have to be there.
    for engine in ("mariadb", "mysql"):
        path = fixture.client_test(engine)[-1]
        if not os.path.exists(path):
            return f"{path} is not there: scripts/deps --long"
    return None


CLIENTS["client-test"] = python("client_test", long=True, limit=600)
