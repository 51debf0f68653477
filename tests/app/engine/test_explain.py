"""What is said of one subscription follows where it stands, in English word for word."""

from datetime import timedelta

from app.engine.explain import Explanation, explain
from app.lifecycle.case import AskReview, Concern
from tests.world import Town, row


def told(town: Town, name: str) -> Explanation:
    with town.database.transaction() as connection:
        return explain(connection, town.product, town.id_of(name), town.clock.now())


def test_what_comes_next_follows_where_somebody_stands(town: Town) -> None:
    town.join(row("a"), row("gone", status="canceled"))
    said = [told(town, "gone").next_step, told(town, "a").next_step]
    town.sweep()
    said.append(told(town, "a").next_step)
    town.settle()
    said.append(told(town, "a").next_step)
    town.clock.advance(timedelta(hours=1))
    town.answer("a", "cancel")
    said.append(told(town, "a").next_step)
    town.answer("a", "undo")
    town.clock.advance(timedelta(days=31))
    town.hear()
    town.sweep()
    said.append(told(town, "a").next_step)
    town.settle()
    said.append(told(town, "a").next_step)
    town.clock.advance(timedelta(hours=1))
    town.answer("a", "resume")
    said.append(told(town, "a").next_step)
    assert said == [
        "nothing: is not to be asked",
        "is looked at again on 2024-09-01",
        "the ask is handed over, or withdrawn after three days",
        "silence counts from 2024-10-01 23:00 UTC",
        "billing is told to cancel",
        "billing is told to suspend",
        "data is due to be erased on 2025-08-20",
        "billing is told to resume",
    ]


def test_what_waits_for_a_person_comes_before_silence(town: Town) -> None:
    town.join(row("a"))
    town.settle()
    town.clock.advance(timedelta(hours=1))
    town.tell("a", AskReview(1, Concern.OTHER))
    assert told(town, "a").ahead.code == "looks"
    assert [each.code for each in told(town, "a").blocks] == ["review"]


def test_what_keeps_somebody_from_being_asked_is_said_in_order(town: Town) -> None:
    town.join(row("a", amount="0"), row("gone", status="canceled"), row("mute", email=""))
    assert [each.code for each in told(town, "a").blocks] == ["no_charge"]
    assert told(town, "gone").blocked_by == ["billing says canceled: nothing to ask about"]
    assert told(town, "mute").blocked_by == ["no notice reaches the person: no_address"]
    town.clock.advance(timedelta(days=9))
    silent = told(town, "gone").blocked_by
    assert silent[0].startswith("the feed has been silent since 2024-0")
    assert silent[1:] == ["billing says canceled: nothing to ask about"]
