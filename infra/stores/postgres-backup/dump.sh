#!/bin/bash
# Makes a new folder on the backup volume. The folder's name is the current time. The folder contains a dump of the database, a
# manifest (the number of rows of each table, and the migrations that ran), and the checksums of both. The folder gets its final
# name only when it is complete. Then the script deletes old folders.
set -euo pipefail
umask 077
cd "$BACKUPS"
PGPASSWORD="$(<"$PASSWORD_FILE")"
export PGPASSWORD PGOPTIONS="--client-min-messages=warning"
sql() { psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 "$@"; }

name="$(date -u +%Y%m%dT%H%M%SZ)"
partial=".partial-$name"
trap 'rm -rf "$partial"' EXIT
mkdir "$partial"

# The dump and the manifest use the same snapshot of the database, so neither contains later changes.
export SCRIPTS partial
(
  cd "$partial"
  sql <<'SQL'
begin isolation level repeatable read read only;
select pg_export_snapshot() as snapshot \gset
\setenv SNAPSHOT :snapshot
\! pg_dump --format=custom --no-owner --snapshot="$SNAPSHOT" --file=database.dump || rm -f database.dump
\o manifest
\set manifest `echo "$SCRIPTS/manifest.sql"`
\i :manifest
SQL
  pg_restore --list database.dump >/dev/null
  sha256sum database.dump manifest >SHA256SUMS
  sync database.dump manifest SHA256SUMS
)
mv "$partial" "$name"
sql --set=job=dump --file="$SCRIPTS/succeeded.sql"
echo "dumped $(stat --format=%s "$name/database.dump") bytes to $name:"
cat "$name/manifest"

# The newest $KEEP_AT_LEAST dumps are kept, even if they are older than $KEEP_DAYS days.
oldest="$(date -u --date="$KEEP_DAYS days ago" +%Y%m%dT%H%M%SZ)"
find . -maxdepth 1 -name '[0-9]*Z' -printf '%f\n' | sort --reverse | tail --lines="+$((KEEP_AT_LEAST + 1))" |
  while read -r old; do
    if [[ "$old" < "$oldest" ]]; then
      rm -rf "$old"
      echo "removed $old"
    fi
  done
# Deletes incomplete folders of killed jobs.
find . -maxdepth 1 -name '.partial-*' -mmin +1440 -exec rm -rf {} +
