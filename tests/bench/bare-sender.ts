/**
 * The simplest possible client that posts webhooks: it signs nothing, and remembers nothing. webhooks.bench.ts runs it as
 * `bare-sender.ts URL FILE CONNECTIONS`. FILE is JSON: a list of the paths and bodies to post, in this order.
 */
import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";

const [url, file = "", connections] = process.argv.slice(2);
const posts: { path: string; body: string }[] = JSON.parse(readFileSync(file, "utf8"));
const agent = new Agent({ keepAlive: true });
const options = { method: "POST", headers: { "content-type": "application/json" }, agent };

const post = ({ path, body }: (typeof posts)[number]) =>
  new Promise<void>((resolve, reject) => {
    request(`${url}${path}`, options, (answer) => void answer.resume().on("end", resolve))
      .on("error", reject)
      .end(body);
  });

let next = 0;
await Promise.all(
  Array.from({ length: Number(connections) }, async () => {
    for (let one = posts[next++]; one !== undefined; one = posts[next++]) await post(one);
  }),
);
agent.destroy();
