import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { labels, selector } from "../kubernetes/labels.ts";
import type { PlatformContext } from "../kubernetes/platform-context.ts";
import { confinedPod } from "../kubernetes/pod.ts";
import { rolloutTimeout } from "../kubernetes/rollout-timeout.ts";

export interface ImagePullerArgs {
  platform: PlatformContext;
  /** The sessions' image by digest. */
  image: pulumi.Input<string>;
}

/** The user `agent` of the image. */
const uid = 10001;

/**
 * Brings the sessions' image to every node, those that join later too, and keeps it there: a node's clean-up leaves images
 * alone that a container uses. Without it the first session on a node waits for the download.
 */
export class ImagePuller extends pulumi.ComponentResource {
  constructor(name: string, { platform, image }: ImagePullerArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:ImagePuller", name, {}, opts);
    new k8s.apps.v1.DaemonSet(
      name,
      {
        metadata: {
          name,
          namespace: platform.namespace,
          labels: labels("image-puller"),
          // One node that is ill must not hold up a deployment; sessions work without it, only later.
          annotations: { "pulumi.com/skipAwait": "true" },
        },
        spec: {
          selector: { matchLabels: selector("image-puller") },
          // All nodes fetch a new image at the same time.
          updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: "100%" } },
          template: confinedPod({
            component: "image-puller",
            defaults: platform.pods,
            uid,
            gracePeriodSeconds: 1,
            containers: [
              {
                name: "agent",
                image,
                // A container of the image is all that is wanted; it does nothing.
                command: ["sleep", "infinity"],
                resources: { requests: { cpu: "1m", memory: "4Mi" }, limits: { cpu: "10m", memory: "16Mi" } },
                scratch: { request: "1Mi", limit: "8Mi" },
              },
            ],
          }),
        },
      },
      { parent: this, ...rolloutTimeout(platform.rolloutSeconds) },
    );
    this.registerOutputs();
  }
}
