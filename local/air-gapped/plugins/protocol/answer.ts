/** Sends the answer of a gRPC method: a value, or an error in the form that Pulumi expects. */
import grpc from "@grpc/grpc-js";
import provider_pb from "@pulumi/pulumi/proto/provider_pb.js";
import status_pb from "@pulumi/pulumi/proto/status_pb.js";
import any_pb from "google-protobuf/google/protobuf/any_pb.js";
import struct_pb from "google-protobuf/google/protobuf/struct_pb.js";
import { NotReady } from "./plugin.ts";

/** Makes a gRPC handler from a function. */
export const answer =
  <Request, Response>(work: (request: Request) => Promise<Response>) =>
  (call: { request: Request }, callback: grpc.sendUnaryData<Response>): void => {
    work(call.request).then(
      (response) => callback(null, response),
      (error) => callback(grpcError(error)),
    );
  };

/**
 * Returns the gRPC error with the same message. If the resource exists in spite of the error, adds the resource's id and state.
 */
function grpcError(error: unknown): Partial<grpc.StatusObject> {
  const details = error instanceof Error ? error.message : String(error);
  const metadata = new grpc.Metadata();
  if (error instanceof NotReady) {
    const state = struct_pb.Struct.fromJavaScript(JSON.parse(JSON.stringify(error.state)));
    const failed = new provider_pb.ErrorResourceInitFailed().setId(error.id).setProperties(state);
    failed.setReasonsList([error.message]);
    const packed = new any_pb.Any();
    packed.pack(failed.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
    const status = new status_pb.Status();
    status.setCode(grpc.status.UNKNOWN);
    status.setMessage(details);
    status.addDetails(packed);
    metadata.add("grpc-status-details-bin", Buffer.from(status.serializeBinary()));
  }
  return { code: grpc.status.UNKNOWN, details, metadata };
}
