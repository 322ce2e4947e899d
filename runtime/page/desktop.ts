/** The desktop's page: waits until the session runs, connects noVNC to it, and connects again when the connection is lost. */
import RFB from "/assets/novnc/core/rfb.js";

interface Session {
  state: "queued" | "starting" | "running" | "stopping" | "stopped" | "failed";
  reason: string | null;
}

/** A key makes its own tickets; a ticket is all that a link holds. */
type Credential = { key: string } | { ticket: string };

/** The page can't go on without the user. */
class Halt extends Error {
  readonly next: "form" | "retry" | "nothing";
  constructor(message: string, next: Halt["next"]) {
    super(message);
    this.next = next;
  }
}

const element = <T extends HTMLElement = HTMLElement>(id: string): T => {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`no element #${id}`);
  return found as T;
};

const id = location.pathname.split("/").at(-1) ?? "";
const sessionUrl = `/v1/sessions/${encodeURIComponent(id)}`;
/** Where the credential is kept for a reload, in this tab only. */
const kept = `berth:${id}`;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

element("session").textContent = id;

let credential = takeCredential();

element<HTMLFormElement>("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const input = element<HTMLInputElement>("key");
  credential = keep({ key: input.value.trim() });
  input.value = "";
  void run();
});
element("retry").addEventListener("click", () => void run());
// Another #ticket= put into the address of an open page.
addEventListener("hashchange", () => {
  if (location.hash === "") return;
  takeCredential();
  location.reload();
});

await run();

/** From the address's fragment, which no server sees; taken out of the address at once. */
function takeCredential(): Credential | undefined {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const key = fragment.get("key");
  const ticket = fragment.get("ticket");
  if (key === null && ticket === null) {
    const before = sessionStorage.getItem(kept);
    return before === null ? undefined : (JSON.parse(before) as Credential);
  }
  history.replaceState(null, "", location.pathname);
  return keep(key !== null ? { key } : { ticket: ticket ?? "" });
}

function keep(given: Credential): Credential {
  sessionStorage.setItem(kept, JSON.stringify(given));
  return given;
}

async function run(): Promise<void> {
  try {
    for (let lost = 0; ; lost += 1) {
      await untilRunning(lost);
      const connected = await show();
      if (connected) lost = 0;
      cover("Connecting again…", "The connection to the desktop was lost.", "wait");
      await sleep(Math.min(5_000, 250 * 2 ** lost) * (0.75 + Math.random() / 2));
    }
  } catch (error) {
    const halt = error instanceof Halt ? error : new Halt(String(error), "retry");
    if (halt.next === "form") sessionStorage.removeItem(kept);
    cover(halt.next === "form" ? "Open this desktop" : "The desktop is not available", halt.message, "bad", halt.next);
  }
}

/** Asks for the session until it runs; throws Halt when it never will. */
async function untilRunning(attempt: number): Promise<void> {
  for (;;) {
    const session = await ask<Session>("GET", sessionUrl);
    switch (session.state) {
      case "running":
        if (attempt === 0) cover("Connecting…", "", "wait");
        return;
      case "queued":
        cover("Waiting in the queue", session.reason ?? "The session starts soon.", "wait");
        break;
      case "starting":
        cover("Starting", session.reason ?? "The session's pod is being made.", "wait");
        break;
      case "stopping":
      case "stopped":
        throw new Halt(`The session is ${session.state}. ${session.reason ?? ""}`, "nothing");
      case "failed":
        throw new Halt(`The session failed. ${session.reason ?? ""}`, "nothing");
    }
    await sleep(1_000);
  }
}

/** Shows the desktop until its connection ends; says whether it was ever connected. */
async function show(): Promise<boolean> {
  const address = new URL(`${sessionUrl}/desktop`, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  address.searchParams.set("ticket", await ticket());
  const socket = new WebSocket(address, ["binary"]);
  let connected = false;
  const screen = element("screen");
  const rfb = new RFB(screen, socket, { shared: true });
  rfb.scaleViewport = true;
  rfb.background = "transparent";
  const focus = () => rfb.focus();
  rfb.addEventListener("connect", () => {
    connected = true;
    element("cover").hidden = true;
    setStatus("Connected", "good");
    rfb.focus(); // so that keys work at once
    addEventListener("focus", focus);
  });
  await new Promise<void>((resolve) => rfb.addEventListener("disconnect", () => resolve()));
  removeEventListener("focus", focus);
  return connected;
}

async function ticket(): Promise<string> {
  if (credential !== undefined && "ticket" in credential) return credential.ticket;
  return (await ask<{ ticket: string }>("POST", `${sessionUrl}/desktop-tickets`)).ticket;
}

/** Calls the API, patiently where the network or the server has a bad moment; throws Halt where the user has to do something. */
async function ask<T>(method: string, path: string): Promise<T> {
  for (let failed = 0; ; failed += 1) {
    if (credential === undefined) throw new Halt("Enter a key of the session's tenant.", "form");
    const token = "key" in credential ? credential.key : credential.ticket;
    const response = await fetch(path, { method, headers: { authorization: `Bearer ${token}` } }).catch(
      () => undefined,
    );
    if (response?.ok) return (await response.json()) as T;
    if (response !== undefined && response.status < 500) {
      if (response.status === 401) {
        throw new Halt(
          "ticket" in credential
            ? "The link has expired. Ask for a new one, or enter a key."
            : "This key is not valid.",
          "form",
        );
      }
      const problem = (await response.json().catch(() => ({}))) as { detail?: string };
      throw new Halt(
        problem.detail ?? `The server answered ${response.status}.`,
        response.status === 404 ? "form" : "retry",
      );
    }
    cover(
      "Connecting again…",
      response === undefined ? "The server can't be reached." : "The server has a bad moment.",
      "wait",
    );
    await sleep(Math.min(5_000, 500 * 2 ** failed));
  }
}

/** Covers the screen with what is going on, and with what the user can do about it. */
function cover(headline: string, detail: string, tone: "wait" | "bad", next: Halt["next"] = "nothing"): void {
  element("cover").hidden = false;
  element("headline").textContent = headline;
  element("detail").textContent = detail;
  element("spinner").hidden = tone !== "wait";
  element("form").hidden = next !== "form";
  element("retry").hidden = next !== "retry";
  if (next === "form") element("key").focus();
  setStatus(headline, tone);
}

function setStatus(text: string, tone: "good" | "wait" | "bad"): void {
  const status = element("status");
  status.textContent = text;
  status.dataset.tone = tone;
}
