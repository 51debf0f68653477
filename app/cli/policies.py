"""Versions of a policy: show, compare, propose, talk about, approve, put in force, take back."""

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from app.cli.actor import actor_option, json_option
from app.cli.installation import Installation, installed, print_json, product_of, say
from app.engine.trial import Trial
from app.errors import Refused
from app.policy import write
from app.rows import RowRefused, moment
from app.store import lists, plans, population, products
from app.store import versions as store
from app.versions import Comment, Versions, read, state_of
from app.versions.difference import differences
from app.versions.listed import as_csv, everybody
from app.versions.planning import Planner

PRODUCT = click.argument("product_key", metavar="PRODUCT")
VERSION = click.argument("version", type=int)
SAMPLE = 20


@click.group("policy")
def policy() -> None:
    """The numbers a product team tunes, in versions."""


def _versions(parts: Installation) -> Versions:
    return Versions.on(parts.database, parts.clock)


# --- looking -----------------------------------------------------------------------------------


@policy.command("show")
@PRODUCT
@click.argument("version", type=int, required=False)
@json_option
def show(product_key: str, version: int | None, as_json: bool) -> None:
    """Show the policy in force, or one version, and which versions there are."""
    with installed() as parts, parts.database.transaction() as connection:
        row = products.row_of(connection, product_key)
        found = store.versions(connection, row.id)[::-1]
        chosen = row.policy_version if version is None else version
        body = None if chosen is None else store.version(connection, row.id, chosen).body
        plan = plans.of(connection, row.id)
    listed = [
        {
            "version": each.version,
            "state": str(state_of(each, row.policy_version)),
            "proposed_by": each.proposed_by,
            "approved_by": [one.actor for one in each.approvals],
            "activated_at": each.activated_at,
            "activate_at": each.activate_at,
            "in_force": each.version == row.policy_version,
        }
        for each in found
    ]
    planned = None if plan is None else round(plan.share, 4)
    if as_json:
        told = {"product": product_key, "version": chosen, "policy": body, "versions": listed}
        print_json(told | {"planned": planned})
        return
    for one in listed:
        mark = "*" if one["in_force"] else " "
        approved = ", ".join(one["approved_by"]) or "nobody"
        state = one["state"].replace("_", " ")
        at = f" for {one['activate_at']:%F %R} UTC" if one["activate_at"] else ""
        click.echo(
            f"{mark} {one['version']:4} {state}{at}, by {one['proposed_by']},"
            f" approved by {approved}"
        )
    if planned is not None and planned < 1:
        click.echo(f"{planned:.0%} of everybody has been looked at anew for version {chosen}")
    click.echo(json.dumps(body, indent=2) if body else "No policy is in force: nobody is asked.")


@policy.command("diff")
@PRODUCT
@VERSION
@click.argument("other", type=int, required=False)
@json_option
def diff(product_key: str, version: int, other: int | None, as_json: bool) -> None:
    """Say how a version differs from another one, or from the one in force."""
    with installed() as parts, parts.database.transaction() as connection:
        row = products.row_of(connection, product_key)
        after = store.version(connection, row.id, version)
        against = row.policy_version if other is None else other
        before = None if against is None else store.version(connection, row.id, against)
    changes = differences(None if before is None else read(before), read(after))
    if as_json:
        told = [{"path": each.path, "before": each.before, "after": each.after} for each in changes]
        print_json({"product": product_key, "version": version, "to": against, "changes": told})
        return
    for each in changes:
        click.echo(f"{each.path}: {json.dumps(each.before)} -> {json.dumps(each.after)}")
    if not changes:
        click.echo(f"version {version} says the same as version {against}")


@policy.command("dry-run")
@PRODUCT
@VERSION
@json_option
def dry_run(product_key: str, version: int, as_json: bool) -> None:
    """Say whom a version would ask today if it were in force, and why; nothing is written.

    Pace, ramp, brakes and one ask a day for a customer are left out: they only spread the asks.
    """
    total = 0
    people: list[dict[str, str]] = []
    with installed() as parts:
        with parts.database.transaction() as connection:
            row = products.row_of(connection, product_key)
            found = store.version(connection, row.id, version)
        for seen in Trial(parts.database, product_key, read(found), parts.clock.now()).everybody():
            total += len(seen.asked)
            with parts.database.transaction() as connection:
                names = population.external_ids(connection, [sid for sid, _ in seen.asked])
            for sid, why in seen.asked:
                if as_json:
                    people.append({"subscription": names[sid], "why": why})
                else:
                    click.echo(f"{names[sid]}  {why}")
    if as_json:
        print_json({"product": product_key, "version": version, "asked": total, "people": people})
    else:
        click.echo(f"{product_key}: version {version} would ask {total:,}")


# --- proposing ---------------------------------------------------------------------------------


@policy.command("propose")
@PRODUCT
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--seen", type=int, help="Refuse if there is a newer version than this one.")
@json_option
@actor_option
def propose(product_key: str, file: Path, seen: int | None, as_json: bool, actor: str) -> None:
    """Check a policy and write it down as a new version; nothing changes yet."""
    raw = read_file(file)
    with installed() as parts:
        version = _versions(parts).propose(product_key, raw, actor, seen=seen, caps=False)
        with parts.database.transaction() as connection:
            row = products.row_of(connection, product_key)
            found = store.version(connection, row.id, version)
    if as_json:
        told = {"product": product_key, "version": version, "policy": write(read(found))}
        print_json(told | {"forecast": found.forecast})
        return
    click.echo(f"version {version} proposed")
    if found.forecast is not None:
        many = found.forecast["proposed"]["tomorrow"]
        say(f"{many:,} people would be due by tomorrow.")
    if row.approvals > 1:
        say(f"Next, by somebody else: reconfirm policy approve {product_key} {version}")
    else:
        say(f"Next: reconfirm policy activate {product_key} {version}")


def read_file(file: Path) -> Any:
    """Give the JSON of a policy's file; Refused where it is none."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise Refused(
            f"{file} is not JSON: {error}", "write the policy as one JSON object"
        ) from None


@policy.command("comment")
@PRODUCT
@VERSION
@click.argument("code", type=click.Choice([str(each) for each in Comment]))
@actor_option
def comment(product_key: str, version: int, code: str, actor: str) -> None:
    """Say something of a version, as a code."""
    with installed() as parts:
        _versions(parts).comment(product_key, version, Comment(code), actor)
    click.echo(f"noted of version {version}: {code}")


@policy.command("approve")
@PRODUCT
@VERSION
@actor_option
def approve(product_key: str, version: int, actor: str) -> None:
    """Approve a version that somebody else has proposed."""
    with installed() as parts:
        _versions(parts).approve(product_key, version, actor)
    click.echo(f"version {version} approved by {actor}")


@policy.command("withdraw")
@PRODUCT
@VERSION
@actor_option
def withdraw(product_key: str, version: int, actor: str) -> None:
    """Take back a version that was never in force."""
    with installed() as parts:
        _versions(parts).withdraw(product_key, version, actor)
    click.echo(f"version {version} withdrawn")


# --- putting in force --------------------------------------------------------------------------


@policy.command("activate")
@PRODUCT
@VERSION
@click.option("--at", help="Not now but then: a moment with its offset, 2026-12-01T08:00:00Z.")
@actor_option
def activate(product_key: str, version: int, at: str | None, actor: str) -> None:
    """Put a version in force: it changes the next notice, never the last one.

    One that was in force before is put back.
    """
    with installed() as parts:
        product_of(parts, product_key)
        if at is not None:
            then = _moment(at)
            _versions(parts).schedule(product_key, version, then, actor)
            click.echo(f"version {version} is to be in force for {product_key} at {then:%F %R} UTC")
            return
        if _versions(parts).activate(product_key, version, actor):
            _plan(parts, product_key)
    click.echo(f"version {version} is in force for {product_key}")


def _moment(text: str) -> datetime:
    try:
        return moment("--at", text)
    except RowRefused as refused:
        raise Refused(str(refused), "nothing was scheduled") from None


def _plan(parts: Installation, product_key: str) -> None:
    """Walk the planning to its end; what is killed on the way is gone on with by the workers."""
    columns = (TextColumn("Planning"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0)
        planner = Planner(parts.database, parts.clock)
        planner.walk(product_key, lambda share: bar.update(task, completed=share))


@policy.command("unschedule")
@PRODUCT
@VERSION
@actor_option
def unschedule(product_key: str, version: int, actor: str) -> None:
    """Call off that a version is put in force at a time."""
    with installed() as parts:
        _versions(parts).unschedule(product_key, version, actor)
    click.echo(f"version {version} waits for no time any more")


# --- the list ----------------------------------------------------------------------------------


@policy.group("list")
def asked() -> None:
    """Whom a version would ask at once, where somebody else has to agree to that first."""


@asked.command("show")
@PRODUCT
@VERSION
@click.option("--sample", is_flag=True, help=f"Only {SAMPLE} of them, by chance.")
@json_option
def list_show(product_key: str, version: int, sample: bool, as_json: bool) -> None:
    """Print who is on the list, as CSV, and its hash."""
    with installed() as parts:
        with parts.database.transaction() as connection:
            row = products.row_of(connection, product_key)
            found = lists.of(connection, row.id, version)
            some = lists.sample(connection, row.id, version, SAMPLE) if sample else None
        if found is None:
            raise Refused(
                f"version {version} has no list",
                "a list is made by the first sweep where it would ask more than one may decide",
            )
        if as_json:
            print_json({"product": product_key} | asdict(found))
            return
        listed = everybody(parts.database, row.id, found) if some is None else some
        for piece in as_csv(listed):
            click.echo(piece, nl=False)
    say(f"{found.people:,} people, hash {found.hash}")


@asked.command("approve")
@PRODUCT
@VERSION
@click.option("--hash", "seen", required=True, help="The hash of the list that was read.")
@actor_option
def list_approve(product_key: str, version: int, seen: str, actor: str) -> None:
    """Approve whom a version would ask; the first ten of them are asked then."""
    with installed() as parts:
        found = _versions(parts).approve_list(product_key, version, seen, actor)
    click.echo(f"the list of version {version}, {found.people:,} people, approved by {actor}")


@asked.command("renew")
@PRODUCT
@VERSION
@actor_option
def list_renew(product_key: str, version: int, actor: str) -> None:
    """Have a list that waits made anew by the next sweep."""
    with installed() as parts:
        _versions(parts).make_list_anew(product_key, version, actor)
    click.echo(f"the list of version {version} is made anew by the next sweep")


COMMANDS = (policy,)
