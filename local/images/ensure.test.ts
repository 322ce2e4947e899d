import { expect, test } from "vitest";
import { imageTasks } from "./ensure.ts";
import { baseImages } from "./list.ts";

const tasks = imageTasks(["registry", "docker"], {
  prometheus: { title: "Prometheus", run: async () => {} },
  adapter: { title: "adapter", needs: ["kubernetesBuild"], run: async () => {} },
});

test("an image that has a program waits for its compile, and all wait for the image below", () => {
  expect(tasks["image-prometheus"]?.needs).toEqual(["images", "prometheus", "image-debian"]);
  expect(tasks["image-redis"]?.needs).toEqual(["images", "image-debian"]);
  expect(tasks["image-debian"]?.needs).toEqual(["images"]);
  expect(tasks.adapter).toMatchObject({ needs: ["images", "kubernetesBuild"], computes: true });
});

test("where nothing has to be made, nothing is compiled", () => {
  const idle = Object.entries(tasks).filter(([, task]) => task.idle?.());
  expect(idle.map(([name]) => name)).toEqual([
    "prometheus",
    "adapter",
    ...baseImages.map(({ recipe }) => `image-${recipe}`),
  ]);
});
