/** The life of a session on the deployed stack: from the tenant's key to a running desktop, and until nothing is left. */
import { until } from "@berth/testing/until.ts";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { apiUrl, call, desktopUrl, inAgent, keyOf, leftovers, reaches, type Session } from "./berth.ts";
import { difference, isBlank, launch, openPage } from "./browser.ts";
import { openIngressProxy } from "./ingress-proxy.ts";
import { colours, firstFrame, typeBlindly } from "./rfb.ts";

const acme = keyOf("acme");
const namespace = "tenant-acme";
/**
 * The deadline in seconds for actions of a desktop or browser, on a machine without other load. The real deadline is four times
 * as long (see `patience` in testing/until.ts).
 */
const patience = 60;
let session: Session;
let browser: Browser;

beforeAll(async () => {
  browser = await launch();
  const response = await call(acme, "POST", "/v1/sessions", { tier: "small" });
  expect(response.status).toBe(201);
  session = (await response.json()) as Session;
  expect(response.headers.get("location")).toBe(session.links.self);
});

afterAll(async () => {
  await browser?.close();
  if (session) await call(acme, "DELETE", `/v1/sessions/${session.id}`);
});

describe("a session of the tenant", () => {
  test("reaches running", async () => {
    expect(await reaches(acme, session.id, "running")).toMatchObject({ id: session.id, tier: "small", reason: null });
  });

  test("shows its desktop through the API's WebSocket", async () => {
    const { width, height } = await until(
      "the desktop sends a frame that is not blank",
      patience,
      async () => {
        const frame = await firstFrame(desktopSocket(), { authorization: `Bearer ${acme}` });
        return { width: frame.width, height: frame.height, colours: colours(frame) };
      },
      (frame) => frame.colours > 1,
    );
    expect([width, height]).toEqual([1280, 800]);
  });

  test("can be used in a browser: what is typed changes the picture and lands in the workspace", async () => {
    const { page, changes } = await openDesktop(desktopPage());
    expect(page.url()).not.toContain(acme);
    await changes("typing", () => page.keyboard.type("echo berth-was-here | tee ~/workspace/proof.txt", { delay: 20 }));
    await page.keyboard.press("Enter");
    expect(await fileInWorkspace("proof.txt")).toBe("berth-was-here\n");
    await page.close();
  });

  test("can be shown by a view-only link, to several viewers at the same time", async () => {
    const owner = await openDesktop(desktopPage());
    await owner.page.click("#open-share");
    const link = await until(
      "the page shows a link",
      patience,
      () => owner.page.inputValue("#share-link"),
      (text) => /^http.*#ticket=./.test(text),
    );
    await owner.page.click("#open-share");
    const viewer = await openDesktop(link);
    expect(await viewer.page.isVisible("#mode")).toBe(true);
    expect(await viewer.page.isVisible("#open-clipboard")).toBe(false);
    // The viewer's page sends no input, but this client sends input with the viewer's ticket. Then the test sends input with
    // the key. The session gets all input in order. So once the key's input has arrived, any input of the viewer would be there.
    const ticket = new URLSearchParams(new URL(link).hash.slice(1)).get("ticket");
    await typeBlindly(`${desktopSocket()}?ticket=${ticket}`, "touch ~/workspace/viewer\n");
    await viewer.changes("the owner's typing", () =>
      typeBlindly(desktopSocket(), "echo ok > ~/workspace/owner\n", { authorization: `Bearer ${acme}` }),
    );
    expect(await fileInWorkspace("owner")).toBe("ok\n");
    expect(await inAgent(namespace, session.id, ["ls", "/home/agent/workspace"])).not.toContain("viewer");
    await Promise.all([owner.page.close(), viewer.page.close()]);
  });

  test("can be used behind a reverse proxy that forwards the same paths as the Ingress", async () => {
    await using proxy = await openIngressProxy();
    const { page, changes } = await openDesktop(desktopPage(proxy.url));
    await page.locator("canvas").first().click();
    await changes("typing", () => page.keyboard.type("echo proxied > ~/workspace/proxied.txt\n"));
    expect(await fileInWorkspace("proxied.txt")).toBe("proxied\n");
    expect((await fetch(`${proxy.url}/metrics`)).status).toBe(404);
    await page.close();
  });

  test("takes the user's clipboard, and changes the user's clipboard only after a click", async () => {
    const { page, changes } = await openDesktop(desktopPage());
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    const ownClipboard = () => page.evaluate<string>("navigator.clipboard.readText()");
    await page.evaluate(`navigator.clipboard.writeText("the user's own")`);
    await page.click("#open-clipboard");
    await page.fill(
      "#clipboard-text",
      "for i in {1..900}; do printf berth; done; echo pasted > ~/workspace/pasted.txt",
    );
    await page.click("#open-clipboard");
    const screen = page.locator("canvas").first();
    await screen.click();
    // The terminal fetches the text from the page only now. If Enter were pressed at once, it would arrive before the text.
    await changes("the pasted text", () => page.keyboard.press("Shift+Insert"));
    await page.keyboard.press("Enter");
    expect(await fileInWorkspace("pasted.txt")).toBe("pasted\n");
    await until(
      "the panel has the word under the pointer",
      patience,
      async () => {
        await screen.dblclick();
        return page.inputValue("#clipboard-text");
      },
      (text) => /^(berth)+$/.test(text),
    );
    expect(await ownClipboard()).toBe("the user's own");
    await page.click("#open-clipboard");
    // The selection may grow after a click, because repeated double clicks count as a triple click.
    await until(
      "the user's clipboard has what the panel has",
      patience,
      async () => {
        await page.click("#copy-clipboard");
        return [await ownClipboard(), await page.inputValue("#clipboard-text")];
      },
      ([own, panel]) => own === panel && own !== "the user's own",
    );
    await page.close();
  });

  test("leaves nothing behind when it is deleted", async () => {
    expect(await leftovers(namespace, session.id)).toHaveLength(4); // pod, claim, secret, volume
    expect((await call(acme, "DELETE", `/v1/sessions/${session.id}`)).status).toBe(202);
    await reaches(acme, session.id, "stopped");
    await until(
      "no pod, claim, secret or volume is left",
      60,
      () => leftovers(namespace, session.id),
      (left) => left.length === 0,
    );
  });
});

const desktopPage = (origin = apiUrl) => `${origin}/desktop/${session.id}#key=${acme}`;
const desktopSocket = () => desktopUrl(session.id);

/** Opens the desktop's page and waits until it shows a picture. */
async function openDesktop(url: string) {
  const page = await openPage(browser, { viewport: { width: 1300, height: 860 } });
  const faults: string[] = [];
  page.on("requestfailed", (request) => faults.push(`${request.url()}: ${request.failure()?.errorText}`));
  page.on("pageerror", (error) => faults.push(error.message));
  await page.goto(url);
  const canvas = page.locator("canvas").first();
  await until(
    "the page shows a desktop",
    patience,
    async () => ({ shows: await canvas.isVisible(), text: await page.innerText("body"), faults }),
    ({ shows }) => shows,
  );
  await until("the desktop is not blank", patience, async () => !isBlank(await canvas.screenshot()));
  /** Performs an action and waits until the picture has changed. */
  const changes = async (by: string, act: () => Promise<void>) => {
    const before = await canvas.screenshot();
    await act();
    await until(
      `${by} changes the picture`,
      patience,
      async () => difference(before, await canvas.screenshot()),
      (share) => share > 0.0005,
    );
  };
  return { page, changes };
}

/** Returns the content of the file as soon as the file is not empty. */
function fileInWorkspace(name: string): Promise<string> {
  return until(
    `the workspace has a text in ${name}`,
    patience,
    () => inAgent(namespace, session.id, ["cat", `/home/agent/workspace/${name}`]),
    (text) => text !== "",
  );
}

describe("access rights", () => {
  test("a wrong key gets 401, on HTTP and on the desktop", async () => {
    expect((await call("berth_acme_wrong", "GET", "/v1/sessions")).status).toBe(401);
    await expect(firstFrame(desktopSocket(), { authorization: "Bearer berth_acme_wrong" })).rejects.toThrow("HTTP 401");
    await expect(firstFrame(desktopSocket())).rejects.toThrow("HTTP 401");
  });

  test("another tenant's session is not found", async () => {
    const globex = keyOf("globex");
    expect((await call(globex, "GET", `/v1/sessions/${session.id}`)).status).toBe(404);
    expect((await call(globex, "DELETE", `/v1/sessions/${session.id}`)).status).toBe(404);
    expect((await call(globex, "POST", `/v1/sessions/${session.id}/desktop-tickets`)).status).toBe(404);
  });

  test("an unknown tier is refused with the field named", async () => {
    const response = await call(acme, "POST", "/v1/sessions", { tier: "gigantic" });
    expect(response.status).toBe(400);
    expect(response.headers.get("content-type")).toContain("application/problem+json");
    expect(await response.json()).toMatchObject({ errors: [{ field: "tier" }] });
  });
});
