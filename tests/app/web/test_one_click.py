from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from tests.app.web.gallery import NAME, STATES
from tests.app.web.test_showing import heading_of
from tests.world import Town

BODY = {"List-Unsubscribe": "One-Click"}


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_mail_program_stops_reminders_and_nothing_else(
    town: Town, browser: FlaskClient, kind: str
) -> None:
    token = STATES["asked"].reach(town)
    before = town.case(NAME).round

    replies = [
        browser.post(f"/a/{token}/one-click", data=BODY, content_type=kind) for _ in range(2)
    ]

    after = town.case(NAME).round
    assert [reply.status_code for reply in replies] == [200, 200]
    assert replies[0].mimetype == "text/plain"
    assert before is not None
    assert after is not None
    assert (before.quiet, after.quiet) == (False, True)
    assert (after.stage, after.outcome, after.word, after.act) == ("asked", None, None, None)
    assert town.story(NAME).count("reminders_stopped") == 1


def test_a_person_presses_a_button_and_comes_back_to_a_page(
    town: Town, browser: FlaskClient
) -> None:
    token = STATES["asked"].reach(town)
    shown = browser.get(f"/a/{token}/one-click")

    pressed = browser.post(f"/a/{token}/one-click", data=BODY | {"from": "page"})

    assert heading_of(shown.text) == "No more reminders?"
    assert 'name="List-Unsubscribe" value="One-Click"' in shown.text
    assert pressed.status_code == 303
    again = browser.get(pressed.headers["Location"])
    assert heading_of(again.text) == "No more reminders"
    assert "<button" not in again.text


@pytest.mark.parametrize(
    "body", ["", "List-Unsubscribe=", "List-Unsubscribe=yes", "answer=keep", "answer=cancel"]
)
def test_anything_else_stops_nothing(
    town: Town, browser: FlaskClient, everything: Callable[[], dict[str, str]], body: str
) -> None:
    token = STATES["asked"].reach(town)
    before = everything()

    reply = browser.post(
        f"/a/{token}/one-click", data=body, content_type="application/x-www-form-urlencoded"
    )

    assert reply.status_code == 400
    assert everything() == before


@pytest.mark.parametrize(
    "name",
    ["asked", "cancel_resting", "silence_claimed", "suspended", "canceled", "kept", "older_kept"],
)
def test_one_click_never_keeps_or_cancels_in_any_stage(
    town: Town, browser: FlaskClient, name: str
) -> None:
    token = STATES[name].reach(town)
    before = town.case(NAME)

    reply = browser.post(f"/a/{token}/one-click", data=BODY)

    after = town.case(NAME)
    assert reply.status_code == 200
    assert before.round is not None
    assert after.round is not None
    assert (after.round.word, after.round.act, after.stage) == (
        before.round.word,
        before.round.act,
        before.stage,
    )
