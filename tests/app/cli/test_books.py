"""Comparing with billing, and the refund ledger, from the command line."""

import json

import pytest

from app.cli.installation import Installation
from app.links import Links
from app.store.database import Database
from app.world.connector import Away
from tests.app.cli.conftest import Shell
from tests.fakebooks import FakeBooks, on_books
from tests.probe import rows
from tests.world import MovableClock, Town, row


@pytest.fixture
def wrong(running: Shell, database: Database) -> Shell:
    """Have Ada suspended, and charged by the sandbox all the same."""
    running("clock", "advance", "P20D")
    running("clock", "advance", "P30D")
    rows(database, "update feed set covers_until = '2024-12-31'")
    running("clock", "advance", "P40D")
    charged = "insert into sandbox_charge select 'tv', 'ada', now, 1349, 'GBP', 0 from clock"
    rows(database, charged)
    return running


def test_a_wrong_charge_is_found_decided_and_given_back(wrong: Shell, database: Database) -> None:
    counts = wrong.json("reconcile", "run", "tv")
    assert counts["wrong"] == 1, wrong.json("subject", "explain", "tv", "ada")
    (entry,) = wrong.json("refund", "list", "tv", "--state", "proposed")
    assert (entry["amount"], entry["currency"], entry["owed"]) == (1349, "GBP", 1349)
    assert entry["evidence"]["why"] == "charged_after_suspension"
    number = str(entry["id"])
    assert wrong.json("refund", "show", "tv", number)["mend"]
    assert "proposed" in wrong("refund", "list", "tv").stdout
    assert "1 refunds proposed" in wrong("doctor").stdout
    decided = wrong.json("refund", "approve", "tv", number, "--actor", "eve")
    assert (decided["state"], decided["decided_by"]) == ("approved", "cli:eve")
    wrong("clock", "advance", "PT1M")
    assert wrong.json("refund", "show", "tv", number)["state"] == "made"
    assert rows(database, "select sum(refunded) from sandbox_charge") == [(1349,)]
    month = entry["charged_at"][:7]
    assert wrong.json("refund", "list", "tv", "--month", month) == {
        "month": month,
        "currencies": {"GBP": {"made": {"entries": 1, "minor_units": 1349}}},
    }
    assert wrong.json("refund", "list", "tv", "--month", "2031-12")["currencies"] == {}
    assert "no wrong charge" in wrong("refund", "list", "tv", "--month", "2031-12").stdout
    again = wrong("refund", "approve", "tv", number)
    assert (again.exit_code, "is made" in again.stderr) == (1, True)


def test_a_refund_is_declined_with_a_reason_that_is_a_code(wrong: Shell) -> None:
    wrong("reconcile", "run", "tv")
    (entry,) = wrong.json("refund", "list", "tv")
    number = str(entry["id"])
    assert wrong("refund", "decline", "tv", number, "--why", "she called us").exit_code == 2
    declined = wrong.json("refund", "decline", "tv", number, "--why", "not_wrong")
    assert declined["state"] == "declined"


@pytest.mark.parametrize("month", ["2026-13", "2026-1", "november", "0000-01", "9999-12"])
def test_what_is_no_month_is_refused(tv: Shell, month: str) -> None:
    assert tv("refund", "list", "tv", "--month", month).exit_code == 2


def test_what_does_not_exist_is_said(tv: Shell) -> None:
    assert "no refund 7" in tv("refund", "show", "tv", "7").stderr
    assert tv("refund", "list", "radio").exit_code == 1


def test_how_the_comparison_stands(running: Shell) -> None:
    assert running.json("reconcile", "show", "tv")["standing"] is None
    assert "not compared yet" in running("reconcile", "show", "tv").stdout
    running("reconcile", "run", "tv")
    found = running.json("reconcile", "show", "tv")
    assert found["standing"]["error"] is None
    assert found["standing"]["ended_at"]
    assert found["unexplained"] == found["unreadable"] == []
    assert "compared on" in running("reconcile", "show", "tv").stdout


def test_a_system_that_lists_nothing_says_what_to_do_instead(running: Shell) -> None:
    refused = running("import", "billing", "tv")
    assert refused.exit_code == 1
    assert "import subscriptions" in refused.stderr


def test_the_doctor_says_that_books_are_not_compared(running: Shell, database: Database) -> None:
    running("reconcile", "run", "tv")
    assert "compared with billing" in running("doctor").stdout
    rows(database, "update reconciliation set ended_at = ended_at - interval '9 days'")
    found = json.loads(running("doctor", "--json").stdout)
    (books,) = (each for each in found if each["what"] == "books")
    assert not books["well"]
    assert "not been compared with billing for two days" in books["says"]
    rows(database, "update reconciliation set error = 'http 401'")
    assert "http 401" in running("doctor").stdout


# --- with a system that can be asked -------------------------------------------------------------


@pytest.fixture
def billing(
    tv: Shell,  # noqa: ARG001
    database: Database,
    clock: MovableClock,
    links: Links,
    monkeypatch: pytest.MonkeyPatch,
) -> FakeBooks:
    """Have the product on a billing system that can be asked, with 25 subscriptions."""
    found = on_books(Town(database, clock, links))
    found.has(*(row(f"p{number:02}") for number in range(25)))
    monkeypatch.setattr(Installation, "connector", lambda _parts, _key: found)
    return found


def test_all_that_billing_has_is_imported_and_again_changes_nothing(
    tv: Shell, billing: FakeBooks
) -> None:
    billing.unfit["bad"] = "email is not an address"
    counts = tv.json("import", "billing", "tv")
    assert (counts["read"], counts["new"], counts["refused"]) == (26, 25, 1)
    assert "cannot be read" in tv("import", "billing", "tv").stdout
    tv("reconcile", "run", "tv")  # the rest of that run
    again = tv.json("reconcile", "run", "tv")
    assert (again["new"], again["repaired"], again["unchanged"]) == (0, 0, 25)
    assert tv.json("reconcile", "show", "tv")["unreadable"][0]["subscription"] == "bad"
    assert "bad  cannot be read: email is not an address" in tv("reconcile", "show", "tv").stdout
    assert "1 subscriptions that billing tells and cannot be read" in tv("doctor").stdout


def test_an_import_that_billing_cut_short_goes_on_where_it_stopped(
    tv: Shell, billing: FakeBooks
) -> None:
    def away(_kind: str, after: str | None) -> None:
        if after == "p09":
            raise Away("http 503")

    billing.before = away
    cut = tv("import", "billing", "tv")
    assert cut.exit_code == 1
    assert "http 503" in cut.stderr
    assert "goes on where it stopped" in cut.stderr
    assert "http 503" in tv("reconcile", "show", "tv").stdout
    billing.before = lambda _kind, _what: None
    assert tv.json("import", "billing", "tv")["new"] == 25
    assert billing.calls("page") == [None, "p09", "p09", "p19"]


def test_what_cannot_be_explained_is_shown(
    tv: Shell, billing: FakeBooks, database: Database
) -> None:
    tv("import", "billing", "tv")
    rows(
        database,
        "insert into unexplained select product_id, id, 'not_paused', told_at, told_at"
        " from subscription where external_id = 'p03'",
    )
    (found,) = tv.json("reconcile", "show", "tv")["unexplained"]
    assert (found["subscription"], found["what"]) == ("p03", "not_paused")
    assert "p03  not_paused" in tv("reconcile", "show", "tv").stdout
    assert "1 subscriptions that cannot be explained" in tv("doctor").stdout
    assert billing.asked


def test_two_do_not_compare_at_once(tv: Shell, billing: FakeBooks, database: Database) -> None:
    tv("import", "billing", "tv")
    rows(database, "update reconciliation set lease_until = '2100-01-01'")
    second = tv("reconcile", "run", "tv")
    assert second.exit_code == 1
    assert "somebody else" in second.stderr
    assert billing.asked
