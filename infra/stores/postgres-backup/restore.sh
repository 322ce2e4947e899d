#!/bin/bash
# Restores the database from the dump in the folder $DUMP of the backup volume, or from the newest dump if DUMP is empty. The
# script restores the dump into a second database and compares this database with the dump's manifest. Then it gives the second
# database the name of the old one. The old database stays as `<database>_replaced`. Before the script runs, API, gateway and
# worker must be stopped. The command infra/stores/postgres-backup/restore.ts stops them: see docs/backup.md.
set -euo pipefail
PGPASSWORD="$(<"$PASSWORD_FILE")"
export PGPASSWORD PGOPTIONS="--client-min-messages=warning"
sql() { psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 "$@"; }

dump="$(bash "$SCRIPTS/find-dump.sh")"
echo "restoring the dump $dump"
cd "$BACKUPS/$dump"

restored="${PGDATABASE}_restored" replaced="${PGDATABASE}_replaced"
dropdb --if-exists --force --maintenance-db=postgres "$restored"
createdb --maintenance-db=postgres "$restored"
pg_restore --exit-on-error --no-owner --dbname="$restored" database.dump
sql --dbname="$restored" --file="$SCRIPTS/manifest.sql" --output=/tmp/restored
diff manifest /tmp/restored

# Changes after the dump are lost, but clients may have seen these changes. Clients may know ids of lost events, so the ids of new
# events continue from the number of milliseconds since 1970. This number is higher than every id after an earlier restore,
# because there are fewer than a thousand events per second. A session that was warm in the dump may have got an owner after the
# dump, so the dump's warm sessions get the mark `restored`, and no tenant gets them. A dump of an old version may have no column
# `warm`.
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
echo "restored; the old database is now called $replaced"
