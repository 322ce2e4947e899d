#!/bin/bash
# Restores the newest dump into a temporary Postgres, which only this pod can reach, and compares the restored database with
# the dump's manifest.
set -euo pipefail
umask 077
sql() { psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 "$@"; }

newest="$(find "$BACKUPS" -maxdepth 1 -name '[0-9]*Z' | sort | tail --lines=1)"
if [[ -z "$newest" ]]; then
  echo "There is no dump to check." >&2
  exit 1
fi
echo "checking the dump $(basename "$newest")"
(cd "$newest" && sha256sum --check --quiet SHA256SUMS)

(
  # The temporary Postgres has no TCP port, so only processes of this pod can reach it. It skips fsync, because nobody needs its
  # data after a crash.
  export PGHOST=/tmp PGDATA=/scratch/data
  initdb --auth=trust --username="$PGUSER" --encoding=UTF8 --no-sync >/dev/null
  pg_ctl start --wait --silent --log=/tmp/scratch.log \
    --options="-c listen_addresses='' -c unix_socket_directories=/tmp -c fsync=off -c full_page_writes=off"
  trap 'pg_ctl stop --mode=immediate --silent' EXIT
  createdb "$PGDATABASE"
  pg_restore --exit-on-error --no-owner --dbname="$PGDATABASE" "$newest/database.dump"
  sql --file="$SCRIPTS/manifest.sql" --output=/tmp/restored
  diff "$newest/manifest" /tmp/restored
)

PGPASSWORD="$(<"$PASSWORD_FILE")"
export PGPASSWORD PGOPTIONS="--client-min-messages=warning"
sql --set=job=restore-check --file="$SCRIPTS/succeeded.sql"
echo "the restored database is the same as when it was dumped:"
cat "$newest/manifest"
