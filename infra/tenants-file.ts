/** The file by which the runtime knows its tenants: `tenants.json` in the Secret `tenants`. */
import { createHash } from "node:crypto";
import type { VolumeConfig } from "./config/scalars.ts";

export interface TenantEntry {
  name: string;
  namespace: string;
  /** Keys are known by their SHA-256 in hex; a key itself never enters the cluster. */
  keys: { name: string; sha256: string }[];
  serviceAccount: string;
  workspace: VolumeConfig;
  runtimeClassName: string | null;
}

export const keyHash = (key: string): string => createHash("sha256").update(key).digest("hex");

export const tenantsFile = (tenants: TenantEntry[]): string => `${JSON.stringify({ tenants }, null, 2)}\n`;
