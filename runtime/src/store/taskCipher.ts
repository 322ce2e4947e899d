/** What the agent is told to do, and how it is kept: encrypted, for its environment holds the user's secrets. */
import { createHmac } from "node:crypto";
import { CompactEncrypt, compactDecrypt } from "jose";

export interface Task {
  /** The program and its arguments; null: just the desktop. */
  command: string[] | null;
  /** Environment variables. */
  env: Record<string, string>;
  /** Environment variables that are shown to nobody but the agent. */
  secrets: Record<string, string>;
}

export class TaskCipher {
  readonly #key: Uint8Array;
  readonly #hashKey: Uint8Array;

  /** Both keys derive from the token key, each for its purpose alone. */
  constructor(tokenKey: string) {
    this.#key = derive(tokenKey, "task");
    this.#hashKey = derive(tokenKey, "request");
  }

  /** A compact JWE (A256GCM) that only this session's row can hold. */
  async encrypt(sessionId: string, task: Task): Promise<string> {
    return new CompactEncrypt(new TextEncoder().encode(JSON.stringify(task)))
      .setProtectedHeader({ alg: "dir", enc: "A256GCM", sid: sessionId })
      .encrypt(this.#key);
  }

  /** Throws if the text is damaged, another session's, or from another token key. */
  async decrypt(sessionId: string, text: string): Promise<Task> {
    const options = { keyManagementAlgorithms: ["dir"], contentEncryptionAlgorithms: ["A256GCM"] };
    const { plaintext, protectedHeader } = await compactDecrypt(text, this.#key, options);
    if (protectedHeader.sid !== sessionId) throw new Error("the task belongs to another session");
    return JSON.parse(new TextDecoder().decode(plaintext)) as Task;
  }

  /** A fingerprint of the value that tells nothing about it; the order of an object's keys does not count. */
  fingerprint(value: unknown): string {
    return createHmac("sha256", this.#hashKey)
      .update(JSON.stringify(sorted(value)))
      .digest("base64url");
  }
}

const derive = (tokenKey: string, purpose: string) =>
  new Uint8Array(createHmac("sha256", tokenKey).update(`${purpose}:`).digest());

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, part]) => [key, sorted(part)]),
  );
}
