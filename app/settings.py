"""From the environment to one frozen ``Settings``, or a clear stop of the start.

Every variable begins with ``RECONFIRM_``.  What can hold a secret may instead be named
with ``_FILE`` at its end and then names a file with the value, as container platforms
mount them.  A name nobody knows stops the start as well: a misspelt variable that is
silently ignored is a default that nobody chose.

No error of this module repeats a value, of whichever variable: a password pasted into
the wrong place must not end in a log.
"""

import difflib
import ipaddress
import os
import secrets
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from app.errors import Refused

PREFIX = "RECONFIRM_"
FILE_SUFFIX = "_FILE"
SHORTEST_KEY = 32
HIGHEST_PORT = 65535

_KEYS_FILE = "secret_keys"
_MAKE_A_KEY = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"


def _split(url: str, *schemes: str) -> SplitResult:
    """Take an URL apart.

    Raises ValueError, never with a piece of the URL in it: what stands where a port or a
    host is expected may be half a password that was not percent-encoded.
    """
    if any(mark.isspace() or not mark.isprintable() for mark in url):
        # urlsplit would drop line ends and tabs without a word.
        raise ValueError("contains white space or a control character")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("is not an URL") from None
    if parts.scheme not in schemes:
        raise ValueError(f"does not begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    if parts.fragment:
        raise ValueError("contains a # (in a password it is written %23)")
    return parts


def _check_host(parts: SplitResult) -> str:
    """Return the host of an URL that needs one, its port being a port; raise ValueError."""
    try:
        port = parts.port
    except ValueError:
        raise ValueError("has a malformed host or port") from None
    if not parts.hostname or port == 0:
        raise ValueError("has no host" if not parts.hostname else "has port 0")
    return parts.hostname


def _check_bare(parts: SplitResult) -> None:
    """Raise ValueError if anything follows host and port."""
    if parts.path not in {"", "/"} or parts.query:
        raise ValueError("has something behind its host and port")


def _check_no_login(parts: SplitResult) -> None:
    """Raise ValueError if an URL that people get to see holds a user or a password."""
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds a user name or password")


def _is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _check_encrypted(parts: SplitResult, host: str) -> None:
    """Raise ValueError if links or logins would cross a network in the clear."""
    if parts.scheme != "https" and not _is_loopback(host):
        raise ValueError("is not https, and its host is not this machine")


def _database_url(url: str) -> str:
    """Check the address of PostgreSQL; return it beginning with ``postgresql://``.

    Some platforms hand out ``postgres://``.  It may name several hosts, or none (a socket
    folder in ``?host=``), as libpq takes them.
    """
    parts = _split(url, "postgresql", "postgres")
    for address in filter(None, parts.netloc.rpartition("@")[2].split(",")):
        _check_host(SplitResult(parts.scheme, address, "", "", ""))
    return "postgresql" + url[len(parts.scheme) :]


def _redis_url(url: str) -> str:
    """Check the address of Redis: over TCP, TLS or a Unix socket."""
    parts = _split(url, "redis", "rediss", "unix")
    if parts.scheme != "unix":
        _check_host(parts)
    elif not parts.path.startswith("/"):
        raise ValueError("names no absolute path of a socket")
    return url


def _smtp_url(url: str) -> str:
    """Check the address of the mail relay, or the folder that stands in for one."""
    parts = _split(url, "smtp", "smtps", "file")
    if parts.scheme != "file":
        _check_host(parts)
        _check_bare(parts)
    elif parts.netloc or parts.path.strip("/") == "" or parts.query:
        raise ValueError("names no absolute path of a folder (three slashes: file:///dir)")
    return url


def _base_url(url: str) -> str:
    """Check the address that links in mails begin with; return it without a slash at its end."""
    parts = _split(url, "https", "http")
    _check_no_login(parts)
    _check_encrypted(parts, _check_host(parts))
    _check_bare(parts)
    return url.rstrip("/")


def _issuer(url: str) -> str:
    """Check the address of the identity provider; returned as it is, since tokens repeat it."""
    parts = _split(url, "https", "http")
    _check_no_login(parts)
    _check_encrypted(parts, _check_host(parts))
    return url


def _claim(name: str) -> str:
    """Check the path of a claim: names with dots between them."""
    if not name.isprintable() or " " in name or not all(name.split(".")):
        raise ValueError("is not the name of a claim")
    return name


def _bind(address: str) -> str:
    """Check ``host:port``; an IPv6 host stands in brackets; port 0 takes any free one."""
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > HIGHEST_PORT:
        raise ValueError("is not host:port")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError("has an IPv6 address without brackets")
    return address


def _secret_keys(text: str) -> list[str]:
    """Split keys at their commas; raise ValueError if one is too short or holds white space."""
    keys = [key.strip() for key in text.split(",")]
    if any(len(key) < SHORTEST_KEY for key in keys):
        raise ValueError(f"has a key of fewer than {SHORTEST_KEY} characters")
    if any(not key.isprintable() or " " in key for key in keys):
        raise ValueError("has a key with white space in it")
    return keys


def _absolute(folder: Path) -> Path:
    """Return ``folder`` with ~ and the working directory written out."""
    try:
        return folder.expanduser().absolute()
    except RuntimeError:
        raise ValueError("begins with ~ where no home directory is known") from None


def _secret(check: Callable[[str], str]) -> AfterValidator:
    """Apply ``check`` to the text inside a secret."""
    return AfterValidator(lambda value: SecretStr(check(value.get_secret_value())))


def _default_base_url(data: Mapping[str, Any]) -> str:
    """Return the address at which this machine reaches itself."""
    host, _, port = data["bind"].rpartition(":")
    return f"http://{host if _is_loopback(host.strip('[]')) else '127.0.0.1'}:{port}"


def _default_smtp_url(data: Mapping[str, Any]) -> SecretStr | None:
    """Return the mail folder of an embedded set-up; a real one has to name its relay."""
    if data["database_url"] is not None:
        return None
    return SecretStr((data["data_dir"] / "mail").as_uri())


def _default_erasure_ledger(data: Mapping[str, Any]) -> Path | None:
    """Return the file in the data folder of an embedded set-up; a real one has to name its own."""
    return data["data_dir"] / "erasures.ledger" if data["database_url"] is None else None


def _default_secret_keys(data: Mapping[str, Any]) -> tuple[SecretStr, ...]:
    """Return the keys kept in the data folder, made at the first start.

    Raises Refused beside a database that is not embedded: machines that share it must
    share their keys, and a key that one of them made up would be a different one on each.
    """
    if data["database_url"] is not None:
        raise Refused(
            f"{PREFIX}SECRET_KEYS is not set, and has no default where {PREFIX}DATABASE_URL is set",
            f"Set it to {Settings.model_fields['secret_keys'].description}",
        )
    try:
        kept = _kept_keys(data["data_dir"])
    except OSError as error:
        raise Refused(
            f"The secret keys cannot be kept in {PREFIX}DATA_DIR ({error.strerror})",
            f"Name a folder there that may be written, or set {PREFIX}SECRET_KEYS",
        ) from error
    return tuple(SecretStr(key) for key in kept)


def _kept_keys(folder: Path) -> list[str]:
    """Read the keys in ``folder``, made first where there are none; raise OSError or Refused."""
    path = folder / _KEYS_FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _publish(path, secrets.token_urlsafe(32) + "\n")
    text = path.read_bytes().decode(errors="replace").rstrip("\r\n")
    try:
        return _secret_keys(text)
    except ValueError as error:
        raise Refused(
            f"The file {_KEYS_FILE} in {PREFIX}DATA_DIR {error}",
            "Bring it back from a backup; deleting it makes new keys and ends all links sent",
        ) from None


def _publish(path: Path, text: str) -> None:
    """Let ``path`` appear complete, readable by its owner only, unless somebody was faster.

    Only one of two processes can make a hard link of the same name, and no reader ever
    finds half a file.
    """
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.") as draft:
        draft.write(text)
        draft.flush()
        os.fsync(draft.fileno())
        with suppress(FileExistsError):
            os.link(draft.name, path)


class Settings(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """What the environment decides; ``RECONFIRM_`` and the name in capitals sets each.

    A description says what a variable may be set to: it is the mend of every error.
    Defaults that follow from other settings are worked out in the order written here.
    """

    data_dir: Annotated[Path, AfterValidator(_absolute)] = Field(
        default=Path(".reconfirm"),
        validate_default=True,
        description="a folder for the embedded servers, their data, keys and mails",
    )
    database_url: Annotated[SecretStr, _secret(_database_url)] | None = Field(
        default=None,
        description="postgresql://user:password@host:5432/database (special characters in user"
        " and password percent-encoded), or unset it to run an embedded PostgreSQL",
    )
    eraser_database_url: Annotated[SecretStr, _secret(_database_url)] | None = Field(
        default=None,
        description="postgresql://eraser:password@host:5432/database: the same database for a user"
        " who was granted reconfirm_eraser; only `reconfirm eraser` needs it",
    )
    redis_url: Annotated[SecretStr, _secret(_redis_url)] | None = Field(
        default=None,
        description="redis://:password@host:6379/0, rediss://… or unix:///path (special characters"
        " in the password percent-encoded), or unset it to run an embedded server",
    )
    secret_keys: Annotated[tuple[SecretStr, ...], BeforeValidator(_secret_keys)] = Field(
        default_factory=_default_secret_keys,
        description=f"keys of at least {SHORTEST_KEY} characters, newest first, a comma between"
        f" two; {_MAKE_A_KEY} makes one",
    )
    bind: Annotated[str, AfterValidator(_bind)] = Field(
        default="127.0.0.1:8080",
        description="the host:port to listen at, such as 127.0.0.1:8080 or [::]:8080",
    )
    base_url: Annotated[str, AfterValidator(_base_url)] = Field(
        default_factory=_default_base_url,
        description="the address people reach this service at, such as https://reconfirm.example.com"
        " (https unless the host is this machine; no path, no login)",
    )
    smtp_url: Annotated[SecretStr, _secret(_smtp_url)] | None = Field(
        default_factory=_default_smtp_url,
        description="smtp://user:password@host:587, smtps://user:password@host:465 (special"
        " characters in user and password percent-encoded) or file:///dir for a Maildir",
    )
    mail_per_domain: int = Field(
        default=10,
        ge=0,
        le=1_000_000,
        description="a whole number of mails a second to any one receiving domain, such as 10, or 0"
        " for no limit (where your relay keeps one)",
    )
    erasure_ledger: Annotated[Path, AfterValidator(_absolute)] | None = Field(
        default_factory=_default_erasure_ledger,
        description="a file outside of the database and its backups, to which every erasure is"
        " added and which a restored backup is compared with",
    )
    keep_bodies_days: int = Field(
        default=30,
        ge=1,
        le=365,
        description="a whole number of days for which raw bodies of messages are kept, 1 to 365",
    )
    workers: int = Field(
        default=2, ge=1, le=256, description="a whole number of worker threads, 1 to 256"
    )
    clock: Literal["system", "test"] = Field(
        default="system", description="system, or test for a clock that is advanced by hand"
    )
    log_level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(str.lower)
    ] = Field(default="info", description="debug, info, warning, error or critical")
    oidc_issuer: Annotated[str, AfterValidator(_issuer)] | None = Field(
        default=None,
        description="the https address of your identity provider, exactly as its tokens name it",
    )
    oidc_client_id: str | None = Field(
        default=None, description="the client id that your identity provider gave this service"
    )
    oidc_client_secret: SecretStr | None = Field(
        default=None, description="the client secret that your identity provider gave this service"
    )
    oidc_roles_claim: Annotated[str, AfterValidator(_claim)] = Field(
        default="roles",
        description="the claim of its tokens that lists viewer, editor, approver or admin, for one"
        " product as tv:editor; dots lead inside, such as realm_access.roles",
    )
    metrics_token: SecretStr | None = Field(
        default=None, description="the bearer token that may read /metrics"
    )

    @property
    def embedded(self) -> bool:
        """Whether PostgreSQL runs inside: no address of another one was given."""
        return self.database_url is None

    @property
    def embedded_redis(self) -> bool:
        """Whether the Redis-compatible server runs inside: no address of another was given."""
        return self.redis_url is None

    @model_validator(mode="after")
    def _login_is_whole(self) -> Self:
        """Refuse half a console login."""
        names = ("oidc_issuer", "oidc_client_id", "oidc_client_secret")
        missing = [_variable(name) for name in names if getattr(self, name) is None]
        if 0 < len(missing) < len(names):
            raise Refused(
                f"The console login is half set up: {' and '.join(missing)} missing",
                "Set all three OIDC variables, or none to log in by console-link",
            )
        return self


_SECRETS = (
    "database_url",
    "eraser_database_url",
    "redis_url",
    "secret_keys",
    "smtp_url",
    "oidc_client_secret",
    "metrics_token",
)


def _variable(field: str) -> str:
    """Return the name in the environment of a field."""
    return PREFIX + field.upper()


_FIELDS = {_variable(name): name for name in Settings.model_fields}
_FILES = {_variable(name) + FILE_SUFFIX: name for name in _SECRETS}
_KNOWN = _FIELDS | _FILES


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings that ``environ`` holds.

    Where nothing says otherwise it reads and, the first time, writes the secret keys in
    the data folder.  Raises Refused, which names the variable and the mend and holds no
    value.
    """
    ours = {name: text for name, text in environ.items() if name.upper().startswith(PREFIX)}
    values: dict[str, str] = {}
    for name in sorted(ours):
        field = _field(name)
        if field in values:
            raise Refused(
                f"{_variable(field)} and {_variable(field)}{FILE_SUFFIX} are both set",
                "Unset one of them",
            )
        values[field] = _value(name, ours[name])
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        # Without the cause: a trace-back that shows it would show what was rejected.
        raise _refusal(error) from None


def _field(name: str) -> str:
    """Return the field that a variable sets; raise Refused for a name nobody knows."""
    if name in _KNOWN:
        return _KNOWN[name]
    short = {known.removeprefix(PREFIX): known for known in _KNOWN}
    near = difflib.get_close_matches(name.upper().removeprefix(PREFIX), short, n=1)
    raise Refused(
        f"{name} is not a setting",
        f"Did you mean {short[near[0]]}?"
        if near
        else f"Unset it; the settings are {', '.join(_FIELDS)}",
    )


def _value(name: str, text: str) -> str:
    """Return the value a variable holds or names; raise Refused if there is none.

    Blank does not count as unset: a DATABASE_URL that some template left blank would
    start an empty database of our own beside the real one.
    """
    value = _read(name, text) if name in _FILES else text
    if not value.strip():
        place = "names a file that is empty" if name in _FILES else "is set, but blank"
        raise Refused(f"{name} {place}", f"Set it to {_hint(name)}, or unset it")
    return value


def _read(name: str, path: str) -> str:
    """Return what the file at ``path`` holds, without the line end at its end.

    Raises Refused without the path: it may be the secret itself, put into the wrong variable.
    """
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise Refused(
            f"{name} names a file that cannot be read ({reason})", f"Set it to {_hint(name)}"
        ) from None


def _hint(name: str) -> str:
    """Return what a variable may be set to."""
    if name in _FILES:
        return f"the path of a file that holds what {name.removesuffix(FILE_SUFFIX)} would"
    return str(Settings.model_fields[_FIELDS[name]].description)


def _refusal(error: ValidationError) -> Refused:
    """Put the first of pydantic's findings into our words."""
    found = error.errors(include_url=False, include_input=False)[0]
    name = _variable(str(found["loc"][0]))
    cause = found.get("ctx", {}).get("error")
    return Refused(f"{name} {cause or 'is not valid'}", f"Set it to {_hint(name)}")
