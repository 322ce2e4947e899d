/** The labels that every object of Berth carries. */
/** The labels by which pods of a component are found; they never change. */
export const selector = (component) => ({
    "app.kubernetes.io/name": component,
    "app.kubernetes.io/component": component,
});
/** The recommended labels of Kubernetes for an object of the component. */
export const labels = (component) => ({
    ...selector(component),
    "app.kubernetes.io/part-of": "berth",
    "app.kubernetes.io/managed-by": "pulumi",
});
/** On the namespace and all objects of a tenant: the tenant's name. */
export const tenantLabel = "berth.dev/tenant";
/** On the pods that the worker starts for sessions. */
export const sessionSelector = { "app.kubernetes.io/component": "session" };
