"""The editor's pages: every knob, what a policy would do, problems at their fields, proposing."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, make_dataclass
from dataclasses import fields as fields_of
from http import HTTPStatus
from typing import Any

import pytest
from werkzeug.test import TestResponse

from app import policy as policies
from app.forecast import Forecaster, Keeper
from app.policy import (
    Choice,
    Duration,
    Group,
    Hours,
    Many,
    Named,
    Nullable,
    Period,
    Share,
    Steps,
    Whole,
    Words,
    knob,
    knobs,
)
from app.store import products, versions
from app.web.console import editing, static
from app.web.console.editing import Collected, Typed
from app.web.console.static import FOLDER, HTMX
from app.web.console.threshold import OFFERED
from app.web.console.words import sentences
from tests.app.web.console.conftest import BASE, ORIGIN, Desk, Person
from tests.app.web.console.forms import Sheet
from tests.app.web.console.test_pages import counted
from tests.world import YEAR, Town, row

EDIT = "/console/products/tv/policy/edit"
WHAT_IF = "/console/products/tv/policy/what-if"
RICH = YEAR | {
    "before_renewal": {"intervals": ["year"], "unused_for": "P6M", "ask_ahead": "P45D"},
    "keep_categories": {"invoices": "P10Y", "tax": "P6Y"},
    "segments": [
        {"when": {"country": ["FR", "DE"], "interval": ["year"]}, "unused_after": "P6M"},
        {"when": {"plan": ["gold, yearly"]}, "reminders": ["P7D"], "erase_after": None},
    ],
    "pace": {"ramp": [10, 100, "1%", "10%", "100%"]},
}
SHAPES = (
    policies.Terms,
    policies.Policy,
    policies.Pace,
    policies.Guards,
    policies.BeforeRenewal,
    policies.When,
)
BY_SCRIPT = {"HX-Request": "true"}


def sends(
    who: Person,
    path: str,
    typed: Typed,
    headers: dict[str, str] | None = None,
    button: dict[str, str] | None = None,
) -> TestResponse:
    """Send a form as a browser does."""
    return who.client.post(
        path,
        base_url=BASE,
        data={"csrf": who.csrf} | typed | (button or {}),
        headers=ORIGIN | (headers or {}),
    )


def policy_in(typed: Typed) -> Typed:
    """Give a form without what is another in each page."""
    return {name: texts for name, texts in typed.items() if name not in ("csrf", "key")}


def form(who: Person, path: str = EDIT) -> Typed:
    """Give the form of a page as it is filled in."""
    page = who.get(path)
    assert page.status_code == HTTPStatus.OK
    return Sheet.of(page.text).pairs


def body_of(town: Town, version: int) -> dict[str, Any]:
    with town.database.transaction() as connection:
        return dict(versions.version(connection, town.product.id, version).body)


def newest(town: Town) -> int:
    with town.database.transaction() as connection:
        return versions.newest(connection, town.product.id)


def beside(page: str, name: str) -> str:
    """Give what stands as wrong beside a field."""
    found = re.search(rf'id="e-{re.escape(editing_id(name))}"[^>]*>(.*?)</ul>', page, re.DOTALL)
    assert found is not None, name
    return found[1]


def editing_id(name: str) -> str:
    return re.sub(r"[\[\].]+", "-", name).strip("-")


# --- the form ------------------------------------------------------------------------------


def all_knobs() -> Iterator[Any]:
    for shape in SHAPES:
        yield from knobs(shape)


def test_every_knob_is_in_the_form_with_its_label_and_hint(desk: Desk) -> None:
    desk.town.put_in_force(RICH)
    page = desk.person("viewer").get(EDIT).text
    plain = page.replace("&#39;", "'")
    for each in all_knobs():
        assert re.search(rf'name="[^"]*\b{each.name}\b', page), each.name
        assert each.metadata["label"] in plain, each.name
        assert each.metadata["hint"] in plain, each.name


def test_every_knob_has_french_words_and_no_others_are_left() -> None:
    names = [each.name for each in all_knobs()]
    assert len(names) == len(set(names)), "a sentence is found by the name of the field alone"
    said = sentences("fr")
    for section in ("knob", "knob_hint"):
        told = {name.partition(".")[2] for name in said if name.startswith(f"{section}.")}
        assert told == set(names), section


def test_the_form_speaks_french(desk: Desk) -> None:
    desk.town.put_in_force(RICH)
    who = desk.person("editor")
    who.post("/console/language", language="fr", back=EDIT)
    page = who.get(EDIT).text
    for each in all_knobs():
        assert sentences("fr")[f"knob.{each.name}"] in page, each.name
        assert f">{each.metadata['label']}<" not in page, each.name
    assert re.search(r">6\smois · P6M<", page)
    refused = sends(who, WHAT_IF, form(who) | {"unused_after": ["P1X"]}).text
    assert 'href="#unused_after">Plus utilisé</a>' in refused


@dataclass(frozen=True, slots=True)
class Odd:
    """A group in which each kind occurs once."""

    days: Period = knob(Duration("P1D", "P1Y"), "Odd days", "A hint.", Period(days=3))
    word: str = knob(Choice(("one", "two")), "Odd word", "A hint.", "one")
    many: int = knob(Whole(1, 9), "Odd many", "A hint.", 4)
    part: float = knob(Share(), "Odd part", "A hint.", 0.5)
    codes: tuple[str, ...] = knob(Words(), "Odd codes", "A hint.", ("x",))
    list: tuple[Period, ...] = knob(Many(Duration("P1D", "P1Y"), 3), "Odd list", "A hint.", ())
    map: tuple[tuple[str, Period], ...] = knob(
        Named(Duration("P1D", "P1Y"), 3), "Odd map", "A hint.", ()
    )
    none: Period | None = knob(Nullable(Duration("P1D", "P1Y")), "Odd none", "A hint.", None)
    steps: tuple[int | float, ...] = knob(Steps(), "Odd steps", "A hint.", (1, 1.0))
    hours: Any = knob(Hours(), "Odd hours", "A hint.", policies.Pace().send_between)


def test_a_new_knob_is_in_the_form_without_anything_else(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Terms get a group in which each kind there is occurs, and the form can do it all."""
    more = knob(Group(Odd), "Odd things", "A hint.", Odd())
    terms = make_dataclass(
        "Terms", [("odd", Odd, more)], bases=(policies.Terms,), frozen=True, slots=True
    )
    monkeypatch.setattr(policies, "Terms", terms)
    monkeypatch.setattr(products, "_PARSED", {})
    who = desk.person("editor")
    page = who.get(EDIT)
    typed = Sheet.of(page.text).pairs
    for each in fields_of(Odd):
        assert each.metadata["label"] in page.text
    answer = sends(who, EDIT, typed | {"odd.days": ["5"], "odd.codes": ["y, z"]})
    assert answer.status_code == HTTPStatus.SEE_OTHER
    written = body_of(desk.town, newest(desk.town))["odd"]
    assert written == policies.write(policies.read(YEAR))["odd"] | {
        "days": "P5D",
        "codes": ["y", "z"],
    }
    refused = sends(who, EDIT, typed | {"odd.many": ["10"]})
    assert "write a whole number from 1 to 9" in beside(refused.text, "odd.many")


def test_a_form_sent_as_it_is_proposes_the_same_policy(desk: Desk) -> None:
    version = desk.town.put_in_force(RICH)
    who = desk.person("editor", name="eve")
    answer = sends(who, EDIT, form(who))
    assert answer.status_code == HTTPStatus.SEE_OTHER
    assert answer.location == f"/console/products/tv/policy/versions/{version + 1}"
    assert body_of(desk.town, version + 1) == body_of(desk.town, version)
    assert ("policy_proposed", "by_hand", "console:eve") in desk.audited()


def test_another_version_or_a_threshold_is_filled_in(desk: Desk) -> None:
    town = desk.town
    town.put_in_force(RICH)
    with town.database.transaction() as connection:
        body = policies.write(policies.read(RICH | {"unused_after": "P8M"}))
        number = versions.propose(
            connection, town.product.id, body, "console:bob", town.clock.now()
        )
    who = desk.person("viewer")
    page = who.get(EDIT).text
    assert f"Version {number} is newer, proposed by console:bob." in page
    assert form(who, f"{EDIT}?from={number}")["unused_after"] == ["8"]
    six = form(who, f"{EDIT}?months=6")
    assert six["unused_after"] == six["never_used_after"] == ["6"]
    assert six["unused_after.unit"] == ["months"]
    for odd in ("months=x", "months=-1", "months=999", f"from={10**30}", "from=0"):
        assert policy_in(form(who, f"{EDIT}?{odd}")) == policy_in(form(who)), odd
    assert who.get(f"{EDIT}?from=99").status_code == HTTPStatus.NOT_FOUND


# --- what it would do ------------------------------------------------------------------------


@pytest.fixture
def people(desk: Desk) -> Desk:
    """People who began at the first of a month, one each month back from now, and two abroad."""
    for months in range(1, 40):
        began = Period(months=months).before(desk.town.clock.now().date())
        desk.town.join(row(f"p{months}", started_at=f"{began}T10:00:00Z", amount="1000"))
    desk.town.join(
        row("e1", currency="EUR", amount="500"),
        row("e2", currency="EUR", amount="1200", interval="year"),
    )
    return desk


def told(page: str) -> dict[str, list[str]]:
    """Give the figures of the answer by their row."""
    found = {}
    for each in re.finditer(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', page, re.DOTALL):
        name = re.sub(r"<small>.*?</small>", "", each[1])
        found[name] = re.findall(r"<td[^>]*>(.*?)</td>", each[2])
    return found


def test_what_it_would_do_stands_beside_the_form(people: Desk) -> None:
    who = people.person("viewer")
    typed = form(who) | {"unused_after": ["6"], "unused_after.unit": ["months"]}
    typed |= {"never_used_after": ["P6M"]}
    page = sends(who, WHAT_IF, typed).text
    proposed = policies.read(YEAR | {"unused_after": "P6M", "never_used_after": "P6M"})
    truth = Forecaster(people.town.database, people.town.clock).forecast("tv", proposed)
    assert truth.in_force is not None
    assert (truth.proposed.tomorrow, truth.in_force.tomorrow) == (36, 30)
    figures = told(page)
    assert figures["Asked by tomorrow"] == ["36", "30"]
    assert figures["of them, never used it"] == ["36", "30"]
    assert figures["of them, stopped using it"] == ["0", "0"]
    assert figures["Asked within a year"] == ["41", "41"]
    assert figures["A month, EUR"] == ["€6.00", "€6.00"]
    assert figures["A month, GBP"] == ["£340.00", "£280.00"]
    assert figures["Due already"] == [str(truth.proposed.today), str(truth.in_force.today)]
    assert figures["Mails on the fullest day"] == [
        str(truth.proposed.pace.most_mails),
        str(truth.in_force.pace.most_mails),
    ]
    assert ">+6<" in page
    assert page.count('<rect class="new"') == page.count('<rect class="old"') == 13
    assert "past answers are too few" in page
    assert "have not been counted yet" in page
    Keeper(people.town.database, people.town.clock).count_apart("tv")
    assert "were counted 1 Sep 2024 12:00 UTC" in sends(who, WHAT_IF, typed).text


def test_each_month_ahead_is_counted_once(people: Desk) -> None:
    """Bars and CSV hold whoever newly comes due, without those who are due already."""
    who = people.person("viewer")
    typed = form(who) | {"never_used_after": ["P6M"]}
    told_csv = sends(who, f"{WHAT_IF}.csv", typed)
    assert told_csv.mimetype == "text/csv"
    lines = [line.split(",") for line in told_csv.text.splitlines()]
    assert lines[0] == ["from", "newly_due", "newly_due_in_force"]
    assert lines[1] == ["already", "35", "29"]
    months = {day: (int(new), int(old)) for day, new, old in lines[2:]}
    assert list(months)[:3] == ["2024-09-01", "2024-10-01", "2024-11-01"]
    assert sum(new for new, _ in months.values()) == 41 - 35
    assert sum(old for _, old in months.values()) == 41 - 29
    assert all(new >= 0 and old >= 0 for new, old in months.values())
    figures = told(sends(who, WHAT_IF, typed).text)
    assert figures["Oct 2024"] == [str(each) for each in months["2024-10-01"]]
    refused = sends(who, f"{WHAT_IF}.csv", typed | {"unused_after": [""]})
    assert refused.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert refused.mimetype == "text/html"


def test_a_script_gets_the_answer_alone_with_the_words_beside_the_fields(people: Desk) -> None:
    who = people.person("viewer")
    typed = form(who) | {"never_used_after": ["P6M"]}
    part = sends(who, WHAT_IF, typed, BY_SCRIPT)
    assert part.status_code == HTTPStatus.OK
    assert "<html" not in part.text
    assert told(part.text)["Asked by tomorrow"] == ["36", "30"]
    assert (
        '<span class="said" id="w-never_used_after" hx-swap-oob="true">6 months · P6M' in part.text
    )
    whole = sends(who, WHAT_IF, typed).text
    for each in re.findall(r'id="([^"]+)"[^>]* hx-swap-oob', part.text):
        assert f'id="{each}"' in whole, "it takes the place of something in the page"


def test_a_refused_policy_shows_its_problems_and_no_numbers(people: Desk) -> None:
    who = people.person("viewer")
    typed = form(who) | {"never_used_after": ["P6M"], "answer_within": ["5"]}
    for headers in ({}, BY_SCRIPT):
        part = sends(who, WHAT_IF, typed, headers)
        assert part.status_code == HTTPStatus.OK
        assert "Asked by tomorrow" not in part.text
        assert 'href="#answer_within">Answer within</a>' in part.text
        assert "write a duration from P7D to P1Y" in beside(part.text, "answer_within")


def test_before_anybody_chose_what_silence_means_the_people_are_counted(desk: Desk) -> None:
    with desk.town.database.transaction() as connection:
        products.add(connection, "new", "New", "sandbox", desk.town.clock.now())
    who = desk.person("editor")
    new = "/console/products/new/policy"
    page = who.get(f"{new}/edit").text
    assert "No policy is in force yet" in page
    assert "Asked by tomorrow" in page
    assert "To be mended first" not in page, "nobody has typed anything yet"
    assert 'aria-invalid="true"' not in page
    typed = Sheet.of(page).pairs
    assert typed["on_no_answer"] == [""]
    part = sends(who, f"{new}/what-if", typed, BY_SCRIPT).text
    assert "Asked by tomorrow" in part
    assert "choose suspend or cancel_at_period_end or nothing" in beside(part, "on_no_answer")
    refused = sends(who, f"{new}/edit", typed)
    assert refused.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    done = sends(who, f"{new}/edit", typed | {"on_no_answer": ["suspend"]})
    assert done.location == "/console/products/new/policy/versions/1"


def thresholds(page: str) -> dict[str, str]:
    """Give how many the first page says would be asked, by the months of a threshold."""
    return dict(re.findall(r'<th scope="row">(\d+) months.*?<strong>(\d+) pe', page))


def forecasts(town: Town) -> dict[str, str]:
    """Give what a forecast says of each threshold by itself."""
    forecaster, found = Forecaster(town.database, town.clock), {}
    for months in OFFERED:
        raw = f"P{months}M"
        tried = policies.read(YEAR | {"never_used_after": raw, "unused_after": raw})
        found[str(months)] = str(forecaster.forecast("tv", tried).proposed.tomorrow)
    return found


def test_the_first_page_says_how_many_a_threshold_would_ask(people: Desk) -> None:
    who = people.person("viewer")
    page = who.get("/console/products/tv/").text
    shown = thresholds(page)
    assert shown == forecasts(people.town)
    assert shown["6"] == "36"
    assert f'href="{EDIT}?months=6"' in page
    assert told(who.get(f"{EDIT}?months=6").text)["Asked by tomorrow"] == ["36", "30"]
    assert re.search(r"12 months <small>in force</small>", page)
    assert page.count("<small>in force</small>") == 1


def test_the_first_page_leaves_out_who_has_been_asked_and_moves_who_has_used_it(
    people: Desk,
) -> None:
    town, who = people.town, people.person("viewer")
    before = thresholds(who.get("/console/products/tv/").text)
    for name, months in (("p30", 1), ("p31", 4), ("p32", 7), ("p33", 10)):
        town.use(name, Period(months=months).before(town.clock.now().date()))
    used = thresholds(who.get("/console/products/tv/").text)
    assert used == forecasts(town)
    assert [int(before[each]) - int(used[each]) for each in ("3", "6", "9", "12")] == [1, 2, 3, 4]
    town.settle()
    Keeper(town.database, town.clock).count_apart("tv")
    asked = thresholds(who.get("/console/products/tv/").text)
    assert asked == forecasts(town)
    assert asked["12"] == "1", "who comes due tomorrow"
    assert 0 < int(asked["6"]) < int(used["6"])


def test_the_first_page_says_so_without_a_policy_too(desk: Desk) -> None:
    town = Town(desk.town.database, desk.town.clock, desk.town.links, "new")
    with town.database.transaction() as connection:
        products.add(connection, "new", "New", "sandbox", town.clock.now())
    town.join(row("a"))
    page = desk.person("viewer").get("/console/products/new/").text
    assert "counted with the safe defaults" in page
    assert "<strong>1 person</strong> would be asked" in page
    assert "<small>in force</small>" not in page


def test_a_threshold_leaves_a_group_what_is_its_own(people: Desk) -> None:
    segments = [{"when": {"currency": ["EUR"]}, "never_used_after": "P9Y"}]
    people.town.put_in_force(YEAR | {"segments": segments})
    page = people.person("viewer").get("/console/products/tv/").text
    assert re.search(r">6 months.*?<strong>34 people", page)


# --- problems at their fields ------------------------------------------------------------------


@dataclass(frozen=True)
class Wrong:
    """What is typed, the field that it is shown at, and a part of what is said there."""

    typed: Typed
    at: str
    says: str


DURATION = "write a duration from P7D to P10Y"
WRONG = {
    "blank": Wrong({"unused_after": [""]}, "unused_after", DURATION),
    "words": Wrong({"unused_after": ["half a year"]}, "unused_after", DURATION),
    "zero": Wrong({"unused_after": ["0"]}, "unused_after", "P0Y is out of limits"),
    "negative": Wrong({"unused_after": ["-6"]}, "unused_after", DURATION),
    "a fraction": Wrong({"unused_after": ["1.5"]}, "unused_after", DURATION),
    "huge": Wrong({"unused_after": ["99999"]}, "unused_after", "P99999Y is out of limits"),
    "beyond numbers": Wrong({"unused_after": ["9" * 40]}, "unused_after", DURATION),
    "a unit that is none": Wrong(
        {"unused_after": ["6"], "unused_after.unit": ["moons"]}, "unused_after", DURATION
    ),
    "hours of days": Wrong({"unused_after": ["PT900H"]}, "unused_after", "a matter of days"),
    "reminder after the window": Wrong({"reminders[1]": ["45"]}, "reminders", "after the answer"),
    "reminders out of order": Wrong({"reminders[0]": ["25"]}, "reminders", "not in order"),
    "one reminder": Wrong({"reminders[1]": ["x"]}, "reminders[1]", "P1D to P1Y"),
    "ask ahead too short": Wrong(
        {"before_renewal.ask_ahead": ["30"]}, "before_renewal.ask_ahead", "plus a week"
    ),
    "no interval": Wrong(
        {"before_renewal.intervals": []}, "before_renewal.intervals", "list some of day"
    ),
    "a choice that is none": Wrong({"on_no_answer": ["erase"]}, "on_no_answer", "is not a choice"),
    "no choice": Wrong({"on_no_answer": [""]}, "on_no_answer", "is not a choice"),
    "a share of nothing": Wrong({"guards.max_bounce_rate": ["0"]}, "guards.max_bounce_rate", "50%"),
    "a share of more than all": Wrong(
        {"guards.max_newly_due_share": ["101"]}, "guards.max_newly_due_share", "up to 100%"
    ),
    "no number": Wrong({"pace.notices_per_day": ["many"]}, "pace.notices_per_day", "whole number"),
    "a ramp that does not end": Wrong({"pace.ramp": ["10, 100"]}, "pace.ramp", "ends with 100%"),
    "a ramp that goes back": Wrong({"pace.ramp": ["100, 10, 100%"]}, "pace.ramp", "Goes back"),
    "a step of nothing": Wrong({"pace.ramp": ["10, , 100%"]}, "pace.ramp", "is not such a share"),
    "hours the wrong way round": Wrong(
        {"pace.send_between.from": ["21:00"]}, "pace.send_between", "before it ends"
    ),
    "a country": Wrong(
        {"segments[0].when.country": ["France"]}, "segments[0].when.country", "is not known"
    ),
    "a term of a group": Wrong(
        {"segments[0].unused_after": [""]}, "segments[0].unused_after", DURATION
    ),
    "a category without a name": Wrong(
        {"keep_categories[0].name": [""]}, "keep_categories", "lower-case names"
    ),
    "a category without a time": Wrong(
        {"keep_categories[1]": [""]}, "keep_categories[1]", "P1D to P100Y"
    ),
    "a category named twice": Wrong(
        {"keep_categories[0].name": ["x"], "keep_categories[1].name": ["x"]},
        "keep_categories[0]",
        "named twice",
    ),
}


def test_a_problem_stands_beside_its_field_and_all_is_kept_as_typed(desk: Desk) -> None:
    desk.town.put_in_force(RICH)
    before, who = newest(desk.town), desk.person("editor")
    whole = form(who) | {"answer_within": ["P29D"]}
    for name, wrong in WRONG.items():
        typed = whole | wrong.typed
        answer = sends(who, EDIT, typed)
        assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY, name
        assert wrong.says in beside(answer.text, wrong.at), name
        at = editing_id(wrong.at)
        assert f'href="#{at}"' in answer.text.partition('id="policy"')[0], "a link from the top"
        assert f'id="{at}"' in answer.text, name
        kept = policy_in(Sheet.of(answer.text).pairs)
        kept |= {"unused_after.unit": typed["unused_after.unit"]}
        assert kept == {each: texts for each, texts in policy_in(typed).items() if texts}, name
    assert newest(desk.town) == before
    assert desk.audited() == []


def test_what_billing_cannot_do_is_said_while_somebody_types(desk: Desk) -> None:
    town, who = desk.town, desk.person("editor")
    with town.database.transaction() as connection:
        settings = {"billing": "standard", "billing_settings": {"can": "cancel"}}
        products.change(connection, town.product.id, settings)
    for path in (WHAT_IF, EDIT):
        page = sends(who, path, form(who)).text
        assert "write on_no_answer: cancel_at_period_end" in beside(page, "on_no_answer")


def test_a_field_with_a_problem_says_so_to_those_who_listen(desk: Desk) -> None:
    who = desk.person("editor")
    page = sends(who, EDIT, form(who) | {"unused_after": ["x"]}).text
    (tag,) = re.findall(r'<input[^>]* id="unused_after"[^>]*>', page)
    assert 'aria-invalid="true"' in tag
    assert 'aria-describedby="h-unused_after e-unused_after"' in tag
    assert page.count('aria-invalid="true"') == 1


def test_several_problems_stand_each_at_its_own(desk: Desk) -> None:
    desk.town.put_in_force(RICH)
    who = desk.person("editor")
    several = {"unused_after": [""], "pace.ramp": ["5"], "segments[1].when.plan": [""]}
    page = sends(who, EDIT, form(who) | several).text
    top = page.partition('id="policy"')[0]
    links = re.findall(r'<li><a href="#([^"]+)">([^<]+)</a>', top)
    assert links == [
        ("unused_after", "Stopped using"),
        ("pace-ramp", "Ramp"),
        ("segments-1", "Segment 2"),
    ]
    assert "Says not whom it is about: add" in page


def test_rows_are_added_without_a_script_and_nothing_is_lost(desk: Desk) -> None:
    """Every button of the form is pressed once; what was typed before is there after each."""
    desk.town.put_in_force(RICH)
    who = desk.person("viewer")
    typed = form(who) | {"unused_after": ["P9M"], "answer_within": ["oops"]}
    page = sends(who, WHAT_IF, typed).text
    buttons = Sheet.of(page).does()
    assert {each.partition(":")[0] for each in buttons} == {"add", "remove", "own", "same"}
    for do in buttons:
        what, _, at = do.partition(":")
        after = Sheet.of(sends(who, WHAT_IF, typed, button={"do": do}).text).pairs
        assert after["unused_after"] == ["P9M"], do
        assert after["answer_within"] == ["oops"], do
        gone = {name for name in typed if name not in after}
        if what in ("remove", "same"):
            assert gone, do
            assert all(name.startswith(at) for name in gone), do
        else:
            assert gone == set(), do
            assert set(after) - set(typed), do


def test_a_group_is_made_in_three_steps_without_a_script(desk: Desk) -> None:
    who = desk.person("editor")
    step = Sheet.of(sends(who, WHAT_IF, form(who), button={"do": "add:segments"}).text).pairs
    step |= {"segments[0].when.country": ["fr"], "segments[0].change": ["unused_after"]}
    step = Sheet.of(sends(who, WHAT_IF, step, button={"do": "own:segments[0]"}).text).pairs
    assert step["segments[0].unused_after"] == ["1"], "it begins as the one above"
    step["segments[0].unused_after"] = ["P3M"]
    refused = sends(who, EDIT, step)
    assert "&#39;fr&#39; is not known" in beside(refused.text, "segments[0].when.country")
    done = sends(who, EDIT, step | {"segments[0].when.country": ["FR"]})
    assert done.status_code == HTTPStatus.SEE_OTHER
    assert body_of(desk.town, newest(desk.town))["segments"] == [
        {"when": {"country": ["FR"]}, "unused_after": "P3M"}
    ]


# --- proposing -------------------------------------------------------------------------------


def test_a_form_sent_twice_proposes_once(desk: Desk) -> None:
    who = desk.person("editor", name="eve")
    typed = form(who) | {"unused_after": ["P9M"]}
    before = newest(desk.town)
    first, second = (sends(who, EDIT, typed) for _ in range(2))
    assert first.location == second.location
    assert newest(desk.town) == before + 1
    assert [line[0] for line in desk.audited()] == ["policy_proposed"]
    assert form(who)["key"] != typed["key"]


def test_two_editors_at_once_lose_nothing(desk: Desk) -> None:
    eve, bob = desk.person("editor", name="eve"), desk.person("editor", name="bob")
    mine = form(eve) | {"unused_after": ["P9M"], "answer_within": ["P28D"]}
    theirs = form(bob) | {"unused_after": ["P5M"]}
    assert sends(bob, EDIT, theirs).status_code == HTTPStatus.SEE_OTHER
    between = newest(desk.town)
    answer = sends(eve, EDIT, mine)
    assert answer.status_code == HTTPStatus.CONFLICT
    assert newest(desk.town) == between
    assert f"console:bob has proposed version {between} meanwhile" in answer.text
    differing = re.findall(r'<tr><th scope="row">(.*?)</th><td data-label="Before">', answer.text)
    assert differing == ["Stopped using", "Answer within"]
    assert '<strong><span dir="auto">9 months (P9M)</span></strong>' in answer.text
    again = Sheet.of(answer.text).pairs
    assert again["unused_after"] == ["P9M"]
    assert again["seen"] == [str(between)]
    done = sends(eve, EDIT, again)
    assert done.location.endswith(f"/versions/{between + 1}")
    assert body_of(desk.town, between + 1)["unused_after"] == "P9M"


def test_whoever_goes_back_and_changes_what_they_proposed_loses_nothing(desk: Desk) -> None:
    who = desk.person("editor", name="eve")
    typed = form(who) | {"unused_after": ["P9M"]}
    sends(who, EDIT, typed)
    answer = sends(who, EDIT, typed | {"unused_after": ["P8M"]})
    assert answer.status_code == HTTPStatus.CONFLICT
    again = Sheet.of(answer.text).pairs
    assert again["unused_after"] == ["P8M"]
    assert sends(who, EDIT, again).status_code == HTTPStatus.SEE_OTHER


@pytest.mark.parametrize("seen", [[], ["x"], ["-1"], ["9" * 30]])
def test_a_form_that_does_not_say_what_it_saw_is_a_stale_one(desk: Desk, seen: list[str]) -> None:
    who = desk.person("editor")
    answer = sends(who, EDIT, form(who) | {"seen": seen, "unused_after": ["P9M"]})
    assert answer.status_code == HTTPStatus.CONFLICT


def test_more_people_than_the_caps_allow_is_said_at_the_ramp(desk: Desk) -> None:
    desk.town.join(*(row(f"p{each}") for each in range(24)))
    body = YEAR | {"pace": {"ramp": ["100%"]}, "guards": {"max_newly_due_share": "50%"}}
    who = desk.person("editor")
    typed = form(who) | editing.filled(policies.write(policies.read(body)))
    answer = sends(who, EDIT, typed)
    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "Would ask 24 people at once" in beside(answer.text, "pace.ramp")
    assert 'href="#pace-ramp">Ramp</a>' in answer.text
    slower = sends(who, EDIT, typed | {"pace.ramp": ["1, 100%"]})
    assert slower.status_code == HTTPStatus.SEE_OTHER


def test_a_viewer_looks_and_tries_but_does_not_propose(desk: Desk) -> None:
    who = desk.person("viewer")
    page = who.get(EDIT).text
    assert 'id="propose"' not in page
    assert "proposing needs the role of an editor" in page
    assert sends(who, WHAT_IF, form(who)).status_code == HTTPStatus.OK
    assert sends(who, EDIT, form(who)).status_code == HTTPStatus.FORBIDDEN


def test_trying_out_changes_nothing(people: Desk, everything: Any) -> None:
    who = people.person("editor")
    typed = form(who)
    before = everything()
    for path in (EDIT, f"{EDIT}?months=6", "/console/products/tv/"):
        assert who.get(path).status_code == HTTPStatus.OK
        assert who.client.head(path, base_url=BASE).status_code == HTTPStatus.OK
    for path in (WHAT_IF, f"{WHAT_IF}.csv"):
        assert sends(who, path, typed).status_code == HTTPStatus.OK
    assert sends(who, WHAT_IF, typed, button={"do": "add:segments"}).status_code == HTTPStatus.OK
    assert sends(who, EDIT, typed | {"unused_after": [""]}).status_code == 422
    assert everything() == before
    assert who.get(WHAT_IF).location == EDIT


# --- sessions --------------------------------------------------------------------------------


def test_a_form_of_a_session_that_ended_is_shown_again_and_does_nothing(desk: Desk) -> None:
    """It was sent while nobody was signed in; they sign in elsewhere, and reload."""
    eve = desk.person("editor", name="eve")
    typed = form(eve) | {"unused_after": ["P9M"], "reminders[0]": ["oops"]}
    before = newest(desk.town)
    stranger = desk.stranger()
    out = sends(stranger, EDIT, typed | {"csrf": [eve.csrf]})
    assert out.status_code == HTTPStatus.UNAUTHORIZED
    assert "nothing you typed is lost" in out.text
    assert "oops" not in out.text, "what strangers send is not shown"
    again = desk.person("editor", name="eve")
    for path in (EDIT, WHAT_IF):
        page = sends(again, path, typed | {"csrf": [eve.csrf]})
        assert page.status_code == HTTPStatus.OK
        assert "What you typed before is here again. Nothing has been proposed." in page.text
        kept = Sheet.of(page.text).pairs
        assert kept["unused_after"] == ["P9M"]
        assert kept["reminders[0]"] == ["oops"]
        assert kept["csrf"] == [again.csrf]
    assert newest(desk.town) == before
    assert desk.audited() == []
    done = sends(again, EDIT, kept | {"reminders[0]": ["7"]})
    assert done.status_code == HTTPStatus.SEE_OTHER


def test_a_form_from_elsewhere_is_not_even_shown(desk: Desk) -> None:
    who = desk.person("editor")
    typed = form(who)
    for origin in (None, "null", "https://evil.example", f"{BASE}.evil.example"):
        for path in (EDIT, WHAT_IF, f"{WHAT_IF}.csv"):
            answer = who.client.post(
                path,
                base_url=BASE,
                data=typed,
                headers={} if origin is None else {"Origin": origin},
            )
            assert answer.status_code == HTTPStatus.FORBIDDEN, (origin, path)
    assert newest(desk.town) == 1


def test_other_forms_of_an_old_session_are_refused_as_before(desk: Desk) -> None:
    who = desk.person("editor")
    answer = who.client.post(
        "/console/products/tv/pause", base_url=BASE, data={"csrf": "x"}, headers=ORIGIN
    )
    assert answer.status_code == HTTPStatus.FORBIDDEN
    assert desk.stranger().post("/console/products/tv/pause").text.count("reload it") == 0


# --- attacks, sizes and headers ------------------------------------------------------------------

EVIL = "<img src=x onerror=alert(1)>\"'{{7*7}}"


def test_nothing_typed_becomes_html(desk: Desk) -> None:
    desk.town.put_in_force(RICH)
    who = desk.person("editor")
    whole = form(who)
    for name in whole:
        if name in ("csrf", "key", "seen") or name.endswith(".own"):
            continue
        for headers in ({}, BY_SCRIPT):
            answer = sends(who, WHAT_IF, whole | {name: [EVIL]}, headers)
            assert answer.status_code == HTTPStatus.OK
            assert "<img" not in answer.text, name
            assert ">49" not in answer.text, name
    for odd in ({f"segments[{EVIL}].own": ["x"]}, {f"reminders[0]{EVIL}": ["x"]}, {"do": [EVIL]}):
        assert "<img" not in sends(who, WHAT_IF, whole | odd).text


def test_odd_forms_never_break_it(desk: Desk) -> None:
    who = desk.person("editor")
    whole = form(who)
    odd: list[Typed] = [
        {},
        {"unused_after": ["\0", "x"]},
        {"segments[9999].own": ["", "pace", "terms", "unused_after"]},
        {"segments[10000].own": [""]},
        {"reminders[0][0]": ["x"], "reminders": ["x"]},
        {"keep_categories[0].name": ["__proto__"], "keep_categories[0]": ["P1Y"]},
        {"pace.ramp": ["1," * 5000]},
        {"unused_after": ["P" + "9" * 3000 + "Y"]},
        {"before_renewal.off": ["on"], "erase_after.off": ["on"]},
        {"on_no_answer": ["suspend", "nothing"]},
    ]
    for each in odd:
        for do in (
            "",
            "add:",
            "add:pace",
            "remove:",
            "own:x",
            "same:x",
            "add:segments[0].reminders",
        ):
            answer = sends(who, WHAT_IF, whole | each, button={"do": do})
            assert answer.status_code == HTTPStatus.OK, (each, do)
    assert sends(who, WHAT_IF, {}).status_code == HTTPStatus.OK
    assert sends(who, EDIT, {}).status_code == HTTPStatus.UNPROCESSABLE_ENTITY


def test_a_hundred_groups_fit_and_a_flood_does_not(desk: Desk) -> None:
    who = desk.person("editor")
    segments = [
        {"when": {"plan": [f"plan {n}"]}, "unused_after": "P6M", "reminders": ["P3D", "P9D"]}
        for n in range(100)
    ]
    desk.town.put_in_force(YEAR | {"segments": segments})
    typed = form(who)
    done = sends(who, EDIT, typed | {"unused_after": ["P7M"]})
    assert done.status_code == HTTPStatus.SEE_OTHER
    assert len(body_of(desk.town, newest(desk.town))["segments"]) == 100
    flood = sends(who, EDIT, typed | {"unused_after": ["9" * 300_000]})
    assert flood.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert (
        sends(who, "/console/products/tv/pause", typed | {"x": ["9" * 20_000]}).status_code == 413
    )


def test_only_pages_with_scripts_may_have_any_and_only_our_own(desk: Desk) -> None:
    who = desk.person("editor")
    for page in (who.get(EDIT), sends(who, WHAT_IF, form(who))):
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'; connect-src 'self';" in policy
        assert "unsafe" not in policy
        assert page.headers["Cache-Control"] == "no-store"
        assert "<script>" not in page.text
        assert not re.search(r"\son[a-z]+=", page.text)
        assert "style=" not in page.text
        config = re.search(r"name=\"htmx-config\" content='(.*?)'", page.text)
        assert config is not None
        assert '"allowEval":false' in config[1]
        assert '"includeIndicatorStyles":false' in config[1]
        for name in re.findall(r'<script src="([^"]+)"', page.text):
            assert who.get(name).status_code == HTTPStatus.OK
    assert "script-src" not in who.get("/console/products/tv/").headers["Content-Security-Policy"]


def test_scripts_are_kept_for_ever_and_no_other_file_is_given(desk: Desk) -> None:
    stranger = desk.stranger()
    for name, content in static.TEXTS.items():
        answer = stranger.get(f"/console/static/{name}")
        assert answer.data == content
        assert answer.mimetype == "text/javascript"
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for name in ("editor.js", "htmx-LICENSE.txt", "..%2Fpage.css", "x"):
        assert stranger.get(f"/console/static/{name}").status_code == HTTPStatus.NOT_FOUND
    version = HTMX.removeprefix("htmx-").removesuffix(".js")
    assert f'version:"{version}"'.encode() in static.TEXTS[HTMX]
    assert "Zero-Clause BSD" in FOLDER.joinpath("htmx-LICENSE.txt").read_text("utf-8")
    assert len(FOLDER.joinpath("editor.js").read_text("utf-8").splitlines()) <= 60


def test_the_editor_asks_the_database_little_and_is_small(
    people: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.town.put_in_force(RICH)
    who = people.person("editor")
    typed = form(who)
    with counted(monkeypatch) as said:
        page = who.get(EDIT)
    assert len(said) <= 20, said
    assert len(page.data) < 60_000
    with counted(monkeypatch) as said:
        part = sends(who, WHAT_IF, typed, BY_SCRIPT)
    assert len(said) <= 20, said
    assert len(part.data) < 20_000


def test_collecting_a_page_gives_what_it_was_filled_with(desk: Desk) -> None:
    """What the templates write is what the form is read from: names, rows and ticks."""
    desk.town.put_in_force(RICH)
    typed = form(desk.person("viewer"))
    found = policies.read(Collected.of(typed).raw)
    assert policies.write(found) == policies.write(policies.read(RICH))
