"""Signs people in at an identity provider: OpenID Connect, the code flow with PKCE.

What the provider says is believed only where its signature, issuer, audience, nonce and times fit.
How it is reached is read from its discovery document, which must name the very issuer that is set.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import requests
from authlib.common.errors import AuthlibBaseError  # type: ignore[import-untyped]
from authlib.integrations.requests_client import (  # type: ignore[import-untyped]
    OAuth2Session,
)
from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]
from authlib.oidc.discovery import get_well_known_url  # type: ignore[import-untyped]
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from app.errors import Refused
from app.web.console.roles import Roles

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
"""Never `none`, and none by a shared secret."""
LEEWAY = 60
"""Seconds by which the provider's clock may differ from ours."""
KNOWN_FOR = timedelta(hours=1)
PATIENCE = 10
"""Seconds that the provider is given to answer."""
FRESH = timedelta(minutes=10)
LONGEST_NAME = 40
LONG_AGO = datetime.min.replace(tzinfo=UTC)


class NotSignedIn(Refused):
    """The provider's answer is not to be believed, or did not come; says nothing of its content."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is at the provider: a hash of it, names for history, roles, when they proved it.

    `other_name` is for where somebody else has the name already.
    """

    subject: bytes
    name: str
    other_name: str
    roles: Roles
    fresh_at: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one try to sign in is checked by when the provider sends back."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def new(cls) -> "Attempt":
        """Make one."""
        return cls(*(secrets.token_urlsafe(size) for size in (32, 32, 48)))


@dataclass(slots=True)
class Provider:
    """The identity provider; its addresses and keys are kept for an hour."""

    issuer: str
    client_id: str
    client_secret: str
    roles_claim: str
    redirect_uri: str
    _document: Mapping[str, Any] = field(default_factory=dict)
    _keys: KeySet | None = None
    _read_at: datetime = LONG_AGO

    def address(self, attempt: Attempt, wall: datetime, *, again: bool = False) -> str:
        """Give where to send a browser; `again` asks to prove who they are once more."""
        more = {"prompt": "login", "max_age": "0"} if again else {}
        with self._client() as client:
            url, _ = client.create_authorization_url(
                self._described(wall)["authorization_endpoint"],
                state=attempt.state,
                nonce=attempt.nonce,
                code_verifier=attempt.verifier,
                **more,
            )
        return str(url)

    def identity(
        self, code: str, attempt: Attempt, wall: datetime, *, again: bool = False
    ) -> Identity:
        """Give who a code stands for; NotSignedIn where anything about it does not fit."""
        try:
            token = self._exchanged(code, attempt, wall)
            claims = self._verified(token, attempt, wall)
        except (AuthlibBaseError, JoseError, requests.RequestException, ValueError, TypeError):
            raise NotSignedIn("the provider's answer does not fit") from None
        return self._identity(claims, wall, again=again)

    # --- talking to it ---------------------------------------------------------------------

    def _client(self) -> Any:
        methods = self._document.get("token_endpoint_auth_methods_supported")
        post = methods is not None and "client_secret_basic" not in methods
        return OAuth2Session(
            self.client_id,
            self.client_secret,
            scope="openid profile",
            redirect_uri=self.redirect_uri,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_post" if post else "client_secret_basic",
            default_timeout=PATIENCE,
        )

    def _exchanged(self, code: str, attempt: Attempt, wall: datetime) -> str:
        endpoint = self._described(wall)["token_endpoint"]
        with self._client() as client:
            given = client.fetch_token(
                endpoint,
                grant_type="authorization_code",
                code=code,
                code_verifier=attempt.verifier,
                allow_redirects=False,
            )
        token = given.get("id_token")
        if not isinstance(token, str):
            raise NotSignedIn("the provider gave no ID token")
        return token

    def _described(self, wall: datetime) -> Mapping[str, Any]:
        """Give the discovery document; NotSignedIn where it cannot be read, or is another's."""
        if self._document and wall - self._read_at < KNOWN_FOR:
            return self._document
        try:
            document: dict[str, Any] = _json(get_well_known_url(self.issuer, external=True))
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                self._check(document[name])
        except (requests.RequestException, ValueError, KeyError, TypeError):
            raise NotSignedIn("the provider cannot be reached or understood") from None
        if document.get("issuer") != self.issuer:
            raise NotSignedIn("the provider names another issuer than the one that is set")
        self._document, self._keys, self._read_at = document, None, wall
        return document

    def _check(self, url: str) -> None:
        """Raise ValueError where secrets would cross a network in the clear."""
        if urlsplit(url).scheme not in ("https", urlsplit(self.issuer).scheme):
            raise ValueError(url)

    # --- believing it ----------------------------------------------------------------------

    def _verified(self, token: str, attempt: Attempt, wall: datetime) -> Mapping[str, Any]:
        """Give the claims of an ID token that is the provider's, for us, now and for this try."""
        try:
            read = jwt.decode(token, self._key_set(wall), algorithms=ALGORITHMS)
        except (JoseError, ValueError):
            self._keys = None  # it may sign with a key that is new
            read = jwt.decode(token, self._key_set(wall), algorithms=ALGORITHMS)
        claims = CodeIDToken(
            read.claims,
            read.header,
            options={
                "iss": {"essential": True, "value": self.issuer},
                "aud": {"essential": True, "value": self.client_id},
                "sub": {"essential": True},
            },
            params={"nonce": attempt.nonce, "client_id": self.client_id},
        )
        claims.validate(now=int(wall.timestamp()), leeway=LEEWAY)
        return read.claims

    def _key_set(self, wall: datetime) -> KeySet:
        if self._keys is None:
            self._keys = KeySet.import_key_set(_json(self._described(wall)["jwks_uri"]))
        return self._keys

    def _identity(self, claims: Mapping[str, Any], wall: datetime, *, again: bool) -> Identity:
        subject = claims["sub"]
        if not isinstance(subject, str) or not subject:
            raise NotSignedIn("the provider names nobody")
        digest = hashlib.sha256(f"{self.issuer}\0{subject}".encode()).digest()
        wished = claims.get("preferred_username")
        name = _code(wished if isinstance(wished, str) else subject)
        other = f"{name}-{digest.hex()[:8]}"
        roles = Roles.read(_listed(claims, self.roles_claim))
        return Identity(digest, name, other, roles, _proved(claims, wall, again=again))


def _proved(claims: Mapping[str, Any], wall: datetime, *, again: bool) -> datetime:
    """Give when they last proved who they are; NotSignedIn where that was to be just now.

    Where the provider does not say, it was not now: whoever is signed in there already has proved
    nothing to us.
    """
    said = claims.get("auth_time")
    proved = wall - FRESH
    if isinstance(said, int | float) and not isinstance(said, bool):
        proved = datetime.fromtimestamp(min(said, wall.timestamp()), UTC)
    if again and wall - proved >= FRESH:
        raise NotSignedIn("the provider did not ask who it is")
    return proved


def _listed(claims: Mapping[str, Any], path: str) -> list[str]:
    """Give the texts at a claim's path; a text alone stands for a list of those in it."""
    found: Any = claims if path not in claims else {path: claims[path]}
    for name in [path] if path in claims else path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return found.split()
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def _code(text: str) -> str:
    """Give a name that history may hold: letters, digits, dots and dashes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-")[:LONGEST_NAME] or "somebody"


def _json(url: str) -> Any:
    answer = requests.get(url, timeout=PATIENCE, allow_redirects=False)
    answer.raise_for_status()
    return answer.json()
