"""Calls the demo's service as a browser and a system would; it may be down for a while."""

from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event
from typing import Any

import urllib3

from app import clock
from app.errors import Refused

PATIENCE = timedelta(seconds=90)
A_MOMENT = 0.1
SERVER_ERROR = 500
TOO_MANY = 429


@dataclass
class Caller:
    """A client of one address that goes on trying while nobody answers there.

    What it sends may be sent twice without harm: answers and usage repeat without effect.
    """

    base: str
    pool: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(maxsize=4))

    def get(self, path: str) -> int:
        """Open a page; give the status."""
        return self._call("GET", path)

    def post_form(self, path: str, fields: dict[str, str]) -> int:
        """Press a button of a page; give the status. The page it leads to is not opened."""
        return self._call("POST", path, fields=fields, encode_multipart=False)

    def post_json(self, path: str, document: Any, key: str) -> int:
        """Call the API; give the status."""
        return self._call("POST", path, json=document, headers={"Authorization": f"Bearer {key}"})

    def _call(self, method: str, path: str, **more: Any) -> int:
        deadline = clock.wall() + PATIENCE
        while True:
            status = self._once(method, path, more)
            if status is not None and status < SERVER_ERROR and status != TOO_MANY:
                return status
            if clock.wall() > deadline:
                raise Refused(f"{self.base} does not answer ({status})", "look at the log above")
            Event().wait(A_MOMENT)

    def _once(self, method: str, path: str, more: dict[str, Any]) -> int | None:
        try:
            answer = self.pool.request(
                method, self.base + path, retries=False, redirect=False, timeout=20, **more
            )
        except urllib3.exceptions.HTTPError:
            return None
        return answer.status
