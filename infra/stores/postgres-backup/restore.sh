#!/bin/bash
# Puts the database back to a dump: DUMP, a folder on the backup volume, or the newest. It is restored and compared beside
# the database that is there, and only then are the two exchanged. The replaced one stays as `<database>_replaced`.
# API and worker must be stopped, as infra/postgres-backup/restore.ts does: see docs/backup.md.
set -euo pipefail
PGPASSWORD="$(<"$PASSWORD_FILE")"
export PGPASSWORD PGOPTIONS="--client-min-messages=warning"
sql() { psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 "$@"; }

dump="$(bash "$SCRIPTS/find-dump.sh")"
echo "restoring $dump"
cd "$BACKUPS/$dump"

restored="${PGDATABASE}_restored" replaced="${PGDATABASE}_replaced"
dropdb --if-exists --force --maintenance-db=postgres "$restored"
createdb --maintenance-db=postgres "$restored"
pg_restore --exit-on-error --no-owner --dbname="$restored" database.dump
sql --dbname="$restored" --file="$SCRIPTS/manifest.sql" --output=/tmp/restored
diff manifest /tmp/restored

# What came after the dump is not in it, but others have seen it: ids of events were told, and what was made ahead may have
# been given out. Ids go on from the milliseconds since 1970, which are above all ids that any restore has led to: fewer than
# a thousand events happen in a second. A dump of an old version may have nothing made ahead.
sql --dbname="$restored" --output=/dev/null <<'SQL'
select setval('session_events_id_seq', greatest(last_value, (extract(epoch from clock_timestamp()) * 1000)::bigint))
  from session_events_id_seq;
select 'update sessions set warm = ''restored'' where warm is not null'
  from information_schema.columns where table_name = 'sessions' and column_name = 'warm'
\gexec
SQL

dropdb --if-exists --force --maintenance-db=postgres "$replaced"
sql --dbname=postgres --set=live="$PGDATABASE" --set=restored="$restored" --set=replaced="$replaced" <<'SQL'
select count(pg_terminate_backend(pid)) as ended from pg_stat_activity where datname = :'live' \gset
begin;
alter database :"live" rename to :"replaced";
alter database :"restored" rename to :"live";
commit;
SQL
echo "restored; what was there is in the database $replaced"
