# SPDX-License-Identifier: Apache-2.0
# What a client's program runs against: a private server of one engine with users of every authentication, a
# certificate authority of our own, and `crossfade serve` in front. The proxy listens twice, both times offering TLS:
# one listener's backend connections are secure, the other's are not, so that programs that connect with TLS and
# without go through all four combinations.
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, SOURCE + "/tests/servers")
from ports import free_port  # noqa: E402

MYSQL_ROOT = os.environ.get("CROSSFADE_MYSQL_ROOT", "/var/cache/crossfade/mysql-root")
EXTRA = os.environ.get("CROSSFADE_MARIADB_EXTRA", "/var/cache/crossfade/mariadb-extra")

MIGRATION = """migrations:
  - name: codes
    schema: shop
    phase: observe
    keys:
      - table: items
        old: code
        new: {column: item_no, type: int unsigned}
        references:
          - {table: orders, old: item, new: item_ref}
"""


def mysql_program(name):
    """The command that runs a program of MySQL, from the tree that scripts/mysql-root made or from PATH."""
    path = MYSQL_ROOT + "/usr/bin/" + name
    if not os.path.exists(path):
        return [shutil.which(name) or name]
    lib = MYSQL_ROOT + "/usr/lib"
    return [MYSQL_ROOT + "/usr/lib64/ld-linux-x86-64.so.2", "--library-path",
            f"{lib}/x86_64-linux-gnu:{lib}/mysql/private", path]


def users(engine):
    """Every authentication the engine has: (user, password, plugin)."""
    if engine == "mysql":
        return [("u_sha2", "pass 'word\"1", "caching_sha2_password"), ("u_sha256", "word256", "sha256_password"),
                ("u_empty", "", "caching_sha2_password")]
    return [("u_native", "pass 'word\"1", "mysql_native_password"), ("u_ed25519", "ed word", "ed25519"),
            ("u_empty", "", "mysql_native_password")]


class Fixture:
    def __init__(self, engine, crossfade):
        self.engine, self.crossfade = engine, crossfade
        self.dir = tempfile.mkdtemp(prefix="cf-clients.")
        self.proxy = None
        self.started = False

    def __enter__(self):
        try:
            self.certificates()
            self.start_server()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop_proxy()
        if self.started:
            subprocess.run([SOURCE + "/scripts/server", "stop", self.dir + "/server"], check=False)
        if not os.environ.get("CROSSFADE_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)

    def certificates(self):
        """An authority, and one certificate for 127.0.0.1 and localhost that server and proxy both show."""
        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], cwd=self.dir, check=True, capture_output=True)
        with open(self.dir + "/ext", "w") as f:
            f.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3", "-subj", "/CN=test authority",
                "-keyout", "ca.key", "-out", "ca.pem")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr")
        openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "3",
                "-extfile", "ext", "-out", "server.pem")

    def start_server(self):
        data = self.dir + "/server/data"
        # The C++ tests keep a fresh data folder of each engine.
        ready = os.path.join(os.path.dirname(self.crossfade), "server-templates", self.engine)
        if os.path.isdir(ready):
            os.makedirs(self.dir + "/server")
            subprocess.run(["cp", "-r", ready, data], check=True)
        arguments = [f"--ssl-ca={self.dir}/ca.pem", f"--ssl-cert={self.dir}/server.pem", f"--ssl-key={self.dir}/server.key",
                     "--max-allowed-packet=48M", "--innodb-flush-log-at-trx-commit=2", "--sync-binlog=0", "--event-scheduler=ON"]
        if self.engine == "mariadb":
            plugins = EXTRA + "/usr/lib/mysql/plugin"
            arguments += [f"--plugin-dir={plugins}" if os.path.isdir(plugins) else "--plugin-maturity=unknown",
                          "--plugin-load-add=auth_ed25519", "--performance-schema=ON"]
        subprocess.run([SOURCE + "/scripts/server", "start", self.engine, self.dir + "/server", *arguments], check=True)
        self.started = True
        with open(self.dir + "/server/port") as f:
            self.port = int(f.read())
        for user, password, plugin in users(self.engine):
            quoted = password.replace("'", "''")
            name = f"{user}@'%'"
            if self.engine == "mysql":
                self.sql(f"CREATE USER {name} IDENTIFIED WITH {plugin} BY '{quoted}'")
            else:
                self.sql(f"CREATE USER {name} IDENTIFIED VIA {plugin} USING PASSWORD('{quoted}')")
            self.sql(f"GRANT ALL ON *.* TO {name}")

    def sql(self, text):
        """As root, directly."""
        return subprocess.run(["mariadb", "--no-defaults", "--default-character-set=utf8mb4", "-uroot", f"--socket={self.dir}/server/socket"],
                              input=text, text=True, check=True, stdout=subprocess.PIPE).stdout

    def load_schema(self):
        for name in ("schema.sql",):
            with open(f"{HERE}/{name}", encoding="utf-8") as f:
                self.sql(f.read())

    def start_proxy(self, migrated, client=None):
        self.ports = {"secure": free_port(), "clear": free_port()}
        tls = f"tls: {{certificate: {self.dir}/server.pem, key: {self.dir}/server.key}}"
        config = "listen:\n"
        for name, port in self.ports.items():
            config += f'  - {{address: "127.0.0.1:{port}", backend: {name}, {tls}}}\n'
        config += (f'backends:\n  secure: {{address: "127.0.0.1:{self.port}", tls: required}}\n'
                   f'  clear: {{address: "127.0.0.1:{self.port}", tls: disabled}}\n'
                   f'control: {{backend: clear, user: root, schema: crossfade}}\nadmin: "127.0.0.1:{free_port()}"\n')
        if migrated:
            config += MIGRATION
        self.config = self.dir + "/crossfade.yaml"
        with open(self.config, "w") as f:
            f.write(config)
        log = open(self.dir + "/proxy.log", "ab")
        self.proxy = subprocess.Popen([self.crossfade, "serve", "-c", self.config], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        end = time.monotonic() + 30
        for port in self.ports.values():
            while True:
                if self.proxy.poll() is not None or time.monotonic() > end:
                    raise RuntimeError("crossfade serve did not start:\n" + self.proxy_log())
                try:
                    socket.create_connection(("127.0.0.1", port), 5).close()
                    break
                except OSError:
                    time.sleep(0.02)
        if migrated:
            subprocess.run([self.crossfade, "phase", "-c", self.config, "codes", "dual_write", "--wait", "--yes"], check=True,
                           stdout=subprocess.DEVNULL, timeout=120)

    def stop_proxy(self):
        if self.proxy is None:
            return
        self.proxy.send_signal(signal.SIGTERM)
        try:
            code = self.proxy.wait(60)
        except subprocess.TimeoutExpired:
            self.proxy.kill()
            code = self.proxy.wait()
        self.proxy = None
        if code != 0:
            print(f"crossfade serve ended with {code}:\n{self.proxy_log()}", file=sys.stderr)
            raise SystemExit(1)

    def proxy_log(self):
        with open(self.dir + "/proxy.log", errors="replace") as f:
            return "".join(f.readlines()[-30:])

    def environment(self, port):
        """What a program is told, through its environment."""
        return {**os.environ, "CF_PORT": str(port), "CF_CA": self.dir + "/ca.pem", "CF_ENGINE": self.engine, "CF_DIR": self.dir, "CF_NODE_MODULES": os.environ.get("CROSSFADE_CLIENTS_NODE", "/var/cache/crossfade/clients-node") + "/node_modules", "CF_STATEMENTS": HERE + "/statements.txt",
                "CF_USERS": json.dumps([{"user": u, "password": p, "plugin": q} for u, p, q in users(self.engine)]),
                "LC_ALL": "C.UTF-8", "PYTHONPATH": HERE, "HOME": self.dir}


def client_test(engine):
    """The command that runs the engine's own mysql_client_test."""
    if engine == "mariadb":
        return [EXTRA + "/usr/bin/mysql_client_test"]
    path = MYSQL_ROOT + "/usr/bin/mysql_client_test"
    return mysql_program("mysql_client_test") if os.path.exists(path) else [path]
