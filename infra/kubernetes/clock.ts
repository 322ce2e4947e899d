/** The time at which the program runs. The recorder of tests and manifests puts a fixed one in place. */
export const clock = { now: () => new Date() };
