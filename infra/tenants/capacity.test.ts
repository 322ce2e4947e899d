import { expect, test } from "vitest";
import { type Config, parseConfig } from "../config/config.ts";
import { fitting, mostBytes, refuseTooMany } from "./capacity.ts";
import { tenantsFile } from "./tenants-file.ts";

const configOf = (tenants: object[]) =>
  parseConfig({
    context: "here",
    registry: "registry.example.com/berth",
    publicUrl: "https://berth.example.com",
    tenants: JSON.stringify(tenants),
  }).config as Config;

const many = (count: number) => Array.from({ length: count }, (_, index) => ({ name: `tenant-${index}` }));

test("ten thousand tenants are refused, with the number that fits", () => {
  const config = configOf(many(10_000));
  const count = fitting(config);
  expect(count).toBeGreaterThan(1_000);
  expect(() => refuseTooMany(config)).toThrow(
    `tenants: has 10000 entries, but only the first ${count} fit into the Secret of 1 MiB`,
  );
  expect(() => refuseTooMany({ ...config, tenants: config.tenants.slice(0, count) })).not.toThrow();
  expect(() => refuseTooMany({ ...config, tenants: config.tenants.slice(0, count + 1) })).toThrow("fit into");
});

test("a tenant that is being removed takes only its name", () => {
  const names = (remove: boolean) => configOf(many(100).map((tenant) => ({ ...tenant, remove })));
  expect(fitting(names(false), 20_000)).toBeLessThan(30);
  expect(fitting(names(true), 20_000)).toBe(100);
});

test("without tenants the file always fits", () => {
  expect(fitting(configOf([]))).toBe(0);
  expect(tenantsFile(1, { admin: { keys: [] }, tenants: [], closed: [] }).length).toBeLessThan(mostBytes);
});
