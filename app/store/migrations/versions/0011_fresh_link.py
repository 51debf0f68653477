"""Fresh links: who wants to be erased confirms it by a link of its own, before a person does it."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

REASONS = "'wrong_charge', 'in_use', 'not_mine', 'other'"
OUTCOMES = "'put_right', 'as_it_should_be', 'settled_directly'"
ERASED = (
    "'erased_by_hand', 'erasure_refused_legal', 'erasure_refused_dispute',"
    " 'erasure_refused_restriction'"
)


def upgrade() -> None:
    op.add_column(
        "reconfirmation", sa.Column("links", sa.Integer(), server_default="0", nullable=False)
    )
    for name in ("linked_at", "erase_at"):
        op.add_column("reconfirmation", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.add_column("review", sa.Column("due_on", sa.Date(), nullable=True))
    _checked(f"{REASONS}, 'erase'", f"{OUTCOMES}, {ERASED}")
    op.create_check_constraint(
        op.f("review_due_check"), "review", "(due_on is not null) = (reason = 'erase')"
    )
    _one_open("subscription_id", sa.text("(reason = 'erase')"))
    op.create_table(
        "fresh_link",
        sa.Column("subscription_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("round", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("subscription_id", "round", "version", name="fresh_link_pkey"),
    )


def downgrade() -> None:
    op.drop_table("fresh_link")
    op.execute("delete from review where reason = 'erase'")
    op.drop_constraint(op.f("review_due_check"), "review", type_="check")
    _checked(REASONS, OUTCOMES)
    _one_open("subscription_id")
    op.drop_column("review", "due_on")
    for name in ("erase_at", "linked_at", "links"):
        op.drop_column("reconfirmation", name)


def _checked(reasons: str, outcomes: str) -> None:
    for name, allowed in (("reason", reasons), ("outcome", outcomes)):
        op.drop_constraint(op.f(f"review_{name}_check"), "review", type_="check")
        op.create_check_constraint(op.f(f"review_{name}_check"), "review", f"{name} in ({allowed})")


def _one_open(*columns: str | sa.TextClause) -> None:
    op.drop_index("review_open_key", "review")
    op.create_index(
        "review_open_key",
        "review",
        list(columns),
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )
