/** How a command ended, as Kubernetes' clients understand it; pure. */
import type { ProcessEnded } from "../pod/gen/berth/v1/process_pb.ts";

/** A Status object, as the channel 3 has it. */
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
