import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { selfSigned, type Validity, validityAt } from "../kubernetes/certificate.ts";
import { clock } from "../kubernetes/clock.ts";
import { labels } from "../kubernetes/labels.ts";
import type { PlatformContext } from "../kubernetes/platform-context.ts";

/**
 * The adapter's certificate, made of a seed that the stack keeps. `up` makes a new one, of a new seed, when less than a third
 * of the validity is left: all who trust or use it are changed in the same run.
 */
export class AdapterCertificate extends pulumi.ComponentResource {
  /** PEM. */
  readonly certificate: pulumi.Output<string>;
  readonly validity: Validity;
  /** The name that the certificate is for. */
  readonly serverName: pulumi.Output<string>;
  /** The Secret with tls.crt and tls.key. */
  readonly secret: pulumi.Output<string>;

  /** @param service of the adapter */
  constructor(
    name: string,
    { platform, service }: { platform: PlatformContext; service: string },
    opts: pulumi.ComponentResourceOptions,
  ) {
    super("berth:index:AdapterCertificate", name, {}, opts);
    const parent = { parent: this };
    const { namespace } = platform;
    this.serverName = pulumi.interpolate`${service}.${namespace}.svc`;
    const { number, ...validity } = validityAt(clock.now());
    this.validity = validity;
    const seed = new random.RandomBytes(`${name}-seed`, { length: 32, keepers: { validity: String(number) } }, parent);
    const made = pulumi
      .all([seed.base64, this.serverName])
      .apply(([base64, serverName]) => selfSigned(Buffer.from(base64, "base64"), [serverName], validity));
    // Not a secret, unlike the seed that it is made of.
    this.certificate = pulumi.unsecret(made.certificate);
    const files = made.apply(({ certificate, privateKey }) => ({ "tls.crt": certificate, "tls.key": privateKey }));
    this.secret = platform.generations.secret(
      `${service}-tls`,
      {
        namespace,
        name: `${service}-tls`,
        labels: labels("prometheus-adapter"),
        type: "kubernetes.io/tls",
        stringData: files,
      },
      parent,
    );
    this.registerOutputs({ certificate: this.certificate, serverName: this.serverName, secret: this.secret });
  }
}
