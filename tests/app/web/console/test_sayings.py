"""What the engine and the guards say by codes is said in the language of the page."""

import re
from datetime import UTC, date, datetime, timedelta
from inspect import getsource
from typing import Any

import pytest
from sqlalchemy import text

from app import guards
from app.engine.erasing import CHANGED
from app.engine.explain import AHEAD, BLOCKS, Saying, explain
from app.guards import brake
from app.guards.brake import BILLING_CANNOT, STALE_FEED
from app.guards.seen import NEWLY_DUE, RATES
from app.lifecycle.case import Act, AskReview, Concern, Reach, Verdict
from app.lifecycle.erasing import barred
from app.store import products
from app.store.products import Brake
from app.web.console.sayings import PAUSED, ahead, blocked, stopped
from app.web.console.words import Said, languages, sentences
from app.web.words import names_in
from app.world.mail.draft import tongue
from tests.app.web.console.conftest import Desk
from tests.world import START, row

TV = "/console/products/tv"
FACTS: dict[str, Any] = {
    "on": date(2026, 10, 3),
    "at": datetime(2026, 10, 3, 7, 5, tzinfo=UTC),
    "cause": STALE_FEED,
    "version": 7,
    "who": "cli:eve",
    "why": "usage_feed_silent",
    "status": "past_due",
    "reach": Reach.BOUNCED,
    "deed": Act.SUSPEND,
    "billing": "stripe",
    "ground": "legal",
    "number": 2,
    "manifest": 12,
    "systems": "crm, wiki",
    "system": "crm",
}
WHYS = {
    STALE_FEED: "usage_feed_silent",
    BILLING_CANNOT: "billing_cannot_cancel_suspend",
    NEWLY_DUE: "due=4100 asked_today=3 acknowledged=0 of=9000 at_most=180",
    "bounces": "bounced=7 of=90 at_most=5%",
    "complaints": "complained=7 of=90 at_most=0.1%",
    "in_use": "in_use=7 of=90 at_most=10%",
    guards.RESTORED: "restored_backup",
    guards.BY_HAND: PAUSED["wording_in_doubt"],
}


def speaker(language: str) -> Said:
    return Said(tongue(language))


def facts_of(code: str) -> dict[str, Any]:
    return {name: FACTS[name] for name in names_in((AHEAD | BLOCKS)[code])}


def pieces(sentence: str) -> set[str]:
    """Give what stands between the facts and commands of a sentence, where it is of some length."""
    found = re.split(r"`[^`]*`|<code>.*?</code>|\{[^}]*\}|\(|\)", sentence)
    return {each.strip(" .,:;") for each in found if len(each.strip(" .,:;")) > 9}


def english() -> set[str]:
    """Give every English sentence of these, of both kinds, in pieces."""
    ours = {
        words
        for name, words in sentences("en").items()
        if name.partition(".")[0] in {"ahead", "block", "cause", "cause_mend", "because", "pause"}
    }
    of_guards = {part for says, mend in brake._WORDS.values() for part in (says, mend)}
    written = ours | of_guards | set(AHEAD.values()) | set(BLOCKS.values()) | set(PAUSED.values())
    return {piece for each in written for piece in pieces(each)}


def test_every_code_has_a_sentence_in_every_language() -> None:
    wanted = {f"ahead.{code}" for code in AHEAD} | {f"block.{code}" for code in BLOCKS}
    for cause in guards.CAUSES:
        wanted |= {f"cause.{cause}", f"cause_mend.{cause}"}
    wanted |= {f"pause.{code}" for code in PAUSED} | {f"deed.{act}" for act in Act}
    wanted |= {f"reach.{each}" for each in Reach}
    for language in languages():
        assert wanted - set(sentences(language)) == set(), language


MANIFEST_LINES = (
    "made",
    "empty",
    "approved",
    "refused",
    "expired",
    "done",
    "tampered",
    "disagreed",
)
ERASING_LINES = (
    "erasure_warning_queued",
    "notice.erasure_warning_handed_over",
    "notice.erased_handed_over",
    "notice.apology_handed_over",
    "erasing",
    "ended",
    "end_parked",
    "receipts_complete",
    "erased",
    "erased_not_sent",
    "erasure_stopped",
    "apology_queued",
)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_line_of_history_about_erasing_has_words(language: str) -> None:
    wanted = {f"story.{each}" for each in ERASING_LINES}
    for each in MANIFEST_LINES:
        wanted |= {f"story.manifest_{each}", f"manifest_line.manifest_{each}"}
    assert wanted - set(sentences(language)) == set()


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_reason_to_pass_somebody_over_has_words(language: str) -> None:
    codes = set(re.findall(r'return "(\w+)"', getsource(barred)))
    codes |= set(re.findall(r'"(not_heard)"', getsource(barred))) | {CHANGED}
    codes |= {f"rules_{each}" for each in Verdict}
    codes |= {f"warning_{number}" for number in range(1, 6)} | {"manifest", "own_request"}
    codes |= {"billing_acknowledged_end", "every_target_answered", "every_step_done"}
    assert len(codes) > 20
    assert {f"why.{each}" for each in codes} - set(sentences(language)) == set()


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_sentence_states_the_facts_of_its_code(language: str) -> None:
    said = sentences(language)
    for section, codes in (("ahead", AHEAD), ("block", BLOCKS)):
        for code, words in codes.items():
            left_to_the_stop = {"cause"} if code == "brake" else set()
            assert names_in(said[f"{section}.{code}"]) == names_in(words) - left_to_the_stop, code


def test_a_cause_of_a_guard_that_is_set_somewhere_is_among_them() -> None:
    assert set(WHYS) == guards.CAUSES
    assert {rate.cause for rate in RATES} <= guards.CAUSES


@pytest.mark.parametrize("code", [*AHEAD, *BLOCKS])
def test_in_french_nothing_of_it_is_english(code: str) -> None:
    told, say = Saying(code, facts_of(code)), speaker("fr")
    found = str(ahead(say, told) if code in AHEAD else blocked(say, told))
    assert [piece for piece in english() if piece in found] == []
    if "on" in told.facts:
        assert "3 oct. 2026" in found
    if "at" in told.facts:
        assert "3 oct. 2026 07:05 UTC" in found


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("status", "La facturation dit en retard de paiement : il "),
        ("reach", "Aucun message ne lui parvient : le message est revenu."),
        ("impossible", "La facturation (stripe) ne connaît pas la suspension :"),
        ("brake", "usage est silencieux depuis plus longtemps"),
    ],
)
def test_codes_among_the_facts_are_said_too(code: str, says: str) -> None:
    assert says in str(blocked(speaker("fr"), Saying(code, facts_of(code))))


@pytest.mark.parametrize("cause", sorted(guards.CAUSES))
def test_a_stop_is_said_with_its_numbers_and_its_mend(cause: str) -> None:
    brake = Brake("tv", cause, WHYS[cause], "guard", START)
    for language in languages():
        found = stopped(speaker(language), brake)
        assert "=" not in found.says
        assert "_" not in found.says
        assert found.ours
        if language != "en":
            assert [each for each in english() if each in f"{found.says} {found.mend}"] == []
    assert "{" not in found.mend


@pytest.mark.parametrize(
    ("why", "says"),
    [
        ("bounced=7 of=90 at_most=5%", "(came back: 7, of: 90, at most: 5%)."),
        ("bounced=7000 of=<b> new=1", "(came back: 7,000, of: &lt;b&gt;, new: 1)."),
        ("something <b> else", "(something &lt;b&gt; else)."),
    ],
)
def test_what_a_guard_counted_is_said_and_what_is_not_known_shown(why: str, says: str) -> None:
    found = stopped(speaker("en"), Brake("tv", "bounces", why, "guard", START))
    assert found.says.endswith(says)


@pytest.mark.parametrize(
    ("written", "says"), [("0.05%", "0,05 %"), ("5%", "5 %"), ("1e9%", "1e9%"), ("12345", "12 345")]
)
def test_numbers_are_written_as_the_language_writes_them(written: str, says: str) -> None:
    brake = Brake("tv", "bounces", f"bounced=3 at_most={written}", "guard", START)
    told = stopped(speaker("fr"), brake).says.replace("\u202f", " ").replace("\xa0", " ")
    assert told.endswith(f"(revenues : 3, au plus : {says}).")


def test_what_somebody_wrote_is_shown_as_they_wrote_it() -> None:
    for cause in (guards.BY_HAND, "something_new"):
        found = stopped(speaker("fr"), Brake("tv", cause, "drill <1>", "cli:ann", START))
        assert found.says == "drill &lt;1&gt;"
        assert "reconfirm brake off tv" in found.mend
    of_all = stopped(speaker("fr"), Brake(None, guards.BY_HAND, "drill", "cli:ann", START))
    assert not of_all.ours
    assert "Tous les produits" in of_all.mend


def test_commands_and_the_api_go_on_in_english(desk: Desk) -> None:
    town = desk.town
    town.join(row("a"))
    town.settle()
    town.clock.advance(timedelta(hours=1))
    town.tell("a", AskReview(1, Concern.OTHER))
    with town.database.transaction() as connection:
        products.set_brake(connection, town.product.id, "by_hand", "drill", "cli:x", START)
        told = explain(connection, town.product, town.id_of("a"), town.clock.now())
    assert told.next_step == "a person looks at the case; until then nothing follows from silence"
    on = f"{town.clock.now():%Y-%m-%d %H:%M}"
    assert told.blocked_by == [
        "the brake: by_hand, drill",
        f"a review was asked for on {on} UTC: look at it, then `reconfirm review done`",
    ]


def test_a_french_page_holds_no_english_sentence_of_these(desk: Desk) -> None:
    town = desk.town
    town.join(row("a"), row("b"), row("gone", status="canceled"))
    town.settle()
    town.clock.advance(timedelta(hours=1))
    town.tell("b", AskReview(1, Concern.OTHER))
    with town.database.transaction() as connection:
        for cause, why in WHYS.items():
            products.set_brake(connection, town.product.id, cause, why, "guard", town.clock.now())
        connection.execute(text("update contact set reach = 'bounced'"))
    who = desk.person("editor")
    who.post("/console/language", language="fr", back=f"{TV}/")
    paths = [f"{TV}/", *(f"{TV}/people/{town.id_of(name)}" for name in ("a", "b", "gone"))]
    for path in paths:
        page = who.get(path).text
        assert "usage est silencieux depuis plus longtemps" in page
        assert [each for each in english() if each in page] == [], path
    assert "Le silence compte à partir du" in who.get(paths[1]).text
    assert "un regarde le dossier" in who.get(paths[2]).text
    assert "La facturation dit résilié" in who.get(paths[3]).text
