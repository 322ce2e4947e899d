/**
 * Generates the API's description (OpenAPI 3.1) from the controllers' decorators: the routes, the rights, and the
 * schemas that check the input. So these parts of the description can't differ from the program.
 */
import { SetMetadata, type Type } from "@nestjs/common";
import { z } from "zod";
import {
  createDocument,
  type ZodOpenApiObject,
  type ZodOpenApiOperationObject,
  type ZodOpenApiPathsObject,
  type ZodOpenApiResponseObject,
} from "zod-openapi";
import { type Right, rightsOf, takesTickets } from "./access/caller.ts";
import { ProblemJson } from "./http/problem.ts";
import { type Inputs, inputsOf, prefixOf, routeOf } from "./http/routes.ts";

/** A successful answer. At most one of `json`, `events`, `text` and `file` describes its content. */
export interface AnswerDescription {
  description: string;
  json?: z.ZodType;
  /** Server-Sent Events whose data has this schema. */
  events?: z.ZodType;
  text?: true;
  /** Bytes for a download. */
  file?: true;
  headers?: Record<string, string>;
}

export interface Description {
  summary: string;
  answers: Record<number, AnswerDescription>;
  /** The description of a body that consists of a file's bytes. */
  takesFile?: string;
  /** Whether a link to a file allows the call without a key. */
  byLink?: true;
  /** Errors of this operation, in addition to those that every operation has. */
  refusals?: Record<number, string>;
}

const description = "berth:description";

/** Describes a handler. The document contains only described handlers. */
export const Describe = (text: Description) => SetMetadata(description, text);

/** The answer of a handler that only describes a WebSocket. */
export const upgraded = (what: string): Description["answers"] => ({ 101: { description: what } });

/** The error of a handler that only describes a WebSocket: the handler answers only requests that are not upgrades. */
export const notAnUpgrade = { 426: "The request must be an upgrade to a WebSocket." };

const problem = (text: string): ZodOpenApiResponseObject => ({
  description: text,
  content: { "application/problem+json": { schema: ProblemJson } },
});

const bytes = z.any().meta({ override: { type: "string", format: "binary" } });

function responseOf({ description, json, events, text, file, headers }: AnswerDescription): ZodOpenApiResponseObject {
  const content = {
    ...(json && { "application/json": { schema: json } }),
    ...(events && {
      "text/event-stream": { schema: z.string().meta({ description: `Events with data: ${events.meta()?.id}.` }) },
    }),
    ...(text && { "text/plain": { schema: z.string() } }),
    ...(file && { "application/octet-stream": { schema: bytes } }),
  };
  return {
    description,
    ...(Object.keys(content).length > 0 && { content }),
    ...(headers && { headers: z.object(mapValues(headers, (text) => z.string().meta({ description: text }))) }),
  };
}

/** The errors that follow from the operation's inputs and rights. */
function refusals(inputs: Inputs, rights: Right[] | undefined): Record<number, string> {
  return {
    ...(Object.keys(inputs).length > 0 && { 400: "A field is invalid; `errors` names the field and its rule." }),
    ...(rights && {
      401: "The request has no valid key.",
      403: "The key does not allow this.",
      429: "Too many calls; Retry-After says when to try again.",
    }),
    ...(inputs.path && { 404: "What the path names does not exist, or it belongs to another tenant." }),
    ...(inputs.body && { 413: "The body is too large.", 415: "The body is not JSON." }),
    503: "The database can't be reached at the moment; Retry-After says when to try again.",
  };
}

function operationOf(name: string, handler: object, text: Description): ZodOpenApiOperationObject {
  const inputs = inputsOf(handler);
  const rights = rightsOf(handler);
  const { body, ...parameters } = inputs;
  const named = Object.entries({ ...refusals(inputs, rights), ...text.refusals });
  const note =
    rights &&
    `Needs ${rights.map((right) => (right === "admin" ? "the admin's key" : `the scope \`${right}\``)).join(" or ")}${takesTickets(handler) ? ", or a desktop ticket of the session" : ""}.`;
  return {
    operationId: name,
    summary: text.summary,
    ...(note && { description: note }),
    ...(Object.keys(parameters).length > 0 && { requestParams: parameters as never }),
    ...(body && {
      requestBody: { required: !body.safeParse(undefined).success, content: { "application/json": { schema: body } } },
    }),
    ...(text.takesFile !== undefined && {
      requestBody: {
        description: text.takesFile,
        required: true,
        content: { "application/octet-stream": { schema: bytes } },
      },
    }),
    responses: {
      ...mapValues(text.answers, responseOf),
      ...Object.fromEntries(named.map(([status, why]) => [status, problem(why)])),
    },
    security: rights ? [{ key: [] }] : text.byLink ? [{ link: [] }] : [],
  };
}

/** The document of all described handlers. */
export function openApiDocument(controllers: Type[]) {
  const paths: ZodOpenApiPathsObject = {};
  const schemas: Record<string, z.ZodType> = {};
  const put = (path: string, method: string, operation: ZodOpenApiOperationObject) => {
    paths[path] = { ...paths[path], [method]: operation };
  };
  for (const controller of controllers) {
    for (const name of Object.getOwnPropertyNames(controller.prototype)) {
      const handler = controller.prototype[name] as object;
      const text = Reflect.getMetadata(description, handler) as Description | undefined;
      const route = routeOf(handler);
      if (text === undefined || route === undefined) continue;
      for (const { events } of Object.values(text.answers)) if (events) schemas[String(events.meta()?.id)] = events;
      const path = `/${prefixOf(controller)}/${route.path}`.replace(/\/+/g, "/").replace(/(.)\/$/, "$1");
      put(path.replace(/:(\w+)/g, "{$1}"), route.method, operationOf(name, handler, text));
    }
  }

  const document: ZodOpenApiObject = {
    openapi: "3.1.0",
    info: {
      title: "Berth",
      version: "1",
      description: "A separate environment for every AI-agent session: a pod with a desktop, a workspace and quotas.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    paths: Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (a < b ? -1 : 1))),
    components: {
      schemas,
      securitySchemes: {
        link: { type: "apiKey", in: "query", name: "ticket", description: "The ticket in a link to a file." },
        key: {
          type: "http",
          scheme: "bearer",
          description:
            "A key of the tenant, a token of the identity provider if the stack has one, or the admin's key.",
        },
      },
    },
  };
  return createDocument(document);
}

function mapValues<V, W>(record: Record<string | number, V>, map: (value: V) => W): Record<string, W> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}
