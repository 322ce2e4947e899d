#!/bin/bash
# At the first start, creates the data folder and the database, as the official image does, from POSTGRES_USER, POSTGRES_DB, and
# POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE. Then runs Postgres in place of this script.
set -euo pipefail

[[ "${1:-}" == -* ]] && set -- postgres "$@"

if [[ "${1:-}" == postgres && ! -s "$PGDATA/PG_VERSION" ]]; then
  user="${POSTGRES_USER:-postgres}"
  database="${POSTGRES_DB:-$user}"
  if [[ -n "${POSTGRES_PASSWORD_FILE:-}" ]]; then
    POSTGRES_PASSWORD="$(<"$POSTGRES_PASSWORD_FILE")"
  elif [[ -z "${POSTGRES_PASSWORD:-}" ]]; then
    echo "postgres: set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE to make a new database." >&2
    exit 1
  fi
  mkdir -p "$PGDATA"
  chmod 700 "$PGDATA" 2>/dev/null || true
  initdb --pgdata="$PGDATA" --username="$user" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") \
    --encoding=UTF8 --auth-local=trust --auth-host=scram-sha-256 ${POSTGRES_INITDB_ARGS:-}
  echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
  sed -i "s/^#listen_addresses = .*/listen_addresses = '*'/" "$PGDATA/postgresql.conf"
  if [[ "$database" != postgres ]]; then
    postgres --single -j -D "$PGDATA" postgres <<<"CREATE DATABASE \"${database//\"/\"\"}\"" >/dev/null
  fi
fi

unset POSTGRES_PASSWORD
exec "$@"
