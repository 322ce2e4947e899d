import { expect, onTestFinished, test, vi } from "vitest";
import { silent } from "../testing/fixtures.ts";
import { shutDown } from "./shutdown.ts";

test("each step starts when the previous one has ended, and a step that fails or hangs does not block the others", async () => {
  const done: string[] = [];
  const step = (name: string, work: () => unknown = () => {}) => ({
    name,
    run: async () => {
      done.push(`${name} begins`);
      await work();
      done.push(`${name} ends`);
    },
  });
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const ended = shutDown(
    [
      step("slow", () => new Promise((resolve) => setTimeout(resolve, 20))),
      step("fails", () => {
        throw new Error("no");
      }),
      step("hangs", () => new Promise(() => {})),
      step("last"),
    ],
    silent,
    400,
  );
  await vi.advanceTimersByTimeAsync(400);
  await ended;
  expect(done).toEqual(["slow begins", "slow ends", "fails begins", "hangs begins", "last begins", "last ends"]);
});
