"""A small identity provider on this machine: discovery, keys, codes and tokens, as OpenID has them.

It checks what a provider checks: the client's secret, the redirect address, PKCE, and that a code
is used once. Tests bend what it signs through `claims`, `key` and `header`.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from app.clock import Clock

CLIENT, SECRET = "reconfirm", "a-secret-of-the-client"
CALLBACK = "https://reconfirm.example/console/callback"


@dataclass
class FakeProvider:
    """What the provider knows: who is signed in there, and the codes it gave out."""

    clock: Clock
    issuer: str = ""
    roles: Any = field(default_factory=lambda: ["admin"])
    subject: str = "0001"
    name: str = "anna"
    claims: dict[str, Any] = field(default_factory=dict)
    drop: set[str] = field(default_factory=set)
    document: dict[str, Any] = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    signs_with: RSAKey | OctKey | None = None
    header: dict[str, Any] = field(default_factory=lambda: {"alg": "RS256", "kid": "one"})
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)

    def described(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
        } | self.document

    def authorize(self, wanted: dict[str, str]) -> str:
        """Give where the browser is sent back to."""
        assert wanted["client_id"] == CLIENT
        assert wanted["redirect_uri"] == CALLBACK
        assert wanted["response_type"] == "code"
        assert wanted["code_challenge_method"] == "S256"
        self.asked.append(wanted)
        code = secrets.token_urlsafe(16)
        self.codes[code] = wanted
        return f"{CALLBACK}?{urlencode({'code': code, 'state': wanted['state']})}"

    def token(self, form: dict[str, str], login: str) -> tuple[int, dict[str, Any]]:
        """Give a token for a code; only to the client, once, and with the verifier of its try."""
        if login != base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode():
            return 401, {"error": "invalid_client"}
        wanted = self.codes.pop(form.get("code", ""), None)
        proof = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(proof).rstrip(b"=").decode()
        if wanted is None or wanted["code_challenge"] != challenge:
            return 400, {"error": "invalid_grant"}
        return 200, {"access_token": "x", "token_type": "Bearer", "id_token": self.signed(wanted)}

    def signed(self, wanted: dict[str, str]) -> str:
        now = int(self.clock.wall().timestamp())
        said = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": self.subject,
            "preferred_username": self.name,
            "nonce": wanted["nonce"],
            "iat": now,
            "auth_time": now,
            "exp": now + 300,
            "roles": self.roles,
        } | self.claims
        told = {name: value for name, value in said.items() if name not in self.drop}
        return jwt.encode(
            self.header, told, self.signs_with or self.key, algorithms=["RS256", "HS256"]
        )


@contextmanager
def served(clock: Clock) -> Iterator[FakeProvider]:
    """Serve a provider on a port of this machine."""
    provider = FakeProvider(clock)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/.well-known/openid-configuration":
                self._json(200, provider.described())
            elif parts.path == "/jwks":
                self._json(200, {"keys": [provider.key.as_dict(private=False)]})
            elif parts.path == "/authorize":
                wanted = {name: values[0] for name, values in parse_qs(parts.query).items()}
                self.send_response(302)
                self.send_header("Location", provider.authorize(wanted))
                self.end_headers()
            else:
                self._json(404, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            login = self.headers.get("Authorization", "").removeprefix("Basic ")
            self._json(*provider.token(form, login))

        def _json(self, status: int, document: Any) -> None:
            text = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
