/**
 * Serves a plugin to Pulumi over gRPC. The SDK's own server is not used, because it does not pass the provider's arguments to the
 * plugin, and does not tell the plugin whether a run is a preview.
 */
import grpc from "@grpc/grpc-js";
import type * as plugin_pb_types from "@pulumi/pulumi/proto/plugin_pb.js";
import plugin_pb from "@pulumi/pulumi/proto/plugin_pb.js";
import provider_grpc from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import type * as types from "@pulumi/pulumi/proto/provider_pb.js";
import provider_pb from "@pulumi/pulumi/proto/provider_pb.js";
import status_pb from "@pulumi/pulumi/proto/status_pb.js";
import any_pb from "google-protobuf/google/protobuf/any_pb.js";
import empty_pb from "google-protobuf/google/protobuf/empty_pb.js";
import struct_pb from "google-protobuf/google/protobuf/struct_pb.js";
import { type Diff, InputError, NotReady, type Plugin, type Resource } from "./plugin.ts";
import { changedKeys, type Props } from "./values.ts";

type Struct = InstanceType<typeof struct_pb.Struct>;

/** Listens on a free port of the loopback, prints the port as Pulumi expects, and serves until Pulumi ends the process. */
export async function serve(name: string, version: string, plugin: Plugin): Promise<void> {
  const server = new grpc.Server({ "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 });
  server.addService(provider_grpc.ResourceProviderService, handlers(name, version, plugin));
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  process.stdout.write(`${port}\n`);
}

function handlers(name: string, version: string, plugin: Plugin): grpc.UntypedServiceImplementation {
  const cancelled = new AbortController();
  const { signal } = cancelled;
  const find = (urn: string): Resource =>
    plugin.resource(typeOf(urn)) ??
    fail(`The stand-in for the plugin ${name} has no type ${typeOf(urn)}: use the official plugin.`);
  const findFunction = (token: string) =>
    plugin.invoke?.(token) ??
    fail(`The stand-in for the plugin ${name} has no function ${token}: use the official plugin.`);

  return {
    getPluginInfo: answer<unknown, plugin_pb_types.PluginInfo>(async () =>
      new plugin_pb.PluginInfo().setVersion(version),
    ),
    attach: answer(async () => new empty_pb.Empty()),
    cancel: answer(async () => {
      cancelled.abort();
      return new empty_pb.Empty();
    }),
    checkConfig: answer(async (request: types.CheckRequest) =>
      new provider_pb.CheckResponse().setInputs(request.getNews()),
    ),
    diffConfig: answer(async (request: types.DiffRequest) => {
      const [olds, news] = [propsOf(request.getOlds()), propsOf(request.getNews())];
      return diffResponse(plugin.diffConfig?.(olds, news) ?? { changed: changedKeys(olds, news), replaces: [] });
    }),
    configure: answer(async (request: types.ConfigureRequest) => {
      plugin.configure?.(propsOf(request.getArgs()));
      return new provider_pb.ConfigureResponse().setAcceptsecrets(true).setSupportspreview(true);
    }),
    invoke: answer(async (request: types.InvokeRequest) => {
      const outputs = await findFunction(request.getTok())(propsOf(request.getArgs()));
      return new provider_pb.InvokeResponse().setReturn(structOf(outputs));
    }),
    check: answer(async (request: types.CheckRequest) => {
      const urn = request.getUrn();
      const resource = find(urn);
      const response = new provider_pb.CheckResponse();
      const [olds, news] = [propsOf(request.getOlds()), propsOf(request.getNews())];
      try {
        const seed = request.getRandomseed_asU8();
        return response.setInputs(structOf(await resource.check({ name: nameOf(urn), olds, news, seed })));
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        return response
          .setInputs(request.getNews())
          .setFailuresList([new provider_pb.CheckFailure().setReason(error.message)]);
      }
    }),
    diff: answer(async (request: types.DiffRequest) => {
      const [state, inputs] = [propsOf(request.getOlds()), propsOf(request.getNews())];
      return diffResponse(await find(request.getUrn()).diff({ id: request.getId(), state, inputs }));
    }),
    create: answer(async (request: types.CreateRequest) => {
      const change = { inputs: propsOf(request.getProperties()), signal };
      const created = await find(request.getUrn()).create({
        ...change,
        preview: request.getPreview(),
        timeoutSeconds: request.getTimeout(),
      });
      return new provider_pb.CreateResponse().setId(created.id).setProperties(structOf(created.state));
    }),
    read: answer(async (request: types.ReadRequest) => {
      const [inputs, state] = [propsOf(request.getInputs()), propsOf(request.getProperties())];
      const id = request.getId();
      const found = await find(request.getUrn()).read({ id, inputs, state });
      const response = new provider_pb.ReadResponse();
      if (!found) return response;
      return response.setId(id).setInputs(structOf(found.inputs)).setProperties(structOf(found.state));
    }),
    update: answer(async (request: types.UpdateRequest) => {
      const state = await find(request.getUrn()).update({
        id: request.getId(),
        state: propsOf(request.getOlds()),
        inputs: propsOf(request.getNews()),
        preview: request.getPreview(),
        timeoutSeconds: request.getTimeout(),
        signal,
      });
      return new provider_pb.UpdateResponse().setProperties(structOf(state));
    }),
    delete: answer(async (request: types.DeleteRequest) => {
      const state = propsOf(request.getProperties());
      const limits = { timeoutSeconds: request.getTimeout(), signal };
      await find(request.getUrn()).delete({ id: request.getId(), state, ...limits });
      return new empty_pb.Empty();
    }),
  };
}

/** Makes a gRPC handler from a function. */
const answer =
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
    const failed = new provider_pb.ErrorResourceInitFailed().setId(error.id).setProperties(structOf(error.state));
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

const propsOf = (struct: Struct | undefined): Props => (struct?.toJavaScript() ?? {}) as Props;
/** Drops `undefined` values, because neither JSON nor the protocol has them. */
const structOf = (props: Props): Struct => struct_pb.Struct.fromJavaScript(JSON.parse(JSON.stringify(props)));

function diffResponse({ changed, replaces, deleteFirst = false }: Diff): types.DiffResponse {
  const { DIFF_NONE, DIFF_SOME } = provider_pb.DiffResponse.DiffChanges;
  return new provider_pb.DiffResponse()
    .setChanges(changed.length + replaces.length > 0 ? DIFF_SOME : DIFF_NONE)
    .setDiffsList(changed)
    .setReplacesList(replaces)
    .setDeletebeforereplace(deleteFirst);
}

/** `urn:pulumi:dev::berth::berth:index:Api$kubernetes:core/v1:Service::api` → `kubernetes:core/v1:Service` */
const typeOf = (urn: string): string => urn.split("::")[2]?.split("$").at(-1) ?? "";
const nameOf = (urn: string): string => urn.split("::").slice(3).join("::");

const fail = (message: string): never => {
  throw new InputError(message);
};
