/**
 * The keys that sign tokens, tickets and links and encrypt tasks, each with an id. One key signs. The other keys
 * verify what was signed earlier, or what processes with a newer configuration already sign.
 */

/**
 * The id of the first key. A token without a key id belongs to the first key, because the older versions of Berth that
 * wrote no key ids had only this key.
 */
export const firstKeyId = 1;

export class TokenKeys {
  readonly #keys: ReadonlyMap<number, string>;
  /** The id of the key that signs. */
  readonly current: number;

  /**
   * @param keys the keys by their ids. An id is a positive integer. The first key of an installation has the id 1; the map
   * does not contain dropped keys
   * @param current the id of the key that signs. Throws if `keys` does not contain this id
   */
  constructor(keys: ReadonlyMap<number, string>, current: number) {
    this.#keys = keys;
    this.current = current;
    this.#of(current);
  }

  /** Makes a set with one key, whose id is 1. */
  static one(key: string): TokenKeys {
    return new TokenKeys(new Map([[firstKeyId, key]]), firstKeyId);
  }

  /** The key with this id; undefined if this process does not know the key. */
  get(id: number): string | undefined {
    return this.#keys.get(id);
  }

  /** The key that the `kid` of a JWT or JWE names. Throws if this process does not know the key. */
  byKid(kid: string | undefined): Uint8Array {
    return new TextEncoder().encode(this.#of(kid === undefined ? firstKeyId : Number(kid)));
  }

  get ids(): number[] {
    return [...this.#keys.keys()];
  }

  #of(id: number): string {
    const key = this.#keys.get(id);
    if (key === undefined) throw new Error(`the token key ${id} is not known`);
    return key;
  }
}
