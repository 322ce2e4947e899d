import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Placement } from "../config/placement.ts";
import { labels, selector } from "../kubernetes/labels.ts";
import { onEveryNode } from "../kubernetes/placement.ts";
import { type ConfinedContainer, confinedPod } from "../kubernetes/pod.ts";
import { rolloutTimeout } from "../kubernetes/rollout-timeout.ts";
import type { ScannedImages } from "../kubernetes/scanned-images.ts";

/** The part of the args that all pullers of a stack have in common. */
export interface PullerDefaults {
  /** The image of berthd by digest. Sessions need the image too, so the puller's init container also keeps it on the node. */
  berthd: pulumi.Input<string>;
  requestScale: number;
  /** The PriorityClass of the pullers' pods. */
  priorityClassName: string;
  /** How long an `up` waits for the pods of a workload. */
  rolloutSeconds: number;
  /** The list that gets the images of the pods. */
  scannedImages: ScannedImages;
}

export interface ImagePullerArgs extends PullerDefaults {
  /** The namespace of the DaemonSet and of the pull secrets. */
  namespace: pulumi.Input<string>;
  /** The images by digest. An image need not contain any program. */
  images: pulumi.Input<string>[];
  /** Names of the pull secrets for the images. */
  pullSecrets: string[];
  /** The RuntimeClass of the sessions. Some container runtimes store images separately, or run on some nodes only. */
  runtimeClassName?: string | null;
  /** The placement of the sessions that use the images. */
  placement: Placement;
  /** More labels for the DaemonSet. */
  labels?: Record<string, string>;
}

/** The uid of sessions. */
const uid = 10001;

const folder = "/opt/berth/bin";

/** If a pod's volumes and containers together use more disk than the limits, the kubelet evicts the pod. berthd takes 9 MB. */
const scratch = { request: "16Mi", limit: "32Mi" };

/**
 * Pulls images to every node on which sessions may run, also to nodes that join later. An image stays on the node, because the
 * kubelet does not garbage-collect an image that a container uses. Without the puller, the first session on a node waits for the
 * pull. The worker reports missing images by the metric `berth_images_missing`.
 *
 * Each image has a separate container, so an image that cannot be pulled does not block the others. Each container runs
 * the program berthd, because an image may have no program that waits. An init container copies berthd into the pod.
 */
export class ImagePuller extends pulumi.ComponentResource {
  /** Name of the DaemonSet. */
  readonly daemonSet: pulumi.Output<string>;

  constructor(name: string, args: ImagePullerArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:ImagePuller", name, {}, opts);
    const { namespace, images, berthd, runtimeClassName = null, rolloutSeconds } = args;
    const holder = (image: pulumi.Input<string>, index: number): ConfinedContainer => ({
      name: `image-${index + 1}`,
      image,
      command: [`${folder}/berthd`, "hold"],
      // The working directory of the image may be a folder that the uid cannot enter.
      workingDir: folder,
      resources: { requests: { cpu: "1m", memory: "4Mi" }, limits: { cpu: "10m", memory: "16Mi" } },
      scratch,
    });
    this.daemonSet = new k8s.apps.v1.DaemonSet(
      name,
      {
        metadata: {
          name: "image-puller",
          namespace,
          labels: { ...labels("image-puller"), ...args.labels },
          // `up` does not wait for the DaemonSet, because a broken node must not block a deployment.
          annotations: { "pulumi.com/skipAwait": "true" },
        },
        spec: {
          selector: { matchLabels: selector("image-puller") },
          // All nodes pull a new image at the same time.
          updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: "100%" } },
          template: confinedPod({
            component: "image-puller",
            defaults: {
              priorityClassName: args.priorityClassName,
              imagePullSecrets: args.pullSecrets,
              requestScale: args.requestScale,
              placement: onEveryNode(args.placement),
              scannedImages: args.scannedImages,
            },
            uid,
            runtimeClassName,
            gracePeriodSeconds: 1,
            initContainers: [
              {
                name: "copy-berthd",
                image: berthd,
                command: ["/berthd", "copy", folder],
                resources: { requests: { cpu: "1m", memory: "4Mi" }, limits: { cpu: "500m", memory: "64Mi" } },
                scratch,
              },
            ],
            containers: images.map(holder),
            mounts: [{ name: "berthd", path: folder, volume: { emptyDir: { sizeLimit: "32Mi" } } }],
          }),
        },
      },
      { parent: this, ...rolloutTimeout(rolloutSeconds) },
    ).metadata.name;
    this.registerOutputs({ daemonSet: this.daemonSet });
  }
}
