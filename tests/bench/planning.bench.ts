/**
 * Measures one planning of the starts with 40,000 queued sessions of 200 tenants, which have tasks of 4 kB, and a Postgres that
 * only the benchmark uses. All start slots are taken, so the planning changes nothing. The last figure is for a planning that
 * stores a new reason in each session.
 */
import { sql } from "kysely";
import { pino } from "pino";
import { TokenKeys } from "../../runtime/src/config/tokenKeys.ts";
import { TenantSchema } from "../../runtime/src/domain/tenants.ts";
import { connectDatabase } from "../../runtime/src/store/database.ts";
import { recordsOn } from "../../runtime/src/store/records.ts";
import { TaskCipher } from "../../runtime/src/store/taskCipher.ts";
import { startStores, template } from "../../runtime/src/testing/stores.ts";
import { Planner } from "../../runtime/src/worker/planner.ts";
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
  const tenantsFile = { get: (name: string) => known.get(name), generation: 0 };
  const cipher = new TaskCipher(TokenKeys.one("0123456789abcdef0123456789abcdef"));
  const planner = new Planner({
    database,
    commands: recordsOn(database, cipher, tenantsFile).queueCommands,
    tenants: tenantsFile,
    isLeader: () => true,
    bell: { ring: () => {}, listen: () => () => {} },
    maxStarting: slots,
    onChange: () => {},
    logger: pino({ level: "silent" }),
  });
  const timed = async () => {
    const began = performance.now();
    await planner.plan();
    return (performance.now() - began) / 1_000;
  };
  const before = process.memoryUsage().rss;
  const times = [await timed()];
  // Later plannings would add garbage that V8 has not collected yet.
  report("planning-mib", (process.resourceUsage().maxRSS * 1_024 - before) / 2 ** 20, "<=100");
  for (let count = 0; count < 4; count += 1) times.push(await timed());
  report("planning-seconds", median(times), "<=1");
  await sql`update sessions set reason = null`.execute(database);
  report("planning-all-reasons-seconds", await timed(), "-");
} finally {
  await database.destroy();
  await remove();
}
