"""A dry run of a version that is not in force asks exactly whom putting it in force then asks."""

import random
from datetime import timedelta
from typing import Any

import pytest

from app import policy as policies
from app.engine.trial import Seen, Trial
from app.forecast import Forecaster
from tests.world import YEAR, Town, row

MONTHS = (3, 6, 9, 12, 18)


def chance(seed: int) -> tuple[random.Random, dict[str, Any]]:
    """Give dice and a policy thrown with them."""
    dice = random.Random(seed)  # noqa: S311 - a population, no secret
    body: dict[str, Any] = YEAR | {
        "never_used_after": f"P{dice.choice(MONTHS)}M",
        "unused_after": f"P{dice.choice(MONTHS)}M",
    }
    if dice.random() < 0.7:
        body["segments"] = [
            {"when": {"country": ["FR"]}, "unused_after": f"P{dice.choice(MONTHS)}M"},
            {"when": {"interval": ["year"]}, "never_used_after": f"P{dice.choice(MONTHS)}M"},
        ]
    return dice, body


def settle_in(town: Town, dice: random.Random, many: int) -> None:
    """Let people join who used it at some time, or never."""
    today = town.clock.now().date()
    for each in range(many):
        began = today - timedelta(days=dice.randrange(20, 900))
        town.join(
            row(
                f"p{each}",
                started_at=f"{began}T00:00:00Z",
                country=dice.choice(("GB", "FR", "DE")),
                interval=dice.choice(("month", "year")),
                amount=dice.choice(("0", "900", "1349")),
                status=dice.choice(("active", "active", "past_due", "paused")),
            )
        )
        if dice.random() < 0.6:
            ago = dice.randrange((today - began).days + 1)
            town.use(f"p{each}", today - timedelta(days=ago))


def tried(town: Town, body: dict[str, Any]) -> list[Seen]:
    policy = policies.read(body, version=99)
    return list(Trial(town.database, town.key, policy, town.clock.now()).everybody())


@pytest.mark.parametrize("seed", range(6))
def test_it_asks_whom_the_sweep_asks(town: Town, seed: int) -> None:
    dice, body = chance(seed)
    settle_in(town, dice, 60)
    expected = {sid: why for seen in tried(town, body) for sid, why in seen.asked}
    checked = policies.read(body)
    forecast = Forecaster(town.database, town.clock).forecast(town.key, checked)
    assert town.stages() == {}
    town.put_in_force(body)
    swept = town.sweep()
    found = {sid: why for sid, what, why in swept.people if what == "asked"}
    assert found == expected
    assert forecast.proposed.today == len(expected)
    assert 0 < len(expected) < 60


def test_who_was_asked_already_is_not_asked_by_it(town: Town) -> None:
    town.join(row("a"), row("b"))
    town.settle()
    town.answer("b", "keep")
    assert [seen.asked for seen in tried(town, YEAR | {"unused_after": "P1M"})] == [()]


def test_nobody_is_asked_before_a_feed_has_spoken(town: Town) -> None:
    silent = Town.founded(town.database, town.clock, town.links, "radio")
    with silent.database.transaction() as connection:
        connection.exec_driver_sql("delete from feed")
    silent.join(row("a"))
    assert [seen.asked for seen in tried(silent, YEAR)] == [()]
