/**
 * Sessions' pages in a real browser. Each port has a host of its own. The hosts belong to one site, as under a customer's domain,
 * so the browser itself would add a host's cookies also to requests that a page of another host makes. tests/ports.e2e.test.ts
 * tests the stack's hosts.
 */
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { launch } from "../../../../tests/browser.ts";
import { attack, expected, linkTo, serveIn } from "../../../../tests/hostile-page.ts";
import { listen } from "../../testing/api.ts";
import { buildBerthd, openSession } from "../../testing/berthd.ts";
import { keyOf } from "../../testing/fixtures.ts";
import { freePorts } from "../../testing/ports.ts";
import { PortGateway } from "./portGateway.ts";

beforeAll(() => buildBerthd().then(() => {}));

test("a page reaches nothing of the API, and of a neighbour's page it can only set cookies for the site", async () => {
  const [at = 0, port = 0, neighbourPort = 0] = await freePorts(3);
  const { api, id } = await openSession({ SANDBOX_URL: `http://*.sandbox.example.org:${at}` });
  const gateway = api.app.get(PortGateway);
  await gateway.listen(at, "127.0.0.1");
  onTestFinished(() => gateway.close());
  const apiUrl = await listen(api);
  const call = (method: string, path: string, body?: unknown) =>
    fetch(apiUrl + path, {
      method,
      headers: {
        authorization: `Bearer ${keyOf("acme")}`,
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  const own = await serveIn(call, id, port);
  const origins = [own, await serveIn(call, id, neighbourPort)].map((url) => new URL(url).origin);
  const browser = await launch(
    "--host-resolver-rules=MAP *.sandbox.example.org 127.0.0.1",
    // The browser treats these origins like https: pages may have service workers, and requests name their page.
    `--unsafely-treat-insecure-origin-as-secure=${origins.join(",")}`,
  );
  onTestFinished(() => browser.close());
  const outcomes = await attack(browser, {
    apiUrl,
    apiPage: `${apiUrl}/desktop/${id}`,
    link: (await linkTo(call, id, port)).url,
    neighbourLink: (await linkTo(call, id, neighbourPort)).url,
  });
  const { cookies, ...others } = expected(own);
  expect(outcomes).toMatchObject(others);
  // The page has set these cookies for sandbox.example.org and example.org. The neighbour's host gets them, but the API does
  // not, because the stack's config refuses an API host in these domains.
  expect(outcomes.cookies?.attempt).toEqual(["tossed", "tossed"]);
  expect(outcomes.cookies?.control).toEqual(expect.arrayContaining(cookies?.control as string[]));
});
