"""What people may ask, done for them from the command line."""

import json
import stat
from pathlib import Path

from tests.app.cli.conftest import Shell


def test_what_is_held_is_printed_or_written_for_its_owner_only(
    running: Shell, tmp_path: Path
) -> None:
    held = json.loads(running("subject", "export", "tv", "ada").stdout)
    assert (held["schema"], held["subscription"]["id"]) == ("reconfirm.subject/1", "ada")
    out = tmp_path / "ada.json"
    running("subject", "export", "tv", "ada", "--out", str(out))
    assert json.loads(out.read_text())["history"][-1]["what"] == "data_exported"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    again = running("subject", "export", "tv", "ada", "--out", str(out))
    assert (again.exit_code, "not there yet" in again.stderr) == (1, True)
    unknown = running("subject", "export", "tv", "eve")
    assert (unknown.exit_code, "no such subscription" in unknown.stderr) == (1, True)


def test_erasing_wants_a_yes_and_a_cancel(running: Shell) -> None:
    unsure = running("subject", "erase", "tv", "ada")
    assert (unsure.exit_code, "--yes" in unsure.stderr) == (2, True)
    charged = running("subject", "erase", "tv", "ada", "--yes")
    assert (charged.exit_code, "--cancel" in charged.stderr) == (1, True)
    asked = ("subject", "erase", "tv", "ada", "--yes", "--cancel", "--json")
    assert json.loads(running(*asked).stdout)["verdict"] == "applied"
    assert json.loads(running(*asked).stdout)["verdict"] == "unchanged"
    (case,) = running.json("review", "list", "tv")
    assert (case["reason"], case["state"]) == ("erase", "open")


def test_locking_objecting_and_correcting(running: Shell, tmp_path: Path) -> None:
    assert "is locked" in running("subject", "restrict", "tv", "ada").stdout
    new = tmp_path / "new"
    new.write_text("ada@elsewhere.example\n")
    corrected = ("subject", "correct", "tv", "ada", "--email-file", str(new))
    assert "from now on" in running(*corrected).stdout
    assert "already" in running(*corrected).stdout
    new.write_text("call me: ada@elsewhere.example\n")
    refused = running(*corrected)
    assert refused.exit_code == 1
    assert "elsewhere" not in refused.stderr + refused.stdout
