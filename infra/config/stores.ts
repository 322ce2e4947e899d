/** Where Berth keeps its data. */
import { z } from "zod";
import { volume } from "./scalars.ts";

export const postgres = z.strictObject({
  volume: volume("10Gi").prefault({}).describe("The database's volume."),
});

export const redis = z.strictObject({
  volume: volume("2Gi").prefault({}).describe("The queue's volume."),
});

export type PostgresConfig = z.output<typeof postgres>;
export type RedisConfig = z.output<typeof redis>;
