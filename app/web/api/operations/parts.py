"""What an operation is, and what many of them share: parameters, and what may go wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from app.usage import LONGEST_NAME
from app.web.api.bodies import JSON
from app.web.api.subscriptions import MOST_LISTED, USUALLY_LISTED
from app.web.problems import KINDS

Scope = Literal["usage", "feedback", "read", "manage", "signature", "theirs", "login", "metrics"]
KEYED = ("unauthorized", "forbidden", "not-found", "too-many-requests", "internal-server-error")
BODIED = (
    "malformed-json",
    "request-entity-too-large",
    "content-encoding",
    "unsupported-media-type",
    "invalid-body",
)
PARAMETERS = ("bad-request", "invalid-parameter")
ROOT = "/v1/products/{product}"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a call."""

    name: str
    says: str
    schema: Mapping[str, Any]
    where: Literal["path", "query", "header"] = "query"
    optional: bool = False

    @property
    def required(self) -> bool:
        """Whether a call without it is refused; what stands in the address never has to be."""
        return self.where != "query" and not self.optional


@dataclass(frozen=True, slots=True)
class Body:
    """What a call takes as one content type: a shape, or a schema as it stands; and an example."""

    kind: str
    shape: Any
    example: Any


@dataclass(frozen=True, slots=True)
class Operation:
    """One call: where it is, who may, what it takes and gives, and what may go wrong."""

    method: Literal["get", "post", "delete"]
    path: str
    name: str
    summary: str
    says: str
    scope: Scope | None
    gives: Any
    example: Any
    problems: Sequence[str] = ()
    parameters: Sequence[Parameter] = ()
    bodies: Sequence[Body] = ()
    kind: str = JSON
    body_required: bool = True
    tag: str = "calls"
    also: Mapping[str, Any] = field(default_factory=dict)

    def statuses(self) -> dict[int, list[str]]:
        """Give the kinds of problems by status."""
        found: dict[int, list[str]] = {}
        for kind in sorted(set(self.problems), key=list(KINDS).index):
            found.setdefault(KINDS[kind].status, []).append(kind)
        return found


PRODUCT = Parameter("product", "The product's key, such as tv.", {"type": "string"}, "path")
SUBSCRIPTION = Parameter(
    "subscription",
    "The id under which the billing system knows the subscription.",
    {"type": "string", "maxLength": LONGEST_NAME},
    "path",
)
LIMIT = Parameter(
    "limit",
    f"How many to give; {USUALLY_LISTED} if not given.",
    {"type": "integer", "minimum": 1, "maximum": MOST_LISTED, "default": USUALLY_LISTED},
)
CURSOR = Parameter(
    "cursor",
    "Where to go on: the `next_cursor` of the page before, as it is, with the same filter.",
    {"type": "string"},
)
