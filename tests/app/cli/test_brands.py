"""What a product makes its own, and looking at a notice before anybody gets it."""

from email import message_from_bytes, policy
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from app.store.database import Database
from app.world.mail.brief import NOTICES
from app.world.mail.draft import languages
from tests.app.cli.conftest import Shell
from tests.app.world.mail.test_own import png
from tests.probe import rows


@pytest.fixture
def logo(tv: Shell) -> str:
    path = tv.folder / "logo.png"
    path.write_bytes(png())
    return str(path)


# --- the brand -------------------------------------------------------------------------------


def test_a_product_has_the_colours_of_the_house_until_it_sets_its_own(tv: Shell, logo: str) -> None:
    assert tv.json("brand", "show", "tv") == {"color": None, "logo": None, "words": []}
    assert "ours" in tv("brand", "show", "tv").stdout
    done = tv("brand", "set", "tv", "--color", "#8A1538", "--logo", logo)
    assert (done.exit_code, done.stdout) == (0, "product tv: color, logo set\n")
    shown = tv.json("brand", "show", "tv")
    assert shown["color"] == "#8a1538"
    assert shown["logo"] == f"png, {len(png())} bytes"
    assert tv("brand", "set", "tv", "--no-logo", "--color", "").exit_code == 0
    assert tv.json("brand", "show", "tv")["logo"] is None
    assert tv.json("brand", "show", "tv")["color"] is None


def test_sentences_are_kept_by_notice_and_language(tv: Shell) -> None:
    assert tv("brand", "words", "tv", "ask", "en", "Your {plan} waits.").exit_code == 0
    assert tv("brand", "words", "tv", "ask", "fr", "Bonne journée.").exit_code == 0
    assert tv("brand", "words", "tv", "ask", "en", "Your {plan} is here.").exit_code == 0
    words = tv.json("brand", "show", "tv")["words"]
    assert [(each["language"], each["text"]) for each in words] == [
        ("en", "Your {plan} is here."),
        ("fr", "Bonne journée."),
    ]
    assert tv("brand", "words", "tv", "ask", "en", "--remove").exit_code == 0
    assert [each["language"] for each in tv.json("brand", "show", "tv")["words"]] == ["fr"]


def test_who_changed_it_is_in_the_history(tv: Shell, database: Database) -> None:
    tv("brand", "set", "tv", "--color", "#8a1538", "--actor", "eve")
    found = rows(database, "select actor from history where what = 'brand_set'")
    assert found == [("cli:eve",)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("set", "tv", "--color", "pink"), "six digits"),
        (("set", "tv", "--color", "#ffcc00"), "nearest"),
        (("set", "tv"), "say what to set"),
        (("set", "tv", "--no-logo", "--logo", "LOGO"), "not both"),
        (("set", "tv", "--logo", "/no/such/file"), "does not exist"),
        (("set", "other", "--color", "#8a1538"), "no product"),
        (("words", "tv", "poem", "en", "Hello."), "poem"),
        (("words", "tv", "ask", "tlh", "nuqneH"), "tlh"),
        (("words", "tv", "ask", "en", "{secret}"), "no placeholder"),
        (("words", "tv", "ask", "en", "see https://x.example"), "leads nowhere"),
        (("words", "tv", "ask", "en"), "--remove"),
        (("words", "tv", "ask", "en", "Hello.", "--remove"), "--remove"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    tv: Shell, logo: str, words: tuple[str, ...], said: str
) -> None:
    result = tv("brand", *(logo if word == "LOGO" else word for word in words))
    assert result.exit_code in (1, 2)
    assert said in result.stderr
    assert tv.json("brand", "show", "tv") == {"color": None, "logo": None, "words": []}


def test_a_file_that_is_no_picture_is_refused(tv: Shell) -> None:
    wrong = tv.file("logo.svg", "<svg/>")
    result = tv("brand", "set", "tv", "--logo", wrong)
    assert (result.exit_code, "PNG or JPEG" in result.stderr) == (1, True)


def test_the_next_notice_wears_it(running: Shell, logo: str) -> None:
    running("brand", "set", "tv", "--color", "#8a1538", "--logo", logo)
    running("brand", "words", "tv", "ask", "en", "Your {plan} waits for you.")
    running("clock", "advance", "P20D")
    (mail,) = mails(running.folder / "mail")
    page = mail.get_body(("html",))
    assert page is not None
    assert "#8a1538" in page.get_content()
    assert "cid:logo" in page.get_content()
    assert "waits for you." in page.get_content()


# --- looking at a notice ---------------------------------------------------------------------


def mails(folder: Path) -> list:  # type: ignore[type-arg]
    new = sorted((folder / "new").iterdir())
    return [message_from_bytes(path.read_bytes(), policy=policy.default) for path in new]


@pytest.mark.parametrize("notice", NOTICES)
def test_a_notice_is_written_as_files_in_each_language(tv: Shell, notice: str) -> None:
    for language in languages():
        found = tv.json("notice", "preview", "tv", notice, "--locale", language, "--to", "seen")
        names = [Path(each) for each in found["files"]]
        assert [path.name for path in names] == [
            f"{notice}.{language}.{kind}" for kind in ("txt", "html", "eml")
        ]
        assert all((tv.folder / path).stat().st_size > 300 for path in names)
        assert found["subject"] in (tv.folder / names[0]).read_text("utf-8")


def test_a_preview_follows_the_policy_in_force(running: Shell) -> None:
    found = running.json("notice", "preview", "tv", "ask")
    text = (running.folder / found["files"][0]).read_text("utf-8")
    assert "TV" in text
    assert "Example" in text
    assert "/a/sample" in text


def test_the_page_of_a_preview_is_nobodys(running: Shell, database: Database) -> None:
    before = rows(database, "select count(*) from reconfirmation")
    running("notice", "preview", "tv", "ask")
    assert rows(database, "select count(*) from reconfirmation") == before


def test_without_a_sender_a_preview_says_what_to_set(tv: Shell) -> None:
    tv("product", "add", "radio", "--name", "Blue Radio")
    result = tv("notice", "preview", "radio", "ask")
    assert (result.exit_code, "from=" in result.stderr) == (1, True)


def test_one_notice_is_sent_to_oneself_and_says_that_it_is_a_test(tv: Shell) -> None:
    result = tv("notice", "send-test", "tv", "me@office.example", "--locale", "fr")
    assert (result.exit_code, result.stdout) == (0, "handed over to the relay: ask, in fr\n")
    (mail,) = mails(tv.folder / "mail")
    assert mail["To"] == "me@office.example"
    assert "(test)" in mail["Subject"]
    assert mail["Content-Language"] == "fr"


def test_it_is_signed_and_sent_as_every_notice_of_the_product(tv: Shell) -> None:
    key = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = tv.file("dkim.pem", key.decode())
    set_up = ("dkim_domain=tv.example", "dkim_selector=s1", f"dkim_key_file={path}")
    assert tv("product", "set", "tv", *set_up).exit_code == 0
    assert tv("notice", "send-test", "tv", "me@office.example").exit_code == 0
    (mail,) = mails(tv.folder / "mail")
    assert "d=tv.example" in mail["DKIM-Signature"]


@pytest.mark.parametrize("address", ["", "me", "me@", "a@b\r\nBcc: c@d", "me <me@x.example>"])
def test_an_address_that_is_none_is_refused(tv: Shell, address: str) -> None:
    result = tv("notice", "send-test", "tv", address)
    assert (result.exit_code, "malformed" in result.stderr) == (1, True)
    assert not (tv.folder / "mail" / "new").exists()
