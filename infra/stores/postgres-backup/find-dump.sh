#!/bin/bash
# Finds the dump in the folder $DUMP of the backup volume, or the newest dump if DUMP is empty. Checks the dump's checksums and
# prints its name.
set -euo pipefail

dump="${DUMP:-$(find "$BACKUPS" -maxdepth 1 -name '[0-9]*Z' -printf '%f\n' | sort | tail --lines=1)}"
if [[ -z "$dump" || ! -d "$BACKUPS/$dump" ]]; then
  echo "There is no dump '$dump'. There are:" >&2
  find "$BACKUPS" -maxdepth 1 -name '[0-9]*Z' -printf '%f\n' | sort >&2
  exit 1
fi
cd "$BACKUPS/$dump"
sha256sum --check --quiet SHA256SUMS >&2
echo "$dump"
