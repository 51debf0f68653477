"""Calls to an account are counted for all who call it."""

from threading import Event, Thread

import pytest
from redis import Redis

from app.world.pacing import Doors, Pace

A_LOT = 1000


class Waits(Event):
    """Remembers what was waited for, and ends a wait after so many."""

    def __init__(self, most: int = A_LOT) -> None:
        super().__init__()
        self.most, self.waited = most, []  # type: tuple[int, list[float | None]]

    def wait(self, timeout: float | None = None) -> bool:
        """Note a wait, and let it pass quickly."""
        self.waited.append(timeout)
        return super().wait(timeout) or len(self.waited) >= self.most


@pytest.fixture
def address(redis_url: str) -> str:
    Redis.from_url(redis_url).flushdb()
    return redis_url


def test_so_many_calls_pass_at_once_and_the_next_waits(address: str) -> None:
    pace = Pace(address, stopping := Waits(most=1))
    for _ in range(5):
        pace.wait("tv", 5)
    assert stopping.waited == []
    pace.wait("tv", 5)
    assert stopping.waited == [0.2]


def test_two_processes_count_together_and_accounts_apart(address: str) -> None:
    mine, theirs = Pace(address, Waits(most=1)), Pace(address, stopping := Waits(most=1))
    for _ in range(3):
        mine.wait("tv", 3)
    theirs.wait("radio", 3)
    assert stopping.waited == []
    theirs.wait("tv", 3)
    assert len(stopping.waited) == 1


def test_who_waits_is_let_in_when_a_second_is_over(address: str) -> None:
    pace = Pace(address, stopping := Waits())
    for _ in range(21):
        pace.wait("tv", 20)
    assert 1 <= len(stopping.waited) < A_LOT


def test_without_redis_each_counts_for_itself() -> None:
    pace = Pace("redis://127.0.0.1:1/0", stopping := Waits(most=1))
    for _ in range(4):
        pace.wait("tv", 4)
    assert stopping.waited == []
    pace.wait("tv", 4)
    assert len(stopping.waited) == 1


def test_whoever_stops_waits_no_longer() -> None:
    pace = Pace(stopping=(stopping := Event()))
    pace.wait("tv", 1)
    waiting = Thread(target=pace.wait, args=("tv", 1))
    stopping.set()
    waiting.start()
    waiting.join(5)
    assert not waiting.is_alive()


# --- mails by receiving domain -----------------------------------------------------------------


def test_so_many_mails_a_second_pass_to_each_domain(address: str) -> None:
    doors = Doors(3, address)
    assert doors.admitted({"a": 2, "b": 5}, 100) == {"a": 2, "b": 3}
    assert doors.admitted({"a": 2, "b": 1, "c": 1}, 100) == {"a": 1, "b": 0, "c": 1}
    assert doors.admitted({"a": 4}, 101) == {"a": 3}


def test_processes_count_mails_together(address: str) -> None:
    mine, theirs = Doors(3, address), Doors(3, address)
    assert mine.admitted({"a": 2}, 100) == {"a": 2}
    assert theirs.admitted({"a": 2}, 100) == {"a": 1}


def test_counts_do_not_stay_in_redis(address: str) -> None:
    Doors(3, address).admitted({"a": 2}, 100)
    with Redis.from_url(address) as redis:
        (key,) = redis.keys("reconfirm-mails:*")
        assert 0 < redis.ttl(key) <= 3


def test_without_redis_each_process_counts_mails_for_itself() -> None:
    doors = Doors(3, "redis://127.0.0.1:1/0")
    assert doors.admitted({"a": 2}, 100) == {"a": 2}
    assert doors.admitted({"a": 2}, 100) == {"a": 1}
    assert doors.admitted({"a": 2}, 101) == {"a": 2}
    assert list(doors.alone) == [("a", 101)]


def test_no_limit_counts_nothing() -> None:
    doors = Doors()
    assert doors.admitted({"a": 10_000}, 100) == {"a": 10_000}
    assert not doors.alone
