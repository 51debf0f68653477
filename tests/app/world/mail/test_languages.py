"""Every wording of every notice in every language: its type, its facts, how easily it reads."""

import itertools
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import jinja2
import pytest
from jinja2 import meta

from app.world.mail import draft as drafting
from app.world.mail import say
from app.world.mail.brief import NOTICES
from app.world.mail.compose import Composer, _context
from app.world.mail.draft import _write, cut, joined, languages, source, tongue
from app.world.mail.facts import BRAND_FACTS, CHOICES, COUNTED, FACTS, brand_facts
from app.world.mail.facts import facts as told
from app.world.mail.manners import counted
from tests.app.world.mail.build import BRAND, BRIEF, brand, brief, written
from tests.app.world.mail.reading import LONGEST, PLAIN, ease, sentences_in
from tests.app.world.mail.test_wording import CHARGES, LACKS, Facts, choices_of, tellable
from tests.app.world.mail.typography import slips

ZONES = {"en": "Europe/London", "de": "Europe/Berlin", "es": "Europe/Madrid", "it": "Europe/Rome"}
HARD_DAYS: Facts = {
    "answer_by": date(2026, 10, 8),
    "erase_on": date(2027, 8, 11),
    "last_used_on": date(2024, 1, 1),
    "next_charge": datetime(2026, 10, 11, tzinfo=UTC),
    "paid_until": datetime(2026, 10, 8, tzinfo=UTC),
    "decided_at": datetime(2026, 10, 8, 23, 5, tzinfo=UTC),
    "erased_on": date(2027, 8, 8),
}
"""Days and hours that bend the word before them: l'8, l'11, le 1er, all'1:05."""


def letter(language: str, notice: str, support: str = BRAND.support_url, **facts: Any) -> str:
    """Give subject and letter in Markdown with the facts put in; much faster than a mail."""
    ours = brand(support_url=support)
    one = brief(language=language, notice=notice, timezone=ZONES.get(language, "UTC"), **facts)
    spoken = tongue(language)
    known, said = told(one, spoken.locale), brand_facts(ours)
    values = [*known.raws, *said]
    return "\n".join(
        joined(cut(part), values)
        for part in _write(spoken.folder, notice, _context(one, known, said))
    )


def every_wording(notice: str) -> Iterator[Facts]:
    """Give facts for each wording of a notice."""
    for choice, lacks, charges in itertools.product(choices_of(notice), LACKS, CHARGES):
        facts = HARD_DAYS | charges | choice | lacks
        if tellable(notice, facts):
            yield facts


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("notice", NOTICES)
def test_no_wording_has_a_slip_of_type_or_of_grammar(language: str, notice: str) -> None:
    seen = set()
    for facts in every_wording(notice):
        for amount, support in ((100, ""), (134_900, BRAND.support_url)):
            text = letter(language, notice, support, **facts | {"amount": amount})
            seen |= set(text.replace("**", "").split("\n"))
    for line in seen:
        assert not slips(language, line.removeprefix("- ")), line


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("notice", NOTICES)
def test_a_letter_is_plain_language(language: str, notice: str) -> None:
    for choice in choices_of(notice):
        prose = re.sub(
            r"\[.*?\]\(.*?\)|\*\*|^#+ |^- .*$",
            "",
            letter(language, notice, **choice),
            flags=re.MULTILINE,
        )
        assert ease(language, prose) >= PLAIN
        assert max(map(len, sentences_in(prose))) <= LONGEST


def test_heavy_language_is_told_from_plain_language() -> None:
    heavy = "Die Inanspruchnahme kostenpflichtiger Abonnementdienstleistungen verlängert sich."
    assert ease("de", heavy) < PLAIN < ease("de", "Ihr Abo läuft weiter. Sie müssen nichts tun.")


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "We don't"),
        ("en", "two  blanks"),
        ("en", "one - two"),
        ("de", "Ihr Abonnement"),
        ("de", "Hast du es genutzt?"),
        ("de", "bis zum Ende von dem Abo"),
        ("es", "Quiere mantenerla?"),
        ("es", "hasta el fin de el plazo"),
        ("es", "Si no respondes, tu suscripción"),
        ("es", "Darse de baja"),
        ("es", "3 de marzo a las 1:05"),
        ("it", "fino al 8 marzo"),
        ("it", "fino all\u20198 marzo"),
        ("it", "dal 3 marzo"),
        ("it", "il tuo abbonamento"),
        ("it", "1 marzo 2026"),
        ("it", "perch\u00e8"),
        ("fr", "l'abonnement"),
        ("fr", "\u00e0 le 3 mars"),
        ("fr", "ton abonnement"),
    ],
)
def test_a_slip_is_seen(language: str, text: str) -> None:
    assert slips(language, text)


# --- the nine facts ----------------------------------------------------------------------------

NINE = {
    "de": (
        "Sie zahlen für ein Abo bei Northlight TV.",
        "Northlight TV schreibt Ihnen, weil Sie dort ein Abo haben",
        "Abo: Northlight TV \u2013 Family",
        "Preis: 13,49 \u20ac pro Monat",
        "Nächste Abbuchung: 20. Oktober 2026",
        "Zuletzt genutzt: 2. Januar 2024",
        "Ihre Antwort bitte: bis einschließlich Donnerstag, 1. Oktober 2026",
        "pausieren wir Ihr Abo und buchen nichts mehr ab",
        "Mein Abo behalten",
        "Mein Abo kündigen",
        "mindestens bis zum 5. August 2027",
        "können Sie Ihre Antwort rückgängig machen oder Ihr Abo nach einer Pause fortsetzen",
        "haben Sie einen Einwand?",
    ),
    "es": (
        "Usted paga una suscripción a Northlight TV",
        "Northlight TV le escribe porque usted tiene una suscripción",
        "Suscripción: Northlight TV \u2013 Family",
        "Precio: 13,49 \u20ac al mes",
        "Próximo cobro: 20 de octubre de 2026",
        "Último uso: 2 de enero de 2024",
        "Su respuesta: hasta el jueves 1 de octubre de 2026 inclusive",
        "pondremos su suscripción en pausa y dejaremos de cobrarle",
        "Mantener mi suscripción",
        "Cancelar mi suscripción",
        "al menos hasta el 5 de agosto de 2027",
        "puede deshacer su respuesta, o reactivar su suscripción después de una pausa",
        "si tiene alguna objeción",
    ),
    "it": (
        "lei paga un abbonamento Northlight TV",
        "Northlight TV le scrive perché lei ha un abbonamento",
        "Abbonamento: Northlight TV \u2013 Family",
        "Prezzo: 13,49 \u20ac al mese",
        "Prossimo addebito: 20 ottobre 2026",
        "Ultimo utilizzo: 2 gennaio 2024",
        "La sua risposta: entro giovedì 1\u00ba ottobre 2026",
        "sospenderemo il suo abbonamento e non le addebiteremo più nulla",
        "Mantengo l\u2019abbonamento",
        "Disdico l\u2019abbonamento",
        "almeno fino al giorno 5 agosto 2027",
        "può annullare la sua risposta, o riattivare l\u2019abbonamento dopo una sospensione",
        "se ha un\u2019obiezione",
    ),
}


@pytest.mark.parametrize("language", NINE)
def test_an_ask_states_the_nine_facts_in_both_parts(language: str) -> None:
    mail = written(language=language, currency="EUR")
    for words in (" ".join(mail.text.split()), mail.words):
        for fact in NINE[language]:
            assert fact in words


@pytest.mark.parametrize(
    ("language", "silence"),
    [
        ("de", "kündigen wir Ihr Abo. Es endet dann mit der bereits bezahlten Zeit"),
        ("es", "cancelaremos su suscripción. Terminará cuando acabe el tiempo que ya ha pagado"),
        ("fr", "nous résilierons votre abonnement. Il prendra fin au terme de la période"),
        ("it", "disdiremo il suo abbonamento. Terminerà con il periodo già pagato"),
    ],
)
@pytest.mark.parametrize("notice", ["ask", "reminder"])
def test_what_silence_brings_is_told(language: str, silence: str, notice: str) -> None:
    assert silence in letter(language, notice, without_answer="cancel_at_period_end")


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("de", "buchen wir am 15. September 2026 noch 1,00 \u20ac ab"),
        ("es", "se hará un cobro de 1,00 \u20ac el 15 de septiembre de 2026"),
        ("fr", "un prélèvement de 1,00 \u20ac aura encore lieu le 15 septembre 2026"),
        ("it", "è ancora previsto un addebito di 1,00 \u20ac in data 15 settembre 2026"),
    ],
)
def test_one_euro_and_many_take_the_same_verb(language: str, words: str) -> None:
    told = letter(
        language, "ask", currency="EUR", amount=100, charged_on=(date(2026, 9, 15),)
    ).replace("\xa0", " ")
    assert words in told


@pytest.mark.parametrize(
    ("language", "decided", "when"),
    [
        ("de", "Ihnen, auf Ihrer Antwortseite", "3. September 2026 um 15:05 Uhr (MESZ)"),
        (
            "es",
            "usted, en su página de respuesta",
            "3 de septiembre de 2026 a las 15:05 h (hora de Madrid)",
        ),
        (
            "it",
            "lei, nella sua pagina di risposta",
            "3 settembre 2026 alle ore 15:05 (ora di Roma)",
        ),
    ],
)
@pytest.mark.parametrize("notice", ["kept", "canceled", "suspended", "resumed"])
def test_a_receipt_says_who_decided_and_when(
    language: str, decided: str, when: str, notice: str
) -> None:
    told = letter(language, notice).replace("\xa0", " ")
    assert decided in told
    assert when in told
    assert f"{BRAND.name} \u2013 {BRIEF.plan}" in told


# --- templates ---------------------------------------------------------------------------------


@pytest.mark.parametrize("language", languages())
def test_the_small_print_uses_no_unknown_variable(language: str) -> None:
    parsed = jinja2.Environment(autoescape=True).parse(source(f"{language}/_footer.md"))
    assert meta.find_undeclared_variables(parsed) <= {*FACTS, *BRAND_FACTS, *CHOICES, *COUNTED}


@pytest.mark.parametrize("language", languages())
def test_a_variable_that_the_composer_does_not_know_stops_the_notice(
    language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafting, "_environment", drafting._environment.__wrapped__)
    monkeypatch.setattr(drafting, "source", lambda name: source(name) + "{{ nickname }}")
    with pytest.raises(jinja2.UndefinedError, match="nickname"):
        Composer().compose(BRAND, brief(language=language, notice="kept"))


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("notice", NOTICES)
def test_the_longest_wording_is_under_thirty_kilobytes(language: str, notice: str) -> None:
    facts = max(every_wording(notice), key=lambda each: len(letter(language, notice, **each)))
    assert len(written(language=language, **facts | {"notice": notice}).raw) < 30_000


# --- places ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "locale", "words"),
    [
        ("Europe/Berlin", "de", "MESZ"),
        ("Europe/London", "de", "Ortszeit London"),
        ("Atlantic/Reykjavik", "de", "Ortszeit Reykjavík"),
        ("UTC", "de", "UTC"),
        ("Europe/Madrid", "es", "hora de Madrid"),
        ("Africa/Cairo", "es", "hora de El Cairo"),
        ("Atlantic/Canary", "es_MX", "hora de las Islas Canarias"),
        ("America/Mexico_City", "es_MX", "hora de Ciudad de México"),
        ("UTC", "es", "tiempo universal coordinado"),
        ("Europe/Rome", "it", "ora di Roma"),
        ("Africa/Cairo", "it", "ora del Cairo"),
        ("Atlantic/Canary", "it", "ora delle Canarie"),
        ("America/Havana", "it", "ora dell\u2019Avana"),
        ("Indian/Reunion", "it", "ora della Riunione"),
        ("UTC", "it", "tempo coordinato universale"),
        ("Atlantic/Canary", "fr", "heure des îles Canaries"),
        ("Europe/Isle_of_Man", "fr", "heure de l\u2019île de Man"),
        ("Atlantic/Azores", "fr", "heure des Açores"),
        ("America/Martinique", "fr", "heure de la Martinique"),
        ("America/El_Salvador", "fr", "heure du Salvador"),
    ],
)
def test_a_time_names_its_place(zone: str, locale: str, words: str) -> None:
    at = datetime(2026, 7, 3, 12, 5, tzinfo=UTC).astimezone(say.zone(zone))
    assert say.moment(at, locale).endswith(f"({words})")


@pytest.mark.parametrize(
    ("many", "unit", "locale", "words"),
    [
        (1, "year", "it", "1 anno"),
        (2, "year", "it_CH", "2 anni"),
        (60, "day", "it", "60 giorni"),
        (36, "hour", "it", "36 ore"),
        (1, "month", "es", "1 mes"),
        (10, "month", "de", "10 Monate"),
        (2, "year", "fr", "2 ans"),
        (1, "day", "en", "1 day"),
    ],
)
def test_a_length_of_time_is_said_in_words(many: int, unit: str, locale: str, words: str) -> None:
    assert " ".join(counted(many, unit, locale).split()) == words


@pytest.mark.parametrize("locale", ["de", "es", "it"])
def test_the_hour_that_comes_twice_is_told_apart(locale: str) -> None:
    hours = {
        say.moment(datetime(2026, 10, 25, hour, 30, tzinfo=UTC).astimezone(zone), locale)
        for zone in (say.zone("Europe/Rome"),)
        for hour in (0, 1)
    }
    assert len(hours) == 2
