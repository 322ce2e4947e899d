/** Notes in Redis which links to ports were used, because each link works once. */
import type { Redis } from "ioredis";

export class UsedLinks {
  constructor(private readonly redis: Pick<Redis, "set">) {}

  /**
   * Notes that the link was used. The note is kept until the link expires.
   * @param id the link's id
   * @returns whether this is the link's first use. Throws if Redis does not answer
   */
  async use(id: string, expiresAt: Date): Promise<boolean> {
    const seconds = Math.max(1, Math.ceil((expiresAt.getTime() - Date.now()) / 1000));
    return (await this.redis.set(`port-link:${id}`, "1", "EX", seconds, "NX")) !== null;
  }
}
