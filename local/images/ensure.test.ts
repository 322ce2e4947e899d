import { beforeEach, expect, test, vi } from "vitest";
import { machine } from "../../machine/machine.ts";
import { docker } from "../docker.ts";
import { imageTasks } from "./ensure.ts";
import { type BaseImage, baseImages } from "./list.ts";

vi.mock("../docker.ts", () => ({ docker: vi.fn() }));

const tasks = imageTasks(["registry", "docker"], {
  prometheus: { title: "Prometheus", run: async () => {} },
  adapter: { title: "adapter", needs: ["kubernetesBuild"], run: async () => {} },
});

test("an image that has a program waits for its compile, and all wait for the image below", () => {
  expect(tasks["image-prometheus"]?.needs).toEqual(["images", "prometheus", "image-debian"]);
  expect(tasks["image-redis"]?.needs).toEqual(["images", "image-debian"]);
  expect(tasks["image-debian"]?.needs).toEqual(["images"]);
  expect(tasks.adapter).toMatchObject({ needs: ["images", "kubernetesBuild"], computes: true });
});

test("where nothing has to be made, nothing is compiled", () => {
  const idle = Object.entries(tasks).filter(([, task]) => task.idle?.());
  expect(idle.map(([name]) => name)).toEqual([
    "prometheus",
    "adapter",
    ...baseImages.map(({ recipe }) => `image-${recipe}`),
  ]);
});

const { run: obtain } = tasks.images ?? {};
const [debian] = baseImages as [BaseImage];
const pins = ["1", "2"].map((digit) => `sha256:${digit.repeat(64)}`) as [string, string];

/** The images of the local registry by name. The content of an image is the digest under which it was pulled. */
const images = new Map<string, string>();

beforeEach(() => {
  images.clear();
  vi.stubGlobal("fetch", async (to: string, { method, body }: RequestInit = {}) => {
    if (to.startsWith("https:")) return new Response(); // each image's own registry can be reached
    if (to.includes("/blobs/")) return Response.json({ config: {} }); // no label: the image is an original
    const name = to.replace(`http://${machine.registry}/v2/`, "").replace("/manifests/", ":");
    if (method === "PUT") images.set(name, JSON.parse(String(body)).config.digest);
    const digest = images.get(name);
    return digest === undefined ? new Response(null, { status: 404 }) : Response.json({ config: { digest } });
  });
  const tagged = new Map<string, string>();
  vi.mocked(docker).mockImplementation(async ([command, from = "", to = ""]) => {
    if (command === "tag") tagged.set(to, from.replace(/.*@/, ""));
    if (command === "push") images.set(to.replace(`${machine.registry}/`, ""), tagged.get(to) ?? "");
    return "";
  });
  return () => vi.unstubAllGlobals();
});

test("after a change of the pin, the original of the new pin replaces that of the old pin, also back and forth", async () => {
  const seen: unknown[] = [];
  for (const digest of [...pins, ...pins, pins[1]]) {
    debian.digest = digest;
    seen.push([await obtain?.(), images.get(debian.tag)]);
  }
  const others = baseImages.length - 1;
  expect(seen).toEqual([
    [`${baseImages.length} pulled`, pins[0]],
    [`1 pulled, ${others} there`, pins[1]],
    [`${baseImages.length} there`, pins[0]],
    [`${baseImages.length} there`, pins[1]],
    [`${baseImages.length} there`, pins[1]],
  ]);
});

test("if the original of the new pin can't be pulled, the original of the old pin stays", async () => {
  debian.digest = pins[0];
  await obtain?.();
  vi.mocked(docker).mockRejectedValue(new Error("toomanyrequests"));
  debian.digest = pins[1];
  expect(await obtain?.()).toBe(`1 originals kept from before, ${baseImages.length - 1} there`);
  expect(images.get(debian.tag)).toBe(pins[0]);
});
