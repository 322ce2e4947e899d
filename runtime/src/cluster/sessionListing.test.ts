import { CoreV1Api } from "@kubernetes/client-node";
import { expect, test } from "vitest";
import { kubeApi } from "../testing/kubeApi.ts";
import { sessionLabel } from "./names.ts";
import { listVolumeClaimsAndSecrets } from "./sessionListing.ts";

test("the list says which volume claims and Secrets each session has, page by page, and asks for metadata only", async () => {
  const made = "2026-01-01T12:00:00Z";
  const items = (...ids: string[]) =>
    ids.map((id) => ({ metadata: { labels: { [sessionLabel]: id }, creationTimestamp: made } }));
  const pages: Record<string, object> = {
    persistentvolumeclaims: { items: items("runs"), metadata: { continue: "more" } },
    "persistentvolumeclaims more": { items: items("starts"), metadata: {} },
    secrets: { items: items("runs", "suspended"), metadata: {} },
  };
  const accepted = new Set<string | undefined>();
  const { config } = await kubeApi((request, response) => {
    accepted.add(request.headers.accept);
    const { pathname, searchParams } = new URL(request.url ?? "", "http://localhost");
    const page = [pathname.split("/").pop(), searchParams.get("continue")].filter((part) => part !== null).join(" ");
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(pages[page]));
  });
  const found = await listVolumeClaimsAndSecrets(config.makeApiClient(CoreV1Api), "tenant-acme");
  const since = new Date(made);
  expect(Object.fromEntries(found)).toEqual({
    runs: { volumeClaim: true, secret: true, since },
    starts: { volumeClaim: true, secret: false, since },
    suspended: { volumeClaim: false, secret: true, since },
  });
  expect([...accepted]).toEqual([expect.stringMatching(/as=PartialObjectMetadataList/)]);
});
