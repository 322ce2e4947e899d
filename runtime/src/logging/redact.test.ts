import { expect, test } from "vitest";
import { redact } from "./redact.ts";

/** Per pattern, the input over which a careless one runs longest: beginnings of matches that never become whole. */
const worst: Record<string, (length: number) => string> = {
  "API keys": (length) => "berth_a-".repeat(length / 8),
  tokens: (length) => "eyJ-".repeat(length / 4),
  "tokens with a dot": (length) => "eyJa.".repeat(length / 5),
  "sessions' tokens": (length) => "6f1e0f5e-3c0e-4c58-9a37-".repeat(length / 24),
  "authorization headers": (length) => `Bearer${" ".repeat(length / 2)}`.repeat(2),
  "many authorization headers": (length) => "Bearer ".repeat(length / 7),
  parameters: (length) => "?ticket=".repeat(length / 8),
  schemes: (length) => "a.".repeat(length / 2),
  "passwords in addresses": (length) => "://a:".repeat(length / 5),
  "one long password": (length) => `redis://a:${"b:".repeat(length / 2)}`,
};

/** The fastest of several runs, in milliseconds: another process can slow a run down, and none can speed it up. */
function fastest(text: string): number {
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 15; run += 1) {
    const start = performance.now();
    redact(text);
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

test.each(Object.entries(worst))("%s: four times as much text takes at most six times as long", (_, text) => {
  const short = fastest(text(16_384));
  // Below a twentieth of a millisecond, the clock is what is measured.
  expect(fastest(text(65_536))).toBeLessThan(6 * Math.max(short, 0.05));
});

test.each([
  ["a token in the middle of a word", "/x-eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "/x-[redacted]"],
  ["a token of five parts", "eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn end", "[redacted] end"],
  ["a password in an address", "postgres://berth:hunter2@db:5432/x", "postgres://berth:[redacted]@db:5432/x"],
  ["a password with a colon", "redis://:hunter:2@redis", "redis://:[redacted]@redis"],
])("%s goes, and the rest stays", (_, text, redacted) => {
  expect(redact(text)).toBe(redacted);
});
