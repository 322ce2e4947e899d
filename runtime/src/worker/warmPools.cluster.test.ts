/**
 * A warm session in a real cluster: after a claim its pod belongs to the user, a new warm session replaces the claimed one,
 * and no session is left over.
 */
import { until } from "@berth/testing/until.ts";
import { expect, test } from "vitest";
import { audit, getPod, openWorker, useCluster } from "../testing/cluster.ts";

const place = useCluster({ warmPools: { small: 1 } });
const { namespace } = place;

test("the pod of the warm session is given out; the pool fills again and is removed when it is not wanted", async () => {
  const { create, database, acme, tenants, become, stop, vanish } = await openWorker(place);
  const warmSessions = database.selectFrom("sessions").select(["id", "warm"]).where("warm", "is not", null);
  const warmSession = async () => {
    const ready = warmSessions.where("state", "=", "running");
    const { id, warm } = await until("a session made ahead is running", 120, () => ready.executeTakeFirst());
    return { id, templateHash: warm ?? "" };
  };
  const { id, templateHash } = await warmSession();
  const { uid } = (await getPod(namespace, id)).metadata ?? {};

  const mine = await create({ claim: templateHash });
  expect(mine).toMatchObject({ id, state: "running" });
  expect((await getPod(namespace, mine.id)).metadata?.uid).toBe(uid);
  const next = await warmSession();

  tenants.set("acme", { ...acme, warmPools: { small: 0, medium: 0, large: 0 } });
  await vanish(next.id);
  await stop(mine.id);
  await become(mine.id, "stopped");
  expect(await audit(database, namespace)).toEqual([]);
});
