"""Holds and manifests, as people work with them.

A dispute may be about several subscriptions of one customer, so a source sets one hold on each.
What a manifest says of its people cannot be changed once it is complete: only how far it has come.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_ADDED = """
    create function manifest_entry_added() returns trigger language plpgsql as $$
    begin
      if exists (select 1 from added e join manifest m
                   on m.product_id = e.product_id and m.number = e.number
                 where m.state <> 'making') then
        raise exception 'a manifest that is complete takes nobody in';
      end if;
      return null;
    end $$"""
_CHANGED = """
    create function manifest_entry_changed() returns trigger language plpgsql as $$
    begin
      if (new.product_id, new.number, new.subscription_id, new.round, new.stage, new.why,
          new.since, new.erase_on, new.warned_from, new.warned_on, new.warned)
         is distinct from
         (old.product_id, old.number, old.subscription_id, old.round, old.stage, old.why,
          old.since, old.erase_on, old.warned_from, old.warned_on, old.warned) then
        raise exception 'what a manifest says of somebody is not changed';
      end if;
      return new;
    end $$"""
_ENTRY = "manifest_entry"


def upgrade() -> None:
    op.drop_index("hold_source_key", table_name="hold")
    op.create_index(
        "hold_source_key",
        "hold",
        ["product_id", "source", "subscription_id"],
        unique=True,
        postgresql_where=sa.text("source is not null"),
    )
    op.create_table(
        "dispute",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("late_on", sa.BigInteger(), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("dispute_product_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("dispute_pkey")),
        sa.UniqueConstraint("product_id", "source", name=op.f("dispute_product_id_source_key")),
    )
    op.create_index(
        "dispute_about_idx",
        "dispute",
        ["product_id", "about"],
        postgresql_where=sa.text("about is not null"),
    )
    op.create_index(
        "dispute_late_idx",
        "dispute",
        ["product_id", "id"],
        postgresql_where=sa.text("late_on is not null and seen_at is null"),
    )
    op.execute(_ADDED)
    op.execute(
        f"""create trigger added after insert on {_ENTRY} referencing new table as added
            for each statement execute function manifest_entry_added()"""
    )
    op.execute(_CHANGED)
    op.execute(
        f"""create trigger changed before update on {_ENTRY}
            for each row execute function manifest_entry_changed()"""
    )


def downgrade() -> None:
    for name in ("added", "changed"):
        op.execute(f"drop trigger {name} on {_ENTRY}")
        op.execute(f"drop function manifest_entry_{name}()")
    op.drop_table("dispute")
    op.drop_index("hold_source_key", table_name="hold")
    op.create_index(
        "hold_source_key",
        "hold",
        ["product_id", "source"],
        unique=True,
        postgresql_where=sa.text("source is not null"),
    )
