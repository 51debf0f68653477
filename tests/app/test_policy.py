"""What a product team may tune, and what they read when it is refused."""

import json
from datetime import date, time, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.policy import (
    Guards,
    Pace,
    Period,
    Policy,
    PolicyRefused,
    Terms,
    When,
    knobs,
    read,
    write,
)

EXAMPLE = """{
  "never_used_after": "P1Y", "unused_after": "P2Y",
  "before_renewal": {"intervals": ["year"], "unused_for": "P6M", "ask_ahead": "P45D"},
  "answer_within": "P30D", "reminders": ["P7D", "P21D"], "ask_again_after": "P1Y",
  "on_no_answer": "suspend", "when_unreachable": "wait",
  "erase_after": null, "erasure_warnings": ["P60D", "P14D"], "erasure_approval": "two_people",
  "keep_categories": {"invoices": "P10Y"},
  "segments": [{"when": {"country": ["FR"], "interval": ["year"]}, "unused_after": "P6M"}],
  "pace": {"notices_per_day": 50000, "ramp": [10, 100, "1%", "10%", "100%"],
           "send_between": ["09:00", "20:00"]},
  "guards": {"usage_feed_max_age": "PT36H", "max_newly_due_share": "2%",
             "max_bounce_rate": "5%", "max_complaint_rate": "0.1%", "max_in_use_rate": "10%"}
}"""
QUICK = settings(max_examples=100, deadline=None, derandomize=True)


def make(**fields: Any) -> Policy:
    return read({"on_no_answer": "suspend"} | fields)


def faults(raw: object, inherit: Policy | None = None) -> list[str]:
    """Read a policy that is refused, and give the paths of all that is wrong."""
    with pytest.raises(PolicyRefused) as caught:
        read(raw, inherit=inherit)
    assert all(path and what and mend for path, what, mend in caught.value.problems)
    assert all(path in str(caught.value) for path, _, _ in caught.value.problems)
    return [path for path, _, _ in caught.value.problems]


def nested(path: str, value: Any) -> dict[str, Any]:
    """Give the JSON that has one value at a dotted path."""
    first, _, rest = path.partition(".")
    return {first: nested(rest, value) if rest else value}


# --- reading and writing -------------------------------------------------------------------


def test_the_example_of_the_contract_is_read_and_written_back_unchanged() -> None:
    assert write(read(json.loads(EXAMPLE))) == json.loads(EXAMPLE)


def test_the_example_of_the_contract_means_what_it_says() -> None:
    policy = read(json.loads(EXAMPLE), version=4)

    assert policy.version == 4
    assert policy.terms.unused_after == Period(months=24)
    assert policy.terms.before_renewal is not None
    assert policy.terms.before_renewal.ask_ahead == Period(days=45)
    assert policy.pace.ramp == (10, 100, 0.01, 0.1, 1.0)
    assert policy.pace.send_between == (time(9), time(20))
    assert policy.guards.max_complaint_rate == pytest.approx(0.001)
    assert policy.guards.max_in_use_rate == pytest.approx(0.1)
    assert policy.guards.usage_feed_max_age.exactly() == timedelta(hours=36)
    assert policy.keep_categories == (("invoices", Period(months=120)),)


def test_what_is_left_out_has_its_safe_default() -> None:
    policy, terms = make(), make().terms

    assert (terms.never_used_after, terms.unused_after) == (Period(12), Period(24))
    assert (terms.answer_within, terms.reminders) == (
        Period(days=30),
        (Period(days=7), Period(days=21)),
    )
    assert (terms.ask_again_after, terms.when_unreachable) == (Period(12), "wait")
    assert (terms.erase_after, terms.before_renewal, policy.segments) == (None, None, ())
    assert (policy.pace, policy.guards) == (Pace(), Guards())
    assert (policy.erasure_warnings, policy.erasure_approval) == (
        (Period(days=60), Period(days=14)),
        "two_people",
    )


def test_the_first_policy_of_a_product_says_what_silence_means() -> None:
    assert faults({}) == ["on_no_answer"]


def test_a_later_policy_takes_over_what_silence_means() -> None:
    before = make(on_no_answer="cancel_at_period_end", answer_within="P60D")
    after = read({}, inherit=before)

    assert after.terms.on_no_answer == "cancel_at_period_end"
    assert after.terms.answer_within == Period(days=30)


def test_a_later_policy_may_change_what_silence_means() -> None:
    assert read({"on_no_answer": "nothing"}, inherit=make()).terms.on_no_answer == "nothing"


def test_a_policy_can_be_kept_in_a_set() -> None:
    assert len({read(json.loads(EXAMPLE)), read(json.loads(EXAMPLE))}) == 1


DAYS = st.integers(22, 300).map(lambda n: f"P{n}D")
MONTHS = st.integers(1, 100).map(lambda n: f"P{n}M")
MIXED = st.tuples(st.integers(1, 5), st.integers(1, 11), st.integers(1, 28)).map(
    lambda n: f"P{n[0]}Y{n[1]}M{n[2]}D"
)
LONG = st.one_of(DAYS.filter(lambda text: int(text[1:-1]) > 30), MONTHS, MIXED)
SHARE = st.integers(1, 1000).map(lambda n: f"{n / 100:g}%")
WORDS = st.lists(st.sampled_from(["basic", "plus", "Profi 2"]), min_size=1, max_size=3, unique=True)
TERMS = {
    "on_no_answer": st.sampled_from(["suspend", "cancel_at_period_end", "nothing"]),
    "never_used_after": LONG,
    "unused_after": LONG,
    "ask_again_after": LONG,
    "when_unreachable": st.sampled_from(["wait", "suspend"]),
    "erase_after": st.none() | LONG,
    "reminders": st.lists(st.integers(1, 13), max_size=5, unique=True).map(
        lambda days: [f"P{n}D" for n in sorted(days)]
    ),
    "before_renewal": st.none()
    | st.fixed_dictionaries(
        {
            "intervals": st.lists(st.sampled_from(["month", "year"]), min_size=1, max_size=2),
            "unused_for": LONG,
            "ask_ahead": st.integers(307, 365).map(lambda n: f"P{n}D"),
        }
    ),
    "answer_within": DAYS,
}
WHEN = st.fixed_dictionaries(
    {"plan": WORDS},
    optional={
        "country": st.just(["FR", "DE"]),
        "interval": st.just(["year"]),
        "currency": st.just(["EUR"]),
    },
)
POLICIES = st.fixed_dictionaries(
    {"on_no_answer": TERMS["on_no_answer"]},
    optional={name: how for name, how in TERMS.items() if name != "on_no_answer"}
    | {
        "erasure_warnings": st.lists(DAYS, min_size=2, max_size=5, unique=True),
        "erasure_approval": st.just("two_people"),
        "keep_categories": st.dictionaries(
            st.from_regex(r"[a-z][a-z0-9_]{0,40}", fullmatch=True), LONG, max_size=3
        ),
        "segments": st.lists(
            st.tuples(WHEN, st.fixed_dictionaries({}, optional=TERMS)).map(
                lambda s: {"when": s[0]} | s[1]
            ),
            max_size=3,
        ),
        "pace": st.fixed_dictionaries(
            {},
            optional={
                "notices_per_day": st.integers(1, 100_000_000),
                "ramp": st.lists(st.integers(1, 10_000_000), max_size=10).map(
                    lambda n: [*sorted(n), "100%"]
                ),
                "send_between": st.just(["00:00", "23:59"]),
            },
        ),
        "guards": st.fixed_dictionaries(
            {},
            optional={
                "usage_feed_max_age": st.sampled_from(["PT1H", "PT90M", "P1DT12H", "P30D"]),
                "max_newly_due_share": SHARE,
                "max_bounce_rate": SHARE,
                "max_complaint_rate": SHARE,
                "max_in_use_rate": SHARE,
            },
        ),
    },
)


@QUICK
@given(POLICIES)
def test_every_knob_survives_being_written_and_read_again(raw: dict[str, Any]) -> None:
    policy = read(raw)
    written = json.loads(json.dumps(write(policy)))

    assert read(written) == policy
    assert write(read(written)) == written


@pytest.mark.parametrize("shape", [Terms, Policy, Pace, Guards, When])
def test_every_knob_says_what_it_is_and_what_may_be_written(shape: type[Any]) -> None:
    assert all(
        each.metadata["label"] and each.metadata["hint"] and each.metadata["kind"].says()
        for each in knobs(shape)
    )


# --- limits --------------------------------------------------------------------------------

LIMITS = [
    ("never_used_after", "P7D", "P10Y", "P6D", "P10Y1D"),
    ("unused_after", "P1W", "P120M", "P1D", "P121M"),
    ("ask_again_after", "P30D", "P10Y", "P29D", "P11Y"),
    ("answer_within", "P22D", "P1Y", "P6D", "P366D"),
    ("erase_after", "P30D", "P10Y", "P29D", "P10Y1D"),
    ("pace.notices_per_day", 1, 100_000_000, 0, 100_000_001),
    ("guards.usage_feed_max_age", "PT1H", "P30D", "PT59M", "P31D"),
    ("guards.max_newly_due_share", "0.0001%", "100%", "0%", "100.1%"),
    ("guards.max_bounce_rate", "1%", "50%", "0.0%", "51%"),
    ("guards.max_complaint_rate", "1%", "10%", "0%", "10.01%"),
    ("guards.max_in_use_rate", "1%", "50%", "0%", "50.1%"),
]


@pytest.mark.parametrize(("path", "low", "high", "under", "over"), LIMITS)
def test_a_knob_moves_between_its_limits_and_not_beyond(
    path: str, low: Any, high: Any, under: Any, over: Any
) -> None:
    make(**nested(path, low))
    make(**nested(path, high))
    assert faults({"on_no_answer": "suspend"} | nested(path, under)) == [path]
    assert faults({"on_no_answer": "suspend"} | nested(path, over)) == [path]


NOT_DURATIONS = [
    "",
    " ",
    "0",
    "P",
    "PT",
    "P0D",
    "-P30D",
    "P-30D",
    "30",
    "30D",
    "P30",
    "P1.5Y",
    "p30d",
    "P30D ",
    "P1Y\n",
    "P1D1Y",
    "P\u0663\u0660D",
    "P" + "9" * 7 + "Y",
    "P" + "9" * 5000 + "D",
    0,
    -1,
    30,
    1e400,
    float("nan"),
    True,
    None,
    [],
    {},
    ["P30D"],
]


@pytest.mark.parametrize("value", NOT_DURATIONS)
def test_a_mistyped_duration_is_refused(value: Any) -> None:
    assert faults({"on_no_answer": "suspend", "unused_after": value}) == ["unused_after"]


@pytest.mark.parametrize("value", ["P30DT1H", "PT9000H", "P1YT1M"])
def test_a_promise_counts_days_and_no_hours(value: str) -> None:
    assert faults({"on_no_answer": "suspend", "answer_within": value}) == ["answer_within"]


MISTYPED: list[tuple[str, list[Any]]] = [
    ("on_no_answer", ["", "delete", "SUSPEND", None, 0, True, ["suspend"], {}]),
    ("when_unreachable", ["", "erase", None]),
    ("erasure_approval", ["", "one_person", None]),
    ("pace.notices_per_day", ["", "50000", -1, 10**30, 1.0, 1e400, True, None]),
    (
        "pace.send_between",
        [
            None,
            [],
            ["09:00"],
            ["09:00", "20:00", "21:00"],
            ["20:00", "09:00"],
            ["09:00", "09:00"],
            ["9:00", "20:00"],
            ["09:00", "24:00"],
            "09:00-20:00",
            ["09:00:30", "20:00"],
            ["09:00+02:00", "20:00"],
            ["09:00", 20],
            {"09:00": 1, "20:00": 2},
        ],
    ),
    (
        "pace.ramp",
        [
            None,
            [],
            [10],
            ["50%"],
            [10, "100%", 20],
            ["100%", 10],
            100,
            "100%",
            [100, 10, "100%"],
            ["10%", "1%", "100%"],
            [1] * 20 + ["100%"],
        ],
    ),
    (
        "guards.max_bounce_rate",
        ["", "5", 5, 0.05, "-5%", "5 %", "5%%", "\u0665%", "0.00001%", None],
    ),
    ("erasure_warnings", [None, "P14D", ["P14D"] * 6]),
    (
        "keep_categories",
        [
            None,
            [],
            {"": "P1Y"},
            {"Invoices": "P1Y"},
            {"a b": "P1Y"},
            {f"c{n}": "P1Y" for n in range(51)},
        ],
    ),
    ("before_renewal", ["", [], "year", 0]),
    ("segments", [None, {}, "FR", [{"when": {"country": ["FR"]}}] * 101]),
    ("pace", [None, [], 5]),
    ("guards", [None, "off"]),
]


@pytest.mark.parametrize(
    ("path", "value"), [(path, one) for path, some in MISTYPED for one in some]
)
def test_a_value_of_the_wrong_kind_is_refused_by_name(path: str, value: Any) -> None:
    assert faults({"on_no_answer": "suspend"} | nested(path, value)) == [path]


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("reminders", ["P7D", "x", "P21D"], "reminders[1]"),
        ("erasure_warnings", ["P13D"], "erasure_warnings[0]"),
        ("keep_categories", {"invoices": "P0D"}, "keep_categories.invoices"),
        ("pace.ramp", [10, 0, "100%"], "pace.ramp[1]"),
        ("pace.ramp", ["0%", "100%"], "pace.ramp[0]"),
        (
            "before_renewal",
            {"intervals": [], "unused_for": "P6M", "ask_ahead": "P45D"},
            "before_renewal.intervals",
        ),
        (
            "before_renewal",
            {"intervals": ["year"], "unused_for": "P6M"},
            "before_renewal.ask_ahead",
        ),
        ("pace", {"speed": 9}, "pace.speed"),
        ("guards", {"off": True}, "guards.off"),
    ],
)
def test_a_fault_inside_a_list_or_an_object_is_named_by_its_path(
    path: str, value: Any, named: str
) -> None:
    assert faults({"on_no_answer": "suspend"} | nested(path, value)) == [named]


@pytest.mark.parametrize("raw", [None, [], "suspend", 3, True])
def test_a_policy_is_an_object(raw: object) -> None:
    assert faults(raw) == ["policy"]


@pytest.mark.parametrize(
    "name", ["unused_afer", "version", "terms", "when", "ask_ahead", "", "x" * 1000]
)
def test_an_unknown_knob_is_refused_and_shown_in_short(name: str) -> None:
    with pytest.raises(PolicyRefused) as caught:
        make(**{name: "P1Y"})

    assert [what for _, what, _ in caught.value.problems] == ["is no knob"]
    assert len(str(caught.value)) < 500


def test_everything_that_is_wrong_is_named_at_once() -> None:
    raw = {
        "unused_after": "2 years",
        "reminders": ["", "P1D", 7],
        "pace": {"notices_per_day": 0, "ramp": []},
        "keep_categories": {"invoices": "", "logs": "P0D"},
        "typo": 1,
        "segments": [
            {"when": {"country": ["france"], "age": ["18"]}, "answer_within": 0, "typo": 1},
            {"when": {}},
            {"when": {"plan": ["basic"]}, "pace": {}},
        ],
    }

    assert sorted(faults(raw)) == sorted(
        [
            "on_no_answer",
            "unused_after",
            "reminders[0]",
            "reminders[2]",
            "pace.notices_per_day",
            "pace.ramp",
            "keep_categories.invoices",
            "keep_categories.logs",
            "typo",
            "segments[0].when.country",
            "segments[0].when.age",
            "segments[0].answer_within",
            "segments[0].typo",
            "segments[1]",
            "segments[2].pace",
        ]
    )


# --- contradictions ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reminders",
    [["P30D"], ["P7D", "P31D"], ["P21D", "P7D"], ["P7D", "P7D"], ["P7D", "P1W"], ["P1M"]],
)
def test_reminders_come_inside_the_window_and_in_order(reminders: list[str]) -> None:
    assert faults({"on_no_answer": "suspend", "reminders": reminders}) == ["reminders"]


def test_no_reminders_at_all_are_allowed() -> None:
    assert make(reminders=[]).terms.reminders == ()


def test_a_shorter_window_needs_earlier_reminders() -> None:
    assert faults({"on_no_answer": "suspend", "answer_within": "P14D"}) == ["reminders"]
    make(answer_within="P14D", reminders=["P7D"])


def early(ask_ahead: str) -> dict[str, Any]:
    return {"intervals": ["year"], "unused_for": "P6M", "ask_ahead": ask_ahead}


def test_an_early_ask_leaves_the_whole_window_and_a_week_before_the_charge() -> None:
    make(before_renewal=early("P37D"))
    assert faults({"on_no_answer": "suspend", "before_renewal": early("P36D")}) == [
        "before_renewal.ask_ahead"
    ]


def test_contradictions_are_named_where_they_are() -> None:
    segments = [
        {"when": {"plan": ["a"]}},
        {"when": {"plan": ["b"]}, "answer_within": "P14D", "before_renewal": early("P20D")},
        {
            "when": {"plan": ["c"]},
            "answer_within": "P7D",
            "reminders": ["P3D"],
            "before_renewal": early("P14D"),
        },
    ]

    assert faults({"on_no_answer": "suspend", "segments": segments}) == [
        "segments[1].reminders",
        "segments[1].before_renewal.ask_ahead",
    ]


# --- segments ------------------------------------------------------------------------------

YEARLY_FRENCH = {"when": {"country": ["FR"], "interval": ["year"]}, "unused_after": "P6M"}


@pytest.mark.parametrize(
    ("facts", "index"),
    [
        (("basic", "FR", "year", "EUR"), 0),
        (("plus", "FR", "year", "CHF"), 0),
        (("plus", "FR", "month", "CHF"), 1),
        (("basic", "DE", "year", "EUR"), None),
        (("basic", "FR", "month", "EUR"), None),
    ],
)
def test_the_first_segment_of_which_every_list_matches_holds(
    facts: tuple[str, str, str, str], index: int | None
) -> None:
    policy = make(
        segments=[YEARLY_FRENCH, {"when": {"currency": ["CHF"], "plan": ["plus", "pro"]}}]
    )

    assert policy.segment_of(*facts) == index


def test_a_segment_has_the_terms_of_the_policy_but_for_what_it_changes() -> None:
    policy = make(answer_within="P60D", segments=[YEARLY_FRENCH])

    assert policy.terms_of(0).unused_after == Period(months=6)
    assert policy.terms_of(0).answer_within == Period(days=60)
    assert policy.terms_of(None) == policy.terms


def test_a_segment_may_switch_off_what_the_policy_has() -> None:
    policy = make(
        erase_after="P10M",
        segments=[{"when": {"country": ["DE"]}, "erase_after": None, "on_no_answer": "nothing"}],
    )

    assert (policy.terms_of(0).erase_after, policy.terms_of(0).on_no_answer) == (None, "nothing")
    assert read(write(policy)) == policy


@pytest.mark.parametrize(
    "when",
    [
        None,
        [],
        {},
        "FR",
        {"country": []},
        {"country": "FR"},
        {"country": ["fr"]},
        {"country": ["FRA"]},
        {"country": [""]},
        {"currency": ["eur"]},
        {"interval": ["decade"]},
        {"plan": [""]},
        {"plan": ["x" * 101]},
        {"plan": ["a\x00"]},
        {"plan": ["\ud800"]},
        {"plan": ["a\nb"]},
        {"age": ["18"]},
        {"gender": ["f"]},
        {"language": ["fr"]},
        {"timezone": ["Europe/Paris"]},
        {"last_used_on": ["2024-01-01"]},
    ],
)
def test_a_segment_is_about_plan_country_interval_or_currency_and_never_the_person(
    when: Any,
) -> None:
    (path,) = faults({"on_no_answer": "suspend", "segments": [{"when": when}]})

    assert path.startswith("segments[0]")


@pytest.mark.parametrize(
    "knob", ["pace", "guards", "erasure_warnings", "erasure_approval", "segments"]
)
def test_a_segment_changes_terms_and_not_the_pace_of_the_product(knob: str) -> None:
    segments = [{"when": {"plan": ["a"]}, knob: write(make())[knob]}]

    assert faults({"on_no_answer": "suspend", "segments": segments}) == [f"segments[0].{knob}"]


# --- durations -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "length", "end"),
    [
        ("2023-01-31", "P1M", "2023-02-28"),
        ("2024-01-31", "P1M", "2024-02-29"),
        ("2024-01-31", "P2M", "2024-03-31"),
        ("2024-02-29", "P1Y", "2025-02-28"),
        ("2024-02-29", "P4Y", "2028-02-29"),
        ("2023-12-31", "P1M", "2024-01-31"),
        ("2024-01-31", "P30D", "2024-03-01"),
        ("2023-01-31", "P30D", "2023-03-02"),
        ("2024-01-31", "P1M1D", "2024-03-01"),
        ("2024-01-15", "P1W", "2024-01-22"),
        ("2023-12-01", "P13M", "2025-01-01"),
    ],
)
def test_a_duration_after_a_day_is_counted_by_the_calendar(
    start: str, length: str, end: str
) -> None:
    assert Period.parse(length).after(date.fromisoformat(start)) == date.fromisoformat(end)


@pytest.mark.parametrize(
    ("end", "length", "start"),
    [
        ("2024-03-31", "P1M", "2024-02-29"),
        ("2024-01-15", "P1M", "2023-12-15"),
        ("2024-03-01", "P45D", "2024-01-16"),
        ("2024-02-29", "P1Y", "2023-02-28"),
    ],
)
def test_a_duration_before_a_day_is_counted_by_the_calendar(
    end: str, length: str, start: str
) -> None:
    assert Period.parse(length).before(date.fromisoformat(end)) == date.fromisoformat(start)


@pytest.mark.parametrize(
    ("text", "shortest"),
    [
        ("P12M", "P1Y"),
        ("P2W", "P14D"),
        ("PT60M", "PT1H"),
        ("PT36H", "PT36H"),
        ("P1Y2M3DT4H5M",) * 2,
        ("P0D",) * 2,
        ("PT90M", "PT1H30M"),
    ],
)
def test_a_duration_is_written_in_its_shortest_form(text: str, shortest: str) -> None:
    assert str(Period.parse(text)) == shortest


@QUICK
@given(st.builds(Period, st.integers(0, 1200), st.integers(0, 4000), st.integers(0, 6000)))
def test_a_duration_reads_back_as_it_was_written(period: Period) -> None:
    assert Period.parse(str(period)) == period


@QUICK
@given(st.dates(date(2000, 1, 1), date(2090, 1, 1)), st.integers(0, 120), st.integers(0, 400))
def test_a_longer_duration_never_ends_sooner(start: date, months: int, days: int) -> None:
    assert Period(months, days).after(start) <= Period(months + 1, days).after(start)
    assert Period(months, days).after(start) < Period(months, days + 1).after(start)
    assert Period(months, days).before(start) <= start <= Period(months, days).after(start)


def test_only_a_period_without_months_has_an_exact_length() -> None:
    assert Period.parse("P1DT1H").exactly() == timedelta(days=1, hours=1)
    with pytest.raises(ValueError, match="P1M"):
        Period.parse("P1M").exactly()


@pytest.mark.parametrize(
    "warnings", [[], ["P30D"], ["P30D", "P30D"]], ids=["none", "one", "twice the same day"]
)
@pytest.mark.parametrize("where", ["terms", "segment"])
def test_who_is_to_be_erased_is_warned_twice_at_least(warnings: list[str], where: str) -> None:
    erasing = {"erase_after": "P10M"}
    segments = {"segments": [{"when": {"country": ["FR"]}} | erasing]}
    body = {"on_no_answer": "suspend", "erasure_warnings": warnings}
    assert read(body).erasure_warnings is not None
    with pytest.raises(PolicyRefused, match="erasure_warnings: are too few"):
        read(body | (erasing if where == "terms" else segments))
