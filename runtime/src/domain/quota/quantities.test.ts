import { expect, test } from "vitest";
import { tenant } from "../../testing/fixtures.ts";
import { podAmounts, quotaOf, workspaceAmounts } from "./quantities.ts";
import { quantityValue } from "./quantity.ts";

test.each([
  ["500m", 0.5],
  ["2", 2],
  ["0.5", 0.5],
  ["1.5Gi", 1.5 * 2 ** 30],
  ["64Mi", 64 * 2 ** 20],
  ["2k", 2_000],
  ["1e3", 1_000],
])("%s is %d", (text, value) => {
  expect(quantityValue(text)).toBe(value);
});

test.each(["", "Gi", "1 Gi", "1Gb", "0x10", "one"])("%j is not a Kubernetes quantity", (text) => {
  expect(() => quantityValue(text)).toThrow("is not a Kubernetes quantity");
});

test("a session's resources include all its containers, and its workspace only if that is a volume", () => {
  expect(podAmounts({ tier: "large", desktop: true })).toMatchObject({
    requestsCpu: 0.55,
    limitsCpu: 4.5,
    limitsMemory: 8.25 * 2 ** 30,
    pods: 1,
  });
  expect(podAmounts({ tier: "large", desktop: false })).toMatchObject({
    requestsCpu: 0.5,
    limitsCpu: 4,
    limitsMemory: 8 * 2 ** 30,
    pods: 1,
  });
  const acme = tenant("acme", { workspace: { size: "5Gi" } });
  expect(workspaceAmounts("persistent", acme).storage).toBe(5 * 2 ** 30);
  expect(workspaceAmounts("ephemeral", acme).storage).toBe(0);
  expect(quotaOf(acme)).toMatchObject({ requestsCpu: 20, pods: 50 });
});
