"""What mail providers call us with: who may, what it means, and what becomes of the rest."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.errors import Conflict
from app.inbox import Inbox
from app.links import Links
from app.returns import Returns
from app.world.mail.brief import NOTICES
from app.world.mail.postmark import marked
from app.world.mail.relay import open_relay
from app.world.returns import providers
from app.world.returns.report import Unreadable
from tests.app.web.api.conftest import key_for, problem_in
from tests.app.world.returns.build import ADA, report
from tests.probe import asked, fingerprint, rows
from tests.world import Town, row

Call = Callable[..., TestResponse]


@pytest.fixture
def notice(town: Town) -> str:
    """Have Ada and Bob asked; give the Message-ID of Ada's ask."""
    town.join(row("ada"), row("bob"))
    asked(town, "ada", "bob")
    (found,) = [mail for mail in town.relay.mails() if str(mail["To"]) == ADA]
    return str(found["Message-ID"]).strip()


@pytest.fixture
def call(town: Town, browser: FlaskClient) -> Call:
    """Give what calls as a provider does."""
    key = key_for(town, "feedback")

    def calling(
        provider: str, body: Any, *, password: str = key, product: str = "tv", **headers: str
    ) -> TestResponse:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        login = base64.b64encode(f"x:{password}".encode()).decode()
        headers = {"Authorization": f"Basic {login}"} | headers
        path = f"/webhooks/{product}/mail/{provider}"
        return browser.post(path, data=data, headers=headers, content_type="text/plain")

    return calling


def local(notice: str) -> str:
    """Give what Postmark keeps of a Message-ID: the signed part."""
    return notice.strip("<>").partition("@")[0].partition(".")[2]


def postmark(notice: str, kind: str = "HardBounce", **changes: Any) -> dict[str, Any]:
    told = {
        "RecordType": "Bounce",
        "Type": kind,
        "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
        "Email": ADA,
        "Metadata": {"reconfirm": local(notice)},
    }
    return told | changes


def ses(notice: str, kind: str = "Bounce", *, wrapped: bool = True, **changes: Any) -> Any:
    told = {
        "notificationType": kind,
        "bounce": {"bounceType": "Permanent", "bounceSubType": "General"},
        "complaint": {"complaintFeedbackType": "abuse"},
        "mail": {
            "messageId": "0000014644fe5ef6",
            "destination": [ADA],
            "headersTruncated": False,
            "headers": [{"name": "From", "value": "x"}, {"name": "Message-ID", "value": notice}],
            "commonHeaders": {"messageId": notice},
        },
    }
    told |= changes
    if not wrapped:
        return told
    return {"Type": "Notification", "MessageId": "da41e39f", "Message": json.dumps(told)}


def reach(town: Town) -> str:
    return str(town.case("ada").reach)


# --- what it means -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "result", "expected"),
    [
        ("HardBounce", "applied", "bounced"),
        ("BadEmailAddress", "applied", "bounced"),
        ("Blocked", "applied", "bounced"),
        ("SpamComplaint", "applied", "complained"),
        ("SoftBounce", "applied", "bounced"),
        ("DnsError", "applied", "bounced"),
        ("Transient", "ignored", "ok"),
        ("AutoResponder", "ignored", "ok"),
        ("Unknown", "ignored", "ok"),
        ("", "ignored", "ok"),
    ],
)
def test_postmark_tells_of_bounces(  # noqa: PLR0913, PLR0917 - a table
    town: Town, notice: str, call: Call, kind: str, result: str, expected: str
) -> None:
    reply = call("postmark", postmark(notice, kind))
    assert (reply.status_code, reply.json) == (200, {"result": result})
    assert reach(town) == expected
    assert town.stage("bob") == "asked"


def test_postmark_tells_of_complaints_and_much_else(town: Town, notice: str, call: Call) -> None:
    for record in ("Delivery", "Open", "Click", "SubscriptionChange", "Inbound"):
        assert call("postmark", postmark(notice, RecordType=record)).json == {"result": "ignored"}
    assert reach(town) == "ok"
    assert call("postmark", postmark(notice, "x", RecordType="SpamComplaint")).status_code == 200
    assert reach(town) == "complained"
    assert call("postmark", postmark(notice)).json == {"result": "applied"}
    assert call("postmark", postmark(notice)).json == {"result": "unchanged"}


def test_postmark_may_give_the_mail_back_instead(town: Town, notice: str, call: Call) -> None:
    content = report(notice=notice).decode()
    told = postmark("<>", Metadata={}, Content=content)
    assert call("postmark", told).json == {"result": "applied"}
    assert reach(town) == "bounced"


def test_a_mail_for_postmark_carries_what_comes_back(town: Town, notice: str, call: Call) -> None:
    (raw,) = [raw for to, raw in town.relay.sent if to == ADA]
    lines = marked(raw).split(b"\r\n")
    assert lines[0] == b"X-PM-KeepID: true"
    name, _, value = lines[1].partition(b": ")
    assert (name, value.decode()) == (b"X-PM-Metadata-reconfirm", local(notice))
    told = postmark(notice, Metadata={"reconfirm": value.decode()})
    assert call("postmark", told).json == {"result": "applied"}
    assert marked(b"Subject: x\r\n\r\nMessage-ID: <a@b>") == b"Subject: x\r\n\r\nMessage-ID: <a@b>"


def test_the_longest_notice_fits_in_what_postmark_keeps(links: Links) -> None:
    for kind in NOTICES:
        name = links.notice_id(2**63, 65535, kind, 2**32 - 1)
        mail = f"Message-ID: <{name}@tv.example>\r\n\r\n".encode()
        kept = marked(mail).split(b"\r\n")[1].partition(b": ")[2].decode()
        assert 0 < len(kept) <= 80
        assert links.named_notice(f"<.{kept}@x>") == (2**63, 65535, kind, 2**32 - 1)


def test_only_postmarks_own_relay_gets_its_headers() -> None:
    kinds = [
        type(open_relay(f"smtp://u:p@{host}:587")).__name__
        for host in ("smtp.postmarkapp.com", "SMTP-broadcasts.postmarkapp.com", "relay.example")
    ]
    assert kinds == ["Postmark", "Postmark", "Smtp"]


@pytest.mark.parametrize(
    ("changes", "result", "expected"),
    [
        ({}, "applied", "bounced"),
        ({"wrapped": False}, "applied", "bounced"),
        ({"bounce": {"bounceType": "Transient", "bounceSubType": "General"}}, "ignored", "ok"),
        (
            {"bounce": {"bounceType": "Transient", "bounceSubType": "MailboxFull"}},
            "applied",
            "bounced",
        ),
        ({"bounce": {"bounceType": "Undetermined"}}, "ignored", "ok"),
        ({"bounce": None}, "ignored", "ok"),
        ({"kind": "Complaint"}, "applied", "complained"),
        ({"kind": "Complaint", "complaint": {}}, "applied", "complained"),
        (
            {"kind": "Complaint", "complaint": {"complaintFeedbackType": "not-spam"}},
            "ignored",
            "ok",
        ),
        ({"kind": "Delivery"}, "ignored", "ok"),
        ({"kind": "Open"}, "ignored", "ok"),
        ({"mail": {"commonHeaders": None, "headers": [7, None, {"name": 1}]}}, "ignored", "ok"),
        ({"mail": []}, "ignored", "ok"),
    ],
)
def test_ses_tells_of_bounces_and_complaints(  # noqa: PLR0913, PLR0917 - a table
    town: Town, notice: str, call: Call, changes: dict[str, Any], result: str, expected: str
) -> None:
    reply = call("ses", ses(notice, **changes))
    assert (reply.status_code, reply.json) == (200, {"result": result})
    assert reach(town) == expected


def test_ses_publishes_events_by_another_name_too(town: Town, notice: str, call: Call) -> None:
    told = ses(notice, wrapped=False)
    told["eventType"] = told.pop("notificationType")
    del told["mail"]["commonHeaders"]
    assert call("ses", told).json == {"result": "applied"}
    assert reach(town) == "bounced"


CONFIRMATION = {
    "Type": "SubscriptionConfirmation",
    "MessageId": "165545c9-2a5c-472c-8df2-7ff2be2b3b1b",
    "Token": "2336412f37f",
    "SubscribeURL": "https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&Token=2336",
}


def test_what_confirms_a_topic_is_kept_for_a_person_and_never_opened(
    town: Town, call: Call, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert call("ses", CONFIRMATION).json == {"result": "kept"}
    ((number, body),) = rows(town.database, "select id, body from inbox where state = 'ignored'")
    assert json.loads(bytes(body)) == CONFIRMATION
    said = capfd.readouterr().err
    assert said.count(f"inbox show {number}") == 1
    assert "Token" not in said
    assert "amazonaws" not in said
    with pytest.raises(Conflict):
        Inbox(town.database, town.clock).replay(number)


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.us-west-2.amazonaws.com/?a",
        "https://sns.us-west-2.amazonaws.com.evil.example/?a",
        "https://evil.example/?sns.us-west-2.amazonaws.com/",
        "https://x@evil.example/",
        "",
        7,
    ],
)
def test_a_confirmation_that_leads_elsewhere_is_refused(town: Town, call: Call, url: Any) -> None:
    reply = call("ses", CONFIRMATION | {"SubscribeURL": url})
    assert (reply.status_code, problem_in(reply)) == (422, "invalid-body")
    assert rows(town.database, "select 1 from inbox") == []


# --- who may -------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", providers.names())
@pytest.mark.parametrize("scope", ["usage", "read", "manage", "radio", "revoked", "none", "odd"])
def test_only_a_key_for_feedback_of_this_product_may(
    town: Town, notice: str, call: Call, provider: str, scope: str
) -> None:
    other = Town.founded(town.database, town.clock, town.links, "radio")
    odd = {"none": "", "odd": "rk_" + "é\0" * 20}
    owner = other if scope == "radio" else town
    narrow = scope in ("radio", "revoked")
    password = odd[scope] if scope in odd else key_for(owner, "feedback" if narrow else scope)
    if scope == "revoked":
        rows(town.database, "update apikey set revoked_at = created_at")
    before = fingerprint(town.database)
    body = postmark(notice) if provider == "postmark" else ses(notice)
    reply = call(provider, body, password=password)
    assert (reply.status_code, problem_in(reply)) == (401, "unauthorized")
    assert reply.headers["WWW-Authenticate"].startswith("Basic")
    assert fingerprint(town.database) == before


@pytest.mark.parametrize("product", ["radio", "nothing", "TV", "tv%00", "tv'--"])
def test_another_product_is_answered_as_no_key_at_all(
    town: Town, notice: str, call: Call, product: str
) -> None:
    Town.founded(town.database, town.clock, town.links, "radio")
    refused = call("postmark", postmark(notice), password="none")
    reply = call("postmark", postmark(notice), product=product)
    assert (reply.status_code, reply.data) == (401, refused.data)
    assert reach(town) == "ok"


@pytest.mark.parametrize(
    "given", ["Bearer rk_x", "Basic", "Basic !", "Basic eDo=", "Digest a=b", ""]
)
def test_a_mangled_login_is_401(call: Call, given: str) -> None:
    assert call("postmark", {}, Authorization=given).status_code == 401


# --- hostile bodies ------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", providers.names())
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"null",
        b'{"Type": NaN}',
        b"[" * 100_000,
        b'{"RecordType": 7, "Type": []}',
        b'{"Type": "Notification", "Message": "{"}',
        b'{"Type": "Notification", "Message": 7}',
        b'{"Type": "\\ud800"}',
        b"\xff\xfe",
    ],
)
def test_what_is_no_call_of_the_provider_is_refused_by_a_code(
    town: Town, call: Call, provider: str, body: bytes
) -> None:
    before = fingerprint(town.database)
    reply = call(provider, body)
    assert (reply.status_code, problem_in(reply)) == (422, "invalid-body")
    assert fingerprint(town.database) == before


def test_a_body_too_large_or_packed_is_not_read(call: Call) -> None:
    assert call("ses", b" " * 2_000_000).status_code == 413
    assert call("ses", b"x", **{"Content-Encoding": "gzip"}).status_code == 415


@pytest.mark.parametrize("provider", providers.names())
def test_its_own_example_is_read(provider: str) -> None:
    providers.provider(provider).read(json.dumps(providers.provider(provider).example).encode())
    with pytest.raises(Unreadable):
        providers.provider(provider).read(b"{}")
    with pytest.raises(LookupError):
        providers.provider("nobody")


# --- a click of one's own ------------------------------------------------------------------------


def test_who_answers_after_a_bounce_is_reached_again(
    town: Town, notice: str, call: Call, browser: FlaskClient
) -> None:
    call("postmark", postmark(notice))
    assert reach(town) == "bounced"
    path = f"/a/{town.links.answer_token(town.id_of('ada'), 1)}"
    assert browser.get(path).status_code == 200
    assert reach(town) == "bounced"
    browser.post(path, data={"answer": "keep"})
    assert reach(town) == "ok"
    assert rows(town.database, "select 1 from suppression") == []


def test_an_answer_does_not_take_back_a_complaint(
    town: Town, notice: str, call: Call, browser: FlaskClient
) -> None:
    call("postmark", postmark(notice, "SpamComplaint"))
    path = f"/a/{town.links.answer_token(town.id_of('ada'), 1)}"
    browser.post(path, data={"answer": "keep"})
    Returns(town.database, town.clock, town.links).heard_from("tv", town.id_of("ada"), "subscriber")
    assert reach(town) == "complained"
    assert rows(town.database, "select reason from suppression") == [("complained",)]
