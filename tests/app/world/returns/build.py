"""Reports as mail systems write them, about a notice whose Message-ID is given."""

NOTICE = "<ask.AAAA.BBBB@tv.example>"
ADA = "ada@subscribers.example"


def mail(*lines: str) -> bytes:
    """Give a message of lines."""
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def headers(notice: str = NOTICE, to: str = ADA) -> str:
    """Give the headers of the notice, as a report gives them back."""
    return "\r\n".join(
        (
            "From: Blue Television <hello@tv.example>",
            f"To: {to}",
            "Subject: Do you want to keep it?",
            f"Message-ID:\r\n {notice}",
            "Auto-Submitted: auto-generated",
        )
    )


def recipient(
    action: str = "failed",
    status: str = "5.1.1",
    said: str = "smtp; 550 5.1.1 no such user",
    to: str = ADA,
) -> str:
    """Give the fields of one recipient."""
    fields = (f"Final-Recipient: rfc822; {to}", f"Action: {action}", f"Status: {status}")
    return "\r\n".join((*fields, f"Diagnostic-Code: {said}"))


def report(
    *recipients: str,
    notice: str = NOTICE,
    to: str = ADA,
    back: str = "message/rfc822",
    kind: str = "delivery-status",
) -> bytes:
    """Give a report in parts: words, fields, and the notice or its headers."""
    return mail(
        "Return-Path: <>",
        "From: MAILER-DAEMON@mx.example",
        "To: bounces@tv.example",
        "Subject: Undelivered Mail Returned to Sender",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type={kind}; boundary="B0/mx"',
        "",
        "--B0/mx",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        "This is the mail system. I am sorry.",
        "",
        "--B0/mx",
        f"Content-Type: message/{kind}",
        "",
        "\r\n\r\n".join(("Reporting-MTA: dns; mx.example", *(recipients or (recipient(),)))),
        "",
        "--B0/mx",
        f"Content-Type: {back}",
        "",
        headers(notice, to),
        "",
        "Hello,",
        "",
        "--B0/mx--",
        "",
    )


def complaint(kind: str = "abuse", notice: str = NOTICE, to: str = ADA) -> bytes:
    """Give a complaint."""
    fields = "\r\n".join((f"Feedback-Type: {kind}", "User-Agent: Fbl/1", "Version: 1"))
    whole = report(fields, notice=notice, to=to, kind="feedback-report")
    return whole.replace(b"Reporting-MTA: dns; mx.example\r\n\r\n", b"")


def absence(notice: str = NOTICE) -> bytes:
    """Give an absence note that quotes the notice."""
    return mail(
        f"From: Ada <{ADA}>",
        "To: hello@tv.example",
        "Subject: Out of office: Do you want to keep it?",
        f"In-Reply-To: {notice}",
        "Auto-Submitted: auto-replied",
        "Content-Type: text/plain; charset=utf-8",
        "",
        "I am away. This is a permanent error. The following address failed:",
        f"<{ADA}>: user unknown",
        "",
        headers(notice),
    )


def receipt(notice: str = NOTICE) -> bytes:
    """Give a read receipt."""
    fields = f"Final-Recipient: rfc822; {ADA}\r\nOriginal-Message-ID: {notice}"
    told = f"{fields}\r\nDisposition: manual-action/MDN-sent-manually; displayed"
    return report(told, notice=notice, kind="disposition-notification")


def qmail(
    notice: str = NOTICE, said: str = "Sorry, no mailbox here by that name. (#5.1.1)"
) -> bytes:
    """Give a failure in words, as qmail writes it."""
    return mail(
        "Return-Path: <>",
        "From: MAILER-DAEMON@mx.example",
        "To: bounces@tv.example",
        "Subject: failure notice",
        "",
        "Hi. This is the qmail-send program at mx.example.",
        "I'm afraid I wasn't able to deliver your message to the following addresses.",
        "This is a permanent error; I've given up. Sorry it didn't work out.",
        "",
        f"<{ADA}>:",
        said,
        "",
        "--- Below this line is a copy of the message.",
        "",
        "Return-Path: <hello@tv.example>",
        headers(notice),
        "",
        "Your mailbox is full of quota.",
    )


def exim(notice: str = NOTICE) -> bytes:
    """Give a failure in words, as Exim writes it."""
    return mail(
        "Return-path: <>",
        f"X-Failed-Recipients: {ADA}",
        "Auto-Submitted: auto-replied",
        "From: Mail Delivery System <Mailer-Daemon@mx.example>",
        "To: bounces@tv.example",
        "Subject: Mail delivery failed: returning message to sender",
        "",
        "This message was created automatically by mail delivery software.",
        "",
        "A message that you sent could not be delivered to one or more of its",
        "recipients. This is a permanent error. The following address(es) failed:",
        "",
        f"  {ADA}",
        "    SMTP error from remote mail server after RCPT TO:",
        "    550 no such user here",
        "",
        "------ This is a copy of the message, including all the headers. ------",
        "",
        "Return-path: <hello@tv.example>",
        headers(notice),
        "",
        "Hello",
    )


def exchange(notice: str = NOTICE) -> bytes:
    """Give a failure in words, as an old Exchange writes it, the notice as a part."""
    return mail(
        "From: System Administrator <postmaster@corp.example>",
        "To: bounces@tv.example",
        "Subject: Undeliverable: Do you want to keep it?",
        "MIME-Version: 1.0",
        'Content-Type: multipart/mixed; boundary="----_=_NextPart"',
        "",
        "------_=_NextPart",
        "Content-Type: text/plain",
        "",
        "Your message",
        "",
        "  To:      ada",
        "  Subject: Do you want to keep it?",
        "",
        "did not reach the following recipient(s):",
        "",
        f"{ADA} on Fri, 6 Sep 2024 10:00:00 +0100",
        "    The recipient name is not recognized",
        "",
        "------_=_NextPart",
        "Content-Type: message/rfc822",
        "",
        headers(notice),
        "",
        "Hello",
        "",
        "------_=_NextPart--",
    )


def nothing_at_all() -> bytes:
    """Give a mail of a person."""
    return mail("From: Ada <ada@subscribers.example>", "Subject: Hello", "", "Hello!")
