/** One entry under `tenants`. */
import { z } from "zod";
import { internalRangeOf, isCidr } from "../kubernetes/cidr.ts";
import { cidr, count, name, port, quantity, url, volume } from "./scalars.ts";

const egressRule = z.strictObject({
  cidr: cidr
    .check((check) => {
      const internal = isCidr(check.value) && internalRangeOf(check.value);
      if (!internal) return;
      const message = `lies in ${internal}, which sessions never reach by address`;
      check.issues.push({ code: "custom", input: check.value, message });
    })
    .describe("Addresses that sessions may reach. Private, link-local and metadata ranges inside it stay closed."),
  ports: z.array(port).min(1, { error: "is empty; name at least one port" }).default([443]).describe("TCP ports."),
});

const quota = z.strictObject({
  requestsCpu: quantity.default("20").describe("Sum of all sessions' CPU requests."),
  limitsCpu: quantity.default("40").describe("Sum of all sessions' CPU limits."),
  requestsMemory: quantity.default("40Gi").describe("Sum of all sessions' memory requests."),
  limitsMemory: quantity.default("80Gi").describe("Sum of all sessions' memory limits."),
  pods: count.default(50).describe("Pods at one time; one per session."),
  storage: quantity.default("500Gi").describe("Sum of all workspace volumes."),
});

export const tenant = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$/, {
      error: "is not a tenant name: 1 to 40 of a-z, 0-9 and -, first a letter, last not a -",
    })
    .describe("The tenant's name; its namespace is `tenant-<name>`."),
  quota: quota.prefault({}).describe("What all sessions of the tenant may use together."),
  workspace: volume("10Gi").prefault({}).describe("Each session's workspace volume."),
  agentConfig: z
    .strictObject({
      modelEndpoint: url
        .optional()
        .describe("Where the agents find their model, as `MODEL_ENDPOINT`; its address must be in `egress` too."),
    })
    .prefault({})
    .describe("What the agents are told."),
  runtimeClassName: name
    .nullable()
    .default(null)
    .describe("RuntimeClass of the session pods, for example gvisor; null for the cluster's own."),
  egress: z.array(egressRule).default([]).describe("What sessions may reach beyond DNS."),
});

/** All tenants; no name twice. */
export const tenants = z.array(tenant).check((check) => {
  const names = check.value.map((one) => one?.name);
  names.forEach((one, index) => {
    const first = names.indexOf(one);
    if (one === undefined || first === index) return;
    const message = `is the name of tenants[${first}] already`;
    check.issues.push({ code: "custom", input: one, path: [index, "name"], message });
  });
});

export type TenantConfig = z.output<typeof tenant>;
