"""Sending to strangers: what goes out, where it may not go, and what an answer may cost us."""

import gzip
import ipaddress
import logging
import ssl
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import socket
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from app.clock import Clock
from app.errors import Refused
from app.signing import new_secret
from app.world.hooks import Limits, Message, Sender, checked_url, may_be_reached
from app.world.outcome import Done, Later, No, Outcome
from tests.receiver import Authority, Receiver, nobody, receiving, talking

SECRET = new_secret()
MESSAGE = Message("msg_1", b'{"type":"webhook.test"}')
SHORT = Limits(resolve=0.3, connect=0.3, whole=0.3)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def sender(**changes: Any) -> Sender:
    return Sender(Clock(), **({"local": True} | changes))


def send(url: str, **changes: Any) -> Outcome:
    return sender(**changes).send(url, [SECRET], MESSAGE).outcome


# --- what goes out -----------------------------------------------------------------------------


def test_what_arrives_is_signed_as_the_reference_library_wants_it(receiver: Receiver) -> None:
    answer = sender().send(receiver.url, [SECRET], MESSAGE)
    assert (answer.outcome, answer.status) == (Done(), 204)
    assert receiver.verified(SECRET) == [{"type": "webhook.test"}]
    assert (receiver.got[0].path, receiver.got[0].id) == ("/hook", "msg_1")


def test_another_secret_does_not_verify_it(receiver: Receiver) -> None:
    send(receiver.url)
    with pytest.raises(WebhookVerificationError):
        receiver.verified(new_secret())


def test_while_secrets_rotate_both_verify_it(receiver: Receiver) -> None:
    older = new_secret()
    sender().send(receiver.url, [SECRET, older], MESSAGE)
    assert receiver.verified(SECRET) == receiver.verified(older)


def test_what_arrives_names_the_host_and_asks_for_nothing_compressed(receiver: Receiver) -> None:
    send(receiver.url)
    headers = receiver.got[0].headers
    assert headers["host"] == receiver.url.split("/")[2]
    assert headers["accept-encoding"] == "identity"
    assert headers["content-type"] == "application/json"


def test_a_name_is_resolved_by_us_and_stays_the_host(receiver: Receiver) -> None:
    port = urlsplit(receiver.url).port
    found = send(f"http://hooks.example:{port}/x", resolve=lambda *_: ["127.0.0.1"])
    assert found == Done()
    assert receiver.got[0].headers["host"] == f"hooks.example:{port}"


def test_no_proxy_of_the_environment_is_asked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{nobody()}")
    assert send(receiver.url) == Done()


# --- what answers mean -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Done()),
        (202, Done()),
        (301, Later("http 301")),
        (400, Later("http 400")),
        (404, Later("http 404")),
        (410, No("http 410")),
        (429, Later("http 429")),
        (500, Later("http 500")),
        (503, Later("http 503")),
    ],
)
def test_an_answer_means(receiver: Receiver, status: int, outcome: Outcome) -> None:
    receiver.answers(status)
    assert send(receiver.url) == outcome


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(receiver: Receiver, status: int) -> None:
    with receiving() as other:
        receiver.answers(status, location=other.url)
        assert send(receiver.url) == Later(f"http {status}")
        assert other.got == []
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    ("asked", "pause"),
    [
        ("120", timedelta(minutes=2)),
        ("0", timedelta(seconds=1)),
        ("999999", timedelta(hours=6)),
        ("99999999999999999999", None),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", timedelta(seconds=1)),
        ("Fri, 21 Oct 2499 07:28:00 GMT", timedelta(hours=6)),
    ],
)
def test_a_pause_that_is_asked_for_is_kept_within_bounds(
    receiver: Receiver, asked: str, pause: timedelta | None
) -> None:
    receiver.answers(429, Retry_After=asked)
    assert send(receiver.url) == Later("http 429", retry_after=pause)


def test_a_pause_may_be_asked_for_by_date(receiver: Receiver) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    receiver.answers(503, Retry_After="Thu, 01 Jan 2026 00:10:00 GMT")
    answer = Sender(Clock(read_wall=lambda: at), local=True).send(receiver.url, [SECRET], MESSAGE)
    assert answer.outcome == Later("http 503", retry_after=timedelta(minutes=10))


def test_nobody_there_is_known_not_to_have_been_told() -> None:
    assert send(f"http://127.0.0.1:{nobody()}/") == Later("no connection")


def test_a_line_cut_after_the_request_leaves_the_outcome_unknown() -> None:
    def cut(line: socket) -> None:
        line.recv(65536)

    with talking(cut) as port:
        assert send(f"http://127.0.0.1:{port}/") == Later("no answer", unknown=True)


def test_what_is_no_http_leaves_the_outcome_unknown() -> None:
    def mail(line: socket) -> None:
        line.recv(65536)
        line.sendall(b"220 mail.example ESMTP\r\n")

    with talking(mail) as port:
        assert send(f"http://127.0.0.1:{port}/") == Later("no answer", unknown=True)


def test_a_malformed_secret_sends_nothing(receiver: Receiver) -> None:
    answer = sender().send(receiver.url, ["whsec_!"], MESSAGE)
    assert (answer.outcome, receiver.got) == (No("not signed"), [])


# --- what an answer may cost -------------------------------------------------------------------


def still_there(line: socket) -> bool:
    """Wait a moment for the other side to go away."""
    line.settimeout(0.02)
    try:
        return line.recv(65536) != b""
    except TimeoutError:
        return True


def dripping(drop: bytes) -> Callable[[socket], None]:
    """Answer drop by drop, for ever, each long before any time limit between two of them."""

    def drip(line: socket) -> None:
        line.recv(65536)
        while still_there(line):
            line.sendall(drop)

    return drip


@pytest.mark.parametrize("drop", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n", b""])
def test_an_answer_that_never_ends_is_cut_off(drop: bytes) -> None:
    with talking(dripping(drop)) as port:
        answer = sender(limits=SHORT).send(f"http://127.0.0.1:{port}/", [SECRET], MESSAGE)
    assert answer.outcome == Later("timeout after request", unknown=True)
    assert answer.took < timedelta(seconds=5)


def test_a_body_that_never_ends_changes_nothing_about_its_status() -> None:
    def drip(line: socket) -> None:
        line.recv(65536)
        line.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        dripping(b"x")(line)

    with talking(drip) as port:
        answer = sender(limits=SHORT).send(f"http://127.0.0.1:{port}/", [SECRET], MESSAGE)
    assert (answer.outcome, answer.status) == (Done(), 200)
    assert answer.took < timedelta(seconds=5)


def test_a_handshake_that_never_ends_is_cut_off() -> None:
    with talking(dripping(b"\x16")) as port:
        url = f"https://127.0.0.1:{port}/"
        answer = sender(limits=SHORT).send(url, [SECRET], MESSAGE)
    assert isinstance(answer.outcome, Later)
    assert not answer.outcome.unknown
    assert answer.took < timedelta(seconds=5)


def test_of_a_huge_answer_only_the_start_is_read(receiver: Receiver) -> None:
    receiver.answers(200, b"x" * 10_000_000)
    answer = sender().send(receiver.url, [SECRET], MESSAGE)
    assert (answer.outcome, len(answer.body)) == (Done(), 65536)


def test_a_compressed_answer_is_not_unpacked(receiver: Receiver) -> None:
    receiver.answers(200, gzip.compress(b"0" * 1_000_000), Content_Encoding="gzip")
    answer = sender().send(receiver.url, [SECRET], MESSAGE)
    assert (answer.outcome, answer.body) == (Done(), b"")


def test_a_name_server_that_does_not_answer_is_not_waited_for() -> None:
    going = Event()

    def silent(*_: Any) -> Sequence[str]:
        going.wait(20)
        return []

    answer = sender(limits=SHORT, resolve=silent).send("https://h.example/", [SECRET], MESSAGE)
    going.set()
    assert answer.outcome == Later("timeout of name")
    assert answer.took < timedelta(seconds=5)


@pytest.mark.parametrize("found", [[], ["not an address"]])
def test_a_name_without_addresses_is_tried_later(found: list[str]) -> None:
    assert send("https://h.example/", resolve=lambda *_: found) == Later("name not found")


# --- TLS ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.founded(tmp_path_factory.mktemp("authority"))


def secure(authority: Authority, name: str, url: str) -> Outcome:
    """Send to a name that is this machine, trusting the authority."""
    trusting = ssl.create_default_context(cafile=authority.certificate)
    port = urlsplit(url).port
    return send(f"https://{name}:{port}/", resolve=lambda *_: ["127.0.0.1"], tls=trusting)


def test_a_certificate_for_the_name_is_taken(authority: Authority) -> None:
    with receiving(authority.server("hooks.example")) as receiver:
        assert secure(authority, "hooks.example", receiver.url) == Done()
        assert len(receiver.verified(SECRET)) == 1


def test_a_certificate_for_another_name_is_refused(authority: Authority) -> None:
    with receiving(authority.server("hooks.example")) as receiver:
        found = secure(authority, "other.example", receiver.url)
        assert (found, receiver.got) == (Later("certificate refused"), [])


def test_a_certificate_of_an_authority_unknown_here_is_refused(authority: Authority) -> None:
    with receiving(authority.server("hooks.example")) as receiver:
        found = send(receiver.url)
        assert (found, receiver.got) == (Later("certificate refused"), [])


def test_the_name_is_said_in_the_handshake(authority: Authority) -> None:
    context, said = authority.server("hooks.example"), []
    context.sni_callback = lambda _, name, __: said.append(name)
    with receiving(context) as receiver:
        secure(authority, "hooks.example", receiver.url)
    assert said == ["hooks.example"]


def test_https_to_what_speaks_http_is_no_secure_connection(receiver: Receiver) -> None:
    found = send(receiver.url.replace("http:", "https:"))
    assert (found, receiver.got) == (Later("no secure connection"), [])


# --- where it may not go -----------------------------------------------------------------------

# Some are written in digits of other scripts on purpose.
# ruff: noqa: RUF001, SIM905

INSIDE = """
    0.0.0.0 0.0.0.1 0.255.255.255 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200
    100.127.255.255 127.0.0.1 127.255.255.254 168.63.129.16 169.254.0.1 169.254.169.254
    169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.170 192.0.0.192 192.0.2.1
    192.88.99.1 192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1
    192.31.196.1 192.52.193.1 192.175.48.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
    :: ::1 ::7f00:1 ::10.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254
    ::ffff:8.8.8.8 ::ffff:0:127.0.0.1 64:ff9b::127.0.0.1 64:ff9b::10.0.0.1
    64:ff9b::169.254.169.254 64:ff9b::7f00:1 64:ff9b:1::1 64:ff9b:1::8.8.8.8 100::1 2001::1
    2001:0:7f00:1:: 2001:db8::1 2001:20::1 2002:7f00:1:: 2002:a00:1:: 2002:808:808:: 3fff::1
    5f00::1 fc00::1 fd00::1 fd00:ec2::254 fe80::1 fe80::1%lo febf::1 fec0::1 ff02::1 ff05::1
    ff0e::1
""".split()
OUTSIDE = "8.8.8.8 1.1.1.1 93.184.216.34 100.63.255.255 100.128.0.1 172.32.0.1 2606:4700::1111 "
OUTSIDE += "2a00:1450:4001::1 64:ff9b::8.8.8.8"
OTHER_SPELLINGS = """
    127.1 127.0.1 0177.0.0.1 017700000001 0x7f000001 0x7f.0.0.1 2130706433 127.0.0.1. 0
    localhost:22 [::1] [::ffff:7f00:1] [::ffff:127.0.0.1] [fe80::1%25lo] １２７.0.0.1 ①②⑦.0.0.1
    127。0。0。1 0x7f.1 0X7F000001 127.0.0.1:443 169.254.169.254 [fd00:ec2::254] 10.0.0.1:8443
""".split()


def test_there_are_enough_forms_of_address() -> None:
    assert (len(set(INSIDE)), len(set(OTHER_SPELLINGS))) == (69, 23)


@pytest.mark.parametrize("address", INSIDE)
def test_no_address_inside_is_reached(address: str) -> None:
    assert not may_be_reached(ipaddress.ip_address(address))
    dialed = send("https://h.example/", local=False, resolve=lambda *_: [address])
    assert dialed == Later("address not public")


@pytest.mark.parametrize("address", INSIDE)
def test_one_address_inside_among_others_is_enough(address: str) -> None:
    found = send("https://h.example/", local=False, resolve=lambda *_: ["8.8.8.8", address])
    assert found == Later("address not public")


@pytest.mark.parametrize("address", OUTSIDE.split())
def test_addresses_outside_are_reached(address: str) -> None:
    assert may_be_reached(ipaddress.ip_address(address))


@pytest.mark.parametrize("host", OTHER_SPELLINGS)
def test_this_machine_is_not_reached_by_another_spelling(host: str) -> None:
    found = send(f"https://{host}/", local=False)
    assert found in {No("address refused"), Later("address not public")}


@pytest.mark.parametrize("address", [a for a in INSIDE if not ipaddress.ip_address(a).is_loopback])
def test_the_test_mode_reaches_this_machine_and_nothing_else_inside(address: str) -> None:
    assert not may_be_reached(ipaddress.ip_address(address), local=True)


def test_a_name_that_turns_inwards_between_looking_and_connecting_is_not_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = iter([["93.184.216.34"], ["127.0.0.1"], ["127.0.0.1"]])
    dialed: list[Sequence[str]] = []

    def dial(addresses: Sequence[str], *_: Any) -> socket:
        dialed.append(addresses)
        raise ConnectionRefusedError

    monkeypatch.setattr("app.world.hooks._connected", dial)
    rebinding = sender(local=False, resolve=lambda *_: next(answers))
    first = rebinding.send("https://h.example/", [SECRET], MESSAGE)
    second = rebinding.send("https://h.example/", [SECRET], MESSAGE)
    assert (first.outcome, dialed) == (Later("no connection"), [["93.184.216.34"]])
    assert second.outcome == Later("address not public")


def test_outside_the_test_mode_nothing_goes_over_http(receiver: Receiver) -> None:
    found = send(receiver.url, local=False, resolve=lambda *_: ["127.0.0.1"])
    assert (found, receiver.got) == (No("address refused"), [])


# --- what is written down ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://hooks.example.com", "https://hooks.example.com/"),
        ("HTTPS://Hooks.Example.COM/A?b=C", "https://hooks.example.com/A?b=C"),
        ("https://hooks.example.com:443/", "https://hooks.example.com/"),
        ("https://hooks.example.com:8443/x", "https://hooks.example.com:8443/x"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://hooks.example.com./", "https://hooks.example.com/"),
        ("https://[2606:4700::1111]/", "https://[2606:4700::1111]/"),
    ],
)
def test_an_address_is_kept_in_one_form(given: str, kept: str) -> None:
    assert checked_url(given) == kept == checked_url(kept)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.com",
        "//hooks.example.com/",
        "http://hooks.example.com/",
        "ftp://hooks.example.com/",
        "file:///etc/passwd",
        "gopher://hooks.example.com/",
        "https://",
        "https:///path",
        "https://user@hooks.example.com/",
        "https://user:word@hooks.example.com/",
        "https://:@hooks.example.com/",
        "https://hooks.example.com:80/",
        "https://hooks.example.com:22/",
        "https://hooks.example.com:25/",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:1023/",
        "https://hooks.example.com:65536/",
        "https://hooks.example.com:x/",
        "https://hooks.example.com/#part",
        "https://hooks.example.com/#",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/\r\nHost: other",
        "https://hooks.example.com\\@other.example/",
        "https://hooks.example.com/\x00",
        "https://hooks.example.com/ü",
        "https://ho_oks.example.com/",
        "https://-.example.com/",
        "https://[::1/",
        "https://" + "a" * 64 + ".example/",
        "https://hooks.example.com/" + "a" * 2000,
    ],
)
def test_an_address_that_will_never_do_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="the address"):
        checked_url(url)


def test_the_test_mode_takes_http_on_this_machine() -> None:
    assert checked_url("http://127.0.0.1:80/x", local=True) == "http://127.0.0.1/x"
    assert checked_url("http://localhost:9000/", local=True) == "http://localhost:9000/"


def test_refusals_do_not_repeat_the_address() -> None:
    with pytest.raises(Refused) as refused:
        checked_url("https://user:hunter2@hooks.example.com/?token=abc")
    assert "hunter2" not in str(refused.value)


def test_reasons_and_logs_hold_nothing_of_the_address(caplog: pytest.LogCaptureFixture) -> None:
    def mangled(line: socket) -> None:
        line.recv(65536)
        line.sendall(b"HTTP/1.1 500 Oh\r\nhunter2\r\n: x\r\n\r\n")

    caplog.set_level(logging.DEBUG)
    with talking(mangled) as port:
        found = send(f"http://127.0.0.1:{port}/?token=hunter2")
    assert found == Later("http 500")
    assert "hunter2" not in caplog.text


def test_the_body_is_signed_to_the_byte(receiver: Receiver, tmp_path: Path) -> None:
    body = '{"type":"x","data":{"subscription":"é\\u2028"}}'.encode()
    sender().send(receiver.url, [SECRET], Message("msg_2", body))
    assert receiver.got[0].body == body
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body + b" ", receiver.got[0].headers)
    assert list(tmp_path.iterdir()) == []
