/** Runs the whole program, and compares the list of images to scan with the pods that the program makes. */
import type * as pulumi from "@pulumi/pulumi";
import { beforeEach, expect, test, vi } from "vitest";
import { type RecordedResource, recordStack } from "../testing/record.ts";

beforeEach(() => {
  vi.resetModules(); // the program runs on import
  for (const variable of ["KUBECONFIG", "DOCKER_HOST"]) vi.stubEnv(variable, undefined);
});

/** All values of fields named `image` in Kubernetes objects, except Berth's own images. */
function imagesIn(resources: RecordedResource[]): string[] {
  const found = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    for (const [key, inner] of Object.entries(value))
      if (key === "image" && typeof inner === "string") found.add(inner);
      else visit(inner);
  };
  for (const { type, inputs } of resources) if (type.startsWith("kubernetes:")) visit(inputs);
  return [...found].filter((image) => !/\/berth\/(api|agent|berthd)@/.test(image)).sort();
}

async function otherImages(): Promise<string[]> {
  const outputs: { otherImages: pulumi.Output<string[]> } = await import("../index.ts");
  return await new Promise((resolve) => outputs.otherImages.apply(resolve));
}

const browser = `ghcr.io/acme/browser@sha256:${"1".repeat(64)}`;
const acme = { name: "acme", images: [{ name: "browser", image: browser }] };
const external = { secret: "postgres", addresses: [{ cidr: "10.0.0.9/32", port: 5432 }] };

test.each([
  ["of the stack prod", {}, []],
  ["with an external Postgres", { postgres: { external } }, []],
  ["with images of a tenant", { tenants: [acme] }, []],
  ["that nothing pulls before a session needs it", { tenants: [acme], prepullAgentImage: false }, [browser]],
])("the list of images to scan has every image %s", async (_, changes, more) => {
  const resources = await recordStack("prod", changes);
  const images = imagesIn(resources);
  expect(images.length).toBeGreaterThan(4);
  expect(await otherImages()).toEqual([...images, ...more].sort());
});
