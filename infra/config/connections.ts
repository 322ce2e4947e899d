/** How the runtime's pods share the connections to Postgres. */
import type { z } from "zod";
import type { Autoscaler, api, gateway, worker } from "./platform.ts";
import type { postgres } from "./stores.ts";

interface Users {
  postgres: Pick<z.output<typeof postgres>, "maxConnections" | "external">;
  api: Pick<z.output<typeof api>, "autoscaling">;
  worker: Pick<z.output<typeof worker>, "autoscaling">;
  gateway: z.output<typeof gateway>;
  autoscaler: Autoscaler;
}

/** The most connections that a pod may open, even if Postgres accepts more. More than ten do not make a pod faster. */
const most = 10;
/** The connections that a pod needs at least. With fewer, requests and jobs wait for connections. */
const least = 4;
/**
 * Connections kept for other clients: migrations, clean-up, dumps, the restore check, the exporter, and three that Postgres
 * reserves.
 */
const kept = 20;

/**
 * The highest possible number of API, gateway and worker pods: the autoscalers' maximum (without autoscalers: the fixed number),
 * and one more of each kind in a rollout.
 */
function podsOf({ api, gateway, worker, autoscaler }: Users): number {
  const bound = autoscaler === "off" ? "min" : "max";
  const roles = [api, worker, ...(gateway === "inside" ? [] : [gateway])];
  return roles.reduce((sum, { autoscaling }) => sum + autoscaling[bound] + 1, 0);
}

/**
 * How many connections to Postgres each pod of API, gateway and worker may open, so that the highest possible number of pods
 * fits `postgres.maxConnections`. An external Postgres has an unknown limit, so each pod may open 10.
 */
export function connectionsPerPod(users: Users): number {
  const { maxConnections, external } = users.postgres;
  return external ? most : Math.min(most, Math.floor((maxConnections - kept) / podsOf(users)));
}

/** Refuses a config in which a pod could get fewer connections than it needs. */
export function connectable(check: z.core.ParsePayload<Users>): void {
  const { postgres } = check.value;
  if (connectionsPerPod(check.value) >= least) return;
  const pods = podsOf(check.value);
  check.issues.push({
    code: "custom",
    input: postgres.maxConnections,
    path: ["postgres", "maxConnections"],
    message: `is too few: the config allows up to ${pods} pods of API, gateway and worker, which need ${pods * least} connections, and ${kept} are kept for other clients, so set at least ${pods * least + kept}`,
  });
}
