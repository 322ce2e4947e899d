import { expect, test } from "vitest";
import { tenant } from "../testing/fixtures.ts";
import { findImage, imagesOf, missingImage } from "./sessionImages.ts";
import { warmMark } from "./warmMark.ts";

const platform = { agent: "agent@sha256:1", agentHasBerthd: true, berthd: "berthd@sha256:1" };
const browser = { name: "browser", image: "browser@sha256:1" };
const acme = tenant("acme", { warmPools: { small: 2 }, images: [browser] });

test("who names no image gets the platform's, with a desktop and nothing that runs by itself", () => {
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

test("a tenant's image has no desktop, no command, a read-only root and no warm pool unless its config says so", () => {
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

test("a tenant has its own images alone", () => {
  const globex = tenant("globex");
  expect(findImage(globex, platform, "browser")).toBeUndefined();
  expect(missingImage(acme, "browser")).toBeNull();
  expect(missingImage(globex, null)).toBeNull();
  expect(missingImage(globex, "browser")).toBe(
    "Waiting for the image browser, which the config of globex does not have any more",
  );
});

test("a session made ahead is given out only for its image, as that is now; what the image's sessions run is no part of it", () => {
  const marks = (of = acme, images = platform) => imagesOf(of, images).map((image) => warmMark(images, image, of));
  const changed = (changes: object) => tenant("acme", { images: [{ ...browser, ...changes }] });
  const [own, ofBrowser] = marks();
  expect(own).not.toBe(ofBrowser);
  expect(marks()).toEqual([own, ofBrowser]);
  for (const changes of [{ image: "browser@sha256:2" }, { name: "web" }, { desktop: true }, { writableRoot: true }])
    expect(marks(changed(changes))).not.toContain(ofBrowser);
  expect(marks(changed({ command: ["node"], warmPools: { small: 9 } }))).toEqual([own, ofBrowser]);
  for (const images of [
    { ...platform, agentHasBerthd: false },
    { ...platform, agent: "agent@sha256:2" },
  ])
    expect(marks(acme, images)).toEqual([expect.not.stringContaining(own ?? ""), ofBrowser]);
  const [otherOwn, otherBrowser] = marks(acme, { ...platform, berthd: "berthd@sha256:2" });
  expect([own, ofBrowser]).not.toContain(otherOwn);
  expect([own, ofBrowser]).not.toContain(otherBrowser);
});
