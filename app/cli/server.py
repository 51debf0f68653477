"""Serves the web application, and ends gracefully."""

import signal

from flask import Flask
from waitress.server import create_server

from app import log

THREADS = 4
SAY = log.logger("web")


def serve(app: Flask, bind: str) -> None:
    """Serve until SIGTERM or SIGINT; requests in hand are answered first."""
    server = create_server(app, listen=bind, threads=THREADS, ident="reconfirm")

    def leave(_number: int, _frame: object) -> None:
        raise SystemExit

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)
    SAY.info("serves", bind=bind)
    server.run()
    server.close()
