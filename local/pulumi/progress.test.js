import { expect, test } from "vitest";
import { newsFilter } from "./progress.ts";
const output = ` +  kubernetes:core/v1:Namespace berth creating (0s)
@ updating....
 +  kubernetes:core/v1:Namespace berth created (0.10s)
 ~  docker:index:Image api-image updating (0s) [diff: ~build]; Pushing [====>]  512B
 ~  docker:index:Image api-image updated (9s) [diff: ~build]; Pushed image
 +  berth:index:Platform platform created
 +  kubernetes:apps/v1:Deployment api creating (10s) warning: [Pod berth/api]: containers with unready status: [api]
 +  kubernetes:apps/v1:Deployment api **creating failed** error: 0 of 1 pods are ready

Diagnostics:
  kubernetes:apps/v1:Deployment (api):
    error: 0 of 1 pods are ready

Resources:
    + 1 created`;
test("only what is done, errors and the summary are shown", () => {
    expect(output.split("\n").filter(newsFilter())).toEqual([
        " +  kubernetes:core/v1:Namespace berth created (0.10s)",
        " ~  docker:index:Image api-image updated (9s) [diff: ~build]; Pushed image",
        " +  kubernetes:apps/v1:Deployment api **creating failed** error: 0 of 1 pods are ready",
        "Diagnostics:",
        "  kubernetes:apps/v1:Deployment (api):",
        "    error: 0 of 1 pods are ready",
        "Resources:",
        "    + 1 created",
    ]);
});
