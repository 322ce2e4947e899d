/** Which images the stack's pods run, for scanners. */
import * as pulumi from "@pulumi/pulumi";

/** Collects the images of all pods of the platform. `confinedPod` adds the images, so no pod can be forgotten. */
export class ScannedImages {
  private readonly found: pulumi.Input<string>[] = [];

  add(image: pulumi.Input<string>): void {
    this.found.push(image);
  }

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
