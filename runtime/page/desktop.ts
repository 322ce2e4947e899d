/**
 * The desktop's page: waits until the session is running, connects noVNC to the session, and reconnects after a lost
 * connection.
 */
import RFB from "./novnc/core/rfb.js";

interface Session {
  state: "queued" | "starting" | "running" | "suspending" | "suspended" | "stopping" | "stopped" | "failed";
  reason: string | null;
  /** An API of an older version does not send this field; all its sessions have a desktop. */
  desktop?: boolean;
}

/** With a key, the page makes its own tickets. A link that a user shares contains only a ticket. */
type Credential = { key: string } | { ticket: string };

/** The close code if a user has closed the connection through the API. The page then does not reconnect by itself. */
const closedByApi = 4403;

/**
 * The close code if too many connections are open or the viewer sends too much, and the milliseconds that the page then
 * waits.
 */
const tooMuch = { code: 4429, pauseMs: 10_000 };

/** An error after which the page does not continue by itself. `next` says what the page offers to the user. */
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
/** The name under which the tab's session storage has the credential, so that the credential survives a reload. */
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
element("open-clipboard").addEventListener("click", () => {
  if (toggle("clipboard")) element("clipboard-text").focus();
});
element("copy-clipboard").addEventListener("click", () => {
  const text = element<HTMLTextAreaElement>("clipboard-text");
  // Pages without TLS have no `navigator.clipboard`, so the text is selected and the user presses Ctrl+C.
  text.select();
  navigator.clipboard?.writeText(text.value).catch(() => {});
});
element("open-share").addEventListener("click", () => {
  share().catch(() => {
    element<HTMLInputElement>("share-link").value = "The server can't be reached.";
  });
});
// The user has changed the key or ticket in the address of the open page.
addEventListener("hashchange", () => {
  if (location.hash === "") return;
  takeCredential();
  location.reload();
});

await run();

/** Reads the credential from the URL's fragment, which no server sees, and removes the credential from the URL. */
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
      const { connected, refusal } = await show();
      if (connected) lost = 0;
      if (refusal === undefined) cover("Connecting again…", "The connection to the desktop was lost.", "wait");
      else cover("Refused for now", refusal, "wait");
      const pauseMs = refusal === undefined ? Math.min(5_000, 250 * 2 ** lost) : tooMuch.pauseMs;
      await sleep(pauseMs * (0.75 + Math.random() / 2));
    }
  } catch (error) {
    const halt = error instanceof Halt ? error : new Halt(String(error), "retry");
    if (halt.next === "form") sessionStorage.removeItem(kept);
    cover(halt.next === "form" ? "Open this desktop" : "The desktop is not available", halt.message, "bad", halt.next);
  }
}

/** Polls the session until it is running. Throws Halt if the session is ending, has ended, is suspended or has no desktop. */
async function untilRunning(attempt: number): Promise<void> {
  for (;;) {
    const session = await ask<Session>("GET", sessionUrl);
    if (session.desktop === false) throw new Halt("The session has no desktop, because its image has none.", "nothing");
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
      case "suspending":
      case "suspended":
        throw new Halt(`The session is ${session.state}. Its desktop comes back when it is resumed.`, "retry");
      case "stopping":
      case "stopped":
        throw new Halt(`The session is ${session.state}. ${session.reason ?? ""}`, "nothing");
      case "failed":
        throw new Halt(`The session failed. ${session.reason ?? ""}`, "nothing");
    }
    await sleep(1_000);
  }
}

/**
 * Shows the desktop until the connection ends. Returns whether the connection was ever open, and the reason of a
 * refusal.
 */
async function show(): Promise<{ connected: boolean; refusal: string | undefined }> {
  const address = new URL(`${sessionUrl}/desktop`, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  address.searchParams.set("ticket", await ticket());
  const socket = new WebSocket(address, ["binary"]);
  let connected = false;
  let [refusal, closed]: (string | undefined)[] = [];
  socket.addEventListener("close", ({ code, reason }) => {
    if (code === tooMuch.code) refusal = reason;
    if (code === closedByApi) closed = reason;
  });
  const screen = element("screen");
  const rfb = new RFB(screen, socket, { shared: true });
  rfb.scaleViewport = true;
  rfb.background = "transparent";
  rfb.viewOnly = isViewer(); // the server also ignores a viewer's input
  const focus = () => rfb.focus();
  const leaveClipboard = shareClipboard(rfb);
  rfb.addEventListener("connect", () => {
    connected = true;
    element("cover").hidden = true;
    setStatus("Connected", "good");
    offerPanels();
    rfb.focus(); // so that the keyboard works at once
    addEventListener("focus", focus);
  });
  await new Promise<void>((resolve) => rfb.addEventListener("disconnect", () => resolve()));
  removeEventListener("focus", focus);
  leaveClipboard();
  if (closed !== undefined) throw new Halt(closed, "retry");
  return { connected, refusal };
}

/** Whether the link allows the user only to view the desktop. */
function isViewer(): boolean {
  if (credential === undefined || "key" in credential) return false;
  const [, claims = ""] = credential.ticket.split(".");
  try {
    return JSON.parse(atob(claims.replace(/-/g, "+").replace(/_/g, "/"))).mode === "view";
  } catch {
    return false;
  }
}

/**
 * A text that the user copies in the desktop appears in the panel, and a text that the user types into the panel can be
 * pasted in the desktop. The page writes to the clipboard of the user's computer only after a click, because otherwise a
 * hostile desktop could put a command there.
 */
function shareClipboard(rfb: RFB): () => void {
  const text = element<HTMLTextAreaElement>("clipboard-text");
  const send = () => rfb.clipboardPasteFrom(text.value);
  text.addEventListener("input", send);
  rfb.addEventListener("clipboard", ({ detail }) => {
    text.value = detail.text;
  });
  return () => text.removeEventListener("input", send);
}

/** Shows the buttons that work for this user: a viewer has no clipboard, and only a user with a key can make links. */
function offerPanels(): void {
  element("mode").hidden = !isViewer();
  element("open-clipboard").hidden = isViewer();
  element("open-share").hidden = credential === undefined || !("key" in credential);
}

/** Opens or closes the panel. Returns whether the panel is open now. */
function toggle(name: "clipboard" | "share"): boolean {
  const opens = element(name).hidden !== false;
  for (const panel of ["clipboard", "share"] as const) {
    element(panel).hidden = panel !== name || !opens;
    element(`open-${panel}`).setAttribute("aria-expanded", String(panel === name && opens));
  }
  return opens;
}

async function share(): Promise<void> {
  if (!toggle("share") || credential === undefined || !("key" in credential)) return;
  const link = element<HTMLInputElement>("share-link");
  link.value = "…";
  const response = await fetch(`${sessionUrl}/desktop-tickets`, {
    method: "POST",
    headers: { authorization: `Bearer ${credential.key}`, "content-type": "application/json" },
    body: JSON.stringify({ mode: "view", lifetimeSeconds: 3600 }),
  });
  const { url, detail } = (await response.json()) as { url?: string; detail?: string };
  link.value = url ?? detail ?? `The server answered ${response.status}.`;
  link.select();
  if (url !== undefined) await navigator.clipboard?.writeText(url).catch(() => {});
}

async function ticket(): Promise<string> {
  if (credential !== undefined && "ticket" in credential) return credential.ticket;
  return (await ask<{ ticket: string }>("POST", `${sessionUrl}/desktop-tickets`)).ticket;
}

/**
 * Calls the API. After a network error, 429 or 5xx, calls it again until it answers otherwise. Throws Halt after other errors.
 */
async function ask<T>(method: string, path: string): Promise<T> {
  for (let failed = 0; ; failed += 1) {
    if (credential === undefined) throw new Halt("Enter a key of the session's tenant.", "form");
    const token = "key" in credential ? credential.key : credential.ticket;
    const response = await fetch(path, { method, headers: { authorization: `Bearer ${token}` } }).catch(
      () => undefined,
    );
    if (response?.ok) return (await response.json()) as T;
    if (response !== undefined && response.status < 500 && response.status !== 429) {
      if (response.status === 401) {
        throw new Halt(
          "ticket" in credential
            ? "The link has expired or was revoked. Ask for a new link, or enter a key."
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
    cover("Connecting again…", response === undefined ? "The server can't be reached." : "The server is busy.", "wait");
    await sleep(Math.min(5_000, 500 * 2 ** failed));
  }
}

/** Covers the screen with a text about the current status, and with what the user can do. */
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
