/**
 * The agent's task, and its encryption. The database stores the task encrypted, because the task contains secrets.
 */
import { createCipheriv, createHmac, createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import { compactDecrypt } from "jose";
import type { TokenKeys } from "../config/tokenKeys.ts";
import type { Session } from "../domain/session.ts";

export interface Task {
  /** The program and its arguments; null: no program. */
  command: string[] | null;
  /** Environment variables of the program. */
  env: Record<string, string>;
  /**
   * Environment variables of the agent's program that only the pod gets, through the in-pod channel and only until the pod
   * has confirmed that it has the task; no public API call returns them.
   */
  secrets: Record<string, string>;
}

/**
 * What an encrypted task is bound to: to the session `sid`, so that the task can't be read in another row. A claim encrypts the
 * task before Postgres chooses the session, so the claim binds the task to the tenant and to a random id (`tid`) that the row
 * stores beside the task. A copy in another row is refused there, because no two rows may have the same `tid`. Soon after the
 * claim, the task is bound to the session; see taskBinding.ts.
 */
type Binding = { sid: string } | { tid: string; tenant: string };

export class TaskCipher {
  /** The keys that encrypt tasks, by the ids of their token keys. They are kept, because their derivation takes long. */
  readonly #taskKeys = new Map<number, KeyObject>();

  /** From each token key, this class derives one key for the encryption of tasks and one key for fingerprints. */
  constructor(readonly keys: TokenKeys) {}

  /**
   * Encrypts the task as a compact JWE (RFC 7516, A256GCM). The key is derived from this token key. Node's own cipher does this
   * in a quarter of the time that jose's takes, and each claim of a warm session needs it.
   */
  encrypt(task: Task, keyId: number, binding: Binding): string {
    const kid = String(keyId);
    const header = base64url(JSON.stringify({ alg: "dir", enc: "A256GCM", kid, ...binding }));
    const iv = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", this.#taskKey(keyId), iv).setAAD(Buffer.from(header));
    const content = Buffer.concat([cipher.update(JSON.stringify(task), "utf8"), cipher.final()]);
    // With the algorithm `dir`, the part for an encrypted key is empty.
    return [header, "", base64url(iv), base64url(content), base64url(cipher.getAuthTag())].join(".");
  }

  /**
   * Decrypts the task of the session.
   * @param session `taskId`: the id that the row stores beside the task
   * @throws if the text is damaged, belongs to another session or tenant, or was encrypted with a key that this process does not
   * have
   */
  async decrypt(
    { id, tenant, taskId }: Pick<Session, "id" | "tenant"> & { taskId: string | null },
    text: string,
  ): Promise<Task> {
    const options = { keyManagementAlgorithms: ["dir"], contentEncryptionAlgorithms: ["A256GCM"] };
    const { plaintext, protectedHeader } = await compactDecrypt(
      text,
      ({ kid }: { kid?: string }) => derive(this.keys.byKid(kid), "task"),
      options,
    );
    const { sid, tid, tenant: owner } = protectedHeader;
    const isOwn = tid === undefined ? sid === id : tid === taskId && owner === tenant;
    if (!isOwn) throw new Error("the encrypted task belongs to another session or tenant");
    return JSON.parse(new TextDecoder().decode(plaintext)) as Task;
  }

  /** The key that encrypts tasks under this token key. Throws if this process does not know the token key. */
  #taskKey(keyId: number): KeyObject {
    const known = this.#taskKeys.get(keyId);
    if (known !== undefined) return known;
    const key = createSecretKey(derive(this.keys.byKid(String(keyId)), "task"));
    this.#taskKeys.set(keyId, key);
    return key;
  }

  /**
   * Returns a keyed fingerprint of the value, which is the request that creates a session. The fingerprint reveals nothing about
   * the request. The order of an object's fields does not matter.
   */
  fingerprint(value: unknown): string {
    return this.#fingerprintBy(this.keys.current, value);
  }

  /** Whether the fingerprint was made from the value, with any key that this process has. */
  isFingerprint(fingerprint: string, value: unknown): boolean {
    return this.keys.ids.some((id) => this.#fingerprintBy(id, value) === fingerprint);
  }

  #fingerprintBy(keyId: number, value: unknown): string {
    return createHmac("sha256", derive(this.keys.byKid(String(keyId)), "request"))
      .update(JSON.stringify(sorted(value)))
      .digest("base64url");
  }
}

const base64url = (data: string | Buffer) =>
  (typeof data === "string" ? Buffer.from(data) : data).toString("base64url");

const derive = (key: Uint8Array, purpose: string) =>
  new Uint8Array(createHmac("sha256", key).update(`${purpose}:`).digest());

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, nested]) => [key, sorted(nested)]),
  );
}
