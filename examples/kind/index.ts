/** A kind cluster on this machine, and a registry beside it. Needs Docker and kind 0.27 or newer. */
import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { factsOf } from "../cluster-facts.ts";

const name = "berth";
const images = "berth-registry";
/** The address of the registry in image names, for Docker and for the nodes. */
const address = "localhost:5001";

const running = new local.Command("registry", {
  create: `docker run --detach --restart=always --publish 127.0.0.1:5001:5000 --name ${images} docker.io/library/registry:3`,
  delete: `docker rm --force --volumes ${images}`,
});
const cluster = new local.Command("cluster", {
  create: `kind create cluster --name ${name}`,
  delete: `kind delete cluster --name ${name}`,
});
// In a node, localhost is the node itself. So the config of each node's containerd names the registry by the name of its
// container.
const folder = `/etc/containerd/certs.d/${address}`;
const connected = new local.Command(
  "connection",
  {
    create: `docker network connect kind ${images}
for node in $(kind get nodes --name ${name}); do
  docker exec "$node" mkdir -p ${folder}
  echo '[host."http://${images}:5000"]' | docker exec --interactive "$node" tee ${folder}/hosts.toml
done`,
  },
  { dependsOn: [running, cluster] },
);

export const kubeconfig = pulumi.secret(
  new local.Command("kubeconfig", { create: `kind get kubeconfig --name ${name}` }, { dependsOn: connected }).stdout,
);
export const { clusterId } = factsOf(kubeconfig);
/** The value for `berth:registry`. */
export const registry = `${address}/berth`;
