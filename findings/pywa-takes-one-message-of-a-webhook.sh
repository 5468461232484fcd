#!/usr/bin/env bash
# pywa hands over the first message of a webhook and answers 200 for all: the others are gone.
#
# Guess:    each message in the body of a webhook reaches the handler, since Meta says that one body may hold many updates.
# Seen:     of three messages in `messages`, and of two in `changes` or in `entry`, the handler is called for the first. pywa looks at index 0 of each
#           list, answers ("ok", 200), and logs nothing about the rest, so Meta does not send them again.
# Versions: pywa 4.5.0; seen 2026-12-01 on x86-64 Linux, CPython 3.11.
# Matters:  after an outage, when webhooks come in bulk, people are not answered, and nobody learns of it. Statuses are read in the same way.
# Chinwag:  stores every message of every change of every entry in one transaction, then answers 200.
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

install pywa==4.5.0

code=0
"$folder/venv/bin/python" -I - 2>"$folder/said" <<'EOF' || code=$?
import json
import sys
from importlib.metadata import version

from pywa import WhatsApp



def message(n):
    return {"from": "15550001111", "id": f"wamid.{n}", "timestamp": "1764547200", "type": "text", "text": {"body": str(n)}}


def change(*messages):
    told = {"display_phone_number": "15550002222", "phone_number_id": "100"}
    people = [{"profile": {"name": "Ada"}, "wa_id": "15550001111", "user_id": "US.1"}]
    return {"field": "messages", "value": {"messaging_product": "whatsapp", "metadata": told, "contacts": people, "messages": list(messages)}}


def webhook(*entries):
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "200", "changes": list(changes)} for changes in entries]}).encode()


heard = []
client = WhatsApp(phone_id="100", token="none", verify_token="none", validate_updates=False)


@client.on_message
def hear(_, found):
    heard.append(found.text)


print(f"pywa {version('pywa')}")
same = True
for name, body, first in (
    ("three messages in one change", webhook([change(message(1), message(2), message(3))]), "1"),
    ("two changes in one entry", webhook([change(message(4)), change(message(5))]), "4"),
    ("two entries", webhook([change(message(6))], [change(message(7))]), "6"),
):
    heard.clear()
    answer = client.webhook_update_handler(body)
    print(f"{name}: answered {answer}, heard {heard}")
    same = same and answer == ("ok", 200) and heard == [first]
if not same:
    print("CHANGED: more than the first message is heard, or the answer is another")
    sys.exit(3)
print("as described: the first message is heard, and all are acknowledged")
EOF
case $code in 0) ;; 3) exit 1 ;; *) tail -n 3 "$folder/said" >&2; echo "could not run: see above" >&2; exit 2 ;; esac
