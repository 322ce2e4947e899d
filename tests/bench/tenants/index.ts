/** The stack `components` makes tenants as infra/index.ts does; `loop` makes the same resources without any of its code. */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

const stack = pulumi.getStack();
const kubernetes = new k8s.Provider("kubernetes", {
  context: new pulumi.Config().require("context"),
  // Both stacks are of the same objects, so that there is half as much to make and to remove.
  upsertExistingObjects: true,
  enableConfigMapMutable: true,
  enableSecretMutable: true,
});
const { make } = await import(stack === "components" ? "./components.ts" : "./loop.ts");
export const outputs = await make(kubernetes);
