/** Tests the container of the agent image: its desktop, and what happens when a part of the desktop ends. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { until } from "@berth/testing/until.ts";
import { expect, test } from "vitest";
import { type Container, run } from "../testing/container.ts";
import { agent, berthd } from "../testing/image.ts";

const writable = ["--tmpfs=/tmp", "--tmpfs=/home/agent/workspace:uid=10001,gid=10001"];
const view = await readFile(join(import.meta.dirname, "testing/view.py"), "utf8");
const client = await readFile(join(import.meta.dirname, "testing/client.py"), "utf8");

async function desktop(environment: Record<string, string> = {}): Promise<Container> {
  const env = Object.entries(environment).map(([name, value]) => `--env=${name}=${value}`);
  const container = await run(agent, [...writable, ...env]);
  await until("the desktop is there", 60, () => container.exec(["berthd", "ready"]));
  return container;
}

/** Runs a VNC client for the desktop; see testing/client.py. */
const vnc = (container: Container, ...command: string[]) => container.exec(["python3", "-", ...command], client);

/** Pastes a command that fills the terminal with a long word, until the terminal has run the command. */
const fillTerminal = (container: Container) =>
  until(
    "the terminal takes keys",
    60,
    async () => {
      await vnc(container, "paste", "for i in {1..900}; do printf berth; done; touch pasted");
      return container.exec(["ls"]);
    },
    (files) => files.includes("pasted"),
  );

const pidIn = (container: Container, program: string) => container.exec(["pidof", program]);

test("the desktop starts without privileges on a read-only root, and ends with 143 on SIGTERM, because an eviction is not a success", async () => {
  const container = await desktop();
  expect(await container.stop(20)).toBe(143);
});

test("environment variables set the desktop's size, depth and DPI, and a wrong value gives an error that names the rule", async () => {
  const container = await desktop({
    SCREEN_WIDTH: "1000",
    SCREEN_HEIGHT: "700",
    SCREEN_DEPTH: "16",
    SCREEN_DPI: "144",
  });
  expect(await vnc(container, "size")).toBe("1000 700 16");
  expect(await container.exec(["cat", "/proc/1/cmdline"])).toBe("berthd\0session\0");
  expect(await container.exec(["sh", "-c", "tr '\\0' ' ' < /proc/$(pidof Xtigervnc Xvnc)/cmdline"])).toContain(
    " -dpi 144 ",
  );

  const wrong = await run(agent, [...writable, "--env=SCREEN_DPI=9"]);
  await wrong.end();
  expect(await wrong.logs()).toContain("SCREEN_DPI must be a whole number from 48 to 480, but is '9'");
});

test("a VNC client can change the size of the desktop, and copy and paste work", async () => {
  const container = await desktop();
  expect(await vnc(container, "resize", "900", "640")).toBe("900 640");
  await fillTerminal(container);
  await until(
    "a double click copies the text",
    60,
    () => vnc(container, "copy", "450", "320"),
    (copied) => copied.includes("berthberth"),
  );
});

test("a client with the view-only password gets the picture, but not the clipboard", async () => {
  const container = await desktop();
  await fillTerminal(container);
  const [, seen] = await until(
    "a double click copies the text",
    60,
    async () => (await container.exec(["python3", "-", "450", "320"], view)).split("\n"),
    ([copied]) => copied?.includes("berthberth") ?? false,
  );
  expect(seen).toBe("picture");
});

test("VNC listens on localhost only", async () => {
  const container = await desktop();
  const listening = async () => {
    const table = await container.exec(["cat", "/proc/net/tcp", "/proc/net/tcp6"]);
    // In IPv6, the address for "all interfaces" has more zeros than in IPv4.
    return (table.match(/\S+:[0-9A-F]{4} \S+:0000 0A/g) ?? []).map((line) => line.replace(/^0+:| .*/g, "")).sort();
  };
  // VNC listens on port 5900 of localhost (170C in hex). berthd listens on ports 6081 and 6082 (17C1 and 17C2).
  expect(await listening()).toEqual(["0100007F:170C", "17C1", "17C2"]);
});

test("a crashed window manager is restarted, and the screen and its windows stay", async () => {
  const container = await desktop();
  await until("a terminal runs", 60, () => pidIn(container, "xterm"));
  const others = await Promise.all([pidIn(container, "xterm"), pidIn(container, "Xvnc")]);
  const first = await pidIn(container, "openbox");
  await container.exec(["bash", "-c", `kill -9 ${first}`]);
  await until(
    "another window manager runs",
    60,
    () => pidIn(container, "openbox"),
    (pid) => pid !== first,
  );
  expect(await Promise.all([pidIn(container, "xterm"), pidIn(container, "Xvnc")])).toEqual(others);
});

test("if the X server dies, the container ends with an error that says so", async () => {
  const container = await desktop();
  await container.exec(["bash", "-c", "kill -9 $(pidof Xvnc)"]);
  await container.end();
  expect(await container.inspect(".State.ExitCode")).toBe("1");
  expect(await container.logs()).toContain("the X server ended with code 137");
});

test("orphaned processes of the agent's programs are reaped", async () => {
  const container = await desktop();
  await container.exec(["bash", "-c", "for i in {1..100}; do (sleep 0.01 & echo $! >>/tmp/pids); done"]);
  expect((await container.exec(["sort", "-u", "/tmp/pids"])).split("\n")).toHaveLength(100);
  const left = ["bash", "-c", "for pid in $(</tmp/pids); do [[ ! -e /proc/$pid ]] || echo $pid; done"];
  await until(
    "none of them is left",
    60,
    () => container.exec(left),
    (pids) => pids === "",
  );
});

test("the VNC proxy starts with the pod's restrictions, and ends with 0 on SIGTERM", async () => {
  const container = await run(berthd, [], ["vnc-proxy"]);
  await until("it listens on port 6080", 60, container.logs, (said) => said.includes("listens at [::]:6080"));
  expect(await container.stop(20)).toBe(0);
});
