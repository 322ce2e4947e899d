/** A session that is made ahead, in a real cluster: its pod becomes the owner's, another takes its place, and none is left. */
import { expect, test } from "vitest";
import { audit, getPod, left, openWorker, useCluster } from "../testing/cluster.ts";
import { until } from "../testing/fixtures.ts";

const place = useCluster({ warmPools: { small: 1 } });
const { namespace } = place;

test("the pod that waits is the one that is given out; the pool fills again and goes when it is not wanted", async () => {
  const { create, database, acme, tenants, become, stop } = await openWorker(place);
  const spares = database.selectFrom("sessions").select(["id", "warm"]).where("warm", "is not", null);
  const spare = async () => {
    const ready = spares.where("state", "=", "running");
    await until(async () => (await ready.execute()).length > 0);
    const { id, warm } = await ready.executeTakeFirstOrThrow();
    return { id, mark: warm ?? "" };
  };
  const { id, mark } = await spare();
  const { uid } = (await getPod(namespace, id)).metadata ?? {};

  const mine = await create({ claim: mark });
  expect(mine).toMatchObject({ id, state: "running" });
  expect((await getPod(namespace, mine.id)).metadata?.uid).toBe(uid);
  const next = await spare();

  tenants.set("acme", { ...acme, warmPools: { small: 0, medium: 0, large: 0 } });
  await until(async () => (await left(namespace, next.id)).length === 0);
  await stop(mine.id);
  await become(mine.id, "stopped");
  expect(await audit(database, namespace)).toEqual([]);
});
