/** Bytes per second of a desktop, through the API against a direct connection to the pod, on the stack `dev`. */
import { WebSocket } from "ws";
import { apiUrl, call, core, keyOf, reaches, type Session } from "../berth.ts";
import { median, report } from "./report.ts";

const acme = keyOf("acme");
const namespace = "tenant-acme";
const frames = 40;

/** Asks for whole raw frames of 4 MB, one after the other; returns bytes per second. */
async function bytesPerSecond(url: string, headers: Record<string, string> = {}): Promise<number> {
  const socket = new WebSocket(url, ["binary"], { headers, perMessageDeflate: false });
  let total = 0;
  let wanted = 0;
  let wake = () => {};
  let problem: Error | undefined;
  const fail = (error: Error) => {
    problem = error;
    wake();
  };
  socket.on("error", fail);
  socket.on("close", (code, reason) => fail(new Error(`the desktop closed: ${code} ${reason}`)));
  socket.on("message", (data: Buffer) => {
    total += data.length;
    if (total >= wanted) wake();
  });
  const received = async (bytes: number): Promise<void> => {
    wanted = bytes;
    while (total < wanted) {
      if (problem !== undefined) throw problem;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  try {
    await received(12); // "RFB 003.008\n"
    socket.send(Buffer.from("RFB 003.008\n"));
    await received(12 + 2); // one security type: None
    socket.send(Buffer.from([1]));
    await received(14 + 4);
    socket.send(Buffer.from([1])); // shared
    await received(18 + 24 + "Berth".length);
    socket.send(Buffer.from([2, 0, 0, 1, 0, 0, 0, 0])); // SetEncodings: Raw
    const request = Buffer.from([3, 0, 0, 0, 0, 0, 0x05, 0x00, 0x03, 0x20]); // the whole of 1280 × 800
    // A frame's header, its one rectangle's, and four bytes a pixel; more if the server sends it in several rectangles.
    const frame = 4 + 12 + 1280 * 800 * 4;
    const ask = async () => {
      const before = total;
      socket.send(request);
      await received(before + frame);
    };
    await ask();
    const [began, before] = [performance.now(), total];
    for (let count = 0; count < frames; count += 1) await ask();
    return (total - before) / ((performance.now() - began) / 1000);
  } finally {
    socket.removeAllListeners("close");
    socket.terminate();
  }
}

const { id } = (await (await call(acme, "POST", "/v1/sessions", { tier: "small" })).json()) as Session;
try {
  await reaches(acme, id, "running");
  const at = { namespace, name: `agent-${id}` };
  const [pod, secret] = await Promise.all([core.readNamespacedPod(at), core.readNamespacedSecret(at)]);
  const token = Buffer.from(secret.data?.tokens ?? "", "base64")
    .toString()
    .split(":")[0];
  // The pod is reached from its node, past the network policies.
  const direct = `ws://${pod.status?.podIP}:6080/websockify?token=${token}`;
  const through = new URL(`/v1/sessions/${id}/desktop`, apiUrl.replace(/^http/, "ws")).href;
  const ratios: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    const straight = await bytesPerSecond(direct);
    const api = await bytesPerSecond(through, { authorization: `Bearer ${acme}` });
    console.error(`  direct ${(straight / 1e6).toFixed(0)} MB/s, through the API ${(api / 1e6).toFixed(0)} MB/s`);
    ratios.push(api / straight);
  }
  report("desktop-bytes", median(ratios), ">=0.8");
} finally {
  await call(acme, "DELETE", `/v1/sessions/${id}`);
}
