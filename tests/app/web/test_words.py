import re

import pytest

from app.web.words import FOLDER, Speaker, names_in, sentences, speaks
from app.world.mail.draft import languages
from tests.app.world.mail.french import slips


def test_whoever_is_written_to_in_a_language_finds_pages_in_it() -> None:
    assert {each.name for each in FOLDER.iterdir()} == {f"{each}.toml" for each in languages()}


@pytest.mark.parametrize("language", languages())
def test_every_language_has_every_sentence_with_the_same_facts(language: str) -> None:
    english, other = sentences("en"), sentences(language)

    assert other.keys() == english.keys()
    for name, text in other.items():
        assert names_in(text) == names_in(english[name]), name
        assert text.strip() == text != "", name


@pytest.mark.parametrize("language", languages())
def test_every_language_emphasizes_what_english_does_and_holds_no_other_tag(language: str) -> None:
    for name, text in sentences(language).items():
        tags = re.findall(r"<.*?>", text)
        assert tags == re.findall(r"<.*?>", sentences("en")[name]), name
        assert tags in ([], ["<strong>", "</strong>"]), name


def test_no_sentence_counts_anything_so_none_needs_a_plural() -> None:
    stated = set().union(*map(names_in, sentences("en").values()))

    assert stated <= NAMES | DAYS | MOMENTS | PRICES


NAMES = {"product", "plan"}
DAYS = {
    "answer_day",
    "charged_behind",
    "charged_last",
    "charged_on",
    "erase_if_canceled",
    "erase_if_silent",
    "erase_on",
    "last_used",
    "next_charge",
    "paid_until",
    "started_on",
}
MOMENTS = {"act_at", "closed_at", "decided_at", "undo_until", "word_at"}
PRICES = {"amount", "price"}


def test_no_french_sentence_has_a_slip_of_type() -> None:
    for name, text in sentences("fr").items():
        assert not slips(re.sub(r"<.*?>", "", text)), name


@pytest.mark.parametrize(
    ("wishes", "tag"),
    [
        (("en-GB",), "en-GB"),
        (("xx", "en-AU"), "en-AU"),
        (("", "not a language", "en"), "en"),
        (("ja",), "en"),
        (("fr",), "fr"),
        (("fr-FR", "en"), "fr-FR"),
        (("FR-ca",), "fr-CA"),
        (("fr_BE",), "fr-BE"),
        (("ja", "fr-CH", "en"), "fr-CH"),
        (("en", "fr"), "en"),
        ((), "en"),
    ],
)
def test_the_first_language_there_are_words_in_is_spoken(wishes: tuple[str, ...], tag: str) -> None:
    assert speaks(*wishes).tag == tag


def test_a_fact_is_escaped_and_a_missing_one_is_an_error() -> None:
    say = Speaker(speaks("en"), {"product": "<b>{plan}</b>"})

    assert say("title.kept") == "You keep &lt;b&gt;{plan}&lt;/b&gt;"
    with pytest.raises(KeyError):
        say("value.subscription")
