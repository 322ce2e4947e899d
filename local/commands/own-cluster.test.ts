import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { contexts, ownCluster } from "./own-cluster.ts";

test("an unknown context is refused before anything is touched, with the ones that there are", async () => {
  const folder = mkdtempSync(join(tmpdir(), "berth-"));
  try {
    const files = ["one", "two"].map((name) => {
      const file = join(folder, name);
      writeFileSync(file, `contexts: [{name: ${name}, context: {cluster: c, user: u}}]`);
      return file;
    });
    const variable = [...files, join(folder, "missing")].join(":");
    vi.stubEnv("KUBECONFIG", variable);
    expect(contexts(variable)).toEqual(["one", "two"]);
    await expect(ownCluster("dev", "three")).rejects.toThrow("has no context three; name one of one, two.");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
