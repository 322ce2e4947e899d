/** A check of the config: two entries of a list can't have the same name. */
import type { z } from "zod";

/** @param entry the text that names the first of two entries with the same name, by its index */
export const uniqueNames =
  (entry = (index: number) => `entry [${index}] of the same list, whose first entry is [0]`) =>
  (check: z.core.ParsePayload<{ name: string }[]>): void => {
    const names = check.value.map((one) => one?.name);
    names.forEach((one, index) => {
      const first = names.indexOf(one);
      if (one === undefined || first === index) return;
      const message = `is already the name of ${entry(first)}`;
      check.issues.push({ code: "custom", input: one, path: [index, "name"], message });
    });
  };
