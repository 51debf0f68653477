"""Every state a round's page can show, each reached through the engine as in real life."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from app.engine import erasures, holds, reviews
from app.engine.effects import Effects
from app.lifecycle.case import (
    Amend,
    Amends,
    AskReview,
    Concern,
    Declined,
    Erasure,
    Finding,
    Lane,
    Reach,
    StopReminders,
    Undelivered,
)
from app.store.holds import Reason
from tests.graveyard import SOON, Graveyard
from tests.probe import goes, rows
from tests.snapshot import Snapshot
from tests.world import YEAR, Town, row

NAME = "ann"
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
Story = Callable[[Town], object]
REACHED: dict[int, Snapshot] = {}


@dataclass(frozen=True)
class State:
    """How a state comes about: a policy, what happens, and the round whose link is looked at."""

    story: Story
    number: int = 1
    policy: Mapping[str, Any] | None = None
    plan: str = "standard"

    def reach(self, town: Town) -> str:
        """Let it come about, or put it back as it came about before; give the token of the link."""
        reached = REACHED.get(id(self))
        if reached is None:
            self._come_about(town)
            REACHED[id(self)] = Snapshot.of(town.database, town.clock)
        else:
            reached.restore(town.database, town.clock)
        return town.links.answer_token(town.id_of(NAME), self.number)

    def _come_about(self, town: Town) -> None:
        if self.policy is not None:
            town.put_in_force(YEAR | dict(self.policy))
        town.join(row(NAME, plan=self.plan))
        town.settle()
        self.story(town)


# --- what may happen -----------------------------------------------------------------------


def after(*stories: Story) -> Story:
    def all_of_it(town: Town) -> None:
        for story in stories:
            story(town)

    return all_of_it


def says(word: str) -> Story:
    return lambda town: town.answer(NAME, word)


def passes(time: timedelta) -> Story:
    return lambda town: town.clock.advance(time)


def nothing(_: Town) -> None:
    """Nothing more happens."""


def hears(town: Town) -> None:
    town.hear()


def sweeps(town: Town) -> None:
    town.sweep()


def settles(town: Town) -> None:
    town.settle()


def claims(town: Town) -> None:
    Effects(town.database, town.clock, town.links).claim(town.key, Lane.BILLING, 10)


def declines(town: Town) -> None:
    current = town.case(NAME).round
    assert current is not None
    assert current.act is not None
    town.tell(NAME, Declined(current.act, current.act_version))


def bounces(town: Town) -> None:
    town.tell(NAME, Undelivered(Reach.BOUNCED))


def stops_reminders(town: Town) -> None:
    town.tell(NAME, StopReminders(1))


def wants_a_look(town: Town) -> None:
    """Have a person look at the case, an hour after the last that happened."""
    town.clock.advance(timedelta(hours=1))
    event = AskReview(1, Concern.WRONG_CHARGE)
    reviews.ask(town.database, town.clock, town.key, town.id_of(NAME), event)


def is_looked_at(town: Town) -> None:
    number = int(rows(town.database, "select max(id) from review")[0][0])
    town.clock.advance(DAY)
    finding = Finding.AS_IT_SHOULD_BE
    reviews.finish(town.database, town.clock, town.key, number, finding, "cli:eve")


def is_put_right(how: Amends) -> Story:
    return lambda town: town.tell(NAME, Amend(1, how), "cli:eve")


def wants_to_be_erased(town: Town) -> None:
    """Ask for a fresh link and confirm by it, an hour after the last that happened."""
    town.clock.advance(timedelta(hours=1))
    erasures.ask_link(town.database, town.clock, town.key, town.id_of(NAME), 1)
    town.deliver()
    town.clock.advance(MINUTE)
    named = town.links.read_fresh(fresh_token(town))
    assert named is not None
    erasures.request(town.database, town.clock, town.key, named)


def fresh_token(town: Town) -> str:
    """Give the token of the newest fresh link that was mailed."""
    for mail in reversed(town.relay.mails()):
        body = mail.get_body(("plain",))
        found = re.findall(r"/e/([\w.~-]+)", str(body.get_content())) if body else []
        if found:
            return str(found[0])
    raise LookupError


def request_ends(outcome: Erasure) -> Story:
    def ends(town: Town) -> None:
        number = int(rows(town.database, "select max(id) from review")[0][0])
        town.clock.advance(DAY)
        reviews.finish(town.database, town.clock, town.key, number, outcome, "cli:eve")

    return ends


def uses_it(town: Town) -> None:
    town.use(NAME)


def billing_says(**changes: object) -> Story:
    return lambda town: town.join(row(NAME, **changes))


def is_warned(times: int) -> Story:
    """Let billing tell that it is paused, and so many warnings be handed over."""

    def warned(town: Town) -> None:
        town.join(row(NAME, status="paused"))
        Graveyard(town).warn(NAME, times)

    return warned


def comes_due(town: Town) -> None:
    current = town.case(NAME).round
    assert current is not None
    assert current.erase_on is not None
    goes(town, datetime.combine(current.erase_on, time(1), UTC))


def is_held(town: Town) -> None:
    holds.add(
        town.database,
        town.clock,
        town.key,
        holds.Wanted(town.id_of(NAME), Reason.LEGAL),
        "cli:test",
    )


def is_agreed_to(town: Town) -> None:
    yard = Graveyard(town)
    yard.agree(yard.list_them())


def is_begun(town: Town) -> None:
    """Let the eraser begin, and nobody be told yet."""
    Graveyard(town).erasing().eraser.once(town.key)


def parts(town: Town) -> None:
    """Let everybody be told and answer, so that the last notice is about to go out."""
    town.worker().until_idle()
    is_begun(town)


a_month_later = after(passes(32 * DAY), hears)
window_over = after(a_month_later, sweeps)
suspended = after(a_month_later, settles)
canceled = after(says("cancel"), passes(11 * MINUTE), settles)
due = after(suspended, is_warned(2), comes_due)
resumed = after(suspended, says("resume"), passes(MINUTE), settles)

STATES: Mapping[str, State] = {
    # asked
    "asked": State(nothing),
    "asked_without_reminders": State(stops_reminders),
    "asked_or_canceled": State(nothing, policy={"on_no_answer": "cancel_at_period_end"}),
    "asked_or_nothing": State(nothing, policy={"on_no_answer": "nothing"}),
    "asked_without_erasure": State(nothing, policy={"erase_after": None}),
    "asked_and_late": State(passes(40 * DAY)),
    "doubted": State(after(says("keep"), says("cancel"))),
    "doubted_by_a_quick_undo": State(after(says("cancel"), says("undo"))),
    "doubted_while_told": State(
        after(says("cancel"), passes(10 * MINUTE), claims, says("cancel"), says("keep"))
    ),
    "told_while_in_doubt": State(
        after(
            says("cancel"),
            passes(10 * MINUTE),
            claims,
            says("cancel"),
            says("keep"),
            passes(MINUTE),
        )
    ),
    "silence_queued": State(window_over),
    "silence_claimed": State(after(window_over, claims)),
    "silence_parked": State(after(window_over, claims, declines)),
    # recorded, not done
    "cancel_resting": State(says("cancel")),
    "cancel_due": State(after(says("cancel"), passes(11 * MINUTE))),
    "cancel_claimed": State(after(says("cancel"), passes(11 * MINUTE), claims)),
    "cancel_parked": State(after(says("cancel"), passes(11 * MINUTE), claims, declines)),
    "cancel_behind_suspension": State(after(window_over, claims, says("cancel"))),
    "keep_behind_suspension": State(after(window_over, claims, says("keep"))),
    "keep_behind_cancel": State(after(says("cancel"), passes(11 * MINUTE), claims, says("undo"))),
    "keep_parked": State(after(window_over, claims, says("keep"), declines)),
    # suspended
    "suspended": State(suspended),
    "suspended_without_erasure": State(suspended, policy={"erase_after": None}),
    "suspended_data_kept": State(after(suspended, says("keep_data"))),
    "suspended_long_ago": State(after(suspended, passes(60 * DAY))),
    "suspended_doubted": State(after(suspended, says("resume"), says("cancel"))),
    "suspended_cancel_resting": State(after(suspended, says("cancel"))),
    "suspended_by_mistake": State(after(suspended, is_put_right(Amends.APOLOGIZE))),
    "restoring": State(after(suspended, is_put_right(Amends.RESTORE))),
    "restoring_claimed": State(after(suspended, is_put_right(Amends.RESTORE), claims)),
    "restored": State(after(suspended, is_put_right(Amends.RESTORE), settles)),
    "resume_recorded": State(after(suspended, says("resume"))),
    "resume_claimed": State(after(suspended, says("resume"), passes(MINUTE), claims)),
    "resume_parked": State(after(suspended, says("resume"), passes(MINUTE), claims, declines)),
    # canceled
    "canceled": State(canceled),
    "canceled_data_kept": State(after(canceled, says("keep_data"))),
    "canceled_by_silence": State(suspended, policy={"on_no_answer": "cancel_at_period_end"}),
    "canceled_by_mistake": State(
        after(suspended, is_put_right(Amends.APOLOGIZE)),
        policy={"on_no_answer": "cancel_at_period_end"},
    ),
    "canceled_by_billing": State(after(says("keep"), billing_says(status="canceled")), number=2),
    "canceled_resume_recorded": State(after(canceled, passes(MINUTE), says("resume"))),
    "canceled_cancel_recorded": State(
        after(canceled, passes(MINUTE), says("resume"), passes(MINUTE), claims, says("cancel"))
    ),
    "resume_doubted": State(
        after(suspended, says("resume"), passes(MINUTE), claims, says("resume"), says("cancel"))
    ),
    "resume_in_doubt": State(
        after(
            suspended,
            says("resume"),
            passes(MINUTE),
            claims,
            says("resume"),
            says("cancel"),
            passes(MINUTE),
        )
    ),
    "ended": State(after(canceled, passes(40 * DAY))),
    # closed
    "kept": State(says("keep")),
    "kept_a_while_ago": State(after(says("keep"), passes(DAY))),
    "kept_after_a_quick_undo": State(
        after(says("keep"), passes(DAY), says("cancel"), says("undo"))
    ),
    "returned": State(uses_it),
    "resumed": State(resumed),
    "resumed_by_billing": State(
        after(suspended, billing_says(status="paused"), billing_says(amount=999))
    ),
    "withdrawn": State(billing_says(amount=9900)),
    "unreachable": State(bounces),
    "expired": State(suspended, policy={"on_no_answer": "nothing"}),
    "by_billing": State(billing_says(status="paused")),
    "no_longer_charged": State(after(says("keep"), billing_says(status="paused"))),
    # a newer round is open
    "older_kept": State(after(says("keep"), passes(400 * DAY), hears, settles)),
    "older_returned": State(after(uses_it, passes(400 * DAY), hears, settles)),
    "older_by_billing": State(billing_says(status="canceled")),
    # before a person
    "asked_before_a_person": State(wants_a_look),
    "asked_and_late_before_a_person": State(after(wants_a_look, a_month_later, settles)),
    "silence_before_a_person": State(after(window_over, wants_a_look)),
    "told_before_a_person": State(after(window_over, claims, wants_a_look)),
    "chosen_before_a_person": State(after(wants_a_look, passes(MINUTE), says("cancel"))),
    "suspended_before_a_person": State(after(suspended, wants_a_look)),
    "kept_before_a_person": State(after(says("keep"), wants_a_look)),
    "paused_before_a_person": State(after(billing_says(status="paused"), wants_a_look)),
    "asked_and_looked_at": State(after(wants_a_look, is_looked_at)),
    "answered_before_it_could_be_read": State(after(passes(timedelta(seconds=2)), says("keep"))),
    # to be erased
    "suspended_to_be_erased": State(after(suspended, wants_to_be_erased)),
    "canceled_to_be_erased": State(after(canceled, wants_to_be_erased)),
    "ended_to_be_erased": State(after(canceled, passes(40 * DAY), wants_to_be_erased)),
    "erased_and_looked_at": State(after(suspended, wants_a_look, wants_to_be_erased)),
    "charged_to_be_erased": State(
        after(
            suspended,
            billing_says(status="paused"),
            wants_to_be_erased,
            billing_says(status="active", amount=999),
        )
    ),
    # warned, and being erased
    "warned_once": State(after(suspended, is_warned(1)), policy=SOON),
    "warned": State(after(suspended, is_warned(2)), policy=SOON),
    "warned_and_due": State(due, policy=SOON),
    "warned_and_held": State(after(due, is_held), policy=SOON),
    "erasing": State(after(due, is_agreed_to, is_begun), policy=SOON),
    "erasing_on_request": State(after(suspended, wants_to_be_erased, passes(DAY), is_begun)),
    "erasing_and_unreachable": State(after(due, is_agreed_to, is_begun, bounces), policy=SOON),
    "parting": State(after(due, is_agreed_to, is_begun, parts), policy=SOON),
    "erased_by_hand": State(
        after(suspended, wants_to_be_erased, request_ends(Erasure.ERASED_BY_HAND))
    ),
    "erasure_refused": State(
        after(suspended, wants_to_be_erased, request_ends(Erasure.REFUSED_LEGAL))
    ),
    # names that want to be markup
    "hostile_plan": State(nothing, plan="<script>alert(1)</script>{{7*7}}{plan}"),
}
