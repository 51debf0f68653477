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


@pytest.fixture
def shell(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Give the command on an empty database, on the test clock."""
    monkeypatch.chdir(tmp_path)
    environment = {
        "RECONFIRM_DATABASE_URL": database.url,
        "RECONFIRM_REDIS_URL": "redis://127.0.0.1:6379",
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
