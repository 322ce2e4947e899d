/** Sessions as proofs make and end them. */
import { expect } from "vitest";
import { call, keyOf, leftovers, patientCall, reaches, type Session, until } from "../berth.ts";

export type Tenant = "acme" | "globex";

/** Makes a small session; `body` adds to what is asked for. */
export async function create(tenant: Tenant, body: object = {}): Promise<Session> {
  const response = await patientCall(keyOf(tenant), "POST", "/v1/sessions", { tier: "small", ...body });
  expect(response.status, await response.clone().text()).toBe(201);
  return (await response.json()) as Session;
}

/** Makes a small session and waits until it runs. */
export const running = async (tenant: Tenant): Promise<Session> =>
  reaches(keyOf(tenant), (await create(tenant)).id, "running");

export async function find(tenant: Tenant, id: string): Promise<Session & { cause: string | null }> {
  const response = await patientCall(keyOf(tenant), "GET", `/v1/sessions/${id}`);
  return (await response.json()) as Session & { cause: string | null };
}

/** Ends the sessions, whether or not the API is there at once, and waits until nothing of them is left in the cluster. */
export async function end(tenant: Tenant, ...ids: string[]): Promise<void> {
  const told = async (id: string) => {
    const response = await call(keyOf(tenant), "DELETE", `/v1/sessions/${id}`).catch(() => undefined);
    return response !== undefined && response.status < 429 ? true : undefined;
  };
  await Promise.all(
    ids.map((id) =>
      until(
        () => `an answer to the end of ${id}`,
        60,
        () => told(id),
      ),
    ),
  );
  for (const id of ids) {
    let left: string[] = [];
    await until(
      () => `nothing left of ${id}: ${left.join(", ")}`,
      120,
      async () => {
        left = await leftovers(`tenant-${tenant}`, id);
        return left.length === 0 ? true : undefined;
      },
    );
  }
}
