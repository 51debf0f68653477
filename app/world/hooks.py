"""Carries signed messages to addresses that product teams wrote down, and trusts none of them.

Somebody who may register an endpoint must not reach what stands beside this service: its database,
the metadata of the cloud, a router. So the host is resolved here, every address is looked at, and
the connection goes to one of the very addresses that were looked at; a name that answers otherwise
a moment later changes nothing. Nothing is followed, decoded, or read beyond what is needed.

Certificates are checked against the system's store, as everything else on the machine does: a
company's own authority is added there (or named by `SSL_CERT_FILE`), in one place.
"""

import ipaddress
import logging
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from http.client import HTTPException
from threading import Lock, Timer
from typing import Any
from urllib.parse import SplitResult, urlsplit

import idna
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from app.clock import Clock
from app.errors import Refused
from app.signing import sign
from app.world.outcome import Done, Later, No, Outcome

# It would log the whole address of an answer whose headers are mangled, and with it any token.
logging.getLogger("urllib3.connection").disabled = True

LONGEST_URL = 2000
HTTPS, HTTP = 443, 80
UNPRIVILEGED = 1024
"""Below it stand mail and shells; of those ports only that of HTTPS is taken."""
SHORTEST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(hours=6)
"""What `Retry-After` may ask for at most; who asks for more is asked again."""
GONE, TOO_MANY, UNAVAILABLE = 410, 429, 503
PATIENT = frozenset({TOO_MANY, UNAVAILABLE})
"""Answers that may say when to come back."""
MOST_ADDRESSES = 4
"""So many addresses of a host are tried; all of them are looked at."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Sequence[str]]
"""Gives the addresses of a host and port; OSError where there are none."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds for resolving, for connecting and for all the rest; bytes read of an answer."""

    resolve: float = 5.0
    connect: float = 5.0
    whole: float = 15.0
    most: int = 65536


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of sending: the outcome, and of an answer its status and the start of its body.

    An answer that came encoded has no body here. `took` is by the wall clock.
    """

    outcome: Outcome
    status: int | None = None
    body: bytes = b""
    took: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: the id stays the same on every try, and so does the body."""

    id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class _Target:
    scheme: str
    host: str
    port: int
    path: str


class _Failed(Exception):
    """Nothing has been sent; the text is a code."""


# --- addresses of endpoints ------------------------------------------------------------------


def checked_url(url: str, *, local: bool = False) -> str:
    """Give an address in its normal form; Refused where nothing will ever be sent to such a one.

    `local` is the test mode: `http` and this machine are allowed as well.
    """
    target = _target(url, local=local)
    host = f"[{target.host}]" if ":" in target.host else target.host
    usual = HTTPS if target.scheme == "https" else HTTP
    port = "" if target.port == usual else f":{target.port}"
    return f"{target.scheme}://{host}{port}{target.path}"


def _target(url: str, *, local: bool) -> _Target:
    try:
        parts = _parts(url)
        host, port = _host(parts), parts.port
    except (ValueError, idna.IDNAError):
        raise _no("is not the address of a web server") from None
    if parts.scheme != "https" and not (local and parts.scheme == "http"):
        raise _no("must begin with https://")
    if parts.username is not None or parts.password is not None:
        raise _no("must not hold a login")
    if port is None:
        port = HTTPS if parts.scheme == "https" else HTTP
    allowed = (HTTPS, HTTP) if local else (HTTPS,)
    if port < UNPRIVILEGED and port not in allowed:
        raise _no("names a port that is not for webhooks")
    query = f"?{parts.query}" if parts.query else ""
    _refuse_literal(host, local=local)
    return _Target(parts.scheme, host, port, f"{parts.path or '/'}{query}")


def _no(why: str) -> Refused:
    return Refused(f"the address {why}", "write it like https://hooks.example.com/reconfirm")


def _parts(url: str) -> SplitResult:
    """Split an address; ValueError where two readers might split it differently."""
    odd = len(url) > LONGEST_URL or re.search(r"[\s\\\x00-\x1f\x7f]", url)
    parts = urlsplit(url)
    if odd or not parts.hostname or parts.fragment or "#" in url:
        raise ValueError(url)
    if not f"{parts.path}{parts.query}".isascii():
        raise ValueError(url)
    return parts


def _host(parts: SplitResult) -> str:
    """Give the host as it is resolved: an address as such, a name in ASCII and lower case."""
    given = (parts.hostname or "").rstrip(".")
    if ":" in given:
        if "%" in given:  # a zone names an interface of this machine
            raise ValueError(given)
        return str(ipaddress.IPv6Address(given))
    last = given.rpartition(".")[2]
    if re.fullmatch(
        r"\d+|0x[0-9a-f]*", last
    ):  # 127.1, 0x7f000001 and 017700000001 are addresses too
        return str(ipaddress.IPv4Address(given))
    name = idna.encode(given, uts46=True).decode("ascii").lower()
    # Where a digit was written in another script, a name may have become an address.
    return _host(urlsplit(f"//{name}")) if name != given else name


def _refuse_literal(host: str, *, local: bool) -> None:
    with suppress(ValueError):
        if not may_be_reached(ipaddress.ip_address(host), local=local):
            raise _no("is that of a private network")


# --- addresses of machines ---------------------------------------------------------------------

_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NOT_OUTSIDE = tuple(
    ipaddress.ip_network(each)
    for each in (
        "100.64.0.0/10",  # carrier-grade NAT, and the metadata of a cloud
        "168.63.129.16/32",  # what a cloud's machines ask for their settings
        "192.0.0.0/24",  # protocol assignments, and the metadata of another cloud
        "192.31.196.0/24",  # these three: anycast of infrastructure
        "192.52.193.0/24",
        "192.175.48.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "2001::/23",  # Teredo and other protocol assignments
        "2002::/16",  # 6to4: an address of IPv4 inside
        "3fff::/20",  # documentation
    )
)


def may_be_reached(address: Address, *, local: bool = False) -> bool:
    """Say whether an address is out on the internet (or, for `local`, this machine)."""
    if local and address.is_loopback:
        return True
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:  # what networks without IPv4 make of every address of IPv4
            return may_be_reached(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        # Only unicast: neither mapped nor compatible addresses of IPv4, nor anything local.
        if address not in _UNICAST:
            return False
    listed = any(address in network for network in _NOT_OUTSIDE)
    special = address.is_multicast or address.is_reserved or address.is_unspecified
    return address.is_global and not (listed or special or address.is_link_local)


@cache
def _system_tls() -> ssl.SSLContext:
    """Read the system's store of authorities, once: it takes a while."""
    return ssl.create_default_context()


def system_resolver(host: str, port: int) -> Sequence[str]:
    """Ask the system; OSError where it knows no address."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


# --- connections -------------------------------------------------------------------------------


class _Plain(HTTPConnection):
    """A connection that is made by somebody else; its host is only what it calls for."""

    dial: Callable[[], socket.socket]

    def _new_conn(self) -> socket.socket:
        return self.dial()


class _Secure(HTTPSConnection):
    """The same with TLS, for which the host is also the name on the certificate."""

    dial: Callable[[], socket.socket]

    def _new_conn(self) -> socket.socket:
        return self.dial()


class _Cutter:
    """Cuts a connection after a time, whatever it is doing: drops of answer do not keep it open."""

    def __init__(self, seconds: float) -> None:
        self.fired = False
        self._twin: socket.socket | None = None
        self._lock = Lock()
        self._timer = Timer(seconds, self._cut)
        self._timer.daemon = True

    def watch(self, connected: socket.socket) -> None:
        """Begin: by a second handle, since TLS takes over the first."""
        self._twin = connected.dup()
        self._timer.start()

    def _cut(self) -> None:
        with self._lock:
            self.fired = True
            if self._twin is not None:
                with suppress(OSError):
                    self._twin.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Watch no longer."""
        self._timer.cancel()
        with self._lock:
            if self._twin is not None:
                self._twin.close()
                self._twin = None


class Sender:
    """Sends messages, one connection each; may be used by several threads at once."""

    def __init__(
        self,
        clock: Clock,
        *,
        local: bool = False,
        resolve: Resolver = system_resolver,
        tls: ssl.SSLContext | None = None,
        limits: Limits = Limits(),
    ) -> None:
        """Take the clock that signs (its wall); `local` is the test mode."""
        self.clock = clock
        self.local = local
        self.limits = limits
        self._resolve = resolve
        self._tls = tls or _system_tls()

    def send(self, url: str, secrets: Sequence[str], message: Message) -> Answer:
        """Send a message and give what came of it; raises nothing on account of the other side.

        Done for 2xx. No for 410 and for an address that may never be sent to. Later for anything
        else, 3xx too; `unknown` where it was sent and no answer came.
        """
        began = self.clock.wall()
        try:
            target = _target(url, local=self.local)
        except Refused:
            return Answer(No("address refused"))
        try:
            addresses = self._addresses(target)
            headers = sign(secrets, message.id, self.clock.wall(), message.body)
        except _Failed as failed:
            return Answer(Later(str(failed)), took=self.clock.wall() - began)
        except ValueError:
            return Answer(No("not signed"))
        cutter = _Cutter(self.limits.whole)
        connection = self._connection(target, addresses, cutter)
        try:
            status, pause, body = self._exchange(connection, target, headers | _ALWAYS, message)
        except _Failed as failed:
            outcome: Outcome = Later("timeout" if cutter.fired else str(failed))
            return Answer(outcome, took=self.clock.wall() - began)
        except (OSError, HTTPException, HTTPError, ValueError) as error:
            late = cutter.fired or isinstance(error, TimeoutError)
            outcome = Later("timeout after request" if late else "no answer", unknown=True)
            return Answer(outcome, took=self.clock.wall() - began)
        finally:
            cutter.end()
            connection.close()
        return Answer(_outcome(status, pause), status, body, self.clock.wall() - began)

    # --- where to ------------------------------------------------------------------------------

    def _addresses(self, target: _Target) -> list[str]:
        """Resolve the host; _Failed where one of its addresses may not be reached."""
        found = [str(address) for address in self._looked_up(target)]
        if not found:
            raise _Failed("name not found")
        return found[:MOST_ADDRESSES]

    def _looked_up(self, target: _Target) -> list[Address]:
        with suppress(ValueError):
            return self._all_outside([ipaddress.ip_address(target.host)])
        pool = ThreadPoolExecutor(1, "resolver")
        try:
            asked = pool.submit(self._resolve, target.host, target.port)
            found = asked.result(self.limits.resolve)
            return self._all_outside([ipaddress.ip_address(each) for each in found])
        except TimeoutError:
            raise _Failed("timeout of name") from None
        except (OSError, ValueError):
            raise _Failed("name not found") from None
        finally:
            pool.shutdown(wait=False)

    def _all_outside(self, addresses: list[Address]) -> list[Address]:
        if not all(may_be_reached(each, local=self.local) for each in addresses):
            raise _Failed("address not public")
        return addresses

    # --- there and back ------------------------------------------------------------------------

    def _connection(
        self, target: _Target, addresses: Sequence[str], cutter: _Cutter
    ) -> _Plain | _Secure:
        def dial() -> socket.socket:
            connected = _connected(addresses, target.port, self.limits.connect)
            connected.settimeout(self.limits.whole)
            cutter.watch(connected)
            return connected

        connection: _Plain | _Secure
        if target.scheme == "https":
            connection = _Secure(
                target.host, target.port, ssl_context=self._tls, timeout=self.limits.whole
            )
        else:
            connection = _Plain(target.host, target.port, timeout=self.limits.whole)
        connection.dial = dial
        return connection

    def _exchange(
        self,
        connection: _Plain | _Secure,
        target: _Target,
        headers: dict[str, str],
        message: Message,
    ) -> tuple[int, timedelta | None, bytes]:
        """Give status, pause asked for and body; _Failed as long as nothing was sent."""
        try:
            connection.connect()
        except ssl.SSLCertVerificationError:
            raise _Failed("certificate refused") from None
        except TimeoutError:
            raise _Failed("timeout") from None
        except (ssl.SSLError, HTTPError):
            raise _Failed("no secure connection") from None
        except OSError:
            raise _Failed("no connection") from None
        connection.request(
            "POST", target.path, message.body, headers, preload_content=False, decode_content=False
        )
        response = connection.getresponse()
        pause = _pause(response.headers.get("Retry-After"), self.clock.wall())
        return response.status, pause, self._start_of(response)

    def _start_of(self, response: Any) -> bytes:
        """Give the start of the body: the status has come, so what is missing changes nothing."""
        if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            return b""
        try:
            return bytes(response.read(self.limits.most, decode_content=False))
        except (OSError, HTTPException, HTTPError, ValueError):
            return b""


_ALWAYS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Connection": "close",
    "User-Agent": "reconfirm",
}


def _connected(addresses: Sequence[str], port: int, seconds: float) -> socket.socket:
    """Connect to the first address that answers; they share the time."""
    last: OSError = OSError()
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.settimeout(seconds / len(addresses))
            made.connect((address, port))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            made.close()
            last = error
        else:
            return made
    raise last


def _outcome(status: int, pause: timedelta | None) -> Outcome:
    if status // 100 == 2:  # noqa: PLR2004 - the one class of answers that is a yes
        return Done()
    if status == GONE:
        return No("http 410")
    return Later(f"http {status}", retry_after=pause if status in PATIENT else None)


def _pause(asked: str | None, wall: datetime) -> timedelta | None:
    """Give the pause that `Retry-After` asks for, within bounds; None where it says nothing."""
    if asked is None:
        return None
    if re.fullmatch(r"\d{1,9}", asked.strip()):
        pause = timedelta(seconds=int(asked))
    else:
        try:
            moment = parsedate_to_datetime(asked)
        except (ValueError, TypeError, OverflowError):
            return None
        pause = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - wall
    return min(max(pause, SHORTEST_PAUSE), LONGEST_PAUSE)
