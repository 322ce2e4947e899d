/** Converts the end of a command into the form that Kubernetes' clients understand. No I/O. */
import type { ProcessEnded } from "../berthd/gen/berth/v1/process_pb.ts";

/** The Status object that the gateway sends on channel 3 of the WebSocket when a command ends, as Kubernetes does for `exec`. */
export function exitStatus({ exitCode }: Pick<ProcessEnded, "exitCode">) {
  const common = { kind: "Status", apiVersion: "v1", metadata: {} };
  if (exitCode === 0) return { ...common, status: "Success" };
  return {
    ...common,
    status: "Failure",
    message: `command terminated with exit code ${exitCode}`,
    reason: "NonZeroExitCode",
    details: { causes: [{ reason: "ExitCode", message: String(exitCode) }] },
  };
}
