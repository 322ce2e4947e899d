import { expect, test } from "vitest";
import { redact } from "./redact.ts";

/** The slowest input for each pattern: many starts of a match that never becomes complete. */
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

/** CPU time of this process in microseconds, which other processes do not affect. */
function processorTime(text: string, times: number): number {
  const before = process.cpuUsage();
  for (let time = 0; time < times; time += 1) redact(text);
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

// A linear pattern takes 64 times as long, and a quadratic one 4,096 times. The limit is far from both, because the
// processor's caches and its speed change while other programs run.
test.each(Object.entries(worst))("%s: 64 times as much text takes at most 512 times as long", (_, text) => {
  const [short, long] = [text(8_192), text(524_288)];
  let [shortBest, longBest] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  // In each round, both measurements read the same amount of text. Garbage collection and compilation can only increase
  // a value.
  for (let round = 0; round < 10; round += 1) {
    shortBest = Math.min(shortBest, processorTime(short, 192) / 192);
    longBest = Math.min(longBest, processorTime(long, 3) / 3);
  }
  expect(longBest).toBeLessThanOrEqual(512 * shortBest);
});

test.each([
  ["a token in the middle of a word", "/x-eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "/x-[redacted]"],
  ["a token of five parts", "eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn end", "[redacted] end"],
  ["a password in an address", "postgres://berth:hunter2@db:5432/x", "postgres://berth:[redacted]@db:5432/x"],
  ["a password with a colon", "redis://:hunter:2@redis", "redis://:[redacted]@redis"],
])("%s goes, and the rest stays", (_, text, redacted) => {
  expect(redact(text)).toBe(redacted);
});
