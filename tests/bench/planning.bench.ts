/**
 * Measures one planning of the starts with 40,000 queued sessions of 200 tenants, which have tasks of 4 kB, and a Postgres that
 * only the benchmark uses: the statements and functions by which the leader reads the queue and plans. All start slots are taken, so
 * the planning would write nothing.
 */
import { sql } from "kysely";
import { plan } from "../../runtime/src/domain/quota/admissionPlan.ts";
import { candidatesOf } from "../../runtime/src/domain/quota/candidates.ts";
import { TenantSchema } from "../../runtime/src/domain/tenants.ts";
import { basisOf, loadsOf, queuedSessions } from "../../runtime/src/store/admissionQueue.ts";
import { connectDatabase } from "../../runtime/src/store/database.ts";
import { startStores, template } from "../../runtime/src/testing/stores.ts";
import { median, report } from "./report.ts";

const [sessions, tenants, slots] = [40_000, 200, 10];
const known = new Map(
  Array.from({ length: tenants }, (_, index) => {
    const name = `t${index}`;
    const workspace = { size: "1Gi" };
    return [name, TenantSchema.parse({ name, namespace: name, keys: [], serviceAccount: "agent-runner", workspace })];
  }),
);

const { stores, remove } = await startStores();
const database = connectDatabase(
  {
    POSTGRES_HOST: stores.postgres.host,
    POSTGRES_PORT: stores.postgres.port,
    POSTGRES_DATABASE: template,
    POSTGRES_USER: stores.postgres.user,
    POSTGRES_TLS: false,
    POSTGRES_POOL: 4,
    postgresPassword: stores.postgres.password,
  },
  { patient: true },
);
try {
  await sql`
    insert into sessions (id, tenant, namespace, tier, state, reason, task, updated_at)
    select gen_random_uuid(), 't' || n % ${tenants}, 't' || n % ${tenants}, 'small',
      case when n <= ${slots} then 'starting' else 'queued' end, 'Waiting for its turn to start',
      (select string_agg(md5(n::text || part), '') from generate_series(1, 128) as part),
      now() + interval '1 hour'
    from generate_series(1, ${sessions + slots}::integer) as n`.execute(database);
  await sql`vacuum analyze sessions`.execute(database);
  const tenantOf = (name: string) => known.get(name);
  const timed = async () => {
    const began = performance.now();
    const { lastTurn } = await basisOf(database);
    const [queued, { loads }] = await Promise.all([queuedSessions(database), loadsOf(database, tenantOf)]);
    const { queue, allowances } = candidatesOf(queued, tenantOf);
    const { postponed } = plan({ queue, allowances, loads, lastTurn, maxStarting: slots });
    if (postponed.length !== sessions) throw new Error(`${postponed.length} sessions wait, instead of ${sessions}`);
    return (performance.now() - began) / 1_000;
  };
  const before = process.memoryUsage().rss;
  const times = [await timed()];
  // Later plannings would add garbage that V8 has not collected yet.
  report("planning-mib", (process.resourceUsage().maxRSS * 1_024 - before) / 2 ** 20, "<=100");
  for (let count = 0; count < 4; count += 1) times.push(await timed());
  report("planning-seconds", median(times), "<=1");
} finally {
  await database.destroy();
  await remove();
}
