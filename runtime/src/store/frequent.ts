/**
 * Frequent statements, which Kysely compiles only once, because the compilation takes about as long as Postgres needs for
 * the statement.
 */
import type { Compilable, CompiledQuery } from "kysely";
import type { Database } from "./database.ts";

/** Stands for a value in the compiled statement. */
class Placeholder {
  constructor(readonly name: string) {}
}

/**
 * Returns a function that executes the statement with values, and returns the rows. The first call compiles the statement.
 * @param build makes the statement. The statement's text must be the same for all values, so `build` may only read values by
 * their names and use them as parameters.
 */
export function frequent<V extends object, R>(
  build: (database: Database, values: V) => Compilable<R>,
): (database: Database, values: V) => Promise<R[]> {
  const placeholders = new Proxy({} as V, { get: (_, name) => new Placeholder(String(name)) });
  let compiled: CompiledQuery<R> | undefined;
  return async (database, values) => {
    compiled ??= build(database, placeholders).compile();
    const parameters = compiled.parameters.map((parameter) =>
      parameter instanceof Placeholder ? values[parameter.name as keyof V] : parameter,
    );
    return (await database.executeQuery<R>({ ...compiled, parameters })).rows;
  };
}
