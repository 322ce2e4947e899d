import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { apiUrl, call, inAgent, keyOf, leftovers, reaches, until } from "./berth.ts";
import { difference, isBlank, launch } from "./browser.ts";
import { colours, firstFrame } from "./rfb.ts";
const acme = keyOf("acme");
const namespace = "tenant-acme";
let session;
let browser;
beforeAll(async () => {
    browser = await launch();
    const response = await call(acme, "POST", "/v1/sessions", { tier: "small" });
    expect(response.status).toBe(201);
    session = (await response.json());
    expect(response.headers.get("location")).toBe(session.links.self);
});
afterAll(async () => {
    await browser?.close();
    if (session)
        await call(acme, "DELETE", `/v1/sessions/${session.id}`);
});
describe("a session of one's own", () => {
    test("reaches running", async () => {
        expect(await reaches(acme, session.id, "running")).toMatchObject({ id: session.id, tier: "small", reason: null });
    });
    test("shows its desktop through the API's WebSocket", async () => {
        const url = new URL(`/v1/sessions/${session.id}/desktop`, apiUrl.replace(/^http/, "ws")).href;
        const frame = await until(() => "a frame that is not blank", 20, async () => {
            const frame = await firstFrame(url, { authorization: `Bearer ${acme}` });
            return colours(frame) > 1 ? frame : undefined;
        });
        expect([frame.width, frame.height]).toEqual([1280, 800]);
    });
    test("can be used in a browser: what is typed changes the picture and lands in the workspace", async () => {
        const page = await browser.newPage({ viewport: { width: 1300, height: 860 } });
        await page.goto(`${apiUrl}/desktop/${session.id}#key=${acme}`);
        const canvas = page.locator("canvas").first();
        await canvas.waitFor();
        expect(page.url()).not.toContain(acme);
        const shot = () => canvas.screenshot();
        await until(() => "a desktop that is not blank", 20, async () => (isBlank(await shot()) ? undefined : true));
        const before = await shot();
        await page.keyboard.type("echo berth-was-here | tee ~/workspace/proof.txt", { delay: 20 });
        await until(() => "pixels that changed", 10, async () => (difference(before, await shot()) > 0.0005 ? true : undefined));
        await page.keyboard.press("Enter");
        const file = await until(() => "the file in the workspace", 10, async () => {
            const text = await inAgent(namespace, session.id, ["cat", "/home/agent/workspace/proof.txt"]);
            return text === "" ? undefined : text;
        });
        expect(file).toBe("berth-was-here\n");
        await page.close();
    });
    test("leaves nothing behind when it is deleted", async () => {
        expect(await leftovers(namespace, session.id)).toHaveLength(4); // pod, claim, secret, volume
        expect((await call(acme, "DELETE", `/v1/sessions/${session.id}`)).status).toBe(202);
        await reaches(acme, session.id, "stopped");
        await until(() => "no pod, claim, secret or volume", 60, async () => ((await leftovers(namespace, session.id)).length === 0 ? true : undefined));
    });
});
describe("who may do what", () => {
    test("a wrong key gets 401, on HTTP and on the desktop", async () => {
        expect((await call("berth_acme_wrong", "GET", "/v1/sessions")).status).toBe(401);
        const url = new URL(`/v1/sessions/${session.id}/desktop`, apiUrl.replace(/^http/, "ws")).href;
        await expect(firstFrame(url, { authorization: "Bearer berth_acme_wrong" })).rejects.toThrow("HTTP 401");
        await expect(firstFrame(url)).rejects.toThrow("HTTP 401");
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
