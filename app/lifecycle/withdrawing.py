"""A run is taken back: whoever it asked and who has not answered stands as if they were not asked.

What a person has said stays said, and what billing has done or is just being told is not undone
here: `amends` puts that right. That a round was withdrawn is no answer, so nobody is left in peace
for it; that they are not asked again at once is for whoever takes the run back, who stops the ramp
it belongs to.
"""

from datetime import datetime

from app.lifecycle.case import Case, Outcome, Round, Stage, Step, Verdict, Withdraw, close

RUN_UNDONE = "run_undone"


def withdrawn(case: Case, event: Withdraw, now: datetime) -> Step:
    """Close a round that waits for an answer; a suspension that waits its turn is void with it."""
    current = case.round
    if current is None or event.round != current.number:
        return Step(case, Verdict.OLDER_ROUND)
    if not unanswered(current):
        return Step(case)
    return withdraw(case, now)


def withdraw(case: Case, now: datetime) -> Step:
    """Close the round of a run that is taken back."""
    return close(case, Outcome.WITHDRAWN, now, RUN_UNDONE)


def unanswered(current: Round) -> bool:
    """Say whether nobody has said anything yet, and nothing is done or being done."""
    return (
        current.open
        and current.stage is Stage.ASKED
        and current.word is None
        and not current.in_flight
    )
