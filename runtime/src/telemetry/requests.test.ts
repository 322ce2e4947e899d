import fastify from "fastify";
import { expect, test } from "vitest";
import { sessionToken } from "../channel/token.ts";
import { createLogger } from "./logging.ts";
import { observeRequests } from "./requests.ts";

const token = sessionToken("0123456789abcdef0123456789abcdef", "6f1e0f5e-3c0e-4c58-9a37-0f6f2f1c9a11");
const proof = token.slice(token.indexOf(".") + 1);

test.each([1, 20, proof.length - 1])(
  "a secret at the cut of a logged URL, with %i characters before the cut, is removed",
  async (within) => {
    const lines: string[] = [];
    const app = fastify();
    const metrics = { httpRequests: { inc: () => {} }, httpDuration: { observe: () => {} } };
    observeRequests(app, metrics as never, createLogger("info", "api", { write: (line) => lines.push(line) }));
    const url = "/".padEnd(2_048 - token.length + proof.length - within, "-/") + token;
    await app.inject({ url });
    expect(JSON.parse(lines.at(-1) ?? "").url).toMatch(/^[/-]{1900,}/);
    expect(lines.join()).not.toContain(`.${proof.slice(0, within)}`);
  },
);
