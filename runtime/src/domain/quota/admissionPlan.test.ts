import fc from "@berth/testing/fast-check.ts";
import { expect, test } from "vitest";
import { type Allowance, type Candidate, type Load, plan, type Situation } from "./admissionPlan.ts";
import { nothing } from "./quantities.ts";
import { ownLimit } from "./startLimits.ts";

const one = { ...nothing, pods: 1 };
const roomy: Allowance = { maxSessions: 1_000, quota: { ...nothing, pods: 1_000 } };

const candidate = (id: string, changes: Partial<Candidate> = {}): Candidate => ({
  id,
  tenant: id.slice(0, 1),
  priority: 50,
  since: 0,
  amounts: one,
  held: nothing,
  isWarm: false,
  refused: null,
  unfit: null,
  ...changes,
});

const load = (sessions: number, starting = 0, changes: Partial<Load> = {}): Load => ({
  sessions,
  starting,
  slow: 0,
  late: 0,
  ready: 0,
  used: { ...nothing, pods: sessions },
  ...changes,
});

/** By default, the quotas of the tenants have room for every session. */
function situation(queue: Candidate[], changes: Partial<Situation> = {}): Situation {
  const tenants = new Set(queue.map(({ tenant }) => tenant));
  return {
    queue,
    loads: new Map(),
    lastTurn: { turn: 0, tenants: new Set() },
    allowances: new Map([...tenants].map((tenant) => [tenant, roomy])),
    maxStarting: 10,
    ...changes,
  };
}

const ids = (list: { id: string }[]) => list.map(({ id }) => id);

const burst = (tenant: string, count: number) =>
  Array.from({ length: count }, (_, index) =>
    candidate(`${tenant}${String(index).padStart(3, "0")}`, { since: index }),
  );

test("only as many sessions as allowed start at the same time; the others wait for their turn", () => {
  const { admitted, postponed: rest } = plan(situation(burst("a", 5), { loads: new Map([["x", load(8, 8)]]) }));
  expect(ids(admitted)).toEqual(["a000", "a001"]);
  expect(rest).toEqual([
    { id: "a002", for: "slot", reason: "Waiting for its turn to start" },
    { id: "a003", for: "slot", reason: "Waiting for its turn to start" },
    { id: "a004", for: "slot", reason: "Waiting for its turn to start" },
  ]);
});

test("a session that the config does not allow blocks nobody, and the reason is given", () => {
  const queue = [candidate("a0", { unfit: "Waiting for the image browser" }), candidate("a1", { since: 1 })];
  const { admitted, impossible } = plan(situation(queue, { maxStarting: 1 }));
  expect(ids(admitted)).toEqual(["a1"]);
  expect(impossible).toEqual([{ id: "a0", reason: "Waiting for the image browser" }]);
});

test("after the burst of one tenant, another tenant's session is next, although it came last", () => {
  const queue = [...burst("a", 100), candidate("b000", { since: 1_000 })];
  const lastTurn = { turn: 7, tenants: new Set(["a"]) };
  expect(ids(plan(situation(queue, { lastTurn, maxStarting: 1 })).admitted)).toEqual(["b000"]);
  expect(ids(plan(situation(queue, { maxStarting: 2 })).admitted)).toEqual(["a000", "b000"]);
});

test("among the next sessions of several tenants the higher priority comes first, then the older session", () => {
  const queue = [
    candidate("a0", { since: 3 }),
    candidate("b0", { since: 2 }),
    candidate("c0", { since: 9, priority: 80 }),
    candidate("a1", { since: 1, priority: 90 }),
  ];
  expect(ids(plan(situation(queue)).admitted)).toEqual(["a1", "c0", "b0", "a0"]);
});

test("a tenant at its maximum of sessions blocks nobody else", () => {
  const queue = [...burst("a", 3), candidate("b000")];
  const allowances = new Map([
    ["a", { ...roomy, maxSessions: 2 }],
    ["b", roomy],
  ]);
  const { admitted, postponed: rest } = plan(situation(queue, { allowances, loads: new Map([["a", load(1)]]) }));
  expect(new Set(ids(admitted))).toEqual(new Set(["a000", "b000"]));
  expect(rest).toEqual([
    { id: "a001", for: "room", reason: "Waiting for one of the tenant's 2 sessions to end" },
    { id: "a002", for: "room", reason: "Waiting for one of the tenant's 2 sessions to end" },
  ]);
});

test("a session that does not fit the tenant's quota waits, and no smaller one overtakes it", () => {
  const queue = [candidate("a0", { amounts: { ...nothing, pods: 2 } }), candidate("a1", { since: 1 })];
  const allowances = new Map([["a", { ...roomy, quota: { ...nothing, pods: 2 } }]]);
  const { admitted, postponed: rest } = plan(situation(queue, { allowances, loads: new Map([["a", load(1)]]) }));
  expect(ids(admitted)).toEqual([]);
  expect(rest.map(({ id, reason }) => [id, reason])).toEqual([
    ["a0", "Waiting for room in the tenant's quota (pods)"],
    ["a1", "Waiting for room in the tenant's quota (pods)"],
  ]);
});

test("a session that is larger than the whole quota fails at once", () => {
  const allowances = new Map([["a", { ...roomy, quota: { ...nothing, pods: 1 } }]]);
  const { impossible, admitted } = plan(
    situation([candidate("a0", { amounts: { ...nothing, pods: 2, storage: 5 } }), candidate("a1")], { allowances }),
  );
  expect(impossible).toEqual([
    { id: "a0", reason: "The session needs more than the tenant's whole quota (pods, requests.storage)" },
  ]);
  expect(ids(admitted)).toEqual(["a1"]);
});

test("after a refusal by the cluster a tenant waits a little, with the cluster's reason", () => {
  const queue = [
    candidate("a0", { refused: "Waiting for room (pods=1)" }),
    candidate("a1", { since: 1 }),
    candidate("b0"),
  ];
  const { admitted, postponed: rest } = plan(situation(queue));
  expect(ids(admitted)).toEqual(["b0"]);
  expect(rest.map(({ reason }) => reason)).toEqual(["Waiting for room (pods=1)", "Waiting for room (pods=1)"]);
});

test("a tenant without a starting session gets a start slot, although another tenant's starts use them all", () => {
  const loads = new Map([["a", load(10, 10)]]);
  const { admitted, postponed: rest } = plan(situation([...burst("a", 3), ...burst("b", 3)], { loads }));
  expect(ids(admitted)).toEqual(["b000"]);
  expect(ids(rest)).toEqual(["b001", "b002", "a000", "a001", "a002"]);
});

test("slow starts beyond their tenant's share leave another tenant its whole share, and the slow tenant gets no more slots", () => {
  const loads = new Map([["a", load(10, 10, { slow: 10 })]]);
  const queue = [...burst("a", 3), ...burst("b", 9)];
  expect(ids(plan(situation(queue, { loads })).admitted)).toEqual(["b000", "b001", "b002", "b003", "b004"]);
  expect(ids(plan(situation(burst("a", 3), { loads })).admitted)).toEqual([]);
});

test("a tenant with late starts has a lower limit of its own, and the others get the slots that it leaves", () => {
  const loads = new Map([["a", load(9, 0, { late: 9 })]]);
  const { admitted, postponed: rest } = plan(situation([...burst("a", 12), ...burst("b", 12)], { loads }));
  const of = (tenant: string) => ids(admitted).filter((id) => id.startsWith(tenant));
  expect([of("a").length, of("b").length]).toEqual([1, 9]);
  const why = "Waiting for earlier sessions of the tenant, whose starts take long";
  expect(rest[0]).toEqual({ id: "a001", for: "slot", reason: why });
});

test("free start slots go first to the tenant that has less than its share, then to any that waits", () => {
  const queue = [...burst("a", 9), ...burst("b", 3).map((session) => ({ ...session, since: 1_000 }))];
  const lastTurn = { turn: 7, tenants: new Set(["b"]) };
  expect(ids(plan(situation(queue, { lastTurn, loads: new Map([["a", load(6, 6)]]) })).admitted)).toEqual([
    "b000",
    "b001",
    "b002",
    "a000",
  ]);
});

test("a tenant that waits for its own quota has no share of the start slots", () => {
  const allowances = new Map([
    ["a", roomy],
    ["b", { ...roomy, maxSessions: 1 }],
  ]);
  const queue = [...burst("a", 2), candidate("b000")];
  const loads = new Map([["b", load(1)]]);
  expect(ids(plan(situation(queue, { allowances, loads, maxStarting: 2 })).admitted)).toEqual(["a000", "a001"]);
});

test("warm sessions start after the tenant's own sessions, even if other tenants' sessions wait for quota or start slots", () => {
  const warm = (id: string) => candidate(id, { isWarm: true, priority: 100, since: -1 });
  const allowances = new Map([
    ["a", roomy],
    ["b", { ...roomy, maxSessions: 1 }],
    ["c", roomy],
  ]);
  const queue = [warm("aw"), ...burst("a", 2), warm("bw"), ...burst("b", 2), warm("cw"), ...burst("c", 1)];
  const { admitted, postponed: rest } = plan(situation(queue, { allowances, loads: new Map([["b", load(1)]]) }));
  expect(ids(admitted)).toEqual(["a000", "c000", "a001", "cw", "aw"]);
  expect(ids(rest)).toEqual(["b000", "b001", "bw"]);

  const crowded = [...burst("a", 20), warm("aw"), warm("cw")];
  const inSlots = plan(situation(crowded, { allowances, maxStarting: 4 }));
  expect(ids(inSlots.admitted)).toEqual(["a000", "a001", "cw", "a002"]);
  expect(ids(inSlots.postponed.slice(-1))).toEqual(["aw"]);
});

const warmBurst = (tenant: string, count: number) =>
  burst(`${tenant}w`, count).map((session) => ({ ...session, tenant, isWarm: true }));

test("while many of a tenant's own sessions wait, every third start of the tenant is a warm one, if all of them have room", () => {
  const queue = [...burst("a", 30), ...warmBurst("a", 5)];
  const start = (maxSessions: number) =>
    ids(plan(situation(queue, { allowances: new Map([["a", { ...roomy, maxSessions }]]) })).admitted);
  expect(start(35)).toEqual("a000 a001 aw000 a002 a003 aw001 a004 a005 aw002 a006".split(" "));
  expect(start(34)).toEqual(ids(burst("a", 10)));
  const few = plan(situation([...burst("a", 2), ...warmBurst("a", 2)], { maxStarting: 3 }));
  expect(ids(few.admitted)).toEqual(["a000", "a001", "aw000"]);
});

test("a warm session gets no start slot beyond the limit", () => {
  const queue = [candidate("bw", { isWarm: true })];
  expect(ids(plan(situation(queue, { loads: new Map([["a", load(10, 10)]]) })).admitted)).toEqual([]);
});

test("resources that a session already has are not counted twice", () => {
  const [held, quota] = [
    { ...nothing, storage: 5 },
    { ...nothing, pods: 2, storage: 10 },
  ];
  const queue = [
    candidate("a0", { amounts: { ...one, storage: 5 }, held }),
    candidate("a1", { since: 1, amounts: { ...one, storage: 5 } }),
  ];
  const loads = new Map([["a", { ...load(0), used: held }]]);
  const allowances = new Map([["a", { ...roomy, quota }]]);
  expect(ids(plan(situation(queue, { loads, allowances })).admitted)).toEqual(["a0", "a1"]);
});

test("the work for each queued session does not grow with the number of tenants", () => {
  const readsWith = (tenants: number) => {
    let reads = 0;
    // Acts as the number 1, and counts how often the plan reads the starts of a tenant.
    const counted = { valueOf: () => ++reads && 1 } as unknown as number;
    const names = Array.from({ length: tenants }, (_, index) => `t${index}`);
    // Every second tenant holds a start slot, so all slots are taken.
    const loads = new Map(names.map((name, index) => [name, { ...load(1), starting: index % 2 ? counted : 0 }]));
    const queue = names.flatMap((tenant) =>
      Array.from({ length: 4_000 / tenants }, (_, index) => candidate(`${tenant}-${index}`, { tenant, since: index })),
    );
    expect(ids(plan(situation(queue, { loads })).admitted)).toEqual([]);
    return reads;
  };
  expect(readsWith(400) / readsWith(20)).toBeLessThan(2);
});

const tenants = ["a", "b", "c"];
const anyQueue = fc
  .array(
    fc.record({
      tenant: fc.constantFrom(...tenants),
      priority: fc.integer({ min: 0, max: 100 }),
      since: fc.integer({ min: 0, max: 50 }),
      isWarm: fc.boolean(),
    }),
    { maxLength: 40 },
  )
  .map((sessions) => sessions.map((session, index) => candidate(`${session.tenant}${index}`, session)));
const anyLoads = fc
  .tuple(...tenants.map(() => fc.record({ up: fc.nat(10), starting: fc.nat(10) })))
  .map(
    (loads) => new Map(loads.map(({ up, starting }, index) => [tenants[index] ?? "", load(up + starting, starting)])),
  );
const anyAllowances = fc
  .tuple(
    ...tenants.map(() =>
      fc.record({ maxSessions: fc.integer({ min: 1, max: 30 }), pods: fc.integer({ min: 1, max: 30 }) }),
    ),
  )
  .map(
    (all) =>
      new Map(
        all.map(({ maxSessions, pods }, index) => [tenants[index] ?? "", { maxSessions, quota: { ...nothing, pods } }]),
      ),
  );

const anyMaxStarting = fc.integer({ min: 1, max: 20 });

test("for every queue: each session gets one answer, no limit is exceeded, and no start slot stays free", () => {
  fc.assert(
    fc.property(anyQueue, anyLoads, anyAllowances, anyMaxStarting, (queue, loads, allowances, maxStarting) => {
      const { admitted, postponed: rest, impossible } = plan(situation(queue, { loads, allowances, maxStarting }));
      const planned = ids([...admitted, ...rest, ...impossible]);
      expect(planned.sort()).toEqual(queue.map(({ id }) => id).sort());

      const before = [...loads.values()].reduce((sum, { starting }) => sum + starting, 0);
      const beyond = admitted.slice(Math.max(0, maxStarting - before));
      expect(new Set(beyond.map(({ id }) => id.slice(0, 1))).size).toBe(beyond.length);
      for (const { id } of beyond) {
        const tenant = id.slice(0, 1);
        expect(loads.get(tenant)?.starting ?? 0).toBe(0);
        expect(admitted.filter((one) => one.id.startsWith(tenant))).toHaveLength(1);
        expect(queue.find((one) => one.id === id)?.isWarm).toBe(false);
      }
      for (const tenant of tenants) {
        const more = admitted.filter(({ id }) => id.startsWith(tenant)).length;
        const { maxSessions, quota } = allowances.get(tenant) ?? roomy;
        if (more > 0) {
          expect((loads.get(tenant)?.sessions ?? 0) + more).toBeLessThanOrEqual(Math.min(maxSessions, quota.pods));
        }
      }
      const turnless = rest.filter(({ reason }) => reason.includes("its turn"));
      expect(turnless.every((one) => one.for === "slot")).toBe(true);
      if (turnless.length > 0) {
        expect(before + admitted.length).toBeGreaterThanOrEqual(maxStarting);
      }
    }),
  );
});

const anyTroubles = fc.tuple(
  ...tenants.map(() => fc.record({ slow: fc.nat(10), late: fc.nat(20), ready: fc.nat(20) })),
);

test("however a tenant's starts hang, the others get at least as many slots as beside the same tenant with quick starts", () => {
  fc.assert(
    fc.property(anyQueue, anyLoads, anyTroubles, anyMaxStarting, (queue, loads, troubles, maxStarting) => {
      const quick = loads.get("a") as Load;
      const own = troubles[0] as { slow: number; late: number; ready: number };
      const hanging = new Map(loads).set("a", { ...quick, ...own, slow: Math.min(own.slow, quick.starting) });
      const othersOf = (some: Map<string, Load>) =>
        plan(situation(queue, { loads: some, maxStarting })).admitted.filter(({ id }) => !id.startsWith("a")).length;
      expect(othersOf(hanging)).toBeGreaterThanOrEqual(othersOf(loads));
    }),
  );
});

test("however starts hang, one planning starts at most as many sessions as the limit, and each tenant stays within its own limit", () => {
  fc.assert(
    fc.property(anyQueue, anyLoads, anyTroubles, anyMaxStarting, (queue, loads, troubles, maxStarting) => {
      const hanging = new Map(
        tenants.map((tenant, index) => {
          const { starting, ...rest } = loads.get(tenant) as Load;
          const { slow = 0, late = 0 } = troubles[index] ?? {};
          return [tenant, { ...rest, starting, late, slow: Math.min(slow, starting) }] as const;
        }),
      );
      const { admitted } = plan(situation(queue, { loads: hanging, maxStarting }));
      expect(admitted.length).toBeLessThanOrEqual(maxStarting);
      for (const tenant of tenants) {
        const { starting = 0, late = 0, ready = 0 } = hanging.get(tenant) ?? {};
        const more = ids(admitted).filter((id) => id.startsWith(tenant)).length;
        if (more > 0) expect(starting + more).toBeLessThanOrEqual(ownLimit(maxStarting, { late, ready }));
      }
    }),
  );
});

test("the pools of a tenant are filled although its requested sessions, and those of others, never stop waiting for their turn", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 5 }),
      fc.integer({ min: 1, max: 4 }),
      fc.nat(30),
      (others, slots, firstTurn) => {
        const bursts = Array.from({ length: others }, (_, index) => String.fromCharCode(98 + index));
        const queue = new Map(
          [...warmBurst("a", 32), ...["a", ...bursts].flatMap((tenant) => burst(tenant, 96))].map((session) => [
            session.id,
            session,
          ]),
        );
        const [all] = start(queue, 24, slots, { turn: firstTurn, tenants: new Set(["a"]) });
        const own = all.filter((id) => id.startsWith("a")).map((id) => id.startsWith("aw"));
        expect(own.length).toBeGreaterThanOrEqual(Math.floor((24 * slots) / (others + 1)) - 1);
        for (let from = 0; from + 3 <= own.length; from += 1) {
          expect(own.slice(from, from + 3).filter((isWarm) => isWarm)).toHaveLength(1);
        }
      },
    ),
  );
});

test("a tenant's warm sessions take no more from others, and from its own sessions, than as many requested ones would", () => {
  fc.assert(
    fc.property(
      anyQueue,
      anyLoads,
      anyAllowances,
      anyMaxStarting,
      fc.nat(5),
      (queue, loads, allowances, maxStarting, turn) => {
        const startsOf = (some: Candidate[]) =>
          plan(situation(some, { loads, allowances, maxStarting, lastTurn: { turn, tenants: new Set() } }));
        const isOwn = ({ id }: { id: string }) => id.startsWith("a");
        const { admitted, postponed } = startsOf(queue);
        const asRequested = startsOf(queue.map((one) => (isOwn(one) ? { ...one, isWarm: false } : one)));
        const others = admitted.filter((one) => !isOwn(one)).length;
        expect(others).toBeGreaterThanOrEqual(asRequested.admitted.filter((one) => !isOwn(one)).length);
        const warm = new Set(ids(queue.filter(({ isWarm }) => isWarm)));
        const own = admitted.filter(isOwn);
        const waiting = postponed.filter((one) => isOwn(one) && !warm.has(one.id));
        const warmStarts = own.filter(({ id }) => warm.has(id)).length;
        if (waiting.length > 0) expect(warmStarts).toBeLessThanOrEqual(Math.ceil(own.length / 3));
        if (waiting.some((one) => one.for === "room")) expect(warmStarts).toBe(0);
      },
    ),
  );
});

/**
 * Plans `rounds` times. Each time, all sessions that started before run already. Removes the sessions that start from the queue.
 * Returns their ids, and the last turn.
 */
function start(
  queue: Map<string, Candidate>,
  rounds: number,
  maxStarting: number,
  lastTurn: Situation["lastTurn"],
): [string[], Situation["lastTurn"]] {
  const started: string[] = [];
  let last = lastTurn;
  for (let round = 0; round < rounds; round += 1) {
    for (const { id, turn } of plan(situation([...queue.values()], { lastTurn: last, maxStarting })).admitted) {
      queue.delete(id);
      started.push(id);
      const tenants = turn > last.turn ? [] : last.tenants;
      last = { turn: Math.max(turn, last.turn), tenants: new Set([...tenants, id.slice(0, 1)]) };
    }
  }
  return [started, last];
}

test("however large others' bursts are, a single session waits for at most one session of each other tenant", () => {
  const sizes = fc.integer({ min: 1, max: 60 });
  fc.assert(
    fc.property(
      sizes,
      fc.integer({ min: 1, max: 5 }),
      fc.nat(30),
      fc.integer({ min: 1, max: 4 }),
      (size, others, head, slots) => {
        const bursts = Array.from({ length: others }, (_, index) => String.fromCharCode(98 + index));
        const all = bursts.flatMap((tenant) => [...burst(tenant, size), ...warmBurst(tenant, size)]);
        const left = new Map(all.map((session) => [session.id, session]));
        const [, lastTurn] = start(left, head, slots, { turn: 0, tenants: new Set() });
        left.set("a000", candidate("a000", { since: 10_000, priority: 0 }));
        const [order] = start(left, others + 1, slots, lastTurn);
        expect(order).toContain("a000");
        const before = order.slice(0, order.indexOf("a000"));
        for (const tenant of bursts) {
          expect(before.filter((id) => id.startsWith(tenant)).length).toBeLessThanOrEqual(1);
        }
      },
    ),
  );
});
