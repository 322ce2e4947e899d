import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Config } from "../config/config.ts";
import { labels, sessionLabel, tenantLabel } from "../kubernetes/labels.ts";
import { workerServiceAccount } from "./worker.ts";

export interface SessionAdmissionArgs extends Pick<Config, "priorityClasses" | "tenants"> {
  /** The platform's namespace. */
  namespace: pulumi.Input<string>;
}

/** Key: the message of the refusal. Value: the CEL expression that must be true. */
type Rules = Record<string, string>;

const nameRule: Rules = {
  "The object must have the name of its session.": `
    has(object.metadata.labels) && '${sessionLabel}' in object.metadata.labels
    && object.metadata.name == 'agent-' + object.metadata.labels['${sessionLabel}']`,
};

const ownerRule: Rules = {
  "The Secret of the session must be the object's only owner.": `
    has(object.metadata.ownerReferences) && object.metadata.ownerReferences.size() == 1
    && object.metadata.ownerReferences.all(o, o.apiVersion == 'v1' && o.kind == 'Secret' && o.name == object.metadata.name)`,
};

/** The PriorityClasses that no session has: those of the platform and of Kubernetes, unless the config gives one to sessions. */
function classesOfOthers({ priorityClasses, tenants }: Pick<SessionAdmissionArgs, "priorityClasses" | "tenants">) {
  const { platform, imagePullers, sessions } = priorityClasses;
  const ofSessions = [sessions.name, ...tenants.map(({ priorityClassName }) => priorityClassName)];
  return [platform.name, imagePullers.name, "system-node-critical", "system-cluster-critical"].filter(
    (name) => !ofSessions.includes(name),
  );
}

/**
 * What must hold for the objects that the worker makes, by resource. runtime/src/cluster/podSpec makes these objects. While `up`
 * runs, the policies apply to workers of the old and the new version, so an expression must accept the objects of both.
 *
 * The Pod Security level `restricted` of the namespaces refuses privileges and the node's namespaces and paths. The expressions for
 * pods refuse what `restricted` allows: other accounts and their tokens, and Secrets and volumes of other sessions.
 */
const rulesFor = (args: SessionAdmissionArgs): Record<string, Rules> => ({
  pods: {
    ...nameRule,
    ...ownerRule,
    "The pod must have the ServiceAccount agent-runner, without a token.": `
      object.spec.serviceAccountName == 'agent-runner'
      && has(object.spec.automountServiceAccountToken) && !object.spec.automountServiceAccountToken`,
    "The pod's volumes must be empty, an image, fields of the pod, or the Secret and the volume claim of its session.": `
      object.spec.volumes.all(v, has(v.emptyDir) || has(v.image) || has(v.downwardAPI)
        || (has(v.secret) && v.secret.secretName == object.metadata.name)
        || (has(v.persistentVolumeClaim) && v.persistentVolumeClaim.claimName == object.metadata.name))`,
    "The pod's environment must come from its spec, its fields and the ConfigMap agent-config.": `
      (object.spec.containers + (has(object.spec.initContainers) ? object.spec.initContainers : [])).all(c,
        (!has(c.env) || c.env.all(e, !has(e.valueFrom) || has(e.valueFrom.fieldRef) || has(e.valueFrom.resourceFieldRef)))
        && (!has(c.envFrom) || c.envFrom.all(f, has(f.configMapRef) && f.configMapRef.name == 'agent-config')))`,
    "The pod must not have a PriorityClass of the platform or of Kubernetes.": `
      !has(object.spec.priorityClassName)
      || !(object.spec.priorityClassName in ${JSON.stringify(classesOfOthers(args)).replaceAll('"', "'")})`,
    "The pod must not bypass the scheduler.": "!has(object.spec.nodeName)",
  },
  // Kubernetes writes a token of another account into a Secret of the type for such tokens.
  secrets: { ...nameRule, "The Secret must have the type Opaque.": "object.type == 'Opaque'" },
  persistentvolumeclaims: {
    ...nameRule,
    ...ownerRule,
    "The volume claim must ask for a new volume, not for an existing one or a copy.":
      "!has(object.spec.volumeName) && !has(object.spec.dataSource) && !has(object.spec.dataSourceRef)",
  },
});

/**
 * Restricts the objects that the worker can make in tenants' namespaces to objects of sessions, so that the worker's token does not
 * lead to other accounts there, nor past the tenant's quota. The policies apply to the worker only: an operator makes other objects.
 *
 * Somebody who has the worker's token can still make a pod in the name of any session, with any image, command, RuntimeClass and node
 * selection, and can read the Secrets of the tenants' namespaces.
 *
 * The API server evaluates the expressions for each object that the worker makes. Source:
 * https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
 */
export class SessionAdmission extends pulumi.ComponentResource {
  /** The names of the policies, which are also the names of their bindings. */
  readonly policies: pulumi.Output<string>[];

  constructor(name: string, args: SessionAdmissionArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:SessionAdmission", name, {}, opts);
    const parent = { parent: this };
    const worker = pulumi.interpolate`system:serviceaccount:${args.namespace}:${workerServiceAccount}`;
    this.policies = Object.entries(rulesFor(args)).map(([resource, rules]) => {
      // The objects are in no namespace, and a cluster may have several stacks. So each name contains the namespace of the stack's
      // platform.
      const metadata = {
        name: pulumi.interpolate`${args.namespace}-session-${resource}`,
        labels: labels("platform"),
      };
      const { metadata: made } = new k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
        `${name}-${resource}`,
        {
          metadata,
          spec: {
            failurePolicy: "Fail",
            matchConstraints: {
              namespaceSelector: { matchExpressions: [{ key: tenantLabel, operator: "Exists" }] },
              resourceRules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: [resource] }],
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
        parent,
      );
      new k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
        `${name}-${resource}`,
        { metadata, spec: { policyName: made.name, validationActions: ["Deny"] } },
        parent,
      );
      return made.name;
    });
    this.registerOutputs({ policies: this.policies });
  }
}
