/** Prints which parts of Berth run and which don't. */
import { clusterStatus } from "../cluster/status.ts";
import { dockerStatus } from "../docker.ts";
import { stackOutputs } from "../pulumi/stack.ts";
import { stack } from "./up.ts";

/** Prints one line per part. The exit code is 1 unless all parts run. */
export async function status(): Promise<void> {
  const docker = await dockerStatus();
  const parts = [
    { name: "docker", running: docker === "running", detail: docker },
    ...(await clusterStatus()),
    { name: `stack ${stack}`, ...(await api()) },
  ];
  const width = Math.max(...parts.map((part) => part.name.length));
  for (const part of parts) console.log(`${part.running ? "✓" : "✗"} ${part.name.padEnd(width)}  ${part.detail}`);
  if (!parts.every((part) => part.running)) process.exitCode = 1;
}

/** Whether the deployed API says that it is ready. */
async function api(): Promise<{ running: boolean; detail: string }> {
  try {
    const { apiUrl } = await stackOutputs(stack);
    if (apiUrl === undefined) return { running: false, detail: "not deployed" };
    const response = await fetch(`${apiUrl}/health/ready`, { signal: AbortSignal.timeout(5_000) });
    return { running: response.ok, detail: `${apiUrl} ${response.ok ? "ready" : `answers ${response.status}`}` };
  } catch {
    return { running: false, detail: "not reachable" };
  }
}
