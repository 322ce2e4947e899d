/** The machine's own cluster is made to be thrown away, and `berth:protectData` is false there. */
const thrownAway = ["Namespace berth", "PersistentVolumeClaim postgres-data", "PersistentVolumeClaim redis-data"];
/** What may break a rule. A test finds those that are no longer needed. */
export const exceptions = [
    {
        rule: "no-public-service",
        object: "Service api",
        stack: "dev",
        reason: "The machine's own cluster has no ingress controller; its node ports are open on loopback only.",
    },
    ...thrownAway.map((object) => ({
        rule: "protected-data",
        object,
        stack: "dev",
        reason: "What is on the machine's own cluster is made to be thrown away.",
    })),
];
/** The exception that lets the object break the rule in the stack, if there is one. */
export const exceptionFor = (rule, { kind, resource }, stack) => exceptions.find((e) => e.rule === rule && e.object === `${kind} ${resource}` && e.stack === stack);
