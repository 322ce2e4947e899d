/**
 * The stack `components` creates tenants with the code of infra/, as infra/index.ts does. The stack `loop` creates the same
 * resources without that code.
 */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

const stack = pulumi.getStack();
const kubernetes = new k8s.Provider("kubernetes", {
  context: new pulumi.Config().require("context"),
  // Both stacks use the same Kubernetes objects, so that only half as many objects must be created and deleted.
  upsertExistingObjects: true,
  enableConfigMapMutable: true,
  enableSecretMutable: true,
});
const { make } = await import(stack === "components" ? "./components.ts" : "./loop.ts");
export const outputs = await make(kubernetes);
