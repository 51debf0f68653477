"""Counts: how many stand at each day that inactivity counts from, kept as people use it.

Triggers write what every statement changes, from the very rows that it locked, so that no writer
can forget it: one row for each day and group of alike subscriptions that a statement touched. The
counts of who is there already are the first such rows; the scheduler folds them.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

KEY = """product_id, plan, country, "interval", currency,
    coalesce(last_used_on >= started_on, false), greatest(started_on, last_used_on)"""
INTO = 'insert into count_delta (product_id, plan, country, "interval", currency, used, since, '
ASKED = "where status in ('active', 'past_due') and amount > 0"
COUNTED = f"""{INTO} people, amount)
    select {KEY}, count(*), sum(amount) from {{rows}} {ASKED} group by 1, 2, 3, 4, 5, 6, 7"""  # noqa: S608 - our own words
LOST = f"""{INTO} people, amount)
    select {KEY}, -count(*), -sum(amount) from {{rows}} {ASKED} group by 1, 2, 3, 4, 5, 6, 7"""  # noqa: S608 - our own words
MOVED = f"""{INTO} people, amount)
    select {KEY}, sum(sign), sum(sign * amount) from (
      select -1 as sign, product_id, status, plan, country, "interval", currency, amount,
             started_on, last_used_on from before_it
      union all
      select 1, product_id, status, plan, country, "interval", currency, amount,
             started_on, last_used_on from after_it) moved
    {ASKED} group by 1, 2, 3, 4, 5, 6, 7 having sum(sign) <> 0 or sum(sign * amount) <> 0"""  # noqa: S608 - our own words
# Nothing is known of the rows of a statement when it is planned, and grouping by texts is three
# times as quick by hash as by sorting.
FUNCTION = f"""
    create function count_subscriptions() returns trigger
    language plpgsql set enable_sort = off as $$
    begin
      if tg_op = 'INSERT' then
        {COUNTED.format(rows="after_it")};
      elsif tg_op = 'DELETE' then
        {LOST.format(rows="before_it")};
      else
        {MOVED};
      end if;
      return null;
    end $$"""
TRIGGERS = {
    "insert": "new table as after_it",
    "update": "old table as before_it new table as after_it",
    "delete": "old table as before_it",
}


def upgrade() -> None:
    _tables()
    op.execute(FUNCTION)
    for what, rows in TRIGGERS.items():
        op.execute(
            f"create trigger subscription_counted_on_{what} after {what} on subscription"
            f" referencing {rows} for each statement execute function count_subscriptions()"
        )
    op.execute(COUNTED.format(rows="subscription"))


def _tables() -> None:
    op.create_table(
        "count_part",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("interval", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name="count_part_product_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="count_part_pkey"),
        sa.UniqueConstraint(
            "product_id",
            "plan",
            "country",
            "interval",
            "currency",
            name="count_part_product_id_plan_country_interval_currency_key",
        ),
    )
    op.create_table(
        "count_day",
        sa.Column("part_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("used", sa.Boolean(), autoincrement=False, nullable=False),
        sa.Column("since", sa.Date(), autoincrement=False, nullable=False),
        sa.Column("people", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.ForeignKeyConstraint(["part_id"], ["count_part.id"], name="count_day_part_id_fkey"),
        sa.PrimaryKeyConstraint("part_id", "used", "since", name="count_day_pkey"),
    )
    op.create_table(
        "count_delta",
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("interval", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("used", sa.Boolean(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("people", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False),
    )
    op.create_table(
        "count_apart",
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("interval", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("used", sa.Boolean(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("closed_on", sa.Date(), nullable=True),
        sa.Column("charge_on", sa.Date(), nullable=True),
        sa.Column("people", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.CheckConstraint("state in ('out', 'peace', 'free')", name="count_apart_state_check"),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name="count_apart_product_id_fkey"),
    )
    op.create_index("count_apart_product_idx", "count_apart", ["product_id"])
    op.create_table(
        "count_state",
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("folds", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("nights", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("apart_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("grain", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "past",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
        ),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("drift", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name="count_state_product_id_fkey"),
        sa.PrimaryKeyConstraint("product_id", name="count_state_pkey"),
    )


def downgrade() -> None:
    for what in TRIGGERS:
        op.execute(f"drop trigger subscription_counted_on_{what} on subscription")
    op.execute("drop function count_subscriptions()")
    for table in ("count_state", "count_apart", "count_delta", "count_day", "count_part"):
        op.drop_table(table)
