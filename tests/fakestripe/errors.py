"""Refusals, in Stripe's words and shape."""

from typing import Any


class Refused(Exception):
    """A request that Stripe answers with an error."""

    def __init__(  # noqa: PLR0913 - an error has that many parts
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        began: bool = True,
        **more: str | None,
    ) -> None:
        """Take what is said; `began`: the endpoint had, so that an idempotency key remembers it."""
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.began = began
        self.more = more

    def body(self, request: str) -> dict[str, Any]:
        """Give the JSON of the answer to a request of this id."""
        error: dict[str, Any] = {"message": self.message, "type": self.kind}
        more = {"code": self.code, "param": self.param, **self.more}
        error.update({name: value for name, value in more.items() if value is not None})
        error["request_log_url"] = f"https://dashboard.stripe.com/logs/{request}"
        return {"error": error}


def invalid(message: str, param: str, code: str | None = None) -> Refused:
    """Give the refusal of a parameter that cannot be read: no key remembers it."""
    return Refused(message, param=param, code=code, began=False)


def missing(noun: str, id_: str, *, param: str = "id", other_mode: str | None = None) -> Refused:
    """Give the refusal of an id that names nothing, or something of the other mode."""
    message = f"No such {noun}: '{id_}'"
    if other_mode is not None:
        mine = "live" if other_mode == "test" else "test"
        message += (
            f"; a similar object exists in {other_mode} mode, "
            f"but a {mine} mode key was used to make this request."
        )
    status = 404 if param == "id" else 400
    return Refused(message, status=status, code="resource_missing", param=param)
