import json
from collections.abc import Callable
from datetime import date, timedelta
from io import BytesIO

import pytest
from sqlalchemy import text

from app.web.api.shapes import MOST_EVENTS, MOST_TOLD
from app.web.api.usage import LARGEST_JSON, LONGEST_LINE
from tests.app.web.api.conftest import System, problem_in
from tests.probe import asked, rows
from tests.world import Town, row

NDJSON = "application/x-ndjson"
LINE = {"subscription": "ada", "used_at": "2024-08-22"}


def used(town: Town, name: str) -> date | None:
    return town.case(name).subscription.last_used_on


def feed_of(town: Town, name: str) -> tuple[date | None, date | None]:
    statement = f"select covers_from, covers_until from feed where name = '{name}'"  # noqa: S608
    (found,) = rows(town.database, statement)
    return found[0], found[1]


def lines(*events: object) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in events)


# --- JSON --------------------------------------------------------------------------------------


def test_use_is_applied_and_every_event_is_judged_on_its_own(town: Town, app_feed: System) -> None:
    town.join(row("ada"), row("bob"))
    told = app_feed.use(
        {"subscription": "ada", "used_at": "2024-08-22T08:57:25Z"},
        {"subscription": "ada", "used_at": "2024-08-21"},
        {"subscription": "bob", "used_at": "2024-08-20"},
        {"subscription": "eve", "used_at": "2024-08-20"},
        {"subscription": "bob", "used_at": "2024-08-20T10:00:00"},
    )
    assert told == {
        "received": 5,
        "applied": 2,
        "unchanged": 1,
        "unknown": 1,
        "rejected": [
            {
                "index": 4,
                "reason": "used_at has no offset: write RFC 3339, such as 2026-08-22T08:57:25Z",
            }
        ],
        "rejected_total": 1,
    }
    assert (used(town, "ada"), used(town, "bob")) == (date(2024, 8, 22), date(2024, 8, 20))


def test_telling_use_again_changes_nothing(town: Town, app_feed: System) -> None:
    town.join(row("ada"))
    app_feed.use(LINE)
    again = app_feed.use(LINE)
    assert (again["applied"], again["unchanged"]) == (0, 1)


def test_use_of_a_customer_counts_for_all_of_theirs(town: Town, app_feed: System) -> None:
    town.join(row("ada", customer="c1"), row("bob", customer="c1"))
    assert app_feed.use({"customer": "c1", "used_at": "2024-08-22"})["applied"] == 2


def test_unknown_use_is_remembered_until_its_subscription_arrives(
    town: Town, app_feed: System
) -> None:
    assert app_feed.use({"subscription": "eve", "used_at": "2024-08-22"})["unknown"] == 1
    town.join(row("eve"))
    assert used(town, "eve") == date(2024, 8, 22)


def test_use_while_asked_ends_the_round(town: Town, app_feed: System) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    app_feed.use({"subscription": "ada", "used_at": "2024-09-01T11:00:00Z"})
    assert town.stage("ada") == "active"


BAD_EVENTS = {
    "the future": ({"subscription": "ada", "used_at": "2024-09-01T12:06:00Z"}, "future"),
    "a day to come": ({"subscription": "ada", "used_at": "2024-09-03"}, "future"),
    "a naive time": ({"subscription": "ada", "used_at": "2024-08-22T10:00:00"}, "offset"),
    "no time": ({"subscription": "ada", "used_at": "soon"}, "no time"),
    "no time at all": ({"subscription": "ada"}, "used_at"),
    "nobody": ({"used_at": "2024-08-22"}, "name a subscription or a customer"),
    "two": ({"subscription": "a", "customer": "b", "used_at": "2024-08-22"}, "one of the two"),
    "a number": ({"subscription": 7, "used_at": "2024-08-22"}, "Expected str"),
    "a further member": (LINE | {"plan": "gold"}, "no member plan"),
    "an odd member": (LINE | {"4111 1111 1111 1111": 1}, "not known"),
    "a long name": ({"subscription": "a" * 201, "used_at": "2024-08-22"}, "<= 200"),
    "a NUL": ({"subscription": "a\0b", "used_at": "2024-08-22"}, "no id"),
    "a card": ({"subscription": "4111 1111 1111 1111", "used_at": "2024-08-22"}, "no id"),
    "a card as a customer": ({"customer": "4111111111111111", "used_at": "2024-08-22"}, "no id"),
    "not an object": (["ada"], "Expected object"),
    "nothing": (None, "Expected object"),
}


@pytest.mark.parametrize("what", BAD_EVENTS)
@pytest.mark.parametrize("kind", ["application/json", NDJSON])
def test_a_bad_event_rejects_itself_only(
    town: Town, app_feed: System, what: str, kind: str
) -> None:
    town.join(row("ada"))
    bad, reason = BAD_EVENTS[what]
    if kind == NDJSON:
        reply = app_feed.post("usage", lines(bad, LINE), content_type=kind)
    else:
        reply = app_feed.post("usage", {"events": [bad, LINE]})
    told = reply.json
    assert told is not None
    assert (told["received"], told["applied"], told["rejected_total"]) == (2, 1, 1)
    assert told["rejected"][0]["index"] == 0
    assert reason in told["rejected"][0]["reason"]
    assert "4111" not in reply.text
    assert rows(town.database, "select * from unknown_usage") == []


def test_rejected_events_are_listed_up_to_a_thousand_and_all_counted(app_feed: System) -> None:
    told = app_feed.use(*[{"subscription": "ada", "used_at": "x"}] * (MOST_TOLD + 5))
    assert (len(told["rejected"]), told["rejected_total"]) == (MOST_TOLD, MOST_TOLD + 5)
    assert [each["index"] for each in told["rejected"]] == list(range(MOST_TOLD))


def test_more_than_ten_thousand_events_are_refused_and_none_is_applied(
    town: Town, app_feed: System
) -> None:
    town.join(row("ada"))
    reply = app_feed.post("usage", {"events": [LINE] * (MOST_EVENTS + 1)})
    assert (reply.status_code, problem_in(reply)) == (422, "invalid-body")
    assert used(town, "ada") is None


def test_a_key_reaches_only_the_people_of_its_product(town: Town, app_feed: System) -> None:
    other = Town.founded(town.database, town.clock, town.links, "radio")
    other.join(row("ada"))
    assert app_feed.use(LINE)["unknown"] == 1
    assert used(other, "ada") is None


def test_who_told_is_noted_as_the_number_of_the_key(town: Town, app_feed: System) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    app_feed.use({"subscription": "ada", "used_at": "2024-09-01"})
    number = rows(town.database, "select max(id) from apikey")[0][0]
    assert rows(town.database, "select actor from history where what = 'returned'") == [
        (f"api:{number}",)
    ]


# --- what the feed covers ------------------------------------------------------------------------


def test_an_empty_batch_with_through_is_a_heartbeat(town: Town, app_feed: System) -> None:
    town.clock.advance(timedelta(days=3))
    told = app_feed.use(through="2024-09-03")
    assert told["received"] == 0
    assert town.product.hearing.heard_until == date(2024, 9, 3)


def test_events_alone_prove_the_day_before_the_last_of_them(town: Town, app_feed: System) -> None:
    town.clock.advance(timedelta(days=3))
    app_feed.use({"subscription": "ada", "used_at": "2024-09-04"})
    assert feed_of(town, "app")[1] == date(2024, 9, 3)


def test_coverage_never_shrinks(town: Town, app_feed: System) -> None:
    app_feed.use(through="2024-08-01")
    assert feed_of(town, "app")[1] == date(2024, 8, 31)


@pytest.mark.parametrize("kind", ["application/json", NDJSON])
def test_what_is_covered_may_stand_in_the_address(town: Town, app_feed: System, kind: str) -> None:
    town.clock.advance(timedelta(days=3))
    body = b"{}" if kind == "application/json" else b""
    where = "usage?through=2024-09-03&covers_from=1999-01-01"
    assert app_feed.post(where, body, content_type=kind).status_code == 200
    assert feed_of(town, "app") == (date(1999, 1, 1), date(2024, 9, 3))


def test_a_feed_that_reaches_further_back_is_looked_at_anew(
    town: Town, system: Callable[..., System]
) -> None:
    key = system("usage", "web")
    key.use(through="2024-08-31", covers_from="2024-08-01")
    town.join(row("ada"))
    with town.database.transaction() as connection:
        before = connection.scalar(text("select min(due_at) from timer"))
    key.use(covers_from="2020-01-01")
    with town.database.transaction() as connection:
        after = connection.scalar(text("select min(due_at) from timer"))
    assert after < before


@pytest.mark.parametrize("name", ["through", "covers_from"])
@pytest.mark.parametrize(
    "day",
    [
        "2024-09-03",
        "2024-02-30",
        "yesterday",
        "2024-9-1",
        "20240901",
        "\u0662\u0660\u0662\u0664-09-01",
    ],
)
def test_a_day_that_is_none_or_has_not_come_is_refused_and_nothing_is_recorded(
    town: Town, app_feed: System, name: str, day: str
) -> None:
    town.join(row("ada"))
    reply = app_feed.post("usage", {"events": [LINE], name: day})
    assert (reply.status_code, problem_in(reply)) == (422, "invalid-parameter")
    assert day not in reply.text
    assert used(town, "ada") is None


def test_the_feed_of_a_key_without_one_is_made_when_it_first_tells(
    town: Town, system: Callable[..., System]
) -> None:
    system("manage").use({"subscription": "ada", "used_at": "2024-08-22"})
    assert feed_of(town, "api") == (date(2024, 9, 1), date(2024, 8, 21))


def test_a_retired_feed_takes_nothing_more(town: Town, app_feed: System) -> None:
    town.join(row("ada"))
    rows(town.database, "update feed set retired_at = created_at")
    reply = app_feed.post("usage", {"events": [LINE]})
    assert (reply.status_code, problem_in(reply)) == (409, "conflict")
    assert used(town, "ada") is None


def test_a_call_that_tells_nothing_new_of_coverage_writes_nothing(
    town: Town, app_feed: System, everything: Callable[[], dict[str, str]]
) -> None:
    town.join(row("ada"))
    app_feed.use(LINE)
    before = everything()
    app_feed.use(LINE, through="2024-08-31")
    assert everything() == before


# --- NDJSON --------------------------------------------------------------------------------------


def test_ndjson_of_any_length_is_taken(town: Town, app_feed: System) -> None:
    town.join(row("ada"))
    events = [{"subscription": f"x{n % 50}", "used_at": "2024-08-22"} for n in range(25_000)]
    body = lines(*events, LINE)
    told = app_feed.post("usage", body, content_type=NDJSON).json
    assert told is not None
    assert (told["received"], told["applied"], told["rejected_total"]) == (25_001, 1, 0)


def test_blank_lines_and_a_last_line_without_an_end_are_fine(town: Town, app_feed: System) -> None:
    town.join(row("ada"))
    body = b"\n\r\n" + lines(LINE).rstrip() + b"\n \n" + lines(LINE).strip()
    told = app_feed.post("usage", body, content_type=NDJSON).json
    assert told is not None
    assert (told["received"], told["applied"]) == (2, 1)


@pytest.mark.parametrize(
    "bad",
    [
        b"{" * 3,
        b'{"subscription": "\xff", "used_at": "2024-08-22"}',
        b'{"subscription": "\\ud800", "used_at": "2024-08-22"}',
        b'{"subscription": NaN}',
        b"[" * 10_000,
        b'{"subscription": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b" " * (LONGEST_LINE - 1) + b"{}",
        b'"' + b"x" * 100_000 + b'"',
    ],
    ids=["cut", "utf8", "surrogate", "nan", "deep", "deep value", "long", "very long"],
)
def test_a_line_that_cannot_be_read_rejects_itself_only(
    town: Town, app_feed: System, bad: bytes
) -> None:
    town.join(row("ada"))
    body = bad + b"\n" + lines(LINE)
    told = app_feed.post("usage", body, content_type=NDJSON).json
    assert told is not None
    assert (told["received"], told["applied"], told["rejected_total"]) == (2, 1, 1)
    assert told["rejected"][0]["index"] == 0


class Endless(BytesIO):
    """A body that says how far it was read."""

    read_so_far = 0

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.read_so_far += len(found)
        return found


def test_a_hundred_megabytes_of_json_are_refused_before_any_of_it_is_read(app_feed: System) -> None:
    body = Endless(b"[")
    reply = app_feed.open(
        "POST",
        "usage",
        input_stream=body,
        content_type="application/json",
        environ_overrides={"CONTENT_LENGTH": str(100 * 2**20)},
    )
    assert (reply.status_code, problem_in(reply)) == (413, "request-entity-too-large")
    assert body.read_so_far == 0


def test_a_full_batch_with_the_longest_names_is_not_too_large(app_feed: System) -> None:
    used_at = "2024-08-22T08:57:25.123456+00:00"
    events = [{"subscription": f"{n:a>200}", "used_at": used_at} for n in range(MOST_EVENTS)]
    body = json.dumps({"events": events}).encode()
    assert len(body) < LARGEST_JSON
    assert app_feed.post("usage", body).status_code == 200
