import re
from pathlib import Path

import pytest

from app.web.words import Speaker, languages, names_in, sentences, speaks

WEB = Path(__file__).parents[3] / "app" / "web"


@pytest.mark.parametrize("language", languages())
def test_every_language_has_every_sentence_with_the_same_facts(language: str) -> None:
    english, other = sentences("en"), sentences(language)

    assert other.keys() == english.keys()
    for name, text in other.items():
        assert names_in(text) == names_in(english[name]), name


def test_no_sentence_opens_a_tag_it_does_not_close_or_holds_anything_but_emphasis() -> None:
    for text in sentences("en").values():
        tags = re.findall(r"</?(\w+)>|<", text)
        assert set(tags) <= {"strong"}
        assert text.count("<strong>") == text.count("</strong>")


@pytest.mark.parametrize(
    ("wishes", "tag"),
    [
        (("en-GB",), "en-GB"),
        (("xx", "en-AU"), "en-AU"),
        (("", "not a language", "en"), "en"),
        (("ja",), "en"),
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
