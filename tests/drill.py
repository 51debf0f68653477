"""The drill of a restored backup: a copy of a database made before somebody was erased."""

import os
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import text

from app import ledger as ledgers
from app.engine.wiping import wipe
from app.store import erasures, ledger
from app.store.database import Database
from app.store.ledger import Over
from tests.conftest import URL
from tests.world import Town


def copied(database: Database, name: str) -> Database:
    """Give a database that holds what another holds now, as a dump loaded elsewhere does.

    Each worker of a run has its own of every name.
    """
    name = f"{name}_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    database.engine.dispose()
    server = os.environ[URL]
    source = database.url.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(server, autocommit=True) as connection:
        target, template = sql.Identifier(name), sql.Identifier(source)
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(target))
        connection.execute(
            sql.SQL("create database {} template {} strategy file_copy").format(target, template)
        )
    return Database(server.replace("/postgres?", f"/{name}?", 1))


def there(town: Town, database: Database) -> Town:
    """Give a town on another database, with a relay that has sent nothing yet."""
    return Town(database, town.clock, town.links, town.key)


def erased(town: Town, name: str, erasure: str, path: Path | None) -> None:
    """Erase somebody as the eraser does in its last transaction, and export the ledger."""
    product, sid, now = town.product, town.id_of(name), town.clock.now()
    mark = town.links.subscription_marks(product.id, name)[0]
    with town.database.transaction() as connection:
        erasures.take_role(connection)
        connection.execute(
            text(
                "insert into erasure (id, product_id, subscription_id, round, cause, begun_at,"
                " begun_by, ended_at) values (:id, :product, :sid, 1, 'request', :now,"
                " 'subscriber', :now)"
            ),
            {"id": erasure, "product": product.id, "sid": sid, "now": now},
        )
        connection.execute(
            text(
                "update reconfirmation set stage = 'erased', outcome = 'erased', closed_at = :now,"
                " wake_at = null where subscription_id = :sid and latest"
            ),
            {"sid": sid, "now": now},
        )
        wipe(connection, product, sid, town.links, erasure, now)
        no = ledger.append(connection, Over(erasure, product.key, "request", mark, now))
        connection.execute(
            text("update erasure set ledger_no = :no where id = :id"), {"no": no, "id": erasure}
        )
        if path is not None:
            ledgers.export(connection, path)
