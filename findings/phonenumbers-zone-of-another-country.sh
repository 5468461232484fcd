#!/usr/bin/env bash
# phonenumbers gives every number of Algeria, Libya and Nicaragua the time zone of another country, which is an hour off for half of the year.
#
# Guess:    timezone.time_zones_for_number() names a zone of the number's own country, or says that it knows none.
# Seen:     +213 gives Europe/Paris alone (Algeria has no summer time: an hour off in July), +218 Europe/Bucharest (Libya: July), +505
#           America/Chicago (Nicaragua: July), +211 Africa/Nairobi (South Sudan: the whole year). The tz database has a zone for each of these countries.
# Versions: phonenumbers 9.0.43, tzdata 2026.6; Python 3.11.7; seen 2026-11-30 on x86-64 Linux.
# Matters:  "tomorrow at 9" is read on the wrong day or an hour off for everybody of a country, without any error.
# Chinwag:  takes the zone of a country with one zone from the tz database (bots/time_zones.toml), and asks the library only within a country with several.
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

install phonenumbers==9.0.43 tzdata==2026.6

code=0
"$folder/venv/bin/python" -I - <<'EOF' || code=$?
import sys
from datetime import datetime
from importlib.metadata import version
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import timezone

OWN = {"DZ": "Africa/Algiers", "LY": "Africa/Tripoli", "NI": "America/Managua", "SS": "Africa/Juba"}
FOREIGN = {"DZ": "Europe/Paris", "LY": "Europe/Bucharest", "NI": "America/Chicago", "SS": "Africa/Nairobi"}


def offset(zone, month):
    return datetime(2026, month, 1, 12, tzinfo=ZoneInfo(zone)).utcoffset()


print(f"phonenumbers {version('phonenumbers')}, tzdata {version('tzdata')}; the library's own example number of each country")
same = True
for region, own in OWN.items():
    number = phonenumbers.example_number(region)
    zones = timezone.time_zones_for_number(number)
    off = [month for month in (1, 7) if offset(own, month) != offset(FOREIGN[region], month)]
    print(f"{region}  +{number.country_code} ...  {zones}; its own zone {own} differs in months {off}")
    same = same and zones == (FOREIGN[region],) and bool(off)
if not same:
    print("CHANGED: a country has a zone of its own now")
    sys.exit(3)
print("as described: the zone of another country, and not its hour")
EOF
case $code in 0) ;; 3) exit 1 ;; *) echo "could not run: see above" >&2; exit 2 ;; esac
