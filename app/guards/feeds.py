"""Feeds of usage: up to when a product has been heard, and whether they have fallen silent."""

from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import Connection

from app.guards.brake import GUARD, STALE_FEED, note, trip
from app.guards.seen import ONE_DAY
from app.store import products
from app.store.products import Product

WESTERNMOST = timedelta(hours=12)


def told_until(heard_until: date) -> datetime:
    """Give the moment (UTC) up to which everything has been told: the end of that day."""
    return datetime.combine(heard_until + ONE_DAY, time(), UTC)


def horizon(product: Product, now: datetime) -> datetime | None:
    """Give the latest due moment that anybody can be judged on; None where no feed has spoken.

    A day that has been told ends twelve hours later in the westernmost zone. The rules judge each
    person by their own zone; this only keeps a sweep from reading those it cannot judge.
    """
    heard = product.hearing.heard_until
    return None if heard is None else min(now, told_until(heard) + WESTERNMOST)


def is_stale(product: Product, now: datetime) -> bool:
    """Say whether the feeds have been silent for longer than the policy allows."""
    heard, policy = product.hearing.heard_until, product.policy
    if heard is None or policy is None:
        return True
    return now - told_until(heard) > policy.guards.usage_feed_max_age.exactly()


def check_feeds(connection: Connection, product: Product, now: datetime) -> Product:
    """Set or lift the brake of silent feeds, and give the product as it then stands."""
    if product.hearing.heard_until is None or product.policy is None:
        return product
    if is_stale(product, now):
        changed = trip(connection, product, STALE_FEED, "usage_feed_silent", now)
    else:
        changed = bool(products.lift_brake(connection, product.id, STALE_FEED, GUARD, now))
        if changed:
            note(connection, product.id, "brake_off", STALE_FEED, GUARD, now)
    return products.load(connection, product.key) if changed else product
