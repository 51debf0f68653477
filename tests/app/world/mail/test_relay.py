"""A relay is chosen by its URL; a Maildir keeps every copy."""

from pathlib import Path

import pytest

from app.errors import Refused
from app.world.mail.maildir import Maildir
from app.world.mail.relay import open_relay
from app.world.mail.smtp import Account, Smtp
from app.world.outcome import Done, Later

MESSAGE = b"From: x\r\nMessage-ID: <1.ask/..:x@cinema.example>\r\n\r\nhello\r\n"


@pytest.mark.parametrize(
    ("url", "account"),
    [
        ("smtp://mail.example", Account("mail.example", 25)),
        ("smtp://mail.example:2525/", Account("mail.example", 2525)),
        ("smtps://mail.example", Account("mail.example", 465, tls=True)),
        ("smtp://a%40b:p%3A%2F@[::1]:25", Account("::1", 25, user="a@b", password="p:/")),
    ],
)
def test_smtp_urls(url: str, account: Account) -> None:
    relay = open_relay(url)
    assert isinstance(relay, Smtp)
    assert relay._account == account


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.example",
        "http://mail.example",
        "smtp://",
        "smtp://mail.example:99999",
        "smtp://mail.example:s3cret",
        "smtp://ada:s3cret@mail.example/inbox",
        "smtp://ada@mail.example",
        "smtp://:s3cret@mail.example",
        "smtp://ada:s3cret?x@mail.example",
        "smtps://ada:s3cret@mail.example#x",
        "file://host/folder",
        "file:relative",
    ],
)
def test_a_malformed_url_is_refused_with_a_mend_and_never_repeated(url: str) -> None:
    with pytest.raises(Refused) as refused:
        open_relay(url)
    assert refused.value.mend
    assert "s3cret" not in str(refused.value)


def test_a_maildir_keeps_a_repeat_as_a_second_copy(tmp_path: Path) -> None:
    folder = tmp_path / "my box"
    with open_relay(folder.as_uri()) as relay:
        assert relay.send("a@x.example", "b@x.example", MESSAGE) == Done()
        assert relay.send("a@x.example", "b@x.example", MESSAGE) == Done()
    name = "1.ask_.._x@cinema.example"
    assert sorted(path.name for path in (folder / "new").iterdir()) == [f"{name}.1", f"{name}.2"]
    assert (folder / "new" / f"{name}.1").read_bytes() == MESSAGE
    assert not list((folder / "tmp").iterdir())


def test_a_mail_that_was_read_is_not_overwritten(tmp_path: Path) -> None:
    box = Maildir(tmp_path)
    box.send("", "", MESSAGE)
    (first,) = (tmp_path / "new").iterdir()
    first.rename(tmp_path / "cur" / f"{first.name}:2,S")
    box.send("", "", MESSAGE)
    (second,) = (tmp_path / "new").iterdir()
    assert second.name.endswith(".2")


@pytest.mark.parametrize(
    "message", [b"", b"Message-ID: <>\r\n\r\n", b"Message-ID: <../../x>\r\n\r\n"]
)
def test_no_message_id_leads_out_of_the_folder(tmp_path: Path, message: bytes) -> None:
    assert Maildir(tmp_path / "box").send("", "", message) == Done()
    assert [path.name for path in tmp_path.iterdir()] == ["box"]
    assert len(list((tmp_path / "box" / "new").iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_for_later(tmp_path: Path) -> None:
    (tmp_path / "box").write_text("a file")
    box = Maildir(tmp_path / "box")
    assert box.send("", "", MESSAGE) == Later("maildir: NotADirectoryError")
    with pytest.raises(Refused):
        box.check()


def test_nobody_else_reads_the_mailbox(tmp_path: Path) -> None:
    with open_relay((tmp_path / "box").as_uri()) as box:
        assert "box" in box.check()
    assert (tmp_path / "box" / "new").stat().st_mode & 0o077 == 0
