"""What the docs tell a reader to write works as it stands there."""

import hashlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from cryptography.exceptions import InvalidSignature

from app import certificates
from app.certificates import Proof
from app.clock import Clock
from app.inbox import speaks
from app.links import Links
from app.signing import new_secret, sign
from app.store import products
from app.store.database import Database
from app.web import create_app
from app.world import billing
from app.world.connector import Order
from app.world.erasing import Place
from app.world.erasure.webhook import Webhook
from app.world.hooks import Answer, Message
from app.world.outcome import Done, No
from jobs.telling import Teller
from tests.app.web.api.conftest import key_for
from tests.erasing import begun, registered
from tests.probe import asked, rows
from tests.world import START, MovableClock, Town, row

DOCS = Path(__file__).resolve().parents[1] / "docs"
ADDRESS = "https://reconfirm.example/webhooks/tv/standard"


def written(page: str) -> dict[str, Any]:
    """Give what the Python of a page defines, run from top to bottom."""
    found: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL):
        exec(block, found)  # noqa: S102 - our own page
    return found


@pytest.fixture
def secret(database: Database, links: Links) -> str:
    made = new_secret()
    town = Town.founded(database, MovableClock(), links, "tv")
    with database.transaction() as connection:
        products.change(connection, town.product.id, {"signing_secrets": [made]})
    return made


def test_billing_tells_us_what_changed(
    database: Database, links: Links, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = create_app(database, Clock(), links, base_url="https://reconfirm.example").test_client()
    answers = []

    def post(address: str, data: bytes, headers: dict[str, str], timeout: int) -> Any:  # noqa: ARG001
        answer = ours.post(address, data=data, headers=headers)
        answers.append((answer.status_code, (answer.json or {}).get("result")))
        return SimpleNamespace(raise_for_status=lambda: None)

    monkeypatch.setattr(requests, "post", post)
    tell = written("billing.md")["tell"]
    for _ in range(2):
        tell(ADDRESS, secret, "subscription.created", row("ada"), datetime.now(UTC), "msg_1")
    assert answers == [(200, "applied"), (200, "duplicate")]
    assert rows(database, "select external_id from subscription") == [("ada",)]


def test_a_certificate_is_verified_as_the_page_says() -> None:
    secrets = [
        "new-key-0123456789-0123456789-0123456789",
        "old-key-0123456789-0123456789-0123456789",
    ]
    proof = Proof("er_0123456789", "tv", "Télé", "request", START, START, ("contact",))
    document, keys = certificates.make(proof, secrets[1:]), certificates.published(secrets)
    genuine = written("proof.md")["genuine"]
    assert genuine(document, keys)
    document["certificate"]["cause"] = "schedule"
    with pytest.raises(InvalidSignature):
        genuine(document, keys)


def test_billing_obeys_each_command_once() -> None:
    acts: list[tuple[str, str]] = []
    billing = SimpleNamespace(
        pause=lambda who: acts.append(("pause", who)),
        resume=lambda who: acts.append(("resume", who)),
        cancel_at_period_end=lambda who: acts.append(("cancel", who)),
        end_now=lambda who: acts.append(("end", who)),
    )
    secret, done = new_secret(), set[str]()
    command = written("billing.md")["command"]
    for act in ("suspend", "resume", "cancel", "end"):
        data = {"subscription": "sub_1"} | ({"at_once": True} if act == "end" else {})
        kind = "cancel" if act == "end" else act
        body = json.dumps({"type": f"billing.{kind}", "data": data}).encode()
        signed = sign([secret], f"msg_{act}", datetime.now(UTC), body)
        for _ in range(2):
            status, _said = command(secret, signed, body, billing, done)
            assert status == 200
        assert command(new_secret(), signed, body, billing, done)[0] == 401
    done_to_it = ("pause", "resume", "cancel", "end")
    assert acts == [(act, "sub_1") for act in done_to_it]


def test_a_target_as_the_docs_have_it_gives_receipts_that_are_believed(
    database: Database, links: Links
) -> None:
    """At once, and later over the API."""
    page = written("targets.md")
    town = Town.founded(database, MovableClock(datetime(2026, 11, 1, tzinfo=UTC)), links, "tv")
    secret, gone = new_secret(), []
    store = SimpleNamespace(delete=lambda *what: gone.append(what))
    number = registered(town, "crm", categories=["profile", "tickets"], secrets=[secret])
    town.join(row("ada"), row("bob"))
    town.sweep()
    later = begun(town, "bob")
    rows(database, "delete from receipt")
    erasure = begun(town, "ada")
    sent = []

    def take(url: str, secrets: Any, message: Message) -> Answer:
        signed = sign(secrets, message.id, datetime.now(UTC), message.body)
        sent.append(json.loads(message.body)["data"])
        status, body = page["erasing"](secret, signed, message.body, store)
        assert page["erasing"](new_secret(), signed, message.body, store)[0] == 401
        return Answer(Done(), status, body) if url else Answer(No("no address"))

    def connect(_: str, of: Any) -> Webhook:
        sender: Any = SimpleNamespace(send=take, local=True)
        settings = {"url": "https://crm.example/"}
        answers = partial(links.receipts_url, "tv")
        return Webhook(
            Place("tv", of.key, of.categories, settings, town.clock, database.engine, sender,
                  secrets=of.secrets, answers=answers)
        )  # fmt: skip

    assert Teller(database, town.clock, links, connect).work("tv", lambda: True) == (1, True)
    assert rows(database, "select erasure_id, state from receipt") == [(erasure, "given")]
    assert gone == [("profile", "ada")]

    rows(
        database,
        """insert into receipt (erasure_id, target_id, product_id, last, state, not_before)
           select id, :target, product_id, false, 'told', begun_at from erasure where id = :id""",
        target=number,
        id=later,
    )
    data = sent[0] | {
        "receipt": {
            "url": links.receipts_url("tv", later),
            "token": links.receipt_token(later, number),
        }
    }
    url, body = page["receipt_later"](data, ["profile", "tickets"], [])
    key = key_for(town, "manage")
    client = create_app(database, town.clock, links, base_url="").test_client()
    reply = client.post(
        url,
        data=body,
        content_type="application/json",
        headers={"Authorization": f"Bearer {key}"},
    )
    assert (reply.status_code, reply.get_json()["state"]) == (200, "given"), reply.text


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Put the connector of the docs where connectors are, and nowhere else."""
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "connectors.md").read_text(), re.DOTALL)
    (tmp_path / "acme.py").write_text(code)
    monkeypatch.setattr(billing, "__path__", [*billing.__path__, str(tmp_path)])
    billing.names.cache_clear()
    billing.system.cache_clear()
    yield "acme"
    sys.modules.pop("app.world.billing.acme", None)
    billing.names.cache_clear()
    billing.system.cache_clear()


def test_one_file_is_a_connector(database: Database, links: Links, acme: str) -> None:
    assert acme in billing.names()
    assert speaks(acme)
    ours = create_app(database, Clock(), links, base_url="https://reconfirm.example").test_client()
    assert ours.post(f"/webhooks/tv/{acme}", data=b"{}").status_code == 401
    assert f"/webhooks/{{product}}/{acme}" in ours.get("/openapi.json").get_json()["paths"]


def test_the_connector_of_the_docs_acts_once_and_says_how_things_stand(acme: str) -> None:
    system = billing.system(acme)
    assert system is not None
    stands = {"state": "running", "paid_until": "2026-12-01T00:00:00+00:00"}
    posts: list[str] = []

    def request(method: str, url: str, headers: dict[str, str]) -> Any:
        if not url.startswith("https://api.acme.example/subscriptions/sub_1"):
            return SimpleNamespace(status=404)
        if method == "POST":
            posts.append(headers["Idempotency-Key"])
            stands["state"] = "stopped"
        return SimpleNamespace(status=200, json=lambda: stands)

    settings = {"api": "https://api.acme.example"}
    site: Any = SimpleNamespace(
        product="tv", clock=Clock(), key="k", settings=settings, pace=lambda _: None
    )
    connector: Any = system.connect(site)
    connector.http = SimpleNamespace(request=request)
    order = Order("tv", "sub_1", "suspend", "key-1", START)
    assert [connector.carry_out(order) for _ in range(2)] == [Done(), Done()]
    assert connector.read(order).state == "paused"
    assert posts == ["key-1"]
    assert connector.carry_out(replace(order, subscription="sub_2")) == No("unknown subscription")
    assert connector.look("sub_2") is None


def test_the_messages_of_the_docs_system_name_what_changed(acme: str) -> None:
    system = billing.system(acme)
    assert system is not None
    assert system.read is not None
    assert system.read(b'{"subscription": "sub_1"}', START).look == ("sub_1",)
    assert not system.read(b'{"other": 1}', START).ours
    assert system.read(b"[", START).wrong


def test_a_product_asks_inside_its_own_app(
    database: Database, links: Links, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = MovableClock()
    town = Town.founded(database, clock, links, "tv")
    town.join(row("ada", plan="<b>gold</b>"), row("ben"))
    key = "rk_" + "k" * 43
    with database.transaction() as connection:
        digest = hashlib.sha256(key.encode()).digest()
        products.add_key(connection, town.product.id, digest, key[:7], "manage", None, clock.now())
    ours = create_app(database, clock, links, base_url="https://reconfirm.example").test_client()

    def call(method: str, url: str, **sent: Any) -> Any:
        sent.pop("timeout")
        reply = ours.open(url, method=method, **sent)
        refused = requests.HTTPError(reply.text) if reply.status_code >= 400 else None

        def raise_for_status() -> None:
            if refused:
                raise refused

        return SimpleNamespace(
            status_code=reply.status_code,
            json=lambda: reply.json,
            raise_for_status=raise_for_status,
        )

    monkeypatch.setattr(requests, "get", lambda url, **sent: call("GET", url, **sent))
    monkeypatch.setattr(requests, "post", lambda url, **sent: call("POST", url, **sent))
    app = written("in-your-app.md")["Reconfirm"]("https://reconfirm.example", "tv", key)
    assert app.question("ada") == ""
    asked(town, "ada", "ben")
    shown = app.question("ada")
    assert shown.count("<button") == 2
    assert "&lt;b&gt;gold&lt;/b&gt;" in shown
    assert "Please answer before 2024-10-01." in shown
    assert app.question("nobody/else") == ""
    assert app.answer("ada", "keep") == "applied"
    assert app.question("ada") == ""
    assert town.stage("ada") == "active"
    assert app.answer("ben", "cancel") == "applied"
    assert app.question("ben") == ""
    with pytest.raises(ValueError, match="erase"):
        app.answer("ben", "erase")
