/** Headers by a schema, as `@Query` and `@Body` have it. */
import { createParamDecorator, type ExecutionContext } from "@nestjs/common";
import type { FastifyRequest } from "fastify";
import type { z } from "zod";
import { invalidInput } from "./problem.ts";

interface Data {
  headers: z.ZodObject;
}

const decorator = createParamDecorator(({ headers: schema }: Data, context: ExecutionContext) => {
  const { headers } = context.switchToHttp().getRequest<FastifyRequest>();
  const parsed = schema.safeParse(
    Object.fromEntries(Object.keys(schema.shape).map((name) => [name, headers[name.toLowerCase()]])),
  );
  if (!parsed.success) throw invalidInput(parsed.error.issues);
  return parsed.data;
});

/** The schema's keys are the headers' names as people write them; a fault names them so. */
export const InHeaders = (headers: z.ZodObject) => decorator({ headers });

/** The schema, from what the decorator leaves at its handler. */
export function headersOf(data: unknown): z.ZodObject | undefined {
  const { headers } = (data ?? {}) as Partial<Data>;
  return headers;
}
