"""The HTTP API for systems: one product's key, JSON in and out, errors as problems.

keys.py           who calls, and what their key may do
bodies.py         reading what was sent, without ever repeating it
shapes.py         what goes in and out, as types: read by, documented from
usage.py          usage as JSON and NDJSON; cloudevents.py the same as CloudEvents
subscriptions.py  lists, one, and its story; cursors.py how lists go on
answers.py        what people answered inside the product's own app
runs.py           what each day's sweeps did, the ramp, and taking a run back
holds.py          what keeps somebody from being erased
manifests.py      whose data is due to be erased
reviews.py        cases that subscribers want a person to look at
erasures.py       erasures that were begun, and the receipts that targets give
rights.py         what is held about one, and what people may ask of us
forecasts.py      what a policy would do
funnel.py         what came of asking
brake.py          the one stop
policies.py       versions of a policy, and the lists of whom they would ask
feedback.py       notices that came back, or drew a complaint
limits.py         how many calls a key may make
document.py       OpenAPI, from the routes and shapes; pages.py the same for people
health.py         /readyz; metrics.py /metrics
"""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response
from flask_limiter import RateLimitExceeded

from app.clock import Clock
from app.links import Links
from app.returns import Returns
from app.store.database import Database
from app.usage import Intake
from app.web.api.answers import AnswerCalls
from app.web.api.brake import BrakeCalls
from app.web.api.cloudevents import CloudEventCalls
from app.web.api.erasures import ErasureCalls
from app.web.api.feedback import FeedbackCalls
from app.web.api.forecasts import ForecastCalls
from app.web.api.funnel import FunnelCalls
from app.web.api.health import Readiness
from app.web.api.holds import HoldCalls
from app.web.api.keys import Keys
from app.web.api.limits import Limits, too_many
from app.web.api.manifests import ManifestCalls
from app.web.api.metrics import Metrics
from app.web.api.pages import register_docs
from app.web.api.policies import PolicyCalls
from app.web.api.reviews import ReviewCalls
from app.web.api.rights import RightsCalls
from app.web.api.runs import RunCalls
from app.web.api.subscriptions import SubscriptionCalls
from app.web.api.usage import UsageCalls
from app.web.problems import problem_response

ROOT = "/v1/products/<product>"


@dataclass(frozen=True, slots=True)
class Api:
    """The parts of the API, on one database."""

    database: Database
    clock: Clock
    links: Links
    base_url: str
    metrics_token: str | None = None
    redis_url: str | None = None
    limits: Limits | None = None
    erasure_ledger: Path | None = None

    def register(self, app: Flask) -> None:
        """Put the API's routes on an application."""
        Metrics(self.database, self.clock, self.metrics_token).register(app)
        calls = self._calls()
        if self.limits is not None:
            self.limits.guard(app, calls)
            app.register_error_handler(RateLimitExceeded, _slow_down)
        calls.before_request(Keys(self.database).check)
        app.register_blueprint(calls)
        ready = Readiness(self.database, self.clock, self.redis_url, self.erasure_ledger)
        app.add_url_rule("/readyz", view_func=ready.readyz)
        register_docs(app, self.base_url, urlsplit(self.base_url).path.rstrip("/"))

    def _calls(self) -> Blueprint:
        routes = Blueprint("api", __name__, url_prefix=ROOT)
        one = "/subscriptions/<subscription>"
        usage = UsageCalls(Intake(self.database, self.clock, links=self.links))
        routes.add_url_rule("/usage", "usage", usage.take, methods=["POST"])
        routes.add_url_rule(
            "/usage/cloudevents", "cloudevents", CloudEventCalls(usage).take, methods=["POST"]
        )
        reads = SubscriptionCalls(self.database, self.clock, self.links)
        routes.add_url_rule("/subscriptions", "subscriptions", reads.page)
        routes.add_url_rule(one, "subscription", reads.show)
        routes.add_url_rule(f"{one}/timeline", "timeline", reads.timeline)
        answers = AnswerCalls(self.database, self.clock, self.links)
        routes.add_url_rule(f"{one}/answer", "answer", answers.take, methods=["POST"])
        rights = RightsCalls(self.database, self.clock, self.links)
        routes.add_url_rule(f"{one}/data", "data", rights.data)
        for name, call in (
            ("erasure", rights.erasure),
            ("restriction", rights.restriction),
            ("objection", rights.objection),
            ("address", rights.correction),
        ):
            routes.add_url_rule(f"{one}/{name}", f"wants_{name}", call, methods=["POST"])
        reviews = ReviewCalls(self.database, self.clock)
        routes.add_url_rule("/reviews", "reviews", reviews.page)
        routes.add_url_rule("/reviews/<review>", "review", reviews.show)
        routes.add_url_rule("/reviews/<review>/done", "review_done", reviews.done, methods=["POST"])
        erasures = ErasureCalls(self.database, self.clock, self.links)
        gone = "/erasures/<erasure>"
        routes.add_url_rule("/erasures", "erasures", erasures.page)
        routes.add_url_rule(gone, "erasure", erasures.show)
        routes.add_url_rule(f"{gone}/receipts", "receipt", erasures.give, methods=["POST"])
        HoldCalls(self.database, self.clock, self.links).register(routes)
        ManifestCalls(self.database, self.clock).register(routes)
        runs = RunCalls(self.database, self.clock)
        routes.add_url_rule("/runs", "runs", runs.page)
        routes.add_url_rule("/runs/<run>", "run", runs.show)
        routes.add_url_rule("/runs/<run>/people", "run_people", runs.people)
        routes.add_url_rule("/runs/<run>/undo", "run_undo", runs.undo, methods=["POST"])
        routes.add_url_rule("/ramp", "ramp", runs.ramp)
        routes.add_url_rule("/ramp", "ramp_act", runs.act, methods=["POST"])
        forecasts = ForecastCalls.on(self.database, self.clock)
        routes.add_url_rule("/forecasts", "forecasts", forecasts.ask, methods=["POST"])
        PolicyCalls.on(self.database, self.clock).register(routes)
        brake = BrakeCalls(self.database, self.clock)
        routes.add_url_rule("/brake", "brake", brake.show)
        routes.add_url_rule("/brake", "brake_act", brake.act, methods=["POST"])
        funnel = FunnelCalls(self.database, self.clock)
        routes.add_url_rule("/funnel", "funnel", funnel.show)
        feedback = FeedbackCalls(Returns(self.database, self.clock, self.links))
        routes.add_url_rule("/feedback", "feedback", feedback.take, methods=["POST"])
        return routes


def _slow_down(error: RateLimitExceeded) -> Response:
    return problem_response(too_many(error))
