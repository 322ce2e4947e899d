/** Reads and writes one Lease. Each method throws if the Kubernetes API server does not answer. */
import type { V1Lease, V1LeaseSpec } from "@kubernetes/client-node";
import { type LeaseApi, refusalOf } from "./kubernetes.ts";

export class StoredLease {
  constructor(
    private readonly leases: LeaseApi,
    private readonly at: { namespace: string; name: string },
  ) {}

  /** The Lease; undefined if it does not exist. */
  async read(): Promise<V1Lease | undefined> {
    try {
      return await this.leases.readNamespacedLease(this.at);
    } catch (error) {
      if (refusalOf(error)?.kind === "missing") return undefined;
      throw error;
    }
  }

  /**
   * Creates the Lease, or replaces `before`. The new Lease has the version of `before`, so that the Kubernetes API server
   * refuses the write if another process has changed the Lease meanwhile. Returns false if another process was faster.
   */
  async write(spec: V1LeaseSpec, before?: V1Lease): Promise<boolean> {
    const { namespace, name } = this.at;
    const metadata = before?.metadata ?? { name };
    const body = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata, spec };
    try {
      await (before === undefined
        ? this.leases.createNamespacedLease({ namespace, body })
        : this.leases.replaceNamespacedLease({ namespace, name, body }));
      return true;
    } catch (error) {
      const kind = refusalOf(error)?.kind;
      if (kind === "conflict" || kind === "exists") return false;
      throw error;
    }
  }
}
