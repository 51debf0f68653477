"""Pages, calls and lists about somebody who was erased: that they were, and nothing else."""

import pytest
from flask.testing import FlaskClient

from tests.app.web.api.conftest import key_for
from tests.canary import ERASURE, wiped
from tests.probe import fingerprint, rows, suspended
from tests.world import Town, row

ROOT = "/v1/products/tv/subscriptions"


@pytest.fixture
def sid(town: Town) -> int:
    """Erase ada, who was suspended; bob stays."""
    (found, _) = town.join(row("ada", customer="cus_ada"), row("bob"))
    suspended(town, "ada")
    wiped(town, found)
    return found


def test_a_link_in_a_mail_says_that_it_is_gone_and_changes_nothing(
    town: Town, browser: FlaskClient, sid: int
) -> None:
    token = town.links.answer_token(sid, 1)
    before = fingerprint(town.database)
    for path in (f"/a/{token}", f"/a/{token}/one-click"):
        shown = browser.get(path)
        assert shown.status_code == 410
        assert "ada" not in shown.text
    for form in ({"answer": "keep"}, {"answer": "erase"}, {"answer": "resume"}):
        assert browser.post(f"/a/{token}", data=form).status_code == 410
    fresh = town.links.fresh_token(sid, 1, town.clock.wall())
    assert browser.get(f"/e/{fresh}").status_code == 404
    assert fingerprint(town.database) == before


@pytest.mark.usefixtures("sid")
def test_the_api_says_of_an_erased_id_that_it_is_gone(town: Town, browser: FlaskClient) -> None:
    key = key_for(town, "manage")
    read = {"Authorization": f"Bearer {key_for(town, 'read')}"}
    for path in ("/ada", "/ada/timeline"):
        assert browser.get(ROOT + path, headers=read).status_code == 410
    told = browser.post(
        f"{ROOT}/ada/answer",
        json={"answer": "keep", "actor": "app"},
        headers={"Authorization": f"Bearer {key}"},
    )
    assert told.status_code == 410
    assert browser.get(f"{ROOT}/cyd", headers=read).status_code == 404
    assert browser.get(f"{ROOT}/bob", headers=read).status_code == 200
    (hidden,) = rows(
        town.database, "select external_id from subscription where external_id like 'erased:%'"
    )
    assert browser.get(f"{ROOT}/{hidden[0]}", headers=read).status_code == 410
    for query in ("", "?stage=active", "?stage=suspended"):
        listed = browser.get(ROOT + query, headers=read).get_json()["subscriptions"]
        assert [each["id"] for each in listed if each["id"] != "bob"] == []


@pytest.mark.usefixtures("sid")
def test_metrics_and_the_funnel_name_nobody(town: Town, browser: FlaskClient) -> None:
    read = {"Authorization": f"Bearer {key_for(town, 'read')}"}
    day = f"{town.clock.now():%Y-%m-%d}"
    funnel = browser.get(f"/v1/products/tv/funnel?from=2024-09-01&to={day}&by=plan", headers=read)
    assert funnel.status_code == 200
    metrics = browser.get("/metrics", environ_base={"REMOTE_ADDR": "127.0.0.1"})
    assert metrics.status_code == 200
    for shown in (funnel.text, metrics.text):
        assert "erased:" not in shown
        assert "cus_ada" not in shown


def test_the_erasure_that_they_ended_with_is_known(town: Town, sid: int) -> None:
    assert rows(town.database, "select id from erasure") == [(f"{ERASURE}_{sid}",)]
