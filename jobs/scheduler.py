"""The scheduler: one leader that sees what is due and wakes workers for it.

The leader holds an advisory lock for as long as its session lives, and says once in a while that
it is there; one that hangs is deposed. It does nothing that would be wrong done twice: what is due
stands in PostgreSQL, so the leader may die anywhere, and Redis may lose every call.

On the test clock it also walks: the clock stands until nothing is due, then it moves on to the
next moment at which something is. Where it is to go is kept in the database too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from threading import Event

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from app import log
from app.clock import Clock
from app.store import due, running, testclock
from app.store.database import Database, Session
from app.store.running import BOOKS, ERASING, EVERYTHING, JOBS, SWEEP, Due, Run
from app.world.billing import sandbox
from jobs.broker import Waker

SAY = log.logger("scheduler")
TICK = timedelta(seconds=1)
HURRY = timedelta(milliseconds=100)
"""Between two looks while the test clock is being walked, where there is no news."""
SEEN_EVERY = timedelta(seconds=5)
HANGS_AFTER = timedelta(seconds=60)
A_HANDFUL = 125
"""So many rows are worth another pair of hands."""
MOST_HANDS = 8
MOST_AT_BOOKS = 2
"""Billing answers so many of us at once that ask how things stand; the acts need it more."""
MOST_WAITING = 32
"""With so many calls that nobody has taken up yet, no more are made: there may be no workers."""
LOOK_AGAIN = timedelta(seconds=15)
"""A job that found nothing it could do is called again after this long."""
CALL_AGAIN = timedelta(seconds=3)
"""A call that nobody has answered is made again after this long."""
SWEEP_EVERY = timedelta(minutes=1)
"""Guards want a look even where nobody is due."""
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Scheduler:
    """One candidate for the lead."""

    database: Database
    clock: Clock
    waker: Waker
    tidy: Callable[[], None]
    test: bool = False
    stopping: Event = field(default_factory=Event)
    call_again: timedelta = CALL_AGAIN

    def run(self) -> None:
        """Lead, or stand by until the leader is gone; ends when `stopping` is set."""
        while not self.stopping.is_set():
            try:
                self._candidate()
            except (psycopg.Error, DBAPIError, OSError) as error:
                SAY.warning("database_away", exc_info=error)
            self.stopping.wait(TICK.total_seconds())

    def _candidate(self) -> None:
        with psycopg.connect(self.database.url, autocommit=True, connect_timeout=10) as session:
            session.execute("set timezone to 'UTC'")
            SAY.info("stands_by", why="one leads at a time; this one takes over when it is gone")
            while not self.stopping.is_set():
                term = running.lead(session, self.clock.wall())
                if term is not None:
                    SAY.info("leads", term=term)
                    Leader(self, session, term).lead()
                    return
                if running.depose(session, self.clock.wall() - HANGS_AFTER):
                    SAY.warning("leader_deposed")
                self.stopping.wait(TICK.total_seconds())


@dataclass
class Leader:
    """A term of leading, over one session."""

    scheduler: Scheduler
    session: Session
    term: int
    called: dict[tuple[int, str], datetime] = field(default_factory=dict)
    seen: datetime = LONG_AGO
    tidied: datetime = LONG_AGO
    charged: datetime = LONG_AGO
    waited: dict[tuple[int, str], int] = field(default_factory=dict)

    def lead(self) -> None:
        """Look and wake, until told to stop or deposed; news ends a pause."""
        running.listen(self.session, running.NEWS, testclock.NEWS)
        while not self.scheduler.stopping.is_set() and self._still_leads():
            pause = self._turn()
            if pause:
                running.hear(self.session, pause)

    def _turn(self) -> timedelta:
        """Do one look; a clock that is walked stands still, and so do we, until the next walk."""
        if not self.scheduler.test:
            self._watch()
            return TICK
        clock = testclock.standing(self.session)
        if clock is not None and clock.until is not None:
            return self._walk(clock, clock.until)
        if clock is None or not clock.walked:
            self._watch()
        return TICK

    def _still_leads(self) -> bool:
        wall = self.scheduler.clock.wall()
        if wall - self.seen < SEEN_EVERY:
            return True
        self.seen = wall
        return running.still_leads(self.session, self.term, wall)

    # --- as time passes by itself ------------------------------------------------------------

    def _watch(self) -> None:
        """Wake whoever has something to do."""
        now, wall = self.scheduler.clock.now(), self.scheduler.clock.wall()
        self._charge(now)
        runs = self._runs()
        wanted = [
            (each, job, runs.get((each.product_id, job)))
            for each in running.due(self.session, now, wall)
            for job in JOBS
            if job != ERASING
        ]
        self._call_in_turn([one for one in wanted if self._wanted(*one, wall)], wall)
        self._tidy(wall)

    def _call_in_turn(self, wanted: Sequence[tuple[Due, str, Run | None]], wall: datetime) -> None:
        """Call a hand for each, who was called longest ago first; more hands only where it is calm.

        So a product with a campaign takes what the others leave, and never their turn.
        """
        waiting = self.scheduler.waker.waiting()
        in_turn = sorted(wanted, key=lambda one: self._called(one[0], one[1]))
        in_turn = in_turn[: max(0, MOST_WAITING - waiting)]
        spare = MOST_HANDS - waiting - len(in_turn)
        for each, job, last in in_turn:
            more = max(0, min(spare, _hands(each, job, last) - 1))
            spare -= more
            self._call(each, job, wall, 1 + more)

    def _wanted(self, each: Due, job: str, last: Run | None, wall: datetime) -> bool:
        ended = last.finished_at if last else LONG_AGO
        if job == SWEEP and wall - ended >= SWEEP_EVERY:
            return self._unanswered(each, job, ended, wall)
        if not each.waiting(job):
            return False
        news = self._news(each, job)
        nothing_to_do = last is not None and last.idle and not last.did
        if nothing_to_do and wall - ended < LOOK_AGAIN and not news:
            return False
        return self._unanswered(each, job, ended, wall)

    def _news(self, each: Due, job: str) -> bool:
        """Say whether more waits than at the last look: something came that may well be done."""
        key = (each.product_id, job)
        before, self.waited[key] = self.waited.get(key), each.waiting(job)
        return before is not None and each.waiting(job) > before

    def _unanswered(self, each: Due, job: str, ended: datetime, wall: datetime) -> bool:
        """Say whether no call is under way: the last was answered, or is taken for lost."""
        called = self._called(each, job)
        return ended >= called or wall - called >= self.scheduler.call_again

    def _called(self, each: Due, job: str) -> datetime:
        return self.called.get((each.product_id, job), LONG_AGO)

    def _call(self, each: Due, job: str, wall: datetime, hands: int = 1) -> None:
        self.called[each.product_id, job] = wall
        self.scheduler.waker.wake(job, each.product_id, self.term, hands)

    def _runs(self) -> dict[tuple[int, str], Run]:
        return {(run.product_id, run.job): run for run in running.runs(self.session)}

    def _charge(self, now: datetime) -> None:
        """Let the sandbox charge whom it charges: it stands for a billing system outside."""
        with self.scheduler.database.transaction() as connection:
            moment = sandbox.next_renewal(connection)
            if moment is not None and moment <= now:
                sandbox.charge_due(connection, now)

    def _tidy(self, wall: datetime) -> None:
        if wall - self.tidied < SWEEP_EVERY:
            return
        self.tidied = wall
        try:
            self.scheduler.tidy()
        except Exception as error:  # noqa: BLE001 - who cannot tidy up must still wake the others
            SAY.error("not_tidied", exc_info=error)

    # --- as the test clock is walked -----------------------------------------------------------

    def _walk(self, clock: testclock.Standing, until: datetime) -> timedelta:
        """Wake whoever has something to do at this moment; move on when nobody has."""
        if self.charged != clock.now:
            self._charge(clock.now)
            self.charged = clock.now
        wall = self.scheduler.clock.wall()
        found, runs = running.due(self.session, clock.now, wall), self._runs()
        busy = [each for each in found if not _settled(each, runs, clock.now)]
        for each in busy:
            last = runs.get((each.product_id, EVERYTHING))
            ended = last.finished_at if last else LONG_AGO
            if self._unanswered(each, EVERYTHING, ended, wall):
                self._call(each, EVERYTHING, wall)
        if not busy and not any(each.claimed for each in found):
            self._move(clock, until)
            return timedelta()
        return HURRY

    def _move(self, clock: testclock.Standing, until: datetime) -> None:
        if clock.now >= until:
            testclock.arrived(self.session, until)
            return
        with self.scheduler.database.transaction() as connection:
            moment = self._next(connection, clock)
        testclock.step_to(self.session, min(moment or until, until))

    def _next(self, connection: Connection, clock: testclock.Standing) -> datetime | None:
        """Give the next moment at which something is due, rounded up to the step of the walk."""
        moments = [due.next_moment(connection, clock.now), sandbox.next_renewal(connection)]
        ahead = [each for each in moments if each is not None and each > clock.now]
        if not ahead:
            return None
        return LONG_AGO + ceil((min(ahead) - LONG_AGO) / clock.step) * clock.step


def _hands(each: Due, job: str, last: Run | None) -> int:
    """Say how many hands the work is worth."""
    if job == SWEEP and last is not None and not last.idle:
        return 2  # it ran out of time: a campaign
    worth = max(1, ceil(each.waiting(job) / A_HANDFUL))
    return min(worth, MOST_AT_BOOKS) if job in BOOKS else worth


def _settled(each: Due, runs: dict[tuple[int, str], Run], now: datetime) -> bool:
    """Say whether nothing is left that a product's jobs could do at this moment."""
    if not any(each.waiting(job) for job in JOBS):
        return True
    last = runs.get((each.product_id, EVERYTHING))
    return last is not None and last.at == now and last.idle and not each.forsaken
