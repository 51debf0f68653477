import re

import pytest
from flask.testing import FlaskClient

from app.web import words
from app.world.mail.draft import languages
from tests.app.web.gallery import STATES
from tests.app.web.test_showing import Tags, answers_on, heading_of, words_of
from tests.world import Town

OPEN, CLOSE = (
    "\N{MATHEMATICAL LEFT WHITE SQUARE BRACKET}\N{MATHEMATICAL RIGHT WHITE SQUARE BRACKET}"
)
BODY = {"List-Unsubscribe": "One-Click"}


def prefer(town: Town, contact: str, product: str = "en") -> None:
    """Let the contact and the product speak a language."""
    with town.database.transaction() as connection:
        connection.exec_driver_sql("update contact set locale = %s", (contact,))
        connection.exec_driver_sql("update product set locale = %s", (product,))


def asked_in_french(town: Town) -> str:
    token = STATES["asked"].reach(town)
    prefer(town, "fr-FR")
    return token


@pytest.mark.parametrize("name", STATES)
def test_every_state_has_the_same_page_in_every_language(
    town: Town, browser: FlaskClient, name: str
) -> None:
    token = STATES[name].reach(town)
    english = browser.get(f"/a/{token}").text

    for language in languages():
        prefer(town, language)
        reply = browser.get(f"/a/{token}")
        tags = Tags(reply.text)
        assert reply.headers["Content-Language"] == language
        assert tags.named("html")[0]["lang"] == language
        assert [tag for tag, _ in tags.found] == [tag for tag, _ in Tags(english).found]
        assert answers_on(reply.text) == answers_on(english)
        assert (heading_of(reply.text) == heading_of(english)) == (language == "en")


@pytest.mark.parametrize("name", STATES)
def test_a_page_says_nothing_but_sentences_of_its_language(
    town: Town, browser: FlaskClient, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    token, known = STATES[name].reach(town), words.sentences
    monkeypatch.setattr(words, "_parsed", words._parsed.__wrapped__)
    monkeypatch.setattr(
        words,
        "sentences",
        lambda language: {name: f"{OPEN}{text}{CLOSE}" for name, text in known(language).items()},
    )

    for path in (f"/a/{token}", f"/a/{token}/one-click"):
        page = browser.get(path).text
        labels = [str(each["aria-label"]) for _, each in Tags(page).found if "aria-label" in each]
        assert not unsaid(words_of(page)).replace("https://tv.example/help", "").strip(" ,.")
        assert not any(map(unsaid, labels))


def unsaid(text: str) -> str:
    """Give what stands in a text outside of all sentences."""
    outside = re.sub(f"{OPEN}[^{OPEN}{CLOSE}]*{CLOSE}", "", text)
    return outside if outside == text else unsaid(outside)


def test_words_outside_of_sentences_are_seen() -> None:
    assert unsaid(f"{OPEN}Yes, {OPEN}this{CLOSE}{CLOSE} and that") == " and that"


@pytest.mark.parametrize(
    ("wishes", "tag"),
    [
        (("fr-FR", "en", "en"), "fr-FR"),
        (("fr-CA", "en", "en"), "fr-CA"),
        (("en-GB", "fr", "fr"), "en-GB"),
        (("ja", "ja, fr-BE;q=0.9, en;q=0.8", "en"), "fr-BE"),
        (("", "fr", "en"), "fr"),
        (("ja", "ja", "fr-FR"), "fr-FR"),
        (("ja", "*", "ja"), "en"),
    ],
)
def test_the_contact_chooses_the_language_then_the_browser_then_the_product(
    town: Town, browser: FlaskClient, wishes: tuple[str, str, str], tag: str
) -> None:
    contact, accepted, product = wishes
    token = STATES["asked"].reach(town)
    prefer(town, contact, product)

    for path in (f"/a/{token}", f"/a/{token}/one-click"):
        page = browser.get(path, headers={"Accept-Language": accepted}).text
        assert Tags(page).named("html")[0]["lang"] == tag


def test_an_ask_in_french_states_the_facts_a_decision_needs(
    town: Town, browser: FlaskClient
) -> None:
    shown = words_of(browser.get(f"/a/{asked_in_french(town)}").text)

    for fact in (
        "Votre abonnement Blue Television : le garder ou le résilier ?",
        "Garder mon abonnement Il se poursuit à 13,49 £GB par mois",
        "Résilier mon abonnement Il prend fin après la période payée",
        "Prochain prélèvement 20 septembre 2024",
        "aucune depuis le début de l\u2019abonnement, le 1er septembre 2022",
        "au plus tard le mardi 1er octobre 2024",
        "nous suspendrons votre abonnement et nous arrêterons les prélèvements",
        "Si vous résiliez, nous les conservons au moins jusqu\u2019au 20 juillet 2025",
        "si vous ne répondez pas, au moins jusqu\u2019au 20 août 2025",
    ):
        assert fact in shown


def test_a_click_that_changes_nothing_is_told_in_french(town: Town, browser: FlaskClient) -> None:
    token = STATES["suspended"].reach(town)
    prefer(town, "fr")

    reply = browser.post(f"/a/{token}", data={"answer": "keep"}, follow_redirects=True)

    assert "Les prélèvements étaient déjà arrêtés" in words_of(reply.text)


def test_a_mail_program_that_stops_reminders_is_answered_in_french(
    town: Town, browser: FlaskClient
) -> None:
    reply = browser.post(f"/a/{asked_in_french(town)}/one-click", data=BODY)

    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert reply.headers["Content-Language"] == "fr-FR"
    assert reply.text == "Vous ne recevrez plus de rappels au sujet de cette question.\n"


@pytest.mark.parametrize(
    ("method", "heading"),
    [("GET", "Ce lien ne fonctionne pas"), ("PUT", "Cela n\u2019est pas possible ici")],
)
def test_an_error_is_told_in_the_language_of_the_browser(
    browser: FlaskClient, method: str, heading: str
) -> None:
    reply = browser.open("/a/x", method=method, headers={"Accept-Language": "fr-FR, en"})

    assert heading_of(reply.text) == heading
    assert Tags(reply.text).named("html")[0]["lang"] == "fr-FR"
