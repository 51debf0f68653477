"""Workers do what they are called for, and a call that is lost, doubled or forged does no harm."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
import redis
from sqlalchemy import select

from app.lifecycle.case import Lane
from app.store import running
from app.store.running import JOBS
from app.store.tables import job_run
from jobs.broker import NAMESPACE, QUEUE, RedisWaker, open_broker
from jobs.crew import Crew, work
from jobs.outbox import Worker
from tests.world import Town, row

POLL = timedelta(milliseconds=5)


class Told:
    """Endpoints that are told, or that break down."""

    def __init__(self) -> None:
        self.products: list[str] = []
        self.broken = False

    def work(self, product: str, go_on: object) -> tuple[int, bool]:  # noqa: ARG002
        if self.broken:
            raise RuntimeError("ada@subscribers.example")
        self.products.append(product)
        return 0, True


def crew_of(town: Town, told: Told | None = None, stint: timedelta = timedelta(minutes=1)) -> Crew:
    @contextmanager
    def one() -> Iterator[Worker]:
        yield town.worker()

    return Crew(town.database, town.clock, one, told or Told(), stint)


def runs(town: Town) -> dict[str, tuple[int, int, bool, str | None]]:
    table = job_run.c
    with town.database.transaction() as connection:
        rows = connection.execute(
            select(table.job, table.did, table.failed, table.idle, table.stopped)
        )
        return {name: (did, failed, idle, stopped) for name, did, failed, idle, stopped in rows}


def called(town: Town, crew: Crew, job: str, term: int = 0) -> None:
    crew.called(job, town.product.id, term)


def test_a_sweep_and_a_delivery_are_done_and_noted(town: Town) -> None:
    town.join(row("ada"))
    crew = crew_of(town)
    called(town, crew, "sweep")
    called(town, crew, "notice")
    assert runs(town)["sweep"] == (1, 0, True, None)
    assert runs(town)["notice"] == (1, 0, True, None)
    assert town.relay.subjects("ada@subscribers.example")


def test_what_is_done_once_is_not_done_again_by_a_call_that_comes_twice(town: Town) -> None:
    town.join(row("ada"))
    crew = crew_of(town)
    for job in (*JOBS, *JOBS, *JOBS):
        called(town, crew, job)
    assert len(town.relay.sent) == 1
    assert runs(town)["notice"] == (0, 0, True, None)


def test_a_call_of_an_earlier_term_is_not_heard(town: Town) -> None:
    town.join(row("ada"))
    with town.database.transaction() as connection:
        connection.exec_driver_sql(
            "insert into leader (term, backend, seen_at) values (2, 1, '2024-09-01')"
        )
    crew = crew_of(town)
    called(town, crew, "sweep", term=1)
    assert runs(town) == {}
    called(town, crew, "sweep", term=2)
    assert runs(town)["sweep"][0] == 1


def test_a_call_for_a_product_that_does_not_exist_does_nothing(town: Town) -> None:
    crew_of(town).called("sweep", 10_000, 0)
    assert runs(town) == {}


def test_a_job_that_breaks_down_is_noted_without_what_it_was_about(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    told = Told()
    told.broken = True
    called(town, crew_of(town, told), "webhooks")
    assert runs(town)["webhooks"] == (0, 1, True, "failed: RuntimeError")
    assert "subscribers.example" not in capsys.readouterr().err


def test_a_job_gives_way_when_its_time_is_up_and_goes_on_with_the_next_call(town: Town) -> None:
    town.join(*(row(f"p{number}") for number in range(3)))
    hasty = crew_of(town, stint=timedelta(0))
    called(town, hasty, "sweep")
    assert runs(town)["sweep"][2] is False
    called(town, crew_of(town), "sweep")
    assert runs(town)["sweep"][2] is True
    assert all(town.case(f"p{number}").round for number in range(3))


def test_who_is_asked_to_end_begins_nothing_new(town: Town) -> None:
    town.join(row("ada"))
    town.sweep()
    crew = crew_of(town)
    crew.end()
    called(town, crew, "notice")
    assert town.relay.sent == []
    assert runs(town)["notice"] == (0, 0, False, None)


def test_a_stop_in_the_midst_of_a_batch_gives_back_what_was_not_begun(town: Town) -> None:
    town.join(*(row(f"p{number}") for number in range(5)))
    town.sweep()
    worker = town.worker()
    worker.after_act = lambda _: worker.stopping.set()
    worker.work("tv", Lane.NOTICE, lambda: not worker.stopping.is_set())
    assert len(town.relay.sent) == 1
    town.deliver()
    assert len(town.relay.sent) == 5


# --- through Redis -------------------------------------------------------------------------------


@contextmanager
def working(url: str, crew: Crew) -> Iterator[None]:
    hands = work(open_broker(url), crew, threads=2, poll=POLL)
    try:
        yield
    finally:
        crew.end()
        hands.stop(10_000)
        crew.close()


def wait_for(town: Town, job: str) -> None:
    for _ in range(1000):
        if job in runs(town):
            return
        Event().wait(0.01)
    raise AssertionError(f"{job} was not done")


def test_a_call_reaches_a_worker_through_redis(town: Town, redis_url: str) -> None:
    town.join(row("ada"))
    waker = RedisWaker(open_broker(redis_url))
    with working(redis_url, crew_of(town)):
        waker.wake("sweep", town.product.id, 0)
        wait_for(town, "sweep")
    assert town.case("ada").round is not None


def test_a_message_holds_a_product_and_a_term_and_nothing_else(town: Town, redis_url: str) -> None:
    RedisWaker(open_broker(redis_url)).wake("sweep", town.product.id, 7)
    client = redis.Redis.from_url(redis_url)
    (raw,) = client.hgetall(f"{NAMESPACE}:{QUEUE}.msgs").values()
    message = json.loads(raw)
    assert message["args"] == [town.product.id, 7]
    assert message["kwargs"] == {}
    assert set(message["options"]) == {"redis_message_id"}


def test_after_a_flush_of_redis_the_next_call_is_taken(town: Town, redis_url: str) -> None:
    town.join(row("ada"))
    waker = RedisWaker(open_broker(redis_url))
    waker.wake("sweep", town.product.id, 0)
    redis.Redis.from_url(redis_url).flushdb()
    assert waker.waiting() == 0
    with working(redis_url, crew_of(town)):
        waker.wake("sweep", town.product.id, 0)
        wait_for(town, "sweep")
    assert town.case("ada").round is not None


def test_a_forged_message_ends_no_worker(town: Town, redis_url: str) -> None:
    waker = RedisWaker(open_broker(redis_url))
    with working(redis_url, crew_of(town)):
        client = redis.Redis.from_url(redis_url)
        client.rpush(f"{NAMESPACE}:{QUEUE}", "no-such-message")
        waker.wake("no_such_job", town.product.id, 0)
        waker.wake("sweep", -1, 0)
        waker.wake("sweep", town.product.id, 0)
        wait_for(town, "sweep")


def test_where_redis_is_away_nobody_is_woken_and_nothing_is_raised(tmp_path: Path) -> None:
    waker = RedisWaker(open_broker(f"unix://{tmp_path}/nobody.sock"))
    waker.wake("sweep", 1, 1)
    assert waker.waiting() == 0


def test_the_term_of_a_database_without_a_leader_is_none_at_all(town: Town) -> None:
    with town.database.transaction() as connection:
        assert running.term(connection) == 0
        assert running.leader_seen(connection) is None
