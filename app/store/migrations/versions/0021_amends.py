"""Making amends: a run taken back for those who were suspended."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

MOMENTS = ("undone_at", "amended_at")
COUNTED = ("apologized", "resumed", "spared")


def upgrade() -> None:
    for name in MOMENTS:
        op.add_column("reconfirmation", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "run_undo", sa.Column("resume", sa.Boolean(), server_default="false", nullable=False)
    )
    op.add_column("run_undo", sa.Column("agreed_by", sa.Text(), nullable=True))
    op.add_column("run_undo", sa.Column("agreed_at", sa.DateTime(timezone=True), nullable=True))
    for name in COUNTED:
        op.add_column("run_undo", sa.Column(name, sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    for name in (*COUNTED, "agreed_at", "agreed_by", "resume"):
        op.drop_column("run_undo", name)
    for name in MOMENTS:
        op.drop_column("reconfirmation", name)
