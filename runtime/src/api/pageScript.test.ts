/** The desktop page's own script, with a fake of the browser functions that it uses. */
import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { until } from "@berth/testing/until.ts";
import { expect, onTestFinished, test } from "vitest";

const AsyncFunction = (async () => {}).constructor as FunctionConstructor;

/** A WebSocket that the server closes as soon as it is open. */
class ClosedSocket extends EventTarget {
  static closing = { code: 1006, reason: "" };
  constructor() {
    super();
    setTimeout(() => this.dispatchEvent(Object.assign(new Event("close"), ClosedSocket.closing)));
  }
}

/** A noVNC that can't connect. */
class Rfb extends EventTarget {
  constructor(_screen: unknown, socket: EventTarget) {
    super();
    socket.addEventListener("close", () => this.dispatchEvent(new Event("disconnect")));
  }
}

/**
 * Runs the page for a running session whose desktop is refused, until the test ends. Returns the elements' texts by id. Each page
 * has its own fake browser functions and does not use this process's globals.
 */
function openPage(session: { desktop?: boolean } = {}): (id: string) => string | undefined {
  const elements = new Map<string, EventTarget & { textContent?: string }>();
  const getElementById = (id: string) => {
    const element = elements.get(id) ?? Object.assign(new EventTarget(), { dataset: {}, focus: () => {} });
    elements.set(id, element);
    return element;
  };
  let isOpen = true;
  onTestFinished(() => {
    isOpen = false;
  });
  const browser = {
    // The page tries to connect again and again. After the test, its next wait has no end.
    setTimeout: (done: () => void, ms?: number) => isOpen && setTimeout(done, ms),
    document: { getElementById },
    location: { pathname: "/desktop/1", hash: "#ticket=a.b.c", href: "http://berth/desktop/1", protocol: "http:" },
    history: { replaceState: () => {} },
    sessionStorage: { setItem: () => {} },
    addEventListener: () => {},
    removeEventListener: () => {},
    fetch: async () => Response.json({ state: "running", reason: null, ...session }),
    WebSocket: ClosedSocket,
    RFB: Rfb,
  };
  const source = readFileSync(new URL("../../page/desktop.ts", import.meta.url), "utf8");
  const script = stripTypeScriptTypes(source).replace(/^import RFB from .*$/m, "");
  AsyncFunction(...Object.keys(browser), `"use strict";\n${script}`)(...Object.values(browser));
  return (id) => elements.get(id)?.textContent;
}

test.each([
  [4429, "The ticket has 10 desktops open. Close some of them.", "Refused for now"],
  [1006, "", "Connecting again…"],
])("a desktop whose WebSocket is closed with %i and %j says so", async (code, reason, headline) => {
  ClosedSocket.closing = { code, reason };
  const textOf = openPage();
  await until(
    `the page says: ${headline}`,
    30,
    () => textOf("headline"),
    (text) => text === headline,
  );
  expect(textOf("detail")).toBe(reason || "The connection to the desktop was lost.");
});

test("the page of a session without a desktop says so, and requests no desktop", async () => {
  const textOf = openPage({ desktop: false });
  await until(
    "the page says that there is no desktop",
    10,
    () => textOf("detail"),
    (text) => text === "The session has no desktop, because its image has none.",
  );
  expect(textOf("headline")).toBe("The desktop is not available");
});
