"""The running service: leader, sweeps, pulse, inbox, endpoints and what is told them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("outbox_due_idx", table_name="outbox")
    op.create_index(
        "outbox_due_idx",
        "outbox",
        ["product_id", "lane", "not_before", "id"],
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "leader",
        sa.Column("one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("term", sa.BigInteger(), nullable=False),
        sa.Column("backend", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("one", name=op.f("leader_one_check")),
        sa.PrimaryKeyConstraint("one", name=op.f("leader_pkey")),
    )
    op.create_table(
        "webhook_try",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("webhook_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("took_ms", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("webhook_try_pkey")),
    )
    op.create_index("webhook_try_webhook_idx", "webhook_try", ["webhook_id", "id"], unique=False)
    op.create_table(
        "endpoint",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column(
            "types", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False
        ),
        sa.Column("secrets", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("endpoint_product_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("endpoint_pkey")),
    )
    op.create_index(
        "endpoint_product_idx",
        "endpoint",
        ["product_id"],
        unique=False,
        postgresql_where=sa.text("retired_at is null"),
    )
    op.create_table(
        "inbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("event_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("tries", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "state in ('applied', 'stale', 'ignored', 'unreadable', 'failed')",
            name=op.f("inbox_state_check"),
        ),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("inbox_product_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("inbox_pkey")),
        sa.UniqueConstraint(
            "product_id",
            "source",
            "message_id",
            name=op.f("inbox_product_id_source_message_id_key"),
        ),
    )
    op.create_index(
        "inbox_failed_idx",
        "inbox",
        ["product_id", "id"],
        unique=False,
        postgresql_where=sa.text("state in ('unreadable', 'failed')"),
    )
    op.create_index(
        "inbox_received_idx",
        "inbox",
        ["received_at"],
        unique=False,
        postgresql_where=sa.text("body is not null"),
    )
    op.create_table(
        "pulse",
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("many", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("pulse_product_id_fkey")),
        sa.PrimaryKeyConstraint("product_id", "day", "what", name=op.f("pulse_pkey")),
    )
    op.create_table(
        "job_run",
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("did", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("idle", sa.Boolean(), nullable=False),
        sa.Column("stopped", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("job_run_product_id_fkey")
        ),
        sa.PrimaryKeyConstraint("product_id", "job", name=op.f("job_run_pkey")),
    )
    op.create_table(
        "webhook",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("endpoint_id", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subscription_id", sa.BigInteger(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state in ('pending', 'claimed', 'delivered', 'parked')",
            name=op.f("webhook_state_check"),
        ),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoint.id"], name=op.f("webhook_endpoint_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("webhook_product_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("webhook_pkey")),
        sa.UniqueConstraint(
            "endpoint_id", "message_id", name=op.f("webhook_endpoint_id_message_id_key")
        ),
    )
    op.create_index(
        "webhook_done_idx",
        "webhook",
        ["done_at"],
        unique=False,
        postgresql_where=sa.text("done_at is not null"),
    )
    op.create_index(
        "webhook_due_idx",
        "webhook",
        ["product_id", "not_before", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "webhook_endpoint_idx",
        "webhook",
        ["endpoint_id", "not_before", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "webhook_lane_idx",
        "webhook",
        ["endpoint_id", "subscription_id", "id"],
        unique=False,
        postgresql_where=sa.text("state in ('pending', 'claimed')"),
    )
    op.create_index(
        "webhook_lease_idx",
        "webhook",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("state = 'claimed'"),
    )
    op.add_column("clock", sa.Column("until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("clock", sa.Column("step_seconds", sa.Integer(), nullable=True))
    op.add_column("subscription", sa.Column("told_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_index("outbox_due_idx", table_name="outbox")
    op.create_index(
        "outbox_due_idx",
        "outbox",
        ["product_id", "not_before", "id"],
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.drop_column("subscription", "told_at")
    op.drop_column("clock", "step_seconds")
    op.drop_column("clock", "until")
    op.drop_index(
        "webhook_lease_idx", table_name="webhook", postgresql_where=sa.text("state = 'claimed'")
    )
    op.drop_index(
        "webhook_lane_idx",
        table_name="webhook",
        postgresql_where=sa.text("state in ('pending', 'claimed')"),
    )
    op.drop_index(
        "webhook_due_idx", table_name="webhook", postgresql_where=sa.text("state = 'pending'")
    )
    op.drop_index(
        "webhook_endpoint_idx",
        table_name="webhook",
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.drop_index(
        "webhook_done_idx", table_name="webhook", postgresql_where=sa.text("done_at is not null")
    )
    op.drop_table("webhook")
    op.drop_table("job_run")
    op.drop_table("pulse")
    op.drop_index(
        "inbox_received_idx", table_name="inbox", postgresql_where=sa.text("body is not null")
    )
    op.drop_index(
        "inbox_failed_idx",
        table_name="inbox",
        postgresql_where=sa.text("state in ('unreadable', 'failed')"),
    )
    op.drop_table("inbox")
    op.drop_index(
        "endpoint_product_idx",
        table_name="endpoint",
        postgresql_where=sa.text("retired_at is null"),
    )
    op.drop_table("endpoint")
    op.drop_index("webhook_try_webhook_idx", table_name="webhook_try")
    op.drop_table("webhook_try")
    op.drop_table("leader")
