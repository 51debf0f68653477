"""The command, run as a shell would run it, on the test's database."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from app.cli import main
from app.store.database import Database
from tests.world import row

HEADER = ",".join(row("x"))
KEY = "test-key-0123456789-0123456789-0123456789"


@dataclass(frozen=True)
class Shell:
    """Runs `reconfirm` in a folder of its own."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *arguments: str) -> Result:
        """Run a command line; the exit code, stdout and stderr are in the result."""
        return CliRunner(env=self.environment).invoke(_entry, list(arguments))

    def json(self, *arguments: str) -> Any:
        """Run with --json and give the document; stdout must hold nothing else."""
        result = self(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def file(self, name: str, *lines: str) -> str:
        """Write a file and give its path."""
        path = self.folder / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(path)


class _Entry:
    """What CliRunner wants of a command, around the very entry point of the program."""

    name = "reconfirm"

    def main(self, args: list[str], prog_name: str, **_: Any) -> None:  # noqa: ARG002
        main(args)


_entry: Any = _Entry()


def line(name: str, **changes: str) -> str:
    return ",".join(row(name, **changes).values())


@pytest.fixture
def shell(
    database: Database, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Give the command on an empty database, on the test clock."""
    monkeypatch.chdir(tmp_path)
    environment = {
        "RECONFIRM_DATABASE_URL": database.url,
        "RECONFIRM_REDIS_URL": redis_url,
        "RECONFIRM_SECRET_KEYS": KEY,
        "RECONFIRM_SMTP_URL": (tmp_path / "mail").as_uri(),
        "RECONFIRM_CLOCK": "test",
        "RECONFIRM_DATA_DIR": str(tmp_path / "data"),
    }
    return Shell(tmp_path, environment)


@pytest.fixture
def rows_of(database: Database) -> Callable[[str], int]:
    """Count the rows of a table."""

    def count(table: str) -> int:
        with database.transaction() as connection:
            return int(connection.scalar(text(f"select count(*) from {table}")) or 0)  # noqa: S608

    return count


@pytest.fixture
def tv(shell: Shell) -> Shell:
    shell("clock", "set", "2024-09-01T12:00:00Z")
    shell("product", "add", "tv", "--name", "Blue TV")
    shell("product", "set", "tv", "from=hello@tv.example", "support_url=https://tv.example/help")
    return shell


@pytest.fixture
def running(tv: Shell) -> Shell:
    tv("import", "subscriptions", "tv", tv.file("p.csv", HEADER, line("ada"), line("ben")))
    use = tv.file("u.csv", "subscription,used_at", "ben,2024-08-30")
    tv("import", "usage", "tv", use, "--covers-from", "2020-01-01", "--through", "2024-08-31")
    policy = {"on_no_answer": "suspend", "never_used_after": "P1Y", "unused_after": "P1Y"}
    tv("policy", "propose", "tv", tv.file("policy.json", json.dumps(policy)))
    tv("policy", "activate", "tv", "1")
    return tv
