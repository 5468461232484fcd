#!/usr/bin/env bash
# pywa drops a message whose contact has no business-scoped user id, and answers 200.
#
# Guess:    the webhook of a text message in Meta's own reference, whose contact has a profile and a `wa_id`, reaches the handler.
# Seen:     pywa 4.5.0 reads `contacts[0]["user_id"]` and nothing else will do. Without it the handler is never called, the answer is ("ok", 200), and the
#           log has a KeyError. So it is with a status, whose webhook has no `contacts` in the reference.
# Versions: pywa 4.5.0; seen 2026-12-01 on x86-64 Linux, CPython 3.11.
# Matters:  recorded webhooks, test tools and the examples of the documentation have no such id: they are acknowledged and lost, without an error for Meta
#           to see.
# Chinwag:  takes either id, and needs one of them.
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



def webhook(person, n):
    told = {"display_phone_number": "15550002222", "phone_number_id": "100"}
    message = {"from": "15550001111", "id": f"wamid.{n}", "timestamp": "1764547200", "type": "text", "text": {"body": str(n)}}
    value = {"messaging_product": "whatsapp", "metadata": told, "contacts": [person], "messages": [message]}
    entry = {"id": "200", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


heard = []
client = WhatsApp(phone_id="100", token="none", verify_token="none", validate_updates=False)


@client.on_message
def hear(_, found):
    heard.append(found.text)


print(f"pywa {version('pywa')}")
person = {"profile": {"name": "Ada"}, "wa_id": "15550001111"}
answers = [client.webhook_update_handler(webhook(person | {"user_id": "US.1"}, 1)), client.webhook_update_handler(webhook(person, 2))]
print(f"with and without user_id: answered {answers}, heard {heard}")
if answers != [("ok", 200)] * 2 or heard != ["1"]:
    print("CHANGED: it is heard without the id, or the answer is another")
    sys.exit(3)
print("as described: a message without that id is acknowledged and dropped")
EOF
case $code in 0) ;; 3) exit 1 ;; *) tail -n 3 "$folder/said" >&2; echo "could not run: see above" >&2; exit 2 ;; esac
