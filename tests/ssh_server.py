"""An SSH server on this machine, for a DVC remote."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.faulty_server import HOST, START_SECONDS, free_port

SERVER = """\
ListenAddress {host}
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PidFile none
Subsystem sftp internal-sftp
"""
CLIENT = """\
Host storage
    HostName {host}
    Port {port}
    User {user}
    IdentityFile {folder}/user
"""


@contextmanager
def sshd(folder: Path) -> Iterator[str]:
    """Run an SSH server until the context ends.

    Args:
        folder: for its keys and settings.

    Yields:
        What a user's `~/.ssh/config` says to reach it by the name `storage`.
    """
    command = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if not command:
        assert "CI" not in os.environ
        pytest.skip("no sshd is installed")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # which a service would have made
    for name in ("host", "user"):
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(keygen, check=True)
    port, config, log = free_port(), folder / "sshd_config", folder / "sshd.log"
    config.write_text(SERVER.format(host=HOST, port=port, folder=folder))
    with log.open("wb") as errors:
        server = subprocess.Popen([command, "-D", "-e", "-f", str(config)], stderr=errors)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(port):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield CLIENT.format(host=HOST, port=port, user=getpass.getuser(), folder=folder)
    finally:
        server.terminate()
        server.wait()


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection((HOST, port), timeout=5) as connection:
        return connection.recv(4) == b"SSH-"
    return False
