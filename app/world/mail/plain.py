"""A message the plain way: the standard library writes each one from its words.

Some two hundred times slower than ``compose``, and easy to believe.  Tests hold the fast
way against it; the benchmark shows what the fast way is worth.
"""

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from app.world.mail.address import on_the_wire
from app.world.mail.brief import UNASKED, Brand, Brief
from app.world.mail.compose import Composer
from app.world.mail.draft import tongue
from app.world.mail.encode import clean
from app.world.mail.logo import CONTENT_ID, kind

# Long enough that links are never folded: the standard library folds by encoding words.
_POLICY: Final = SMTP.clone(max_line_length=998)


def compose_plainly(composer: Composer, brand: Brand, brief: Brief) -> bytes:
    """Return what ``composer.compose(brand, brief)`` must mean, byte for byte different."""
    said = composer.preview(brand, brief)
    message = EmailMessage(policy=_POLICY)
    message["From"] = Address(clean(brand.name), addr_spec=on_the_wire(brand.from_address))
    message["To"] = on_the_wire(brief.to)
    message["Subject"] = said.subject
    message["Date"] = format_datetime(brief.sent_at)
    message["Message-ID"] = f"<{brief.message_id}>"
    if brand.reply_to:
        message["Reply-To"] = on_the_wire(brand.reply_to)
    if brief.notice in UNASKED:
        message["List-Unsubscribe"] = f"<{brief.one_click_url}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(said.text, cte="quoted-printable")
    message.add_alternative(said.html, subtype="html", cte="quoted-printable")
    if brand.logo:
        page = message.get_body(("html",))
        assert isinstance(page, EmailMessage)  # noqa: S101 - it was added just now
        page.add_related(
            brand.logo,
            "image",
            kind(brand.logo),
            cid=f"<{CONTENT_ID}>",
            disposition="inline",
            filename=f"logo.{kind(brand.logo)}",
        )
    # Last: the standard library moves Content-* headers into the first part.
    message["Content-Language"] = tongue(brief.language).tag
    return message.as_bytes()
