import { expect, test } from "vitest";
import { tenant } from "../testing/fixtures.ts";
import { podTemplateHash } from "./podTemplateHash.ts";
import { findImage, imagesOf, missingImage, type PodImages } from "./sessionImages.ts";

const platform: PodImages = {
  agent: "agent@sha256:1",
  agentHasBerthd: true,
  berthd: "berthd@sha256:1",
  berthdVolume: "copy",
};
const browser = { name: "browser", image: "browser@sha256:1" };
const acme = tenant("acme", { warmPools: { small: 2 }, images: [browser] });

test("a session without an image gets the platform's, with a desktop and without a default command", () => {
  expect(findImage(acme, platform, null)).toEqual({
    name: null,
    reference: "agent@sha256:1",
    hasBerthd: true,
    desktop: true,
    command: null,
    writableRoot: false,
    warmPools: { small: 2, medium: 0, large: 0 },
  });
});

test("a tenant's image has no desktop, no command, a read-only root and no warm pool, unless its config says otherwise", () => {
  expect(findImage(acme, platform, "browser")).toEqual({
    name: "browser",
    reference: "browser@sha256:1",
    hasBerthd: false,
    desktop: false,
    command: null,
    writableRoot: false,
    warmPools: { small: 0, medium: 0, large: 0 },
  });
  const all = { desktop: true, command: ["node", "server.js"], writableRoot: true, warmPools: { large: 1 } };
  const special = tenant("acme", { images: [{ ...browser, ...all }] });
  expect(findImage(special, platform, "browser")).toMatchObject(all);
});

test("a tenant can use only its own images", () => {
  const globex = tenant("globex");
  expect(findImage(globex, platform, "browser")).toBeUndefined();
  expect(missingImage(acme, "browser")).toBeNull();
  expect(missingImage(globex, null)).toBeNull();
  expect(missingImage(globex, "browser")).toBe(
    "Waiting for the image browser, which the config of globex does not have any more",
  );
});

test("a warm session may only be claimed for its image with the present settings, except for the command", () => {
  const hashes = (of = acme, images = platform) =>
    imagesOf(of, images).map((image) => podTemplateHash(images, image, of));
  const changed = (changes: object) => tenant("acme", { images: [{ ...browser, ...changes }] });
  const [own, ofBrowser] = hashes();
  expect(own).not.toBe(ofBrowser);
  expect(hashes()).toEqual([own, ofBrowser]);
  for (const changes of [{ image: "browser@sha256:2" }, { name: "web" }, { desktop: true }, { writableRoot: true }])
    expect(hashes(changed(changes))).not.toContain(ofBrowser);
  expect(hashes(changed({ command: ["node"], warmPools: { small: 9 } }))).toEqual([own, ofBrowser]);
  for (const images of [
    { ...platform, agentHasBerthd: false },
    { ...platform, agent: "agent@sha256:2" },
  ])
    expect(hashes(acme, images)).toEqual([expect.not.stringContaining(own ?? ""), ofBrowser]);
  for (const changes of [{ berthd: "berthd@sha256:2" }, { berthdVolume: "image" } as const])
    for (const other of hashes(acme, { ...platform, ...changes })) expect([own, ofBrowser]).not.toContain(other);
  const moved = tenant("acme", { images: [browser], placement: { nodeSelector: { pool: "sessions" } } });
  for (const other of hashes(moved)) expect([own, ofBrowser]).not.toContain(other);
});
