"""Suspends, resumes and cancels at Stripe, and says how a subscription stands there.

Every act looks first, so that running it again does nothing, with or without the memory of a key;
and looks again afterwards, so that Done means seen.

- **suspend**: the native pause where the account and the subscription have it (flexible billing,
  active, charged by itself), crediting and billing nothing; else `pause_collection`, behavior void.
  Neither stops an invoice of before: those that would still be tried are voided, marked as
  uncollectible or left open without further tries (`open_invoices`), and where Stripe refuses one
  of these, the next of them; a draft is never collected.
- **resume**: ends any pause and any planned end. Stripe would begin a new period and charge it at
  once; here the old dates stay and nothing is prorated, so that the next charge is the next
  renewal, and neither the pause nor what is left of its last period is ever charged.
- **cancel**: with the period that runs; now where nothing is paid.
- **end**: now and for good, with nothing prorated and no last invoice; what would still be tried is
  kept from it first, as a suspension does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.clock import Clock
from app.world.connector import PAID_UNTIL, REACHED, Order, Standing
from app.world.outcome import Done, Later, No, Outcome
from app.world.stripe.calls import ERROR, MISSING, Api, Failed
from app.world.stripe.fields import Node, is_id
from app.world.stripe.telling import is_ended, is_leaving, period_end

SUBSCRIPTIONS, INVOICES = "/v1/subscriptions", "/v1/invoices"
WHY, CASE = "reconfirm_why", "reconfirm_case"
"""The metadata that an act leaves on a subscription; the link names no person."""
REASONS = {
    "suspend": "charging was stopped by reconfirm",
    "resume": "charging was started again by reconfirm",
    "cancel": "canceled by reconfirm",
    "end": "ended by reconfirm",
}
ENDING = frozenset({"cancel", "end"})
"""The acts that what is ended already has had."""
VOID, UNCOLLECTIBLE, LEAVE = "void", "uncollectible", "leave"
ENDPOINTS = {VOID: "void", UNCOLLECTIBLE: "mark_uncollectible"}
WAYS = (VOID, UNCOLLECTIBLE, LEAVE)
"""How an invoice is kept from being tried: where Stripe refuses one way, the next one counts."""
MOST = 100
"""Invoices looked at; nobody has as many that are still tried."""
UNKNOWN_TO_BILLING = No("billing does not know the subscription")
UNSEEN = Later("not seen to be done", unknown=True)


@dataclass(slots=True)
class Stops:
    """Carries out acts for one product, over one `Api`; raises Failed and RowRefused."""

    api: Api
    clock: Clock
    open_invoices: str = VOID
    case_url: str = ""
    """The address of a case, `{}` in the place of the subscription's id; empty: there is none."""
    pauses: bool = True
    """Whether the account has a native pause, as far as it has not said otherwise."""

    def carry_out(self, order: Order) -> Outcome:
        """Act, and look whether it was done."""
        self.api.wrote = False
        of = self.subscription(order.subscription)
        if of is None:
            return UNKNOWN_TO_BILLING
        if is_ended(of) and order.act not in ENDING:
            return No(f"cannot {order.act} what is ended")
        {
            "suspend": self._suspend,
            "resume": self._resume,
            "cancel": self._cancel,
            "end": self._end,
        }[order.act](order, of)
        standing = self.read(order) if self.api.wrote else self._standing(order, of)
        if standing is None or standing.state not in REACHED[order.act]:
            return UNSEEN
        until = standing.paid_until
        return Done({PAID_UNTIL: until.isoformat()} if until else None)

    def read(self, order: Order) -> Standing | None:
        """Give how the subscription stands; None where Stripe does not know it."""
        of = self.subscription(order.subscription)
        return None if of is None else self._standing(order, of)

    def subscription(self, name: str) -> Node | None:
        """Give a subscription with its latest invoice; None where there is none."""
        if not is_id(name):
            return None
        try:
            return self.api.get(f"{SUBSCRIPTIONS}/{name}", expand=["latest_invoice"])
        except Failed as failed:
            if failed.missing and not failed.other_mode:
                return None
            raise

    # --- how it stands -----------------------------------------------------------------------

    def _standing(self, order: Order, of: Node) -> Standing:
        """Say how it stands as far as an act is concerned.

        Paused counts for a suspension only where it lasts and nothing of before is still tried, and
        so does ended for what is to end at once.
        """
        state = _state(of, order.act)
        quiet = {("suspend", "paused"), ("end", "ended")}
        if (order.act, state) in quiet and self._tried(of):
            state = "active"
        return Standing(state, self.paid_until(of))

    def paid_until(self, of: Node) -> datetime | None:
        """Give how long the time lasts that is paid, or free: a trial, or a pause that ended.

        A period runs on while nobody pays for it, so its end proves nothing by itself.
        """
        if is_ended(of):
            return of.moment("ended_at")
        latest = of.expanded("latest_invoice")
        if of.text("status") == "trialing" or latest is None or latest.text("status") == "paid":
            return period_end(of)
        found = self.api.get(INVOICES, subscription=of.needed_id(), status="paid", limit=1).nodes()
        lines = found[0].nodes("lines") if found else []
        ends = [period.needed_moment("end") for each in lines if (period := each.node("period"))]
        return max(ends, default=None)

    def _tried(self, of: Node) -> list[Node]:
        """Give the invoices that Stripe would still try to collect by itself."""
        found = []
        for status in ("open", "draft"):
            page = self.api.get(
                INVOICES, subscription=of.needed_id(), status=status, limit=MOST
            ).nodes()
            found += [each for each in page if _is_tried(each)]
        return found

    # --- suspend -----------------------------------------------------------------------------

    def _suspend(self, order: Order, of: Node) -> None:
        native = False
        if _state(of, "suspend") != "paused":
            native = self._pauses(order, of)
            if not native:
                self._change(order, of, "collection", pause_collection={"behavior": "void"})
        self._quiet_all(order, of)
        if native:
            self._note(order, of)

    def _pauses(self, order: Order, of: Node) -> bool:
        """Pause natively; False where the account or this subscription cannot."""
        if not self.pauses or not _pauses_natively(of):
            return False
        nothing = {"type": "none"}
        try:
            self.api.act(
                "post",
                f"{SUBSCRIPTIONS}/{of.needed_id()}/pause",
                f"{order.key}-pause",
                bill_for={"unused_time_from": nothing, "outstanding_usage_through": nothing},
            )
        except Failed as failed:
            if failed.status not in {ERROR, MISSING} or not isinstance(failed.outcome, No):
                raise
            self.pauses = False
            return False
        return True

    def _quiet_all(self, order: Order, of: Node) -> None:
        """See that nothing of before is tried again; what was paid meanwhile needs it no more."""
        refused: Failed | None = None
        for invoice in self._tried(of):
            try:
                self._quiet(order, invoice)
            except Failed as failed:
                if not isinstance(failed.outcome, No):
                    raise
                refused = failed
        if refused is not None and self._tried(of):
            raise refused

    def _quiet(self, order: Order, invoice: Node) -> None:
        """See that an invoice is not tried again; raises Failed where Stripe refuses every way.

        Not every one can be voided (a part of it may be paid), and a person who is suspended must
        not be charged because of how the books are kept.
        """
        draft = invoice.text("status") == "draft"
        ways = WAYS[WAYS.index(LEAVE if draft else self.open_invoices) :]
        for way in ways:
            try:
                self._quiet_by(order, invoice.needed_id(), way)
            except Failed as failed:
                if not isinstance(failed.outcome, No) or way == ways[-1]:
                    raise
            else:
                return

    def _quiet_by(self, order: Order, name: str, way: str) -> None:
        path = f"{INVOICES}/{name}"
        if way == LEAVE:
            self.api.act("post", path, f"{order.key}-still-{name}", auto_advance=False)
        else:
            self.api.act("post", f"{path}/{ENDPOINTS[way]}", f"{order.key}-{way}-{name}")

    def _note(self, order: Order, of: Node) -> None:
        """Leave the reason where the act itself could not carry it; it is missed by nobody."""
        try:
            self._change(order, of, "note")
        except Failed:
            return

    # --- resume and cancel ---------------------------------------------------------------------

    def _resume(self, order: Order, of: Node) -> None:
        if of.text("status") == "paused":
            self.api.act(
                "post",
                f"{SUBSCRIPTIONS}/{of.needed_id()}/resume",
                f"{order.key}-resume",
                billing_cycle_anchor={"type": "unchanged"},
                proration_behavior="none",
            )
        changes: dict[str, Any] = {}
        if of.node("pause_collection") is not None:
            changes["pause_collection"] = ""
        if of.flag("cancel_at_period_end"):
            changes["cancel_at_period_end"] = False
        elif is_leaving(of):
            changes["cancel_at"] = ""
        if changes or self.api.wrote:
            self._change(order, of, "again", **changes)

    def _cancel(self, order: Order, of: Node) -> None:
        if _state(of, "cancel") in REACHED["cancel"]:
            return
        until = self.paid_until(of)
        if until is not None and until > self.clock.now():
            self._change(order, of, "cancel", cancel_at_period_end=True)
            return
        self.api.act("delete", f"{SUBSCRIPTIONS}/{of.needed_id()}", f"{order.key}-end")
        self._note(order, of)

    def _end(self, order: Order, of: Node) -> None:
        """End it now; first what is still tried, for what has ended is looked at no more."""
        self._quiet_all(order, of)
        if is_ended(of):
            return
        path = f"{SUBSCRIPTIONS}/{of.needed_id()}"
        self.api.act("delete", path, f"{order.key}-end", invoice_now=False, prorate=False)
        self._note(order, of)

    def _change(self, order: Order, of: Node, what: str, **changes: Any) -> None:
        """Change a subscription, and leave the reason with it."""
        name = of.needed_id()
        self.api.act(
            "post",
            f"{SUBSCRIPTIONS}/{name}",
            f"{order.key}-{what}",
            **changes,
            metadata=self._reason(order, name),
        )

    def _reason(self, order: Order, name: str) -> Mapping[str, str]:
        link = {CASE: self.case_url.format(name)} if self.case_url else {}
        return {WHY: REASONS[order.act], **link}


def _state(of: Node, act: str) -> str:
    """Say how it stands; of one that is paused and leaving, what matters for the act."""
    if is_ended(of):
        return "ended"
    leaving = is_leaving(of)
    if act == "cancel" and leaving:
        return "canceling"
    if _is_paused(of, lasting=act == "suspend"):
        return "paused"
    return "canceling" if leaving else "active"


def _is_paused(of: Node, *, lasting: bool) -> bool:
    """Say whether it is paused, in either way; `lasting`: and not only until a set date."""
    if of.text("status") == "paused":
        return True
    pause = of.node("pause_collection")
    return pause is not None and not (lasting and pause.moment("resumes_at"))


def _pauses_natively(of: Node) -> bool:
    mode = of.node("billing_mode")
    flexible = mode is not None and mode.text("type") == "flexible"
    by_itself = of.text("collection_method") == "charge_automatically"
    return flexible and by_itself and of.text("status") == "active"


def _is_tried(invoice: Node) -> bool:
    return invoice.flag("auto_advance") or invoice.whole("next_payment_attempt") is not None
