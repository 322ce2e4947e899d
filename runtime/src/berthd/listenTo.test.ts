import { once } from "node:events";
import { expect, test } from "vitest";
import { listenTo } from "./listenTo.ts";

const never = new AbortController().signal;

/** A stream that sends these messages and is silent until it is aborted, and a function that says if it was aborted. */
function stream(...messages: string[]) {
  let isAborted = false;
  const open = async function* (signal: AbortSignal) {
    yield* messages;
    if (!signal.aborted) await once(signal, "abort");
    isAborted = true;
    throw new Error("aborted");
  };
  return { open, isAborted: () => isAborted };
}

test("a stream that becomes silent is ended with an error that says so", async () => {
  const { open, isAborted } = stream("one");
  const messages = listenTo(open, never, 20);
  expect((await messages.next()).value).toBe("one");
  await expect(messages.next()).rejects.toMatchObject({ name: "PodError", kind: "unreachable" });
  expect(isAborted()).toBe(true);
});

test("a slow reader does not count as silence", async () => {
  const { open } = stream("one", "two");
  const messages = listenTo(open, never, 20);
  await messages.next();
  await new Promise((resolve) => setTimeout(resolve, 60)); // the reader is slow
  expect((await messages.next()).value).toBe("two");
});

test("the caller's signal ends the stream with the stream's own error, and so does a reader that stops", async () => {
  const caller = new AbortController();
  const first = stream();
  const messages = listenTo(first.open, caller.signal);
  const next = messages.next();
  caller.abort();
  await expect(next).rejects.toThrow("aborted");

  let signal: AbortSignal | undefined;
  const endless = async function* (given: AbortSignal) {
    signal = given;
    for (;;) yield "more";
  };
  for await (const _ of listenTo(endless, never)) break;
  expect(signal?.aborted).toBe(true);
});
