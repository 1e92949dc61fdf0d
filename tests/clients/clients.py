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
