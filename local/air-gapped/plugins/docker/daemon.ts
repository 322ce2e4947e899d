/** Docker's API: builds with BuildKit, and pushes. Debian's docker command lacks the part that could. */
import { request } from "node:http";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

/** A line of what a build or a push tells. */
export interface Progress {
  error?: string;
  /** Of a push: what was pushed. */
  aux?: { Digest?: string };
}

export interface DaemonCall {
  path: string;
  query: Record<string, string>;
  headers?: Record<string, string>;
  body?: Readable;
  signal: AbortSignal;
}

export const unreachable = (host: string, { message }: Error) =>
  new Error(`Docker at ${host} can't be reached: ${message}`);

/**
 * Calls the daemon, and reads what it tells.
 * @param host for example unix:///run/docker.sock or tcp://10.0.0.1:2375
 * @throws with the daemon's words, as does what fails on its way
 */
export async function callDaemon(
  host: string,
  { path, query, headers, body, signal }: DaemonCall,
): Promise<Progress[]> {
  const call = request({
    ...addressOf(host),
    method: "POST",
    // No version of the API, for that daemon's own: Docker 29 has no longer what 20.10 has.
    path: `${path}?${new URLSearchParams(query)}`,
    headers: headers ?? {},
    signal,
  });
  const answered = new Promise<Readable & { statusCode?: number }>((resolve, reject) => {
    call.once("response", resolve);
    call.once("error", (error) => reject(unreachable(host, error)));
  });
  const sent = body ? pipeline(body, call) : call.end();
  // A daemon that refuses what is being sent answers before it has all of it.
  const response = await Promise.race([answered, Promise.resolve(sent).then(() => answered)]);
  const lines: Progress[] = [];
  for await (const line of createInterface({ input: response })) if (line !== "") lines.push(JSON.parse(line));
  const { error, message } = (lines.find((each) => each.error) ?? lines[0] ?? {}) as Progress & { message?: string };
  if (error || (response.statusCode ?? 500) >= 300) throw new Error(error ?? message ?? `HTTP ${response.statusCode}`);
  return lines;
}

/** Pure. @throws for a daemon that is reached by other means */
export function addressOf(host: string): { socketPath: string } | { host: string; port: number } {
  const { protocol, hostname, port, pathname } = new URL(host);
  if (protocol === "unix:") return { socketPath: pathname };
  if (protocol === "tcp:" && !process.env.DOCKER_TLS_VERIFY) return { host: hostname, port: Number(port || 2375) };
  throw new Error(`The stand-in for the plugin docker can't reach ${host}, only unix:// and tcp:// without TLS.`);
}
