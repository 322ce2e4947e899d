/** A trial session: its start, its desktop and its end. The way to the API is a forwarded port, so no Ingress is needed. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { CoreV1Api, type KubeConfig, PortForward } from "@kubernetes/client-node";
import { type Progress, poll } from "./poll.ts";
import type { SessionTrial } from "./tries.ts";

/** How many seconds the trial waits until its session runs; after that, the check fails. The start may need a new node. */
const startSeconds = 300;

interface Session {
  id: string;
  state: string;
  reason: string | null;
  workspace: { keptUntil: string | null };
}

/** The pods that are the gateway. */
interface GatewayPods {
  /** The platform's namespace. */
  namespace: string;
  component: "api" | "gateway";
}

/** @param key a tenant's API key */
export async function trySession(kubeconfig: KubeConfig, pods: GatewayPods, key: string): Promise<SessionTrial> {
  await using way = await forward(kubeconfig, pods);
  const call = async (method: string, path: string, body?: object): Promise<unknown> => {
    const response = await fetch(`http://${way.host}${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, ...(body && { "content-type": "application/json" }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const { ok, status } = response;
    if (!ok)
      throw Object.assign(new Error(`${method} ${path} answers HTTP ${status}: ${text.slice(0, 300)}`), { status });
    return text === "" ? undefined : JSON.parse(text);
  };
  const begin = performance.now();
  const { id } = (await call("POST", "/v1/sessions", { tier: "small", labels: { doctor: "true" } })) as Session;
  const show = async () => {
    await poll(startSeconds, async () => {
      const { state, reason } = (await call("GET", `/v1/sessions/${id}`)) as Session;
      if (state === "failed") throw new Error(`the session ${id} has failed: ${reason}`);
      if (state === "running") return { done: true };
      return { waitsFor: `the session ${id} doesn't run (${state})`, because: reason ?? "" };
    });
    const seconds = (performance.now() - begin) / 1000;
    const { ticket } = (await call("POST", `/v1/sessions/${id}/desktop-tickets`, { mode: "interactive" })) as {
      ticket: string;
    };
    const desktop = await desktopSize(`ws://${way.host}/v1/sessions/${id}/desktop?ticket=${ticket}`);
    return { seconds, desktop };
  };
  const [shown] = await Promise.allSettled([show()]);
  await call("DELETE", `/v1/sessions/${id}`);
  const find = () => call("GET", `/v1/sessions/${id}`).catch(ifMissing) as Promise<Session | undefined>;
  const keptUntil = await poll(120, async () => ended(await find(), id), null);
  if (shown.status === "fulfilled") return { id, ...shown.value, keptUntil };
  if (keptUntil === null) throw shown.reason;
  throw new Error(`${(shown.reason as Error).message}. The session's workspace stays until ${keptUntil}`);
}

/**
 * Whether the session has ended, and if so, until when its workspace is kept. The API reports `stopped` or `failed` only when
 * nothing of the session runs any more. `session` is undefined if the API has deleted the session.
 */
const ended = (session: Session | undefined, id: string): Progress<string | null> => {
  const { state, workspace } = session ?? { state: "stopped", workspace: { keptUntil: null } };
  return state === "stopped" || state === "failed"
    ? { done: workspace.keptUntil }
    : { waitsFor: `the session ${id} has not ended (${state})`, because: "" };
};

const ifMissing = (error: Error & { status?: number }) => {
  if (error.status !== 404) throw error;
};

/** Forwards a port of this machine to port 3000 of a ready pod of the component. */
async function forward(kubeconfig: KubeConfig, { namespace, component }: GatewayPods) {
  const { items } = await kubeconfig.makeApiClient(CoreV1Api).listNamespacedPod({
    namespace,
    labelSelector: `app.kubernetes.io/name=${component}`,
  });
  const pod = items.find(({ status }) =>
    status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True"),
  );
  const name = pod?.metadata?.name;
  if (name === undefined) throw new Error(`no pod of ${component} is ready in the namespace ${namespace}`);
  // A server that closes keeps its open connections, and each of them would keep the doctor running.
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket.on("error", () => socket.destroy()));
    new PortForward(kubeconfig).portForward(namespace, name, [3000], socket, null, socket).then(
      (forwarded) => {
        const end = () => (typeof forwarded === "function" ? forwarded() : forwarded)?.close();
        if (socket.destroyed) end();
        else socket.once("close", end);
      },
      (error: Error) => socket.destroy(error),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

/** The desktop's width and height, by the handshake of RFB 3.8 (RFC 6143) without a password. */
async function desktopSize(url: string): Promise<[number, number]> {
  const socket = new WebSocket(url, ["binary"]);
  socket.binaryType = "arraybuffer";
  const { promise, resolve, reject } = Promise.withResolvers<[number, number]>();
  const timer = setTimeout(() => reject(new Error("the desktop doesn't answer within 30 s")), 30_000);
  const handshake = handshakeOf((answer) => socket.send(answer));
  socket.onmessage = ({ data }) => {
    const size = handshake(Buffer.from(data as ArrayBuffer));
    if (size) resolve(size);
  };
  socket.onclose = ({ code }) => reject(new Error(`the desktop's WebSocket was closed with ${code}`));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.onclose = null;
    socket.close();
  }
}

/**
 * The client's side of the handshake. The returned function takes bytes of the server, and returns the desktop's size as
 * soon as the size is known.
 */
export function handshakeOf(
  send: (answer: Uint8Array<ArrayBuffer>) => void,
): (data: Buffer) => [number, number] | undefined {
  let rest = Buffer.alloc(0);
  let step = 0;
  /** For each step: how many bytes the server sends, and the client's answer. */
  const steps: { length: () => number; answer: Uint8Array<ArrayBuffer> | undefined }[] = [
    { length: () => 12, answer: new Uint8Array(Buffer.from("RFB 003.008\n")) }, // the version
    { length: () => 1 + (rest[0] ?? 0), answer: new Uint8Array([1]) }, // the security types; 1 is without a password
    { length: () => 4, answer: new Uint8Array([1]) }, // the result; the answer leaves other viewers connected
  ];
  return (data) => {
    rest = Buffer.concat([rest, data]);
    for (;;) {
      const current = steps[step];
      if (current === undefined) return rest.length >= 4 ? [rest.readUInt16BE(0), rest.readUInt16BE(2)] : undefined;
      if (rest.length === 0 || rest.length < current.length()) return undefined;
      rest = rest.subarray(current.length());
      if (current.answer) send(current.answer);
      step += 1;
    }
  };
}
