"""Imports point down only, so that every room can be read, tested and replaced from below.

Top to bottom::

    jobs, app.cli                    processes and commands
    app.web                          pages, webhooks, API; create_app
    app.engine, guards, usage, …     the one door and what stands around it
    app.store | app.world            the database | everything outside; strangers to each other
    app.links, signing, settings, …  tools that know no subscription
    app.lifecycle                    what happens next: pure
    app.policy                       the numbers it follows: pure
    app.errors | email_templates     know nothing of the rest

The reasons.  A rule that cannot reach the database cannot depend on it, so the rules can be
run a million times in a test.  ``store`` and ``world`` are strangers, so no mail can go out
from inside a transaction.  ``jobs`` stands beside ``web``: a worker must not need Flask.
``app`` itself is imported by every ``app.x``; it is empty, and ``create_app`` is in
``app.web``, since otherwise the pure rooms would load all the others.

With the same walk: no cycles, no import hidden in a function (that is how a cycle hides),
no reading of time outside the clock (a test must be able to say what day it is, and the
database's own clock is one more that nobody set), no drawer called utils.

Every check is also run over small wrong examples: a check that finds nothing proves
nothing until it has been seen to find something.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("app", "jobs", "email_templates")

LAYERS = (
    {"jobs", "app.cli"},
    {"app.web"},
    {
        "app.engine",
        "app.export",
        "app.guards",
        "app.usage",
        "app.mirror",
        "app.inbox",
        "app.returns",
        "app.reconciling",
        "app.refunding",
        "app.manifests",
        "app.forecast",
        "app.versions",
        "app.runs",
        "app.sealing",
        "app.ledger",
        "app.restoring",
        "app.amends",
    },
    {"app.store", "app.world"},
    {
        "app.links",
        "app.certificates",
        "app.signing",
        "app.settings",
        "app.clock",
        "app.colors",
        "app.embedded",
        "app.personal",
        "app.rows",
        "app.log",
    },
    {"app.lifecycle"},
    {"app.policy"},
    {"app.errors", "email_templates"},
)
RANK = {room: rank for rank, layer in enumerate(LAYERS) for room in layer}

# Rooms of one layer are strangers but for these: the first may import the second.
NEIGHBOURS = {
    ("app.cli", "jobs"),
    ("app.engine", "app.guards"),
    ("app.usage", "app.engine"),
    ("app.mirror", "app.engine"),
    ("app.engine", "app.ledger"),
    ("app.engine", "app.manifests"),
    ("app.inbox", "app.engine"),
    ("app.inbox", "app.mirror"),
    ("app.returns", "app.engine"),
    ("app.reconciling", "app.engine"),
    ("app.reconciling", "app.mirror"),
    ("app.reconciling", "app.refunding"),
    ("app.refunding", "app.engine"),
    ("app.rows", "app.personal"),
    ("app.forecast", "app.engine"),
    ("app.versions", "app.forecast"),
    ("app.versions", "app.guards"),
    ("app.versions", "app.mirror"),
    ("app.runs", "app.engine"),
    ("app.runs", "app.guards"),
    ("app.restoring", "app.guards"),
    ("app.restoring", "app.ledger"),
    ("app.amends", "app.runs"),
    ("app.amends", "app.versions"),
}
# Below, and strangers all the same.
STRANGERS = {("jobs", "app.web")} | {(room, "email_templates") for room in RANK}
PURE = {"app.lifecycle", "app.policy", "app.errors"}
# Values made in C: a round has thirty fields, and is made anew at every step.
PLAIN = sys.stdlib_module_names | {"msgspec"}

CLOCK = "app.clock"
TIMES = {
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "sqlalchemy.func.clock_timestamp",
    "sqlalchemy.func.current_date",
    "sqlalchemy.func.current_timestamp",
    "sqlalchemy.func.localtimestamp",
    "sqlalchemy.func.now",
    "sqlalchemy.func.statement_timestamp",
    "sqlalchemy.func.transaction_timestamp",
    "time.gmtime",
    "time.localtime",
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.perf_counter_ns",
    "time.time",
    "time.time_ns",
}
# Waiting for a server of our own to start: before there is a database, there is no clock.
MAY_READ = {("app.embedded", "time.monotonic")}
# The clock of the database's machine is read to be compared with ours, and decides nothing.
MAY_READ_IN_SQL = {"app.store.readiness"}
SQL_TIME = re.compile(
    r"(?<![\w.])(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)\s*\(\s*\)"
    r"|\b(current_timestamp|current_date|localtimestamp)\b|'now'\s*::",
    re.IGNORECASE,
)
DRAWERS = {"common", "helper", "helpers", "misc", "service", "services", "util", "utils"}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Check = Callable[[Iterable["Module"]], Iterator[str]]


@dataclass(frozen=True)
class Module:
    """One file of Python."""

    name: str
    tree: ast.Module
    is_package: bool = False

    @property
    def room(self) -> str | None:
        """The room it is in."""
        return room_of(self.name)

    @property
    def is_migration(self) -> bool:
        """Whether Alembic loads it, by path and one at a time."""
        return self.name.startswith("app.store.migrations.")

    def imports(self) -> Iterator[tuple[int, str]]:
        """Yield line and dotted name of everything imported, wherever it stands."""
        for node in ast.walk(self.tree):
            for name in self._named_by(node):
                yield node.lineno, name  # type: ignore[attr-defined]

    def _named_by(self, node: ast.AST) -> list[str]:
        if isinstance(node, ast.Import):
            return [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            source = self._source(node)
            return [f"{source}.{alias.name}" for alias in node.names]
        return []

    def _source(self, node: ast.ImportFrom) -> str:
        """Return what is imported from, dots at its beginning worked out."""
        if not node.level:
            return str(node.module)
        parts = self.name.split(".")
        up = node.level - self.is_package
        return ".".join(filter(None, [*parts[: len(parts) - up], node.module]))


def read(name: str, source: str) -> Module:
    return Module(name.removesuffix(".__init__"), ast.parse(source), name.endswith(".__init__"))


@cache
def house() -> tuple[Module, ...]:
    """Every module of the product."""
    paths = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    return tuple(
        read(".".join(path.relative_to(ROOT).with_suffix("").parts), path.read_text())
        for path in paths
    )


def room_of(name: str) -> str | None:
    """Return the room a dotted name leads into, or None if it leads into no room."""
    return next((room for room in RANK if f"{name}.".startswith(f"{room}.")), None)


def is_ours(name: str) -> bool:
    return name.partition(".")[0] in FOLDERS


def may_import(above: str, below: str) -> bool:
    if above == below or (above, below) in NEIGHBOURS:
        return True
    return RANK[above] < RANK[below] and (above, below) not in STRANGERS


# --- the checks: each yields what is wrong, as `module:line what` ---


def upward(modules: Iterable[Module]) -> Iterator[str]:
    """Find imports that do not point down, and what stands in no room."""
    for module in modules:
        if module.name != "app" and module.room is None:
            yield f"{module.name}:1 is in no room: give it a place in LAYERS"
        for line, name in filter(lambda found: is_ours(found[1]), module.imports()):
            below = room_of(name)
            if module.room is None or below is None or not may_import(module.room, below):
                yield f"{module.name}:{line} imports {name}"


def impure(modules: Iterable[Module]) -> Iterator[str]:
    """Find pure rooms that import anything beyond plain Python, values and each other."""
    for module in modules:
        for line, name in module.imports() if module.room in PURE else ():
            if name.partition(".")[0] not in PLAIN and room_of(name) not in PURE:
                yield f"{module.name}:{line} imports {name}"


def circular(modules: Iterable[Module]) -> Iterator[str]:
    """Find a ring of modules that import each other."""
    known = {module.name: module for module in modules}
    graph = {
        module.name: {near for _, name in module.imports() if (near := nearest(name, known))}
        - {module.name}
        for module in known.values()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield " imports ".join(reversed(error.args[1]))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the module that a dotted name is, or is defined in."""
    return max((module for module in known if f"{name}.".startswith(f"{module}.")), default=None)


def hidden(modules: Iterable[Module]) -> Iterator[str]:
    """Find imports inside a function."""
    for module in modules:
        if module.is_migration or module.room == "email_templates":
            continue
        for function in functions(module):
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    yield f"{module.name}:{node.lineno} imports inside a function"


def functions(module: Module) -> Iterator[Function]:
    return (node for node in ast.walk(module.tree) if isinstance(node, Function))


def untimely(modules: Iterable[Module]) -> Iterator[str]:
    """Find whoever reads the time: from Python, or from the database in SQL."""
    for module in modules:
        if module.room == CLOCK:
            continue
        for line, name in sorted(set(names_used(module))):
            if name in TIMES and (module.room, name) not in MAY_READ:
                yield f"{module.name}:{line} reads {name}"
        for line, text in strings(module):
            if module.name in MAY_READ_IN_SQL:
                continue
            if found := SQL_TIME.search(text):
                yield f"{module.name}:{line} reads {found[0]} in SQL"


def names_used(module: Module) -> Iterator[tuple[int, str]]:
    """Yield line and full dotted name of what is imported or reached through an import."""
    yield from module.imports()
    aliases = aliases_of(module)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute):
            first, _, rest = ast.unparse(node).partition(".")
            yield node.lineno, f"{aliases.get(first, first)}.{rest}"


def aliases_of(module: Module) -> dict[str, str]:
    """Return what each imported name stands for."""
    found: dict[str, str] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found |= {alias.asname: alias.name for alias in node.names if alias.asname}
        if isinstance(node, ast.ImportFrom):
            found |= {
                alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names
            }
    return found


def strings(module: Module) -> Iterator[tuple[int, str]]:
    """Yield line and text of every string that is a value, which docstrings are not."""
    spoken = {
        id(node.value)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(module.tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in spoken
        ):
            yield node.lineno, node.value


def drawers(modules: Iterable[Module]) -> Iterator[str]:
    """Find modules whose name says nothing of what is in them."""
    for module in modules:
        if wrong := DRAWERS & set(module.name.split(".")):
            yield f"{module.name}:1 is a drawer called {' and '.join(wrong)}"


CHECKS = (upward, impure, circular, hidden, untimely, drawers)


@pytest.mark.parametrize("check", CHECKS)
def test_the_house_is_in_order(check: Check) -> None:
    assert not list(check(house()))


def test_the_walk_goes_through_the_house() -> None:
    assert {"app", "app.errors", "app.settings"} <= {module.name for module in house()}


def test_app_itself_imports_nothing() -> None:
    assert not list(next(module for module in house() if module.name == "app").imports())


# --- and each check finds what it is there to find ---


def found(check: Check, *files: tuple[str, str]) -> list[str]:
    return list(check(read(name, source) for name, source in files))


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("app.policy", "import app.lifecycle"),
        ("app.errors", "from app.policy import Policy"),
        ("app.lifecycle.case", "from app import store"),
        ("app.lifecycle.__init__", "from ..store import tables"),
        ("app.store.tables", "from app.world.mail import send"),
        ("app.world.mail.send", "from app.store import tables"),
        ("app.world.mail.send", "from ...engine import door"),
        ("app.links", "import app.signing"),
        ("app.guards", "from app.engine import decide"),
        ("app.usage", "import app.guards"),
        ("app.web.answers", "from app.cli import main"),
        ("app.web.answers", "import jobs.broker"),
        ("jobs.sweep", "from app.cli import main"),
        ("jobs.sweep", "from app.web import create_app"),
        ("jobs.sweep", "from app import create_app"),
        ("jobs.sweep", "import app"),
        ("app.__init__", "from app.web import create_app"),
        ("app.world.mail.send", "import email_templates"),
        ("email_templates.__init__", "from app.errors import Refused"),
        ("app.store.tables", "if TYPE_CHECKING:\n    from app.engine import Door"),
        ("app.attic", ""),
    ],
)
def test_an_import_that_points_up_is_found(name: str, source: str) -> None:
    assert found(upward, (name, source))


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("app.cli.main", "import jobs.broker\nfrom app import web, engine\nfrom app.web import x"),
        ("jobs.sweep", "from app.engine import decide\nfrom app.world.mail import send"),
        ("app.engine", "from app.guards import brake\nfrom app import store, world, policy"),
        ("app.usage.bulk", "from app.engine import decide"),
        ("app.store.tables", "from . import columns\nfrom app.settings import Settings"),
        ("app.lifecycle.case", "from app.lifecycle.dates import due\nimport app.policy"),
    ],
)
def test_an_import_that_points_down_is_not(name: str, source: str) -> None:
    assert not found(upward, (name, source))


@pytest.mark.parametrize(
    "source", ["import pydantic", "from sqlalchemy import text", "import jobs"]
)
@pytest.mark.parametrize("name", ["app.policy", "app.lifecycle.case", "app.errors"])
def test_a_pure_room_with_company_is_found(name: str, source: str) -> None:
    assert found(impure, (name, source))


def test_a_pure_room_has_the_standard_library_and_its_like() -> None:
    source = "import datetime\nfrom collections.abc import Mapping\nfrom app.errors import Refused"

    assert not found(impure, ("app.policy", source))


@pytest.mark.parametrize(
    "files",
    [
        [("app.store.a", "import app.store.b"), ("app.store.b", "from app.store.a import x")],
        [
            ("app.store.__init__", "from .a import x"),
            ("app.store.a", "from .b import x"),
            ("app.store.b", "from . import x"),
        ],
    ],
)
def test_a_ring_is_found(files: list[tuple[str, str]]) -> None:
    assert found(circular, *files)


def test_modules_of_one_package_may_follow_one_another() -> None:
    files = [
        ("app.store.__init__", "from app.store.a import x"),
        ("app.store.a", "from app.store import b"),
        ("app.store.b", ""),
    ]

    assert not found(circular, *files)


@pytest.mark.parametrize(
    "source",
    [
        "def late():\n    import json",
        "class A:\n    async def late(self):\n        from app.errors import Refused",
        "def late():\n    def later():\n        if True:\n            import json",
    ],
)
def test_an_import_inside_a_function_is_found(source: str) -> None:
    assert found(hidden, ("jobs.sweep", source))


def test_an_import_inside_a_migration_is_not() -> None:
    assert not found(hidden, ("app.store.migrations.v1", "def upgrade():\n    import json"))


@pytest.mark.parametrize(
    "source",
    [
        "import datetime\ndatetime.datetime.now()",
        "import datetime as dt\ndt.datetime.now(dt.UTC)",
        "from datetime import datetime\ndatetime.utcnow()",
        "from datetime import date as day\nday.today()",
        "from datetime import datetime, UTC\ndatetime.now(UTC).isoformat()",
        "from datetime import datetime\nfield(default_factory=datetime.now)",
        "import time\ntime.time()",
        "import time as t\nt.time_ns()",
        "from time import time",
        "import time\ntime.monotonic()",
        "from sqlalchemy import func\nfunc.now()",
        "import sqlalchemy as sa\nsa.func.current_timestamp()",
        "text('select now()')",
        "text('SELECT 1 WHERE due_at <= Now ( )')",
        "text(f'where due_at < {column} - current_timestamp')",
        "text('update t set at = clock_timestamp()')",
        "text(\"select 'now'::timestamptz\")",
    ],
)
def test_reading_the_time_is_found(source: str) -> None:
    assert found(untimely, ("app.engine", source))


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("app.clock", "import time\ntime.time()"),
        ("app.embedded", "import time\ntime.monotonic()"),
        ("app.engine", "clock.now()\nself.clock.now()\ntime.sleep(1)"),
        ("app.engine", '"""Where others would call now(), we ask the clock."""'),
        ("app.engine", "from datetime import time\ntime(0, 0)"),
        ("app.engine", "text('select known() from localtimes')"),
    ],
)
def test_asking_the_clock_is_not(name: str, source: str) -> None:
    assert not found(untimely, (name, source))


@pytest.mark.parametrize("name", ["app.store.utils", "jobs.helpers", "app.web.services.mail"])
def test_a_drawer_is_found(name: str) -> None:
    assert found(drawers, (name, ""))
