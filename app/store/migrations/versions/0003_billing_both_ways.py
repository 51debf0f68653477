"""Billing both ways: what a connector is told, and what is read back from billing."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "product",
        sa.Column(
            "billing_settings",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
        ),
    )
    op.add_column(
        "sandbox_charge",
        sa.Column("refunded", sa.BigInteger(), server_default="0", nullable=False),
    )
    op.create_table(
        "look",
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("wanted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("hints", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state in ('waiting', 'claimed', 'parked')", name=op.f("look_state_check")
        ),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("look_product_id_fkey")),
        sa.PrimaryKeyConstraint("product_id", "external_id", name=op.f("look_pkey")),
    )
    op.create_index(
        "look_due_idx",
        "look",
        ["product_id", "not_before", "external_id"],
        postgresql_where=sa.text("state <> 'parked'"),
    )
    op.create_index(
        "look_claimed_idx", "look", ["product_id"], postgresql_where=sa.text("state = 'claimed'")
    )
    op.create_index(
        "look_parked_idx", "look", ["product_id"], postgresql_where=sa.text("state = 'parked'")
    )
    _reconciliation()
    _refunds()


def _moment(name: str, *, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _number(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), server_default="0", nullable=False)


def _json(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column[Any]:
    kind = postgresql.JSONB(astext_type=sa.Text())
    return sa.Column(name, kind, server_default=default, nullable=nullable)


def _reconciliation() -> None:
    op.create_table(
        "reconciliation",
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        _moment("due_at", nullable=False),
        sa.Column("lists", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("phase", sa.Text(), nullable=True),
        sa.Column("cursor", sa.Text(), nullable=True),
        _moment("began_at"),
        _moment("charges_from"),
        _moment("lease_until"),
        _number("fence"),
        _number("tries"),
        sa.Column("error", sa.Text(), nullable=True),
        _json("counts", default="{}"),
        _moment("ended_at"),
        _json("result", nullable=True),
        sa.CheckConstraint(
            "phase in ('pages', 'missing', 'charges')", name=op.f("reconciliation_phase_check")
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("reconciliation_product_id_fkey")
        ),
        sa.PrimaryKeyConstraint("product_id", name=op.f("reconciliation_pkey")),
    )
    op.create_table(
        "unexplained",
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("subscription_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        _moment("first_at", nullable=False),
        _moment("last_at", nullable=False),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("unexplained_product_id_fkey")
        ),
        sa.PrimaryKeyConstraint(
            "product_id", "subscription_id", "what", name=op.f("unexplained_pkey")
        ),
    )


def _refunds() -> None:
    op.create_table(
        "refund",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("subscription_id", sa.BigInteger(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("charge", sa.Text(), nullable=False),
        _moment("charged_at", nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("refunded", sa.BigInteger(), nullable=False),
        sa.Column("asked", sa.BigInteger(), nullable=True),
        sa.Column("refunded_before", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        _json("evidence"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("absurd", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _moment("found_at", nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        _moment("decided_at"),
        sa.Column("why", sa.Text(), nullable=True),
        _moment("first_tried_at"),
        _moment("not_before", nullable=False),
        _moment("lease_until"),
        _number("fence"),
        _number("tries"),
        _number("unknown"),
        sa.Column("error", sa.Text(), nullable=True),
        _moment("made_at"),
        sa.CheckConstraint(
            "state in ('proposed', 'approved', 'made', 'declined', 'failed')",
            name=op.f("refund_state_check"),
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("refund_product_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("refund_pkey")),
        sa.UniqueConstraint("product_id", "charge", name=op.f("refund_product_id_charge_key")),
    )
    op.create_index(
        "refund_due_idx",
        "refund",
        ["product_id", "not_before", "id"],
        postgresql_where=sa.text("state = 'approved'"),
    )
    op.create_index(
        "refund_open_idx",
        "refund",
        ["product_id", "id"],
        postgresql_where=sa.text("state in ('proposed', 'failed')"),
    )
    op.create_index("refund_subscription_idx", "refund", ["subscription_id", "round"])


def downgrade() -> None:
    for table in ("refund", "unexplained", "reconciliation", "look"):
        op.drop_table(table)
    op.drop_column("sandbox_charge", "refunded")
    op.drop_column("product", "billing_settings")
