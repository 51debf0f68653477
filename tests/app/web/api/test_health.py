from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from app.clock import Clock, wall
from app.store.database import Database
from app.web import create_app
from tests.app.web.api.conftest import BASE, problem_in
from tests.probe import rows
from tests.world import Town

SILENT = "redis://127.0.0.1:1/0"


def client_of(town: Town, database: Database | None = None, **more: object) -> FlaskClient:
    clock = more.pop("clock", Clock())
    found = database or town.database
    app = create_app(found, clock, town.links, base_url=BASE, **more)  # type: ignore[arg-type]
    return app.test_client()


def failing(client: FlaskClient) -> list[str]:
    reply = client.get("/readyz")
    assert (reply.status_code, problem_in(reply)) == (503, "not-ready")
    found: list[str] = reply.get_json(force=True)["failing"]
    assert all(name in reply.text for name in found)
    return found


def test_a_process_whose_needs_are_met_is_ready(town: Town) -> None:
    reply = client_of(town).get("/readyz")
    assert (reply.status_code, reply.json) == (200, {"ready": True})


def test_redis_is_asked_only_where_one_is_configured(town: Town, redis_url: str) -> None:
    assert client_of(town, redis_url=redis_url).get("/readyz").status_code == 200
    assert failing(client_of(town, redis_url=SILENT)) == ["redis"]


def test_without_its_database_nothing_is_ready_and_no_address_is_told(town: Town) -> None:
    broken = Database("postgresql://nobody:hush-hush@127.0.0.1:1/none")
    client = client_of(town, broken)
    assert failing(client) == ["database"]
    assert "hush" not in client.get("/readyz").text


@pytest.mark.parametrize("revision", ["0001", "9999"])
def test_another_schema_is_not_ready(town: Town, revision: str) -> None:
    (before,) = rows(town.database, "select version_num from alembic_version")
    rows(town.database, f"update alembic_version set version_num = '{revision}'")  # noqa: S608
    try:
        assert failing(client_of(town)) == ["schema"]
    finally:
        rows(town.database, f"update alembic_version set version_num = '{before[0]}'")  # noqa: S608


@pytest.mark.parametrize(("seconds", "well"), [(25, True), (-25, True), (35, False), (-35, False)])
def test_clocks_may_differ_by_thirty_seconds(town: Town, seconds: int, *, well: bool) -> None:
    clock = Clock(read_wall=lambda: wall() + timedelta(seconds=seconds))
    client = client_of(town, clock=clock)
    if well:
        assert client.get("/readyz").status_code == 200
    else:
        assert failing(client) == ["clock"]
