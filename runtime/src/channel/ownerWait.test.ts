import { until } from "@berth/testing/until.ts";
import { expect, test } from "vitest";
import { silent } from "../testing/fixtures.ts";
import { OwnerWait } from "./ownerWait.ts";

const long = 600_000;

/** Returns an OwnerWait for which `owned` is the set of claimed sessions, and the list of its queries in `asked`. */
function open(owned = new Set<string>()) {
  const asked: string[][] = [];
  const owners = new OwnerWait(async (ids) => {
    asked.push(ids);
    return ids.filter((id) => owned.has(id));
  }, silent);
  return { owners, owned, asked };
}

test("an announced claim releases all who wait for this session, and nobody else", async () => {
  const { owners } = open();
  const others = new AbortController();
  let isThere = false;
  const other = owners.until("b", long, others.signal).then(() => (isThere = true));
  const both = [1, 2].map(() => owners.until("a", long, new AbortController().signal));
  owners.claimed("a");
  await Promise.all(both);
  expect(isThere).toBe(false);
  others.abort();
  await other;
});

test("a claim that was not announced is found in the store: at once if it came before, else within about a second", async () => {
  const { owners, owned, asked } = open(new Set(["before"]));
  await owners.until("before", long, new AbortController().signal);
  const late = [
    owners.until("late", long, new AbortController().signal),
    owners.until("never", long, new AbortController().signal),
  ];
  owned.add("late");
  await late[0];
  // One query asks about all sessions that wait.
  expect(asked.at(-1)).toEqual(["late", "never"]);
  owners.end();
  await late[1];
});

test("the wait ends when the time is over, when the caller disconnects, and when the process ends", async () => {
  const { owners, asked } = open();
  const caller = new AbortController();
  const all = [owners.until("a", 10, new AbortController().signal), owners.until("b", long, caller.signal)];
  caller.abort();
  await Promise.all(all);
  const count = asked.length;
  const next = owners.until("d", long, new AbortController().signal);
  await until(
    "the next query contains only those who still wait",
    20,
    () => asked.slice(count + 1),
    (queries) => queries.length > 0,
  );
  expect(asked.at(-1)).toEqual(["d"]);
  owners.end();
  await next;
  await owners.until("late", long, new AbortController().signal);
});

test("while the store does not answer, nobody is released, and the query is repeated", async () => {
  let isAway = true;
  const owners = new OwnerWait(async (ids) => {
    if (!isAway) return ids;
    isAway = false;
    throw new Error("away");
  }, silent);
  await owners.until("a", long, new AbortController().signal);
});
