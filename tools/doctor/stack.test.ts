import { expect, test } from "vitest";
import { readAccess, readConfig, readOutputs } from "./stack.ts";

const answers =
  (values: Record<string, unknown>) =>
  async (args: string[]): Promise<string> => {
    const key = args.slice(0, 3).join(" ");
    const found = Object.entries(values).find(([prefix]) => key.startsWith(prefix));
    if (found === undefined) throw new Error(`pulumi ${args.join(" ")} was not expected`);
    return typeof found[1] === "string" ? found[1] : JSON.stringify(found[1]);
  };

const config = {
  "berth:context": { value: "here", secret: false },
  "berth:registry": { value: "ghcr.io/acme/berth", secret: false },
  "berth:publicUrl": { value: "https://berth.acme.io", secret: false },
  "berth:tenants": { value: '[{"name":"acme"}]', objectValue: [{ name: "acme" }], secret: false },
  "pulumi:disable-default-providers": { value: '["kubernetes","docker"]', secret: false },
};

test("the config is what the program would read, and a fault has a line", async () => {
  expect(await readConfig("mine", answers({ config }))).toMatchObject({ context: "here", tenants: [{ name: "acme" }] });
  const broken = { ...config, "berth:platform": { value: "linux/riscv", secret: false } };
  await expect(readConfig("mine", answers({ config: broken }))).rejects.toThrow(
    /^Pulumi\.mine\.yaml is invalid:\nplatform: "linux\/riscv" is neither/,
  );
});

test("before the first `up` there are no outputs", async () => {
  expect(await readOutputs("mine", answers({ "stack output": {} }))).toBeUndefined();
  expect(await readOutputs("mine", answers({ "stack output": { apiUrl: "x" } }))).toEqual({ apiUrl: "x" });
});

test("the access is the context, the config's kubeconfig, or another stack's output", async () => {
  const none = answers({});
  expect(await readAccess({ context: "here", kubeconfig: null }, none)).toEqual({ context: "here" });
  expect(await readAccess({ context: "", kubeconfig: "text" }, none)).toEqual({ context: "", kubeconfig: "text" });
  const source = { stack: "acme/clusters/prod", output: "kubeconfig" };
  expect(
    await readAccess({ context: "", kubeconfig: source }, answers({ "stack output kubeconfig": "clusters: []\n" })),
  ).toEqual({ context: "", kubeconfig: "clusters: []" });
});
