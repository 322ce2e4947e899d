/** Which images the stack's pods run, for scanners. */
import * as pulumi from "@pulumi/pulumi";

interface Container {
  image: pulumi.Input<string>;
}

interface Template {
  template?: { spec?: { initContainers?: Container[]; containers?: Container[] } };
}

/** A Deployment, StatefulSet, DaemonSet or Job has the template in its spec, and a CronJob in its `jobTemplate`. */
interface Workload {
  spec?: Template & { jobTemplate?: { spec?: Template } };
}

/**
 * Collects the images of all pods that the program makes. So the list of images to scan needs no care: it has the images of a
 * part of the platform exactly if the stack has the part.
 */
export class PodImages {
  private readonly found: pulumi.Input<string>[] = [];

  /** Transforms no resource. Register it as a stack transformation before the first pod is made. */
  readonly collect: pulumi.ResourceTransformation = ({ type, props }) => {
    if (/^kubernetes:(apps|batch)\//.test(type)) this.found.push(...imagesOf(props));
    return undefined;
  };

  /**
   * The images of the pods that were made so far, and `more`, without Berth's own images. Each image is once in the list, which is
   * sorted.
   */
  others(own: pulumi.Input<string>[], more: string[]): pulumi.Output<string[]> {
    return pulumi.all([pulumi.all(this.found), pulumi.all(own)]).apply(([found, own]) => {
      const others = new Set([...found, ...more]);
      for (const image of own) others.delete(image);
      return [...others].sort();
    });
  }
}

function imagesOf({ spec }: Workload): pulumi.Input<string>[] {
  const pod = (spec?.jobTemplate?.spec ?? spec)?.template?.spec;
  return [...(pod?.initContainers ?? []), ...(pod?.containers ?? [])].map(({ image }) => image);
}
