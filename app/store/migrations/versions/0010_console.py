"""The console: who signs in, their sessions, one-time links, and how often a try may fail."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ROLES = postgresql.JSONB(astext_type=sa.Text())


def upgrade() -> None:
    op.create_table(
        "console_person",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("roles", ROLES, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="console_person_pkey"),
        sa.UniqueConstraint("subject", name="console_person_subject_key"),
        sa.UniqueConstraint("name", name="console_person_name_key"),
    )
    op.create_table(
        "console_session",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("began_at", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("fresh_at", MOMENT, nullable=False),
        sa.Column("language", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["console_person.id"], name="console_session_person_id_fkey"
        ),
        sa.PrimaryKeyConstraint("hash", name="console_session_pkey"),
    )
    op.create_index("console_session_person_idx", "console_session", ["person_id"])
    op.create_table(
        "console_link",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("roles", ROLES, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="console_link_pkey"),
    )
    op.create_index(
        "reconfirmation_unreachable_idx",
        "reconfirmation",
        ["product_id", "subscription_id"],
        postgresql_where=sa.text("latest and outcome = 'unreachable'"),
    )
    op.create_index("contact_email_idx", "contact", [sa.text("lower(email)")])
    op.create_index(
        "outbox_parked_idx",
        "outbox",
        ["product_id", "id"],
        postgresql_where=sa.text("state = 'parked'"),
    )


def downgrade() -> None:
    op.drop_index("outbox_parked_idx", table_name="outbox")
    op.drop_index("contact_email_idx", table_name="contact")
    op.drop_index("reconfirmation_unreachable_idx", table_name="reconfirmation")
    op.drop_table("console_link")
    op.drop_index("console_session_person_idx", table_name="console_session")
    op.drop_table("console_session")
    op.drop_table("console_person")
