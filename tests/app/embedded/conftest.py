"""Folders of servers, lent to one test after the other."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.app.embedded.processes import POSTGRES, REDIS, Kind


@pytest.fixture(params=[POSTGRES, REDIS], ids=["postgres", "redis"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Give each kind of server in turn."""
    given: Kind = request.param
    return given


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Kind], Path]:
    """Give data folders whose server has run and been stopped: initdb costs a second."""

    @cache
    def make(kind: Kind) -> Path:
        folder = tmp_path_factory.mktemp(kind.name)
        with kind.start(folder) as server:
            assert not server.joined
        return folder

    return make


@pytest.fixture
def data(kind: Kind, made: Callable[[Kind], Path]) -> Iterator[Path]:
    """Lend that folder; nothing may live in it afterwards."""
    folder = made(kind)
    yield folder
    assert kind.is_free(folder)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a temporary folder of our own that is short, as a socket's path has to be."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    shutil.rmtree(folder)
