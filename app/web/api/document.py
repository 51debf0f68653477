"""The OpenAPI 3.1 document, made of the operations and the very types that bodies are read by.

Made by hand of msgspec's schemas, not by flask-openapi: that is a Flask of its own with its own
routes, reads a whole body before anything is checked, takes JSON that is malformed or of another
content type for an empty one, parses a JSON text that holds JSON a second time, and would need a
second, slower model of what ten thousand events are read by.
"""

from collections.abc import Mapping, Sequence
from inspect import cleandoc
from typing import Any

import msgspec

from app.web.api import shapes
from app.web.api.operations import Body, Operation, Parameter, operations
from app.web.problems import KINDS, MEDIA_TYPE

TAGS = {
    "usage": "Usage and feedback",
    "subscriptions": "Subscriptions",
    "policies": "Policies",
    "runs": "Runs and the ramp",
    "reviews": "Cases before a person",
    "erasures": "Erasures and receipts",
    "erasing": "Holds and manifests",
    "rights": "What is held of somebody, and what they may ask",
    "webhooks": "Webhooks in",
    "running": "Running it",
}
SECURITY: Mapping[str, Mapping[str, Any]] = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of one product, rk_…, as `reconfirm apikey create` prints it once."
        " Its scope is usage (usage and feedback), feedback, read (every GET) or manage"
        " (everything).",
    },
    "login": {
        "type": "http",
        "scheme": "basic",
        "description": "Any name, and a key of scope feedback of this product as its password.",
    },
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": "webhook-signature",
        "description": "Standard Webhooks 1.0, with the secret that `reconfirm product add` gave.",
    },
    "theirs": {
        "type": "apiKey",
        "in": "header",
        "name": "stripe-signature",
        "description": "The billing system's own signature in a header of its own, with a secret"
        " of the product.",
    },
    "metrics": {"type": "http", "scheme": "bearer", "description": "RECONFIRM_METRICS_TOKEN."},
}
ABOUT = (
    "What a product's systems tell reconfirm, and ask it. JSON in and out, times in RFC 3339 UTC."
    " Errors are RFC 9457 problems whose `type` is a path of these docs; none repeats what was"
    " sent. A key belongs to one product, and every other product does not exist for it. A key may"
    " make 200 calls a second in each process; 429 says in Retry-After how long to wait. Members"
    " and parameters that are not documented are refused."
)
RETRY = {
    "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."},
}
CHALLENGE = {"WWW-Authenticate": {"schema": {"type": "string"}}}
HEADERS: Mapping[int, Mapping[str, Any]] = {401: CHALLENGE, 429: RETRY}


def document(base: str) -> dict[str, Any]:
    """Give the document of the service at an address."""
    known = operations()
    schemas = _Schemas(known)
    return {
        "openapi": "3.1.0",
        "info": {"title": "reconfirm", "version": "1", "description": ABOUT},
        "servers": [{"url": base or "/"}],
        "tags": [{"name": name, "description": says} for name, says in TAGS.items()],
        "paths": _paths(known, schemas),
        "components": {"securitySchemes": SECURITY, "schemas": schemas.components},
    }


class _Schemas:
    """The schemas of every shape, and where each is to be found."""

    def __init__(self, known: Sequence[Operation]) -> None:
        found = [each.gives for each in known]
        found += [body.shape for each in known for body in each.bodies]
        types = [each for each in found if not isinstance(each, dict)] + [shapes.ProblemBody]
        given, self.components = msgspec.json.schema_components(
            types, ref_template="#/components/schemas/{name}"
        )
        for each in self.components.values():
            each["description"] = cleandoc(each["description"])
        self._of = dict(zip(map(str, types), given, strict=True))

    def of(self, shape: Any) -> Any:
        """Give the schema of a shape; one that is a schema already as it stands."""
        return shape if isinstance(shape, dict) else self._of[str(shape)]


def _paths(known: Sequence[Operation], schemas: _Schemas) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for each in known:
        paths.setdefault(each.path, {})[each.method] = _operation(each, schemas)
    return paths


def _operation(each: Operation, schemas: _Schemas) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": each.name,
        "tags": [each.tag],
        "summary": each.summary,
        "description": each.says,
        "security": _security(each),
        "parameters": [_parameter(one) for one in each.parameters],
        "responses": {"200": _given(each, schemas)} | _problems(each),
    }
    if each.scope in ("usage", "feedback", "read", "manage"):
        told["x-scope"] = each.scope
    if each.bodies:
        content = {body.kind: _content(body, schemas) for body in each.bodies}
        told["requestBody"] = {"required": each.body_required, "content": content}
    return told


def _security(each: Operation) -> list[dict[str, list[str]]]:
    if each.scope is None:
        return []
    name = each.scope if each.scope in SECURITY else "key"
    return [{name: []}, {}] if name == "metrics" else [{name: []}]


def _parameter(each: Parameter) -> dict[str, Any]:
    return {
        "name": each.name,
        "in": each.where,
        "required": each.required,
        "description": each.says,
        "schema": dict(each.schema),
    }


def _content(body: Body, schemas: _Schemas) -> dict[str, Any]:
    return {"schema": schemas.of(body.shape), "example": body.example}


def _given(each: Operation, schemas: _Schemas) -> dict[str, Any]:
    content = {"schema": schemas.of(each.gives), "example": each.example}
    return {"description": "Done.", "content": {each.kind: content}}


def _problems(each: Operation) -> dict[str, Any]:
    return {str(status): _problem(status, kinds) for status, kinds in each.statuses().items()}


def _problem(status: int, kinds: Sequence[str]) -> dict[str, Any]:
    says = " ".join(f"{kind}: {KINDS[kind].why}" for kind in kinds)
    example = {
        "type": f"/docs/problems#{kinds[0]}",
        "title": KINDS[kinds[0]].title,
        "status": status,
        "detail": KINDS[kinds[0]].mend,
    }
    schema = {"$ref": "#/components/schemas/ProblemBody"}
    told: dict[str, Any] = {
        "description": says,
        "content": {MEDIA_TYPE: {"schema": schema, "example": example}},
        "x-problems": list(kinds),
    }
    if status in HEADERS:
        told["headers"] = HEADERS[status]
    return told
