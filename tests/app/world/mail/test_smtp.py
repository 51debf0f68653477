"""Handing over by SMTP, to a real server on loopback, with and without PIPELINING."""

import asyncio
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from threading import Thread
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from app.errors import Refused
from app.world.mail.smtp import Account, Smtp
from app.world.outcome import Done, Later, No, Outcome

MESSAGE = b"Subject: x\r\n\r\nhello\r\n"
FROM, TO = "us@cinema.example", "ada@example.org"


@dataclass
class Town:
    """What a mail server saw, and what it is to say."""

    pipelining: bool = True
    says: dict[str, str] = field(default_factory=dict)
    hangs_up: set[str] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)
    connections: int = 0
    mails: list[tuple[str, list[str], bytes]] = field(default_factory=list)

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope, host: str, offers: list[str]
    ) -> list[str]:
        del server, envelope
        session.host_name = host
        self.connections += 1
        return [*offers[:-1], *(["250-PIPELINING"] if self.pipelining else []), offers[-1]]

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del session
        refusal = await self._step("MAIL", server)
        if refusal is None:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return refusal or "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del session, options
        refusal = await self._step("RCPT", server) or self.says.get(address)
        if refusal is None:
            envelope.rcpt_tos.append(address)
        return refusal or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        del session
        refusal = await self._step("DATA", server)
        if refusal is None:
            assert isinstance(envelope.content, bytes)
            self.mails.append((envelope.mail_from or "", envelope.rcpt_tos, envelope.content))
        return refusal or "250 OK"

    async def _step(self, name: str, server: SMTP) -> str | None:
        if name in self.slow:
            await asyncio.sleep(0.6)
        if name in self.hangs_up:
            self.hangs_up.discard(name)
            assert server.transport is not None
            server.transport.close()
        return self.says.get(name)


@dataclass
class Post:
    """A running mail server and a relay that speaks to it."""

    town: Town
    relay: Smtp
    controller: Controller

    def send(self, to: str = TO, message: bytes = MESSAGE) -> Outcome:
        return self.relay.send(FROM, to, message)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def running(town: Town, **options: Any) -> Controller:
    options = {"port": free_port(), "enable_SMTPUTF8": False, **options}
    controller = Controller(town, hostname="127.0.0.1", **options)
    controller.start()
    return controller


@pytest.fixture(params=[True, False], ids=["pipelining", "one by one"])
def post(request: pytest.FixtureRequest) -> Iterator[Post]:
    town = Town(pipelining=request.param)
    controller = running(town)
    town.connections = 0
    with Smtp(Account("127.0.0.1", controller.port), patience=5) as relay:
        post = Post(town, relay, controller)
        yield post
    post.controller.stop()


def test_one_connection_carries_many_mails(post: Post) -> None:
    for number in range(50):
        assert post.send(f"u{number}@example.org") == Done()
    assert post.town.connections == 1
    assert [tos for _, tos, _ in post.town.mails] == [[f"u{n}@example.org"] for n in range(50)]


@pytest.mark.parametrize(
    "message",
    [
        b"Subject: x\r\n\r\n.\r\n..\r\n.leading\r\n",
        b".first\r\n",
        b"no end",
        b"Subject: x\r\n\r\n" + b"long\r\n" * 100_000,
        b"",
    ],
)
def test_the_text_arrives_as_it_was(post: Post, message: bytes) -> None:
    assert post.send(message=message) == Done()
    whole = message if message.endswith(b"\n") else message + b"\r\n"
    assert post.town.mails[0][2] == whole


def test_no_line_end_can_hide_a_second_message(post: Post) -> None:
    assert post.send(message=b"a\n.\nMAIL FROM:<eve@x.example>\r.\rb\r\n") == Done()
    assert post.town.mails[0][2] == b"a\r\n.\r\nMAIL FROM:<eve@x.example>\r\n.\r\nb\r\n"
    assert len(post.town.mails) == 1


@pytest.mark.parametrize(
    ("step", "answer", "outcome"),
    [
        ("RCPT", "550 no such user ada@example.org", No("smtp 550")),
        ("RCPT", "451 greylisted", Later("smtp 451")),
        ("MAIL", "451 busy", Later("smtp 451")),
        ("MAIL", "553 sender not allowed", Later("smtp 553")),
        ("DATA", "452 disk full", Later("smtp 452")),
        # The person cannot be reached: only what says so.
        ("RCPT", "550 5.1.1 no such user", No("smtp 550 5.1.1")),
        ("RCPT", "550 5.1.2 no such domain", No("smtp 550 5.1.2")),
        ("RCPT", "551 5.1.6 has moved", No("smtp 551 5.1.6")),
        ("RCPT", "556 5.1.10 null MX", No("smtp 556 5.1.10")),
        ("RCPT", "550 5.2.1 mailbox disabled", No("smtp 550 5.2.1")),
        ("RCPT", "550-5.1.1 no such user\r\n550 see https://mail.example", No("smtp 550 5.1.1")),
        ("RCPT", "551 User not local", No("smtp 551")),
        ("RCPT", "553 mailbox name invalid", No("smtp 553")),
        ("RCPT", "556 takes no mail", No("smtp 556")),
        ("DATA", "550 5.1.1 no such user after all", No("smtp 550 5.1.1")),
        # It is about us, or may be: somebody looks, and nobody is taken for unreachable.
        ("RCPT", "550 5.7.1 blocked", No("smtp 550 5.7.1", ours=True)),
        ("RCPT", "554 5.7.26 not authenticated", No("smtp 554 5.7.26", ours=True)),
        ("RCPT", "550 5.1.8 no such domain", No("smtp 550 5.1.8", ours=True)),
        ("RCPT", "550 5.1.7 no such mailbox", No("smtp 550 5.1.7", ours=True)),
        ("RCPT", "550 5.1.0 hm", No("smtp 550 5.1.0", ours=True)),
        ("RCPT", "550 5.1.1 Sender address rejected", No("smtp 550 5.1.1", ours=True)),
        ("RCPT", "550 5.2.0 hm", No("smtp 550 5.2.0", ours=True)),
        ("RCPT", "550 5.5.0 mailbox unavailable", No("smtp 550 5.5.0", ours=True)),
        ("RCPT", "550 Blocked, see https://bl.example", No("smtp 550", ours=True)),
        ("RCPT", "553 sorry, that relay is on a DNSBL", No("smtp 553", ours=True)),
        ("RCPT", "554 no", No("smtp 554", ours=True)),
        ("RCPT", "530 log in first", No("smtp 530", ours=True)),
        ("RCPT", "550 4.1.1 of two minds", No("smtp 550")),
        ("DATA", "554 looks like spam", No("smtp 554", ours=True)),
        ("DATA", "550 not wanted", No("smtp 550", ours=True)),
        ("DATA", "550 5.7.1 spam", No("smtp 550 5.7.1", ours=True)),
        ("DATA", "552 5.3.4 too big", No("smtp 552 5.3.4", ours=True)),
        ("DATA", "554 5.6.0 odd text", No("smtp 554 5.6.0", ours=True)),
        # It passes.
        ("RCPT", "552 5.2.2 mailbox full", Later("smtp 552 5.2.2")),
        ("RCPT", "552 mailbox full", Later("smtp 552")),
        ("DATA", "552 mailbox full", Later("smtp 552")),
        ("RCPT", "550 5.3.0 out of order", Later("smtp 550 5.3.0")),
        ("RCPT", "550 5.4.4 no way there", Later("smtp 550 5.4.4")),
        ("RCPT", "450 4.2.0 greylisted", Later("smtp 450 4.2.0")),
        # The domain wants less of us.
        ("RCPT", "451 4.7.1 slow down", Later("smtp 451 4.7.1", busy=True)),
        ("DATA", "450 4.7.0 try later", Later("smtp 450 4.7.0", busy=True)),
        ("MAIL", "451 4.7.1 who are you", Later("smtp 451 4.7.1")),
        ("MAIL", "550 5.1.1 who are you", Later("smtp 550 5.1.1")),
    ],
)
def test_a_refusal_is_an_outcome_and_the_next_mail_goes_out(
    post: Post, step: str, answer: str, outcome: Outcome
) -> None:
    post.town.says[step] = answer
    assert post.send() == outcome
    post.town.says.clear()
    assert post.send() == Done()
    assert post.town.connections == 1
    assert len(post.town.mails) == 1


@pytest.mark.parametrize(("step", "busy"), [("MAIL", False), ("RCPT", True), ("DATA", True)])
def test_who_is_sent_away_over_a_mail_is_told_to_slow_down(
    post: Post, step: str, *, busy: bool
) -> None:
    post.town.says[step] = "421 4.7.28 unusual rate"
    assert post.send() == Later("smtp 421", busy=busy)
    post.town.says.clear()
    assert post.send() == Done()


def test_a_relay_that_will_forward_has_agreed() -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        relay = Smtp(Account("127.0.0.1", server.getsockname()[1]), patience=2)
        answered = scripted(
            server, heard, b"250 OK\r\n251 will forward\r\n354 go ahead\r\n", b"250 OK\r\n"
        )
        with relay:
            assert relay.send(FROM, TO, MESSAGE) == Done()
        answered()


def test_one_bad_address_among_many_stops_no_other(post: Post) -> None:
    post.town.says["bad@example.org"] = "550 unknown"
    outcomes = [post.send(to) for to in (TO, "bad@example.org", "ada", TO)]
    assert outcomes == [Done(), No("smtp 550"), No("address malformed"), Done()]


@pytest.mark.parametrize("step", ["MAIL", "RCPT"])
def test_a_kept_connection_that_died_is_made_anew(post: Post, step: str) -> None:
    assert post.send() == Done()
    post.town.hangs_up.add(step)
    assert post.send() == Done()
    assert post.town.connections == 2
    assert len(post.town.mails) == 2


def test_a_goodbye_on_a_kept_connection_is_not_the_last_word(post: Post) -> None:
    assert post.send() == Done()
    post.town.says["MAIL"] = "421 come again"
    assert post.send() == Later("smtp 421")
    post.town.says.clear()
    assert post.send() == Done()


def test_a_connection_lost_after_the_text_leaves_the_outcome_unknown(post: Post) -> None:
    assert post.send() == Done()
    post.town.hangs_up.add("DATA")
    assert post.send() == Later("connection lost after data", unknown=True)
    assert post.send() == Done()


def test_silence_after_the_text_leaves_the_outcome_unknown(post: Post) -> None:
    post.town.slow.add("DATA")
    with Smtp(Account("127.0.0.1", post.controller.port), patience=0.2) as hasty:
        assert hasty.send(FROM, TO, MESSAGE) == Later("timeout after data", unknown=True)


def test_silence_before_the_text_is_known_to_be_nothing(post: Post) -> None:
    post.town.slow.add("MAIL")
    with Smtp(Account("127.0.0.1", post.controller.port), patience=0.2) as hasty:
        assert hasty.send(FROM, TO, MESSAGE) == Later("timeout")


def test_a_relay_that_is_down_comes_back(post: Post) -> None:
    post.controller.stop()
    assert post.send() == Later("connection refused")
    with pytest.raises(Refused, match="connection refused"):
        post.relay.check()
    post.controller = running(post.town, port=post.controller.port)
    assert post.send() == Done()
    assert post.relay.check().endswith("answers")


def test_an_unknown_host_is_for_later() -> None:
    with Smtp(Account("nowhere.invalid", 25), patience=2) as relay:
        assert relay.send(FROM, TO, MESSAGE) == Later("host not found")


def test_an_address_beyond_ascii_needs_smtputf8(post: Post) -> None:
    assert post.send("zoë@bücher.example") == No("smtputf8 not offered", ours=True)
    assert post.send("zoe@bücher.example") == Done()
    controller = running(post.town, enable_SMTPUTF8=True)
    with Smtp(Account("127.0.0.1", controller.port)) as relay:
        assert relay.send(FROM, "zoë@bücher.example", "To: zoë@x\r\n".encode()) == Done()
    controller.stop()
    assert post.town.mails[-1][1] == ["zoë@xn--bcher-kva.example"]


def test_a_malformed_sender_says_nothing_about_the_person(post: Post) -> None:
    assert post.relay.send("us", TO, MESSAGE) == No("sender malformed", ours=True)
    assert post.relay.send(FROM, "ada", MESSAGE) == No("address malformed")


def test_a_relay_that_wants_a_text_for_nobody_is_hung_up_on() -> None:
    """RFC 2920 lets a relay say 354 although RCPT was refused; an empty mail must not follow."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        relay = Smtp(Account("127.0.0.1", server.getsockname()[1]), patience=2)
        answered = scripted(server, heard, b"250 OK\r\n550 no\r\n354 go ahead\r\n")
        with relay:
            assert relay.send(FROM, TO, MESSAGE) == No("smtp 550")
        answered()
    assert b"DATA\r\n" in b"".join(heard)
    assert b"hello" not in b"".join(heard)


def scripted(server: socket.socket, heard: list[bytes], *answers: bytes) -> Callable[[], None]:
    """Answer one connection from a script, beside the test."""

    def talk() -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"220 hello\r\n")
            for said in (b"250-hello\r\n250 PIPELINING\r\n", *answers):
                heard.append(connection.recv(65536))
                connection.sendall(said)
            heard.append(connection.recv(65536))

    thread = Thread(target=talk)
    thread.start()
    return thread.join


# --- encryption and login ------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """Make a certificate that nobody vouches for."""
    openssl = which("openssl")
    if openssl is None:
        pytest.fail("no openssl to make a certificate with")
    key, cert = (tmp_path_factory.mktemp("tls") / name for name in ("key.pem", "cert.pem"))
    subject = ["-subj", "/CN=localhost", "-days", "2", "-nodes", "-newkey", "rsa:2048"]
    subprocess.run(  # noqa: S603 - a fixed command
        [openssl, "req", "-x509", *subject, "-keyout", str(key), "-out", str(cert)],
        check=True,
        capture_output=True,
    )
    return loaded(cert, key)


def loaded(cert: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


def let_in(*_: object) -> AuthResult:
    login = _[-1]
    assert isinstance(login, LoginPassword)
    return AuthResult(success=login == LoginPassword(b"ada", b"s3cret"), handled=False)


def test_tls_is_taken_where_it_is_offered_and_a_login_goes_through_it(
    certificate: ssl.SSLContext,
) -> None:
    town = Town()
    controller = running(
        town,
        tls_context=certificate,
        require_starttls=True,
        authenticator=let_in,
        auth_required=True,
    )
    for password, outcome in (("s3cret", Done()), ("wrong", Later("login refused"))):
        account = Account("127.0.0.1", controller.port, user="ada", password=password)
        with Smtp(account) as relay:
            assert relay.send(FROM, TO, MESSAGE) == outcome
    controller.stop()
    assert len(town.mails) == 1


def test_smtps_trusts_only_a_certificate_that_somebody_vouches_for(
    certificate: ssl.SSLContext,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        account = Account("127.0.0.1", server.getsockname()[1], tls=True)
        joined = handshake(server, certificate)
        with Smtp(account, patience=2) as relay:
            assert relay.send(FROM, TO, MESSAGE) == Later("tls failed")
        joined()


def handshake(server: socket.socket, certificate: ssl.SSLContext) -> Callable[[], None]:
    """Try to greet one caller with TLS, beside the test."""

    def greet() -> None:
        connection, _ = server.accept()
        with connection:
            try:
                certificate.wrap_socket(connection, server_side=True).close()
            except OSError:
                return

    thread = Thread(target=greet)
    thread.start()
    return thread.join


def test_a_password_is_never_sent_in_the_clear_to_another_machine(
    monkeypatch: pytest.MonkeyPatch, post: Post
) -> None:
    connect = socket.create_connection
    near = ("127.0.0.1", post.controller.port)
    monkeypatch.setattr(socket, "create_connection", lambda _, *rest: connect(near, *rest))
    account = Account("relay.example", 25, user="ada", password="s3cret")
    with Smtp(account) as relay:
        assert relay.send(FROM, TO, MESSAGE) == Later("tls not offered")
    assert "s3cret" not in repr(account)
