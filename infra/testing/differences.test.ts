import { expect, test } from "vitest";
import { differences } from "./differences.ts";

const service = (name: string, inputs: object) => ({ type: "Service", name, inputs });

test("a resource of both stacks has the new values of the fields that differ, and others are whole or null", () => {
  const base = [
    service("same", { port: 1 }),
    service("gone", {}),
    service("changed", { ports: [{ port: 1, name: "a" }, { port: 2 }], labels: { a: "x" }, args: ["a"], type: "A" }),
  ];
  const stack = [
    service("changed", {
      ports: [{ port: 3, name: "a" }, { port: 2 }],
      labels: { b: "y" },
      args: ["a", "b"],
      type: ["A"],
    }),
    service("new", { port: 4 }),
    service("same", { port: 1 }),
  ];
  expect(differences(base, stack)).toEqual({
    "Service changed": {
      "inputs.args": ["a", "b"],
      "inputs.labels.a": null,
      "inputs.labels.b": "y",
      "inputs.ports.0.port": 3,
      "inputs.type": ["A"],
    },
    "Service gone": null,
    "Service new": service("new", { port: 4 }),
  });
});
