/**
 * Says for each command in README and docs how the proof of the docs (tests/proofs/docs.proof.test.ts) runs the command, or
 * why the proof does not run it. The keys of `commands` are beginnings of commands. If a command begins with several keys,
 * the entry of the longest of these keys counts.
 */

/** The proof runs the command as the page prints it, apart from the replacements in `with`. */
export interface Run {
  /** Shell code that runs before the command: steps that the page describes in words, or that only the proof needs. */
  given?: string;
  /** Replacements for values that readers must replace with their own: text of the page → shell code. */
  with?: Record<string, string>;
  /** The text on the command's standard input. After the text, the input ends. Default: no text. */
  stdin?: string;
  /** A text on the command's standard input. The input then stays open, as if a user were at a terminal. */
  types?: string;
  /** The expected exit code. Default: 0. */
  exit?: number;
  /** A pattern that the output must match. */
  shows?: RegExp;
  /** The command does not end by itself. The proof stops the command as soon as the output matches this pattern. */
  until?: RegExp;
  /** The time limit in seconds for a machine without other load; the real limit is `patience` times as long. Default: 120. */
  seconds?: number;
}

/** YAML of the page. The proof appends the YAML to a file in its checkout; `endOf` is the file's path. */
export interface Paste {
  endOf: string;
  given?: string;
}

/** A command that the proof does not run, with the reason. */
export interface NotRun {
  not: string;
}

export interface Page {
  /** The shell at the start of the page: a user's shell in a fresh clone, or a shell after `eval "$(npm run -s env)"`. */
  shell: "plain" | "stack";
  /** Shell code that runs before and after the page's commands. `last` also runs after a failure. */
  first?: string;
  last?: string;
  commands: Record<string, Run | Paste | NotRun>;
}

/**
 * Commands that sentences only mention, each with the reason why the proof does not run it. A key is the command up to ` -- `,
 * without the arguments that follow. This list does not count for a command that the page prints in a block, or for which the
 * page's entry in `pages` has a key, because readers run these commands.
 */
export const mentions: Record<string, string> = {
  "docker build --check": "a step of a workflow; tools/checks/dockerfiles.ts does the same without Docker",
  "docker login": "mentioned only as a way to log in",
  "docker start": "mentioned only as the name of a measured operation",
  "kubectl apply": "mentioned only as a way to apply a file",
  "npm ci": "a step of the image's build",
  "npx vitest run --project proof stand-ins": "a proof that gives more results only with a mirror",
  "npm run bench": "takes long, and its results mean nothing while other programs run",
  "npm run check": "a step of the gate",
  "npm run check:types": "a step of the gate",
  "npm run doctor": "run by docs/your-cluster.md",
  "npm run images:update": "changes the checkout if registries are reachable",
  "npm run init": "run by docs/your-cluster.md",
  "npm run render": "run by docs/ci.md",
  "npm run restore": "run by docs/backup.md",
  "npm run status": "run by README.md",
  "npm run test:manifests": "a part of the gate",
  "npm run test:proofs": "this proof is one of them",
  "npm run test:repeat": "runs tests",
  "npm run test:shapes": "starts clusters of its own",
  "npm run test:stores": "a part of the gate",
  "npm run test:unit": "a part of the gate",
  "npm run up": "run by README.md",
  "npm test": "the gate, which does not run itself",
  "pulumi config set --secret": "mentioned only as a way to set a secret; docs/onboarding.md runs it with a key",
  "pulumi config set --secret --path": "mentioned only as a way to set a secret; docs/onboarding.md runs it with a key",
  "pulumi destroy": "destroys the stack; the proof `stand-ins` destroys a stack of its own",
  "pulumi preview": "mentioned only as a step of a workflow",
  "pulumi preview --refresh": "mentioned only as a step of a workflow",
  "pulumi stack init": "mentioned only by name; docs/your-cluster.md has the command",
  "pulumi up": "mentioned only by name; README.md runs it with a stack",
};

const gate = { not: "the gate runs it" };
const proof = (name: string): NotRun => ({ not: `the proof ${name} runs it` });

/** Replaces the reader's stack with the stack of this machine. */
const dev = { "-s prod": "-s dev" };
const local = { "berth-prod": "berth-local" };

export const pages: Record<string, Page> = {
  "README.md": {
    shell: "plain",
    commands: {
      "npm run up #": { seconds: 300, shows: /Berth is up/ },
      "npm test": gate,
      "npm run status": { shows: /✓ stack dev/ },
      'eval "$(npm run -s env)"': {},
      "kubectl get pods -A": { shows: /berth +postgres-0 .*Running/ },
      "npm run init -- --context NAME": { not: "run by docs/your-cluster.md" },
      "pulumi stack init mystack": { not: "the stack `dev` of this machine exists already" },
      "npm run doctor -- --stack mystack": { not: "run by docs/your-cluster.md" },
      "pulumi up -s mystack": { not: "the same as with -s dev" },
      "pulumi up -s <stack>": { not: "the same as with -s dev" },
      "- name: initech": { endOf: "Pulumi.dev.yaml" },
      "pulumi up -s dev": { shows: /Namespace tenant-initech|tenant-initech +created/ },
      "pulumi stack output tenantKeys --show-secrets -s dev": { shows: /berth_initech_/ },
      "npm run down": proof("killed"),
      "pulumi destroy -s <stack>": { not: "destroys the stack; the proof `stand-ins` destroys a stack of its own" },
    },
  },
  "docs/your-agent.md": {
    shell: "plain",
    last: `for state in queued starting running; do
  curl -H "$auth" "$URL/v1/sessions?state=$state" | grep -o '"id":"[^"]*' | cut -d'"' -f4 |
    while read -r one; do curl -H "$auth" -X DELETE "$URL/v1/sessions/$one"; done
done; rm -rf my-agent`,
    commands: {
      'eval "$(npm run -s env)"': {},
      "URL=$(": {},
      "KEY=$(": {},
      'auth="authorization: Bearer $KEY"': {},
      "mkdir -p my-agent": {},
      "cat >my-agent/": {},
      "chmod +x my-agent/agent.sh": {},
      "REGISTRY=ghcr.io/acme": { with: { "ghcr.io/acme": "127.0.0.1:5000/docs" } },
      "docker build --build-arg BERTH_AGENT": {},
      "docker push $REGISTRY/my-agent:1": {},
      "IMAGE=$(docker image inspect": {},
      "pulumi config set --path 'berth:tenants[0].images[0]": {},
      "pulumi config set --path 'berth:tenants[0].images[1].name'": {},
      "pulumi config set --path 'berth:tenants[0].images[1].image'": {
        // The internet's registry may be out of reach; the local registry has the same image.
        given:
          "DEBIAN=$(docker image inspect --format '{{index .RepoDigests 0}}' 127.0.0.1:5000/docker.io/library/debian:bookworm-slim)",
        with: { "docker.io/library/debian@sha256:…": '"$DEBIAN"' },
      },
      "pulumi up -s dev": { shows: /image-puller|unchanged/, seconds: 300 },
      'until curl -H "$auth" "$URL/v1/tenants/acme"': { seconds: 300 },
      "first_id() {": {},
      'ID=$(curl -H "$auth" -H "$json"': {},
      'curl -H "$auth" "$URL/v1/sessions/$ID"': { shows: /"state":"running"/ },
      'curl -H "$auth" "$URL/v1/sessions/$ID/logs"': { shows: /hello from |^1\d\.\d/m },
      'curl -H "$auth" "$URL/v1/sessions/$ID/files?path=result.txt"': { shows: /hello from .* on the display :\d/ },
      'curl -H "$auth" -X DELETE "$URL/v1/sessions/$ID"': { shows: /"state":"stopping"/ },
    },
  },
  "docs/your-cluster.md": {
    shell: "stack",
    commands: {
      "berth:namespace:": { not: "names of a second stack; infra/testing/names.test.ts runs the program with them" },
      "k3d registry create": { not: "needs k3d" },
      "k3d cluster create": { not: "needs k3d" },
      "mirrors:": { not: "a file for k3d" },
      "pulumi stack init kind": { not: "needs a cluster of kind or k3d" },
      "pulumi up -s kind": { not: "needs a cluster of kind or k3d" },
      "kubectl --context kind-kind port-forward": { not: "needs a cluster of kind or k3d" },
      "npm run init -- --context NAME": {
        with: { NAME: "berth-local --stack mystack" },
        shows: /Wrote Pulumi\.mystack\.yaml/,
      },
      "pulumi stack init mystack": { not: "the stack `dev` of this machine exists already" },
      "npm run doctor -- --stack mystack": {
        with: { mystack: "dev" },
        shows: /✓ session: a session ran/,
        seconds: 600,
      },
      "pulumi up -s mystack": { not: "README.md runs it with the stack of this machine" },
      "kubectl port-forward -n berth service/gateway 30080:80": {
        not: "is for another cluster; on this machine the ports lead to the local one",
      },
      "kubectl get namespace kube-system": { shows: /^[0-9a-f-]{36}$/m },
      "pulumi config set berth:clusterId UID -s mystack": {
        with: {
          UID: "$(kubectl get namespace kube-system -o jsonpath='{.metadata.uid}')",
          mystack: "dev",
        },
      },
      "pulumi refresh -s mystack": { not: "needs a cluster that was made again" },
      "pulumi config set --secret berth:kubeconfig": {
        not: "infra/kubernetes/access.test.ts runs the program with a kubeconfig",
      },
      "berth:kubeconfig: { stack:": { not: "needs the stack that made the cluster" },
    },
  },
  "docs/first-hour.md": {
    shell: "plain",
    commands: {
      "npm run init -- --context platform-eu1": { not: "the record of a run; docs/your-cluster.md runs the command" },
      "npm run doctor -- --stack staging": { not: "the record of a run; docs/your-cluster.md runs the command" },
      "pulumi stack init staging": { not: "the record of a run; the proof two-stacks runs the command" },
      "pulumi stack rm": { not: "the record of a run, at whose end the stack was removed" },
      "pulumi up -s staging": { not: "the record of a run; README.md runs the command with the stack of this machine" },
      "pulumi preview -s staging --diff": { not: "the record of a run; docs/upgrading.md has the command" },
      "pulumi destroy -s staging": { not: "the record of a run; the proof two-stacks runs the command" },
      "pulumi config set berth:protectData": { not: "the record of a run; the proof two-stacks changes the same key" },
      "pulumi config set --path 'berth:tenants[0].images[0]": {
        not: "the record of a run; docs/your-agent.md runs the commands",
      },
      "pulumi config set --path": { not: "the record of a run; the proof two-stacks changes the same keys" },
      "kubectl --context platform-eu1": { not: "the record of a run in a cluster that is gone" },
      "curl -H": { not: "the record of a run; docs/your-agent.md runs the commands" },
      "docker build --tag": { not: "the record of a run; docs/your-agent.md builds an image" },
      "docker push": { not: "the record of a run; docs/your-agent.md pushes an image" },
      "git clone": { not: "the record of a run; the gate runs in a clone" },
      "git checkout": { not: "the record of a run; the proof upgrade runs two versions" },
      "npm run setup": { not: "the record of a run; every command of npm runs it" },
    },
  },
  "docs/images.md": {
    shell: "stack",
    commands: {
      "for image in api agent berthd; do pulumi config set --path": {
        not: "needs a second stack; infra/testing/options.test.ts runs the program with these keys",
      },
      "pulumi up -s prod": { not: "deploys to production; README.md runs it with the stack of this machine" },
      "pulumi up -s prod --replace": { not: "needs an `up` that was killed after a push" },
      "values: stacks: fn::open::pulumi-stacks": { not: "is part of an environment in Pulumi Cloud" },
      "berth:images: agent: { buildArgs:": {
        not: "takes minutes to build; infra/testing/options.test.ts runs the program with these keys",
      },
      "crane copy": { not: "needs two registries" },
      "docker build --secret id=npmrc": { not: "needs a private registry of packages" },
      "pulumi config set --secret --path berth:images.api.buildSecrets.npmrc": {
        not: "needs a private registry of packages; infra/images/build-secrets.cluster.test.ts builds with a secret",
      },
      "apt-get install libglx-mesa0": { not: "part of a reader's own image" },
      "npm run images:update": { not: "changes the checkout, where registries can be reached" },
      "node tools/epoch.ts 2026-W48 Pulumi.*.yaml": {},
      // The proof does not run the script, because none of the script's three programs is in a package registry.
      "sh images/supply-chain.sh sbom": { not: "needs syft, and an image in a registry" },
      "sh images/supply-chain.sh scan": { not: "needs trivy and its database of CVEs" },
      "sh images/supply-chain.sh sign": { not: "needs cosign and a login to a registry" },
    },
  },
  "docs/session-images.md": {
    shell: "plain",
    commands: {
      "berth:tenants: - name: acme": {
        not: "no registry of these images is in reach; runtime/src/worker/foreignImages.cluster.test.ts runs others",
      },
    },
  },
  "docs/api.md": {
    shell: "plain",
    last: `for state in queued starting running; do
  curl -H "$auth" "$URL/v1/sessions?state=$state" | grep -o '"id":"[^"]*' | cut -d'"' -f4 |
    while read -r one; do curl -H "$auth" -X DELETE "$URL/v1/sessions/$one"; done
done; true`,
    commands: {
      'eval "$(npm run -s env)"': {},
      "URL=$(": {},
      "KEY=$(": {},
      "ADMIN_KEY=$(": {},
      "curl $URL/v1/openapi.json": { shows: /"openapi":"3\.1/ },
      "UPDATE_GOLDEN=1 npm run test:unit": { not: "writes files of the repository; a unit test compares them" },
      'auth="authorization: Bearer $KEY"': {},
      "first_id() {": {},
      'curl -H "$auth" -H "$json" -H \'idempotency-key: run-7\'': {
        with: { "run-7": "run-'$(date +%s)'" },
        shows: /"state":"running"/,
      },
      'curl -H "$auth" "$URL/v1/sessions?state=running': { shows: /"state":"running"/ },
      'ID=$(curl -H "$auth" "$URL': {},
      'curl -H "$auth" "$URL/v1/sessions/$ID"': { shows: /"state":"running"/ },
      'curl -H "$auth" -X POST "$URL/v1/sessions/$ID/suspend"': { shows: /"state":"suspending"/ },
      'curl -H "$auth" -X POST "$URL/v1/sessions/$ID/resume?wait=running"': {
        shows: /"state":"running"/,
      },
      'curl -H "$auth" -H "$json" "$URL/v1/sessions/$ID/extend"': { shows: /"maxLifetimeSeconds":32400/ },
      'curl -H "$auth" -X POST "$URL/v1/sessions/$ID/touch"': {},
      'curl -H "$auth" -X DELETE "$URL/v1/sessions/$ID"': { shows: /"state":"stopping"/ },
      'ID=$(curl -H "$auth" -H "$json"': {},
      'curl -N -H "$auth" "$URL/v1/sessions/$ID/events"': { until: /"state":"running"/ },
      'curl -N -H "$auth" "$URL/v1/events"': {
        // The request waits for new events, so the proof must cause one.
        given: '(sleep 2; curl -H "$auth" -H "$json" "$URL/v1/sessions" -d \'{"tier": "small"}\') >/dev/null 2>&1 &',
        until: /"type":"created"/,
      },
      "curl -N -H \"$auth\" -H 'last-event-id: 41'": { until: /^id: \d/m },
      'curl -N -H "$auth" "$URL/v1/sessions/$ID/logs?follow=true&tail=100"': { until: /\S/ },
      'curl -H "$auth" "$URL/v1/usage': { shows: /seconds/i },
      'curl -H "$auth" "$URL/v1/sessions/$ID/metrics?from=': { shows: /"points":/ },
      'curl -H "authorization: Bearer $ADMIN_KEY" "$URL/v1/tenants"': { shows: /"acme"/ },
    },
  },
  "docs/desktops.md": {
    shell: "plain",
    last: 'curl -H "$auth" -X DELETE "$URL/v1/sessions/$ID"',
    commands: {
      'eval "$(npm run -s env)"': {},
      "URL=$(": {},
      "KEY=$(": {},
      'auth="authorization: Bearer $KEY"': {},
      "first_id() {": {},
      'ID=$(curl -H "$auth" -H "$json"': {},
      'curl -H "$auth" -H "$json" "$URL/v1/sessions/$ID/desktop-tickets"': { shows: /ticket=/ },
      'curl -H "$auth" "$URL/v1/sessions/$ID/desktop-tickets"': { shows: /"madeBy":"key:default"/ },
      'TICKET=$(curl -H "$auth"': {},
      'curl -H "$auth" -X DELETE "$URL/v1/sessions/$ID/desktop-tickets/$TICKET"': {},
      'curl -H "$auth" "$URL/v1/sessions/$ID/connections"': { shows: /"items":\[\]/ },
      'curl -H "$auth" -X DELETE "$URL/v1/sessions/$ID/connections/$CONNECTION"': {
        // There is no matching object, so the error message must show that the API understands the call.
        given: "CONNECTION=$(cat /proc/sys/kernel/random/uuid)",
        exit: 22,
        shows: /404/,
      },
    },
  },
  "docs/webhooks.md": {
    shell: "plain",
    commands: {
      'eval "$(npm run -s env)"': {},
      "URL=$(": {},
      "KEY=$(": {},
      'auth="authorization: Bearer $KEY"': {},
      'curl -H "$auth" "$URL/v1/webhook-deliveries?state=dead"': { shows: /"items":/ },
      'curl -H "$auth" -X POST "$URL/v1/webhook-deliveries/redeliver"': { shows: /"count":/ },
      'curl -H "$auth" -X POST "$URL/v1/webhook-deliveries/$DELIVERY/redeliver"': {
        // No delivery has the state `dead`, so the error message must show that the API understands the call.
        given: "DELIVERY=$(cat /proc/sys/kernel/random/uuid)",
        exit: 22,
        shows: /404/,
      },
    },
  },
  "docs/commands-and-files.md": {
    shell: "plain",
    last: 'curl -H "$auth" -X DELETE "$S"; rm -f b.tar',
    commands: {
      'eval "$(npm run -s env)"': {},
      "URL=$(": {},
      "KEY=$(": {},
      'auth="authorization: Bearer $KEY"': {},
      'ID=$(curl -H "$auth" -H "$json"': {},
      "S=$URL/v1/sessions/$ID": {},
      'curl -H "$auth" -H "$json" "$S/commands"': { shows: /"exitCode":3.*"stdout":"hello\\n/ },
      'P=$(curl -H "$auth" -H "$json" "$S/processes"': {},
      'curl -H "$auth" -H "$json" "$S/processes/$P/input"': {},
      'curl -N -H "$auth" "$S/processes/$P/output"': { until: /"text":"a line\\n"/ },
      'curl -N -H "$auth" -H \'last-event-id: 7\' "$S/processes/$P/output"': { until: /"type":"started"/ },
      'curl -H "$auth" "$S/processes"': { shows: /"tag":"mine"/ },
      'curl -H "$auth" -H "$json" "$S/processes/$P/signal"': {},
      "printf 'hello\\n' | curl": { shows: /"mode":"0600"/ },
      'curl -H "$auth" "$S/files?path=notes/a.txt"': { shows: /^hello$/m },
      'curl -H "$auth" -H \'range: bytes=0-3\' "$S/files': { shows: /^hell$/m },
      'curl -H "$auth" "$S/files/info': { shows: /"size":6/ },
      'curl -H "$auth" "$S/files/list': { shows: /notes\/a\.txt/ },
      'curl -H "$auth" -H "$json" "$S/files/folders"': { shows: /"kind":"folder"/ },
      'curl -H "$auth" -H "$json" "$S/files/move"': { shows: /b\/c\/d\.txt/ },
      'curl -H "$auth" "$S/files/archive?path=b" >b.tar': {},
      'curl -H "$auth" -T b.tar "$S/files/archive?path=copy"': { shows: /"files":1/ },
      'curl -H "$auth" -X DELETE "$S/files?path=b&recursive=true"': {},
      'curl -N -H "$auth" "$S/files/watch': { until: /"type":"ready"/ },
      'LINK=$(curl -H "$auth" -H "$json" "$S/files/links"': {},
      'curl "$LINK"': { shows: /^hello$/m },
      'curl -H "$auth" "$S/ports"': { shows: /"items":/ },
      'curl -H "$auth" "$S/metrics"': { shows: /"memory":/ },
      'curl -H "$auth" "$S/metrics?from=': { shows: /"points":/ },
    },
  },
  "docs/ports.md": {
    shell: "plain",
    last: 'curl -H "$auth" -X DELETE "$S"',
    commands: {
      'eval "$(npm run -s env)"': {},
      "URL=$(": {},
      "KEY=$(": {},
      'auth="authorization: Bearer $KEY"': {},
      'ID=$(curl -H "$auth" -H "$json"': {},
      "S=$URL/v1/sessions/$ID": {},
      'curl -H "$auth" -H "$json" "$S/processes"': { shows: /"id":/ },
      'curl -H "$auth" "$S/ports"': {
        given: 'until curl -H "$auth" "$S/ports" | grep -q \'"port":8000\'; do :; done',
        shows: /"port":8000,.*"url":"http:/,
      },
      "P=http://8000-$ID.localhost:30090/": {},
      'curl --resolve "*:30090:127.0.0.1"': { shows: /Directory listing/ },
      'curl -H "$auth" -H "$json" "$S/ports/8000/links"': { shows: /"url":".*ticket=.*"token":/ },
      'curl -H "$auth" "$S/ports/links"': { shows: /"port":8000/ },
      'LINK=$(curl -H "$auth" "$S/ports/links"': {},
      'curl -H "$auth" -X DELETE "$S/ports/links/$LINK"': {},
    },
  },
  "docs/monitoring.md": {
    shell: "stack",
    commands: {
      "kubectl port-forward -n berth service/prometheus 9090": { until: /Forwarding from/ },
      "kubectl get --raw '/apis/external": { shows: /"bullmq_waiting_jobs"/ },
      "kubectl get --raw '/apis/custom": { shows: /http_requests_per_second/ },
      "kubectl top pods -n berth": { shows: /postgres-0/ },
      "pulumi up --replace URN": {
        not: "interrupts the autoscalers' metrics for some seconds; docs/secrets.md runs --replace",
      },
      "pulumi stack --show-urns": { given: "pulumi stack select dev", shows: /prometheus-adapter-certificate-seed/ },
      "kubectl delete hpa -n berth api worker": {
        not: "a step of the change to KEDA, which the local cluster does not have",
      },
      "kubectl get secret -n berth -o name | grep grafana-password": { not: "the stack dev has no Grafana" },
      "kubectl port-forward -n berth deploy/grafana 3000": { not: "the stack dev has no Grafana" },
    },
  },
  "docs/operating.md": {
    shell: "stack",
    commands: {
      "kubectl rollout restart deployment/api -n berth": proof("gateway"),
      "kubectl get endpointslices kubernetes": { shows: /10\.200\.0\.1/ },
      "kubectl rollout undo": { not: "the proof `undo` does it with the API; the rollback of the worker is the same" },
      "kubectl drain NODE": {
        not: "draining the only node would stop the platform; the proof `drain` drains only the sessions on it",
      },
      "POD=$(": {},
      "kubectl debug -n berth -it $POD": {
        // There is no terminal here.
        with: { "-it": "-i", "debian:bookworm-slim": "127.0.0.1:5000/docker.io/library/debian:bookworm-slim" },
        types: "tr '\\0' '\\n' </proc/1/environ | grep POSTGRES_HOST\nexit\n",
        shows: /POSTGRES_HOST=/,
      },
      "kubectl get pods -n berth -o wide": {},
      "kubectl logs -n berth -l app.kubernetes.io/name=api": { shows: /^\[pod\/api-/m },
      "kubectl describe pod": { not: "only the beginning of a command; the proof runs it for Postgres' pod" },
      "kubectl logs -n berth -l app.kubernetes.io/name=worker": { shows: /^\[pod\/worker-/m },
      "kubectl get pods,pvc -A -l app.kubernetes.io/component=session": {},
      "kubectl get pods -n berth": {},
      "kubectl get secret -n berth tenants": { shows: /"closed"/ },
      "pulumi up --refresh": { not: "tests/tenant-lifecycle.stack.test.ts runs it" },
      "kubectl get hpa -n berth": { shows: /worker/ },
      "kubectl get lease -n berth": { shows: /berth-worker/ },
      "kubectl logs --previous": { not: "only the beginning of a command, which needs a restarted pod" },
      "kubectl scale -n berth deploy/worker --replicas 8": { not: "eight workers are too many for a small machine" },
      // grep finds nothing, because all API services are available.
      "kubectl get apiservices | grep False": { exit: 1 },
      "kubectl rollout restart -n berth deploy/prometheus-adapter": {
        shows: /restarted/,
      },
      "kubectl logs -n berth prometheus-0": {},
      "kubectl describe pod -n berth postgres-0": { shows: /Volumes:/ },
      "kubectl get jobs -n berth": { shows: /migrate-/ },
    },
  },
  "docs/promises.md": {
    shell: "plain",
    commands: {
      "kubectl rollout undo": { not: "the name of what the proof `undo` does" },
      "BERTH_SOAK_MINUTES=30 npx vitest run --project proof soak": {
        not: "the proof `soak` is the same for 8 minutes",
      },
      "npm run down": proof("killed"),
    },
  },
  "docs/upgrading.md": {
    shell: "stack",
    commands: {
      'eval "$(npm run -s env)"': { not: "is only for users of a command that is gone" },
      "pulumi destroy -s dev": { not: "is only for users of a command that is gone" },
      "npm ci": { not: "the checkout already has its packages" },
      "pulumi preview -s prod --diff": { with: dev, shows: /berth/ },
      "pulumi up -s prod": { not: "the proof `upgrade` runs it, with a stack of an older version" },
      "pulumi stack --show-urns -s prod": { with: dev, shows: /platform-namespace/ },
      "pulumi stack export -s prod | npx node tools/former-names.ts": { not: "the proof `way-back` runs it" },
      "kubectl rollout undo": { not: "the proof `undo` does it" },
      "pulumi stack rename": { not: "would rename the stack of the other pages" },
      "kubectl label": { not: "`up` prints the whole command if a stack was renamed" },
      'UPGRADE_FROM="1.4, the version of March" npx vitest': {
        not: "changes the checkout of a release",
      },
    },
  },
  "docs/policies.md": {
    shell: "stack",
    commands: {
      'pulumi preview -s dev --policy-pack "$PWD/policy/run"': { shows: /berth/ },
      'pulumi up -s prod --policy-pack "$PWD/policy/run"': { with: dev },
      "npm run policy": { not: "docs/ci.md runs it with a stack" },
    },
  },
  "docs/ci.md": {
    shell: "stack",
    commands: {
      "UPDATE_GOLDEN=1 npm run test:unit": { not: "writes files of the repository; a unit test compares them" },
      "cosign verify": { not: "needs cosign and an image that a workflow has signed" },
      'node tools/doctor/main.ts --stack "$STACK" -o json': { not: "the proof `doctor` runs it" },
      "npm run check #": gate,
      "npm run render": { shows: /✓ Manifests of prod/ },
      "npm run policy -- prod": { shows: /✓ Policies on prod/ },
      "npm run test:manifests": gate,
      "npm run images:update": { not: "changes the checkout if registries are reachable" },
    },
  },
  "docs/development.md": { shell: "plain", commands: { "npx vitest": { not: "a part of the gate" } } },
  "docs/compose.md": {
    shell: "plain",
    commands: {
      "npm run up #": { not: "run by README.md" },
      "cp .env.example .env.local": {},
      'eval "$(npm run -s env)"': {},
      "docker compose": { not: "needs Docker's plugin compose, and starts a second stack" },
      "curl -X POST": { not: "calls the stack of docker compose" },
      "apt install docker-compose": { not: "changes the machine" },
    },
  },
  "docs/air-gapped.md": {
    shell: "plain",
    // These functions replace curl and crane and print the arguments, because the proof can't reach Pulumi's site and a
    // second registry.
    first: `curl() { echo "curl $2"; echo > "\${2##*/}"; }; crane() { echo "crane $*"; }`,
    commands: {
      "pulumi plugin install resource kubernetes VERSION": { not: "downloads from Pulumi's site" },
      "mkdir mirror && cd mirror": {},
      "version() {": {},
      "releases() {": {},
      'curl -fLO "$(releases pulumi': { shows: /pulumi-v3\.\d+\.\d+-linux-x64/ },
      "for plugin in": { shows: /resource-docker-v\d+\.\d+\.\d+-linux-amd64/ },
      "for path in": { shows: /dl\.k8s\.io\/release\/v1\.34\.\d+\/bin\/linux\/amd64\/kubelet/ },
      "find . -type f": {},
      "export BERTH_MIRROR=/srv/mirror": { not: "this machine has no mirror" },
      "export BERTH_MIRROR_TRUSTED=1": { not: "this machine has no mirror" },
      "node -p 'Object.values": {
        given: "cd ..",
        shows: /crane copy docker\.io\/library\/postgres:15\S*@sha256:[0-9a-f]{64} mirror\.example\.com\/docker\.io/,
      },
      "berth:baseRegistry: mirror.example.com": { not: "the mirror is an example" },
      "npm config set registry": { not: "changes the user's settings" },
      "go env -w GOPROXY": { not: "changes the user's settings" },
    },
  },
  "docs/local-cluster.md": {
    shell: "plain",
    commands: {
      "npm run down": proof("host-untouched"),
      "go clean -modcache": { not: "would remove what this machine's other projects have downloaded" },
    },
  },
  "docs/config.md": {
    shell: "plain",
    commands: {
      "npm run config:docs": {},
      "pulumi config set --secret --path 'tenants[0].webhooks[0].secret'": { not: "run by docs/onboarding.md" },
    },
  },
  "docs/production.md": {
    shell: "plain",
    commands: {
      "pulumi stack init prod": { not: "needs a key of a cloud" },
      "pulumi up -s prod": proof("production"),
      "kubectl scale deployment api -n berth --replicas 4": { not: "more pods than the stack dev may have" },
      "berth:placement:": { not: "the local cluster has one node without these labels" },
      "berth:ingress: controller: gateway-api": { not: "needs a Gateway of GKE" },
      "apiVersion: networking.gke.io/v1 kind: HealthCheckPolicy": { not: "objects that only GKE knows" },
    },
  },
  "docs/network.md": {
    shell: "stack",
    commands: {
      "kubectl run -it": { not: "needs a terminal, and an image of the internet" },
      "kubectl get pods -n kube-system -l k8s-app=kube-dns": { shows: /Running/ },
      "kubectl get endpointslices kubernetes": { shows: /10\.200\.0\.1/ },
      "kubectl get nodes -o wide": { shows: /Ready/ },
      "kubectl get pods -n kube-system": { shows: /Running/ },
      "berth:kubernetesApi:": { not: "the addresses of another cluster" },
      "berth:postgres:": { not: "needs a Postgres in another namespace" },
      "berth:egress:": { not: "the addresses and pods of another cluster" },
      "berth:network:": { not: "the addresses and pods of another cluster" },
    },
  },
  "docs/runtime.md": { shell: "plain", commands: {} },
  "docs/in-pod-channel.md": { shell: "plain", commands: {} },
  "docs/performance.md": { shell: "plain", commands: {} },
  "docs/security.md": { shell: "plain", commands: {} },
  "docs/sessions.md": { shell: "plain", commands: {} },
  "docs/onboarding.md": {
    shell: "stack",
    commands: {
      "- name: initech": {
        // The entry that the proof appended for README is deleted first, because both entries name the same tenant.
        given: "sed -i '/name: initech/d' Pulumi.dev.yaml",
        endOf: "Pulumi.dev.yaml",
      },
      "pulumi up -s prod": { with: dev, shows: /initech/ },
      "pulumi stack output tenantKeys --show-secrets -s prod": { with: dev, shows: /berth_initech_/ },
      "keys: - name: web": {
        given:
          "kubectl create secret generic initech-key -n berth --from-literal=key=berth_initech_$(openssl rand -hex 16)",
        endOf: "Pulumi.dev.yaml",
      },
      'printf %s "$KEY" | sha256sum': { shows: /^[0-9a-f]{64}/ },
      "pulumi config set --path 'berth:tenants[0].webhooks[0].url'": {
        // Before this command, the page says in words that the keys are deployed, so the proof deploys them here. The proof
        // does not deploy the webhook settings that follow.
        given: `pulumi up -s dev && pulumi stack output tenantKeys --show-secrets -s dev | grep '"initech":{"ci":"berth_initech_' && cp Pulumi.dev.yaml before-webhooks.yaml`,
        with: dev,
      },
      "pulumi config set --secret --path 'berth:tenants[0].webhooks[0].secret'": {
        with: dev,
        stdin: "a-secret-of-the-receiver",
      },
      "kubectl get pods -n tenant-initech": {},
      "pulumi state unprotect --all": { not: "removes the deletion protection of the whole stack" },
    },
    // These commands do what the page's last section describes. They run at the end.
    last: `[ ! -f before-webhooks.yaml ] || mv before-webhooks.yaml Pulumi.dev.yaml
sed -i 's/- name: initech/&\\n      remove: true/' Pulumi.dev.yaml && pulumi up -s dev &&
  cp "$CHECKOUT/Pulumi.dev.yaml" Pulumi.dev.yaml && pulumi up -s dev &&
  kubectl delete secret initech-key -n berth --ignore-not-found`,
  },
  "docs/secrets.md": {
    shell: "stack",
    first: "cp Pulumi.dev.yaml before-secrets.yaml",
    last: `mv before-secrets.yaml Pulumi.dev.yaml && pulumi up -s dev &&
  kubectl delete secret postgres-password-2026-11 -n berth --ignore-not-found`,
    commands: {
      "pulumi stack init prod": { not: "needs a key of a cloud" },
      "pulumi config set --path berth:postgres.passwordSecret": { with: dev },
      "pulumi config set --path berth:redis.passwordSecret": { with: dev },
      "pulumi config set berth:tokenKeySecret": { with: dev },
      "kubectl create secret generic postgres-password-2026-11": {
        // `kubectl apply` creates the Secret itself, instead of kubeseal and its controller.
        with: { "kubeseal -o yaml > postgres-password-2026-11.yaml": "kubectl apply -f -" },
        shows: /postgres-password-2026-11 (created|configured)/,
      },
      "apiVersion: external-secrets.io": { not: "the cluster has no External Secrets" },
      "apiVersion: secrets.hashicorp.com": { not: "the cluster has no Vault" },
      "berth:postgres: external:": { not: "there is no second Postgres; infra/stores/stores.test.ts tests the config" },
      "pulumi up -s prod --replace '**RandomPassword::postgres-password'": {
        given: "cp before-secrets.yaml Pulumi.dev.yaml",
        with: dev,
        shows: /postgres-password/,
        seconds: 300,
      },
      "pulumi up -s prod --replace '**RandomPassword::redis-password'": { with: dev, seconds: 300 },
      "pulumi config set --secret --path 'berth:tenants[0].webhooks[0].secret'": { not: "run by docs/onboarding.md" },
      "pulumi config set --secret --path 'berth:registryLogins[0].password'": {
        with: dev,
        stdin: "a-password",
      },
      "pulumi config set --path 'berth:tenants[0].maxSessions' 0": {
        given: "cp before-secrets.yaml Pulumi.dev.yaml",
        with: dev,
      },
      "pulumi up -s prod": { with: dev },
      "kubectl get pods -A -l app.kubernetes.io/component=session": {},
      "pulumi config set --path berth:tokenKeys.current 2": { with: dev },
      "pulumi config set --path berth:tokenKeys.oldest 2": { not: "ends the sessions of other tests on this stack" },
      "pulumi config set --path berth:tokenKeys.current 4": { not: "ends the sessions of other tests on this stack" },
      "pulumi config set --path berth:tokenKeys.oldest 4": { not: "ends the sessions of other tests on this stack" },
    },
  },
  "docs/backup.md": {
    shell: "stack",
    last: "kubectl -n berth delete job dump-now check-now shell --ignore-not-found",
    commands: {
      "kubectl -n berth create job dump-now": {},
      "kubectl -n berth wait --for=condition=Complete --timeout=10m job/dump-now": {},
      "kubectl -n berth logs job/dump-now": { shows: /\S/ },
      "kubectl -n berth create job check-now": {},
      "kubectl -n berth wait --for=condition=Complete --timeout=10m job/check-now": { seconds: 300 },
      "kubectl -n berth logs job/check-now": { shows: /\S/ },
      "kubectl -n berth delete job dump-now check-now": {},
      "npm run restore -- --context berth-prod --list": { with: local, shows: /\d{8}T\d{6}Z/ },
      "npm run restore -- --context berth-prod #": { with: local, shows: /start the API/, seconds: 300 },
      "npm run restore -- --context berth-prod 20261121T013000Z": {
        given: "DUMP=$(npm run -s restore -- --context berth-local --list | grep -oE '[0-9]{8}T[0-9]{6}Z' | tail -1)",
        with: { ...local, "20261121T013000Z": "$DUMP" },
        shows: /start the API/,
        seconds: 300,
      },
      'eval "$(npm run -s env)"': {},
      "kubectl -n berth exec postgres-0 -c postgres -- dropdb -U berth berth_replaced": {},
      "swap=": {},
      "kubectl -n berth exec postgres-0 -c postgres -- psql": { not: "only after a restore whose migrations failed" },
      "kubectl -n berth scale deployment": { not: "only after a restore whose migrations failed" },
      "kubectl -n berth create job shell": {},
      "kubectl -n berth wait --for=condition=Ready": {},
      "POD=$(": {},
      "kubectl -n berth cp 20261121T013000Z": {
        given: "kubectl -n berth cp $POD:/backups/$DUMP $DUMP",
        with: { "20261121T013000Z": "$DUMP" },
      },
      "kubectl -n berth delete job shell": {},
      "pulumi config set protectData false": { not: "the stack dev already has this setting" },
    },
  },
};
