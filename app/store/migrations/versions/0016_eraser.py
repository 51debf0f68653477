"""The eraser's own role: nobody else erases, however they are told to."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# Roles belong to the server: another database, or whoever runs it, may have made it before.
ROLE = """do $$ begin
     create role reconfirm_eraser nologin;
   exception
     when duplicate_object or unique_violation then null;
     when insufficient_privilege then
       if not exists (select from pg_roles where rolname = 'reconfirm_eraser') then
         raise exception 'the role reconfirm_eraser is missing; this user may not make it'
           using hint = 'run as a superuser: create role reconfirm_eraser nologin';
       end if;
   end $$"""
DEFAULTS = "alter default privileges in schema public"
GRANTS = (
    "grant usage on schema public to reconfirm_eraser",
    "grant select, insert, update, delete on all tables in schema public to reconfirm_eraser",
    "grant usage, select on all sequences in schema public to reconfirm_eraser",
    # What later migrations add is the eraser's too; the archive is read by nobody but its own role.
    f"{DEFAULTS} grant select, insert, update, delete on tables to reconfirm_eraser",
    f"{DEFAULTS} grant usage, select on sequences to reconfirm_eraser",
)
GUARD = """create function only_the_eraser() returns trigger language plpgsql as $$
   begin
     if current_user <> 'reconfirm_eraser' then
       raise insufficient_privilege using
         message = 'only the role reconfirm_eraser erases (' || tg_table_name || ')',
         hint = 'let `reconfirm eraser` do it';
     end if;
     return null;
   end $$"""
# Of the row's own columns, and after the fact: what is not an erasure pays nothing for it.
TRIGGERS = (
    """create trigger contact_erased after delete on contact
       for each row execute function only_the_eraser()""",
    """create trigger tombstone_put after insert on tombstone
       for each row execute function only_the_eraser()""",
    """create trigger erasure_begun after insert on erasure
       for each row execute function only_the_eraser()""",
    """create trigger reconfirmation_erasing after update of stage on reconfirmation
       for each row when (new.stage in ('erasing', 'erased') and old.stage <> new.stage)
       execute function only_the_eraser()""",
)
# Whoever is stopped already, with a day of erasure, is to be looked at: they are to be warned.
WAKE = """update reconfirmation set wake_at = coalesce(decided_at, opened_at)
   where outcome is null and erase_on is not null and wake_at is null
     and stage in ('suspended', 'canceled')"""
REVOKES = (
    f"{DEFAULTS} revoke all on tables from reconfirm_eraser",
    f"{DEFAULTS} revoke all on sequences from reconfirm_eraser",
    "revoke all on all tables in schema public from reconfirm_eraser",
    "revoke all on all sequences in schema public from reconfirm_eraser",
    "revoke usage on schema public from reconfirm_eraser",
)


def upgrade() -> None:
    for statement in (ROLE, *GRANTS, GUARD, *TRIGGERS, WAKE):
        op.execute(statement)


def downgrade() -> None:
    # The role stays: other databases of the server may have one of the same name.
    for table, name in (
        ("contact", "contact_erased"),
        ("tombstone", "tombstone_put"),
        ("erasure", "erasure_begun"),
        ("reconfirmation", "reconfirmation_erasing"),
    ):
        op.execute(f"drop trigger {name} on {table}")
    op.execute("drop function only_the_eraser()")
    for statement in REVOKES:
        op.execute(statement)
