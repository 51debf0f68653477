"""What a certificate states, the page that shows it, and the keys it is verified with."""

import json
from datetime import UTC, date, datetime

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from app import certificates
from app.certificates import CERTIFICATE, Kept, Told, public_keys, read_published, verify
from app.errors import NotFound
from app.store import ledger, proof
from app.store.ledger import Over
from app.web import create_app
from app.web.certificates import KEYS
from app.web.style import digest
from app.web.words import sentences
from app.world.mail.draft import languages
from tests.app.web.conftest import BASE
from tests.app.web.test_showing import LARGEST, Tags, heading_of, without_languages, words_of
from tests.conftest import KEYS as SECRETS
from tests.world import Town, row

ID = "er_0123456789abcdef"
AT = datetime(2024, 9, 1, 12, tzinfo=UTC)


@pytest.fixture
def browser(town: Town) -> FlaskClient:
    app = create_app(town.database, town.clock, town.links, base_url=BASE, certificate_keys=SECRETS)
    return app.test_client(use_cookies=False)


def do(town: Town, statement: str, **values: object) -> None:
    with town.database.transaction() as connection:
        connection.execute(text("set local session_replication_role = replica"))
        connection.execute(text(statement), values)


def begun(town: Town, cause: str = "schedule") -> None:
    """Let an erasure be under way, with two systems of which one has answered."""
    (sid,) = town.join(row("ada"))
    number = town.product.id
    do(
        town,
        "insert into manifest (product_id, number, day, made_by, made_at, people, hash, state)"
        " values (:p, 7, '2024-08-31', 'clock', :at, 1, :hash, 'approved')",
        p=number,
        at=AT,
        hash=b"\xab" * 32,
    )
    do(
        town,
        "insert into manifest_entry (product_id, number, subscription_id, round, stage, why, since,"
        " erase_on, warned_from, warned_on, warned) values (:p, 7, :s, 1, 'suspended', 'unused',"
        " '2023-10-01', '2024-08-31', '2024-07-01', '2024-08-15', 2)",
        p=number,
        s=sid,
    )
    for actor, approved in (("console:eve", b"\xab"), ("cli:max", b"\xab"), ("cli:tom", b"\x00")):
        do(
            town,
            "insert into manifest_approval values (:p, 7, :actor, :hash, :at)",
            p=number,
            actor=actor,
            hash=approved * 32,
            at=AT,
        )
    do(
        town,
        "insert into erasure (id, product_id, subscription_id, round, cause, manifest, begun_at,"
        " begun_by) values (:id, :p, :s, 1, :cause, :manifest, :at, 'clock')",
        id=ID,
        p=number,
        s=sid,
        cause=cause,
        manifest=7 if cause == "schedule" else None,
        at=AT,
    )
    kept = [{"category": "<b>tickets", "why": "legal_claim", "until": "2026-01-31"}]
    answered(town, "crm", "given", {"erased": ["profile", "notes"], "kept": kept})
    answered(town, "lake", "told", None)


def answered(town: Town, target: str, state: str, body: object) -> None:
    do(
        town,
        "with t as (insert into target (product_id, key, kind, categories, created_by, created_at)"
        " values (:p, :key, 'webhook', '[]', 'cli:eve', :at) returning id)"
        " insert into receipt (erasure_id, target_id, product_id, last, state, not_before, body,"
        " given_at) select :id, id, :p, false, :state, :at, cast(:body as jsonb), :at from t",
        p=town.product.id,
        key=target,
        at=AT,
        id=ID,
        state=state,
        body=None if body is None else json.dumps(body),
    )


def over(town: Town) -> None:
    """Let it be over: certified in the transaction in which it ends."""
    end = {"erased": [], "kept": [{"category": "invoices", "why": "contract", "until": None}]}
    with town.database.transaction() as connection:
        connection.execute(
            text(
                "update receipt set state = 'given', body = cast(:b as jsonb) where state = 'told'"
            ),
            {"b": json.dumps(end)},
        )
        connection.execute(
            text(
                "insert into archive (product_id, erasure_id, category, body, keep_until)"
                " values (:p, :id, 'invoices', '{}', '2034-09-01')"
            ),
            {"p": town.product.id, "id": ID},
        )
        no = ledger.append(connection, Over(ID, "tv", "schedule", bytes(32), AT))
        connection.execute(
            text("update erasure set ended_at = :at, ledger_no = :no where id = :id"),
            {"at": AT, "no": no, "id": ID},
        )
        made = certificates.make(proof.proof_of(connection, ID), SECRETS)
        connection.execute(
            text("update erasure set certificate = cast(:c as jsonb) where id = :id"),
            {"c": json.dumps(made), "id": ID},
        )


def test_the_proof_says_why_when_by_whom_and_what(town: Town) -> None:
    begun(town)
    with pytest.raises(NotFound), town.database.transaction() as connection:
        proof.proof_of(connection, ID)
    over(town)
    with town.database.transaction() as connection:
        found = proof.proof_of(connection, ID)
        with pytest.raises(NotFound):
            proof.proof_of(connection, "er_of_nobody")
    assert (found.product, found.product_name, found.cause) == ("tv", "Blue Television", "schedule")
    assert (found.manifest, found.manifest_hash) == (7, "ab" * 32)
    assert found.approved_by == ("cli:max", "console:eve")
    assert (found.since, found.erase_on) == (date(2023, 10, 1), date(2024, 8, 31))
    assert (found.warned_on, found.warnings) == ((date(2024, 7, 1), date(2024, 8, 15)), 2)
    assert found.kept == (Kept("invoices", "keep_categories", date(2034, 9, 1)),)
    assert found.targets == (
        Told(
            "crm",
            ("profile", "notes"),
            (Kept("<b>tickets", "legal_claim", date(2026, 1, 31)),),
            AT,
        ),
        Told("lake", (), (Kept("invoices", "contract"),), AT),
    )
    assert found.ledger_no == 1


def test_of_a_persons_own_request_there_is_no_list(town: Town) -> None:
    begun(town, "request")
    over(town)
    with town.database.transaction() as connection:
        found = proof.proof_of(connection, ID)
    assert (found.cause, found.manifest, found.approved_by, found.warned_on) == (
        "request",
        None,
        (),
        (),
    )


def test_the_page_says_what_the_certificate_does(town: Town, browser: FlaskClient) -> None:
    begun(town)
    over(town)
    reply = browser.get(f"/c/{ID}")
    assert reply.status_code == 200
    words = words_of(reply.text)
    assert heading_of(reply.text) == "Certificate of erasure"
    for fact in (
        f"Number {ID}",
        "the subscription was over, and the time to keep data had passed",
        "Over since October 1, 2023",
        "Announced on July 1, 2024 and August 15, 2024",
        "On the approved list 7",
        "the address, the language and the time zone",
        "crm profile, notes",
        "lake nothing",
        "invoices Blue Television: kept by our published rules; September 1, 2034",
        "<b>tickets crm: needed for a legal claim; January 31, 2026",
        "invoices lake: needed for a contract; as long as that lasts",
    ):
        assert fact in words, words
    assert "console:eve" not in reply.text
    assert "subscribers.example" not in reply.text


def test_a_page_while_it_is_under_way_and_where_the_certificate_is_lost(
    town: Town, browser: FlaskClient
) -> None:
    begun(town)
    assert heading_of(browser.get(f"/c/{ID}").text) == "This erasure is under way"
    document = browser.get(f"/c/{ID}.json")
    assert (document.status_code, document.json) == (
        202,
        {"erasure": ID, "state": "under_way", "begun_at": "2024-09-01T12:00:00Z"},
    )
    over(town)
    do(town, "update erasure set certificate = null")
    assert heading_of(browser.get(f"/c/{ID}").text) == "This erasure is over"
    found = browser.get(f"/c/{ID}.json").json
    assert found is not None
    assert found["state"] == "over"


def test_the_document_is_genuine_by_the_published_keys(town: Town, browser: FlaskClient) -> None:
    begun(town)
    over(town)
    keys = browser.get(KEYS)
    assert keys.mimetype == "application/json"
    trusted = read_published(keys.data)
    assert trusted == public_keys(SECRETS)
    document = browser.get(f"/c/{ID}.json")
    found = verify(CERTIFICATE, document.data, trusted)
    assert found["erasure"] == ID
    assert document.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("language", languages())
def test_it_is_the_same_page_in_every_language(
    town: Town, browser: FlaskClient, language: str
) -> None:
    begun(town)
    over(town)
    english = without_languages(browser.get(f"/c/{ID}").text)
    reply = browser.get(f"/c/{ID}?lang={language}")
    page = without_languages(reply.text)
    assert reply.headers["Content-Language"].startswith(language)
    assert [tag for tag, _ in Tags(page).found] == [tag for tag, _ in Tags(english).found]
    assert sentences(language)["certificate.title_certified"] in page
    assert len(reply.data) < LARGEST


def test_it_runs_nothing_and_applies_only_its_own_style(town: Town, browser: FlaskClient) -> None:
    begun(town)
    over(town)
    reply = browser.get(f"/c/{ID}")
    style = reply.text.partition("<style>")[2].partition("</style>")[0]
    policy = reply.headers["Content-Security-Policy"]
    assert f"style-src {digest(style)};" in policy
    assert "default-src 'none'" in policy
    assert "<script" not in reply.text
    assert "@media print" in style
    assert reply.headers["Referrer-Policy"] == "no-referrer"
    assert "<b>tickets" not in reply.text


@pytest.mark.parametrize("name", ["er_of_nobody", "x", "er_0123456789abcdeg", "a" * 200, "er%20x"])
def test_what_is_no_erasure_is_a_plain_404(town: Town, browser: FlaskClient, name: str) -> None:
    begun(town)
    pages = [browser.get(f"/c/{name}"), browser.get(f"/c/{name}.json")]
    assert {page.status_code for page in pages} == {404}
    assert {heading_of(page.text) for page in pages} == {"This link does not work"}


def test_looking_changes_nothing_and_nothing_can_be_posted(
    town: Town, browser: FlaskClient, everything: object
) -> None:
    begun(town)
    assert callable(everything)
    before = everything()
    for path in (f"/c/{ID}", f"/c/{ID}.json", KEYS):
        browser.get(path)
        assert browser.post(path).status_code == 405
    assert everything() == before


def test_every_sentence_of_what_is_erased_here_is_there() -> None:
    own = {f"certificate.own_{code}" for code in proof.OWN}
    assert own <= set(sentences("en"))
