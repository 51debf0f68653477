import base64
import hashlib
import random
import re
import string
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from app.engine.look import look
from app.links import Links
from app.store.database import Database
from app.web import create_app
from tests.app.web.conftest import BASE
from tests.app.web.gallery import STATES
from tests.app.web.test_showing import heading_of
from tests.world import Town

MANY = 2000
TEN_THOUSAND = 10_000
SEED = 20240901
PATHS = ("/a/{token}", "/a/{token}/one-click", "/a/x", "/healthz", "/robots.txt", "/nowhere")


def mangled(token: str, chance: random.Random) -> str:
    """Give a token with something wrong, in one of many ways."""
    at = chance.randrange(len(token))
    letter = chance.choice(string.ascii_letters + string.digits + "-_.~%")
    wrong = [
        token[:at] + letter + token[at + 1 :],
        token[:at],
        token[at:],
        token + letter,
        token[::-1],
        token.swapcase(),
        "".join(chance.choices(string.printable, k=chance.randrange(1, 80))),
        "".join(chr(chance.randrange(1, 0xD800)) for _ in range(20)),
        "A" * chance.randrange(1, 3000),
        token.replace(".", chance.choice(["", "..", "%2e", "\0", "/"])),
    ]
    return chance.choice(wrong)


def test_a_mangled_token_is_a_plain_404_and_never_an_error(
    town: Town, browser: FlaskClient
) -> None:
    token = STATES["asked"].reach(town)
    chance = random.Random(SEED)  # noqa: S311 - spreads, guards nothing
    codes = set()

    for _ in range(MANY):
        wrong = mangled(token, chance)
        if wrong in ("", token):
            continue
        path = "/a/" + "".join(f"%{byte:02x}" for byte in wrong.encode())
        reply = browser.open(path, method=chance.choice(["GET", "POST"]), data={"answer": "keep"})
        codes.add(reply.status_code)

    assert codes == {404}
    assert town.stage("ann") == "asked"


def test_a_signature_has_one_spelling(town: Town, browser: FlaskClient) -> None:
    token = STATES["asked"].reach(town)
    letters = string.ascii_letters + string.digits + "-_"
    others = [token[:-1] + letter for letter in letters if letter != token[-1]]

    codes = {browser.get(f"/a/{each}").status_code for each in [*others, f"{token}=", f"{token}~"]}

    assert codes == {404}


@pytest.mark.parametrize("path", ["/a/{}", "/a/{}/one-click"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_every_token_that_names_nothing_gets_the_very_same_page(
    town: Town, browser: FlaskClient, path: str, method: str
) -> None:
    token = STATES["asked"].reach(town)
    wrong = [
        "x",
        token[:-1],
        town.links.answer_token(10**15, 1),  # signed, and there is no such subscription
        town.links.answer_token(town.id_of("ann"), 7),  # nor such a round
    ]

    replies = [browser.open(path.format(each), method=method) for each in wrong]

    assert {reply.status_code for reply in replies} == {404}
    assert len({reply.data for reply in replies}) == 1
    assert heading_of(replies[0].text) == "This link does not work"


def spellings(token: str, theirs: str, chance: random.Random) -> list[str]:
    """Give the other ways to write a token that a program or a person may come upon."""
    payload, _, signature = token.partition(".")
    padded = payload + "=" * (-len(payload) % 4)
    raw = base64.urlsafe_b64decode(padded)
    far = signature.translate(str.maketrans("abcABC", "\u0430\uff42\u0441\u0391\u0412\u0421"))
    return [
        f"{padded}.{signature}",
        f"{base64.b64encode(raw).decode()}.{signature}=",
        f"{base64.b16encode(raw).decode()}.{signature}",
        f"{payload}.{theirs.partition('.')[2]}",
        f"{theirs.partition('.')[0]}.{signature}",
        f"{payload}.{far}",
        f"{payload}\u200b.{signature}",
        f"{token}\n",
        f" {token}",
        f"{token}.{signature}",
        f"{token}{token}",
        token.upper(),
        chance.choice(["..", "%2e%2e", "%00", "\u202e", "null", "undefined"]) + token,
    ]


def test_ten_thousand_mangled_tokens_get_one_answer_that_tells_nothing(
    town: Town, browser: FlaskClient
) -> None:
    token = STATES["asked"].reach(town)
    other = Links(["another-key-0123456789-0123456789-0123456789"], BASE)
    theirs = other.answer_token(town.id_of("ann"), 1)
    fresh = town.links.fresh_token(town.id_of("ann"), 1, town.clock.moment)
    chance = random.Random(SEED)  # noqa: S311 - spreads, guards nothing
    answers: dict[str, set[tuple[int, bytes]]] = {}

    for number in range(TEN_THOUSAND):
        page, right = chance.choice([("a", token), ("e", fresh)])
        wrong = chance.choice([mangled(right, chance), theirs, *spellings(right, theirs, chance)])
        if wrong in ("", right):
            continue
        method = ("GET", "POST", "HEAD")[number % 3]
        path = f"/{page}/{''.join(f'%{byte:02x}' for byte in wrong.encode())}"
        path += "/one-click" if number % 5 == 0 and page == "a" else ""
        reply = browser.open(path, method=method, data={"answer": "keep"})
        answers.setdefault(method, set()).add((reply.status_code, reply.data))

    assert {method: len(found) for method, found in answers.items()} == {
        "GET": 1,
        "POST": 1,
        "HEAD": 1,
    }
    assert {code for found in answers.values() for code, _ in found} == {404}
    assert town.case("ann").round.word is None  # type: ignore[union-attr]


def test_a_link_of_somebody_erased_is_gone(town: Town, browser: FlaskClient) -> None:
    token = STATES["asked"].reach(town)
    with town.database.transaction() as connection:
        connection.exec_driver_sql("set local role reconfirm_eraser")
        connection.exec_driver_sql("delete from contact")

    for path in (f"/a/{token}", f"/a/{token}/one-click"):
        for method in ("GET", "POST"):
            reply = browser.open(path, method=method, data={"answer": "keep"})
            assert reply.status_code == 410
            assert "Blue Television" not in reply.text
    with town.database.transaction() as connection:
        outcomes = connection.exec_driver_sql("select outcome from reconfirmation").scalars()
        assert list(outcomes) == [None]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "answer=",
        "answer=KEEP",
        "answer=burn",
        "answer=erase&reason=other",
        "answer=erase&answer=erase",
        "answer=keep&answer=cancel",
        "answer=keep&answer=keep",
        "answer=keep&reason=I+do",
        "answer=keep&reason=",
        "answer=cancel&reason=in_use",
        "answer=keep%00",
        "answer=%ff%fe",
        "reason=in_use",
        "{}",
    ],
)
def test_a_form_that_is_not_ours_shows_the_page_again_and_changes_nothing(
    town: Town, browser: FlaskClient, everything: Callable[[], dict[str, str]], body: str
) -> None:
    token = STATES["asked"].reach(town)
    before = everything()

    reply = browser.post(f"/a/{token}", data=body, content_type="application/x-www-form-urlencoded")

    assert reply.status_code == 400
    assert "We did not understand that" in reply.text
    assert heading_of(reply.text) == "Do you still want Blue Television?"
    assert everything() == before


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data", ""])
def test_a_body_of_another_kind_is_not_understood(
    town: Town, browser: FlaskClient, kind: str
) -> None:
    token = STATES["asked"].reach(town)

    reply = browser.post(f"/a/{token}", data=b'{"answer": "keep"}', content_type=kind)

    assert reply.status_code == 400


@pytest.mark.parametrize("path", ["/a/{}", "/a/{}/one-click"])
def test_a_body_that_is_too_large_is_refused(town: Town, browser: FlaskClient, path: str) -> None:
    token = STATES["asked"].reach(town)

    reply = browser.post(path.format(token), data={"answer": "keep", "more": "x" * 20_000})

    assert reply.status_code == 413
    assert town.stage("ann") == "asked"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
def test_other_methods_are_refused(town: Town, browser: FlaskClient, method: str) -> None:
    reply = browser.open(f"/a/{STATES['asked'].reach(town)}", method=method)

    assert reply.status_code == 405
    assert {"GET", "POST"} <= set(reply.headers["Allow"].split(", "))


def test_a_defect_is_a_plain_page_and_its_log_holds_no_token(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    token = STATES["asked"].reach(town)
    broken = Database("postgresql://nobody:hush-hush@127.0.0.1:1/none")
    app = create_app(broken, town.clock, town.links, base_url=BASE)

    reply = app.test_client().get(f"/a/{token}")

    said = capsys.readouterr()
    assert reply.status_code == 500
    assert heading_of(reply.text) == "Something went wrong on our side"
    for secret in (token, "hush-hush", "Traceback", "127.0.0.1"):
        assert secret not in reply.text + said.out + said.err
    assert "answers.show failed: OperationalError" in said.err


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT"])
def test_every_answer_carries_the_strict_headers_and_no_cookie(
    town: Town, browser: FlaskClient, path: str, method: str
) -> None:
    token = STATES["asked"].reach(town)

    headers = browser.open(path.format(token=token), method=method).headers

    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Robots-Tag"] == "noindex"
    assert headers["Strict-Transport-Security"].startswith("max-age=")
    assert "Set-Cookie" not in headers
    rules = headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "form-action 'self'", "frame-ancestors 'none'"} <= set(rules)
    assert "base-uri 'none'" in rules
    assert not any("unsafe" in rule or "http" in rule or "*" in rule for rule in rules)


@pytest.mark.parametrize("path", ["/a/{token}", "/a/{token}/one-click", "/a/x"])
def test_the_style_sheet_is_allowed_by_the_hash_of_its_very_text(
    town: Town, browser: FlaskClient, path: str
) -> None:
    reply = browser.get(path.format(token=STATES["asked"].reach(town)))

    style = re.findall(r"<style>(.*?)</style>", reply.text, flags=re.DOTALL)[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in reply.headers["Content-Security-Policy"]
    assert "style=" not in reply.text


def test_without_https_no_browser_is_told_to_insist_on_it(town: Town) -> None:
    app = create_app(town.database, town.clock, town.links, base_url="http://127.0.0.1:8080")

    assert "Strict-Transport-Security" not in app.test_client().get("/healthz").headers


def test_behind_a_path_every_address_begins_with_it(town: Town) -> None:
    token = STATES["asked"].reach(town)
    app = create_app(town.database, town.clock, town.links, base_url="https://x.example/ask/")

    reply = app.test_client().get(f"/a/{token}")
    posted = app.test_client().post(f"/a/{token}", data={"answer": "keep"})

    assert f'action="/ask/a/{token}"' in reply.text
    assert posted.headers["Location"] == f"/ask/a/{token}"


def test_crawlers_are_asked_to_stay_away(browser: FlaskClient) -> None:
    assert "Disallow: /a/" in browser.get("/robots.txt").text


def test_health_needs_no_database(town: Town) -> None:
    broken = Database("postgresql://nobody@127.0.0.1:1/none")
    app = create_app(broken, town.clock, town.links, base_url=BASE)

    assert app.test_client().get("/healthz").text == "ok\n"


@pytest.mark.parametrize(
    "so",
    [
        "keep-too_late<script>",
        "keep",
        "-",
        "keep-applied",
        "erase-sent",
        "burn-ended",
        "x-too_late",
    ],
)
def test_an_address_cannot_put_words_on_the_page(town: Town, browser: FlaskClient, so: str) -> None:
    token = STATES["asked"].reach(town)

    reply = browser.get(f"/a/{token}", query_string={"so": so})

    assert reply.data == browser.get(f"/a/{token}").data


def test_a_look_waits_for_no_lock_and_takes_none(town: Town) -> None:
    STATES["asked"].reach(town)
    with town.database.transaction() as other:
        other.exec_driver_sql("select * from reconfirmation for update")
        with town.database.transaction() as connection:
            connection.exec_driver_sql("set local lock_timeout = '100ms'")
            assert look(connection, town.id_of("ann"), 1, town.clock.now())
