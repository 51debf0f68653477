"""The environment becomes settings, or stops the start and says why."""

import stat
import threading
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pydantic
import pytest
from pydantic import SecretStr

from app.errors import Refused
from app.settings import PREFIX, Settings, load

KEY = "k" * 32
OLDER_KEY = "o" * 40
SECRET = "hunter2hunter2"
DATABASE = f"postgresql://rec:{SECRET}@db.example:5432/rec"
PRODUCTION = {"DATABASE_URL": DATABASE, "SECRET_KEYS": KEY}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Start in an empty folder, where the default data folder would come to lie."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(environ: Mapping[str, str], **more: str) -> Settings:
    """Load settings from names without their prefix."""
    return load({PREFIX + name: text for name, text in {**environ, **more}.items()})


def refusal(environ: Mapping[str, str], **more: str) -> Refused:
    """Return the error that stops the start, having seen that no secret shows anywhere in it."""
    with pytest.raises(Refused) as caught:
        settings(environ, **more)
    assert caught.value.mend
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    return caught.value


class TestDefaults:
    def test_nothing_set_is_an_embedded_set_up_in_one_folder(self, folder: Path) -> None:
        found = settings({})

        assert found.embedded
        assert found.embedded_redis
        assert found.data_dir == folder / ".reconfirm"
        assert (found.bind, found.base_url) == ("127.0.0.1:8080", "http://127.0.0.1:8080")
        assert (found.workers, found.clock, found.log_level) == (2, "system", "info")
        assert found.oidc_issuer is None
        assert found.metrics_token is None

    @pytest.mark.usefixtures("folder")
    def test_what_is_not_ours_is_ignored(self) -> None:
        assert load({"PATH": "/bin", "DATABASE_URL": "mysql://", "RECONFIRMED": "x"}).embedded

    @pytest.mark.parametrize(
        ("bind", "base_url"),
        [
            ("127.0.0.1:9000", "http://127.0.0.1:9000"),
            ("[::1]:9000", "http://[::1]:9000"),
            ("0.0.0.0:9000", "http://127.0.0.1:9000"),
        ],
    )
    @pytest.mark.usefixtures("folder")
    def test_links_lead_to_the_port_that_listens(self, bind: str, base_url: str) -> None:
        assert settings({}, BIND=bind).base_url == base_url

    def test_mails_of_an_embedded_set_up_go_to_a_folder(self, folder: Path) -> None:
        found = settings({}, DATA_DIR="my data")

        assert found.smtp_url is not None
        url = found.smtp_url.get_secret_value()
        assert " " not in url
        assert url.startswith("file:///")
        assert unquote(urlsplit(url).path) == str(folder / "my data" / "mail")

    def test_a_real_set_up_has_to_name_its_relay(self) -> None:
        assert settings(PRODUCTION).smtp_url is None

    @pytest.mark.usefixtures("folder")
    def test_the_environment_of_the_process_is_read_unless_another_is_given(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RECONFIRM_WORKERS", "7")

        assert load().workers == 7


class TestNames:
    def test_a_misspelt_name_stops_the_start(self) -> None:
        refused = refusal(PRODUCTION, SMPT_URL=f"smtp://user:{SECRET}@relay.example")

        assert (
            str(refused) == "RECONFIRM_SMPT_URL is not a setting. Did you mean RECONFIRM_SMTP_URL?"
        )

    def test_a_name_in_small_letters_is_misspelt(self) -> None:
        refused = refusal(PRODUCTION, smtp_url=f"smtp://user:{SECRET}@relay.example")

        assert refused.mend == "Did you mean RECONFIRM_SMTP_URL?"

    def test_only_what_can_be_secret_may_come_from_a_file(self) -> None:
        assert "RECONFIRM_WORKERS_FILE is not" in str(refusal(PRODUCTION, WORKERS_FILE="/x"))

    def test_a_name_like_no_other_is_told_all_there_are(self) -> None:
        assert "RECONFIRM_BASE_URL, " in refusal(PRODUCTION, XQ="1").mend


class TestFiles:
    @pytest.mark.parametrize("end", ["", "\n", "\r\n"])
    def test_a_secret_may_lie_in_a_file(self, tmp_path: Path, end: str) -> None:
        path = tmp_path / "token"
        path.write_bytes(f"{SECRET}{end}".encode())

        found = settings(PRODUCTION, METRICS_TOKEN_FILE=str(path))

        assert found.metrics_token is not None
        assert found.metrics_token.get_secret_value() == SECRET

    def test_value_and_file_together_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "token"
        path.write_text(SECRET)

        refused = refusal(PRODUCTION, METRICS_TOKEN=SECRET, METRICS_TOKEN_FILE=str(path))

        assert (
            refused.what == "RECONFIRM_METRICS_TOKEN and RECONFIRM_METRICS_TOKEN_FILE are both set"
        )

    def test_a_secret_in_place_of_a_path_is_not_repeated(self) -> None:
        refused = refusal(PRODUCTION, METRICS_TOKEN_FILE=SECRET)

        assert refused.what.startswith("RECONFIRM_METRICS_TOKEN_FILE names a file that cannot be")

    def test_a_folder_is_not_a_file(self, tmp_path: Path) -> None:
        assert "directory" in str(refusal(PRODUCTION, METRICS_TOKEN_FILE=str(tmp_path)))

    @pytest.mark.parametrize(("content", "reason"), [(b"\n", "empty"), (b"\xff\xfe", "UTF-8")])
    def test_a_file_has_to_hold_text(self, tmp_path: Path, content: bytes, reason: str) -> None:
        path = tmp_path / "token"
        path.write_bytes(content)

        assert reason in refusal(PRODUCTION, METRICS_TOKEN_FILE=str(path)).what


class TestValues:
    @pytest.mark.parametrize(
        ("name", "value", "what"),
        [
            ("DATABASE_URL", "", "is set, but blank"),
            ("DATABASE_URL", " ", "is set, but blank"),
            ("DATABASE_URL", f"mysql://u:{SECRET}@h/d", "does not begin with postgresql://"),
            ("DATABASE_URL", f"postgresql+psycopg://u:{SECRET}@h/d", "does not begin with"),
            ("DATABASE_URL", f"postgresql://u:p/{SECRET}@h/d", "malformed host or port"),
            ("DATABASE_URL", f"postgresql://u:{SECRET}#x@h/d", "contains a #"),
            ("DATABASE_URL", f"postgresql://u:{SECRET}@h/d\n", "white space"),
            ("DATABASE_URL", f"postgresql://u:{SECRET}@[h/d", "is not an URL"),
            ("REDIS_URL", f"http://:{SECRET}@h", "does not begin with redis://"),
            ("REDIS_URL", f"redis://:{SECRET}@h:70000", "malformed host or port"),
            ("REDIS_URL", f"redis://:{SECRET}@", "has no host"),
            ("REDIS_URL", f"unix://{SECRET}", "no absolute path"),
            ("SMTP_URL", f"smtp://u:{SECRET}@h:0", "has port 0"),
            ("SMTP_URL", f"smtp://u:{SECRET}@h/inbox", "behind its host"),
            ("SMTP_URL", "file://mail", "three slashes"),
            ("SMTP_URL", "file:///", "three slashes"),
            ("SECRET_KEYS", SECRET, "fewer than 32 characters"),
            ("SECRET_KEYS", f"{KEY},", "fewer than 32 characters"),
            ("SECRET_KEYS", f"{KEY},{SECRET} {KEY}", "white space in it"),
            ("BASE_URL", "http://reconfirm.example", "is not https"),
            ("BASE_URL", f"https://u:{SECRET}@reconfirm.example", "holds a user name"),
            ("BASE_URL", "https://reconfirm.example/below", "behind its host and port"),
            ("BASE_URL", "reconfirm.example", "does not begin with https://"),
            ("BASE_URL", "https://", "has no host"),
            ("BIND", "8080", "is not host:port"),
            ("BIND", "127.0.0.1:http", "is not host:port"),
            ("BIND", "127.0.0.1:65536", "is not host:port"),
            ("BIND", "::1:8080", "without brackets"),
            ("WORKERS", "0", "is not valid"),
            ("WORKERS", "257", "is not valid"),
            ("WORKERS", SECRET, "is not valid"),
            ("CLOCK", "sundial", "is not valid"),
            ("LOG_LEVEL", "loud", "is not valid"),
            ("DATA_DIR", "~nobody-of-this-name/x", "begins with ~"),
        ],
    )
    def test_a_bad_value_stops_the_start(self, name: str, value: str, what: str) -> None:
        refused = refusal({**PRODUCTION, name: value})

        assert refused.what.startswith(f"{PREFIX}{name} ")
        assert what in refused.what
        assert refused.mend.startswith("Set it to ")

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("DATABASE_URL", "postgresql:///rec?host=/run/postgresql"),
            ("DATABASE_URL", "postgresql://u:p%23w@[::1]:5433/rec?sslmode=require"),
            ("DATABASE_URL", "postgresql://u@a.example:5432,b.example:5432/rec"),
            ("REDIS_URL", "rediss://:pw@redis.example:6380/1"),
            ("REDIS_URL", "unix:///run/redis.sock?password=pw"),
            ("SMTP_URL", "smtps://u:p%40ss@relay.example:465"),
            ("SMTP_URL", "file:///var/spool/mail%20box"),
        ],
    )
    def test_the_addresses_in_use_are_taken_as_they_are(self, name: str, value: str) -> None:
        found = getattr(settings({**PRODUCTION, name: value}), name.lower())

        assert found.get_secret_value() == value

    def test_the_short_name_of_postgresql_is_spelt_out(self) -> None:
        found = settings(PRODUCTION, DATABASE_URL="postgres://u:postgres@h/postgres")

        assert found.database_url is not None
        assert found.database_url.get_secret_value() == "postgresql://u:postgres@h/postgres"

    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ("https://reconfirm.example/", "https://reconfirm.example"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("http://app.localhost", "http://app.localhost"),
            ("http://127.8.8.8:1", "http://127.8.8.8:1"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ],
    )
    def test_links_are_https_or_stay_on_this_machine(self, given: str, kept: str) -> None:
        assert settings(PRODUCTION, BASE_URL=given).base_url == kept

    def test_keys_are_kept_newest_first(self) -> None:
        found = settings(PRODUCTION, SECRET_KEYS=f"{KEY}, {OLDER_KEY}")

        assert [key.get_secret_value() for key in found.secret_keys] == [KEY, OLDER_KEY]

    def test_the_level_of_the_log_may_be_shouted(self) -> None:
        assert settings(PRODUCTION, LOG_LEVEL="WARNING").log_level == "warning"

    def test_the_console_login_is_set_up_whole_or_not_at_all(self) -> None:
        refused = refusal(PRODUCTION, OIDC_ISSUER="https://id.example", OIDC_CLIENT_SECRET=SECRET)

        assert "RECONFIRM_OIDC_CLIENT_ID" in refused.what
        assert "RECONFIRM_OIDC_CLIENT_SECRET" not in refused.what

    def test_a_whole_console_login_is_taken(self) -> None:
        found = settings(
            PRODUCTION,
            OIDC_ISSUER="https://id.example/realm",
            OIDC_CLIENT_ID="reconfirm",
            OIDC_CLIENT_SECRET=SECRET,
        )

        assert (found.oidc_issuer, found.oidc_client_id) == (
            "https://id.example/realm",
            "reconfirm",
        )


class TestTheRolesClaim:
    @pytest.mark.usefixtures("folder")
    def test_it_is_the_path_of_a_claim(self) -> None:
        assert settings({}).oidc_roles_claim == "roles"
        assert settings({}, OIDC_ROLES_CLAIM="a.b").oidc_roles_claim == "a.b"

    @pytest.mark.parametrize("claim", ["a b", "a..b", ".", "a\nb"])
    @pytest.mark.usefixtures("folder")
    def test_what_is_none_stops_the_start(self, claim: str) -> None:
        assert "OIDC_ROLES_CLAIM" in refusal({}, OIDC_ROLES_CLAIM=claim).what


class TestTheirPage:
    """docs/settings.md says of each setting what its own description says."""

    def test_each_setting_has_its_line_and_no_other(self) -> None:
        page = Path(__file__).parents[2].joinpath("docs", "settings.md").read_text("utf-8")
        lines = {line for line in page.splitlines() if line.startswith("| `RECONFIRM_")}
        assert lines == {
            f"| `RECONFIRM_{name.upper()}` | {field.description} |"
            for name, field in Settings.model_fields.items()
        }


class TestSecrets:
    def test_settings_can_be_printed_without_telling(self) -> None:
        found = settings(
            PRODUCTION,
            SECRET_KEYS=SECRET * 3,
            METRICS_TOKEN=SECRET,
            REDIS_URL=f"redis://:{SECRET}@redis.example",
            SMTP_URL=f"smtp://u:{SECRET}@relay.example",
        )

        assert SECRET not in repr(found) + str(found) + found.model_dump_json()

    def test_settings_do_not_change(self) -> None:
        with pytest.raises(pydantic.ValidationError):
            settings(PRODUCTION).workers = 3  # type: ignore[misc]

    def test_a_real_set_up_has_to_bring_its_keys(self) -> None:
        refused = refusal({"DATABASE_URL": DATABASE})

        assert refused.what.startswith("RECONFIRM_SECRET_KEYS is not set")

    @pytest.mark.usefixtures("folder")
    def test_an_embedded_set_up_makes_its_keys_once(self) -> None:
        first, second = settings({}), settings({})

        assert first.secret_keys == second.secret_keys
        assert len(first.secret_keys[0].get_secret_value()) >= 32

    def test_the_keys_are_for_their_owner_only(self, folder: Path) -> None:
        settings({})

        kept = folder / ".reconfirm" / "secret_keys"
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert [path.name for path in kept.parent.iterdir()] == ["secret_keys"]

    def test_keys_given_are_used_and_none_are_made(self, folder: Path) -> None:
        found = settings({}, SECRET_KEYS=KEY)

        assert found.secret_keys[0].get_secret_value() == KEY
        assert not (folder / ".reconfirm").exists()

    def test_who_starts_at_once_agrees(self, folder: Path) -> None:
        gate = threading.Barrier(8)

        def start(_: int) -> tuple[SecretStr, ...]:
            gate.wait()
            return settings({}, DATA_DIR=str(folder)).secret_keys

        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(start, range(8)))) == 1

    def test_a_key_file_cut_short_is_not_replaced(self, folder: Path) -> None:
        (folder / "secret_keys").write_text("short\n")

        refused = refusal({}, DATA_DIR=".")

        assert "secret_keys in RECONFIRM_DATA_DIR has a key of fewer" in refused.what
        assert (folder / "secret_keys").read_text() == "short\n"

    def test_a_data_folder_that_cannot_be_is_refused(self, folder: Path) -> None:
        (folder / "file").touch()

        assert "Not a directory" in refusal({}, DATA_DIR="file/below").what
