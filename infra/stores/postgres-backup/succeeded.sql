-- When each of the backup's jobs last succeeded; the runtime's /metrics tells it. The jobs make the table themselves, so
-- that they depend on no migration.
create schema if not exists backup;
create table if not exists backup.status (job text primary key, last_success timestamptz not null);
insert into backup.status values (:'job', now()) on conflict (job) do update set last_success = excluded.last_success;
