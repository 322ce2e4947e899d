/**
 * Tests the access to ports that an agent serves: from programs, by WebSocket and by a link in a browser. Also tests what a
 * served page can't do.
 */
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { until } from "@berth/testing/until.ts";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { apiUrl, call, keyOf, reaches, type Session } from "./berth.ts";
import { launch, openPage } from "./browser.ts";
import { attack, expected, linkTo, serveIn } from "./hostile-page.ts";

const acme = keyOf("acme");
const [port, neighbourPort] = [8000, 8001];
let session: Session;
let browser: Browser;
let url: string;

const asAcme = (method: string, path: string, body?: unknown) => call(acme, method, path, body);

beforeAll(async () => {
  browser = await launch();
  const response = await asAcme("POST", "/v1/sessions", { tier: "small" });
  session = (await response.json()) as Session;
  await reaches(acme, session.id, "running");
  url = await serveIn(asAcme, session.id, port);
  await serveIn(asAcme, session.id, neighbourPort);
});

afterAll(async () => {
  await browser?.close();
  if (session) await asAcme("DELETE", `/v1/sessions/${session.id}`);
});

/**
 * Requests the address as a browser does. Browsers resolve every name below localhost to this machine, but libraries do not.
 */
async function ask(address: string, headers: Record<string, string> = {}) {
  const { host, port, pathname, search } = new URL(address);
  const sent = request({ host: "127.0.0.1", port, path: pathname + search, headers: { host, ...headers } }).end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  return { status: response.statusCode, text: Buffer.concat(await response.toArray()).toString() };
}

test("a request to a program needs the tenant's key or the port's token", async () => {
  expect(url).toMatch(new RegExp(`^http://${port}-${session.id}\\.localhost:\\d+/$`));
  const { token } = await linkTo(asAcme, session.id, port);
  for (const good of [acme, token]) {
    expect(await ask(url, { "x-berth-token": good })).toEqual({
      status: 200,
      text: expect.stringContaining("An agent's page"),
    });
  }
  expect((await ask(url)).status).toBe(401);
  expect((await ask(url, { "x-berth-token": keyOf("globex") })).status).toBe(404);
  expect((await ask(url.replace(`${port}-`, `${neighbourPort}-`), { "x-berth-token": token })).status).toBe(401);
  const nothing = await ask(url.replace(`${port}-`, "8002-"), { "x-berth-token": acme, accept: "text/html" });
  expect(nothing).toEqual({ status: 503, text: expect.stringContaining("Nothing listens on port 8002") });
});

test("a WebSocket to a program works", async () => {
  const { host, port: at } = new URL(url);
  const socket = new WebSocket(`ws://127.0.0.1:${at}/ws?by-key`, { headers: { host, "x-berth-token": acme } });
  await once(socket, "open");
  socket.send("hello");
  expect(String((await once(socket, "message"))[0])).toBe("hello");
  socket.terminate();
});

test("a link opens the program in one browser, only once, and redirects to a URL without the ticket", async () => {
  const { url: link } = await linkTo(asAcme, session.id, port);
  const page = await openPage(browser);
  await page.goto(link);
  expect([page.url(), await page.innerText("h1")]).toEqual([url, "An agent's page"]);
  await page.close();
  const other = await openPage(browser);
  expect((await other.goto(link))?.status()).toBe(401);
  expect(await other.innerText("body")).toContain("used already");
  await other.close();
});

test("a link that is revoked closes what it opened in a browser, and opens nothing again", async () => {
  const { id, url: link, token } = await linkTo(asAcme, session.id, port);
  const { host, port: at } = new URL(url);
  const page = await openPage(browser);
  await page.goto(link);
  const socket = new WebSocket(`ws://127.0.0.1:${at}/ws?by-token`, { headers: { host, "x-berth-token": token } });
  await once(socket, "open");
  const closed = once(socket, "close");
  const links = `/v1/sessions/${session.id}/ports/links`;
  expect((await asAcme("DELETE", `${links}/${id}`)).status).toBe(204);
  await closed;
  await until("the page is refused", 10, async () => (await page.reload())?.status() === 401);
  await page.close();
  const { items } = (await (await asAcme("GET", links)).json()) as { items: { id: string }[] };
  expect(items.map((one) => one.id)).not.toContain(id);
});

test("a page that an agent serves has no access to storage, cookies and DOM of the API or of another port", async () => {
  const [link, neighbourLink] = [
    (await linkTo(asAcme, session.id, port)).url,
    (await linkTo(asAcme, session.id, neighbourPort)).url,
  ];
  const apiPage = `${apiUrl}/desktop/${session.id}`;
  expect(await attack(browser, { apiUrl, apiPage, link, neighbourLink })).toEqual(expected(url));
});
