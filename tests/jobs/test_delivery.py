"""Notices on their way out: signed, paced by domain, and kept as evidence of what was said."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import dkim as dkimpy  # type: ignore[import-untyped]
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.store import evidence, products
from app.store.evidence import Shown
from app.world.mail import dkim
from app.world.mail.draft import Draft
from app.world.mail.sending import Sending
from app.world.mail.wording import LINK, again, same_templates
from app.world.outcome import Done, Later, No, Outcome
from app.world.pacing import Doors
from jobs.outbox import Worker
from tests.probe import HOUR, MINUTE, SECOND, asked, mails, rows, suspended, waiting
from tests.world import RememberingRelay, Town, row

OURS = No("smtp 550 5.7.1", ours=True)
BUSY = Later("smtp 451 4.7.1", busy=True)


def sets(town: Town, **values: str) -> None:
    """Set how a product's mails are sent."""
    with town.database.transaction() as connection:
        products.change(connection, town.product.id, {"mail_settings": values})


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "dkim.pem"
    made = Ed25519PrivateKey.generate()
    path.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def signs(town: Town, key: Path) -> Sending:
    values = {
        "dkim_domain": "tv.example",
        "dkim_selector": "r2026",
        "dkim_key_file": str(key),
    }
    sets(town, **values)
    return Sending(**values)


def errors(town: Town) -> list[tuple[str, str]]:
    return [
        (found[0], found[1])
        for found in rows(town.database, "select state, error from outbox order by id")
    ]


# --- signing and the envelope ------------------------------------------------------------------


def test_a_mail_goes_out_signed_where_the_product_says_so(town: Town, key: Path) -> None:
    how = signs(town, key)
    town.join(row("ada"))
    asked(town, "ada")
    ((_, message),) = town.relay.sent
    record = dkim.record(how)[1].encode()
    assert dkimpy.verify(message, dnsfunc=lambda *_, **__: record)
    assert b"list-unsubscribe-post" in message.partition(b"bh=")[0].lower()


def test_a_mail_that_cannot_be_signed_waits_and_is_never_sent_unsigned(
    town: Town, key: Path
) -> None:
    signs(town, key)
    kept = key.read_bytes()
    key.unlink()
    town.join(row("ada"))
    town.sweep()
    town.deliver()
    assert town.relay.sent == []
    assert errors(town) == [
        ("pending", "not signed: The DKIM key cannot be read: FileNotFoundError")
    ]
    assert town.case("ada").reach == "ok"
    key.write_bytes(kept)
    town.clock.advance(HOUR)
    town.deliver()
    assert len(town.relay.sent) == 1
    assert rows(town.database, "select unknown from outbox") == []


def test_half_a_setting_is_none_that_may_be_passed_over(town: Town) -> None:
    sets(town, dkim_domain="tv.example")
    town.join(row("ada"))
    town.sweep()
    town.deliver()
    assert town.relay.sent == []
    assert errors(town)[0][1].startswith("not signed: DKIM is half set up")


def test_one_product_that_cannot_sign_stops_no_other(town: Town) -> None:
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    sets(town, dkim_domain="tv.example")
    for each in (town, radio):
        each.join(row("ada"))
        each.sweep()
    town.deliver()
    assert [to for to, _ in town.relay.sent] == ["ada@subscribers.example"]
    assert b"radio.example" in town.relay.sent[0][1]


@dataclass
class Envelopes(RememberingRelay):
    """A relay that also remembers from whom."""

    senders: list[str] = field(default_factory=list)

    def send(self, envelope_from: str, to: str, message: bytes) -> Outcome:
        self.senders.append(envelope_from)
        return super().send(envelope_from, to, message)


@pytest.mark.parametrize(
    ("settings", "sender"),
    [({}, "hello@tv.example"), ({"bounce_address": "b@tv.example"}, "b@tv.example")],
)
def test_bounces_come_back_to_the_address_set_for_them(
    town: Town, settings: dict[str, str], sender: str
) -> None:
    sets(town, **settings)
    town.relay = relay = Envelopes()
    town.join(row("ada"))
    asked(town, "ada")
    assert relay.senders == [sender]
    (mail,) = relay.mails()
    assert mail["From"].addresses[0].addr_spec == "hello@tv.example"
    assert mail["Return-Path"] is None


# --- refusals that are about us ----------------------------------------------------------------


def test_a_refusal_about_us_goes_before_a_person_and_marks_nobody_as_bounced(town: Town) -> None:
    town.join(row("ada"))
    town.sweep()
    town.relay.answer = lambda _: OURS
    town.deliver()
    assert errors(town) == [("parked", "smtp 550 5.7.1")]
    assert (town.case("ada").reach, town.stage("ada")) == ("ok", "asked")
    assert rows(town.database, "select count(*) from pulse where what = 'bounced'") == [(0,)]


def test_a_refusal_about_the_person_still_ends_the_round(town: Town) -> None:
    town.join(row("ada"))
    town.sweep()
    town.relay.answer = lambda _: No("smtp 550 5.1.1")
    town.deliver()
    assert waiting(town, "ada") == []
    assert town.case("ada").reach == "bounced"


def people(town: Town, domains: str, each: int = 1) -> None:
    """Have as many people asked at each domain, named after it and numbered."""
    town.join(
        *(
            row(f"{domain}{n}", email=f"{domain}{n}@{domain}.example")
            for n in range(each)
            for domain in domains
        )
    )
    town.sweep()


def sent_to(town: Town) -> list[str]:
    return [to.partition("@")[0] for to, _ in town.relay.sent]


@pytest.mark.parametrize("said", [OURS, BUSY])
def test_a_domain_that_wants_less_rests_and_others_go_on(town: Town, said: Outcome) -> None:
    people(town, "ab", 6)
    tried: list[str] = []

    def answer(to: str) -> Outcome:
        tried.append(to)
        return said if to.endswith("@a.example") else Done()

    town.relay.answer = answer
    worker = town.worker()
    worker.until_idle()
    assert sorted(sent_to(town)) == [f"b{n}" for n in range(6)]
    assert sum(to.endswith("@a.example") for to in tried) == 2
    town.relay.answer = lambda _: Done()
    town.clock.advance(MINUTE - SECOND)
    worker.until_idle()
    assert len(town.relay.sent) == 6
    town.clock.advance(SECOND)
    worker.until_idle()
    assert len(town.relay.sent) == (10 if said is OURS else 12)


def test_a_passing_refusal_of_one_mailbox_rests_no_domain(town: Town) -> None:
    people(town, "a", 4)
    town.relay.answer = lambda to: Done() if to.startswith("a3") else Later("smtp 452 4.2.2")
    town.deliver()
    assert sent_to(town) == ["a3"]


def test_where_domain_after_domain_refuses_us_the_product_rests(town: Town) -> None:
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    people(town, "abcdef")
    town.relay.answer = lambda _: OURS
    worker = town.worker()
    worker.until_idle()
    assert rows(town.database, "select count(*) from outbox where state = 'parked'") == [(2,)]
    radio.join(row("bob"))
    radio.sweep()
    town.join(row("zed"))
    town.sweep()
    town.relay.answer = lambda _: Done()
    worker.until_idle()
    assert rows(town.database, "select count(*) from outbox where tries = 0") == [(1,)]
    assert [to for to, _ in town.relay.sent] == ["bob@subscribers.example"]
    town.clock.advance(MINUTE)
    worker.until_idle()
    assert len(town.relay.sent) == 6


def test_one_domain_that_refuses_us_rests_no_product(town: Town) -> None:
    people(town, "ab", 3)
    town.relay.answer = lambda to: OURS if to.endswith("@a.example") else Done()
    town.deliver()
    assert sorted(sent_to(town)) == ["b0", "b1", "b2"]


# --- pace --------------------------------------------------------------------------------------


def paced(town: Town, per_second: int, url: str = "memory://") -> Worker:
    return replace(town.worker(), doors=Doors(per_second, url))


def test_so_many_a_second_go_to_one_domain_and_the_others_go_on(town: Town, redis_url: str) -> None:
    people(town, "a", 7)
    people(town, "b", 2)
    worker = paced(town, 2, redis_url)
    seen = []
    for _ in range(6):
        worker.until_idle()
        seen.append(len(town.relay.sent))
        town.clock.advance(SECOND)
    assert seen == [4, 4, 6, 8, 9, 9]
    assert sorted(sent_to(town)) == [*(f"a{n}" for n in range(7)), "b0", "b1"]
    assert rows(town.database, "select count(*) from outbox") == [(0,)]


def test_a_long_line_is_not_claimed_again_and_again(town: Town) -> None:
    people(town, "a", 40)
    worker = paced(town, 2)
    worker.until_idle()
    waits = rows(town.database, "select not_before from outbox order by 1")
    apart = [later[0] - sooner[0] for sooner, later in pairwise(waits)]
    assert set(apart) == {timedelta(seconds=0.5)}
    assert rows(town.database, "select max(unknown), max(tries) from outbox") == [(0, 1)]


def test_receipts_for_what_people_just_did_wait_for_nobody_and_take_the_places(
    town: Town,
) -> None:
    town.join(row("yan"), row("zoe"))
    asked(town, "yan", "zoe")
    town.join(*(row(f"p{n}") for n in range(5)))
    town.sweep()
    for name in ("yan", "zoe"):
        town.answer(name, "keep")
    town.relay.sent.clear()
    town.clock.advance(MINUTE)
    paced(town, 1).until_idle()
    assert sorted(sent_to(town)) == ["yan", "zoe"]
    assert mails(town, "yan") == mails(town, "zoe") == ["kept"]


def test_two_workers_share_the_places_of_a_domain(town: Town, redis_url: str) -> None:
    people(town, "a", 6)
    for _ in range(2):
        paced(town, 2, redis_url).until_idle()
    assert len(town.relay.sent) == 2


# --- evidence ----------------------------------------------------------------------------------


def kept(town: Town, name: str, number: int | None = None) -> list[Shown]:
    with town.database.transaction() as connection:
        return evidence.of_subscription(connection, town.id_of(name), number)


def written(shown: Shown) -> Draft:
    words = shown.words
    return again(Draft(words.subject, words.text, words.html), shown.told)


def parts(town: Town, at: int) -> tuple[str, str, str, str]:
    """Give subject, text and HTML of a mail as a mail program reads them, and the link in it."""
    mail: Any = town.relay.mails()[at]
    text = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    html = mail.get_body(("html",)).get_content().replace("\r\n", "\n")
    link = next(word.strip("<>()") for word in text.split() if "/a/" in word)
    return str(mail["Subject"]), text, html, link


def test_what_was_handed_over_can_be_shown_again_word_for_word(town: Town) -> None:
    town.join(row("ada", locale="fr"), row("bob"))
    suspended(town, "ada")
    found = kept(town, "ada")
    assert [(each.kind, each.version) for each in found] == [
        ("notice.ask", found[0].version),
        ("notice.suspended", found[1].version),
    ]
    at = [n for n, (to, _) in enumerate(town.relay.sent) if to.startswith("ada")]
    for number, each in zip(at, found, strict=True):
        subject, text, html, link = parts(town, number)
        assert written(each).subject == subject
        assert written(each).text.rstrip() == text.replace(link, LINK).rstrip()
        assert written(each).html.rstrip() == html.replace(link, LINK).rstrip()
    assert found[0].words.language == "fr"
    assert found[0].facts["amount"] == 1349
    assert found[0].facts["answer_by"] == "2024-10-01"
    assert found[0].handed_over_at < found[1].handed_over_at


def test_evidence_names_nobody_and_holds_no_link(town: Town) -> None:
    town.join(row("ada"))
    suspended(town, "ada")
    town.answer("ada", "resume")
    for _ in range(3):
        town.clock.advance(HOUR)
        town.deliver()
    text = str(rows(town.database, "select e::text, w::text from evidence e, wording w"))
    assert "ada" not in text.replace("Canada", "")
    assert "@subscribers.example" not in text
    assert "/a/" not in text
    assert len(kept(town, "ada")) == 3


def test_the_words_are_kept_once_for_all_who_got_them(town: Town) -> None:
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    radio.join(row("rob"))
    with town.database.transaction() as connection:
        products.change(connection, radio.product.id, {"name": "Red Radio"})
    town.join(*(row(f"p{n}") for n in range(5)), row("fred", locale="fr"))
    for each in (town, radio):
        each.sweep()
    town.deliver()
    assert rows(town.database, "select count(*) from evidence") == [(7,)]
    assert rows(town.database, "select count(*) from wording") == [(3,)]
    assert "Red Radio" in written(kept(radio, "rob")[0]).text
    assert "Blue Television" in written(kept(town, "p0")[0]).text


def test_only_what_was_handed_over_is_kept(town: Town) -> None:
    answers: dict[str, Outcome] = {
        "a": No("smtp 550 5.1.1"),
        "b": OURS,
        "c": Later("timeout after data", unknown=True),
        "d": Done(),
    }
    town.join(*(row(name) for name in answers))
    town.sweep()
    town.relay.answer = lambda to: answers[to[0]]
    town.deliver()
    assert [bool(kept(town, name)) for name in answers] == [False, False, False, True]


def test_what_was_handed_over_is_kept_though_its_round_is_over(town: Town) -> None:
    town.join(row("ada"))
    town.sweep()

    def uses(_: str) -> Outcome:
        town.use("ada")
        return Done()

    town.relay.answer = uses
    town.deliver()
    assert town.stage("ada") == "active"
    assert [each.kind for each in kept(town, "ada")] == ["notice.ask"]


def test_it_is_known_whether_the_templates_are_still_the_same(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    (before,) = kept(town, "ada")
    assert same_templates("en", "ask", before.words.templates)
    assert not same_templates("en", "reminder", before.words.templates)
    assert not same_templates("xx", "ask", before.words.templates)


def returned(town: Town, name: str, how: str, at: Any = None, version: int | None = None) -> int:
    told = kept(town, name)[0]
    kind, number = told.kind.removeprefix("notice."), version or told.version
    named = (town.id_of(name), told.round, kind, number)
    with town.database.transaction() as connection:
        return evidence.returned(connection, [named], how, at or town.clock.now())


def test_a_bounce_and_a_complaint_are_noted_once_each(town: Town) -> None:
    town.join(row("ada"), row("bob"))
    asked(town, "ada", "bob")
    first = town.clock.now() + HOUR
    assert returned(town, "ada", "bounced", first, version=99) == 0
    assert returned(town, "ada", "bounced", first) == 1
    assert returned(town, "ada", "bounced", first + HOUR) == 0
    assert returned(town, "ada", "complained", first + HOUR) == 1
    (ada,), (bob,) = kept(town, "ada"), kept(town, "bob")
    assert (ada.bounced_at, ada.complained_at) == (first, first + HOUR)
    assert (bob.bounced_at, bob.complained_at) == (None, None)
    with pytest.raises(KeyError):
        returned(town, "ada", "lost")


def test_who_is_erased_leaves_no_evidence(town: Town) -> None:
    town.join(row("ada"), row("bob"))
    asked(town, "ada", "bob")
    with town.database.transaction() as connection:
        assert evidence.forget(connection, town.id_of("ada")) == 1
    assert (kept(town, "ada"), len(kept(town, "bob"))) == ([], 1)


def test_facts_leave_out_what_has_its_usual_value(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    (found,) = kept(town, "ada")
    assert not {"paid_until", "decided_at", "to", "answer_url"} & set(found.facts)
    assert LINK in found.told
