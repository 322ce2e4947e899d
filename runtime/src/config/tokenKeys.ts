/**
 * The keys from which tokens, tickets and links are made and by which tasks are encrypted, each with an id. One of them signs;
 * the others are there for what was signed before, or will be by pods of the next configuration.
 */

/** The id of the first key. What carries no id was signed by it, because there was no other. */
export const firstKeyId = 1;

export class TokenKeys {
  readonly #keys: ReadonlyMap<number, string>;
  /** The id of the key that signs. */
  readonly current: number;

  /**
   * @param keys by id, from 1 on
   * @param current the id of the key that signs. Throws if it is none of them
   */
  constructor(keys: ReadonlyMap<number, string>, current: number) {
    this.#keys = keys;
    this.current = current;
    this.#of(current);
  }

  /** A first key that is the only one. */
  static one(key: string): TokenKeys {
    return new TokenKeys(new Map([[firstKeyId, key]]), firstKeyId);
  }

  /** The key of that id; undefined if it is not known here. */
  get(id: number): string | undefined {
    return this.#keys.get(id);
  }

  /** The key that a JWT's or JWE's `kid` names. Throws if it is not known here. */
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
