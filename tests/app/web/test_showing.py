import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from html.parser import HTMLParser

import pytest
from flask.testing import FlaskClient

from tests.app.web.gallery import STATES
from tests.world import Town

SAFE = ("GET", "HEAD", "OPTIONS")
LARGEST = 15 * 1024
TITLES = {
    "asked": "Do you still want Blue Television?",
    "asked_without_reminders": "Do you still want Blue Television?",
    "asked_or_canceled": "Do you still want Blue Television?",
    "asked_or_nothing": "Do you still want Blue Television?",
    "asked_without_erasure": "Do you still want Blue Television?",
    "asked_and_late": "Do you still want Blue Television?",
    "doubted": "What would you like to do?",
    "doubted_by_a_quick_undo": "What would you like to do?",
    "doubted_while_told": "What would you like to do?",
    "told_while_in_doubt": "What would you like to do?",
    "silence_queued": "We are about to stop the charge",
    "silence_claimed": "We are about to stop the charge",
    "silence_parked": "We are about to stop the charge",
    "cancel_resting": "You chose to cancel",
    "cancel_due": "You chose to cancel",
    "cancel_claimed": "You chose to cancel",
    "cancel_parked": "You chose to cancel",
    "cancel_behind_suspension": "You chose to cancel",
    "keep_behind_suspension": "You chose to keep Blue Television",
    "keep_behind_cancel": "You chose to keep Blue Television",
    "keep_parked": "You chose to keep Blue Television",
    "suspended": "We have stopped charging you",
    "suspended_without_erasure": "We have stopped charging you",
    "suspended_data_kept": "We have stopped charging you",
    "suspended_long_ago": "We have stopped charging you",
    "suspended_doubted": "What would you like to do?",
    "suspended_cancel_resting": "You chose to cancel",
    "suspended_by_mistake": "We have stopped charging you",
    "restoring": "We are putting our mistake right",
    "restoring_claimed": "We are putting our mistake right",
    "restored": "Your subscription is active again",
    "canceled_by_mistake": "Your subscription is canceled",
    "resume_recorded": "You chose to resume",
    "resume_claimed": "You chose to resume",
    "resume_parked": "You chose to resume",
    "canceled": "Your subscription is canceled",
    "canceled_data_kept": "Your subscription is canceled",
    "canceled_by_silence": "Your subscription is canceled",
    "canceled_by_billing": "Your subscription is canceled",
    "canceled_resume_recorded": "You chose to resume",
    "canceled_cancel_recorded": "You chose to cancel",
    "resume_doubted": "What would you like to do?",
    "resume_in_doubt": "What would you like to do?",
    "ended": "Your subscription has ended",
    "kept": "You keep Blue Television",
    "kept_a_while_ago": "You keep Blue Television",
    "kept_after_a_quick_undo": "You keep Blue Television",
    "returned": "You are back, and nothing changes",
    "resumed": "Your subscription is active again",
    "resumed_by_billing": "Your subscription is active again",
    "withdrawn": "We no longer need an answer",
    "unreachable": "Our question could not reach you",
    "expired": "Nothing has changed",
    "by_billing": "This was settled elsewhere",
    "no_longer_charged": "You keep Blue Television",
    "older_kept": "This question is closed",
    "older_returned": "This question is closed",
    "older_by_billing": "This question is closed",
    "asked_before_a_person": "Do you still want Blue Television?",
    "asked_and_late_before_a_person": "Do you still want Blue Television?",
    "silence_before_a_person": "Do you still want Blue Television?",
    "told_before_a_person": "We are about to stop the charge",
    "chosen_before_a_person": "You chose to cancel",
    "suspended_before_a_person": "We have stopped charging you",
    "kept_before_a_person": "You keep Blue Television",
    "paused_before_a_person": "This was settled elsewhere",
    "asked_and_looked_at": "Do you still want Blue Television?",
    "answered_before_it_could_be_read": "What would you like to do?",
    "suspended_to_be_erased": "We have stopped charging you",
    "canceled_to_be_erased": "Your subscription is canceled",
    "ended_to_be_erased": "Your subscription has ended",
    "erased_and_looked_at": "We have stopped charging you",
    "charged_to_be_erased": "Your subscription is active again",
    "warned_once": "We have stopped charging you",
    "warned": "We have stopped charging you",
    "warned_and_due": "We have stopped charging you",
    "warned_and_held": "We have stopped charging you",
    "erasing": "Your data is being erased",
    "erasing_on_request": "Your data is being erased",
    "erasing_and_unreachable": "Your data is being erased",
    "parting": "Your data is being erased",
    "erased_by_hand": "We have stopped charging you",
    "erasure_refused": "We have stopped charging you",
    "hostile_plan": "Do you still want Blue Television?",
}


class Tags(HTMLParser):
    """Every tag of a page with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def words_of(page: str) -> str:
    """Give a page as it is read, without tags and styles."""
    inline = re.sub(r"</?(bdi|strong|a)\b[^>]*>", "", page)
    bare = re.sub(r"<style>.*?</style>|<[^>]+>", " ", inline, flags=re.DOTALL)
    return " ".join(unescape(bare).split())


def heading_of(page: str) -> str:
    return words_of(re.findall(r"<h1>(.*?)</h1>", page)[0])


def answers_on(page: str) -> list[str]:
    """Give the answers that a page offers; the wish for a person to look is none."""
    offered = [str(each["value"]) for each in Tags(page).named("button")]
    return [each for each in offered if each != "review"]


def without_languages(page: str) -> str:
    """Give a page without the names of the languages it can be read in."""
    return re.sub(r"<nav>.*?</nav>", "", page, flags=re.DOTALL)


@pytest.mark.parametrize("name", STATES)
def test_whatever_only_reads_changes_nothing_in_the_whole_database(
    town: Town, browser: FlaskClient, everything: Callable[[], dict[str, str]], name: str
) -> None:
    token = STATES[name].reach(town)
    before = everything()

    for path in (f"/a/{token}", f"/a/{token}?answer=cancel&so=keep-ended", f"/a/{token}/one-click"):
        for method in SAFE:
            reply = browser.open(path, method=method, data={"answer": "cancel"})
            assert reply.status_code == 200

    assert len(before) > 10
    assert everything() == before


@pytest.mark.parametrize("name", STATES)
def test_every_state_has_a_page_that_is_small_and_asks_for_nothing_else(
    town: Town, browser: FlaskClient, name: str
) -> None:
    reply = browser.get(f"/a/{STATES[name].reach(town)}")

    page, tags = reply.text, Tags(reply.text)
    assert heading_of(page) == TITLES[name]
    assert len(reply.data) < LARGEST
    assert "Set-Cookie" not in reply.headers
    assert not {tag for tag, _ in tags.found} & {"script", "img", "link", "iframe", "object", "svg"}
    assert not [
        one for _, each in tags.found for one in each if one.startswith("on") or one == "src"
    ]
    assert "url(" not in page
    assert "@import" not in page
    links = {str(each.get("href")) for each in Tags(without_languages(page)).named("a")}
    assert {each.partition("/a/")[0] for each in links} <= {"", "/p/tv", "https://tv.example/help"}
    assert all(str(each["action"]).startswith("/a/") for each in tags.named("form"))
    assert all(each["method"] == "post" for each in tags.named("form"))


def test_keep_and_cancel_look_alike_and_take_one_click_each(
    town: Town, browser: FlaskClient
) -> None:
    page = browser.get(f"/a/{STATES['asked'].reach(town)}").text

    choice = re.findall(r'<div class="choice".*?</div>', page, flags=re.DOTALL)[0]
    assert answers_on(choice) == ["keep", "cancel"]
    assert re.findall(r"<(\w+)[ >]", choice.partition("</form>")[0])[1:] == re.findall(
        r"<(\w+)[ >]", choice.partition("</form>")[2]
    )
    assert [each.keys() for each in Tags(choice).named("button")] == [{"name", "value"}] * 2


def test_an_ask_states_the_facts_a_decision_needs(town: Town, browser: FlaskClient) -> None:
    words = words_of(browser.get(f"/a/{STATES['asked'].reach(town)}").text)

    for fact in (
        "Blue Television \N{EN DASH} standard",
        "£13.49 a month",
        "Next charge September 20, 2024",
        "never, since it began on September 1, 2022",
        "the end of Tuesday, October 1, 2024",
        "we suspend your subscription and stop charging you",
        "If you cancel, it is kept until at least July 20, 2025",
        "if you do not answer, until at least August 20, 2025",
    ):
        assert fact in words


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        ("asked", ["keep", "cancel", "keep"]),
        ("asked_and_late", ["keep", "cancel", "keep"]),
        ("doubted", ["keep", "cancel", "keep"]),
        ("silence_queued", ["keep", "cancel", "keep"]),
        ("cancel_resting", ["undo"]),
        ("cancel_claimed", ["undo"]),
        ("keep_behind_suspension", ["cancel"]),
        ("suspended", ["resume", "cancel", "keep_data", "erase"]),
        ("suspended_without_erasure", ["resume", "cancel", "erase"]),
        ("suspended_data_kept", ["resume", "cancel", "erase"]),
        ("suspended_cancel_resting", ["undo", "keep_data", "erase"]),
        ("suspended_by_mistake", ["resume", "cancel", "erase"]),
        ("restoring", ["undo"]),
        ("restored", ["cancel"]),
        ("resume_recorded", ["undo", "keep_data"]),
        ("resume_claimed", ["cancel"]),
        ("resume_in_doubt", ["resume", "cancel"]),
        ("told_while_in_doubt", ["keep", "cancel", "keep"]),
        ("canceled", ["resume", "keep_data", "erase"]),
        ("canceled_data_kept", ["resume", "erase"]),
        ("canceled_resume_recorded", ["cancel", "keep_data"]),
        ("ended", ["keep_data", "erase"]),
        ("suspended_to_be_erased", ["resume", "cancel", "keep_data"]),
        ("canceled_to_be_erased", ["resume", "keep_data"]),
        ("ended_to_be_erased", ["keep_data"]),
        ("charged_to_be_erased", ["cancel", "keep_data"]),
        ("warned_once", ["resume", "cancel", "keep_data", "erase"]),
        ("warned", ["resume", "cancel", "keep_data", "erase"]),
        ("warned_and_due", ["resume", "cancel", "keep_data", "erase"]),
        ("warned_and_held", ["resume", "cancel", "keep_data", "erase"]),
        ("erasing", []),
        ("erasing_on_request", []),
        ("parting", []),
        ("erased_by_hand", ["resume", "cancel"]),
        ("erasure_refused", ["resume", "cancel", "keep_data", "erase"]),
        ("kept", ["undo"]),
        ("kept_a_while_ago", ["cancel"]),
        ("returned", ["cancel"]),
        ("resumed", ["cancel"]),
        ("withdrawn", ["keep", "cancel"]),
        ("unreachable", ["keep", "cancel"]),
        ("expired", ["keep", "cancel"]),
        ("by_billing", ["cancel"]),
        ("no_longer_charged", ["undo"]),
        ("older_kept", []),
        ("older_returned", []),
    ],
)
def test_what_is_offered_is_what_may_still_be_done(
    town: Town, browser: FlaskClient, name: str, offered: list[str]
) -> None:
    page = browser.get(f"/a/{STATES[name].reach(town)}").text

    assert answers_on(page) == offered


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("cancel_resting", "We tell our billing system after September 1, 2024, 1:10"),
        ("cancel_due", "We tell our billing system in a moment. You can still undo it."),
        ("cancel_claimed", "being told right now; it has not confirmed yet"),
        ("cancel_parked", "A person is looking into it; your choice stands"),
        ("suspended_by_mistake", "Nothing is charged without your yes."),
        ("restoring", "We should not have stopped your subscription."),
        ("restored", "We had stopped your subscription by mistake."),
        ("resume_recorded", "It is recorded, and not done yet."),
        ("resume_parked", "You are not charged meanwhile."),
        ("keep_behind_suspension", "was already being told to stop the charge"),
        ("silence_parked", "did not accept it when we told it to stop charging you"),
        ("suspended", "confirmed on October 3, 2024"),
        ("suspended", "You are charged again from October 20, 2024"),
        ("suspended", "Your data is kept until at least August 20, 2025"),
        ("suspended_data_kept", "nothing is scheduled to be erased"),
        ("suspended_long_ago", "October 20, 2024; that time is over"),
        ("suspended_long_ago", "You are charged again from December 20, 2024"),
        ("canceled", "You can take this back until September 20, 2024."),
        ("canceled_by_silence", "did not hear from you, so your subscription was canceled"),
        ("canceled_by_billing", "It was canceled in our billing system, not on this page."),
        ("no_longer_charged", "Our billing system no longer charges this subscription."),
        ("older_kept", "you chose to keep Blue Television. This link belongs to an earlier"),
        ("asked_and_late", "Nothing has been stopped yet, so your answer still counts."),
        ("asked_or_canceled", "we cancel your subscription"),
        ("asked_or_nothing", "If you do not answer, nothing changes."),
        ("asked_without_erasure", "nothing is scheduled to be erased"),
        ("warned_once", "and write again before."),
        ("warned", "Your data is kept until at least"),
        ("warned", "and do not write again before."),
        ("warned_and_due", "It may be erased any day now"),
        ("warned_and_held", "and do not write again before."),
        ("erasing", "as we had written to you. Nothing can be taken back any more"),
        ("erasing", "You get one more message from us about it."),
        ("erasing", "Our billing system ends your subscription for good."),
        ("erasing_on_request", "as you had asked us to. Nothing can be taken back any more"),
        ("parting", "Our last message to you goes out."),
    ],
)
def test_a_page_says_honestly_how_far_things_have_come(
    town: Town, browser: FlaskClient, name: str, sentence: str
) -> None:
    assert sentence in words_of(browser.get(f"/a/{STATES[name].reach(town)}").text)


def test_who_cannot_be_mailed_is_promised_no_last_message(town: Town, browser: FlaskClient) -> None:
    words = words_of(browser.get(f"/a/{STATES['erasing_and_unreachable'].reach(town)}").text)

    assert "Nothing can be taken back any more" in words
    assert "one more message" not in words


@pytest.mark.parametrize(("name", "offered"), [("warned", True), ("erasing", False)])
def test_while_data_is_erased_no_page_of_it_is_offered(
    town: Town, browser: FlaskClient, name: str, *, offered: bool
) -> None:
    token = STATES[name].reach(town)
    assert (f"/a/{token}/data" in browser.get(f"/a/{token}").text) == offered


def test_a_hold_on_somebody_is_not_told(town: Town, browser: FlaskClient) -> None:
    words = words_of(browser.get(f"/a/{STATES['warned_and_held'].reach(town)}").text)

    assert "any day now" not in words
    assert "hold" not in words.replace("See what we hold", "").replace("what we hold about you", "")


def test_what_billing_has_not_confirmed_is_never_called_done(
    town: Town, browser: FlaskClient
) -> None:
    token = STATES["cancel_resting"].reach(town)
    recorded = browser.get(f"/a/{token}").text
    town.clock.advance(timedelta(minutes=11))
    town.settle()
    done = browser.get(f"/a/{token}").text

    assert 'class="done"' not in recorded
    assert 'class="done"' in done


@pytest.mark.parametrize("column", ["plan", "name", "support_url"])
def test_names_that_want_to_be_markup_stay_text(
    town: Town, browser: FlaskClient, column: str
) -> None:
    hostile = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'{{7*7}}{plan}{0}%s"
    token = STATES["asked"].reach(town)
    with town.database.transaction() as connection:
        table = "subscription" if column == "plan" else "product"
        connection.exec_driver_sql(f"update {table} set {column} = %s", (hostile,))  # noqa: S608

    reply = browser.get(f"/a/{token}")

    assert reply.status_code == 200
    assert "<script" not in reply.text
    assert "<img" not in reply.text
    assert ("{{7*7}}{plan}{0}%s" in unescape(reply.text)) == (column != "support_url")


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", "//evil", "http://[", "mailto:x@y.z"]
)
def test_a_support_address_that_is_no_web_address_is_not_linked(
    town: Town, browser: FlaskClient, address: str
) -> None:
    token = STATES["asked"].reach(town)
    with town.database.transaction() as connection:
        connection.exec_driver_sql("update product set support_url = %s", (address,))

    assert address not in browser.get(f"/a/{token}").text


def test_days_and_moments_are_those_where_the_subscriber_lives(
    town: Town, browser: FlaskClient
) -> None:
    token = STATES["cancel_resting"].reach(town)
    with town.database.transaction() as connection:
        connection.exec_driver_sql("update contact set timezone = 'Pacific/Auckland'")

    assert "September 2, 2024, 12:00" in words_of(browser.get(f"/a/{token}").text)
