"""How a product's mails are sent, as it is set, checked and shown; and what notices said."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.cli.installation import assemble
from app.links import Links
from app.settings import load
from app.store import evidence
from app.store.database import Database
from app.world.mail import wording
from tests.app.cli.conftest import KEY, Shell
from tests.probe import HOUR, asked, rows
from tests.world import MovableClock, Town, row


@pytest.fixture
def town(database: Database, clock: MovableClock, links: Links) -> Town:
    return Town.founded(database, clock, links)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "dkim.pem"
    made = Ed25519PrivateKey.generate()
    path.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def dkim(key: Path, **changes: str) -> list[str]:
    values = {
        "dkim_domain": "tv.example",
        "dkim_selector": "r2026",
        "dkim_key_file": str(key),
    }
    return [f"{name}={value}" for name, value in (values | changes).items()]


def settings(town: Town) -> Any:
    return rows(town.database, "select mail_settings from product")[0][0]


def findings(shell: Shell) -> dict[str, Any]:
    found = json.loads(shell("doctor", "--json").stdout)
    return {each["what"]: each for each in found}


def test_dkim_is_set_whole_and_can_be_taken_back(shell: Shell, town: Town, key: Path) -> None:
    assert shell("product", "set", "tv", *dkim(key)).exit_code == 0
    assert settings(town)["dkim_selector"] == "r2026"
    (listed,) = shell.json("product", "list")
    assert (listed["dkim_domain"], listed["bounce_address"]) == ("tv.example", "")
    assert shell("product", "set", "tv", "dkim_selector=r2027").exit_code == 0
    assert settings(town)["dkim_selector"] == "r2027"
    gone = ("dkim_domain=", "dkim_selector=", "dkim_key_file=")
    assert shell("product", "set", "tv", *gone, "bounce_address=b@tv.example").exit_code == 0
    assert settings(town) == {"bounce_address": "b@tv.example"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"dkim_selector": ""}, "dkim_selector missing"),
        ({"dkim_domain": "radio.example"}, "DMARC"),
        ({"dkim_key_file": "/nowhere"}, "cannot be read"),
    ],
)
def test_what_could_not_sign_is_refused_and_nothing_is_set(
    shell: Shell, town: Town, key: Path, changes: dict[str, str], says: str
) -> None:
    result = shell("product", "set", "tv", *dkim(key, **changes), "name=Other")
    assert result.exit_code == 1
    assert says in result.stderr
    assert settings(town) == {}
    assert town.product.name != "Other"


def test_a_sender_that_the_signature_does_not_fit_is_refused(
    shell: Shell, town: Town, key: Path
) -> None:
    shell("product", "set", "tv", *dkim(key))
    assert "DMARC" in shell("product", "set", "tv", "from=a@radio.example").stderr
    assert town.product.from_address == "hello@tv.example"
    assert shell("product", "set", "tv", "from=a@mail.tv.example").exit_code == 0


def test_a_malformed_bounce_address_is_bad_usage(shell: Shell, town: Town) -> None:
    assert shell("product", "set", "tv", "bounce_address=nobody").exit_code == 2
    assert settings(town) == {}


def test_the_doctor_prints_the_record_and_finds_a_key_that_is_gone(
    shell: Shell, town: Town, key: Path
) -> None:
    del town
    assert "dkim of tv" not in findings(shell)
    shell("product", "set", "tv", *dkim(key))
    found = findings(shell)["dkim of tv"]
    assert found["well"]
    assert 'r2026._domainkey.tv.example. IN TXT "v=DKIM1; k=ed25519; p=' in found["says"]
    key.unlink()
    found = findings(shell)["dkim of tv"]
    assert (found["well"], "cannot be read" in found["says"]) == (False, True)
    assert found["mend"]


@pytest.mark.parametrize(
    ("changes", "limit"),
    [
        ({}, 10),
        ({"RECONFIRM_MAIL_PER_DOMAIN": "25"}, 25),
        ({"RECONFIRM_MAIL_PER_DOMAIN": "0"}, 0),
        ({"RECONFIRM_CLOCK": "test"}, 0),
        ({"RECONFIRM_SMTP_URL": "file:///tmp/mail"}, 0),
    ],
)
def test_mails_are_paced_where_they_go_to_people(
    database: Database, changes: dict[str, str], limit: int
) -> None:
    environment = {
        "RECONFIRM_DATABASE_URL": database.url,
        "RECONFIRM_SECRET_KEYS": KEY,
        "RECONFIRM_SMTP_URL": "smtp://127.0.0.1:9",
    }
    parts = assemble(load(environment | changes), database, ExitStack())
    with parts.worker() as worker:
        assert worker.doors.per_second == limit
        assert worker.queues.doors is worker.doors


# --- what notices said -------------------------------------------------------------------------


def test_a_notice_is_shown_as_it_was_sent(shell: Shell, town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    shown = shell("notice", "show", "tv", "ada")
    assert shown.exit_code == 0
    subject = town.relay.mails()[0]["Subject"]
    assert f"\nSubject: {subject}\n" in shown.stdout
    assert "=== ask of round 1, in en, handed over 2024-09-01 12:00 UTC\n" in shown.stdout
    assert wording.LINK in shown.stdout
    assert "templates have changed" not in shown.stdout
    assert "<html" not in shown.stdout
    assert "<html" in shell("notice", "show", "tv", "ada", "--html").stdout


def test_it_is_said_that_templates_have_changed_and_the_words_stay(
    shell: Shell, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    before = shell.json("notice", "show", "tv", "ada")[0]
    assert not before["templates_changed"]
    monkeypatch.setattr(wording, "source", lambda _: "Subject: all new")
    wording.templates.cache_clear()
    after = shell.json("notice", "show", "tv", "ada")[0]
    assert "its templates have changed since" in shell("notice", "show", "tv", "ada").stdout
    wording.templates.cache_clear()
    assert after == before | {"templates_changed": True}


def test_what_came_back_is_shown_beside_it(shell: Shell, town: Town) -> None:
    (ada,) = town.join(row("ada"))
    asked(town, "ada")
    with town.database.transaction() as connection:
        (told,) = evidence.of_subscription(connection, ada)
        named = [(ada, told.round, told.kind, told.version)]
        evidence.returned(connection, named, "bounced", town.clock.now() + HOUR)
    assert "\ncame back 2024-09-01 13:00 UTC\n" in shell("notice", "show", "tv", "ada").stdout
    facts = shell.json("notice", "show", "tv", "ada")[0]
    assert (facts["bounced_at"], facts["complained_at"]) == ("2024-09-01T13:00:00Z", None)


def test_one_round_may_be_asked_for_and_an_unknown_person_is_refused(
    shell: Shell, town: Town
) -> None:
    town.join(row("ada"), row("bob", started_at="2024-08-01T00:00:00Z"))
    asked(town, "ada")
    assert len(shell.json("notice", "show", "tv", "ada", "--round", "1")) == 1
    assert shell.json("notice", "show", "tv", "ada", "--round", "2") == []
    assert shell("notice", "show", "tv", "bob").stdout == "no notice has been handed over\n"
    assert shell("notice", "show", "tv", "eve").exit_code == 1
