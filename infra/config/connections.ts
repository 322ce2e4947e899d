/** How Postgres' connections are shared among the runtime's pods. */
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

/** What a pod opens where there are enough; more than ten do not make it faster. */
const most = 10;
/** Below that, requests and jobs wait for connections. */
const least = 4;
/** For whoever else connects: migrations, clean-up, dumps, their check, the exporter, and Postgres' own three. */
const kept = 20;

/** The pods of API, gateway and worker that there may be: as many as the autoscalers allow, and one more of each in a rollout. */
function podsOf({ api, gateway, worker, autoscaler }: Users): number {
  const bound = autoscaler === "off" ? "min" : "max";
  const roles = [api, worker, ...(gateway === "inside" ? [] : [gateway])];
  return roles.reduce((sum, { autoscaling }) => sum + autoscaling[bound] + 1, 0);
}

/**
 * Connections to Postgres that each pod of API, gateway and worker opens at most, so that all that there may be fit
 * `postgres.maxConnections`. What a Postgres of one's own takes is not known here: 10.
 */
export function connectionsPerPod(users: Users): number {
  const { maxConnections, external } = users.postgres;
  return external ? most : Math.min(most, Math.floor((maxConnections - kept) / podsOf(users)));
}

/** Each pod that there may be can work. */
export function connectable(check: z.core.ParsePayload<Users>): void {
  const { postgres } = check.value;
  if (connectionsPerPod(check.value) >= least) return;
  const pods = podsOf(check.value);
  check.issues.push({
    code: "custom",
    input: postgres.maxConnections,
    path: ["postgres", "maxConnections"],
    message: `is too few for ${pods} pods of API, gateway and worker, the most that there may be; they need ${pods * least + kept}`,
  });
}
