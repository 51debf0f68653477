"""SMTP on one kept connection.

The standard library connects, encrypts and logs in.  Handing over is ours, because there
lies the time: where the relay offers PIPELINING (RFC 2920), MAIL, RCPT and DATA go out in
one write, so that a message costs two round trips in place of four.

What an answer means, and why it matters: a person who is taken for unreachable is asked no more,
so a refusal that is, or may be, about us must never be taken for one about the person.  "No, ours"
is put before somebody; see ``app.world.outcome``.  Enhanced codes are those of RFC 3463::

    before RCPT    no connection, time-out, 421     Later
                   MAIL refused                     Later: it is about us, not about the person
    RCPT, text     2xx                              Done (after the text)
                   4xx, 421                         Later
                   4.7.x, 421                       Later, busy: the domain wants less of us
                   5.1.1-4, 5.1.6, 5.1.10, 5.2.1    No: no such mailbox or domain, moved, closed;
                                                    ours where its words speak of a sender
                   5.2.2, 5.3.x, 5.4.x              Later: full, or out of order, or no way there
                   5.3.4, 5.1.7, 5.1.8, any other   No, ours: too big; our sender; spam, policy,
                                                    reputation, login (5.7.x); what nobody knows
      without an   552                              Later: the mailbox is full
      enhanced     556                              No: the domain takes no mail (RFC 7504)
      code         550, 551, 553 to RCPT            No, unless its words speak of us ("blocked")
                   any other                        No, ours: after the text these judge the text
    DATA           refused                          Later
    after the text no answer                        Later, unknown: it may have been taken

What stays Later ends with its ask after three days, as the rules have it.
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
_RCPT, _TEXT = 1, 3
_CODES: Final[Mapping[type[BaseException], str]] = {
    ConnectionRefusedError: "connection refused",
    socket.gaierror: "host not found",
    ssl.SSLError: "tls failed",
    smtplib.SMTPAuthenticationError: "login refused",
    smtplib.SMTPNotSupportedError: "login not offered",
}
_LOOPBACK: Final = re.compile(r"localhost|127\.[\d.]+|::1")
_ENHANCED: Final = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})\b")
_GONE: Final = frozenset({"1.1", "1.2", "1.3", "1.4", "1.6", "1.10", "2.1"})
"""What is said of a mailbox or domain that is not there: the person cannot be reached."""
_PASSING: Final = re.compile(r"2\.2|3\.(?!4$)\d+|4\.\d+")
"""What passes: a full mailbox, a system out of order, a way that is not found today."""
_SENDER: Final = re.compile("sender", re.IGNORECASE)
"""Relays that judge the sender only after RCPT may give it the codes of a recipient."""
_FULL, _NO_MAIL = 552, 556
_NO_MAILBOX: Final = frozenset({550, 551, 553})
_ABOUT_US: Final = re.compile(
    r"block|black|\bban|spam|polic|reput|\b[dr]n?s?bl\b|list(ed|ing)|den(y|ied)|reject(ed)? due"
    r"|relay|auth|spf|dkim|dmarc|permi|not allowed|http",
    re.IGNORECASE,
)
"""Words of a refusal without an enhanced code that may be about us; they only spare a person."""
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
    """The connection is of no more use; ``unknown`` when the relay may have the message.

    ``busy`` when it was closed over what was handed over, and not at the door.
    """

    def __init__(self, reason: str, *, unknown: bool = False, busy: bool = False) -> None:
        """Keep them for the outcome."""
        super().__init__(reason)
        self.reason = reason
        self.unknown = unknown
        self.busy = busy


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the relay says to one command: its code, and its words, which are never passed on."""

    code: int
    words: str = ""

    @property
    def agrees(self) -> bool:
        """Whether it says yes, or go ahead."""
        return 200 <= self.code < 400  # noqa: PLR2004 - SMTP's classes of answers

    @property
    def enhanced(self) -> str:
        """The enhanced code without its class, such as 1.1; "" where there is none that fits."""
        found = _ENHANCED.match(self.words)
        if found is None or found[1] != str(self.code)[:1]:
            return ""
        return f"{int(found[2])}.{int(found[3])}"

    @property
    def reason(self) -> str:
        """Both codes, as they may be logged."""
        enhanced = self.enhanced
        return f"smtp {self.code}" + (f" {str(self.code)[0]}.{enhanced}" if enhanced else "")


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
            sender = on_the_wire(envelope_from)
        except Refused:
            return No("sender malformed", ours=True)
        try:
            recipient = on_the_wire(to)
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
            return Later(broken.reason, unknown=broken.unknown, busy=broken.busy)

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
        return No("smtputf8 not offered", ours=True)
    option = " SMTPUTF8 BODY=8BITMIME" if international else ""
    commands = [f"MAIL FROM:<{sender}>{option}", f"RCPT TO:<{recipient}>", "DATA"]
    answers = _ask(server, commands)
    codes = [each.code for each in answers]
    if all(each.agrees for each in answers[:2]) and codes[2:] == [_GO_AHEAD]:
        return _finish(server, message)
    outcome = _refused(answers)
    _reset(server, codes)
    return outcome


def _ask(server: smtplib.SMTP, commands: list[str]) -> list[_Answer]:
    """Return the answers to ``commands``; without PIPELINING, up to the first refusal."""
    at_once = server.has_extn("pipelining")
    answers: list[_Answer] = []
    try:
        if at_once:
            server.send(_lines(commands))
        for command in commands:
            if not at_once:
                server.send(_lines([command]))
            answers.append(_answer(server, about_the_person=len(answers) == _RCPT))
            if not at_once and not answers[-1].agrees:
                break
    except (OSError, smtplib.SMTPException) as error:
        raise _Broken(_lost(error)) from None
    return answers


def _lines(commands: list[str]) -> bytes:
    """Return commands as they go over the wire."""
    return "".join(f"{command}\r\n" for command in commands).encode()


def _answer(server: smtplib.SMTP, *, about_the_person: bool = False) -> _Answer:
    """Return the next answer; 421, or what is no answer, ends the connection."""
    code, words = server.getreply()
    if code == _CLOSING:
        raise _Broken(f"smtp {code}", busy=about_the_person)
    if code < 0:
        raise _Broken("answer unreadable")
    return _Answer(code, words.decode("ascii", "replace"))


def _refused(answers: list[_Answer]) -> Outcome:
    """Return what the first refusal among the answers to MAIL, RCPT and DATA means."""
    at, answer = next(
        (at, each) for at, each in enumerate([*answers, _Answer(0)]) if not each.agrees
    )
    return _meant(answer, at) if at == _RCPT else Later(answer.reason)


def _meant(answer: _Answer, at: int) -> Outcome:
    """Return what a refusal of the person (``_RCPT``) or of the text (``_TEXT``) means."""
    enhanced = answer.enhanced
    if answer.code < _FOR_GOOD:
        return Later(answer.reason, busy=enhanced.startswith("7."))
    if not enhanced:
        return _meant_by_code(answer, at)
    if enhanced in _GONE:
        return No(answer.reason, ours=bool(_SENDER.search(answer.words)))
    if _PASSING.fullmatch(enhanced):
        return Later(answer.reason)
    return No(answer.reason, ours=True)


def _meant_by_code(answer: _Answer, at: int) -> Outcome:
    """Return what a refusal for good means that has no enhanced code."""
    if answer.code == _FULL:
        return Later(answer.reason)
    if answer.code == _NO_MAIL:
        return No(answer.reason)
    of_the_person = at == _RCPT and answer.code in _NO_MAILBOX
    return No(answer.reason, ours=not of_the_person or bool(_ABOUT_US.search(answer.words)))


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
        answer = _answer(server, about_the_person=True)
    except (OSError, smtplib.SMTPException) as error:
        raise _Broken(f"{_lost(error)} after data", unknown=True) from None
    except _Broken as broken:
        broken.unknown = broken.reason != f"smtp {_CLOSING}"
        raise
    return Done() if answer.agrees else _meant(answer, _TEXT)


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
