-- What a restored database has in common with the one that was dumped: the rows of each table, the migrations that ran.
select format('select %L, count(*) from %I.%I', format('rows of %I.%I', schemaname, tablename), schemaname, tablename)
  from pg_tables where schemaname <> 'information_schema' and schemaname not like 'pg\_%' order by schemaname, tablename
\gexec
select 'select ''migration'', name from kysely_migration order by name' where to_regclass('kysely_migration') is not null
\gexec
