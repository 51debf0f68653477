"""Checks an installation: a line each, the mend beside what fails."""

from collections.abc import Iterator

import click

from app import guards
from app.cli.actor import json_option
from app.cli.checkup import Finding, checked, checkup
from app.cli.installation import Installation, installed, print_json
from app.errors import Refused
from app.guards import held_back, in_words, is_stale
from app.lifecycle.passing import acts_on_silence
from app.store import counts, lists, migrate, products, receipts, standing, targets, versions
from app.store.products import Product
from app.store.standing import Unconfirmed
from app.world import billing, erasure
from app.world.connector import CONFIRMED_WITHIN
from app.world.mail import dkim
from app.world.mail.relay import open_relay
from app.world.mail.sending import sending_of

MOST = 1000
NAMED = 5
TELL_US = (
    "look in billing how each stands, and let it send subscription.paused, canceled or resumed;"
    " `reconfirm subject explain` says more of one"
)


@click.command("doctor")
@json_option
def doctor(as_json: bool) -> None:
    """Check settings, database, schema, relay, Redis, clocks, scheduler, products and feeds."""
    found: list[Finding] = []
    try:
        with installed(needs_schema=False) as parts:
            found += examine(parts)
    except Refused as refused:
        found.append(Finding("settings", well=False, says=refused.what, mend=refused.mend))
    if as_json:
        print_json(
            [{"what": f.what, "well": f.well, "says": f.says, "mend": f.mend} for f in found]
        )
    else:
        for each in found:
            _print(each)
    if not all(each.well for each in found):
        raise SystemExit(1)


def _print(found: Finding) -> None:
    click.echo(f"{'ok  ' if found.well else 'FAIL'}  {found.what}: {found.says}")
    if found.mend and not found.well:
        click.echo(f"      mend: {found.mend}")


def examine(parts: Installation) -> Iterator[Finding]:
    """Check the parts of an installation, each on its own."""
    yield Finding(
        "settings",
        well=True,
        says=f"clock {parts.settings.clock}, pages at {parts.settings.base_url}",
    )
    database = checked("database", lambda: _database(parts), "check RECONFIRM_DATABASE_URL")
    yield database
    if not database.well:
        return
    schema = checked("schema", lambda: _schema(parts), "run `reconfirm migrate`")
    yield schema
    yield checked(
        "relay", lambda: _relay(parts), "check RECONFIRM_SMTP_URL and that the relay runs"
    )
    if schema.well:
        yield from checkup(parts)
        yield from _products(parts)


def _database(parts: Installation) -> str:
    with parts.database.transaction() as connection:
        version = connection.exec_driver_sql("show server_version").scalar()
    where = "embedded" if parts.settings.database_url is None else "of its own"
    return f"PostgreSQL {version}, {where}"


def _schema(parts: Installation) -> str:
    migrate.require_newest(parts.database)
    return migrate.newest()


def _relay(parts: Installation) -> str:
    url = parts.settings.smtp_url
    if url is None:
        raise Refused(
            "none is set", "set RECONFIRM_SMTP_URL, such as smtp://user:password@host:587"
        )
    with open_relay(url.get_secret_value()) as relay:
        return relay.check()


def _products(parts: Installation) -> Iterator[Finding]:
    with parts.database.transaction() as connection:
        found = [products.load(connection, key) for key in products.keys(connection)]
        brakes = products.brakes(connection)
        feeds = {each.key: products.feeds(connection, each.id) for each in found}
    if not found:
        mend = "reconfirm product add KEY --name …"
        yield Finding("products", well=False, says="there is none yet", mend=mend)
    for each in found:
        yield _complete(each)
        yield from _signature(each)
        yield _policy(each)
        yield from _waiting(parts, each)
        yield from _billing(parts, each)
        yield from _targets(parts, each)
        yield _feeds(parts, each, len(feeds[each.key]))
        yield from _ramp(parts, each)
        yield from _counts(parts, each)
    for brake in brakes:
        says, mend = in_words(brake)
        on = f"{brake.cause}, on since {brake.set_at:%Y-%m-%d %H:%M}: {says}"
        yield Finding(f"brake of {brake.product or 'all products'}", well=False, says=on, mend=mend)


def _ramp(parts: Installation, product: Product) -> Iterator[Finding]:
    """Find a ramp that somebody paused or stopped: it is easily forgotten."""
    with parts.database.transaction() as connection:
        says, _, mend = (held_back(connection, product) or "").partition(": ")
    if says:
        yield Finding(f"ramp of {product.key}", well=False, says=says, mend=mend.strip("`"))


def _counts(parts: Installation, product: Product) -> Iterator[Finding]:
    """Find the counts of the forecast wrong, where they were when last compared."""
    with parts.database.transaction() as connection:
        state = counts.state(connection, product.id)
    if state.drift and state.checked_at is not None:
        says = f"{state.drift} counts were wrong on {state.checked_at:%Y-%m-%d}"
        mend = f"reconfirm forecast check {product.key} --repair"
        yield Finding(f"forecast of {product.key}", well=False, says=says, mend=mend)


def _complete(product: Product) -> Finding:
    missing = [
        name
        for name, value in (("from", product.from_address), ("support_url", product.support_url))
        if not value
    ]
    if not missing:
        return Finding(f"product {product.key}", well=True, says="complete")
    says = f"{', '.join(missing)} not set"
    mend = f"reconfirm product set {product.key} {' '.join(f'{name}=…' for name in missing)}"
    return Finding(f"product {product.key}", well=False, says=says, mend=mend)


def _signature(product: Product) -> Iterator[Finding]:
    """Say whether the mails of a product can be signed, and which record to publish."""
    how = sending_of(product.mail_settings)
    if not how.signs:
        return
    mend = f"reconfirm product set {product.key} dkim_domain=… dkim_selector=… dkim_key_file=…"

    def look() -> str:
        dkim.check(how, product.from_address)
        name, text = dkim.record(how)
        return f'signs; the DNS is to hold {name}. IN TXT "{text}"'

    yield checked(f"dkim of {product.key}", look, mend)


def _policy(product: Product) -> Finding:
    what = f"policy of {product.key}"
    if product.policy is None:
        mend = f"reconfirm policy propose {product.key} FILE, then activate it"
        return Finding(what, well=False, says="none is in force, so nobody is asked", mend=mend)
    return Finding(what, well=True, says=f"version {product.policy_version} is in force")


def _waiting(parts: Installation, product: Product) -> Iterator[Finding]:
    """Find what of the policy waits for a person: a list to be read, a version that was put off."""
    number = product.policy_version
    with parts.database.transaction() as connection:
        made = None if number is None else lists.of(connection, product.id, number)
        put_off = versions.put_off_ones(connection, product.id)
    if made is not None and made.waits:
        says = f"{made.people:,} people are on a list that nobody has approved: nobody is asked"
        mend = f"reconfirm policy list show {product.key} {number}"
        yield Finding(f"list of {product.key}", well=False, says=says, mend=mend)
    for one, why in put_off:
        says = f"version {one} could not be put in force at its time: {why}"
        mend = f"reconfirm policy activate {product.key} {one}, or withdraw it"
        yield Finding(f"policy of {product.key}", well=False, says=says, mend=mend)


def _billing(parts: Installation, product: Product) -> Iterator[Finding]:
    """Say what the policies promise and billing cannot do, and what it never confirmed."""
    can = billing.capabilities(product.billing, product.billing_settings)
    now, what = parts.clock.now(), f"billing of {product.key}"
    lacks = guards.impossible(product, can)
    lost = [n for n, each in product.policies.items() if acts_on_silence(each) - can.acts]
    with parts.database.transaction() as connection:
        held = standing.held(connection, product.id, lost, now) if lost else 0
        until = now - CONFIRMED_WITHIN
        silent = standing.unconfirmed(connection, product.id, until, MOST) if not can.asked else []
    if lacks:
        says = f"{product.billing} cannot {', '.join(lacks)}, and the policy in force promises it"
        yield Finding(what, well=False, says=says, mend=guards.mend_of(product, can))
    if held:
        says = f"{held} rounds are held: they were promised what {product.billing} cannot do"
        mend = "let billing do it again, or do it there by hand and let it tell us"
        yield Finding(what, well=False, says=says, mend=mend)
    if silent:
        yield Finding(what, well=False, says=_unconfirmed(silent), mend=TELL_US)
    if not (lacks or held or silent):
        yield Finding(what, well=True, says=f"{product.billing}, nothing waits for it")


def _targets(parts: Installation, product: Product) -> Iterator[Finding]:
    """Say who is told to erase, what of it is not ready, and that nobody is where that is so."""
    what, policy = f"targets of {product.key}", product.policy
    with parts.database.transaction() as connection:
        found = targets.live(connection, product.id)
        parked = receipts.waiting(connection, product.id, [receipts.PARKED], MOST)
    erases = policy is not None and any(
        terms.erase_after is not None
        for terms in (policy.terms, *(each.terms for each in policy.segments))
    )
    untried = [each.key for each in found if each.tried_at is None and _tried_first(each.kind)]
    if untried:
        says = f"not tried, and so told nothing: {', '.join(untried)}"
        mend = f"reconfirm target try {product.key} {untried[0]}"
        yield Finding(what, well=False, says=says, mend=mend)
    if parked:
        says = f"{len(parked)} receipts wait for a person"
        mend = f"reconfirm target owes {product.key} --state parked"
        yield Finding(what, well=False, says=says, mend=mend)
    if erases and not found:
        says = "the policy schedules erasure, and nobody else is told: only our own data is erased"
        yield Finding(what, well=True, says=says)
    elif found and not (untried or parked):
        yield Finding(what, well=True, says=", ".join(each.key for each in found))


def _tried_first(kind: str) -> bool:
    known = erasure.kind(kind)
    return known is not None and known.tried_first


def _unconfirmed(silent: list[Unconfirmed]) -> str:
    named = ", ".join(f"{each.act} of {each.subscription}" for each in silent[:NAMED])
    more = "" if len(silent) < MOST else " or more"
    return f"{len(silent)}{more} acts taken and not confirmed for two days: {named}"


def _feeds(parts: Installation, product: Product, many: int) -> Finding:
    what, heard = f"feeds of {product.key}", product.hearing.heard_until
    mend = f"reconfirm import usage {product.key} FILE --through DATE"
    if not many or heard is None:
        return Finding(what, well=False, says="none has spoken, so nobody is asked", mend=mend)
    if product.policy is not None and is_stale(product, parts.clock.now()):
        return Finding(what, well=False, says=f"silent since {heard}", mend=mend)
    return Finding(what, well=True, says=f"{many}, heard until {heard}")


COMMANDS = (doctor,)
