"""The other side of a webhook: a real server on this machine that keeps what it was sent.

Truth is kept here: whether a message was signed is judged by the reference library.
"""

import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import loads
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from threading import Event, Lock, Thread
from typing import Any

from standardwebhooks.webhooks import Webhook

Reply = tuple[int, Mapping[str, str], bytes]
"""Status, headers and body of an answer."""


@dataclass(frozen=True)
class Got:
    """One request, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def said(self) -> Any:
        return loads(self.body)


@dataclass
class Receiver:
    """What one server was sent, and what it answers."""

    url: str = ""
    got: list[Got] = field(default_factory=list)
    answer: Callable[[Got], Reply] = lambda _: (204, {}, b"")
    lock: Lock = field(default_factory=Lock)

    def take(self, got: Got) -> Reply:
        with self.lock:
            self.got.append(got)
        return self.answer(got)

    def verified(self, secret: str) -> list[Any]:
        """Give the messages; the reference library raises at one that is not signed."""
        return [Webhook(secret).verify(each.body, each.headers) for each in self.got]

    def told(self, subscription: str) -> list[str]:
        """Give the types of what was said about a subscription, in the order it came."""
        said = [each.said for each in self.got]
        return [each["type"] for each in said if each["data"]["subscription"] == subscription]

    def answers(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer everything alike from now on."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = lambda _: (status, named, body)


@contextmanager
def receiving(tls: SSLContext | None = None) -> Iterator[Receiver]:
    """Serve on a port of this machine."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, more, body = receiver.take(Got(self.path, headers, self.rfile.read(size)))
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """Say nothing of clients that refuse our certificate."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        port = server.server_address[1]
        receiver.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/hook"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def talking(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve one connection after the other in its own way; give the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = Event()

        def serve() -> None:
            while not ended.is_set():
                connection, _ = server.accept()
                with connection, suppress(OSError):
                    if not ended.is_set():
                        talk(connection)

        thread = Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ended.set()
            socket.create_connection(server.getsockname()).close()
            thread.join()


def nobody() -> int:
    """Give a port at which nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@dataclass(frozen=True)
class Authority:
    """An authority of our own, in a folder."""

    folder: Path

    @classmethod
    def founded(cls, folder: Path) -> "Authority":
        made = cls(folder)
        made._run("req", "-x509", *made._key("ca"), "-out", "ca.pem", "-subj", "/CN=An authority")
        return made

    @property
    def certificate(self) -> str:
        return str(self.folder / "ca.pem")

    def server(self, name: str) -> SSLContext:
        """Give what a server of this name needs."""
        (self.folder / "names").write_text(f"subjectAltName=DNS:{name}\n", encoding="ascii")
        self._run("req", *self._key(name), "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signed_by = ("-CA", "ca.pem", "-CAkey", "ca.key", "-extfile", "names", "-days", "2")
        self._run("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed_by)
        context = SSLContext(PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        return context

    def _key(self, name: str) -> tuple[str, ...]:
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", f"{name}.key")  # fmt: skip

    def _run(self, *arguments: str) -> None:
        subprocess.run(  # noqa: S603 - our own words
            ["openssl", *arguments],  # noqa: S607 - wherever it is
            cwd=self.folder,
            check=True,
            capture_output=True,
        )
