/** A session that is made ahead, in a real cluster: its pod becomes the owner's, another takes its place, and none is left. */
import { until } from "@berth/testing/until.ts";
import { expect, test } from "vitest";
import { audit, getPod, openWorker, useCluster } from "../testing/cluster.ts";

const place = useCluster({ warmPools: { small: 1 } });
const { namespace } = place;

test("the pod that waits is the one that is given out; the pool fills again and goes when it is not wanted", async () => {
  const { create, database, acme, tenants, become, stop, vanish } = await openWorker(place);
  const spares = database.selectFrom("sessions").select(["id", "warm"]).where("warm", "is not", null);
  const spare = async () => {
    const ready = spares.where("state", "=", "running");
    const { id, warm } = await until("a session made ahead is running", 120, () => ready.executeTakeFirst());
    return { id, mark: warm ?? "" };
  };
  const { id, mark } = await spare();
  const { uid } = (await getPod(namespace, id)).metadata ?? {};

  const mine = await create({ claim: mark });
  expect(mine).toMatchObject({ id, state: "running" });
  expect((await getPod(namespace, mine.id)).metadata?.uid).toBe(uid);
  const next = await spare();

  tenants.set("acme", { ...acme, warmPools: { small: 0, medium: 0, large: 0 } });
  await vanish(next.id);
  await stop(mine.id);
  await become(mine.id, "stopped");
  expect(await audit(database, namespace)).toEqual([]);
});
