/** A fake Kubernetes API server. The test defines its answers, because a real one does not give every answer on demand. */
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import { KubeConfig } from "@kubernetes/client-node";
import { onTestFinished } from "vitest";
import { originOf } from "./api.ts";

/** Serves until the test ends; `config` points to the fake. */
export async function kubeApi(answer: RequestListener): Promise<{ server: Server; config: KubeConfig }> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const config = new KubeConfig();
  config.loadFromClusterAndUser({ name: "test", server: originOf(server), skipTLSVerify: true }, { name: "test" });
  return { server, config };
}
