/**
 * Compares the bytes per second of a desktop through the API with those through a bare TCP forwarder in the API's place, on the
 * stack `dev`. If everything shares two cores, every process between user and pod costs much. The figures against a direct
 * connection to the pod show how much the API and the forwarder cost.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { WebSocket } from "ws";
import { call, core, desktopUrl, keyOf, reaches, type Session } from "../berth.ts";
import { median, report } from "./report.ts";

const acme = keyOf("acme");
const namespace = "tenant-acme";
const frames = 40;

/** Requests complete raw frames of 4 MB, one after another. Returns the bytes per second. */
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
    const request = Buffer.from([3, 0, 0, 0, 0, 0, 0x05, 0x00, 0x03, 0x20]); // the whole screen of 1280 × 800
    // The size of the frame's header, the header of one rectangle, and four bytes per pixel. A frame of several rectangles is
    // longer, because each rectangle has a header.
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

let forwarder: ChildProcess | undefined;
const { id } = (await (await call(acme, "POST", "/v1/sessions", { tier: "small" })).json()) as Session;
try {
  await reaches(acme, id, "running");
  const at = { namespace, name: `agent-${id}` };
  const [pod, secret] = await Promise.all([core.readNamespacedPod(at), core.readNamespacedSecret(at)]);
  const token = Buffer.from(secret.data?.tokens ?? "", "base64")
    .toString()
    .split(":")[0];
  // The benchmark runs on the node, so it reaches the pod in spite of the network policies.
  const direct = `ws://${pod.status?.podIP}:6080/websockify?token=${token}`;
  const through = desktopUrl(id);
  const port = 23_050;
  const program = join(import.meta.dirname, "bare-forwarder.ts");
  forwarder = spawn(process.execPath, [program, `${port}`, `${pod.status?.podIP}`, "6080"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(forwarder.stdout as Readable, "data");
  const forwarded = `ws://127.0.0.1:${port}/websockify?token=${token}`;
  const ratios: Record<"api" | "direct" | "forwarder", number[]> = { api: [], direct: [], forwarder: [] };
  for (let round = 0; round < 5; round += 1) {
    const straight = await bytesPerSecond(direct);
    const least = await bytesPerSecond(forwarded);
    const api = await bytesPerSecond(through, { authorization: `Bearer ${acme}` });
    const [a, b, c] = [straight, least, api].map((rate) => (rate / 1e6).toFixed(0));
    console.error(`  direct ${a} MB/s, through a bare forwarder ${b} MB/s, through the API ${c} MB/s`);
    ratios.api.push(api / least);
    ratios.direct.push(api / straight);
    ratios.forwarder.push(least / straight);
  }
  report("desktop-bytes", median(ratios.api), ">=0.9");
  report("desktop-bytes-direct", median(ratios.direct), "-");
  report("desktop-bytes-bare-forwarder-direct", median(ratios.forwarder), "-");
} finally {
  forwarder?.kill();
  await call(acme, "DELETE", `/v1/sessions/${id}`);
}
