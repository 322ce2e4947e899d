/** Plans the warm pools: keeps the number of warm sessions that `warmPools` sets for each tenant, image and tier. */
import type { TenantsFile } from "../config/tenantsFile.ts";
import type { Actor } from "../domain/event.ts";
import { isBehind } from "../domain/generation.ts";
import { podTemplateHash } from "../domain/podTemplateHash.ts";
import { imagesOf, missingImage, type PodImages, type SessionImage } from "../domain/sessionImages.ts";
import type { Tenant } from "../domain/tenants.ts";
import { type Tier, tierNames } from "../domain/tiers.ts";
import { adjust, paced, type Want } from "../domain/warmPlan.ts";
import type { Database } from "../store/database.ts";
import type { SessionCommands } from "../store/sessionCommands.ts";
import type { SessionCreation } from "../store/sessionCreation.ts";
import type { SessionQueries } from "../store/sessionQueries.ts";
import { awaitingRoom, failedLately, poolKey, type StoredWarmSession, warmSessionsOf } from "../store/warmSessions.ts";
import type { StartLimit } from "./startLimit.ts";

export interface WarmPoolsOptions {
  database: Database;
  creation: Pick<SessionCreation, "create">;
  queries: Pick<SessionQueries, "find">;
  commands: Pick<SessionCommands, "apply">;
  tenants: Pick<TenantsFile, "all" | "generation">;
  images: PodImages;
  /** How many sessions of all tenants may be starting at the same time. */
  startLimit: Pick<StartLimit, "current">;
  /** Requests a reconcile of the session. */
  trigger: (sessionId: string) => void;
  /** Wakes the planner, because sessions were added to the queue. */
  plan: () => void;
}

const actor: Actor = { name: "worker" };

/** What a pool lacks, and what its new sessions are made of. */
interface PoolNeed extends Want {
  /** How many of the pool's warm sessions are starting. */
  starting: number;
  of: { tenant: Tenant; image: SessionImage; tier: Tier; templateHash: string };
}

export class WarmPools {
  constructor(private readonly options: WarmPoolsOptions) {}

  /**
   * Ends warm sessions that a pool does not need, and creates those that it lacks, as many as the cluster bears now. Leaves a
   * pool as it is if a tenants file that this process has not read yet has changed one of the pool's sessions. Returns whether
   * sessions are still missing while others start, so that a call soon afterwards may create more. Two calls must not run at
   * the same time. The cost grows with the number of pools and of warm sessions. Throws if Postgres does not answer.
   * @param onStep called before each session that is made or ended
   */
  async refill(onStep: () => void = () => {}): Promise<boolean> {
    const needs = await this.#trim(onStep);
    const makes = paced(needs, this.options.startLimit.current());
    let isFilling = false;
    for (const [index, { of, missing, starting }] of needs.entries()) {
      const make = makes[index] ?? 0;
      for (let made = 0; made < make; made += 1) {
        onStep();
        await this.#make(of);
      }
      isFilling ||= missing > make && make + starting > 0;
    }
    return isFilling;
  }

  /** Ends the warm sessions that no pool needs, and returns the pools. */
  async #trim(onStep: () => void): Promise<PoolNeed[]> {
    const { database, tenants, images } = this.options;
    const [warmSessions, failed, awaited] = await Promise.all([
      warmSessionsOf(database),
      failedLately(database),
      awaitingRoom(database),
    ]);
    const ofTenant = new Map<string, StoredWarmSession[]>();
    for (const session of warmSessions) {
      const own = ofTenant.get(session.tenant);
      if (own === undefined) ofTenant.set(session.tenant, [session]);
      else own.push(session);
    }
    const needs: PoolNeed[] = [];
    for (const tenant of tenants.all()) {
      const own = ofTenant.get(tenant.name) ?? [];
      const room = awaited.get(tenant.name);
      let isEnding = room?.isEnding ?? false;
      for (const image of imagesOf(tenant, images)) {
        const ofImage = own.filter((session) => session.image === image.name);
        const sizes = tierNames.map((tier) => image.warmPools[tier]);
        if (ofImage.length === 0 && Math.max(...sizes) === 0) continue;
        const templateHash = podTemplateHash(images, image, tenant);
        for (const tier of tierNames) {
          const made = ofImage.filter((session) => session.tier === tier);
          if (made.some((session) => this.#isUnread(session))) continue;
          const size = tenant.maxSessions === 0 ? 0 : image.warmPools[tier];
          const isAwaited = room !== undefined;
          const { missing, end } = adjust({ size, templateHash, warmSessions: made, isAwaited, isEnding });
          for (const { id } of end) {
            onStep();
            await this.#end(id);
          }
          isEnding ||= end.length > 0;
          const kept = made.filter((session) => !end.includes(session));
          needs.push({
            tenant: tenant.name,
            missing,
            pending: kept.filter(({ state }) => state !== "running").length,
            starting: kept.filter(({ state }) => state === "starting").length,
            failed: failed.get(poolKey({ tenant: tenant.name, image: image.name, tier })) ?? 0,
            of: { tenant, image, tier, templateHash },
          });
        }
      }
      const withoutPool = own.filter(
        (session) => missingImage(tenant, session.image) !== null && !this.#isUnread(session),
      );
      for (const { id } of withoutPool) await this.#end(id);
    }
    return needs;
  }

  /** Whether a tenants file that this process has not read yet has changed the session. */
  #isUnread({ tenantsGeneration }: StoredWarmSession): boolean {
    return isBehind(this.options.tenants.generation, tenantsGeneration);
  }

  async #make({ tenant, image, tier, templateHash }: PoolNeed["of"]): Promise<void> {
    const { creation, plan } = this.options;
    const { name, namespace, workspace } = tenant;
    const made = await creation.create(
      {
        tenant: name,
        namespace,
        tier,
        image: image.name,
        desktop: image.desktop,
        workspaceMode: workspace.mode,
        warm: templateHash,
      },
      actor,
    );
    if (typeof made === "object") plan();
  }

  /** Ends the warm session. If a user claims it first, its version changes, so `apply` does nothing. */
  async #end(id: string): Promise<void> {
    const { queries, commands, trigger } = this.options;
    const session = await queries.find(id);
    if (session === undefined || session.warm === null) return;
    const reason = "The warm pool does not need this session any more";
    await commands.apply(session, { type: "stop", cause: "quota-removed", reason }, actor);
    trigger(id);
  }
}
