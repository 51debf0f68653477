"""The mailbox of test mode: every notice that was sent, and nothing else."""

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app.links import Links
from app.store import brands, products
from app.store.brands import Own
from app.store.database import Database
from app.web import create_app
from app.world.mail.logo import CONTENT_ID
from app.world.mail.relay import open_relay
from tests.app.world.mail.test_own import png
from tests.probe import DAY, fingerprint
from tests.world import MovableClock, Town, row

BASE = "http://127.0.0.1:8080"


@pytest.fixture
def client(database: Database, clock: MovableClock, links: Links, tmp_path: Path) -> FlaskClient:
    town = Town.founded(database, clock, links)
    with database.transaction() as connection:
        number = products.row_of(connection, "tv").id
        brands.write(connection, number, Own("#8a1538", png(), ()))
    town.join(row("ada"), row("ben"))
    with open_relay(tmp_path.as_uri()) as relay:
        town.relay = relay  # type: ignore[assignment]
        town.settle()
        town.answer("ben", "cancel")
        town.clock.advance(DAY)
        town.hear()
        town.settle()
    return create_app(database, clock, links, base_url=BASE, mailbox=tmp_path).test_client()


def text_of(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def names_in(page: str) -> list[str]:
    return re.findall(r'href="/mailbox/([^"/]+)"', page)


def test_every_notice_is_listed_and_can_be_read_as_page_as_text_and_as_it_is(
    client: FlaskClient, tmp_path: Path
) -> None:
    there = {path.name for path in (tmp_path / "new").iterdir()}
    assert len(there) == 3
    assert set(names_in(text_of(client, "/mailbox"))) == there
    for name in there:
        page = text_of(client, f"/mailbox/{name}")
        assert "Hello," in page
        assert f'src="/mailbox/{name}/html"' in page
        assert "</html>" in text_of(client, f"/mailbox/{name}/html")
        source = client.get(f"/mailbox/{name}/source")
        assert source.mimetype == "text/plain"
        assert source.data == (tmp_path / "new" / name).read_bytes()


def test_one_subscriber_is_found_by_id_and_by_address(client: FlaskClient) -> None:
    everything = names_in(text_of(client, "/mailbox"))
    bens = names_in(text_of(client, "/mailbox?for=ben"))
    address = re.search(r"for=(ben[^\"]*)\"", text_of(client, "/mailbox"))
    assert address
    assert len(bens) == 2
    assert set(bens) < set(everything)
    assert names_in(text_of(client, f"/mailbox?for={address[1]}")) == bens


@pytest.mark.parametrize("wish", ["nobody", "%00", "a\ud800", "%", "<script>", "x" * 400])
def test_who_was_sent_nothing_is_told_so(client: FlaskClient, wish: str) -> None:
    page = client.get("/mailbox", query_string={"for": wish.encode("utf-8", "replace")})
    assert page.status_code == 200
    assert "Nothing was sent to them" in page.get_data(as_text=True)
    assert b"<script>" not in page.data


def test_a_logo_is_shown_though_nothing_is_fetched(client: FlaskClient) -> None:
    name = names_in(text_of(client, "/mailbox"))[0]
    html = client.get(f"/mailbox/{name}/html")
    assert f"cid:{CONTENT_ID}" not in html.get_data(as_text=True)
    assert 'src="data:image/png;base64,' in html.get_data(as_text=True)
    assert html.headers["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
    )


def test_its_own_pages_may_frame_a_mail_and_run_nothing(client: FlaskClient) -> None:
    for path in (
        "/mailbox",
        "/mailbox?page=9",
        f"/mailbox/{names_in(text_of(client, '/mailbox'))[0]}",
    ):
        policy = client.get(path).headers["Content-Security-Policy"]
        assert "frame-src 'self'" in policy
        assert "default-src 'none'" in policy
        assert "script" not in policy


@pytest.mark.parametrize(
    "path",
    ["/mailbox/..%2f..%2fetc%2fpasswd", "/mailbox/no-such-mail", "/mailbox/../x", "/mailbox/"],
)
def test_what_is_not_there_is_not_found(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404
    assert client.get(f"{path}/html").status_code == 404
    assert client.get(f"{path}/source").status_code == 404


@pytest.mark.parametrize("page", ["0", "-1", "x", "99999999999999999999"])
def test_any_page_is_a_page(client: FlaskClient, page: str) -> None:
    assert client.get(f"/mailbox?page={page}").status_code == 200


def test_it_goes_on_page_by_page(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.mailbox.A_PAGE", 2)
    first, second = text_of(client, "/mailbox"), text_of(client, "/mailbox?page=2")
    assert (len(names_in(first)), len(names_in(second))) == (2, 1)
    assert "Older" in first
    assert "Older" not in second
    assert "Newer" in second
    assert not set(names_in(first)) & set(names_in(second))


def test_looking_changes_nothing(client: FlaskClient, database: Database) -> None:
    before = fingerprint(database)
    for path in ("/mailbox", "/mailbox?for=ben"):
        text_of(client, path)
    assert fingerprint(database) == before
    assert client.post("/mailbox").status_code == 405


def test_without_a_mailbox_to_show_there_is_no_such_page(
    database: Database, clock: MovableClock, links: Links
) -> None:
    app = create_app(database, clock, links, base_url=BASE)
    assert app.test_client().get("/mailbox").status_code == 404


def test_an_empty_mailbox_says_how_to_see_a_mail(
    database: Database, clock: MovableClock, links: Links, tmp_path: Path
) -> None:
    app = create_app(database, clock, links, base_url=BASE, mailbox=tmp_path / "none")
    assert "send-test" in app.test_client().get("/mailbox").get_data(as_text=True)
