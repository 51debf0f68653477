"""Who may do what: every role on every route by every method, one by one."""

from collections.abc import Iterator
from http import HTTPStatus

import pytest

from app.web.console.oidc import _listed
from app.web.console.roles import Role, Roles
from app.web.console.static import HTMX
from tests.app.web.console.conftest import Desk, Things

ANYBODY, ANY_ROLE, ADMIN_EVERYWHERE = "anybody", "any role", "admin everywhere"
ROUTES = {
    ("GET", "/console/sign-in"): ANYBODY,
    ("GET", "/console/sign-in/start"): ANYBODY,
    ("GET", "/console/callback"): ANYBODY,
    ("GET", "/console/enter/<token>"): ANYBODY,
    ("POST", "/console/enter/<token>"): ANYBODY,
    ("GET", "/console/again"): ANY_ROLE,
    ("POST", "/console/sign-out"): ANY_ROLE,
    ("POST", "/console/language"): ANY_ROLE,
    ("GET", "/console/"): ANY_ROLE,
    ("GET", "/console/sessions"): ADMIN_EVERYWHERE,
    ("POST", "/console/sessions/end"): ADMIN_EVERYWHERE,
    ("GET", "/console/products/<product>/"): "viewer",
    ("GET", "/console/products/<product>/curve.csv"): "viewer",
    ("POST", "/console/products/<product>/pause"): "editor",
    ("POST", "/console/products/<product>/lift"): "editor",
    ("POST", "/console/products/<product>/dry-run-read"): "editor",
    ("GET", "/console/static/<name>"): ANYBODY,
    ("GET", "/console/products/<product>/policy/edit"): "viewer",
    ("POST", "/console/products/<product>/policy/edit"): "editor",
    ("GET", "/console/products/<product>/policy/what-if"): "viewer",
    ("POST", "/console/products/<product>/policy/what-if"): "viewer",
    ("POST", "/console/products/<product>/policy/what-if.csv"): "viewer",
    ("GET", "/console/products/<product>/people"): "viewer",
    ("POST", "/console/products/<product>/people"): "viewer",
    ("GET", "/console/products/<product>/people/<int:number>"): "viewer",
    ("POST", "/console/products/<product>/people/<int:number>/act"): "editor",
    ("POST", "/console/products/<product>/people/<int:number>/review"): "editor",
    ("POST", "/console/products/<product>/people/<int:number>/reviewed"): "editor",
    ("GET", "/console/products/<product>/people/<int:number>/rights"): "editor",
    ("GET", "/console/products/<product>/people/<int:number>/data"): "editor",
    ("GET", "/console/products/<product>/people/<int:number>/data.json"): "editor",
    ("POST", "/console/products/<product>/people/<int:number>/erase"): "editor",
    ("POST", "/console/products/<product>/people/<int:number>/restrict"): "editor",
    ("POST", "/console/products/<product>/people/<int:number>/object"): "editor",
    ("POST", "/console/products/<product>/people/<int:number>/correct"): "editor",
    ("GET", "/console/products/<product>/policy"): "viewer",
    ("GET", "/console/products/<product>/policy/versions/<int:number>"): "viewer",
    ("GET", "/console/products/<product>/policy/versions/<int:number>/dry-run"): "viewer",
    ("POST", "/console/products/<product>/policy/versions/<int:number>/dry-run"): "editor",
    ("GET", "/console/products/<product>/policy/versions/<int:number>/dry-run.csv"): "editor",
    ("POST", "/console/products/<product>/policy/versions/<int:number>/comment"): "editor",
    ("POST", "/console/products/<product>/policy/versions/<int:number>/withdraw"): "editor",
    ("POST", "/console/products/<product>/policy/versions/<int:number>/approve"): "approver",
    ("POST", "/console/products/<product>/policy/versions/<int:number>/activate"): "approver",
    ("POST", "/console/products/<product>/policy/versions/<int:number>/schedule"): "approver",
    ("POST", "/console/products/<product>/policy/versions/<int:number>/unschedule"): "approver",
    ("GET", "/console/products/<product>/policy/versions/<int:number>/list.csv"): "editor",
    ("POST", "/console/products/<product>/policy/versions/<int:number>/list/approve"): "approver",
    ("POST", "/console/products/<product>/policy/versions/<int:number>/list/renew"): "editor",
    ("GET", "/console/products/<product>/runs"): "viewer",
    ("GET", "/console/products/<product>/runs.csv"): "viewer",
    ("GET", "/console/products/<product>/runs/<int:number>"): "viewer",
    ("GET", "/console/products/<product>/runs/<int:number>/people"): "viewer",
    ("GET", "/console/products/<product>/runs/<int:number>/people.csv"): "editor",
    ("POST", "/console/products/<product>/runs/<int:number>/undo"): "approver",
    ("POST", "/console/products/<product>/runs/<int:number>/agree"): "approver",
    ("POST", "/console/products/<product>/ramp/pause"): "editor",
    ("POST", "/console/products/<product>/ramp/resume"): "editor",
    ("POST", "/console/products/<product>/ramp/stop"): "approver",
    ("POST", "/console/products/<product>/people/<int:number>/hold"): "editor",
    ("GET", "/console/products/<product>/holds"): "viewer",
    ("POST", "/console/products/<product>/holds/<int:number>/review"): "editor",
    ("POST", "/console/products/<product>/holds/<int:number>/release"): "approver",
    ("POST", "/console/products/<product>/disputes/<int:number>/seen"): "editor",
    ("GET", "/console/products/<product>/manifests"): "viewer",
    ("GET", "/console/products/<product>/manifests/<int:number>"): "viewer",
    ("GET", "/console/products/<product>/manifests/<int:number>/people.csv"): "editor",
    ("POST", "/console/products/<product>/manifests/<int:number>/approve"): "approver",
    ("POST", "/console/products/<product>/manifests/<int:number>/refuse"): "approver",
    ("GET", "/console/products/<product>/erasures"): "viewer",
    ("GET", "/console/products/<product>/erasures/<erasure>"): "viewer",
    (
        "POST",
        "/console/products/<product>/erasures/<erasure>/receipts/<int:number>/retry",
    ): "editor",
    ("GET", "/console/products/<product>/targets"): "viewer",
    ("GET", "/console/products/<product>/queues"): "viewer",
    ("POST", "/console/products/<product>/queues/parked/<int:number>"): "editor",
    ("POST", "/console/products/<product>/queues/inbox/<int:number>"): "editor",
    ("POST", "/console/products/<product>/queues/unreachable/<int:number>"): "editor",
}
"""What each route is for. A route that is not in here fails a test."""
LADDER = ("viewer", "editor", "approver", "admin")
CALLERS = ("stranger", "roleless", "tv:viewer", "tv:admin", "radio:admin", *LADDER, "tv:editor")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
BARRED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}


def cells() -> Iterator[tuple[str, str, str]]:
    for path in sorted({path for _, path in ROUTES}):
        for method in METHODS:
            for caller in CALLERS:
                yield path, method, caller


def expected(path: str, method: str, caller: str) -> set[int] | None:
    """Give the statuses of who may not; None for who may."""
    least = ROUTES.get((method, path))
    if least is None:
        return {HTTPStatus.METHOD_NOT_ALLOWED}
    if least == ANYBODY:
        return None
    if caller == "stranger":
        return {HTTPStatus.SEE_OTHER if method == "GET" else HTTPStatus.UNAUTHORIZED}
    if least in (ANY_ROLE, ADMIN_EVERYWHERE):
        may = caller != "roleless" if least == ANY_ROLE else caller == "admin"
        return None if may else {HTTPStatus.FORBIDDEN}
    product, _, role = caller.rpartition(":")
    if caller == "roleless" or product == "radio":
        return {HTTPStatus.NOT_FOUND}
    return None if LADDER.index(role) >= LADDER.index(least) else {HTTPStatus.FORBIDDEN}


def concrete(path: str, things: Things) -> str:
    number = things.person
    if "parked" in path:
        number = things.effect
    if "inbox" in path:
        number = things.message
    if "versions" in path:
        number = things.version
    if "/runs/" in path:
        number = things.run
    if "/holds/" in path:
        number = things.hold
    if "/manifests/" in path:
        number = things.manifest
    if "/disputes/" in path:
        number = things.dispute
    if "/receipts/" in path:
        number = things.target
    return (
        path.replace("<product>", "tv")
        .replace("<int:number>", str(number))
        .replace("<erasure>", things.erasure)
        .replace("<token>", "x" * 43)
        .replace("<name>", HTMX)
    )


def test_every_route_is_in_the_table(desk: Desk) -> None:
    known = {
        (method, rule.rule)
        for rule in desk.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/console")
    }
    assert known == set(ROUTES)


def test_every_cell(desk: Desk, things: Things) -> None:
    wrong, tried = [], 0
    for path, method, caller in cells():
        roles = {"stranger": (), "roleless": ()}.get(caller, (caller,))
        who = desk.stranger() if caller == "stranger" else desk.person(*roles, name=f"n{tried}")
        answer = who.client.open(
            concrete(path, things),
            method=method,
            base_url="https://reconfirm.example",
            data={"csrf": who.csrf},
            headers={"Origin": "https://reconfirm.example"},
        )
        tried += 1
        barred = expected(path, method, caller)
        if barred is None:
            free = "enter" in path or "callback" in path or "start" in path
            well = free or answer.status_code not in BARRED | {HTTPStatus.METHOD_NOT_ALLOWED}
            well = well and answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
        else:
            well = answer.status_code in barred
            told = method != "GET" or "Blue Television" not in answer.text
            well = well and told
        if not well:
            wrong.append((path, method, caller, answer.status_code))
    assert not wrong
    assert tried == len({path for _, path in ROUTES}) * len(METHODS) * len(CALLERS)


@pytest.mark.parametrize(
    ("written", "product", "role"),
    [
        (["viewer"], "tv", Role.VIEWER),
        (["tv:editor"], "tv", Role.EDITOR),
        (["tv:editor"], "radio", None),
        (["viewer", "tv:admin"], "tv", Role.ADMIN),
        (["viewer", "tv:admin"], "radio", Role.VIEWER),
        (["admin", "tv:viewer"], "tv", Role.ADMIN),
        (["Admin", "root", "tv:", ":admin", "*:admin", "tv:admin:x", "admin\n"], "tv", None),
        ([], "tv", None),
    ],
)
def test_roles_as_they_are_written(written: list[str], product: str, role: Role | None) -> None:
    assert Roles.read(written).on(product) is role


def test_two_products_never_mix(desk: Desk, things: Things) -> None:
    """Whoever has a role on another product reaches nothing of this one by its numbers."""
    desk.town.founded(desk.town.database, desk.town.clock, desk.town.links, "radio")
    other = desk.person("radio:admin")
    for (method, path), least in ROUTES.items():
        if least in (ANYBODY, ANY_ROLE) or "<int:number>" not in path or "/versions/" in path:
            continue  # each product has a version 1 of its own: test_versions.py
        for product, status in (("tv", 404), ("radio", 404)):
            address = concrete(path, things).replace("/tv/", f"/{product}/")
            forms = {"answer": "keep", "why": "phone", "finding": "put_right"}
            answer = other.get(address) if method == "GET" else other.post(address, **forms)
            allowed = {status, 409, 400} if product == "radio" and method == "POST" else {status}
            assert answer.status_code in allowed, (address, answer.status_code)
    assert [line for line in desk.audited() if line[0] != "person_not_found"] == []


def test_the_list_names_only_ones_own(desk: Desk) -> None:
    desk.town.founded(desk.town.database, desk.town.clock, desk.town.links, "radio")
    page = desk.person("radio:viewer").get("/console/").text
    assert "/console/products/radio/" in page
    assert "/console/products/tv/" not in page


@pytest.mark.parametrize(
    ("claims", "path", "listed"),
    [
        ({"roles": ["a", 7, "b"]}, "roles", ["a", "b"]),
        ({"roles": "a b"}, "roles", ["a", "b"]),
        ({"realm_access": {"roles": ["a"]}}, "realm_access.roles", ["a"]),
        ({"https://x.example/roles": ["a"]}, "https://x.example/roles", ["a"]),
        ({"realm_access": ["roles"]}, "realm_access.roles", []),
        ({}, "roles", []),
    ],
)
def test_where_a_claim_lists_roles(claims: dict[str, object], path: str, listed: list[str]) -> None:
    assert _listed(claims, path) == listed
