/** The desktop page's own script, with as much of a browser as it touches. */
import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { until } from "@berth/testing/until.ts";
import { afterEach, expect, test, vi } from "vitest";

afterEach(() => void vi.unstubAllGlobals());

/** A WebSocket that the server closes as soon as it is open. */
class ClosedSocket extends EventTarget {
  static closing = { code: 1006, reason: "" };
  constructor() {
    super();
    setTimeout(() => this.dispatchEvent(Object.assign(new Event("close"), ClosedSocket.closing)));
  }
}

/** noVNC, which can't connect. */
class Rfb extends EventTarget {
  constructor(_screen: unknown, socket: EventTarget) {
    super();
    socket.addEventListener("close", () => this.dispatchEvent(new Event("disconnect")));
  }
}

/** Runs the page for a running session, whose desktop is refused for this reason; returns the texts of its elements by their ids. */
function openPage(reason: string, session: { desktop?: boolean } = {}): (id: string) => string | undefined {
  const elements = new Map<string, EventTarget & { textContent?: string }>();
  const getElementById = (id: string) => {
    const element = elements.get(id) ?? Object.assign(new EventTarget(), { dataset: {}, focus: () => {} });
    elements.set(id, element);
    return element;
  };
  const browser = {
    document: { getElementById },
    location: { pathname: "/desktop/1", hash: "#ticket=a.b.c", href: "http://berth/desktop/1", protocol: "http:" },
    history: { replaceState: () => {} },
    sessionStorage: { setItem: () => {} },
    addEventListener: () => {},
    removeEventListener: () => {},
    fetch: async () => Response.json({ state: "running", reason: null, ...session }),
    WebSocket: ClosedSocket,
    Rfb,
  };
  for (const [name, value] of Object.entries(browser)) vi.stubGlobal(name, value);
  const source = readFileSync(new URL("../../page/desktop.ts", import.meta.url), "utf8");
  const script = stripTypeScriptTypes(source).replace(/^import RFB from .*$/m, "const RFB = globalThis.Rfb;");
  // Node runs a module once only, so each has its own last line.
  void import(`data:text/javascript,${encodeURIComponent(`${script}\n// ${reason}`)}`);
  return (id) => elements.get(id)?.textContent;
}

test.each([
  [4429, "The ticket has 10 desktops open. Close some of them.", "Refused for now"],
  [1006, "", "Connecting again…"],
])("a desktop whose WebSocket is closed with %i and %j says so", async (code, reason, headline) => {
  ClosedSocket.closing = { code, reason };
  const textOf = openPage(reason);
  await until(
    `the page says: ${headline}`,
    30,
    () => textOf("headline"),
    (text) => text === headline,
  );
  expect(textOf("detail")).toBe(reason || "The connection to the desktop was lost.");
});

test("the page of a session without a desktop says so, and asks for none", async () => {
  const textOf = openPage("no desktop", { desktop: false });
  await until(
    "the page says that there is no desktop",
    10,
    () => textOf("detail"),
    (text) => text === "The session has no desktop, because its image has none.",
  );
  expect(textOf("headline")).toBe("The desktop is not available");
});
