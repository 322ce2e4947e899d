/** The clock of the program. Tests and the rendering of manifests replace this clock with a fixed time. */
export const clock = { now: () => new Date() };
