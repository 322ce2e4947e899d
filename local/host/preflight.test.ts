import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { machine } from "../../machine/machine.ts";
import { foreign, type Host, isPodman } from "./inspect.ts";
import { missingPackages, toInstall } from "./packages.ts";
import { findFault, overlap } from "./preflight.ts";

const { bridge, name } = machine;

const gib = 2 ** 30;

const good: Host = {
  hasApt: true,
  hasGo: true,
  dockerIsPodman: false,
  memory: 24 * gib,
  startedBefore: false,
  disks: [{ path: "/var/lib/berth", variable: "BERTH_STATE", free: 75 * gib }],
  takenPorts: [],
  routes: [
    { dst: "default", dev: "eth0" },
    { dst: "192.0.2.0/24", dev: "eth0" },
  ],
};

describe("preflight", () => {
  it("finds nothing wrong with a machine that has what it takes", () => {
    expect(findFault(good)).toBeUndefined();
  });

  const small = { path: "/var/lib/berth", variable: "BERTH_STATE", free: 4 * gib };
  it.each<[string, Partial<Host>, RegExp]>([
    ["another distribution", { hasApt: false }, /use Debian 12 or 13/],
    ["no Go", { hasGo: false }, /go is not on the PATH\. Install Go 1\.21/],
    ["little memory", { memory: 2 * gib }, /needs 6.0 GiB of memory, and this machine has 2.0 GiB/],
    [
      "a full disk",
      { disks: [small] },
      /needs 15.0 GiB on the disk of \/var\/lib\/berth, and 4.0 GiB are free: .*BERTH_STATE/,
    ],
    ["podman in Docker's place", { dockerIsPodman: true }, /docker is podman here.*remove the package podman-docker/],
    ["a taken port", { takenPorts: [5000] }, /Port 5000.*registry.*set BERTH_REGISTRY_PORT/],
    [
      "addresses in use",
      { routes: [{ dst: "10.192.0.0/12", dev: "wg0" }] },
      /10.200.0.0\/16, are in use.*route to 10.192.0.0\/12 \(wg0\)\. Set BERTH_NETWORK/,
    ],
  ])("names %s and what to do", (_, change, sentence) => {
    expect(findFault({ ...good, ...change })).toMatch(sentence);
  });

  it("asks for less disk where a cluster has been started before", () => {
    expect(findFault({ ...good, disks: [small], startedBefore: true })).toBeUndefined();
  });
});

it("tells Docker's client from podman, by its script and by its name", () => {
  const dir = mkdtempSync(join(tmpdir(), "podman-"));
  try {
    const file = (name: string, content: string) => {
      writeFileSync(join(dir, name), content);
      return join(dir, name);
    };
    const script =
      '#!/bin/sh\n[ -e /etc/containers/nodocker ] || echo "Emulate Docker CLI using podman." >&2\nexec podman "$@"\n';
    symlinkSync(file("podman", "\x7fELF"), join(dir, "link"));
    expect(isPodman(file("script", script))).toBe(true);
    expect(isPodman(join(dir, "link"))).toBe(true);
    expect(isPodman(file("docker", `\x7fELF${" podman".repeat(1000)}`))).toBe(false);
    expect(isPodman(join(dir, "none"))).toBe(false);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

describe("overlapping networks", () => {
  it.each([
    ["10.200.0.0/16", "10.200.0.0/16", true],
    ["10.0.0.0/8", "10.200.0.0/16", true],
    ["10.200.7.9", "10.200.0.0/16", true],
    ["10.201.0.0/16", "10.200.0.0/16", false],
    ["192.0.2.7", "10.200.0.0/16", false],
    ["default", "10.200.0.0/16", false],
    ["0.0.0.0/1", "10.200.0.0/16", false],
  ])("%s and %s: %s", (one, other, expected) => expect(overlap(one, other)).toBe(expected));
});

it("takes no interface of Berth's own for somebody else's, also of a start that was killed", () => {
  const theirs = { dst: "192.0.2.0/24", dev: "eth0" };
  expect(foreign([{ dst: "10.200.0.0/16", dev: name }, { dst: "10.200.0.4/30", dev: bridge }, theirs])).toEqual([
    theirs,
  ]);
});

describe("packages", () => {
  it("are those whose program is missing, whatever package a program is from", () => {
    expect(missingPackages(() => true)).toEqual([]);
    expect(missingPackages((program) => !["/usr/bin/docker", "dockerd", "etcd"].includes(program))).toEqual([
      "etcd-server",
      "docker.io",
    ]);
  });

  it("are those of an interrupted installation too, whose programs may be there before they are set up", () => {
    expect(toInstall(["runc"], ["nginx-light", "runc"], true)).toEqual(["runc", "nginx-light"]);
    expect(toInstall(["runc"], ["nginx-light"], false)).toEqual(["runc"]);
  });
});
