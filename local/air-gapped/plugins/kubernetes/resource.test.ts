import { expect, test } from "vitest";
import { type Api, ApiError, type ApplyOptions } from "./api.ts";
import { kindOf } from "./kinds.ts";
import { clusterResource } from "./resource.ts";

const kind = kindOf("kubernetes:core/v1:ConfigMap") as never;
const inputs = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a", namespace: "n" }, data: { key: "value" } };
const change = { inputs, preview: true, timeoutSeconds: 0, signal: new AbortController().signal };

/** A cluster in which another manager owns the fields. `taken` says whether a run takes the fields over first. */
const cluster = (taken: boolean) =>
  ({
    wouldTakeOver: async () => taken,
    takeOver: async () => {},
    apply: async (_kind: unknown, object: object, { force }: ApplyOptions) => {
      if (!force) throw new ApiError(409, 'Apply failed with 1 conflict: conflict with "somebody": .data.key');
      return object;
    },
  }) as unknown as Api;

test.each([
  { what: "conflicts with somebody else's fields", taken: false, force: false, conflicts: true },
  { what: "takes fields over that Pulumi or kubectl wrote", taken: true, force: false, conflicts: false },
  { what: "is told to take all fields", taken: false, force: true, conflicts: false },
])("a preview says what the run would do: it $what", async ({ taken, force, conflicts }) => {
  const resource = clusterResource(kind, cluster(taken), { upsert: true, force });
  const previews = [resource.create(change), resource.update({ ...change, id: "n/a", state: inputs })];
  for (const preview of previews)
    if (conflicts) await expect(preview).rejects.toThrow(/conflict with "somebody"/);
    else await preview;
});
