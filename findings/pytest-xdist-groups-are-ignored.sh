#!/usr/bin/env bash
# pytest-xdist's groups are ignored with pytest 9.2: tests marked as one group run in different processes, without a word.
#
# Guess:    with `--dist loadgroup` the tests of one `xdist_group` run in one process, as its documentation says; where that cannot be
#           done, there is an error or a warning.
# Seen:     with pytest 9.1 each of the groups runs in one process. With pytest 9.2 the same files and the same options spread every group over
#           both processes. All tests pass, the exit code is 0, and nothing is printed about it. (pytest-xdist issue 1386.)
# Versions: pytest-xdist 3.8.0 with pytest 9.1.1 and 9.2.0; seen 2026-11-30 on x86-64 Linux, CPython 3.11.
# Matters:  what a group shares, an engine that takes a minute to start for instance, is started once a process: the suite still passes
#           and takes twice as long.
# Chinwag:  orders its engine tests with a scheduler of its own (tests/engine/conftest.py, pytest_xdist_make_scheduler).
set -euo pipefail
umask 022
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT

cat >"$folder/test_groups.py" <<'PY'
import pathlib, time
import pytest

HERE = pathlib.Path(__file__).parent

@pytest.mark.parametrize("n", range(8))
@pytest.mark.parametrize("group", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("one", "two")])
def test_of_a_group(group, n, worker_id):
    time.sleep(0.05)
    with (HERE / f"{group}.seen").open("a") as seen:
        seen.write(worker_id + "\n")
PY

spread() {
  "${PYTHON:-python3}" -m venv "$folder/$1" && "$folder/$1/bin/pip" install --quiet "pytest==$1" pytest-xdist==3.8.0 >"$folder/log" 2>&1 || {
    echo "could not run: $(tail -n 1 "$folder/log")" >&2
    exit 2
  }
  rm -f "$folder"/*.seen
  "$folder/$1/bin/python" -m pytest -q -p no:cacheprovider -n 2 --dist loadgroup "$folder/test_groups.py" >"$folder/said" 2>&1 || {
    echo "could not run: pytest $1 failed: $(tail -n 1 "$folder/said")" >&2
    exit 2
  }
  echo "pytest $1: processes of group one: $(sort -u "$folder/one.seen" | tr '\n' ' '), of group two: $(sort -u "$folder/two.seen" | tr '\n' ' '); $(tail -n 1 "$folder/said")"
  [ "$(sort -u "$folder/one.seen" | wc -l)" -gt 1 ] && [ "$(sort -u "$folder/two.seen" | wc -l)" -gt 1 ]
}

old=kept new=kept
spread 9.1.1 && old=ignored
spread 9.2.0 && new=ignored
if [ "$old" = kept ] && [ "$new" = ignored ]; then
  echo "as described: groups are kept with pytest 9.1.1 and ignored with 9.2.0"
else
  echo "CHANGED: groups are $old with pytest 9.1.1 and $new with 9.2.0"
  exit 1
fi
