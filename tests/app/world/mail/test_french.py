"""French as a French person writes it, in every wording of every notice."""

import itertools
from datetime import date

import pytest

from app.world.mail.brief import NOTICES
from tests.app.world.mail.build import BRIEF, written
from tests.app.world.mail.french import slips
from tests.app.world.mail.test_wording import (
    CHARGES,
    USE,
    WITHOUT,
    Facts,
    choices_of,
    tellable,
)

FRANCE: Facts = {"language": "fr-FR", "timezone": "Europe/Paris", "currency": "EUR"}
BARE: Facts = dict.fromkeys(("next_charge", "last_used_on", "erase_on", "paid_until"))


@pytest.mark.parametrize(
    "text",
    [
        "Vraiment ?",
        "Vraiment?",
        "Attention !",
        "ceci ; cela",
        "Prix : 5",
        "Prix: 5",
        "\u00ab oui\u00a0\u00bb",
        "\u00ab\u00a0oui \u00bb",
        "l'abonnement",
        "13,49 \u20ac",
        "le 1 septembre 2026",
        "un\u00a0blanc",
    ],
)
def test_a_slip_of_type_is_seen(text: str) -> None:
    assert slips(text)


def test_good_type_is_left_alone() -> None:
    assert not slips(
        "L\u2019un\u00a0; l\u2019autre\u202f! \u00ab\u00a0Oui\u00a0\u00bb\u00a0: 13,49\u00a0\u20ac"
    )
    assert not slips(
        "Vrai\u00a0? Le 11 septembre 2026 à 14\u00a0h\u00a005, https://x.example/?a=b;c"
    )


@pytest.mark.parametrize("notice", NOTICES)
@pytest.mark.parametrize("bare", [True, False])
def test_no_wording_of_a_notice_has_a_slip_of_type(notice: str, *, bare: bool) -> None:
    for one, without, reason, charges in itertools.product(
        choices_of(notice), WITHOUT, USE, CHARGES
    ):
        choice = {"without_answer": without, "reason": reason, **charges} | one
        facts: Facts = FRANCE | (BARE if bare else {}) | {"notice": notice} | choice
        facts |= {} if tellable(notice, facts) else {"erase_on": BRIEF.erase_on}
        mail = written(**facts)
        assert not slips(mail.subject)
        assert not slips(mail.text)


def test_an_ask_in_french_states_the_nine_facts() -> None:
    mail = written(**FRANCE)
    lines = mail.text.split("\n")
    assert mail.subject == "Votre abonnement Northlight TV vous est-il encore utile\u00a0?"
    for line in (
        "- Abonnement\u00a0: Northlight TV \u2013 Family",
        "- Prix\u00a0: 13,49\u00a0\u20ac par mois",
        "- Prochain prélèvement\u00a0: 20 octobre 2026",
        "- Dernière utilisation\u00a0: 2 janvier 2024",
        "- Votre réponse\u00a0: au plus tard le jeudi 1er octobre 2026",
        f"Garder mon abonnement\u00a0: {BRIEF.answer_url}",
        f"Résilier mon abonnement\u00a0: {BRIEF.answer_url}",
    ):
        assert line in lines
    for words in (
        "vous ne l\u2019utilisez plus depuis longtemps",
        "d\u2019ici au jeudi 1er octobre 2026 inclus, nous suspendrons votre abonnement",
        "et nous arrêterons les prélèvements",
        "au moins jusqu\u2019au 5 août 2027",
        "Vous pouvez revenir sur votre réponse",
        "Vous avez une objection\u00a0?",
        "Northlight TV vous écrit parce que vous y avez un abonnement",
    ):
        assert words in mail.text


def test_the_charges_that_are_still_made_are_named_in_french() -> None:
    days: Facts = {
        "charged_on": (date(2026, 9, 1), date(2026, 9, 15)),
        "charged_behind": (date(2026, 10, 3),),
    }
    words = " ".join(written(**FRANCE, **days).text.split())
    assert (
        "Avant la fin de ce délai, un prélèvement de 13,49 \u20ac aura encore lieu"
        " à chacune de ces dates, sauf si vous résiliez avant :"
        " 1er septembre 2026 et 15 septembre 2026."
        " Le prélèvement du 3 octobre 2026 tombe juste après et pourra encore être effectué"
    ) in words


@pytest.mark.parametrize(
    ("interval", "words"),
    [("day", "par jour"), ("week", "par semaine"), ("month", "par mois"), ("year", "par an")],
)
def test_a_price_names_its_interval(interval: str, words: str) -> None:
    assert f"13,49\u00a0\u20ac {words}\n" in written(**FRANCE, interval=interval).text


@pytest.mark.parametrize(
    ("notice", "subject"),
    [
        (
            "reminder",
            "Garder ou résilier Northlight TV\u00a0? Réponse d\u2019ici au jeudi 1er octobre 2026",
        ),
        ("kept", "Vous gardez votre abonnement Northlight TV"),
        ("canceled", "Vous avez résilié votre abonnement Northlight TV"),
        ("suspended", "Votre abonnement Northlight TV est suspendu\u00a0: plus aucun prélèvement"),
        ("resumed", "Vous avez repris votre abonnement Northlight TV"),
        (
            "welcome_back",
            "Vous avez de nouveau utilisé Northlight TV\u00a0: toujours aucun prélèvement",
        ),
    ],
)
def test_a_subject_says_in_french_what_happened(notice: str, subject: str) -> None:
    assert written(**FRANCE, notice=notice).subject == subject


def test_a_receipt_in_french_states_what_was_decided_by_whom_and_when() -> None:
    lines = written(**FRANCE, notice="canceled").text.split("\n")
    for line in (
        "- Décision\u00a0: résilier l\u2019abonnement Northlight TV \u2013 Family",
        "- Prise par\u00a0: vous, sur votre page de réponse",
        "- Date\u00a0: 3 septembre 2026 à 15\u00a0h\u00a005 (heure de Paris)",
        "- Prélèvements\u00a0: plus aucun désormais",
        "- Accès\u00a0: jusqu\u2019au 20 septembre 2026, fin de la période déjà payée",
    ):
        assert line in lines


@pytest.mark.parametrize("tag", ["fr", "fr-FR", "fr-CA", "fr_BE", "FR-ch", "fr-ZZ"])
def test_whoever_reads_french_is_written_to_in_french(tag: str) -> None:
    mail = written(language=tag)
    assert "Bonjour," in mail.text
    assert mail.message["Content-Language"].partition("-")[0] == "fr"
