/**
 * Compares two times on the stack `dev`: the time from POST /v1/sessions until the session runs, and the time that a bare pod
 * of the same spec and volume needs until it is ready.
 */
import { until } from "@berth/testing/until.ts";
import { KubeConfig } from "@kubernetes/client-node";
import { machine } from "../../machine/machine.ts";
import { call, core, keyOf, reaches, type Session } from "../berth.ts";
import { barePod, templateOf } from "./bare-pod.ts";
import { median, report } from "./report.ts";
import { requestLittle } from "./small-requests.ts";

const { kubeconfig } = machine;

const acme = keyOf("acme");
const namespace = "tenant-acme";
const config = new KubeConfig();
config.loadFromFile(kubeconfig);

/** Creates a session and waits until it runs. Returns its id, the milliseconds until it ran, and a function that ends it. */
async function session(): Promise<{ id: string; ms: number; remove: () => Promise<void> }> {
  const began = performance.now();
  const answer = await call(acme, "POST", "/v1/sessions?wait=running", { tier: "small" });
  const { id, state } = (await answer.json()) as Session;
  if (!answer.ok) throw new Error(`a session was refused with ${answer.status}`);
  // With `wait=running`, the API answers after a minute at the latest, but a start on a busy machine may take longer.
  if (state !== "running") await reaches(acme, id, "running", 300);
  const ms = performance.now() - began;
  return {
    id,
    ms,
    remove: async () => {
      await call(acme, "DELETE", `/v1/sessions/${id}`);
      await reaches(acme, id, "stopped");
    },
  };
}

/**
 * Waits until volumes are deleted. Volumes are deleted after their pods, by helper pods that would slow the next start down.
 */
async function volumesGone(): Promise<void> {
  await until(
    `no volume of ${namespace}`,
    180,
    async () => {
      const { items } = await core.listPersistentVolume();
      return items.filter(({ spec }) => spec?.claimRef?.namespace === namespace).map(({ metadata }) => metadata?.name);
    },
    (left) => left.length === 0,
  );
}

const first = await session();
const template = await templateOf(namespace, first.id);
await first.remove();
await volumesGone();
const takeAway = await requestLittle(config, namespace);
try {
  for (const [concurrency, rounds] of [
    [1, 5],
    [10, 2],
  ] as const) {
    const times = { bare: [] as number[], session: [] as number[] };
    for (let round = 0; round < rounds; round += 1) {
      // Each round measures both variants, because the load of other work changes. The variant that is measured first
      // changes from round to round.
      const kinds = round % 2 === 0 ? (["bare", "session"] as const) : (["session", "bare"] as const);
      for (const kind of kinds) {
        const make = kind === "bare" ? () => barePod(config, template) : session;
        const made = await Promise.all(Array.from({ length: concurrency }, make));
        times[kind].push(...made.map(({ ms }) => ms));
        await Promise.all(made.map(({ remove }) => remove()));
        await volumesGone();
      }
    }
    const [bare, own] = [median(times.bare), median(times.session)];
    console.error(`  ${concurrency} at a time: bare pod ${bare.toFixed(0)} ms, session ${own.toFixed(0)} ms`);
    report(`session-start-${concurrency}`, own / bare, "<=1.1");
  }
} finally {
  await takeAway();
  await template.remove();
}
