"""A run taken back for those whom it stopped: told, resumed by a click or by two people, once."""

import csv
import io
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from app.amends import HEADER, People
from app.errors import Conflict, Refused
from app.lifecycle.case import AskErasure, Lane, Outcome, Reach, Round, Stage, Undelivered
from app.links import Links
from app.runs import Runs
from app.store.database import Database
from app.store.tables import metadata
from app.world.billing import sandbox
from tests.app.test_runs import everything, listed, of, told
from tests.probe import (
    DAY,
    HOUR,
    asked,
    brake,
    fingerprint,
    kinds,
    leases_run_out,
    listening,
    news,
    rows,
    window_ends,
)
from tests.world import YEAR, MovableClock, Town, row

EVE, ADA = "console:eve", "console:ada"
APOLOGY = "Our mistake: we should not have stopped your Blue Television subscription"
GOES_ON = "Our mistake: your Blue Television subscription goes on"
PAID = "2024-09-10T00:00:00Z"


def stop(town: Town, *names: str, **changes: Any) -> None:
    """Ask everybody in one run, and suspend who has not answered a month later."""
    town.join(*(row(name, **({"renews_at": PAID} | changes)) for name in names))
    asked(town, *names)


def silence(town: Town, name: str) -> None:
    """Let the window of all end, and billing be told; give it until noon."""
    window_ends(town, name)
    town.settle()
    town.clock.advance(12 * HOUR)
    assert town.stage(name) in ("suspended", "canceled")


def crowd(town: Town, many: int, **changes: Any) -> list[str]:
    names = [f"p{number:02}" for number in range(many)]
    stop(town, *names, **changes)
    silence(town, names[0])
    return names


def erase_days(town: Town) -> list[Any]:
    return [day for (day,) in rows(town.database, "select erase_on from reconfirmation") if day]


def stands(town: Town, number: int = 1) -> dict[str, int] | None:
    return People(town.database, town.clock).counted("tv", number)


def resume_all(town: Town, number: int = 1) -> None:
    of(town).begin_undo("tv", number, EVE, resume=True)
    everything(town, number)
    of(town).agree("tv", number, ADA)
    everything(town, number)


# --- the list --------------------------------------------------------------------------------


def test_everybody_is_listed_first_and_nothing_is_changed_by_it(town: Town) -> None:
    town.join(row("=cmd()", email="cmd@subscribers.example", renews_at=PAID))
    stop(town, "kept", "gone", "quiet", "away")
    town.clock.advance(HOUR)
    town.answer("kept", "keep")
    town.answer("gone", "cancel")
    town.tell("away", Undelivered(Reach.BOUNCED))
    silence(town, "quiet")
    before = fingerprint(town.database)

    people = People(town.database, town.clock, batch=2)
    found = {each.who.subscription: each for each in people.everybody("tv", 1)}
    table = list(csv.DictReader(io.StringIO("".join(people.as_csv("tv", 1)))))

    assert fingerprint(town.database) == before
    assert {name: each.who.stands for name, each in found.items()} == {
        "kept": "answered",
        "gone": "answered",
        "quiet": "suspended",
        "away": "closed",
        "=cmd()": "suspended",
    }
    assert stands(town) == {"suspended": 2, "answered": 2, "closed": 1}
    assert found["quiet"].who.erase_on == town.case("quiet").round.erase_on  # type: ignore[union-attr]
    assert tuple(table[0]) == HEADER
    assert {each["subscription"] for each in table} == {*found, "'=cmd()"} - {"=cmd()"}
    assert [each.who.subscription for each in people.some("tv", 1, only="closed")] == ["away"]


def test_the_list_says_who_would_not_be_resumed_and_why(town: Town) -> None:
    names = crowd(town, 3)
    town.tell(names[1], Undelivered(Reach.BOUNCED))
    rows(
        town.database,
        "update reconfirmation set paid_until = null where subscription_id = :id",
        id=town.id_of(names[2]),
    )
    found = People(town.database, town.clock).some("tv", 1)
    assert [each.alone for each in found] == [None, "not_reached", "date_unknown"]


# --- told, and resumed by a click ------------------------------------------------------------


def test_whom_it_suspended_is_told_and_resumes_by_the_button(town: Town) -> None:
    names = crowd(town, 3)
    assert len(erase_days(town)) == 3
    charged = town.charges("p00")

    begun = of(town).begin_undo("tv", 1, EVE)
    assert (begun.wanted, begun.left) == (3, 3)
    everything(town)
    town.deliver()

    undo = of(town).progress("tv", 1).undo
    assert (undo.withdrawn, undo.apologized, undo.resumed, undo.spared) == (0, 3, 0, 3)
    assert erase_days(town) == []
    assert [town.relay.subjects(f"{name}@subscribers.example")[-1] for name in names] == [
        APOLOGY
    ] * 3
    assert [town.stage(name) for name in names] == ["suspended"] * 3
    town.days_pass(40)
    assert town.charges("p00") == charged

    town.answer("p00", "resume")
    town.clock.advance(timedelta(seconds=10))
    town.deliver()
    assert town.acts("p00") == ["suspend", "resume"]
    town.days_pass(40)
    assert len(town.charges("p00")) > len(charged)
    assert town.charges("p01") == charged[:1] * len(charged)
    assert town.relay.subjects("p01@subscribers.example").count(APOLOGY) == 1


def test_whom_it_canceled_is_told_how_it_comes_back_for_as_long_as_it_does(
    database: Database, clock: MovableClock, links: Links
) -> None:
    changes = {"on_no_answer": "cancel_at_period_end"}
    town = Town.founded(database, clock, links, "tv", YEAR | changes)
    names = crowd(town, 2, interval="year", renews_at="2024-10-20T00:00:00Z")
    of(town).begin_undo("tv", 1, EVE)
    everything(town)
    rows(
        town.database,
        "update reconfirmation set paid_until = opened_at where subscription_id = :id",
        id=town.id_of("p01"),
    )
    town.deliver()
    bodies = {
        name: next(
            part.get_content()
            for mail in town.relay.mails()
            if mail["To"] == f"{name}@subscribers.example" and "mistake" in str(mail["Subject"])
            for part in [mail.get_body(("plain",))]
            if part is not None
        )
        for name in names
    }
    assert "One click brings it back" in bodies["p00"]
    assert "subscribe again as you did before" in bodies["p01"]
    assert "One click" not in bodies["p01"]
    town.answer("p00", "resume")
    town.clock.advance(timedelta(seconds=10))
    town.deliver()
    assert town.acts("p00") == ["cancel", "resume"]


def test_twice_is_as_once(town: Town) -> None:
    crowd(town, 2)
    of(town).begin_undo("tv", 1, EVE)
    everything(town)
    town.deliver()
    sent = len(town.relay.sent)
    with pytest.raises(Conflict, match="nobody of run 1 is left to put right"):
        of(town).begin_undo("tv", 1, EVE)
    rows(town.database, "update run_undo set ended_at = null, cursor = 0")
    before = [line[2:] for line in rows(town.database, "select * from reconfirmation order by 1")]
    everything(town)
    town.deliver()
    assert [
        line[2:] for line in rows(town.database, "select * from reconfirmation order by 1")
    ] == before
    assert len(town.relay.sent) == sent


def test_who_decided_themselves_is_left_and_only_not_erased(town: Town) -> None:
    stop(town, "kept", "gone", "back", "wish", "quiet")
    town.clock.advance(HOUR)
    town.answer("kept", "keep")
    town.answer("gone", "cancel")
    silence(town, "quiet")
    town.answer("back", "resume")
    town.clock.advance(timedelta(seconds=10))
    town.deliver()
    town.tell("wish", AskErasure(1))
    before = {name: town.case(name).round for name in ("kept", "gone", "back", "wish")}
    sent = len(town.relay.sent)

    of(town).begin_undo("tv", 1, EVE)
    everything(town)
    town.deliver()

    assert [to for to, _ in town.relay.sent[sent:]] == ["quiet@subscribers.example"]
    for name, was in before.items():
        now = town.case(name).round
        assert was is not None
        assert now is not None
        for field in ("stage", "outcome", "word", "act", "decided_by", "paid_until", "erase_at"):
            assert getattr(now, field) == getattr(was, field), (name, field)
    assert erase_days(town) == []


def test_what_billing_is_being_told_meanwhile_is_followed_by_the_apology(town: Town) -> None:
    stop(town, "ada")
    window_ends(town, "ada")
    town.sweep()
    worker = town.worker()
    _, tasks, _ = worker.effects.claim("tv", Lane.BILLING, 10)
    assert len(tasks) == 1
    of(town).begin_undo("tv", 1, EVE)
    everything(town)
    assert stands(town) == {"in_hand": 1}
    order = tasks[0].order
    assert order is not None
    sandbox.Sandbox(town.database.engine, "tv").carry_out(order)  # and then the worker died
    leases_run_out(town)

    town.deliver()
    town.clock.advance(12 * HOUR)
    town.deliver()

    assert (town.stage("ada"), town.acts("ada")) == ("suspended", ["suspend"])
    assert town.relay.subjects("ada@subscribers.example")[1:] == [APOLOGY]
    assert erase_days(town) == []


def test_it_says_what_people_decided_to_give_back_and_no_more(town: Town) -> None:
    crowd(town, 2)
    now = town.clock.now()
    for number, (name, state) in enumerate((("p00", "approved"), ("p01", "proposed"))):
        rows(
            town.database,
            """insert into refund (product_id, subscription_id, round, charge, charged_at, amount,
                 refunded, currency, evidence, state, absurd, found_at, not_before)
               values (:product, :id, 1, :charge, :now, 1349, 100, 'GBP', '{}', :state, false,
                 :now, :now)""",
            product=town.product.id,
            id=town.id_of(name),
            charge=f"c{number}",
            now=now,
            state=state,
        )
    assert [each.who.owed for each in People(town.database, town.clock).some("tv", 1)] == [
        1249,
        1249,
    ]
    of(town).begin_undo("tv", 1, EVE)
    everything(town)
    town.deliver()
    said = {str(mail["To"]): mail for mail in town.relay.mails() if mail["Subject"] == APOLOGY}
    bodies = {to: mail.get_body(("plain",)).get_content() for to, mail in said.items()}  # type: ignore[union-attr]
    assert "£12.49" in bodies["p00@subscribers.example"]
    assert "give back" not in bodies["p01@subscribers.example"]


# --- resumed by two people -------------------------------------------------------------------


def test_two_people_have_them_resumed_and_no_date_moves(town: Town) -> None:
    names = crowd(town, 3)
    quiet = {name: town.charges(name) for name in names}
    dates = rows(town.database, "select external_id, renews_at from sandbox_account order by 1")

    of(town).begin_undo("tv", 1, EVE, resume=True)
    everything(town)
    town.deliver()
    assert erase_days(town) == []
    assert {name: town.acts(name) for name in names} == {name: ["suspend"] for name in names}
    assert of(town).progress("tv", 1).undo.waits
    of(town).agree("tv", 1, ADA)
    everything(town)
    town.deliver()
    town.deliver()

    undo = of(town).progress("tv", 1).undo
    assert (undo.apologized, undo.resumed, undo.agreed_by) == (0, 3, ADA)
    assert stands(town) == {"restored": 3}
    assert (
        rows(town.database, "select external_id, renews_at from sandbox_account order by 1")
        == dates
    )
    assert {name: town.charges(name) for name in names} == quiet
    for name in names:
        assert sorted(town.acts(name)) == ["resume", "suspend"]
        assert town.relay.subjects(f"{name}@subscribers.example")[-1] == GOES_ON
        assert town.case(name).round.decided_by == "undo"  # type: ignore[union-attr]
    town.days_pass(40)
    nexts = [at for _, at in dates]
    assert [town.charges(name)[len(quiet[name])] for name in names] == nexts
    assert told(town)[1:] == [
        ("run_undo_begun", "run_1", None, EVE),
        ("run_resume_wanted", "run_1", None, EVE),
        ("run_undone", "run_1", None, EVE),
        ("run_resume_agreed", "run_1", None, ADA),
        ("run_undone", "run_1", None, EVE),
    ]


@pytest.mark.parametrize(("first", "second"), [(EVE, EVE), ("cli:eve", "cli:ada")])
def test_one_person_is_not_two_and_the_command_line_is_one(
    town: Town, first: str, second: str
) -> None:
    crowd(town, 1)
    of(town).begin_undo("tv", 1, first, resume=True)
    everything(town)
    with pytest.raises(Conflict, match="you ordered it yourself"):
        of(town).agree("tv", 1, second)
    assert of(town).undo_some("tv") is None
    assert kinds(town, "p00") == []


def test_a_key_is_no_person(town: Town) -> None:
    crowd(town, 1)
    with pytest.raises(Refused, match="only people decide"):
        of(town).begin_undo("tv", 1, "api:1", resume=True)
    of(town).begin_undo("tv", 1, EVE, resume=True)
    with pytest.raises(Refused, match="only people decide"):
        of(town).agree("tv", 1, "api:1")


def test_nothing_waits_where_nobody_ordered_it(town: Town) -> None:
    crowd(town, 1)
    with pytest.raises(Conflict, match="nothing of run 1 waits"):
        of(town).agree("tv", 1, ADA)
    of(town).begin_undo("tv", 1, EVE)
    everything(town)
    with pytest.raises(Conflict, match="nothing of run 1 waits"):
        of(town).agree("tv", 1, ADA)
    with pytest.raises(Conflict):
        of(town).begin_undo("tv", 1, EVE, resume=True)


def test_it_may_be_told_to_them_after_all_where_nobody_agrees(town: Town) -> None:
    crowd(town, 1)
    of(town).begin_undo("tv", 1, EVE, resume=True)
    everything(town)
    with pytest.raises(Conflict, match="has ordered that already"):
        of(town).begin_undo("tv", 1, ADA, resume=True)
    of(town).begin_undo("tv", 1, EVE)
    everything(town)
    town.deliver()
    assert town.relay.subjects("p00@subscribers.example")[-1] == APOLOGY
    with pytest.raises(Conflict, match="nothing of run 1 waits"):
        of(town).agree("tv", 1, ADA)


def test_who_would_be_charged_at_once_is_told_instead(town: Town) -> None:
    stop(town, "soon", renews_at="2024-09-05T00:00:00Z")
    silence(town, "soon")
    resume_all(town)
    town.deliver()
    assert town.acts("soon") == ["suspend"]
    assert "restore_refused" in town.story("soon")
    assert town.relay.subjects("soon@subscribers.example")[-1] == APOLOGY


def test_billing_that_cannot_resume_is_not_asked_to(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd(town, 1)
    weak = replace(sandbox.CAPABILITIES, pause=False)
    monkeypatch.setattr("app.runs.billing.capabilities", lambda *_: weak)
    with pytest.raises(Conflict, match="cannot resume"):
        of(town).begin_undo("tv", 1, EVE, resume=True)


# --- all of a version ------------------------------------------------------------------------


def test_every_run_of_a_version_is_taken_back(town: Town) -> None:
    stop(town, "ada")
    town.clock.advance(DAY)
    town.hear()
    stop(town, "ben")
    town.put_in_force(YEAR)
    stop(town, "cyd")
    silence(town, "ada")
    town.days_pass(3)
    began = [each.run for each in of(town).begin_undo_of("tv", 1, EVE)]
    assert set(began) <= {each.number for each in listed(town) if each.version == 1}
    did, over = of(town).undo("tv", lambda: True)
    assert (did, over) == (2, True)
    town.deliver()
    assert town.relay.subjects("ben@subscribers.example")[-1] == APOLOGY
    assert APOLOGY not in town.relay.subjects("cyd@subscribers.example")
    with pytest.raises(Conflict, match="no run under version 1"):
        of(town).begin_undo_of("tv", 1, EVE)


# --- killed, several, told on ----------------------------------------------------------------


def test_it_goes_on_under_a_brake_and_in_several_hands(town: Town) -> None:
    names = crowd(town, 24)
    brake(town)
    of(town).begin_undo("tv", 1, EVE)
    line = Barrier(3)

    def go() -> None:
        line.wait()
        of(town, 2).undo("tv", lambda: True)

    threads = [Thread(target=go) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    town.deliver()

    undo = of(town).progress("tv", 1).undo
    assert (undo.apologized, undo.spared) == (24, 24)
    mailed = Counter(to for to, raw in town.relay.sent if b"mistake" in raw)
    assert mailed == Counter(f"{name}@subscribers.example" for name in names)


def test_endpoints_are_told_in_the_words_they_know(town: Town) -> None:
    listening(town)
    crowd(town, 1)
    resume_all(town)
    town.deliver()
    town.deliver()
    assert news(town, "p00")[-2:] == ["erasure.stopped", "subscription.resumed"]


STOPS = st.lists(st.integers(1, 4), min_size=1, max_size=4)
FATES = ("silent", "keep", "cancel", "resume", "use", "bounce", "erase", "keep_data", "look")


@pytest.fixture
def make_town(database: Database, links: Links) -> Callable[[], Town]:
    """Give a way to found a town where there was another one."""

    def make() -> Town:
        with database.transaction() as connection:
            connection.exec_driver_sql("set local session_replication_role = replica")
            for table in reversed(metadata.sorted_tables):
                connection.execute(delete(table))
        return Town.founded(database, MovableClock(), links)

    return make


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    fates=st.lists(st.sampled_from(FATES), min_size=6, max_size=10),
    stops=STOPS,
    resume=st.booleans(),
    late=st.booleans(),
)
def test_whatever_happened_before_and_wherever_it_is_killed(
    make_town: Callable[[], Town], fates: list[str], stops: list[int], *, resume: bool, late: bool
) -> None:
    town = make_town()
    names = [*(f"{fate}-{number}" for number, fate in enumerate(fates)), "last"]
    _lived(town, names, late=late)
    before = {name: town.case(name).round for name in names}
    charged = {name: town.charges(name) for name in names}
    dates = rows(town.database, ACCOUNTS)
    sent = len(town.relay.sent)

    alone = resume and "suspended" in (stands(town) or {})
    _undone(of(town, 2), stops, resume=alone)
    town.deliver()
    town.deliver()

    assert erase_days(town) == []
    apologies = Counter(to for to, raw in town.relay.sent[sent:] if b"mistake" in raw)
    assert set(apologies.values()) <= {1}
    assert {name: town.charges(name) for name in names} == charged
    assert rows(town.database, ACCOUNTS) == dates
    for name, was in before.items():
        _judge(town, name, was, apologies[f"{name}@subscribers.example"], resume=alone)


ACCOUNTS = "select external_id, renews_at from sandbox_account order by 1"


def _judge(town: Town, name: str, was: Round | None, apologies: int, *, resume: bool) -> None:
    """Judge what became of one: who decided is left, and only a decision of two charges again."""
    now = town.case(name).round
    assert was is not None
    assert now is not None
    if was.word is not None or not was.open or was.erase_at is not None:
        assert (now.stage, now.outcome, now.word) == (was.stage, was.outcome, was.word)
        assert apologies == 0
    if was.word is None and not resume:
        assert "resume" not in town.acts(name)
        assert now.outcome is not Outcome.RESUMED
    if was.open and was.stage is Stage.SUSPENDED and was.word is None and was.erase_at is None:
        assert now.amended_at is not None


def _lived(town: Town, names: list[str], *, late: bool) -> None:
    """Ask everybody, and let happen to them what their names say; `late` after a suspension."""
    stop(town, *names)
    town.clock.advance(HOUR)
    early = [name for name in names if name.partition("-")[0] in ("keep", "cancel", "bounce")]
    for name in early:
        _fate(town, name)
    if not late:
        return
    silence(town, "last")
    for name in names:
        if name not in early:
            _fate(town, name)


def _undone(runs: Runs, stops: list[int], *, resume: bool) -> None:
    """Take the run back, killed after some batches again and again."""
    runs.begin_undo("tv", 1, EVE, resume=resume)
    for many in stops:
        _killed_after(runs, many)
    runs.undo("tv", lambda: True)
    if not resume:
        return
    runs.agree("tv", 1, ADA)
    for many in stops:
        _killed_after(runs, many)
    runs.undo("tv", lambda: True)


def _fate(town: Town, name: str) -> None:
    match name.partition("-")[0]:
        case "keep" | "cancel" | "resume" | "keep_data" as word:
            town.answer(name, word)
        case "use":
            town.use(name)
        case "bounce":
            town.tell(name, Undelivered(Reach.BOUNCED))
        case "erase":
            town.tell(name, AskErasure(1))
        case _:
            return


def _killed_after(runs: Runs, many: int) -> None:
    """Work off some batches, and leave."""
    left = iter([True] * many)
    runs.undo("tv", lambda: next(left, False))
