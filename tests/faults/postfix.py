"""A real mail server, Postfix, on loopback: with a configuration, queue and ports of its own."""

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic, sleep

INSTALL = ["apt-get", "install", "-y", "--no-install-recommends", "postfix"]
PATIENCE = 60.0
STEP = 0.1
MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
mail_owner = postfix
setgid_group = postdrop
myhostname = relay.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
default_transport = error:5.4.4 nothing leaves this machine
smtpd_tls_cert_file = {folder}/cert.pem
smtpd_tls_key_file = {folder}/key.pem
smtpd_tls_security_level = may
smtpd_tls_received_header = yes
smtpd_recipient_restrictions =
    check_recipient_access texthash:{folder}/access, permit_mynetworks, reject
smtpd_delay_reject = yes
virtual_mailbox_domains = subscribers.example, tv.example
virtual_mailbox_base = {folder}/boxes
virtual_mailbox_maps = texthash:{folder}/people
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
transport_maps = texthash:{folder}/transport
"""
MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
gone unix - n n - - pipe user=nobody argv={folder}/gone
"""
GONE = "#!/bin/sh\necho 'the mailbox was closed this morning'\nexit 67\n"
"""Delivers to a mailbox that is there when a mail is taken, and gone when it is delivered."""


@dataclass(frozen=True)
class Postfix:
    """A running server, and the folder of everything it has."""

    folder: Path
    port: int

    def mails(self, box: str, many: int = 1) -> list[bytes]:
        """Give the mails in a mailbox, once there are as many; they come in a moment or two."""
        ends = monotonic() + PATIENCE
        while monotonic() < ends:
            found = sorted((self.folder / "boxes" / box / "new").glob("*"))
            if len(found) >= many:
                return [each.read_bytes() for each in found]
            sleep(STEP)
        raise AssertionError(f"no mail for {box}: {self.log}")

    @property
    def log(self) -> str:
        """What the server says of itself."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""


@contextmanager
def postfix(people: dict[str, str], access: dict[str, str]) -> Iterator[Postfix]:
    """Run a server that has mailboxes for people and answers others as `access` says.

    A person's value is the mailbox, or "gone" for one that bounces once the mail was taken.
    """
    if shutil.which("postfix") is None:
        # Its set-up starts no service where no system runs them, and asks nothing.
        environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(INSTALL, check=True, capture_output=True, timeout=300, env=environ)  # noqa: S603 - fixed
    folder, port = Path(mkdtemp(prefix="reconfirm-postfix-", dir="/var/tmp")), _free_port()
    server = Postfix(folder, port)
    try:
        _furnish(server, people, access)
        _run("start", folder)
        _wait_for(port)
        yield server
    finally:
        subprocess.run(["postfix", "-c", str(folder), "stop"], check=False, capture_output=True)  # noqa: S603, S607 - the server of this test
        shutil.rmtree(folder, ignore_errors=True)


def _furnish(server: Postfix, people: dict[str, str], access: dict[str, str]) -> None:
    folder, owner = server.folder, pwd.getpwnam("postfix")
    folder.chmod(0o755)
    for name in ("queue", "data", "boxes"):
        (folder / name).mkdir()
    for name in ("data", "boxes"):
        os.chown(folder / name, owner.pw_uid, owner.pw_gid)
    values = {"folder": folder, "port": server.port, "uid": owner.pw_uid, "gid": owner.pw_gid}
    (folder / "main.cf").write_text(MAIN.format(**values))
    (folder / "master.cf").write_text(MASTER.format(**values))
    (folder / "gone").write_text(GONE)
    (folder / "gone").chmod(0o755)
    _table(folder / "people", {who: f"{box}/" for who, box in people.items()})
    _table(folder / "access", access)
    _table(folder / "transport", {who: "gone:" for who, box in people.items() if box == "gone"})
    subject = ["-subj", "/CN=relay.example", "-days", "2", "-nodes", "-newkey", "rsa:2048"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(  # noqa: S603 - a fixed command
        ["openssl", "req", "-x509", *subject, *files],  # noqa: S607 - wherever it is
        check=True,
        capture_output=True,
    )


def _table(path: Path, values: dict[str, str]) -> None:
    path.write_text("".join(f"{name} {value}\n" for name, value in values.items()))


def _run(command: str, folder: Path) -> None:
    done = subprocess.run(  # noqa: S603 - a fixed command
        ["postfix", "-c", str(folder), command],  # noqa: S607 - wherever it is
        check=False,
        capture_output=True,
        timeout=PATIENCE,
    )
    if done.returncode:
        raise AssertionError(done.stderr.decode(errors="replace"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    ends = monotonic() + PATIENCE
    while monotonic() < ends:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        sleep(STEP)
    raise AssertionError("postfix does not listen")
