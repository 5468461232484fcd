"""What a database's schema is, read from Postgres's own catalog, and how two schemas differ."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sqlalchemy import Connection

#: What is compared, by kind: each query returns the names of things and everything about them that matters.
_QUERIES = {
    "extension": "select extname, extversion from pg_extension",
    "table": """
        select c.relname, concat_ws(' ', 'kind', c.relkind, 'persistence', c.relpersistence, 'owner', c.relowner::regrole, c.reloptions,
            'row security', c.relrowsecurity, 'forced', c.relforcerowsecurity, pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid),
            case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end)
        from ours c where c.relkind in ('r', 'p', 'v', 'm', 'f')""",
    # The position among the existing columns: an insert without a list of columns depends on it.
    "column": """
        select c.relname || '.' || a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod), case when a.attnotnull then 'not null' end,
            'default ' || pg_get_expr(d.adbin, d.adrelid), 'identity ' || nullif(a.attidentity::text, ''), 'generated ' || nullif(a.attgenerated::text, ''),
            'collation ' || nullif(a.attcollation, t.typcollation)::regcollation::text, 'storage ' || nullif(a.attstorage::text, t.typstorage::text),
            'position', rank() over (partition by c.oid order by a.attnum))
        from ours c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped join pg_type t on t.oid = a.atttypid
        left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum where c.relkind in ('r', 'p', 'v', 'm', 'f')""",
    # Not null is the column's; Postgres 18 lists it here as well, under names that come from history.
    "constraint": """
        select c.relname || '.' || k.conname, concat_ws(' ', pg_get_constraintdef(k.oid), 'validated', k.convalidated)
        from ours c join pg_constraint k on k.conrelid = c.oid where k.contype <> 'n'""",
    "index": """
        select c.relname, concat_ws(' ', pg_get_indexdef(c.oid), 'valid', i.indisvalid) from ours c join pg_index i on i.indexrelid = c.oid""",
    "policy": """
        select c.relname || '.' || p.polname, concat_ws(' ', case when p.polpermissive then 'permissive' else 'restrictive' end, 'for', p.polcmd,
            'to', array(select case x when 0 then 'public' else x::regrole::text end from unnest(p.polroles) x order by 1),
            'using', pg_get_expr(p.polqual, c.oid), 'check', pg_get_expr(p.polwithcheck, c.oid))
        from ours c join pg_policy p on p.polrelid = c.oid""",
    "trigger": """
        select c.relname || '.' || t.tgname, concat_ws(' ', pg_get_triggerdef(t.oid), 'enabled', t.tgenabled)
        from ours c join pg_trigger t on t.tgrelid = c.oid where not t.tgisinternal""",
    "sequence": """
        select c.relname, concat_ws(' ', s.seqtypid::regtype, 'start', s.seqstart, 'by', s.seqincrement, 'from', s.seqmin, 'to', s.seqmax,
            'cache', s.seqcache, 'cycles', s.seqcycle, 'of', (select d.refobjid::regclass::text || '.' || d.refobjsubid from pg_depend d
                where d.objid = c.oid and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i')))
        from ours c join pg_sequence s on s.seqrelid = c.oid""",
    "type": """
        select t.typname, concat_ws(' ', 'kind', t.typtype, format_type(t.typbasetype, t.typtypmod), case when t.typnotnull then 'not null' end,
            t.typdefault, array(select e.enumlabel from pg_enum e where e.enumtypid = t.oid order by e.enumsortorder),
            array(select pg_get_constraintdef(k.oid) from pg_constraint k where k.contypid = t.oid order by 1))
        from pg_type t left join pg_class c on c.oid = t.typrelid
        where t.typnamespace = 'public'::regnamespace and t.typcategory <> 'A' and (c.oid is null or c.relkind = 'c')
            and not exists (select from pg_depend d where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e')""",
    "function": """
        select p.oid::regprocedure::text, concat_ws(' ', case when p.prokind in ('f', 'p') then pg_get_functiondef(p.oid) end,
            'kind', p.prokind, 'owner', p.proowner::regrole)
        from pg_proc p where p.pronamespace = 'public'::regnamespace
            and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')""",
    # A column's own rights as table.column; a function's are public unless they were revoked.
    "grant": """
        select concat_ws(' ', g.name, 'to', case g.grantee when 0 then 'public' else g.grantee::regrole::text end),
            string_agg(g.privilege_type || case when g.is_grantable then ' and may grant it' else '' end, ', ' order by g.privilege_type)
        from (
            select c.relname::text as name, a.* from ours c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
            where c.relkind in ('r', 'p', 'v', 'm', 'f')
            union all
            select c.relname, a.* from ours c, aclexplode(coalesce(c.relacl, acldefault('s', c.relowner))) a where c.relkind = 'S'
            union all
            select c.relname || '.' || t.attname, a.* from ours c join pg_attribute t on t.attrelid = c.oid, aclexplode(t.attacl) a
            union all
            select p.oid::regprocedure::text, a.* from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
            where p.pronamespace = 'public'::regnamespace
                and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
            union all
            select 'schema ' || n.nspname, a.* from pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
            where n.nspname = 'public'
            union all
            select 'future ' || d.defaclobjtype::text, a.* from pg_default_acl d, aclexplode(d.defaclacl) a
        ) g group by 1""",
}  # fmt: skip
_OURS = "with ours as (select * from pg_class where relnamespace = 'public'::regnamespace and relname not in ('alembic_version', 'alembic_version_pkc')) "
#: A run of comments and blank space, which do not change what a function does; text in quotes stays unchanged.
_TOKENS = re.compile(r"([eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\"[^\"]*\")|(?:--[^\n]*|/\*.*?\*/|\s)+", re.DOTALL)

#: Everything in the schema `public` by kind and name, such as `column bots.name`, and what it is.
Schema = Mapping[str, str]


def plain(text: str) -> str:
    """SQL without its comments, and each run of blank space as one blank."""
    return _TOKENS.sub(lambda token: token[1] or " ", text).strip()


def read(connection: Connection) -> Schema:
    """Read a database's schema."""
    return {
        f"{kind} {name}": plain(what) if kind == "function" else what
        for kind, query in _QUERIES.items()
        for name, what in connection.exec_driver_sql(_OURS + query)
    }


def differences(before: Schema, after: Schema) -> list[str]:
    """How one schema differs from another: `- ` only in the first, `+ ` only in the second. For a function that changed, the place of the difference."""
    found: list[str] = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old != new:
            found += [f"{sign} {name}: {_cut(text, other)}" for sign, text, other in (("-", old, new), ("+", new, old)) if text is not None]
    return found


def _cut(text: str, other: str | None) -> str:
    """A long text, cut to begin just before its first difference from the other one."""
    start = 0 if other is None else next((at for at, pair in enumerate(zip(text, other, strict=False)) if pair[0] != pair[1]), 0)
    return text if len(text) < 300 else f"{'...' if start > 60 else ''}{text[max(start - 60, 0) : start + 200]}..."
