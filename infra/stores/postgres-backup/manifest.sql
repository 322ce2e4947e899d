-- Counts the rows of each table and lists the migrations that ran. A restored database must give the same result as the dumped one.
select format('select %L, count(*) from %I.%I', format('rows of %I.%I', schemaname, tablename), schemaname, tablename)
  from pg_tables where schemaname <> 'information_schema' and schemaname not like 'pg\_%' order by schemaname, tablename
\gexec
select 'select ''migration'', name from kysely_migration order by name' where to_regclass('kysely_migration') is not null
\gexec
