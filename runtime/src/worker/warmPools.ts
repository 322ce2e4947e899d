/**
 * Keeps the number of warm sessions that `warmPools` sets for each tenant, image and tier. Only the leader does so, in each
 * sweep.
 */
import type { TenantsFile } from "../config/tenantsFile.ts";
import type { Actor } from "../domain/event.ts";
import { isBehind } from "../domain/generation.ts";
import { podTemplateHash } from "../domain/podTemplateHash.ts";
import { imagesOf, missingImage, type PodImages, type SessionImage } from "../domain/sessionImages.ts";
import type { Tenant } from "../domain/tenants.ts";
import { type Tier, tierNames } from "../domain/tiers.ts";
import { adjust } from "../domain/warmPlan.ts";
import type { Database } from "../store/database.ts";
import type { SessionCommands } from "../store/sessionCommands.ts";
import type { SessionCreation } from "../store/sessionCreation.ts";
import type { SessionQueries } from "../store/sessionQueries.ts";
import { awaitingRoom, madeLately, poolKey, type StoredSpare, sparesOf } from "../store/warmSessions.ts";

export interface WarmPoolsOptions {
  database: Database;
  creation: Pick<SessionCreation, "create">;
  queries: Pick<SessionQueries, "find">;
  commands: Pick<SessionCommands, "apply">;
  tenants: Pick<TenantsFile, "all" | "generation">;
  images: PodImages;
  /** Requests a reconcile of the session. */
  trigger: (sessionId: string) => void;
  /** Wakes the planner, because sessions were added to the queue. */
  plan: () => void;
}

const actor: Actor = { name: "worker" };

export class WarmPools {
  constructor(private readonly options: WarmPoolsOptions) {}

  /**
   * Creates and ends warm sessions, so that each pool gets its size. Leaves a pool as it is if a tenants file that this
   * process has not read yet has changed one of the pool's sessions. Throws if Postgres does not answer.
   */
  async refill(): Promise<void> {
    const { database, tenants, images } = this.options;
    const [spares, lately, awaited] = await Promise.all([
      sparesOf(database),
      madeLately(database),
      awaitingRoom(database),
    ]);
    for (const tenant of tenants.all()) {
      const own = spares.filter(({ tenant: name }) => name === tenant.name);
      for (const image of imagesOf(tenant, images)) {
        const templateHash = podTemplateHash(images, image, tenant);
        for (const tier of tierNames) {
          const made = own.filter((spare) => spare.image === image.name && spare.tier === tier);
          if (made.some((spare) => this.#isUnread(spare))) continue;
          const { make, end } = adjust({
            size: tenant.maxSessions === 0 ? 0 : image.warmPools[tier],
            templateHash,
            spares: made,
            lately: lately.get(poolKey({ tenant: tenant.name, image: image.name, tier })) ?? 0,
            isAwaited: awaited.has(tenant.name),
          });
          for (const { id } of end) await this.#end(id);
          for (let made = 0; made < make; made += 1) await this.#make(tenant, image, tier, templateHash);
        }
      }
      const withoutPool = own.filter((spare) => missingImage(tenant, spare.image) !== null && !this.#isUnread(spare));
      for (const { id } of withoutPool) await this.#end(id);
    }
  }

  /** Whether a tenants file that this process has not read yet has changed the session. */
  #isUnread({ tenantsGeneration }: StoredSpare): boolean {
    return isBehind(this.options.tenants.generation, tenantsGeneration);
  }

  async #make(tenant: Tenant, image: SessionImage, tier: Tier, warm: string): Promise<void> {
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
        warm,
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
