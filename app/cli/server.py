"""Serves the web application with waitress, and ends gracefully; docs/serving.md has the reasons.

waitress reads each request whole before a thread takes it up, so slow clients hold up nobody. What
it does not do by itself is done here: requests in hand are answered before the process ends, and
bodies that nothing would take are refused by their headers, before they are kept.
"""

import logging
import re
from collections.abc import Iterable
from datetime import timedelta
from threading import Event
from typing import Any
from wsgiref.types import WSGIApplication

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import BaseWSGIServer, create_server
from waitress.utilities import RequestEntityTooLarge

from app import log
from app.clock import wall

THREADS = 4
CONNECTIONS = 800
"""So many are kept at once, idle and slow ones too: a process may usually open 1,024 files."""
IDLE = 60
"""Seconds without a word after which a connection is closed."""
LARGEST = 8 * 1024 * 1024
LARGEST_STREAM = 1024 * 1024 * 1024
STREAMED = re.compile(r"/v1/products/[^/]+/usage")
"""Takes NDJSON of nearly any length."""
LOOK_EVERY = 0.25
"""Seconds between two looks whether to end."""
GOODBYE = timedelta(seconds=30)
"""How long requests in hand are given, less than `reconfirm up` gives this process."""
SAY = log.logger("web")
Sockets = dict[int, Any]
"""The listeners and connections of a server, by file descriptor, as its loop keeps them."""


class _Parser(HTTPRequestParser):
    """Refuses a body that is too large for its path as soon as that is known."""

    path: str

    def received(self, data: bytes) -> int:
        """Take some of a request; give how many bytes of it."""
        consumed: int = super().received(data)
        if self.headers_finished and not self.error and not self.empty:
            most = LARGEST_STREAM if STREAMED.fullmatch(self.path) else LARGEST
            if max(self.content_length, self.body_bytes_received) > most:
                self.error = RequestEntityTooLarge(f"exceeds {most} bytes")
                self.completed = True
                self.expect_continue = False
        return consumed


class _Channel(HTTPChannel):
    parser_class = _Parser

    @property
    def busy(self) -> bool:
        """Whether a request is being answered, or its answer is still on its way."""
        return bool(self.requests or self.total_outbufs_len)


def serve(app: WSGIApplication, bind: str, stopping: Event, threads: int = THREADS) -> None:
    """Serve until `stopping` is set; requests in hand are answered first."""
    # It would write a line for each request that waits a moment for a thread.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    sockets: Sockets = {}
    server = create_server(
        app,
        map=sockets,
        listen=bind,
        threads=threads,
        ident="reconfirm",
        connection_limit=CONNECTIONS,
        channel_timeout=IDLE,
        max_request_body_size=LARGEST_STREAM,
        clear_untrusted_proxy_headers=False,  # /metrics must see that a proxy passed a request on
        asyncore_use_poll=True,
    )
    listeners = [each for each in sockets.values() if isinstance(each, BaseWSGIServer)]
    for listener in listeners:
        listener.channel_class = _Channel
    SAY.info("serves", bind=bind)
    while not stopping.is_set():
        _look(sockets)
    _finish(listeners, sockets)
    server.task_dispatcher.shutdown(timeout=1)


def _look(sockets: Sockets) -> None:
    """Read and write what is ready, or wait a little."""
    wasyncore.loop(timeout=LOOK_EVERY, use_poll=True, map=sockets, count=1)


def _finish(listeners: Iterable[BaseWSGIServer], sockets: Sockets) -> None:
    """Take no more connections and answer what is in hand."""
    for each in listeners:
        each.accepting = False
        each.del_channel(sockets)
        if each.socket is not None:
            each.socket.close()
    until = wall() + GOODBYE
    while any(each.busy for each in _channels(sockets)) and wall() < until:
        for channel in _channels(sockets):
            if not channel.busy:
                channel.will_close = True
        _look(sockets)


def _channels(sockets: Sockets) -> list[_Channel]:
    return [each for each in sockets.values() if isinstance(each, _Channel)]
