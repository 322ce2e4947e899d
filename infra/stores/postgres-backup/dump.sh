#!/bin/bash
# Dumps the database into a folder of its own on the backup volume, named by the time: the dump, a manifest of what is in
# it, and their checksums. A folder gets its name when all of it is there. Then folders that are too old are removed.
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

# The manifest is counted in the snapshot that the dump is made of: whatever happens meanwhile is in neither.
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

# The newest stay whatever their age.
oldest="$(date -u --date="$KEEP_DAYS days ago" +%Y%m%dT%H%M%SZ)"
find . -maxdepth 1 -name '[0-9]*Z' -printf '%f\n' | sort --reverse | tail --lines="+$((KEEP_AT_LEAST + 1))" |
  while read -r old; do
    if [[ "$old" < "$oldest" ]]; then
      rm -rf "$old"
      echo "removed $old"
    fi
  done
# What a job left that was killed.
find . -maxdepth 1 -name '.partial-*' -mmin +1440 -exec rm -rf {} +
