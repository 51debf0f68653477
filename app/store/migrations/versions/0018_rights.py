"""People's rights: fresh links for what is held, corrections, objections, restrictions."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

REASONS = "'wrong_charge', 'in_use', 'not_mine', 'other', 'erase'"
RIGHTS = "'wrong_charge', 'in_use', 'not_mine', 'other', 'objection', 'restriction', 'erase'"
FOUND = "'put_right', 'as_it_should_be', 'settled_directly'"
SETTLED = (
    "'erased_by_hand', 'erasure_refused_legal', 'erasure_refused_dispute',"
    " 'erasure_refused_restriction'"
)


def upgrade() -> None:
    op.add_column(
        "fresh_link", sa.Column("purpose", sa.Text(), server_default="erase", nullable=False)
    )
    op.create_check_constraint(
        op.f("fresh_link_purpose_check"), "fresh_link", "purpose in ('erase', 'data')"
    )
    op.add_column("contact", sa.Column("told_email", sa.Text(), nullable=True))
    op.add_column("contact", sa.Column("corrected_at", sa.DateTime(timezone=True), nullable=True))
    _checked(RIGHTS, f"{FOUND}, 'erased', {SETTLED}")


def downgrade() -> None:
    op.execute("update review set reason = 'other' where reason in ('objection', 'restriction')")
    op.execute("update review set outcome = 'erased_by_hand' where outcome = 'erased'")
    _checked(REASONS, f"{FOUND}, {SETTLED}")
    op.drop_column("contact", "corrected_at")
    op.drop_column("contact", "told_email")
    op.execute("delete from fresh_link where purpose <> 'erase'")
    op.drop_constraint(op.f("fresh_link_purpose_check"), "fresh_link", type_="check")
    op.drop_column("fresh_link", "purpose")


def _checked(reasons: str, outcomes: str) -> None:
    for name, allowed in (("reason", reasons), ("outcome", outcomes)):
        op.drop_constraint(op.f(f"review_{name}_check"), "review", type_="check")
        op.create_check_constraint(op.f(f"review_{name}_check"), "review", f"{name} in ({allowed})")
