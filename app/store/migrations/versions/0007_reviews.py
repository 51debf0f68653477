"""Reviews: cases that somebody wants a person to look at."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "reconfirmation", sa.Column("review_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.create_table(
        "review",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("subscription_id", sa.BigInteger(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_by", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state in ('open', 'done', 'withdrawn')", name=op.f("review_state_check")
        ),
        sa.CheckConstraint(
            "reason in ('wrong_charge', 'in_use', 'not_mine', 'other')",
            name=op.f("review_reason_check"),
        ),
        sa.CheckConstraint(
            "outcome in ('put_right', 'as_it_should_be', 'settled_directly')",
            name=op.f("review_outcome_check"),
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("review_product_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("review_pkey")),
    )
    op.create_index(
        "review_open_key",
        "review",
        ["subscription_id"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index(
        "review_open_idx",
        "review",
        ["product_id", "asked_at"],
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("review_subscription_idx", "review", ["subscription_id", "id"])
    op.create_index("review_product_idx", "review", ["product_id", "id"])


def downgrade() -> None:
    op.drop_table("review")
    op.drop_column("reconfirmation", "review_at")
