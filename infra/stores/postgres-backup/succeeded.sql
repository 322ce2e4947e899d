-- Stores the time at which a backup job last succeeded. The runtime reports this time at /metrics. The jobs create the table
-- themselves, so that they depend on no migration.
create schema if not exists backup;
create table if not exists backup.status (job text primary key, last_success timestamptz not null);
insert into backup.status values (:'job', now()) on conflict (job) do update set last_success = excluded.last_success;
