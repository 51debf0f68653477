"""Notices through a real mail server. Nightly: set TEST_MAIL_SERVER, as root on Debian.

What is asked of it: PIPELINING, STARTTLS, refusals of each kind, a signature that is still good
behind it, and a bounce in the server's own words.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dkim as dkimpy  # type: ignore[import-untyped]
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.cli import reconfirm
from app.links import Links
from app.store import evidence, products
from app.store.database import Database
from app.world.mail import dkim
from app.world.mail.sending import Sending
from app.world.mail.smtp import Account, Smtp
from app.world.outcome import Done
from tests.faults.postfix import Postfix, postfix
from tests.probe import rows
from tests.world import MovableClock, Town, row

KEY = "test-key-0123456789-0123456789-0123456789"
PEOPLE = {
    "ada@subscribers.example": "ada",
    "late@subscribers.example": "gone",
    "bounces@tv.example": "bounces",
}
ACCESS = {
    "grey@subscribers.example": "450 4.2.0 Greylisted, try again",
    "slow@subscribers.example": "451 4.7.1 Too many from you",
    "spam@subscribers.example": "550 5.7.1 Blocked, you have a bad name",
    "full@subscribers.example": "552 5.2.2 Mailbox full",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Postfix]:
    with postfix(PEOPLE, ACCESS) as running:
        yield running


@pytest.fixture
def town(database: Database, clock: MovableClock, links: Links, tmp_path: Path) -> Town:
    made = Town.founded(database, clock, links)
    key = tmp_path / "dkim.pem"
    pem = generate_private_key(65537, 2048)
    key.write_bytes(pem.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    values = {
        "dkim_domain": "tv.example",
        "dkim_selector": "r2026",
        "dkim_key_file": str(key),
        "bounce_address": "bounces@tv.example",
    }
    with database.transaction() as connection:
        products.change(connection, made.product.id, {"mail_settings": values})
    return made


def sends(town: Town, server: Postfix, *names: str) -> Smtp:
    """Have people asked through the server, and give the relay that was used."""
    town.join(*(row(name) for name in names))
    town.sweep()
    with Smtp(Account("127.0.0.1", server.port)) as relay:
        replace(town.worker(), relay=relay).until_idle()
        assert relay._server is not None
        assert relay._server.has_extn("pipelining")
    return relay


def test_a_signed_notice_arrives_encrypted_and_is_still_good(town: Town, server: Postfix) -> None:
    sends(town, server, "ada")
    mail = server.mails("ada")[-1].replace(b"\n", b"\r\n")
    how = Sending(**town.product.mail_settings)
    record = dkim.record(how)[1].encode()
    assert dkimpy.verify(mail, dnsfunc=lambda *_, **__: record)
    assert not dkimpy.verify(
        mail.replace(b"List-Unsubscribe=One", b"List-Unsubscribe=Two"),
        dnsfunc=lambda *_, **__: record,
    )
    head = mail.partition(b"\r\n\r\n")[0]
    assert b"Return-Path: <bounces@tv.example>" in head
    assert b"with ESMTPS" in head
    assert b"TLSv1.3" in head
    assert town.case("ada").round is not None


def test_refusals_are_told_apart(town: Town, server: Postfix) -> None:
    sends(town, server, "nobody", "grey", "slow", "spam", "full")
    found = rows(
        town.database,
        """select s.external_id, o.state, o.error from outbox o
           join subscription s on s.id = o.subscription_id order by 1""",
    )
    assert found == [
        ("full", "pending", "smtp 552 5.2.2"),
        ("grey", "pending", "smtp 450 4.2.0"),
        ("slow", "pending", "smtp 451 4.7.1"),
        ("spam", "parked", "smtp 550 5.7.1"),
    ]
    reach = {
        name: str(town.case(name).reach) for name in ("nobody", "grey", "slow", "spam", "full")
    }
    assert reach == dict.fromkeys(reach, "ok") | {"nobody": "bounced"}


def test_the_servers_own_bounce_comes_back_and_is_understood(
    town: Town, server: Postfix, tmp_path: Path
) -> None:
    sends(town, server, "late")
    assert town.case("late").reach == "ok"
    bounce = server.mails("bounces")[-1]
    assert b"the mailbox was closed this morning" in bounce
    environ: dict[str, str | None] = {
        "RECONFIRM_DATABASE_URL": town.database.url,
        "RECONFIRM_SECRET_KEYS": KEY,
        "RECONFIRM_CLOCK": "test",
        "RECONFIRM_DATA_DIR": str(tmp_path / "data"),
    }
    taken = CliRunner(env=environ).invoke(reconfirm, ["bounces", "-"], input=bounce)
    assert (taken.exit_code, taken.output) == (0, "read 1  applied 1\n")
    assert town.case("late").reach == "bounced"
    with town.database.transaction() as connection:
        (told,) = evidence.of_subscription(connection, town.id_of("late"))
    assert told.bounced_at is not None


def test_many_go_over_one_connection(server: Postfix) -> None:
    before = server.log.count("connect from")
    with Smtp(Account("127.0.0.1", server.port)) as relay:
        for number in range(20):
            message = f"Message-ID: <{number}@tv.example>\r\n\r\n.\r\nhello\r\n".encode()
            assert relay.send("b@tv.example", "ada@subscribers.example", message) == Done()
    assert server.log.count("connect from") - before <= 2  # with the one that says goodbye
