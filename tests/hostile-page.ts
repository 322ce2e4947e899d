/** A program that serves a hostile page in a session, and the page's attacks on the API and other pages in a real browser. */
import { until } from "@berth/testing/until.ts";
import type { Browser, Page } from "playwright-core";
import { actionMs } from "./browser.ts";

/** `call` of berth.ts without the parameter `key`: every call has the same API key. */
export type Call = (method: string, path: string, body?: unknown) => Promise<Response>;

/**
 * Serves a page, a service worker, a WebSocket echo at /ws, and the list of received requests at /seen. Python 3; the first
 * argument is the port.
 */
const server = `
import base64, hashlib, http.server, json, socketserver, struct, sys
seen = []
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *args): pass
    def answer(self, kind, text):
        data = text.encode()
        self.send_response(200)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(data))), ("Service-Worker-Allowed", "/")):
            self.send_header(name, value)
        self.send_header("Set-Cookie", "tossed-by-" + sys.argv[1] + "=1; Domain=localhost; Path=/")
        self.send_header("Set-Cookie", "berth-port=stolen; Path=/")
        self.end_headers()
        self.wfile.write(data)
    def do_GET(self):
        if self.path != "/seen":
            seen.append({"path": self.path, "cookie": self.headers.get("Cookie", "")})
        if self.headers.get("Upgrade", "").lower() == "websocket": return self.echo()
        if self.path == "/seen": return self.answer("application/json", json.dumps(seen))
        if self.path == "/sw.js":
            return self.answer("text/javascript", "onfetch = (e) => { if (e.request.url.endsWith('/caught')) e.respondWith(new Response('caught')) }; oninstall = () => skipWaiting(); onactivate = (e) => e.waitUntil(clients.claim())")
        self.answer("text/html", "<!doctype html><title>agent</title><h1>An agent's page</h1>")
    def echo(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        while True:
            head = self.rfile.read(2)
            if len(head) < 2 or head[0] & 15 == 8: break
            length = head[1] & 127
            mask = self.rfile.read(4)
            data = bytes(b ^ mask[i % 4] for i, b in enumerate(self.rfile.read(length)))
            self.wfile.write(bytes([head[0], length]) + data)
        self.close_connection = True
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer): daemon_threads = True
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
`;

/** Starts the program in the session, and returns the URL of the port when the program listens. */
export async function serveIn(call: Call, id: string, port: number): Promise<string> {
  const started = await call("POST", `/v1/sessions/${id}/processes`, {
    command: ["python3", "-c", server, String(port)],
    tag: `pages-${port}`,
  });
  if (!started.ok) throw new Error(`the program was not started: ${await started.text()}`);
  return until(
    `a program listens on port ${port}`,
    60,
    async () => {
      const { items } = (await (await call("GET", `/v1/sessions/${id}/ports`)).json()) as {
        items: { port: number; url: string }[];
      };
      return items.find((one) => one.port === port)?.url ?? "";
    },
    (url) => url !== "",
  );
}

export interface PortLink {
  id: string;
  url: string;
  token: string;
}

/** Creates a link to the port, which works in one browser, and a token for programs. */
export async function linkTo(call: Call, id: string, port: number): Promise<PortLink> {
  const made = await call("POST", `/v1/sessions/${id}/ports/${port}/links`, { lifetimeSeconds: 600 });
  if (made.status !== 201) throw new Error(`the link to the port was not created: ${await made.text()}`);
  return (await made.json()) as PortLink;
}

export interface Targets {
  apiUrl: string;
  /** The URL of a page of the API. */
  apiPage: string;
  /**
   * Links to two ports of one session. `link` leads to the hostile page, and `neighbourLink` to another page, which is called the
   * neighbour. Both pages are opened in the same browser.
   */
  link: string;
  neighbourLink: string;
}

/** The result of each attack, and the result of the same action where it is allowed, as a control. */
export type Outcomes = Record<string, { attempt: unknown; control: unknown }>;

/** Runs the code in the page, as scripts of the page could. An error gives the result `refused: …`. */
const tried = (page: Page, script: string): Promise<unknown> =>
  page.evaluate(`(async () => { ${script} })().catch((error) => "refused: " + error.name)`);

/** Opens all pages in one browser, as a user might, and runs the attacks. */
export async function attack(browser: Browser, { apiUrl, apiPage, link, neighbourLink }: Targets): Promise<Outcomes> {
  const context = await browser.newContext();
  context.setDefaultTimeout(actionMs);
  try {
    const api = await context.newPage();
    await api.goto(apiPage);
    await api.evaluate(`localStorage.setItem("secret", "api"); document.cookie = "secret=api; path=/"`);
    const neighbour = await context.newPage();
    await neighbour.goto(neighbourLink);
    const neighbourUrl = neighbour.url();
    const agent = await context.newPage();
    await agent.goto(link);
    const own = agent.url();
    const text = (value: string) => JSON.stringify(value);
    const outcomes: Outcomes = {};

    const storage = `return [localStorage.getItem("secret"), /secret=api/.test(document.cookie)]`;
    outcomes.storage = { attempt: await tried(agent, storage), control: await tried(api, storage) };

    const read = `return (await fetch(${text(`${apiUrl}/v1/sessions`)}, { credentials: "include" })).status`;
    outcomes.fetch = { attempt: await tried(agent, read), control: await tried(api, read) };

    const frame = (url: string) => `
      const frame = document.body.appendChild(document.createElement("iframe"));
      await new Promise((done) => { frame.onload = done; frame.src = ${text(url)}; });
      return frame.contentWindow.document.documentElement.outerHTML.length > 0 && frame.contentWindow.location.href`;
    outcomes.frame = { attempt: await tried(agent, frame(apiPage)), control: await tried(agent, frame(own)) };
    outcomes.neighboursFrame = {
      attempt: await tried(agent, frame(neighbourUrl)),
      control: await tried(agent, frame(own)),
    };

    const opened = async (from: Page) => {
      const [popup] = await Promise.all([
        context.waitForEvent("page"),
        from.evaluate(`void window.open(${text(own)})`),
      ]);
      await popup.waitForLoadState();
      const seen = await tried(
        popup,
        `return opener === null ? "no opener" : opener.document.title + opener.localStorage.length`,
      );
      await popup.close();
      return seen;
    };
    outcomes.opener = { attempt: await opened(api), control: await opened(agent) };

    // The hostile page tries to set cookies: one for its own host, one for each parent domain of this host, one for the API's host,
    // and one for the neighbour's host.
    const host = new URL(own).hostname;
    const domains = host.split(".").map((_, at, parts) => parts.slice(at).join("."));
    for (const domain of [...domains, new URL(apiUrl).hostname, new URL(neighbourUrl).hostname]) {
      await agent.evaluate(`document.cookie = ${text(`tossed=1; path=/; domain=${domain}`)}`);
    }
    await agent.evaluate(`document.cookie = "berth-port=tossed; path=/x"; document.cookie = "own=1; path=/"`);
    const header = `tossed-by-${host.split("-")[0]}`;
    const cookiesAt = async (url: string) =>
      (await context.cookies(url))
        .flatMap(({ name }) => (["tossed", "own", header].includes(name) ? [name] : []))
        .sort();
    outcomes.cookies = {
      attempt: [...(await cookiesAt(apiUrl)), ...(await cookiesAt(neighbourUrl))],
      control: await cookiesAt(own),
    };
    outcomes.accessCookie = {
      attempt: await tried(agent, `return /berth-port=(?!tossed)/.test(document.cookie)`),
      control: (await agent.reload())?.status(), // Berth's access cookie still works in spite of all cookies set above
    };

    const worker = (scriptUrl: string) => `
      await navigator.serviceWorker.register(${text(scriptUrl)}, { scope: new URL("/", ${text(scriptUrl)}).href });
      while (!navigator.serviceWorker.controller)
        await new Promise((done) => navigator.serviceWorker.addEventListener("controllerchange", done, { once: true }));
      return (await fetch("/caught")).text()`;
    outcomes.serviceWorker = {
      attempt: await tried(agent, worker(`${apiUrl}/sw.js`)),
      control: await tried(agent, worker(new URL("/sw.js", own).href)),
    };
    await api.reload();
    outcomes.serviceWorkerOfApi = {
      attempt: await tried(api, `return (await navigator.serviceWorker.getRegistrations()).length`),
      control: await tried(agent, `return (await navigator.serviceWorker.getRegistrations()).length`),
    };

    // The hostile page sends a request to the neighbour, although it can't read the response, and opens a WebSocket to the
    // neighbour. The browser adds the neighbour's cookie to both.
    const blind = (url: string) => `
      await fetch(${text(`${url}blind`)}, { mode: "no-cors", credentials: "include" });
      return "sent"`;
    const socket = (url: string) => `
      return await new Promise((done) => {
        const socket = new WebSocket(${text(`${url.replace(/^http/, "ws")}ws`)});
        socket.onopen = () => socket.send("hello");
        socket.onmessage = ({ data }) => done(data);
        socket.onerror = () => done("refused");
      })`;
    await tried(agent, blind(neighbourUrl));
    await tried(agent, blind(own));
    outcomes.neighboursSocket = {
      attempt: await tried(agent, socket(neighbourUrl)),
      control: await tried(agent, socket(own)),
    };
    const seenAt = (page: Page) => tried(page, `return (await (await fetch("/seen")).json()).map(({ path }) => path)`);
    const seen = async (page: Page) =>
      ((await seenAt(page)) as string[]).filter((path) => path === "/blind" || path === "/ws");
    outcomes.neighboursProgram = { attempt: await seen(neighbour), control: await seen(agent) };
    const leaked = `return (await (await fetch("/seen")).json()).map(({ cookie }) => cookie).join()`;
    const cookies = String(await tried(agent, leaked));
    outcomes.cookiesOfProgram = { attempt: /berth-port/.test(cookies), control: /own=1/.test(cookies) };
    return outcomes;
  } finally {
    await context.close();
  }
}

/** The expected results of the attacks and controls. */
export const expected = (own: string): Outcomes => ({
  storage: { attempt: [null, false], control: ["api", true] },
  fetch: { attempt: "refused: TypeError", control: 401 },
  frame: { attempt: "refused: SecurityError", control: own },
  neighboursFrame: { attempt: "refused: SecurityError", control: own },
  opener: { attempt: "refused: SecurityError", control: "agent0" },
  cookies: { attempt: [], control: ["own", "tossed", `tossed-by-${new URL(own).hostname.split("-")[0]}`] },
  accessCookie: { attempt: false, control: 200 },
  serviceWorker: { attempt: "refused: SecurityError", control: "caught" },
  serviceWorkerOfApi: { attempt: 0, control: 1 },
  neighboursSocket: { attempt: "refused", control: "hello" },
  neighboursProgram: { attempt: [], control: ["/blind", "/ws"] },
  cookiesOfProgram: { attempt: false, control: true },
});
