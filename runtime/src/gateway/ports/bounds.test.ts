import { expect, test } from "vitest";
import { Bounds } from "./bounds.ts";

const detailOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "taken",
    (error: { body: { status: number; detail: string } }) => `${error.body.status} ${error.body.detail}`,
  );

test("a session and a tenant have a limited number of open requests; an ended request is given back once", async () => {
  const bounds = new Bounds({ ofSession: 2, ofTenant: 3, perSecond: 1_000 });
  const first = await bounds.take("acme", "a");
  await bounds.take("acme", "a");
  expect(await detailOf(bounds.take("acme", "a"))).toMatch(/^429 2 requests to the session's ports are open/);
  await bounds.take("acme", "b");
  expect(await detailOf(bounds.take("acme", "c"))).toMatch(/^429 3 requests to the tenant's ports are open/);
  expect(await detailOf(bounds.take("beta", "d"))).toBe("taken");
  expect(bounds.size).toBe(4);
  first();
  first();
  expect(bounds.size).toBe(3);
  expect(await detailOf(bounds.take("acme", "c"))).toBe("taken");
  expect(await detailOf(bounds.take("acme", "b"))).toMatch(/^429/);
});

test("a tenant's requests per second are limited, without an effect on other tenants", async () => {
  const bounds = new Bounds({ ofSession: 100, ofTenant: 100, perSecond: 3 });
  for (let count = 0; count < 3; count += 1) (await bounds.take("acme", "a"))();
  expect(await detailOf(bounds.take("acme", "b"))).toMatch(/^429 The tenant's ports get more than 3 requests/);
  expect(await detailOf(bounds.take("beta", "c"))).toBe("taken");
});
