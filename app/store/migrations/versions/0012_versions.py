"""Versions: when one is switched on, what it was expected to do, the planning, the list to read."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ADDED = (
    ("based_on", sa.Integer()),
    ("once", sa.Text()),
    ("forecast", postgresql.JSONB()),
    ("activate_at", MOMENT),
    ("activate_by", sa.Text()),
    ("put_off", sa.Text()),
    ("withdrawn_by", sa.Text()),
    ("withdrawn_at", MOMENT),
)


def upgrade() -> None:
    for name, kind in ADDED:
        op.add_column("policy", sa.Column(name, kind, nullable=True))
    op.create_index(
        "policy_once_key",
        "policy",
        ["product_id", "once"],
        unique=True,
        postgresql_where=sa.text("once is not null"),
    )
    op.create_index(
        "policy_scheduled_key",
        "policy",
        ["product_id"],
        unique=True,
        postgresql_where=sa.text("activate_at is not null"),
    )
    op.create_table(
        "plan",
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("first_id", sa.BigInteger(), nullable=False),
        sa.Column("after_id", sa.BigInteger(), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("began_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name="plan_product_id_fkey"),
        sa.PrimaryKeyConstraint("product_id", name="plan_pkey"),
    )
    op.create_table(
        "ask_list",
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("approved_at", MOMENT, nullable=True),
        sa.Column("done_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name="ask_list_product_id_fkey"),
        sa.PrimaryKeyConstraint("product_id", "version", name="ask_list_pkey"),
    )
    op.create_table(
        "ask_listed",
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("subscription_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("product_id", "version", "subscription_id", name="ask_listed_pkey"),
    )


def downgrade() -> None:
    for table in ("ask_listed", "ask_list", "plan"):
        op.drop_table(table)
    op.drop_index("policy_scheduled_key", "policy")
    op.drop_index("policy_once_key", "policy")
    for name, _ in reversed(ADDED):
        op.drop_column("policy", name)
