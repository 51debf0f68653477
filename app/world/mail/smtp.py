"""SMTP on one kept connection.

The standard library connects, encrypts and logs in.  Handing over is ours, because there
lies the time: where the relay offers PIPELINING (RFC 2920), MAIL, RCPT and DATA go out in
one write, so that a message costs two round trips in place of four.

What an answer means::

    before DATA    no connection, time-out, 421     Later
                   MAIL refused                     Later: it is about us, not about the person
                   RCPT 4xx / 5xx                   Later / No
    after the text 2xx / 4xx / 5xx                  Done / Later / No
                   no answer                        Later, unknown: it may have been taken
"""

import re
import smtplib
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Self

from app.errors import Refused
from app.world.mail.address import on_the_wire
from app.world.outcome import Done, Later, No, Outcome

PATIENCE: Final = 10.0

_CLOSING = 421
_GO_AHEAD = 354
_FOR_GOOD = 500
_CODES: Final[Mapping[type[BaseException], str]] = {
    ConnectionRefusedError: "connection refused",
    socket.gaierror: "host not found",
    ssl.SSLError: "tls failed",
    smtplib.SMTPAuthenticationError: "login refused",
    smtplib.SMTPNotSupportedError: "login not offered",
}
_LOOPBACK: Final = re.compile(r"localhost|127\.[\d.]+|::1")
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Account:
    """Where a relay is, and who we are to it.  ``tls`` from the first byte (smtps)."""

    host: str
    port: int
    tls: bool = False
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def near(self) -> bool:
        """Whether what we say to it stays on this machine."""
        return bool(_LOOPBACK.fullmatch(self.host))


class _Broken(Exception):
    """The connection is of no more use; ``unknown`` when the relay may have the message."""

    def __init__(self, reason: str, *, unknown: bool = False) -> None:
        """Keep both for the outcome."""
        super().__init__(reason)
        self.reason = reason
        self.unknown = unknown


class Smtp:
    """One relay, one connection: opened with the first message, reopened when it broke."""

    def __init__(self, account: Account, patience: float = PATIENCE) -> None:
        """Wait up to ``patience`` seconds for each answer."""
        self._account = account
        self._patience = patience
        self._server: smtplib.SMTP | None = None

    def send(self, envelope_from: str, to: str, message: bytes) -> Outcome:
        """Hand over one message; once more on a new connection if the kept one turned out dead."""
        try:
            sender, recipient = on_the_wire(envelope_from), on_the_wire(to)
        except Refused:
            return No("address malformed")
        kept = self._server is not None
        outcome = self._attempt(sender, recipient, message)
        died = kept and self._server is None
        if died and isinstance(outcome, Later) and not outcome.unknown:
            return self._attempt(sender, recipient, message)
        return outcome

    def _attempt(self, sender: str, recipient: str, message: bytes) -> Outcome:
        """Hand over one message on the connection there is, or on a new one."""
        try:
            self._server = self._server or _connect(self._account, self._patience)
            return _hand_over(self._server, sender, recipient, message)
        except _Broken as broken:
            self._drop()
            return Later(broken.reason, unknown=broken.unknown)

    def check(self) -> str:
        """Connect afresh, log in, and say to whom; ``Refused`` when that fails."""
        where = f"{self._account.host}:{self._account.port}"
        self._drop()
        try:
            self._server = _connect(self._account, self._patience)
        except _Broken as broken:
            mend = "Start the relay, or correct RECONFIRM_SMTP_URL"
            raise Refused(
                f"The mail relay at {where} cannot be used: {broken.reason}", mend
            ) from None
        return f"{where} answers"

    def _drop(self) -> None:
        """Forget the connection without a word."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def __enter__(self) -> Self:
        """Return itself; the connection is made with the first message."""
        return self

    def __exit__(self, *_: object) -> None:
        """Say goodbye and close."""
        if self._server is not None:
            with suppress(OSError, smtplib.SMTPException):
                self._server.quit()
        self._drop()


# --- Connecting ----------------------------------------------------------------------------


def _connect(account: Account, patience: float) -> smtplib.SMTP:
    """Return a connection that is ready for mail; ``_Broken`` says in a code why there is none."""
    try:
        server = _greeted(account, patience)
    except (OSError, smtplib.SMTPException) as error:
        raise _Broken(_why(error)) from None
    try:
        _prepare(server, account)
    except (OSError, smtplib.SMTPException) as error:
        server.close()
        raise _Broken(_why(error)) from None
    except _Broken:
        server.close()
        raise
    return server


def _greeted(account: Account, patience: float) -> smtplib.SMTP:
    """Return a connection that the relay has greeted."""
    # Naming ourselves spares smtplib a look-up of our own name, which can hang without DNS.
    name = socket.gethostname()
    if account.tls:
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(account.host, account.port, name, timeout=patience, context=context)
    return smtplib.SMTP(account.host, account.port, name, timeout=patience)


def _prepare(server: smtplib.SMTP, account: Account) -> None:
    """Encrypt and log in, as far as the relay offers it and the account needs it."""
    if server.sock is not None:
        server.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server.ehlo_or_helo_if_needed()
    encrypted = account.tls
    if not encrypted and server.has_extn("starttls"):
        server.starttls(context=_context(account))
        server.ehlo_or_helo_if_needed()
        encrypted = True
    if account.user:
        if not encrypted and not account.near:
            raise _Broken("tls not offered")
        server.login(account.user, account.password)


def _context(account: Account) -> ssl.SSLContext:
    """Return how to encrypt when the relay offers it.

    With a password at stake the relay must prove who it is.  Without, encryption is a
    gift: relays on one's own network rarely have a certificate that anybody would vouch for.
    """
    context = ssl.create_default_context()
    if not account.user or account.near:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _why(error: BaseException) -> str:
    """Return a short code for why a connection failed, free of hosts and names."""
    for kind, code in _CODES.items():
        if isinstance(error, kind):
            return code
    if isinstance(error, smtplib.SMTPResponseException):
        return f"smtp {error.smtp_code}"
    return _lost(error)


def _lost(error: BaseException) -> str:
    """Return why a connection went silent; smtplib wraps a time-out as a disconnection."""
    timed_out = isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError)
    return "timeout" if timed_out else "connection lost"


# --- Handing over --------------------------------------------------------------------------


def _hand_over(server: smtplib.SMTP, sender: str, recipient: str, message: bytes) -> Outcome:
    """Take one message through MAIL, RCPT, DATA and the text."""
    international = not (sender + recipient).isascii()
    if international and not server.has_extn("smtputf8"):
        return No("smtputf8 not offered")
    option = " SMTPUTF8 BODY=8BITMIME" if international else ""
    commands = [f"MAIL FROM:<{sender}>{option}", f"RCPT TO:<{recipient}>", "DATA"]
    codes = _ask(server, commands)
    if codes[:2] == [250, 250] and codes[2:] == [_GO_AHEAD]:
        return _finish(server, message)
    outcome = _refused(codes)
    _reset(server, codes)
    return outcome


def _ask(server: smtplib.SMTP, commands: list[str]) -> list[int]:
    """Return the answers to ``commands``; without PIPELINING, up to the first refusal."""
    at_once = server.has_extn("pipelining")
    codes: list[int] = []
    try:
        if at_once:
            server.send(_lines(commands))
        for command in commands:
            if not at_once:
                server.send(_lines([command]))
            codes.append(_answer(server))
            if not at_once and not _agreed(codes[-1]):
                break
    except (OSError, smtplib.SMTPException) as error:
        raise _Broken(_lost(error)) from None
    return codes


def _lines(commands: list[str]) -> bytes:
    """Return commands as they go over the wire."""
    return "".join(f"{command}\r\n" for command in commands).encode()


def _answer(server: smtplib.SMTP) -> int:
    """Return the code of the next answer; 421, or what is no answer, ends the connection."""
    code, _ = server.getreply()
    if code == _CLOSING or code < 0:
        raise _Broken(f"smtp {code}" if code > 0 else "answer unreadable")
    return code


def _agreed(code: int) -> bool:
    """Return whether an answer says yes, or go ahead."""
    return 200 <= code < 400  # noqa: PLR2004 - SMTP's classes of answers


def _refused(codes: list[int]) -> Outcome:
    """Return what the first refusal among the answers to MAIL, RCPT and DATA means."""
    at, code = next((at, code) for at, code in enumerate([*codes, 0]) if not _agreed(code))
    about_the_person = at == 1
    if about_the_person and code >= _FOR_GOOD:
        return No(f"smtp {code}")
    return Later(f"smtp {code}")


def _reset(server: smtplib.SMTP, codes: list[int]) -> None:
    """Make the connection fit for the next message after a refusal."""
    if codes[2:] == [_GO_AHEAD]:
        # The relay waits for a text although nobody is to get it; the way out is to hang up.
        server.close()
        return
    with suppress(OSError, smtplib.SMTPException):
        server.rset()


def _finish(server: smtplib.SMTP, message: bytes) -> Outcome:
    """Send the text and return what the relay says to it."""
    try:
        server.send(_text(message))
    except (OSError, smtplib.SMTPException) as error:
        # The final dot has not left, so the relay cannot have accepted.
        raise _Broken(_lost(error)) from None
    try:
        code = _answer(server)
    except (OSError, smtplib.SMTPException) as error:
        raise _Broken(f"{_lost(error)} after data", unknown=True) from None
    except _Broken as broken:
        unknown = broken.reason != f"smtp {_CLOSING}"
        raise _Broken(broken.reason, unknown=unknown) from None
    if _agreed(code):
        return Done()
    return No(f"smtp {code}") if code >= _FOR_GOOD else Later(f"smtp {code}")


def _text(message: bytes) -> bytes:
    """Return a message ready for DATA: every line ends in CRLF, dots doubled, the dot at the end.

    A lone CR or LF is made a CRLF; relays that read them differently can be made to see
    a second message in the first.
    """
    ends = message.count(b"\r\n")
    if message.count(b"\n") != ends or message.count(b"\r") != ends:
        message = _LINE_END.sub(b"\r\n", message)
    message = message.replace(b"\n.", b"\n..")
    if message.startswith(b"."):
        message = b"." + message
    return message + (b".\r\n" if message.endswith(b"\n") else b"\r\n.\r\n")
