/**
 * A store that Berth doesn't run. All of its Secret stays there: pods read it when they start, and nothing of it enters
 * the stack's state.
 * @param prefix of the variables, for example POSTGRES
 * @param keys of the Secret, each read into `<prefix>_<KEY>`; `tls` may be missing and is false then
 */
export function externalConnection(prefix, keys, { secret }) {
    const variable = (key, optional) => ({
        name: `${prefix}_${key.toUpperCase()}`,
        valueFrom: { secretKeyRef: { name: secret, key, ...(optional && { optional }) } },
    });
    return {
        variables: {},
        secretVariables: [...keys.map((key) => variable(key, false)), variable("tls", true)],
        password: { secret, key: "password" },
    };
}
