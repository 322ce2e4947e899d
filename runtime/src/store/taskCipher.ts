/**
 * The agent's task, and its encryption. The database stores the task encrypted, because the task contains secrets.
 */
import { createHmac } from "node:crypto";
import { CompactEncrypt, compactDecrypt } from "jose";
import type { TokenKeys } from "../config/tokenKeys.ts";
import type { Session } from "../domain/session.ts";

export interface Task {
  /** The program and its arguments; null: no program, only the desktop. */
  command: string[] | null;
  /** Environment variables of the program. */
  env: Record<string, string>;
  /**
   * Environment variables of the agent's program that only the pod gets, through the in-pod channel and only until it has read
   * its task; no public API call returns them.
   */
  secrets: Record<string, string>;
}

export class TaskCipher {
  /** From each token key, this class derives one key for the encryption of tasks and one key for fingerprints. */
  constructor(readonly keys: TokenKeys) {}

  /**
   * Encrypts the task as a compact JWE (A256GCM) that is bound to this session. The key is derived from the key that
   * signs the session's tokens.
   */
  async encrypt({ id, tokenKey }: Pick<Session, "id" | "tokenKey">, task: Task): Promise<string> {
    const kid = String(tokenKey);
    return new CompactEncrypt(new TextEncoder().encode(JSON.stringify(task)))
      .setProtectedHeader({ alg: "dir", enc: "A256GCM", kid, sid: id })
      .encrypt(derive(this.keys.byKid(kid), "task"));
  }

  /**
   * Throws if the text is damaged, belongs to another session, or was encrypted with a key that this process does not
   * have.
   */
  async decrypt(sessionId: string, text: string): Promise<Task> {
    const options = { keyManagementAlgorithms: ["dir"], contentEncryptionAlgorithms: ["A256GCM"] };
    const { plaintext, protectedHeader } = await compactDecrypt(
      text,
      ({ kid }: { kid?: string }) => derive(this.keys.byKid(kid), "task"),
      options,
    );
    if (protectedHeader.sid !== sessionId) throw new Error("the encrypted task belongs to another session");
    return JSON.parse(new TextDecoder().decode(plaintext)) as Task;
  }

  /** A keyed fingerprint that reveals nothing about the value. The order of an object's fields does not matter. */
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
