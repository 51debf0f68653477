"""Versions of a policy: show, propose, approve, activate."""

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from sqlalchemy import Connection

from app import guards
from app import policy as policy_rules
from app.cli.actor import actor_option, json_option
from app.cli.installation import Installation, installed, print_json, product_of, say
from app.errors import Conflict, Refused
from app.mirror import needs_replan, replan
from app.store import cases, population, products
from app.store.cases import HistoryWrite


@click.group("policy")
def policy() -> None:
    """The numbers a product team tunes, in versions."""


@policy.command("show")
@click.argument("product_key", metavar="PRODUCT")
@click.argument("version", type=int, required=False)
@json_option
def show(product_key: str, version: int | None, as_json: bool) -> None:
    """Show the policy in force, or one version, and which versions there are."""
    with installed() as parts, parts.database.transaction() as connection:
        row = products.row_of(connection, product_key)
        listed = [
            {
                "version": each.version,
                "proposed_by": each.proposed_by,
                "approved_by": products.approvers(connection, row.id, each.version),
                "activated_at": each.activated_at,
                "in_force": each.version == row.policy_version,
            }
            for each in products.proposals(connection, row.id)
        ]
        chosen = version or row.policy_version
        body = products.proposal(connection, row.id, chosen).body if chosen else None
    if as_json:
        print_json({"product": product_key, "version": chosen, "policy": body, "versions": listed})
        return
    for each in listed:
        mark = "*" if each["in_force"] else " "
        approved = ", ".join(each["approved_by"]) or "nobody"
        click.echo(f"{mark} {each['version']:4} by {each['proposed_by']}, approved by {approved}")
    click.echo(json.dumps(body, indent=2) if body else "No policy is in force: nobody is asked.")


@policy.command("propose")
@click.argument("product_key", metavar="PRODUCT")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@actor_option
def propose(product_key: str, file: Path, as_json: bool, actor: str) -> None:
    """Check a policy and write it down as a new version; nothing changes yet."""
    raw = _read_json(file)
    with installed() as parts:
        product = product_of(parts, product_key)
        checked = policy_rules.read(raw, inherit=product.policy)
        guards.check_policy(product, checked)
        body = policy_rules.write(checked)
        now = parts.clock.now()
        with parts.database.transaction() as connection:
            version = products.propose(connection, product.id, body, actor, now)
            _note(connection, parts, product.id, "policy_proposed", version, actor)
    if as_json:
        print_json({"product": product_key, "version": version, "policy": body})
        return
    click.echo(f"version {version} proposed")
    say(f"Next: reconfirm policy activate {product_key} {version}")


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise Refused(
            f"{file} is not JSON: {error}", "write the policy as one JSON object"
        ) from None


@policy.command("approve")
@click.argument("product_key", metavar="PRODUCT")
@click.argument("version", type=int)
@actor_option
def approve(product_key: str, version: int, actor: str) -> None:
    """Approve a version."""
    with installed() as parts, parts.database.transaction() as connection:
        row = products.row_of(connection, product_key)
        products.proposal(connection, row.id, version)
        products.approve(connection, row.id, version, actor, parts.clock.now())
        _note(connection, parts, row.id, "policy_approved", version, actor)
    click.echo(f"version {version} approved by {actor}")


@policy.command("activate")
@click.argument("product_key", metavar="PRODUCT")
@click.argument("version", type=int)
@actor_option
def activate(product_key: str, version: int, actor: str) -> None:
    """Put a version in force: it changes the next notice, never the last one."""
    with installed() as parts:
        before = product_of(parts, product_key)
        with parts.database.transaction() as connection:
            body = products.proposal(connection, before.id, version).body
        guards.check_policy(before, policy_rules.read(body, version=version))
        with parts.database.transaction() as connection:
            proposed = products.proposal(connection, before.id, version)
            people = {proposed.proposed_by, *products.approvers(connection, before.id, version)}
            if len(people) < before.approvals:
                raise Conflict(
                    f"version {version} needs {before.approvals} people and has {len(people)}",
                    f"somebody else: reconfirm policy approve {product_key} {version} --actor NAME",
                )
            products.activate(connection, before.id, version, actor, parts.clock.now())
            _note(connection, parts, before.id, "policy_activated", version, actor)
        if needs_replan(before, product_of(parts, product_key)):
            _replan(parts, product_key)
    click.echo(f"version {version} is in force for {product_key}")


def _replan(parts: Installation, product_key: str) -> None:
    with parts.database.transaction() as connection:
        total = population.count(connection, products.row_of(connection, product_key).id)
    columns = (TextColumn("Planning"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=max(1, total))
        replan(parts.database, parts.clock, product_key, lambda many: bar.advance(task, many))


def _note(
    connection: Connection,
    parts: Installation,
    product_id: int,
    what: str,
    version: int,
    actor: str,
) -> None:
    line = HistoryWrite(None, None, what, "command", version)
    cases.insert_history(connection, product_id, parts.clock.now(), actor, [line])


COMMANDS = (policy,)
