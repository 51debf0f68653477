import re

import pytest
from flask.testing import FlaskClient

from app.web import words
from app.world.mail.draft import languages
from tests.app.web.gallery import STATES
from tests.app.web.test_showing import (
    LARGEST,
    Tags,
    answers_on,
    heading_of,
    without_languages,
    words_of,
)
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
    english = without_languages(browser.get(f"/a/{token}").text)

    for language in languages():
        prefer(town, language)
        reply = browser.get(f"/a/{token}")
        tags = Tags(without_languages(reply.text))
        assert reply.headers["Content-Language"] == language
        assert len(reply.data) < LARGEST
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
        page = without_languages(browser.get(path).text)
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
        (("de-AT", "fr", "en"), "de-AT"),
        (("es-MX", "fr", "en"), "es-MX"),
        (("it-CH", "fr", "en"), "it-CH"),
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


@pytest.mark.parametrize(
    ("language", "facts"),
    [
        (
            "de-DE",
            (
                "Möchten Sie Blue Television behalten?",
                "Mein Abo behalten Es läuft für 13,49 £ pro Monat weiter",
                "Mein Abo kündigen Keine Abbuchung nach der bezahlten Zeit",
                "Nächste Abbuchung 20. September 2024",
                "noch nie seit dem Beginn am 1. September 2022",
                "bis einschließlich Dienstag, 1. Oktober 2024",
                "pausieren wir Ihr Abo und buchen nichts mehr ab",
                "Wenn Sie kündigen, bewahren wir sie mindestens bis zum 20. Juli 2025 auf",
                "wenn Sie nicht antworten, mindestens bis zum 20. August 2025",
            ),
        ),
        (
            "es-ES",
            (
                "¿Quiere mantener Blue Television?",
                "Mantener mi suscripción Continúa por 13,49 GBP al mes",
                "Cancelar mi suscripción Sin cobros después del tiempo pagado",
                "Próximo cobro 20 de septiembre de 2024",
                "ninguno desde el inicio, el 1 de septiembre de 2022",
                "hasta el martes 1 de octubre de 2024 inclusive",
                "pondremos su suscripción en pausa y dejaremos de cobrarle",
                "Si cancela, los guardaremos al menos hasta el 20 de julio de 2025",
                "si no responde, al menos hasta el 20 de agosto de 2025",
            ),
        ),
        (
            "it-IT",
            (
                "Vuole mantenere Blue Television?",
                "Mantengo l\u2019abbonamento Continua a 13,49 £ al mese",
                "Disdico l\u2019abbonamento Nessun addebito dopo il periodo pagato",
                "Prossimo addebito 20 settembre 2024",
                "mai dall\u2019inizio dell\u2019abbonamento, in data 1\u00ba settembre 2022",
                "entro martedì 1\u00ba ottobre 2024",
                "sospenderemo il suo abbonamento e non le addebiteremo più nulla",
                "Se disdice, li conserviamo almeno fino al giorno 20 luglio 2025",
                "se non risponde, almeno fino al giorno 20 agosto 2025",
            ),
        ),
    ],
)
def test_an_ask_states_the_facts_a_decision_needs_in_each_language(
    town: Town, browser: FlaskClient, language: str, facts: tuple[str, ...]
) -> None:
    token = STATES["asked"].reach(town)
    prefer(town, language)

    shown = words_of(browser.get(f"/a/{token}").text)

    for fact in facts:
        assert fact in shown


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("de", "waren die Abbuchungen schon gestoppt"),
        ("es", "Los cobros ya estaban detenidos"),
        ("it", "Gli addebiti erano già fermi"),
    ],
)
def test_a_click_that_changes_nothing_is_told_in_each_language(
    town: Town, browser: FlaskClient, language: str, words: str
) -> None:
    token = STATES["suspended"].reach(town)
    prefer(town, language)

    reply = browser.post(f"/a/{token}", data={"answer": "keep"}, follow_redirects=True)

    assert words in words_of(reply.text)


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
    ("language", "method", "heading"),
    [
        ("de-DE", "GET", "Dieser Link funktioniert nicht"),
        ("de-DE", "PUT", "Das ist hier nicht möglich"),
        ("es-ES", "GET", "Este enlace no funciona"),
        ("es-ES", "PUT", "Eso no es posible aquí"),
        ("fr-FR", "GET", "Ce lien ne fonctionne pas"),
        ("fr-FR", "PUT", "Cela n\u2019est pas possible ici"),
        ("it-IT", "GET", "Questo link non funziona"),
        ("it-IT", "PUT", "Qui non è possibile"),
    ],
)
def test_an_error_is_told_in_the_language_of_the_browser(
    browser: FlaskClient, language: str, method: str, heading: str
) -> None:
    reply = browser.open("/a/x", method=method, headers={"Accept-Language": f"{language}, en"})

    assert heading_of(reply.text) == heading
    assert Tags(reply.text).named("html")[0]["lang"] == language
