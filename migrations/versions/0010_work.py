"""Development only: everything as at head. Replaced before landing."""

from alembic import op

from migrations import head

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Build everything again from bots/storage/sql."""
    op.execute("""do $x$ declare r record; begin
        for r in select tablename from pg_tables where schemaname = 'public' and tablename <> 'alembic_version' loop
            execute format('drop table if exists %I cascade', r.tablename); end loop;
        for r in select oid::regprocedure::text as f from pg_proc where pronamespace = 'public'::regnamespace
                and not exists (select from pg_depend d where d.objid = pg_proc.oid and d.deptype = 'e') loop
            execute 'drop function if exists ' || r.f || ' cascade'; end loop;
        end $x$""")
    head.build(op.get_bind())


def downgrade() -> None:
    """Not possible."""
