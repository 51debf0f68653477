import re

import pytest

from app.web.words import FOLDER, Speaker, names_in, sentences, speaks
from app.world.mail.draft import languages
from tests.app.world.mail.reading import LONGEST, PLAIN, ease, sentences_in
from tests.app.world.mail.typography import slips


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

    assert stated <= NAMES | DAYS | MOMENTS | PRICES | SAID


NAMES = {"product", "plan"}
DAYS = {
    "answer_day",
    "charged_behind",
    "charged_last",
    "charged_on",
    "erase_due",
    "erase_if_canceled",
    "erase_if_silent",
    "erase_on",
    "last_used",
    "next_charge",
    "paid_until",
    "started_on",
    "warned_on",
}
MOMENTS = {
    "erased_at",
    "erasing_at",
    "erasing_since",
    "act_at",
    "closed_at",
    "decided_at",
    "erase_at",
    "erase_begins",
    "erase_found_at",
    "found_at",
    "made_at",
    "review_at",
    "since",
    "undo_until",
    "word_at",
}
# Said whole by CLDR, plurals and all, or sentences themselves.
SAID = {
    "ask_ahead",
    "before",
    "duration",
    "end",
    "group",
    "intervals",
    "list",
    "name",
    "now",
    "start",
    "unused_for",
    "what",
}
PRICES = {"amount", "price"}


@pytest.mark.parametrize("language", languages())
def test_no_sentence_has_a_slip_of_type_or_of_grammar(language: str) -> None:
    for name, text in sentences(language).items():
        for day in ("8", "11"):  # an Italian article before either would have to be elided
            assert not slips(language, spoken(text, day)), name


@pytest.mark.parametrize("language", languages())
def test_pages_are_written_in_plain_language(language: str) -> None:
    sections: dict[str, list[str]] = {}
    for name, text in sentences(language).items():
        sections.setdefault(name.partition(".")[0], []).append(spoken(text, ""))
        assert max(map(len, sentences_in(spoken(text, "")))) <= LONGEST, name
    for section in ("lead", "step", "text", "notice", "error", "policy"):
        assert ease(language, "\n".join(sections[section])) >= PLAIN, section


def spoken(text: str, fact: str) -> str:
    """Give a sentence without tags, and with one word for every fact."""
    return re.sub(r"\{.*?\}", fact or "N", re.sub(r"<.*?>", "", text))


@pytest.mark.parametrize("language", [each for each in languages() if each != "en"])
def test_nothing_is_left_in_english(language: str) -> None:
    same = {name for name, text in sentences(language).items() if text == sentences("en")[name]}

    assert {
        name for name in same if re.search(r"[^\W\d_]{4}", spoken(sentences("en")[name], "8"))
    } <= (SAME)


SAME = {"says.keep_categories", "when.plan"}
"""Words that are spelled alike in two languages."""


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
