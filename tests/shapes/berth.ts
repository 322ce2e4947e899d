/**
 * The variables of the Berth in which the shapes run: a separate Berth, beside the Berth that may run on the machine.
 * vitest.config.ts sets these variables for all shapes, so `machine` in a shape describes this Berth.
 */
export const env = {
  BERTH_NAME: "berth-shapes",
  BERTH_STATE: "/var/lib/berth-shapes",
  BERTH_NETWORK: "10.214.0.0/16",
  BERTH_REGISTRY_PORT: "5015",
  BERTH_API_PORT: "30097",
  BERTH_SANDBOX_PORT: "30098",
};
