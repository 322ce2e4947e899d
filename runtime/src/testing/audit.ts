/**
 * Checks that the rows, pods, volumes and audit trail of a namespace agree. The check works for any program that runs the
 * sessions.
 */
import type { CoreV1Api } from "@kubernetes/client-node";
import type { Kysely } from "kysely";
import { sessionLabel, sessionSelector } from "../cluster/names.ts";
import { uses } from "../domain/event.ts";
import { hasPod } from "../domain/states/state.ts";
import type { Schema } from "../store/schema.ts";

/**
 * The full audit: each session has exactly the pod, volume and Secret that the state of its row requires, and the audit
 * trail contains every change of every session. Returns what is wrong; an empty list if nothing is. No session may change
 * during the audit.
 */
export async function auditOf(core: CoreV1Api, database: Kysely<Schema>, namespace: string): Promise<string[]> {
  const faults: string[] = [];
  const query = { namespace, labelSelector: sessionSelector };
  const [rows, events, pods, claims, secrets] = await Promise.all([
    database.selectFrom("sessions").selectAll().where("namespace", "=", namespace).execute(),
    database
      .selectFrom("session_events")
      .selectAll()
      .where("type", "not in", ["progress", ...uses])
      .orderBy("id")
      .execute(),
    core.listNamespacedPod(query),
    core.listNamespacedPersistentVolumeClaim(query),
    core.listNamespacedSecret(query),
  ]);
  const idsOf = (list: { items: { metadata?: { labels?: Record<string, string> } }[] }) =>
    list.items.map(({ metadata }) => metadata?.labels?.[sessionLabel] ?? "none");
  const expect = (what: string, found: string[], wanted: string[]) => {
    const twice = found.filter((id, index) => found.indexOf(id) !== index);
    for (const id of twice) faults.push(`${what} of ${id} exists twice`);
    for (const id of found) if (!wanted.includes(id)) faults.push(`${what} of ${id} is left over`);
    for (const id of wanted) if (!found.includes(id)) faults.push(`${what} of ${id} is missing`);
  };
  const withPod = rows.filter(({ state }) => hasPod(state)).map(({ id }) => id);
  const withWorkspace = rows
    .filter(
      ({ id, state, workspace_until }) => withPod.includes(id) || state === "suspended" || workspace_until !== null,
    )
    .filter(({ workspace_mode }) => workspace_mode === "persistent")
    .map(({ id }) => id);
  expect("The pod", idsOf(pods), withPod);
  expect("The volume", idsOf(claims), withWorkspace);
  expect("The owner", idsOf(secrets), [...new Set([...withPod, ...withWorkspace])]);

  for (const { id, version, state } of rows) {
    const trail = events.filter(({ session_id }) => session_id === id);
    const versions = trail.map((event) => event.version);
    if (versions.join() !== Array.from({ length: version }, (_, index) => index + 1).join()) {
      faults.push(`The audit trail of ${id} has the versions ${versions.join()}, but the row is at ${version}`);
    }
    if (trail.at(-1)?.state !== state)
      faults.push(`The audit trail of ${id} ends in ${trail.at(-1)?.state}, not ${state}`);
    for (const type of ["ready", "gone"]) {
      const starts = trail.filter((event) => event.type === "admitted").length;
      if (trail.filter((event) => event.type === type).length > starts + 1) faults.push(`${id} was ${type} too often`);
    }
  }
  return faults;
}
