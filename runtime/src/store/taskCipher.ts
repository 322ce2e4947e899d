/** What the agent is told to do, and how it is kept: encrypted, for its environment holds the user's secrets. */
import { createHmac } from "node:crypto";
import { CompactEncrypt, compactDecrypt } from "jose";
import type { TokenKeys } from "../config/tokenKeys.ts";
import type { Session } from "../domain/session.ts";

export interface Task {
  /** The program and its arguments; null: just the desktop. */
  command: string[] | null;
  /** Environment variables. */
  env: Record<string, string>;
  /** Environment variables that are shown to nobody but the agent. */
  secrets: Record<string, string>;
}

export class TaskCipher {
  /** What it is done with derives from the token keys, for each purpose alone. */
  constructor(readonly keys: TokenKeys) {}

  /** A compact JWE (A256GCM) that only this session's row can hold, by the key that the session's tokens are made from. */
  async encrypt({ id, tokenKey }: Pick<Session, "id" | "tokenKey">, task: Task): Promise<string> {
    const kid = String(tokenKey);
    return new CompactEncrypt(new TextEncoder().encode(JSON.stringify(task)))
      .setProtectedHeader({ alg: "dir", enc: "A256GCM", kid, sid: id })
      .encrypt(derive(this.keys.byKid(kid), "task"));
  }

  /** Throws if the text is damaged, another session's, or by a key that is not known here. */
  async decrypt(sessionId: string, text: string): Promise<Task> {
    const options = { keyManagementAlgorithms: ["dir"], contentEncryptionAlgorithms: ["A256GCM"] };
    const { plaintext, protectedHeader } = await compactDecrypt(
      text,
      ({ kid }: { kid?: string }) => derive(this.keys.byKid(kid), "task"),
      options,
    );
    if (protectedHeader.sid !== sessionId) throw new Error("the task belongs to another session");
    return JSON.parse(new TextDecoder().decode(plaintext)) as Task;
  }

  /** A fingerprint of the value that tells nothing about it; the order of an object's keys does not count. */
  fingerprint(value: unknown): string {
    return this.#fingerprintBy(this.keys.current, value);
  }

  /** Whether it is the value's fingerprint, by any key that is known here. */
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
      .map(([key, part]) => [key, sorted(part)]),
  );
}
