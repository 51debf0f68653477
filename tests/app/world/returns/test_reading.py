"""What mail systems, programs and strangers send to the mailbox that bounces go to."""

import io
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.world.returns.boxes import is_maildir, messages_below, messages_in
from app.world.returns.parts import LARGEST
from app.world.returns.reading import read
from app.world.returns.report import Report, Unreadable, What
from tests.app.world.returns.build import (
    ADA,
    NOTICE,
    absence,
    complaint,
    exchange,
    exim,
    mail,
    qmail,
    receipt,
    recipient,
    report,
)


def what(raw: bytes) -> str:
    return read(raw).what


# --- delivery reports ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "back",
    ["message/rfc822", "text/rfc822-headers", "MESSAGE/RFC822", "message/global-headers"],
)
def test_a_failure_for_good_names_the_notice_and_whom_it_was_sent_to(back: str) -> None:
    assert read(report(back=back)) == Report(What.BOUNCED, (NOTICE,), (ADA,))


@pytest.mark.parametrize(
    ("action", "status", "said", "expected"),
    [
        ("failed", "5.1.1", "smtp; 550 5.1.1 no such user", "bounced"),
        ("Failed (bad)", "5.0.0", "smtp; 550 no such user", "bounced"),
        ("error", "5.1.10", "", "bounced"),
        ("failed", "", "", "bounced"),
        ("failed", "5.2.1", "smtp; 550 account disabled", "bounced"),
        ("failed", "5.4.1", "smtp; 550 5.4.1 Recipient address rejected", "bounced"),
        ("failed", "5.0.0", "smtp; 550 5.1.1 unknown", "bounced"),
        ("failed", "5.7.1", "smtp; 550 5.7.1 looks like spam", "refused"),
        ("failed", "5.0.0", "smtp; 550 5.7.26 not authenticated", "refused"),
        ("failed", "5.3.4", "smtp; 552 too big", "refused"),
        ("failed", "5.2.2", "smtp; 552 5.2.2 over it", "gave_up"),
        ("failed", "5.1.1", "smtp; 550 mailbox is full", "gave_up"),
        ("failed", "5.0.0", "smtp; 550 Quota exceeded", "gave_up"),
        ("failed", "5.0.0", "smtp; 452 4.2.2 later", "gave_up"),
        ("failed", "5.0.0", "smtp; 421 later", "gave_up"),
        ("failed", "4.4.7", "", "gave_up"),
        ("failed", "4.4.1", "smtp; 550 5.1.1 an older answer", "gave_up"),
        ("delayed", "4.4.1", "", "soft"),
        ("delayed", "5.1.1", "", "soft"),
        ("relayed", "2.0.0", "", "arrived"),
        ("delivered", "2.1.5", "", "arrived"),
        ("expanded", "2.0.0", "", "arrived"),
        ("", "5.1.1", "", "other"),
    ],
)
def test_only_a_failure_for_good_has_bounced(
    action: str, status: str, said: str, expected: str
) -> None:
    assert what(report(recipient(action, status, said))) == expected


OTHER = "bob@elsewhere.example"


@pytest.mark.parametrize(
    ("recipients", "expected"),
    [
        ((recipient(), recipient("delivered", "2.0.0", to=OTHER)), "bounced"),
        ((recipient("delivered", "2.0.0"), recipient(to=OTHER)), "arrived"),
        ((recipient("delayed", "4.4.1", ""), recipient(to=OTHER)), "soft"),
        ((recipient(to="a@x.example"), recipient("relayed", "2.0.0", to=OTHER)), "arrived"),
        ((recipient(to="a@x.example"), recipient("delayed", "4.0.0", "", to=OTHER)), "bounced"),
        ((recipient(to=ADA.upper()), recipient("delivered", "2.0.0", to=OTHER)), "bounced"),
    ],
)
def test_of_several_recipients_the_one_we_wrote_to_counts(
    recipients: tuple[str, ...], expected: str
) -> None:
    assert what(report(*recipients)) == expected


def test_the_notice_may_be_named_by_the_fields_or_by_what_the_report_answers() -> None:
    bare = report(notice="<>")
    named = bare.replace(
        b"Reporting-MTA", f"X-Original-Message-ID: {NOTICE}\r\nReporting-MTA".encode()
    )
    assert read(named).message_ids == (NOTICE,)
    answering = f"In-Reply-To: {NOTICE}\r\n".encode() + bare
    assert read(answering).message_ids == (NOTICE,)
    assert read(bare).message_ids == ()


def test_fields_may_be_packed_or_in_any_charset() -> None:
    fields = b"Reporting-MTA: dns; mx.example\r\n\r\n" + recipient().encode()
    packed = b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + fields.replace(b"-", b"=2D")
    raw = report().replace(b"\r\n" + fields, packed)
    assert what(raw) == "bounced"
    assert what(report().replace(b"us-ascii", b"x-no-such-charset")) == "bounced"
    assert what(report().replace(b"I am sorry", b"\xff\xfe\0 sorry")) == "bounced"


# --- the others ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("abuse", "complained"),
        ("Abuse", "complained"),
        ("fraud", "complained"),
        ("not-spam", "other"),
        ("auth-failure", "other"),
        ("virus", "other"),
        ("", "other"),
    ],
)
def test_a_report_of_abuse_is_a_complaint(kind: str, expected: str) -> None:
    assert read(complaint(kind)) == Report(What(expected), (NOTICE,), (ADA,))


def test_absences_and_receipts_are_neither_answers_nor_bounces() -> None:
    assert read(absence()) == read(receipt()) == Report(What.AUTOMATIC)


@pytest.mark.parametrize(
    "line", ["X-Autoreply: yes", "X-Autorespond: 1", "Precedence: auto_reply", "Precedence: bulk"]
)
def test_programs_that_answer_are_known_by_other_headers_too(line: str) -> None:
    raw = absence().replace(b"Auto-Submitted: auto-replied", line.encode())
    assert what(raw) == "automatic"


@pytest.mark.parametrize("raw", [qmail(), exim(), exchange()])
def test_a_failure_in_words_names_the_notice_that_it_gives_back(raw: bytes) -> None:
    found = read(raw)
    assert (found.what, found.message_ids, found.recipients) == ("bounced", (NOTICE,), (ADA,))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)", "gave_up"),
        ("552 5.2.2 mailbox full", "gave_up"),
        ("Remote host said: 550 5.7.1 rejected as spam", "refused"),
        ("Remote host said: 550 no such user", "bounced"),
    ],
)
def test_words_too_may_tell_of_what_passes(said: str, expected: str) -> None:
    assert what(qmail(said=said)) == expected


def test_words_of_a_person_are_no_report_however_they_sound() -> None:
    person = qmail().replace(b"MAILER-DAEMON@mx.example", b"Ada <ada@subscribers.example>")
    assert what(person) == "other"


def test_an_answer_by_a_person_is_no_report() -> None:
    raw = mail(f"From: {ADA}", f"In-Reply-To: {NOTICE}", "Subject: Re: keep?", "", "Yes please!")
    assert read(raw) == Report(What.OTHER)


# --- hostile input ---------------------------------------------------------------------------


def nested(depth: int) -> bytes:
    lines = ["From: MAILER-DAEMON@mx.example"]
    for level in range(depth):
        lines += [f'Content-Type: multipart/mixed; boundary="b{level}"', "", f"--b{level}"]
    return mail(*lines)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "empty"),
        (b"\0" * 1000, "empty"),
        (report() + b"x" * 20_000_000, "too_large"),
        (nested(5000), "nested_too_deep"),
    ],
)
def test_what_cannot_be_read_is_refused_by_a_code(raw: bytes, why: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read(raw)
    assert str(refused.value) == why


HOSTILE = {
    "empty fields": report().replace(b"Hello,", b"") + b"",
    "a report of line ends": report("\r\n" * 200_000),
    "fields without an end": report("Action: failed\r\n" * 30_000),
    "levels of messages": mail(*("Content-Type: message/rfc822", "") * 9000),
    "levels of parts full of line ends": nested(8) + b"\r\n" * 200_000,
    "a line of spaces": report(recipient(said=" " * 400_000)),
    "brackets": report(notice="<" * 400_000),
    "words": qmail(said="<" + "a" * 400_000),
    "addresses": report(to=", ".join(["<a@b.example"] * 20_000)),
    "levels of comments": report(to="(" * 100_000 + "a@b.example"),
    "many notices": report(notice=f"{NOTICE}\r\nMessage-ID: " * 5000),
    "a coded type": report().replace(b"message/delivery-status", b"=?utf-8?q?message/delivery?="),
    "wrong base64": report().replace(
        b"\r\n\r\nReporting", b"\r\nContent-Transfer-Encoding: base64\r\n\r\nReporting"
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_messages_are_read_or_refused_in_a_moment(name: str) -> None:
    began = time.process_time()
    with suppress(Unreadable):
        assert len(read(HOSTILE[name][:LARGEST]).message_ids) <= 8
    assert time.process_time() - began < 8


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from([report(), complaint(), qmail(), exim(), exchange(), receipt(), absence()]),
    st.lists(st.tuples(st.integers(0, 4000), st.binary(max_size=8)), max_size=12),
)
def test_a_damaged_message_is_read_or_refused(raw: bytes, damage: list[tuple[int, bytes]]) -> None:
    for place, some in damage:
        raw = raw[: place % len(raw)] + some + raw[place % len(raw) + len(some) :]
    with suppress(Unreadable):
        assert isinstance(read(raw), Report)


# --- boxes -----------------------------------------------------------------------------------


def test_a_file_is_one_message_or_an_mbox() -> None:
    one, two = report(), complaint()
    assert list(messages_in(io.BytesIO(one))) == [one]
    assert list(messages_in(io.BytesIO(b""))) == []
    first, second = b"From a Fri Sep  6 10:00:00 2024\n", b"From b Fri Sep  6 10:00:01 2024\n"
    box = first + one + b"\n\n" + second + two + b"\n\nFrom here on text\n"
    found = list(messages_in(io.BytesIO(box)))
    assert [what(each) for each in found] == ["bounced", "complained"]


def test_a_message_too_large_in_an_mbox_does_not_hide_the_next() -> None:
    large = b"Subject: x\n\n" + b"From " * 8_000_000 + b"\n"
    box = b"From a\n" + large + b"\nFrom b Fri Sep  6 10:00:00 2024\n" + report()
    first, second = messages_in(io.BytesIO(box))
    assert len(first) == LARGEST + 1
    assert what(second) == "bounced"


def test_a_maildir_gives_what_is_new_and_what_was_seen(tmp_path: Path) -> None:
    assert not is_maildir(tmp_path)
    for part in ("cur", "new", "tmp"):
        (tmp_path / part).mkdir()
    (tmp_path / "cur" / "2.a").write_bytes(complaint())
    (tmp_path / "new" / "1.a").write_bytes(report())
    (tmp_path / "tmp" / "3.a").write_bytes(report())
    assert is_maildir(tmp_path)
    assert [what(each) for each in messages_below(tmp_path)] == ["bounced", "complained"]
