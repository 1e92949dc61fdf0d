# SPDX-License-Identifier: Apache-2.0
"""Ports for tests that run beside each other: FreePort() of process.h, with the same lock files."""
import fcntl
import os
import pathlib
import random
import socket
import tempfile

_held = []


def free_port():
    """A TCP port of 127.0.0.1 that nobody listens on, and that no other test is given while this process lives."""
    folder = pathlib.Path(tempfile.gettempdir()) / f"crossfade-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for _ in range(1000):
        port = random.randrange(10000, 20000)
        lock = os.open(folder / str(port), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            os.close(lock)
            continue
        _held.append(lock)
        return port
    raise OSError("no free port between 10000 and 19999")
