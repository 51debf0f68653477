"""One PostgreSQL and one Redis a run, of each one database a worker, empty for each test."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from redis import Redis
from sqlalchemy import delete, text

from app import embedded
from app.links import Links
from app.store import migrate
from app.store.database import Database
from app.store.tables import metadata
from tests.world import MovableClock

SERVER = pytest.StashKey[ExitStack]()
URL = "SPINE_TEST_SERVER"
"""Where the controller of a parallel run tells its workers which server runs."""
REDIS = "SPINE_TEST_REDIS"
"""Where it tells them which Redis does."""
TEMPLATE = "spine_template"
KEYS = ["test-key-0123456789-0123456789-0123456789"]


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers once, in the process that controls the run, and make the template."""
    if URL in os.environ:
        return
    stack = ExitStack()
    config.stash[SERVER] = stack
    folder = stack.enter_context(
        tempfile.TemporaryDirectory(prefix="reconfirm-tests-", ignore_cleanup_errors=True)
    )
    server = stack.enter_context(embedded.postgres(Path(folder), durable=False))
    template = Database(server.database(TEMPLATE))
    migrate.upgrade(template)
    template.close()
    os.environ[URL] = server.url
    stack.callback(os.environ.pop, URL)
    os.environ[REDIS] = stack.enter_context(embedded.redis(Path(folder))).url
    stack.callback(os.environ.pop, REDIS)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the servers."""
    if SERVER in config.stash:
        config.stash[SERVER].close()


def new_database(name: str) -> str:
    """Make a database from the template and give its address; one of that name goes."""
    server = os.environ[URL]
    with psycopg.connect(server, autocommit=True) as connection:
        target, template = sql.Identifier(name), sql.Identifier(TEMPLATE)
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(target))
        connection.execute(
            sql.SQL("create database {} template {} strategy file_copy").format(target, template)
        )
    return server.replace("/postgres?", f"/{name}?", 1)


@pytest.fixture(scope="session")
def worker_database() -> Iterator[Database]:
    """Give the worker's own database."""
    name = f"spine_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    database = Database(new_database(name))
    yield database
    database.close()


@pytest.fixture
def database(worker_database: Database) -> Iterator[Database]:
    """Give an empty database."""
    yield worker_database
    with worker_database.transaction() as connection:
        # Without triggers: only the eraser may delete a contact.
        connection.execute(text("set local session_replication_role = replica"))
        for table in reversed(metadata.sorted_tables):
            connection.execute(delete(table))


@pytest.fixture
def redis_url() -> str:
    """Give the address of the worker's own database in the run's Redis, emptied."""
    number = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    url = f"{os.environ[REDIS]}&db={number}"
    with Redis.from_url(url) as connection:
        connection.flushdb()
    return url


@pytest.fixture
def clock() -> MovableClock:
    """Give a clock that stands until it is moved."""
    return MovableClock()


@pytest.fixture
def links() -> Links:
    """Give the maker of links."""
    return Links(KEYS, "http://127.0.0.1:8080")
