"""Getting in: by the provider, whose every word is checked, and by a link that holds once."""

import hashlib
import secrets
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from joserfc.jwk import OctKey, RSAKey
from sqlalchemy import text
from werkzeug.test import TestResponse

from app.store import console as store
from app.store.tables import metadata
from app.web.console.signing_in import TRIES
from tests.app.web.console.conftest import BASE, ORIGIN, Desk, Person
from tests.app.web.console.provider import CLIENT, SECRET, FakeProvider
from tests.world import MovableClock

MINUTE = timedelta(minutes=1)


def begun(who: Person, query: str = "") -> str:
    """Begin a try; give where the provider sends back to."""
    answer = who.get(f"/console/sign-in/start{query}")
    assert answer.status_code == 303
    back = requests.get(answer.location, timeout=10, allow_redirects=False)
    return back.headers["Location"].removeprefix(BASE)


def signs_in(who: Person, query: str = "") -> TestResponse:
    answer = who.get(begun(who, query))
    cookie = who.client.get_cookie("__Host-reconfirm", domain="reconfirm.example")
    who.cookie = cookie.value if cookie is not None else ""
    return answer


def sessions(desk: Desk) -> int:
    with desk.town.database.transaction() as connection:
        return int(connection.scalar(text("select count(*) from console_session")) or 0)


def link(desk: Desk, *roles: str, name: str = "bob", minutes: int = 10) -> str:
    token = secrets.token_urlsafe(32)
    wall = desk.town.clock.wall()
    with desk.town.database.transaction() as connection:
        digest = hashlib.sha256(token.encode()).digest()
        store.add_link(connection, digest, name, roles, wall, wall + minutes * MINUTE)
    return f"/console/enter/{token}"


def enters(who: Person, path: str) -> TestResponse:
    answer = who.client.post(path, base_url=BASE, headers=ORIGIN)
    cookie = who.client.get_cookie("__Host-reconfirm", domain="reconfirm.example")
    who.cookie = cookie.value if cookie is not None else ""
    return answer


# --- the provider --------------------------------------------------------------------------


def test_the_provider_lets_in_with_its_roles(with_provider: Desk, provider: FakeProvider) -> None:
    provider.roles = ["tv:editor", "something-else"]
    who = with_provider.stranger()
    answer = signs_in(who, "?back=/console/products/tv/")
    assert (answer.status_code, answer.location) == (303, "/console/products/tv/")
    assert "Blue Television" in who.get("/console/products/tv/").text
    assert who.post("/console/products/tv/pause", why="other").status_code == 303
    assert with_provider.audited() == [
        ("console_signed_in", "oidc", "console:anna"),
        ("brake_on", "other", "console:anna"),
    ]
    asked = provider.asked[0]
    assert asked["scope"].split()[0] == "openid"
    assert len(asked["nonce"]) >= 32
    assert SECRET not in str(provider.asked)


def test_the_cookie_is_for_this_host_alone_and_no_script(with_provider: Desk) -> None:
    answer = signs_in(with_provider.stranger())
    cookie = next(
        each
        for each in answer.headers.getlist("Set-Cookie")
        if each.startswith("__Host-reconfirm=")
    )
    parts = {part.strip() for part in cookie.split(";")[1:]}
    assert parts == {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"}


Bend = Callable[[FakeProvider], None]


def other_key(provider: FakeProvider) -> None:
    provider.signs_with = RSAKey.generate_key(2048, {"kid": "one"})


def by_the_secret(provider: FakeProvider) -> None:
    provider.signs_with = OctKey.import_key(SECRET * 2)
    provider.header = {"alg": "HS256", "kid": "one"}


def set_claims(**claims: object) -> Bend:
    return lambda provider: provider.claims.update(claims)


def without(name: str) -> Bend:
    return lambda provider: provider.drop.add(name)


def expired(provider: FakeProvider) -> None:
    provider.claims["exp"] = int(provider.clock.wall().timestamp()) - 61


def not_yet(provider: FakeProvider) -> None:
    provider.claims["nbf"] = int(provider.clock.wall().timestamp()) + 600


BENT: dict[str, Bend] = {
    "signed by another key": other_key,
    "signed by the shared secret": by_the_secret,
    "of another issuer": set_claims(iss="https://elsewhere.example"),
    "for another audience": set_claims(aud="somebody-else"),
    "for another audience, by us": set_claims(aud="somebody-else", azp="reconfirm"),
    "for several, and not by us": set_claims(aud=["reconfirm", "b"], azp="b"),
    "for several, and by nobody": set_claims(aud=["reconfirm", "b"]),
    "expired": expired,
    "not valid yet": not_yet,
    "with another nonce": set_claims(nonce="another"),
    "without a nonce": without("nonce"),
    "without an issuer": without("iss"),
    "without an audience": without("aud"),
    "without an end": without("exp"),
    "about nobody": set_claims(sub=""),
    "without a subject": without("sub"),
    "about a number": set_claims(sub=7),
    "discovered as another": lambda provider: provider.document.update(issuer="https://x.example"),
    "discovered elsewhere in the clear": lambda provider: provider.document.update(
        token_endpoint="ftp://x.example/token"
    ),
}


@pytest.mark.parametrize("name", BENT)
def test_a_token_that_does_not_fit_lets_nobody_in(
    with_provider: Desk, provider: FakeProvider, name: str
) -> None:
    who = with_provider.stranger()
    if name.startswith("discovered"):
        BENT[name](provider)
        answer = who.get("/console/sign-in/start")
        assert answer.status_code in (403, 409)
    else:
        path = begun(who)
        BENT[name](provider)
        assert who.get(path).status_code == 403
    assert sessions(with_provider) == 0
    assert with_provider.audited() == []


@pytest.mark.parametrize("roles", [[], ["unknown"], None, 7, {"admin": True}, "viewers"])
def test_whoever_has_no_role_gets_no_session(
    with_provider: Desk, provider: FakeProvider, roles: object
) -> None:
    provider.roles = roles
    assert signs_in(with_provider.stranger()).status_code == 403
    assert sessions(with_provider) == 0


def test_what_the_provider_sends_back_with_is_believed_once(with_provider: Desk) -> None:
    who = with_provider.stranger()
    path = begun(who)
    cookie = who.client.get_cookie("__Host-reconfirm-sign-in", domain="reconfirm.example")
    assert cookie is not None
    assert who.get(path).status_code == 303
    assert who.get(path).status_code == 400, "the try is over"
    again = with_provider.stranger()
    again.client.set_cookie(
        "__Host-reconfirm-sign-in", cookie.value, domain="reconfirm.example", secure=True
    )
    assert again.get(path).status_code == 403, "and the provider takes its code once"
    assert sessions(with_provider) == 1


def test_a_try_belongs_to_the_browser_that_began_it(with_provider: Desk) -> None:
    attacker, victim = with_provider.stranger(), with_provider.stranger()
    path = begun(attacker)
    assert victim.get(path).status_code == 400
    begun(victim)
    assert victim.get(path).status_code == 400, "its state is another"
    assert sessions(with_provider) == 0


def test_a_try_ends_after_ten_minutes(with_provider: Desk, clock: MovableClock) -> None:
    who = with_provider.stranger()
    path = begun(who)
    clock.advance(10 * MINUTE)
    assert who.get(path).status_code == 400


@pytest.mark.parametrize("value", ["", "x", "e30.x", "e30=.AAAA"])
def test_a_forged_try_is_not_understood(with_provider: Desk, value: str) -> None:
    who = with_provider.stranger()
    who.client.set_cookie(
        "__Host-reconfirm-sign-in", value, domain="reconfirm.example", secure=True
    )
    assert who.get("/console/callback?code=x&state=y").status_code == 400


def test_a_refusal_of_the_provider_is_a_page(with_provider: Desk) -> None:
    who = with_provider.stranger()
    state = parse_qs(urlsplit(begun(who)).query)["state"][0]
    answer = who.get(f"/console/callback?error=access_denied&state={state}")
    assert answer.status_code == 400


def test_a_provider_that_is_down_is_a_page(with_provider: Desk, provider: FakeProvider) -> None:
    provider.document = {"issuer": "x"}
    answer = with_provider.stranger().get("/console/sign-in/start")
    assert answer.status_code == 409
    assert "provider" in answer.text


@pytest.mark.parametrize(
    "back",
    ["https://evil.example/", "//evil.example", "/console//evil.example", "/a/x", "/console/../a"],
)
def test_nobody_is_sent_out_of_the_console(with_provider: Desk, back: str) -> None:
    assert signs_in(with_provider.stranger(), f"?back={back}").location == "/console/"


def test_a_session_is_never_the_one_from_before(with_provider: Desk) -> None:
    """Session fixation: a cookie that somebody was given beforehand opens nothing."""
    who = with_provider.stranger()
    who.enters("planted" * 6)
    signs_in(who)
    assert who.cookie != "planted" * 6
    thief = with_provider.stranger()
    thief.enters("planted" * 6)
    assert thief.get("/console/").status_code == 303


def test_signing_in_again_ends_the_session_before(with_provider: Desk) -> None:
    who = with_provider.stranger()
    signs_in(who)
    before = who.cookie
    signs_in(who)
    thief = with_provider.stranger()
    thief.enters(before)
    assert thief.get("/console/").status_code == 303
    assert sessions(with_provider) == 1


def test_other_roles_end_every_session(with_provider: Desk, provider: FakeProvider) -> None:
    first, second = with_provider.stranger(), with_provider.stranger()
    signs_in(first)
    provider.roles = ["viewer"]
    signs_in(second)
    assert first.get("/console/").status_code == 303
    assert second.get("/console/").status_code == 200


def test_two_people_of_one_name_stay_two_in_history(
    with_provider: Desk, provider: FakeProvider
) -> None:
    signs_in(with_provider.stranger())
    provider.subject = "0002"
    signs_in(with_provider.stranger())
    provider.subject, provider.name = "0001", "somebody else now"
    signs_in(with_provider.stranger())
    actors = [actor for _, _, actor in with_provider.audited()]
    assert actors[0] == actors[2] == "console:anna", "a name once given stays"
    assert actors[1].startswith("console:anna-")


def test_a_name_in_history_is_a_code(with_provider: Desk, provider: FakeProvider) -> None:
    provider.name = "Änna <b>@example.com\n"
    signs_in(with_provider.stranger())
    assert with_provider.audited()[0][2] == "console:nna-b-example.com"


def test_a_key_that_is_new_is_fetched(with_provider: Desk, provider: FakeProvider) -> None:
    signs_in(with_provider.stranger())
    provider.key = RSAKey.generate_key(2048, {"kid": "two"})
    provider.header = {"alg": "RS256", "kid": "two"}
    assert signs_in(with_provider.stranger()).status_code == 303


# --- what is hard to undo ------------------------------------------------------------------


def test_lifting_a_stop_asks_who_it_is_once_more(
    with_provider: Desk, provider: FakeProvider, clock: MovableClock
) -> None:
    who = with_provider.stranger()
    signs_in(who)
    who.post("/console/products/tv/pause", why="other")
    clock.advance(10 * MINUTE)
    answer = who.post("/console/products/tv/lift", why="mended")
    assert answer.location == "/console/again?back=%2Fconsole%2Fproducts%2Ftv%2F"
    assert ("brake_off", "mended", "console:anna") not in with_provider.audited()
    page = who.get(answer.location).text
    assert "again=1" in page
    provider.claims["auth_time"] = int(clock.wall().timestamp()) - 3600
    assert who.get(begun(who, "?again=1")).status_code == 403, "it did not ask"
    del provider.claims["auth_time"]
    back = signs_in(who, "?again=1&back=/console/products/tv/")
    assert back.location == "/console/products/tv/"
    assert provider.asked[-1]["prompt"] == "login"
    assert who.post("/console/products/tv/lift", why="mended").location.endswith("so=lifted")
    assert with_provider.audited()[-1] == ("brake_off", "mended", "console:anna")


def test_who_was_signed_in_there_long_ago_has_not_proved_it_now(
    with_provider: Desk, provider: FakeProvider, clock: MovableClock
) -> None:
    for claims, drop in (
        ({"auth_time": int(clock.wall().timestamp()) - 900}, set()),
        ({}, {"auth_time"}),
    ):
        provider.claims, provider.drop = claims, drop
        who = with_provider.stranger()
        signs_in(who)
        assert who.post("/console/products/tv/lift").location.startswith("/console/again")


# --- sessions ------------------------------------------------------------------------------


def test_a_session_ends_when_it_lies_idle(desk: Desk, clock: MovableClock) -> None:
    who = desk.person("viewer")
    for _ in range(3):
        clock.advance(29 * MINUTE)
        assert who.get("/console/").status_code == 200
    clock.advance(30 * MINUTE)
    assert who.get("/console/").status_code == 303
    assert who.post("/console/products/tv/people", who="a").status_code == 401


def test_a_session_ends_after_a_working_day(desk: Desk, clock: MovableClock) -> None:
    who = desk.person("viewer")
    for _ in range(23):
        clock.advance(20 * MINUTE)
        assert who.get("/console/").status_code == 200
    clock.advance(20 * MINUTE)
    assert who.get("/console/").status_code == 303


def test_signing_out_ends_the_session_and_not_only_the_cookie(desk: Desk) -> None:
    who = desk.person("viewer", name="eve")
    assert who.post("/console/sign-out").location == "/console/sign-in"
    thief = desk.stranger()
    thief.enters(who.cookie)
    assert thief.get("/console/").status_code == 303
    assert desk.audited() == [("console_signed_out", "by_hand", "console:eve")]


def test_only_hashes_are_kept(desk: Desk) -> None:
    who = desk.person("viewer")
    path = link(desk, "viewer")
    with desk.town.database.transaction() as connection:
        for name in metadata.tables:
            found = str(connection.execute(text(f"select * from {name}")).all())  # noqa: S608
            assert who.cookie not in found
            assert path.rpartition("/")[2] not in found


# --- one-time links ------------------------------------------------------------------------


def test_a_link_lets_in_once(desk: Desk) -> None:
    who, path = desk.stranger(), link(desk, "tv:editor")
    page = who.get(path).text
    assert "bob" in page
    assert f'action="{path}"' in page
    assert sessions(desk) == 0, "looking at it lets nobody in"
    assert enters(who, path).location == "/console/"
    assert "Blue Television" in who.get("/console/").text
    assert desk.audited() == [("console_signed_in", "link", "console:bob")]
    other = desk.stranger()
    assert other.get(path).status_code == 404
    assert enters(other, path).status_code == 404
    assert sessions(desk) == 1


def test_a_link_ends_after_ten_minutes(desk: Desk, clock: MovableClock) -> None:
    path = link(desk, "admin")
    clock.advance(10 * MINUTE)
    assert desk.stranger().get(path).status_code == 404
    assert enters(desk.stranger(), path).status_code == 404


@pytest.mark.parametrize("token", ["x", "x" * 43, "x" * 200, "%00" * 43, "é" * 43])
def test_an_unknown_link_is_a_page(desk: Desk, token: str) -> None:
    assert desk.stranger().get(f"/console/enter/{token}").status_code == 404
    assert enters(desk.stranger(), f"/console/enter/{token}").status_code == 404


def test_a_link_is_not_used_by_a_form_of_another_site(desk: Desk) -> None:
    path = link(desk, "admin")
    for headers in ({}, {"Origin": "null"}, {"Origin": "https://evil.example"}):
        answer = desk.stranger().client.post(path, base_url=BASE, headers=headers)
        assert answer.status_code == 403
    assert enters(desk.stranger(), path).status_code == 303


def test_a_link_cannot_take_the_name_of_somebody_of_the_provider(
    with_provider: Desk, provider: FakeProvider
) -> None:
    signs_in(with_provider.stranger())
    assert (
        enters(with_provider.stranger(), link(with_provider, "admin", name="anna")).status_code
        == 403
    )
    assert provider.name == "anna"
    assert sessions(with_provider) == 1


# --- limits --------------------------------------------------------------------------------


def test_tries_are_counted(desk: Desk) -> None:
    who = desk.stranger()
    found = [enters(who, "/console/enter/" + "x" * 43).status_code for _ in range(TRIES.amount)]
    assert set(found) == {404}
    assert enters(who, link(desk, "admin")).status_code == 429
    assert desk.person("viewer").get("/console/").status_code == 200, "who is in stays in"


def test_without_a_provider_there_is_none(desk: Desk) -> None:
    assert "console-link" in desk.stranger().get("/console/sign-in").text
    assert desk.stranger().get("/console/sign-in/start").status_code == 404
    assert desk.stranger().get("/console/callback?code=x&state=y").status_code == 404
    assert CLIENT
