import { ApiException, type V1Pod, type V1PodSpec } from "@kubernetes/client-node";
import { expect, test } from "vitest";
import { session, tenant } from "../testing/fixtures.ts";
import type { CoreApi } from "./kubernetes.ts";
import { SessionObjects } from "./sessionObjects.ts";

const one = { id: "6f1e0f5e-3c0e-4c58-9a37-0f6f2f1c9a11", namespace: "tenant-acme" };
const succeeded: V1Pod = { metadata: { uid: "the-pod" }, status: { phase: "Succeeded" } };

const settings = {
  images: { agent: "agent@sha256:1", agentHasBerthd: true, berthd: "berthd@sha256:1", berthdVolume: "copy" as const },
  sessionUrl: "",
  tokens: () => ({ proxy: "", session: "" }),
};

/** A fake cluster that has this pod and answers requests for events with `events`. */
function objectsOf(pod: V1Pod, events: () => Promise<unknown>) {
  const asked: unknown[] = [];
  const core = {
    readNamespacedPod: async () => pod,
    listNamespacedEvent: (query: unknown) => {
      asked.push(query);
      return events();
    },
  } as unknown as CoreApi;
  return { asked, objects: new SessionObjects(core, settings) };
}

const refused = (code: number, message: string) => async () => {
  throw new ApiException(code, message, { kind: "Status", code, message }, {});
};

test("a pod that looks successful was evicted if an event of the kubelet about this pod says so", async () => {
  const { asked, objects } = objectsOf(succeeded, async () => ({ items: [{ message: "The disk is full." }] }));
  expect((await objects.observePod(one)).pod).toEqual({
    is: "broken",
    cause: "evicted",
    reason: "The session was evicted from its node: The disk is full.",
  });
  const fieldSelector = "involvedObject.uid=the-pod,reason=Evicted,source=kubelet";
  expect(asked).toEqual([{ namespace: one.namespace, fieldSelector, limit: 1 }]);
});

test("without such an event, or without the right to read events, the pod was successful", async () => {
  const forbidden = 'events is forbidden: User "worker" cannot list resource "events" in API group ""';
  for (const events of [async () => ({ items: [] }), refused(403, forbidden)]) {
    expect((await objectsOf(succeeded, events).objects.observePod(one)).pod).toMatchObject({ is: "finished" });
  }
});

test("if events can't be read for another reason, the error is thrown", async () => {
  await expect(objectsOf(succeeded, refused(500, "etcd")).objects.observePod(one)).rejects.toThrow("etcd");
});

test("events are not requested for a running pod", async () => {
  const { asked, objects } = objectsOf({ status: { phase: "Running" } }, async () => ({ items: [] }));
  await objects.observePod(one);
  expect(asked).toEqual([]);
});

const browser = session({ image: "browser", desktop: false, workspaceMode: "ephemeral" });
const images = [{ name: "browser", image: "browser@sha256:1" }];

test("the pod has the image of the session; if the tenant's config lacks the image, nothing is created", async () => {
  const made: V1Pod[] = [];
  const core = {
    createNamespacedSecret: async () => ({ metadata: { uid: "the-secret" } }),
    createNamespacedPod: async ({ body }: { body: V1Pod }) => {
      made.push(body);
      return body;
    },
  } as unknown as CoreApi;
  const objects = new SessionObjects(core, settings);
  expect(await objects.create(browser, tenant("acme", { images }))).toEqual({ result: "created" });
  expect(made.map(({ spec }) => spec?.containers.map(({ image }) => image))).toEqual([["browser@sha256:1"]]);
  expect(await objects.create(browser, tenant("acme"))).toEqual({
    result: "wait",
    reason: "Waiting for the image browser, which the config of acme does not have any more",
  });
  expect(made).toHaveLength(1);
});

test("if the API server removes the image volume from the pod, the session fails with a reason that names the key", async () => {
  const create = async (volumesOf: (spec: V1PodSpec) => V1PodSpec["volumes"]) => {
    const core = {
      createNamespacedSecret: async () => ({ metadata: { uid: "the-secret" } }),
      createNamespacedPod: async ({ body }: { body: V1Pod }) => {
        const spec = body.spec as V1PodSpec;
        return { ...body, spec: { ...spec, volumes: volumesOf(spec) } };
      },
    } as unknown as CoreApi;
    const ofImage = { ...settings, images: { ...settings.images, berthdVolume: "image" as const } };
    return new SessionObjects(core, ofImage).create(browser, tenant("acme", { images }));
  };
  expect(await create(({ volumes }) => volumes)).toEqual({ result: "created" });
  expect(await create(({ volumes }) => volumes?.filter(({ image }) => image === undefined))).toEqual({
    result: "fail",
    reason: expect.stringContaining("set images.berthdVolume to copy"),
  });
});

test("a pod is deleted by its UID, by force only if this is asked for; and its deletion is overdue after its grace period", async () => {
  const deleted: unknown[] = [];
  const gone = refused(404, "not found");
  const leaving = { metadata: { uid: "the-pod", deletionTimestamp: new Date(Date.now() - 60_000) } };
  const core = {
    readNamespacedSecret: gone,
    readNamespacedPersistentVolumeClaim: gone,
    readNamespacedPod: async () => leaving,
    deleteNamespacedPod: async ({ body }: { body: unknown }) => void deleted.push(body),
  } as unknown as CoreApi;
  const objects = new SessionObjects(core, settings);
  const { podObject, podOverdueSeconds = 0, podUid } = await objects.observe(one);
  expect([podObject, Math.floor(podOverdueSeconds / 60)]).toEqual(["deleting", 1]);
  await objects.removePod(one, podUid);
  await objects.removePod(one, podUid, { isForced: true });
  const preconditions = { uid: "the-pod" };
  expect(deleted).toEqual([{ preconditions }, { preconditions, gracePeriodSeconds: 0 }]);
});
