import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { labels, sessionLabel, tenantLabel } from "../kubernetes/labels.ts";
import { workerServiceAccount } from "./worker.ts";

/**
 * What must hold for a pod that the worker makes, as CEL expressions, each with the message of the refusal. podFor in
 * runtime/src/cluster/podSpec makes these pods. While `up` runs, the policy applies to workers of the old and the new version, so an
 * expression must accept the pods of both.
 *
 * The Pod Security level `restricted` of the namespaces refuses privileges and the node's namespaces and paths. These expressions
 * refuse what `restricted` allows: other accounts, and Secrets and volumes of other sessions.
 */
const rules: Record<string, string> = {
  "The pod must have the name of its session, and the Secret of its session as its only owner.": `
    has(object.metadata.labels) && '${sessionLabel}' in object.metadata.labels
    && object.metadata.name == 'agent-' + object.metadata.labels['${sessionLabel}']
    && has(object.metadata.ownerReferences) && object.metadata.ownerReferences.size() == 1
    && object.metadata.ownerReferences.all(o, o.kind == 'Secret' && o.name == object.metadata.name)`,
  "The pod must have the ServiceAccount agent-runner, without a token.": `
    object.spec.serviceAccountName == 'agent-runner'
    && has(object.spec.automountServiceAccountToken) && !object.spec.automountServiceAccountToken`,
  "The pod's volumes must be empty, an image, or the Secret and the volume claim of its session.": `
    object.spec.volumes.all(v, has(v.emptyDir) || has(v.image)
      || (has(v.secret) && v.secret.secretName == object.metadata.name)
      || (has(v.persistentVolumeClaim) && v.persistentVolumeClaim.claimName == object.metadata.name))`,
  "The pod's environment must come from its spec and the ConfigMap agent-config.": `
    (object.spec.containers + (has(object.spec.initContainers) ? object.spec.initContainers : [])).all(c,
      (!has(c.env) || c.env.all(e, !has(e.valueFrom)))
      && (!has(c.envFrom) || c.envFrom.all(f, has(f.configMapRef) && f.configMapRef.name == 'agent-config')))`,
  "The scheduler must choose the pod's node.": "!has(object.spec.nodeName)",
};

/**
 * Restricts the pods that the worker can make to pods of sessions. So whoever has the worker's token gets no other account and no
 * other session's volume by a pod. The policy applies to the worker only: an operator makes other pods in a tenant's namespace.
 *
 * The API server evaluates the expressions for each pod that the worker makes. Source:
 * https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
 */
export class SessionAdmission extends pulumi.ComponentResource {
  constructor(name: string, args: { namespace: pulumi.Input<string> }, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:SessionAdmission", name, {}, opts);
    // The objects are in no namespace, and a cluster may have several stacks.
    const metadata = { name: pulumi.interpolate`${args.namespace}-session-pods`, labels: labels("platform") };
    const worker = pulumi.interpolate`system:serviceaccount:${args.namespace}:${workerServiceAccount}`;
    const policy = new k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
      `${name}-policy`,
      {
        metadata,
        spec: {
          failurePolicy: "Fail",
          matchConstraints: {
            namespaceSelector: { matchExpressions: [{ key: tenantLabel, operator: "Exists" }] },
            resourceRules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] }],
          },
          matchConditions: [
            { name: "by-the-worker", expression: pulumi.interpolate`request.userInfo.username == '${worker}'` },
          ],
          validations: Object.entries(rules).map(([message, expression]) => ({
            message,
            expression: expression.replaceAll(/\s+/g, " ").trim(),
          })),
        },
      },
      { parent: this },
    );
    new k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
      `${name}-binding`,
      { metadata, spec: { policyName: policy.metadata.name, validationActions: ["Deny"] } },
      { parent: this },
    );
    this.registerOutputs();
  }
}
