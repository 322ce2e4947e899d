import { expect, test } from "vitest";
import { Bounds } from "./bounds.ts";

const detailOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "taken",
    (error: { body: { status: number; detail: string } }) => `${error.body.status} ${error.body.detail}`,
  );

test("a session and a tenant have so many requests open, each tenant its own; what is over is given back once", async () => {
  const bounds = new Bounds({ ofSession: 2, ofTenant: 3, perSecond: 1_000 });
  const first = await bounds.take("acme", "a");
  await bounds.take("acme", "a");
  expect(await detailOf(bounds.take("acme", "a"))).toMatch(/^429 2 requests to the session's ports are open/);
  await bounds.take("acme", "b");
  expect(await detailOf(bounds.take("acme", "c"))).toMatch(/^429 3 requests to the tenant's ports are open/);
  expect(await detailOf(bounds.take("beta", "d"))).toBe("taken");
  first();
  first();
  expect(await detailOf(bounds.take("acme", "c"))).toBe("taken");
  expect(await detailOf(bounds.take("acme", "b"))).toMatch(/^429/);
});

test("a tenant has so many requests in a second, and another is none the worse for it", async () => {
  const bounds = new Bounds({ ofSession: 100, ofTenant: 100, perSecond: 3 });
  for (let count = 0; count < 3; count += 1) (await bounds.take("acme", "a"))();
  expect(await detailOf(bounds.take("acme", "b"))).toMatch(/^429 More than 3 requests/);
  expect(await detailOf(bounds.take("beta", "c"))).toBe("taken");
});
