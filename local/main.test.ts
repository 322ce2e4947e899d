import { execa } from "execa";
import { expect, it } from "vitest";
import { root } from "../machine/machine.ts";

it.each([
  [
    "BERTH_NETWORK",
    "10.0.0.0/8",
    /^berth: BERTH_NETWORK is 10\.0\.0\.0\/8: set it to a network of the form A\.B\.0\.0\/16, for example [\d.]+\/16\.$/,
  ],
  [
    "BERTH_NETWORK",
    "999.1.0.0/16",
    /^berth: BERTH_NETWORK is 999\.1\.0\.0\/16: set it to a network of the form A\.B\.0\.0\/16, for example [\d.]+\/16\.$/,
  ],
  ["BERTH_API_PORT", "8080", /^berth: BERTH_API_PORT is 8080: set it to a port from 30000 to 32767\.$/],
  ["BERTH_REGISTRY_PORT", "abc", /^berth: BERTH_REGISTRY_PORT is abc: set it to a port from 1 to 65535\.$/],
  [
    "BERTH_NAME",
    "My Berth",
    /^berth: BERTH_NAME is My Berth: set it to a small letter and up to 11 small letters, digits and dashes\.$/,
  ],
  ["BERTH_SANDBOX_PORT", "x", /^berth: BERTH_SANDBOX_PORT is x: set it to a port from 30000 to 32767\.$/],
])("says in one sentence what is wrong with %s", async (variable, value, sentence) => {
  const options = { cwd: root, env: { [variable]: value }, reject: false } as const;
  const { exitCode, stderr } = await execa("node", ["local/main.ts", "env"], options);
  expect(exitCode).toBe(1);
  expect(stderr.trim()).toMatch(sentence);
});
