"""Serves the web in a process of its own, at a free port that it says, until it is killed."""

import socket
import sys
from datetime import datetime

from waitress.server import create_server

from app.clock import Clock
from app.links import Links
from app.store.database import Database
from app.web import create_app

KEYS = ["test-key-0123456789-0123456789-0123456789"]
HOST = "127.0.0.1"


def main() -> None:
    """Serve a database at the moment given; signatures are judged by the machine's clock."""
    url, now = sys.argv[1], datetime.fromisoformat(sys.argv[2])
    base = f"http://{HOST}:8080"
    app = create_app(Database(url), Clock(lambda: now), Links(KEYS, base), base_url=base)
    with socket.create_server((HOST, 0)) as listening:
        server = create_server(app, sockets=[listening], threads=4)
        print(listening.getsockname()[1], flush=True)  # noqa: T201 - the answer
        server.run()


if __name__ == "__main__":
    main()
