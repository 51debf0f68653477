"""A real browser (Debian's Chromium) in front of the pages, as `reconfirm web` would serve them.

The browser's tests run where TEST_BROWSER names a Chromium, as .ci/run does; elsewhere
they are left out. TEST_PICTURES names a folder for pictures of every page.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser, sync_playwright
from werkzeug.serving import make_server

from app.links import Links
from app.store.database import Database
from app.web import create_app
from tests.snapshot import Snapshot
from tests.world import MovableClock, Town

CHROMIUM = "TEST_BROWSER"
PICTURES = "TEST_PICTURES"
FOUNDED: list[Snapshot] = []


collect_ignore_glob = [] if os.environ.get(CHROMIUM) else ["test_*.py"]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Give a running Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ[CHROMIUM], args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture
def town(database: Database, clock: MovableClock, links: Links) -> Town:
    if FOUNDED:
        FOUNDED[0].restore(database, clock)
        return Town(database, clock, links)
    town = Town.founded(database, clock, links)
    FOUNDED.append(Snapshot.of(database, clock))
    return town


@pytest.fixture
def address(town: Town) -> Iterator[str]:
    """Serve the pages of the town on a port of this machine, and give their address."""
    app = create_app(town.database, town.clock, town.links, base_url="http://127.0.0.1")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def pictures() -> Path | None:
    """Give the folder for pictures, made where it is not there; None where none are wanted."""
    named = os.environ.get(PICTURES)
    if not named:
        return None
    folder = Path(named)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
