"""Erasing: holds, targets, manifests, receipts, tombstones."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# Roles belong to the server: another database, or whoever runs it, may have made it before.
ROLE = (
    """do $$ begin
         create role reconfirm_archivist nologin;
       exception
         when duplicate_object or unique_violation then null;
         when insufficient_privilege then
           if not exists (select from pg_roles where rolname = 'reconfirm_archivist') then
             raise exception 'the role reconfirm_archivist is missing; this user may not make it'
               using hint = 'run as a superuser: create role reconfirm_archivist nologin; then'
                 ' grant reconfirm_archivist to the owner of the tables, with admin option';
           end if;
       end $$""",
)
LOCK = (
    "alter table archive enable row level security",
    "alter table archive force row level security",
    "create policy archive_added on archive for insert with check (true)",
    "create policy archive_kept on archive to reconfirm_archivist using (true)",
    "grant usage on schema public to reconfirm_archivist",
    "grant select, delete on archive to reconfirm_archivist",
    "grant select on product, erasure to reconfirm_archivist",
)
# For the time it takes to hand the function over, we are a member of the role, and it may own here.
EXPIRE = (
    """create function expire_archive(today date) returns bigint
       language sql security definer set search_path = pg_catalog, public as $$
         with gone as (delete from public.archive where keep_until < today returning 1)
         select count(*) from gone
       $$""",
    "revoke execute on function expire_archive(date) from public",
    "grant execute on function expire_archive(date) to current_user",
    "grant reconfirm_archivist to current_user",
    "grant create on schema public to reconfirm_archivist",
    "alter function expire_archive(date) owner to reconfirm_archivist",
    "revoke create on schema public from reconfirm_archivist",
    "revoke reconfirm_archivist from current_user",
)
UNLOCK = (
    "grant reconfirm_archivist to current_user",
    "drop function expire_archive(date)",
    "revoke reconfirm_archivist from current_user",
    "revoke select on product, erasure from reconfirm_archivist",
    "revoke usage on schema public from reconfirm_archivist",
    "drop policy archive_kept on archive",
    "drop policy archive_added on archive",
)


def upgrade() -> None:
    op.create_table(
        "manifest_approval",
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "product_id", "number", "actor", name=op.f("manifest_approval_pkey")
        ),
    )
    op.create_table(
        "manifest_entry",
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("subscription_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("erase_on", sa.Date(), nullable=False),
        sa.Column("warned_from", sa.Date(), nullable=False),
        sa.Column("warned_on", sa.Date(), nullable=False),
        sa.Column("warned", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("skipped", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state in ('waiting', 'begun', 'skipped')", name=op.f("manifest_entry_state_check")
        ),
        sa.PrimaryKeyConstraint(
            "product_id", "number", "subscription_id", name=op.f("manifest_entry_pkey")
        ),
    )
    op.create_index(
        "manifest_entry_subscription_idx",
        "manifest_entry",
        ["subscription_id", "product_id", "number"],
    )
    op.create_index(
        "manifest_entry_waiting_idx",
        "manifest_entry",
        ["product_id", "number", "subscription_id"],
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "erasure",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("subscription_id", sa.BigInteger(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("manifest", sa.Integer(), nullable=True),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("begun_by", sa.Text(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stopped", sa.Text(), nullable=True),
        sa.Column("ledger_no", sa.BigInteger(), nullable=True),
        sa.Column("certificate", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint("cause in ('schedule', 'request')", name=op.f("erasure_cause_check")),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("erasure_product_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("erasure_pkey")),
        sa.UniqueConstraint("ledger_no", name=op.f("erasure_ledger_no_key")),
    )
    op.create_index(
        "erasure_open_idx",
        "erasure",
        ["product_id", "begun_at"],
        postgresql_where=sa.text("ended_at is null"),
    )
    op.create_index(
        "erasure_open_key",
        "erasure",
        ["subscription_id"],
        unique=True,
        postgresql_where=sa.text("ended_at is null"),
    )
    op.create_index("erasure_product_idx", "erasure", ["product_id", "begun_at"])
    op.create_index("erasure_subscription_idx", "erasure", ["subscription_id"])
    op.create_table(
        "hold",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("subscription_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("review_on", sa.Date(), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "reason in ('legal', 'dispute', 'entitlement', 'restriction')",
            name=op.f("hold_reason_check"),
        ),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("hold_product_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("hold_pkey")),
    )
    op.create_index(
        "hold_on_idx", "hold", ["subscription_id"], postgresql_where=sa.text("released_at is null")
    )
    op.create_index(
        "hold_review_idx",
        "hold",
        ["product_id", "review_on"],
        postgresql_where=sa.text("released_at is null"),
    )
    op.create_index(
        "hold_source_key",
        "hold",
        ["product_id", "source"],
        unique=True,
        postgresql_where=sa.text("source is not null"),
    )
    op.create_table(
        "manifest",
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("people", sa.Integer(), nullable=True),
        sa.Column("hash", sa.LargeBinary(), nullable=True),
        sa.Column("cursor_on", sa.Date(), nullable=True),
        sa.Column("cursor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("listed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("at_most", sa.Integer(), server_default="0", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("refused_by", sa.Text(), nullable=True),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(hash is null) = (state = 'making')", name=op.f("manifest_hash_check")),
        sa.CheckConstraint(
            "state in ('making', 'waiting', 'approved', 'done', 'refused', 'expired')",
            name=op.f("manifest_state_check"),
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("manifest_product_id_fkey")
        ),
        sa.PrimaryKeyConstraint("product_id", "number", name=op.f("manifest_pkey")),
        sa.UniqueConstraint("product_id", "day", name=op.f("manifest_product_id_day_key")),
    )
    op.create_index(
        "manifest_open_idx",
        "manifest",
        ["product_id", "number"],
        postgresql_where=sa.text("state in ('making', 'waiting', 'approved')"),
    )
    op.create_table(
        "target",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("categories", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "settings", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column(
            "secrets", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False
        ),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tried", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("target_product_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("target_pkey")),
    )
    op.create_index(
        "target_key",
        "target",
        ["product_id", "key"],
        unique=True,
        postgresql_where=sa.text("retired_at is null"),
    )
    op.create_table(
        "tombstone",
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("mark", sa.LargeBinary(), nullable=False),
        sa.Column("subscription_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("tombstone_product_id_fkey")
        ),
        sa.PrimaryKeyConstraint(
            "product_id", "mark", "subscription_id", name=op.f("tombstone_pkey")
        ),
    )
    op.create_index("tombstone_subscription_idx", "tombstone", ["subscription_id"])
    op.create_table(
        "archive",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("erasure_id", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("keep_until", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(
            ["erasure_id"], ["erasure.id"], name=op.f("archive_erasure_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("archive_product_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("archive_pkey")),
        sa.UniqueConstraint("erasure_id", "category", name=op.f("archive_erasure_id_category_key")),
    )
    op.create_index("archive_until_idx", "archive", ["keep_until"])
    op.create_table(
        "receipt",
        sa.Column("erasure_id", sa.Text(), nullable=False),
        sa.Column("target_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "(body is not null) = (state = 'given')", name=op.f("receipt_body_check")
        ),
        sa.CheckConstraint(
            "state in ('due', 'claimed', 'told', 'given', 'parked')",
            name=op.f("receipt_state_check"),
        ),
        sa.ForeignKeyConstraint(
            ["erasure_id"], ["erasure.id"], name=op.f("receipt_erasure_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("receipt_product_id_fkey")
        ),
        sa.ForeignKeyConstraint(["target_id"], ["target.id"], name=op.f("receipt_target_id_fkey")),
        sa.PrimaryKeyConstraint("erasure_id", "target_id", name=op.f("receipt_pkey")),
    )
    op.create_index(
        "receipt_due_idx",
        "receipt",
        ["product_id", "not_before"],
        postgresql_where=sa.text("state in ('due', 'told')"),
    )
    op.create_index(
        "receipt_lease_idx",
        "receipt",
        ["lease_until"],
        postgresql_where=sa.text("state = 'claimed'"),
    )
    op.create_index(
        "receipt_parked_idx",
        "receipt",
        ["product_id"],
        postgresql_where=sa.text("state = 'parked'"),
    )
    op.add_column(
        "reconfirmation", sa.Column("warned", sa.SmallInteger(), server_default="0", nullable=False)
    )
    op.add_column(
        "reconfirmation",
        sa.Column("warnings", sa.SmallInteger(), server_default="0", nullable=False),
    )
    op.add_column("reconfirmation", sa.Column("warned_from", sa.Date(), nullable=True))
    op.add_column("reconfirmation", sa.Column("warned_on", sa.Date(), nullable=True))
    op.add_column("reconfirmation", sa.Column("erasing", sa.Text(), nullable=True))
    op.add_column(
        "reconfirmation", sa.Column("erasing_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.create_index(
        "reconfirmation_erase_idx",
        "reconfirmation",
        ["product_id", "erase_on", "subscription_id"],
        postgresql_where=sa.text("outcome is null and erase_on is not null"),
    )
    op.create_index(
        "reconfirmation_wish_idx",
        "reconfirmation",
        ["product_id", "erase_at", "subscription_id"],
        postgresql_where=sa.text("latest and erase_at is not null"),
    )
    _find_what_names_somebody()
    _lock_the_archive()


def _find_what_names_somebody() -> None:
    op.add_column("inbox", sa.Column("subscription_id", sa.BigInteger(), nullable=True))
    op.create_index(
        "inbox_subscription_idx",
        "inbox",
        ["subscription_id"],
        postgresql_where=sa.text("subscription_id is not null"),
    )
    op.create_index(
        "inbox_unbound_idx",
        "inbox",
        ["product_id", "id"],
        postgresql_where=sa.text("body is not null and subscription_id is null"),
    )
    op.create_index("webhook_subscription_idx", "webhook", ["subscription_id"])


def _lock_the_archive() -> None:
    """Let everybody add to the archive, and only a role of its own read it or take from it.

    Owners are held to it too; superusers are held to nothing. What has expired is taken out by a
    function that runs as that role, so that whoever may call it need not be able to read.
    """
    for statement in (*ROLE, *LOCK, *EXPIRE):
        op.execute(statement)


def downgrade() -> None:
    # The role stays: other databases of the server may have one of the same name.
    for statement in UNLOCK:
        op.execute(statement)
    op.drop_index("webhook_subscription_idx", table_name="webhook")
    op.drop_index("inbox_unbound_idx", table_name="inbox")
    op.drop_index("inbox_subscription_idx", table_name="inbox")
    op.drop_column("inbox", "subscription_id")
    op.drop_index("reconfirmation_wish_idx", table_name="reconfirmation")
    op.drop_index("reconfirmation_erase_idx", table_name="reconfirmation")
    op.drop_column("reconfirmation", "erasing_at")
    op.drop_column("reconfirmation", "erasing")
    op.drop_column("reconfirmation", "warned_on")
    op.drop_column("reconfirmation", "warned_from")
    op.drop_column("reconfirmation", "warnings")
    op.drop_column("reconfirmation", "warned")
    op.drop_index("receipt_parked_idx", table_name="receipt")
    op.drop_index("receipt_lease_idx", table_name="receipt")
    op.drop_index("receipt_due_idx", table_name="receipt")
    op.drop_table("receipt")
    op.drop_index("archive_until_idx", table_name="archive")
    op.drop_table("archive")
    op.drop_index("tombstone_subscription_idx", table_name="tombstone")
    op.drop_table("tombstone")
    op.drop_index("target_key", table_name="target")
    op.drop_table("target")
    op.drop_index("manifest_open_idx", table_name="manifest")
    op.drop_table("manifest")
    op.drop_index("hold_source_key", table_name="hold")
    op.drop_index("hold_review_idx", table_name="hold")
    op.drop_index("hold_on_idx", table_name="hold")
    op.drop_table("hold")
    op.drop_index("erasure_subscription_idx", table_name="erasure")
    op.drop_index("erasure_product_idx", table_name="erasure")
    op.drop_index("erasure_open_key", table_name="erasure")
    op.drop_index("erasure_open_idx", table_name="erasure")
    op.drop_table("erasure")
    op.drop_index("manifest_entry_waiting_idx", table_name="manifest_entry")
    op.drop_index("manifest_entry_subscription_idx", table_name="manifest_entry")
    op.drop_table("manifest_entry")
    op.drop_table("manifest_approval")
