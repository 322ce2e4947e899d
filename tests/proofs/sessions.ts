/** Functions with which proofs create and end sessions. */
import { Hopeless, until } from "@berth/testing/until.ts";
import { call, keyOf, leftovers, reaches, type Session } from "../berth.ts";

export type Tenant = "acme" | "globex";

/** Creates a small session. `body` adds fields to the request. */
export async function create(tenant: Tenant, body: object = {}): Promise<Session> {
  const response = await call(keyOf(tenant), "POST", "/v1/sessions", { tier: "small", ...body });
  if (response.status !== 201) throw new Error(`POST /v1/sessions: ${response.status} ${await response.text()}`);
  return (await response.json()) as Session;
}

/** Creates a small session and waits until it runs. */
export const running = async (tenant: Tenant): Promise<Session> =>
  reaches(keyOf(tenant), (await create(tenant)).id, "running");

export async function find(tenant: Tenant, id: string): Promise<Session & { cause: string | null }> {
  const response = await call(keyOf(tenant), "GET", `/v1/sessions/${id}`);
  if (!response.ok) throw new Error(`GET /v1/sessions/${id}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Session & { cause: string | null };
}

/** Returns the tenant's sessions in the given states, newest first. Default: all sessions that have not ended. */
export async function sessionsOf(
  tenant: Tenant,
  states = ["queued", "starting", "running", "suspending", "suspended", "stopping"],
): Promise<(Session & { queuePosition: number | null })[]> {
  const query = new URLSearchParams({ limit: "100" });
  for (const state of states) query.append("state", state);
  const response = await call(keyOf(tenant), "GET", `/v1/sessions?${query}`);
  if (!response.ok) throw new Error(`GET /v1/sessions: ${response.status} ${await response.text()}`);
  return ((await response.json()) as { items: Awaited<ReturnType<typeof sessionsOf>> }).items;
}

/** Ends all sessions of the tenant, for a proof that counts sessions. */
export const endAll = async (tenant: Tenant): Promise<void> =>
  end(tenant, ...(await sessionsOf(tenant)).map(({ id }) => id));

/** 202: the session ends, or has already ended. 404: the session does not exist any more. */
const over = [202, 404];
/** The statuses after which the caller must retry: too many requests, or a store that is temporarily unavailable. */
const again = [429, 503];

/** Ends the sessions, and waits until the cluster contains nothing of them. */
export async function end(tenant: Tenant, ...ids: string[]): Promise<void> {
  if (ids.length === 0) return;
  const endOne = (id: string) =>
    until(
      `the API ends session ${id}`,
      60,
      async () => {
        const { status } = await call(keyOf(tenant), "DELETE", `/v1/sessions/${id}`);
        if (!over.includes(status) && !again.includes(status)) throw new Hopeless(`DELETE of ${id}: HTTP ${status}`);
        return status;
      },
      (status) => over.includes(status),
    );
  await Promise.all(ids.map(endOne));
  await until(
    "nothing is left of the sessions",
    120,
    () => leftovers(`tenant-${tenant}`, ...ids),
    (left) => left.length === 0,
  );
}
