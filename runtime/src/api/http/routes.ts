/**
 * Nest's decorators for routes and their input. They also record their arguments. The API's description is generated
 * from these records, so openApi.ts need not read Nest's internal data. Controllers of /v1 use these decorators.
 */
import * as nest from "@nestjs/common";
import type { FastifyRequest } from "fastify";
import type { z } from "zod";
import { invalidInput } from "./problem.ts";

const prefixNote = "berth:prefix";
const routeNote = "berth:route";
const inputNote = "berth:input";

export interface Route {
  method: "get" | "post" | "put" | "delete";
  /** The path below the controller's prefix; a variable segment is written as `:id`. */
  path: string;
}

/** The schemas of the input, by the place from which the input is read. */
export type Inputs = Partial<Record<"body" | "query" | "path" | "header", z.ZodType>>;

export const prefixOf = (controller: nest.Type) => Reflect.getMetadata(prefixNote, controller) as string;
export const routeOf = (handler: object) => Reflect.getMetadata(routeNote, handler) as Route | undefined;
export const inputsOf = (handler: object) => (Reflect.getMetadata(inputNote, handler) ?? {}) as Inputs;

/** A controller whose routes are below `prefix`. The prefix does not begin with a slash. */
export const Controller = (prefix: string) =>
  nest.applyDecorators(nest.Controller(prefix), nest.SetMetadata(prefixNote, prefix));

const verb =
  (method: Route["method"], decorator: (path: string) => MethodDecorator) =>
  (path = "") =>
    nest.applyDecorators(decorator(path), nest.SetMetadata(routeNote, { method, path } satisfies Route));

export const Get = verb("get", nest.Get);
export const Post = verb("post", nest.Post);
export const Put = verb("put", nest.Put);
export const Delete = verb("delete", nest.Delete);

/** A parameter decorator that also records its schema. The parameter gets the parsed input. */
const noted =
  <S extends z.ZodType>(from: keyof Inputs, decorator: (schema: S) => ParameterDecorator) =>
  ({ schema }: { schema: S }): ParameterDecorator =>
  (target, name, index) => {
    decorator(schema)(target, name, index);
    const handler = (target as Record<string | symbol, object>)[name as string] as object;
    Reflect.defineMetadata(inputNote, { ...inputsOf(handler), [from]: schema } satisfies Inputs, handler);
  };

export const Body = noted("body", (schema) => nest.Body({ schema }));
export const Query = noted("query", (schema) => nest.Query({ schema }));
export const Param = noted("path", (schema) => nest.Param({ schema }));

/** The keys of the schema are the names of the headers, written as in the documentation and in error messages. */
export const Headers = noted("header", (schema: z.ZodObject) => headers({ names: schema }));

// The schema is wrapped in an object, because Nest would treat the bare schema, which has a method `transform`, as a pipe.
const headers = nest.createParamDecorator(
  ({ names: schema }: { names: z.ZodObject }, context: nest.ExecutionContext) => {
    const given = context.switchToHttp().getRequest<FastifyRequest>().headers;
    const parsed = schema.safeParse(
      Object.fromEntries(Object.keys(schema.shape).map((name) => [name, given[name.toLowerCase()]])),
    );
    if (!parsed.success) throw invalidInput(parsed.error.issues);
    return parsed.data;
  },
);
