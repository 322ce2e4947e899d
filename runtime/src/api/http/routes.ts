/**
 * Nest's decorators for routes and their input, which also note what they are given: the API's description is made from these
 * notes, and from nothing that Nest keeps for itself. Controllers of /v1 take them from here.
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
  /** Below the controller's prefix; parts of it that vary are named `:id`. */
  path: string;
}

/** Schemas by where their input is read from. */
export type Inputs = Partial<Record<"body" | "query" | "path" | "header", z.ZodType>>;

export const prefixOf = (controller: nest.Type) => Reflect.getMetadata(prefixNote, controller) as string;
export const routeOf = (handler: object) => Reflect.getMetadata(routeNote, handler) as Route | undefined;
export const inputsOf = (handler: object) => (Reflect.getMetadata(inputNote, handler) ?? {}) as Inputs;

/** A class whose handlers are below `prefix`, which has no slash at its beginning. */
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

/** A handler's parameter that `decorator` gives what `schema` makes of the input. */
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

/** The schema's keys are the headers' names as people write them; a fault names them so. */
export const Headers = noted("header", (schema: z.ZodObject) => headers({ names: schema }));

// In an object, because a schema has a method `transform` and Nest would take it for a pipe.
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
