import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { selfSigned, type Validity, validityAt } from "../kubernetes/certificate.ts";
import { clock } from "../kubernetes/clock.ts";
import { labels } from "../kubernetes/labels.ts";
import type { PlatformContext } from "../kubernetes/platform-context.ts";

/**
 * The adapter's certificate, which is made from a random seed in the stack's state. When less than a third of the validity is
 * left, `up` makes a new certificate from a new seed. The same `up` updates every component that uses or trusts the
 * certificate.
 */
export class AdapterCertificate extends pulumi.ComponentResource {
  /** The certificate as PEM. */
  readonly certificate: pulumi.Output<string>;
  readonly validity: Validity;
  /** The DNS name in the certificate. */
  readonly serverName: pulumi.Output<string>;
  /** The name of the Secret with tls.crt and tls.key. */
  readonly secret: pulumi.Output<string>;

  /** @param service the name of the adapter's Service */
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
    // The seed is secret, but the certificate is public.
    this.certificate = pulumi.unsecret(made.certificate);
    const files = made.apply(({ certificate, privateKey }) => ({ "tls.crt": certificate, "tls.key": privateKey }));
    this.secret = platform.generations.secret(
      `${name}-tls`,
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
