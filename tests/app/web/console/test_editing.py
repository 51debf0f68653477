"""The form of a policy: from JSON to what is typed and back, and what its buttons do to it."""

from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from app import policy as policies
from app.policy import PolicyRefused, read, write
from app.web.console import editing
from app.web.console.editing import Collected, Typed, edited, empty, filled, rows
from app.web.console.fields import Shower

DAYS = ["P7D", "P30D", "P6M", "P1Y", "P1Y6M", "P2Y3M10D", "P10Y", "P2W"]
DURATIONS = st.sampled_from(DAYS[1:5])
PLANS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1).map(
    lambda each: each[:100]
)
ODD_PLANS = st.sampled_from(["gold, yearly", 'the "best"', '"', ",", " a", "a ", " ", "a,b", "é"])
WHENS = st.fixed_dictionaries(
    {},
    optional={
        "plan": st.lists(PLANS | ODD_PLANS, min_size=1, max_size=3),
        "country": st.lists(st.sampled_from(["FR", "DE"]), min_size=1, max_size=2),
        "interval": st.lists(
            st.sampled_from(policies.INTERVALS), min_size=1, max_size=3, unique=True
        ),
        "currency": st.just(["EUR"]),
    },
).filter(bool)
TERMS: dict[str, st.SearchStrategy[Any]] = {
    "on_no_answer": st.sampled_from(["suspend", "cancel_at_period_end", "nothing"]),
    "never_used_after": DURATIONS,
    "unused_after": st.sampled_from(DAYS),
    "before_renewal": st.none()
    | st.fixed_dictionaries(
        {
            "intervals": st.just(["year", "month"]),
            "unused_for": DURATIONS,
            "ask_ahead": st.sampled_from(["P45D", "P1M15D", "P1Y"]),
        }
    ),
    "answer_within": st.sampled_from(["P30D", "P5W"]),
    "reminders": st.sampled_from([[], ["P7D"], ["P1D", "P2W", "P21D"]]),
    "ask_again_after": DURATIONS,
    "when_unreachable": st.sampled_from(["wait", "suspend"]),
    "erase_after": st.none() | DURATIONS,
}
BODIES = st.fixed_dictionaries(
    {"on_no_answer": st.just("suspend")},
    optional={name: kind for name, kind in TERMS.items() if name != "on_no_answer"}
    | {
        "segments": st.lists(
            st.tuples(WHENS, st.fixed_dictionaries({}, optional=TERMS)).map(
                lambda both: {"when": both[0], **both[1]}
            ),
            max_size=3,
        ),
        "erasure_warnings": st.sampled_from([["P90D", "P30D"], ["P60D", "P14D"]]),
        "keep_categories": st.dictionaries(
            st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True), DURATIONS, max_size=3
        ),
        "pace": st.fixed_dictionaries(
            {},
            optional={
                "notices_per_day": st.integers(1, 100_000_000),
                "ramp": st.sampled_from([["100%"], [10, 100, "0.5%", "12.25%", "100%"]]),
                "send_between": st.just(["08:30", "19:45"]),
            },
        ),
        "guards": st.fixed_dictionaries(
            {},
            optional={
                "usage_feed_max_age": st.sampled_from(["PT36H", "P3D", "P1DT12H", "PT90M"]),
                "max_bounce_rate": st.sampled_from(["0.0001%", "5%", "12.5%"]),
            },
        ),
    },
)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(BODIES)
def test_every_policy_comes_back_out_of_its_form(body: dict[str, Any]) -> None:
    try:
        policy = read(body)
    except PolicyRefused:
        reject()
    found = Collected.of(filled(write(policy)))
    assert found.problems == []
    assert read(found.raw) == policy


def test_a_field_says_a_duration_in_words_and_as_iso() -> None:
    for typed, unit, told, raw in (
        ("6", "months", "6 months · P6M", "P6M"),
        ("18", "months", "1 year and 6 months · P1Y6M", "P18M"),
        ("p1y6m", "days", "1 year and 6 months · P1Y6M", "P1Y6M"),
        ("2", "weeks", "14 days · P14D", "P2W"),
        (" 45 ", "days", "45 days · P45D", "P45D"),
        ("P1Y2M3D", "iso", "1 year, 2 months and 3 days · P1Y2M3D", "P1Y2M3D"),
        ("", "days", "", ""),
        ("x", "months", "", "x"),
        ("0", "months", "", "P0M"),
        ("6", "iso", "", "6"),
    ):
        form: Typed = empty() | {"unused_after": [typed], "unused_after.unit": [unit]}
        (field,) = [
            each for each in Shower(form, {}, "en_GB").form().terms if each.name == "unused_after"
        ]
        assert (field.said, field.text) == (told, typed)
        assert Collected.of(form).raw["unused_after"] == raw


def test_a_duration_of_one_unit_is_a_number_and_any_other_as_it_is_written() -> None:
    for raw, number, unit in (
        ("P6M", "6", "months"),
        ("P1Y", "1", "years"),
        ("P45D", "45", "days"),
        ("PT36H", "36", "hours"),
        ("P1Y6M", "P1Y6M", "iso"),
        ("PT90M", "PT90M", "iso"),
        ("P1DT12H", "P1DT12H", "iso"),
    ):
        typed = filled({"unused_after": raw})
        assert (typed["unused_after"], typed["unused_after.unit"]) == ([number], [unit])


def test_hours_are_offered_where_they_are_allowed() -> None:
    form = Shower(empty(), {}, "en_GB").form()
    units = {each.name: each.options for each in form.leaves if each.widget == "duration"}
    assert "hours" in units["guards.usage_feed_max_age"]
    assert "hours" not in units["unused_after"]


def test_the_form_of_no_policy_is_the_safe_defaults_and_chooses_nothing() -> None:
    raw = Collected.of(empty()).raw
    assert raw.pop("on_no_answer") == ""
    assert read(raw | {"on_no_answer": "nothing"}) == read({"on_no_answer": "nothing"})
    with pytest.raises(PolicyRefused, match="on_no_answer"):
        read(raw | {"on_no_answer": ""}, inherit=read({"on_no_answer": "suspend"}))


def test_what_is_missing_of_a_form_is_refused_and_no_default() -> None:
    """A form that was cut off on its way, or made before a knob was added, proposes nothing."""
    whole = filled(write(read({"on_no_answer": "suspend", "erase_after": "P1Y"})))
    for name in ("unused_after", "answer_within", "erase_after", "pace.ramp", "on_no_answer"):
        cut = {key: value for key, value in whole.items() if key != name}
        with pytest.raises(PolicyRefused) as refused:
            read(Collected.of(cut).raw)
        assert {path for path, _, _ in refused.value.problems} == {name}


def test_blank_rows_of_a_list_are_none_and_the_others_keep_their_place() -> None:
    typed = empty() | {
        "on_no_answer": ["suspend"],
        "reminders[0]": [" "],
        "reminders[0].unit": ["days"],
        "reminders[1]": ["7"],
        "reminders[4]": ["x"],
    }
    found = Collected.of(typed)
    assert found.raw["reminders"] == ["P7D", "x"]
    assert found.place("reminders[1]") == "reminders[4]"
    assert found.place("reminders") == "reminders"


def test_a_problem_leads_to_its_field_or_to_what_it_is_within() -> None:
    typed = empty() | {
        "segments[7].own": ["", "unused_after"],
        "segments[7].when.country": ["france"],
        "segments[7].unused_after": ["P1X"],
        "keep_categories[2].name": ["invoices"],
        "keep_categories[2]": ["0"],
    }
    found = Collected.of(typed)
    for path, place in (
        ("segments[0].unused_after", "segments[7].unused_after"),
        ("segments[0].when.country", "segments[7].when.country"),
        ("segments[0]", "segments[7]"),
        ("keep_categories.invoices", "keep_categories[2]"),
        ("pace.ramp[3]", "pace.ramp"),
        ("before_renewal.ask_ahead", "before_renewal"),
        ("policy", ""),
        ("segments", ""),
    ):
        assert found.place(path) == place, path


def test_a_category_named_twice_is_a_problem_and_not_the_last_of_both() -> None:
    typed = empty()
    for number in range(2):
        typed |= {f"keep_categories[{number}].name": ["a"], f"keep_categories[{number}]": ["P1Y"]}
    found = Collected.of(typed)
    assert [path for path, _, _ in found.problems] == ["keep_categories.a"]


def test_rows_are_added_and_taken_away_and_nothing_else_is_touched() -> None:
    typed = filled(write(read({"on_no_answer": "suspend"})))
    more = edited(typed, "add:reminders")
    assert rows(more, "reminders") == ["reminders[0]", "reminders[1]", "reminders[2]"]
    assert {name: more[name] for name in typed} == typed
    less = edited(more, "remove:reminders[0]")
    assert rows(less, "reminders") == ["reminders[1]", "reminders[2]"]
    assert Collected.of(less).raw["reminders"] == ["P21D"]
    assert edited(typed, "nonsense:reminders") == edited(typed, "") == typed


def test_a_group_has_terms_of_its_own_that_begin_as_above_and_can_be_given_back() -> None:
    body = {"on_no_answer": "suspend", "reminders": ["P3D"], "unused_after": "P9M"}
    typed = edited(filled(write(read(body))), "add:segments")
    typed |= {"segments[0].when.country": ["FR"], "segments[0].change": ["reminders"]}
    own = edited(typed, "own:segments[0]")
    france = {"when": {"country": ["FR"]}}
    assert Collected.of(own).raw["segments"] == [france | {"reminders": ["P3D"]}]
    assert edited(own, "own:segments[0]") == own, "twice is once"
    back = edited(own, "same:segments[0].reminders")
    assert Collected.of(back).raw["segments"] == [france]
    odd = typed | {"segments[0].change": ["pace"]}
    assert edited(odd, "own:segments[0]") == odd
    gone = edited(own, "remove:segments[0]")
    assert Collected.of(gone).raw["segments"] == []


def test_what_a_group_does_not_name_as_its_own_does_not_count() -> None:
    typed = empty() | {"segments[0].own": [""], "segments[0].unused_after": ["P6M"]}
    assert Collected.of(typed).raw["segments"] == [{"when": {}}]


def test_a_threshold_is_put_into_both() -> None:
    raw = Collected.of(editing.with_threshold(empty(), 9)).raw
    assert (raw["never_used_after"], raw["unused_after"]) == ("P9M", "P9M")


def test_numbers_and_shares_as_people_write_them() -> None:
    for typed, raw in (("2", "2%"), ("2%", "2%"), (" 0,1 % ", "0.1%"), ("", "%"), ("-1", "-1%")):
        form = empty() | {"guards.max_bounce_rate": [typed]}
        assert Collected.of(form).raw["guards"]["max_bounce_rate"] == raw
    for typed, number in (("50000", 50000), ("-3", -3), ("5e3", "5e3"), ("٣", "٣"), ("", "")):
        form = empty() | {"pace.notices_per_day": [typed]}
        assert Collected.of(form).raw["pace"]["notices_per_day"] == number
