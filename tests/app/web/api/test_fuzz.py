"""Schemathesis calls every operation with what the document allows, and with what it does not.

The same examples on every run: nothing here is left to chance.
"""

from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case
from schemathesis.checks import CHECKS

from app.clock import Clock
from app.store import lists
from app.versions import Versions
from app.web import create_app
from app.web.api.document import document
from tests.app.web.api.conftest import BASE, key_for
from tests.probe import asked
from tests.world import YEAR, Town, row

EXAMPLES = 12
SCHEMA = schemathesis.openapi.from_dict(document("http://localhost"))
WANTED: Any = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    ]
)


@schemathesis.serializer("application/x-ndjson")
def lines(_: object, value: object) -> bytes:
    """Send NDJSON as the text that was made up."""
    return str(value).encode("utf-8", "surrogatepass")


@pytest.fixture
def app(town: Town) -> Flask:
    """Give the whole application over a town where somebody is asked, with a key that may all."""
    town.join(row("ada"), row("bob"))
    asked(town, "ada")
    Versions.on(town.database, town.clock).propose(town.key, YEAR, "cli:ann")
    with town.database.transaction() as connection:
        lists.add(connection, town.product.id, 2, [(town.id_of("ada"), "unused")])
        lists.complete(connection, town.product.id, 2, town.clock.now())
    clock = Clock(town.clock.now)
    return create_app(town.database, clock, town.links, base_url=BASE, limited=False)


@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_no_call_is_an_error_of_ours_or_answered_in_a_way_that_is_not_documented(
    case: Case[Any], app: Flask, town: Town
) -> None:
    headers = {"Authorization": f"Bearer {key_for(town, 'manage')}"}
    for name, value in (("product", "tv"), ("subscription", "ada"), ("version", "2")):
        if name in (case.path_parameters or {}):
            case.path_parameters[name] = value
    case.validate_response(case.call(app=app, headers=headers), checks=WANTED)
