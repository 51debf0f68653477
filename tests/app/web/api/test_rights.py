"""What people may ask, passed on over the API."""

from collections.abc import Callable

from tests.app.web.api.conftest import System, problem_in
from tests.probe import rows
from tests.world import Town, row

ONE = "subscriptions/ann"


def test_what_is_held_is_given_and_after_an_erasure_nothing(
    town: Town, system: Callable[..., System]
) -> None:
    town.join(row("ann"), row("canary"))
    manager = system("manage")
    held = manager.get(f"{ONE}/data")
    assert held.json is not None
    assert held.json["schema"] == "reconfirm.subject/1"
    assert held.json["contact"]["email"] == "ann@subscribers.example"
    assert "canary" not in held.text
    rows(town.database, "delete from contact")
    assert problem_in(manager.get(f"{ONE}/data")) == "gone"
    assert problem_in(manager.post(f"{ONE}/erasure", {})) == "gone"


def test_erasing_what_is_charged_takes_a_cancel(town: Town, system: Callable[..., System]) -> None:
    town.join(row("ann"))
    manager = system("manage")
    refused = manager.post(f"{ONE}/erasure", {})
    assert problem_in(refused) == "conflict"
    assert "cancel" in refused.text
    first = manager.post(f"{ONE}/erasure", {"cancel": True}).json
    again = manager.post(f"{ONE}/erasure", {"cancel": True}).json
    assert first is not None
    assert again is not None
    assert (first["verdict"], again["verdict"]) == ("applied", "unchanged")
    assert (first["asked_at"], first["begins_at"]) == (
        "2024-09-01T12:00:00Z",
        "2024-09-02T12:00:00Z",
    )
    assert again["begins_at"] == first["begins_at"]


def test_nothing_but_one_address_is_taken(town: Town, system: Callable[..., System]) -> None:
    town.join(row("ann"))
    manager = system("manage")
    for wrong in ("ann", "call ann@x.example", "4111111111111111@card.example"):
        reply = manager.post(f"{ONE}/address", {"email": wrong})
        assert problem_in(reply) == "invalid-body"
        assert wrong not in reply.text
    assert manager.post(f"{ONE}/address", {"email": "a@new.example"}).json == {"verdict": "applied"}
    assert problem_in(manager.post(f"{ONE}/objection", {})) == "conflict"
    assert manager.post(f"{ONE}/restriction", {}).json == {"verdict": "applied"}
    assert problem_in(manager.post(f"{ONE}/restriction", {"why": "x"})) == "invalid-body"
