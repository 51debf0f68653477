"""The webhooks taken in: one for each billing system or mail provider that sends any."""

from app.inbox import STANDARD, speaks
from app.web.api import shapes
from app.web.api.bodies import JSON
from app.web.api.operations.parts import PRODUCT, Body, Operation, Parameter
from app.world import billing
from app.world.returns import providers

INBOUND = (
    "bad-request",
    "not-signed",
    "request-entity-too-large",
    "content-encoding",
    "unreadable",
    "internal-server-error",
    "not-applied",
)
MAILED = (
    "bad-request",
    "unauthorized",
    "request-entity-too-large",
    "content-encoding",
    "invalid-body",
    "internal-server-error",
)


def inbound_operations() -> tuple[Operation, ...]:
    """Give the webhooks that billing systems and mail providers call: one operation each."""
    others = [name for name in billing.names() if name != STANDARD and speaks(name)]
    mailers = (_mail_of(name) for name in providers.names())
    return (_standard(), *(_message_of(name) for name in others), *mailers)


def _mail_of(name: str) -> Operation:
    provider = providers.provider(name)
    return Operation(
        "post",
        f"/webhooks/{{product}}/mail/{name}",
        f"{name}MailWebhook",
        f"Take in what {provider.title} tells of bounces and complaints",
        f"The calls of {provider.title}, as they come. The login of the address has a key of scope"
        " feedback as its password. A bounce for good and a complaint count as in recordFeedback,"
        " for the notice whose Message-ID comes back with them; all else is `ignored`. Telling it"
        " again is harmless. docs/bounces.md says what to set where.",
        "login",
        shapes.MailWebhookResult,
        {"result": "applied"},
        MAILED,
        (PRODUCT,),
        (Body(JSON, {"type": "object"}, dict(provider.example)),),
        tag="webhooks",
    )


def _message_of(name: str) -> Operation:
    system = billing.system(name)
    title = system.title if system else name
    return Operation(
        "post",
        f"/webhooks/{{product}}/{name}",
        f"{name}Webhook",
        f"Take in what {title} sends",
        f"The messages and signatures of {title}, as they come. Each is a hint: what it names is"
        " read back from there, so that duplicates and any order are harmless. What is none of our"
        " business is answered with `ignored`.",
        "theirs",
        shapes.WebhookResult,
        {"result": "applied"},
        INBOUND,
        (PRODUCT,),
        (Body(JSON, {"type": "object"}, {"id": "evt_1", "type": "customer.updated"}),),
        tag="webhooks",
    )


def _standard() -> Operation:
    text = {"type": "string"}
    headers = tuple(
        Parameter(name, says, text, "header")
        for name, says in (
            ("webhook-id", "The message's own id; the same on every try."),
            ("webhook-timestamp", "Seconds since 1970, within five minutes of now."),
            ("webhook-signature", "v1,… : several, separated by spaces, while secrets change."),
        )
    )
    told = {
        "type": "subscription.updated",
        "timestamp": "2026-08-22T08:57:25Z",
        "data": {
            "id": "sub_1",
            "email": "ada@subscribers.example",
            "locale": "en",
            "country": "GB",
            "timezone": "Europe/London",
            "plan": "standard",
            "amount": 1349,
            "currency": "GBP",
            "interval": "month",
            "started_at": "2022-09-01T10:00:00Z",
            "renews_at": "2026-09-20T00:00:00Z",
            "status": "active",
        },
    }
    shape = {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {
                "type": "string",
                "description": "subscription.created, updated, canceled, paused or resumed;"
                " dispute.opened or closed; others are answered with `ignored`.",
            },
            "timestamp": {"type": "string", "format": "date-time"},
            "data": {
                "type": "object",
                "description": "The subscription, by the names of the import file; of a dispute its"
                " `id` and the `subscription`.",
            },
        },
    }
    return Operation(
        "post",
        "/webhooks/{product}/standard",
        "standardWebhook",
        "Tell what billing knows, as Standard Webhooks 1.0",
        "The generic billing system. The very bytes of the body are signed; everything that is"
        " wrong with a signature is 401, a product that does not exist included. Duplicates and"
        " any order are harmless, and nothing that was answered with 200 is lost.",
        "signature",
        shapes.WebhookResult,
        {"result": "applied"},
        INBOUND,
        (PRODUCT, *headers),
        (Body(JSON, shape, told),),
        tag="webhooks",
    )
