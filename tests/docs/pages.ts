/**
 * What is done with each command that README and docs print: run by the proof (tests/proofs/docs.proof.test.ts), or not, with
 * the reason. A command is found by the longest key with which its text begins.
 */

/** The command is run as it is printed. */
export interface Run {
  /** Shell that is run before it: what the page tells in words, or what only the proof needs. */
  given?: string;
  /** What a reader replaces by their own: text of the page → shell. */
  with?: Record<string, string>;
  /** What is on its standard input, up to its end. */
  stdin?: string;
  /** The same, but it has no end, as if somebody sat there. */
  types?: string;
  /** How it ends. Default: 0. */
  exit?: number;
  /** What it writes. */
  shows?: RegExp;
  /** It goes on until it is stopped, which is done as soon as it has written this. */
  until?: RegExp;
  /** Default: 120. */
  seconds?: number;
}

/** YAML: where it is put, in the proof's copy of the checkout. */
export interface Paste {
  endOf: string;
  given?: string;
}

/** Neither: the reason. */
export interface NotRun {
  not: string;
}

export interface Page {
  /** What the shell is when the page begins: the user's own in a fresh clone, or one after `eval "$(npm run -s env)"`. */
  shell: "plain" | "stack";
  /** Shell that is run first and last; what comes last is run after a failure too. */
  first?: string;
  last?: string;
  commands: Record<string, Run | Paste | NotRun>;
}

/** Commands that sentences only mention, without what follows ` -- `. Where a page wants them run, it prints them in a block, or has a key for them. */
export const mentions: Record<string, string> = {
  "docker build --check": "a workflow's step; local/checks/dockerfiles.ts does the same without Docker",
  "docker login": "the name of a way to log in",
  "docker start": "the name of what was measured",
  "kubectl apply": "the name of a way to apply a file",
  "npm ci": "a step of the image's build",
  "npx vitest run --project proof stand-ins": "a proof, which needs a mirror to say more than without one",
  "npm run bench": "takes long and means nothing beside other work",
  "npm run check": "a step of the gate",
  "npm run check:types": "the same",
  "npm run images:update": "changes the checkout, where registries can be reached",
  "npm run render": "run by docs/ci.md",
  "npm run restore": "run by docs/backup.md",
  "npm run status": "run by README.md",
  "npm run test:manifests": "a part of the gate",
  "npm run test:proofs": "this proof is one of them",
  "npm run test:repeat": "runs tests",
  "npm run test:stores": "a part of the gate",
  "npm run test:unit": "a part of the gate",
  "npm run up": "run by README.md",
  "npm test": "the gate, which does not run itself",
  "pulumi config set --secret": "the name of a way; run with its key by docs/onboarding.md",
  "pulumi config set --secret --path": "the same",
  "pulumi destroy": "ends the stack; the proof of stand-ins destroys one of its own",
  "pulumi preview": "the name of a workflow's step",
  "pulumi preview --refresh": "the same",
  "pulumi up": "the name of the command; run with the stack by README.md",
};

const gate = { not: "the gate runs it" };
const proof = (name: string): NotRun => ({ not: `the proof ${name} runs it` });

/** The stack of this machine in the place of the reader's. */
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
      "pulumi up -s dev #": { shows: /unchanged/ },
      "kubectl get pods -A": { shows: /berth +postgres-0 .*Running/ },
      "npm run up -- --context NAME": {
        // The local cluster's context: it is refused because its registry is this machine's own.
        with: { NAME: "berth-local" },
        exit: 1,
        shows: /berth:registry is 127\.0\.0\.1:5000\/berth, which the cluster berth-local can't reach/,
      },
      "pulumi up -s <stack>": { not: "the same as with -s dev" },
      "- name: initech": { endOf: "Pulumi.dev.yaml" },
      "pulumi up -s dev": { shows: /Namespace tenant-initech|tenant-initech +created/ },
      "pulumi stack output tenantKeys --show-secrets -s dev": { shows: /berth_initech_/ },
      "npm run down": proof("killed"),
      "pulumi destroy -s <stack>": { not: "ends the stack; the proof of stand-ins destroys one of its own" },
    },
  },
  "docs/images.md": {
    shell: "stack",
    commands: {
      "docker build --secret id=npmrc": { not: "needs a private registry of packages" },
      "apt-get install libglx-mesa0": { not: "part of a reader's own image" },
      "berth:tenants: - name: acme": {
        not: "no registry of these images is in reach; runtime/src/worker/foreignImages.cluster.test.ts runs others",
      },
      "npm run images:update": { not: "changes the checkout, where registries can be reached" },
      "POD=$(": {},
      "kubectl debug -n berth -it $POD": {
        // There is no terminal here.
        with: { "-it": "-i", "debian:bookworm-slim": "127.0.0.1:5000/docker.io/library/debian:bookworm-slim" },
        types: "tr '\\0' '\\n' </proc/1/environ | grep POSTGRES_HOST\nexit\n",
        shows: /POSTGRES_HOST=/,
      },
      // None of its three programs can be had from package registries: what is run is its own check for them.
      "sh images/supply-chain.sh sbom": { not: "needs syft, and an image in a registry" },
      "sh images/supply-chain.sh scan": { not: "needs trivy, and its database" },
      "sh images/supply-chain.sh sign": { not: "needs cosign, and a login" },
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
        // From now on: something has to happen.
        given: '(sleep 2; curl -H "$auth" -H "$json" "$URL/v1/sessions" -d \'{"tier": "small"}\') >/dev/null 2>&1 &',
        until: /"type":"created"/,
      },
      "curl -N -H \"$auth\" -H 'last-event-id: 41'": { until: /^id: \d/m },
      'curl -N -H "$auth" "$URL/v1/sessions/$ID/logs?follow=true&tail=100"': { until: /\S/ },
      'curl -H "$auth" "$URL/v1/usage': { shows: /seconds/i },
      'curl -H "$auth" -H "$json" "$URL/v1/sessions/$ID/desktop-tickets"': { shows: /ticket=/ },
      'curl -H "$auth" "$URL/v1/sessions/$ID/desktop-tickets"': { shows: /"madeBy":"key:default"/ },
      'TICKET=$(curl -H "$auth"': {},
      'curl -H "$auth" -X DELETE "$URL/v1/sessions/$ID/desktop-tickets/$TICKET"': {},
      'curl -H "$auth" "$URL/v1/sessions/$ID/connections"': { shows: /"items":\[\]/ },
      'curl -H "$auth" -X DELETE "$URL/v1/sessions/$ID/connections/$CONNECTION"': {
        // Nothing is open here; that the call is understood shows by what it says.
        given: "CONNECTION=$(cat /proc/sys/kernel/random/uuid)",
        exit: 22,
        shows: /404/,
      },
      'curl -H "authorization: Bearer $ADMIN_KEY" "$URL/v1/webhook-deliveries?state=dead"': {},
      'curl -H "authorization: Bearer $ADMIN_KEY" -X POST': {
        // Nothing is dead here; that the call is understood shows by what it says.
        given: "DELIVERY=$(cat /proc/sys/kernel/random/uuid)",
        exit: 22,
        shows: /404/,
      },
      'curl -H "authorization: Bearer $ADMIN_KEY" "$URL/v1/tenants"': { shows: /"acme"/ },
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
        not: "takes the autoscalers' metrics away for some seconds; docs/secrets.md runs --replace",
      },
      "pulumi stack --show-urns": { given: "pulumi stack select dev", shows: /prometheus-adapter-certificate-seed/ },
      "kubectl delete hpa -n berth api worker": {
        not: "a step on the way to KEDA, which the local cluster doesn't have",
      },
      "kubectl get secret -n berth -o name | grep grafana-password": { not: "the stack dev has no Grafana" },
      "kubectl port-forward -n berth deploy/grafana 3000": { not: "the stack dev has no Grafana" },
    },
  },
  "docs/operating.md": {
    shell: "stack",
    commands: {
      "kubectl rollout restart deployment/api -n berth": proof("gateway"),
      "kubectl rollout undo": { not: "the proof undo does it with the API; the worker goes back in the same way" },
      "kubectl drain NODE": {
        not: "it would end the platform with its only node; the proof drain drains the sessions of it",
      },
      "BERTH_SOAK_MINUTES=30 npx vitest run --project proof soak": { not: "the proof soak is the same for 8 minutes" },
      "npm run down": proof("killed"),
      "kubectl get pods -n berth -o wide": {},
      "kubectl logs -n berth -l app.kubernetes.io/name=api": { shows: /^\[pod\/api-/m },
      "kubectl describe pod": { not: "the beginning of a command; of Postgres' pod it is run" },
      "kubectl logs -n berth -l app.kubernetes.io/name=worker": { shows: /^\[pod\/worker-/m },
      "kubectl get pods,pvc -A -l app.kubernetes.io/component=session": {},
      "kubectl get pods -n berth": {},
      "kubectl get secret -n berth tenants": { shows: /"closed"/ },
      "pulumi up --refresh": { not: "tests/tenant-lifecycle.e2e.test.ts runs it" },
      "kubectl get hpa -n berth": { shows: /worker/ },
      "kubectl get lease -n berth": { shows: /berth-worker/ },
      "kubectl logs --previous": { not: "the beginning of a command, for a pod that was restarted" },
      "kubectl scale -n berth deploy/worker --replicas 8": { not: "eight workers are too many for a small machine" },
      // grep found nothing: all APIs answer.
      "kubectl get apiservices | grep False": { exit: 1 },
      "kubectl rollout restart -n berth deploy/prometheus-adapter": {
        shows: /restarted/,
      },
      "kubectl logs -n berth prometheus-0": {},
      "kubectl describe pod -n berth postgres-0": { shows: /Volumes:/ },
      "kubectl get jobs -n berth": { shows: /migrate-/ },
    },
  },
  "docs/upgrading.md": {
    shell: "stack",
    commands: {
      "npm ci": { not: "the checkout has its packages" },
      "pulumi preview -s prod --diff": { with: dev, shows: /berth/ },
      "pulumi up -s prod": { not: "the proof upgrade runs it, with a stack of an older version" },
      "kubectl rollout undo": { not: "the proof undo does it" },
      'UPGRADE_FROM="1.4, the version of March" npx vitest': {
        not: "changes the checkout, on the commit of a release",
      },
    },
  },
  "docs/policies.md": {
    shell: "stack",
    commands: {
      'pulumi preview -s dev --policy-pack "$PWD/policy/run"': { shows: /berth/ },
      'pulumi up -s prod --policy-pack "$PWD/policy/run"': { with: dev },
      "npm run policy": { not: "run by docs/ci.md, with a stack" },
    },
  },
  "docs/ci.md": {
    shell: "stack",
    commands: {
      "cosign verify": { not: "needs cosign, and an image that a workflow has signed" },
      "npm run check #": gate,
      "npm run render": { shows: /✓ Manifests of prod/ },
      "npm run policy -- prod": { shows: /✓ Policies on prod/ },
      "npm run test:manifests": gate,
      "npm run images:update": { not: "changes the checkout, where registries can be reached" },
    },
  },
  "docs/development.md": {
    shell: "plain",
    commands: {
      "npm run up #": { not: "run by README.md" },
      "cp .env.example .env.local": {},
      'eval "$(npm run -s env)"': {},
      "docker compose": { not: "needs Docker's plugin compose, and is a second stack" },
      "curl -X POST": { not: "asks that second stack" },
      "apt install docker-compose": { not: "changes the machine" },
      "npx vitest": { not: "a part of the gate" },
    },
  },
  "docs/air-gapped.md": {
    shell: "plain",
    // A stand-in of curl and crane that says what it is asked for: neither Pulumi's site nor a second registry is in reach.
    first: `curl() { echo "curl $2"; echo > "\${2##*/}"; }; crane() { echo "crane $*"; }`,
    commands: {
      "pulumi plugin install resource kubernetes VERSION": { not: "fetches from Pulumi's site" },
      "mkdir mirror && cd mirror": {},
      "version() {": {},
      "releases() {": {},
      'curl -fLO "$(releases pulumi': { shows: /pulumi-v3\.\d+\.\d+-linux-x64/ },
      "for plugin in": { shows: /resource-docker-v\d+\.\d+\.\d+-linux-amd64/ },
      "for path in": { shows: /dl\.k8s\.io\/release\/v1\.34\.\d+\/bin\/linux\/amd64\/kubelet/ },
      "find . -type f": {},
      "export BERTH_MIRROR=/srv/mirror": { not: "there is no mirror here" },
      "export BERTH_MIRROR_TRUSTED=1": { not: "the same" },
      "node -p 'Object.values": {
        given: "cd ..",
        shows: /crane copy docker\.io\/library\/postgres:15\S*@sha256:[0-9a-f]{64} mirror\.example\.com\/docker\.io/,
      },
      "berth:baseRegistry: mirror.example.com": { not: "the mirror is an example" },
      "npm config set registry": { not: "changes the user's settings" },
      "go env -w GOPROXY": { not: "the same" },
    },
  },
  "docs/local-cluster.md": { shell: "plain", commands: { "npm run down": proof("host-untouched") } },
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
    },
  },
  "docs/runtime.md": { shell: "plain", commands: {} },
  "docs/security.md": { shell: "plain", commands: {} },
  "docs/sessions.md": { shell: "plain", commands: {} },
  "docs/onboarding.md": {
    shell: "stack",
    commands: {
      "- name: initech": {
        // README's entry goes, because a tenant has one.
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
        // With the keys deployed, as the page says before; what follows is not.
        given: `pulumi up -s dev && pulumi stack output tenantKeys --show-secrets -s dev | grep '"initech":{"ci":"berth_initech_' && cp Pulumi.dev.yaml before-webhooks.yaml`,
        with: dev,
      },
      "pulumi config set --secret --path 'berth:tenants[0].webhooks[0].secret'": {
        with: dev,
        stdin: "a-secret-of-the-receiver",
      },
      "kubectl get pods -n tenant-initech": {},
      "pulumi state unprotect --all": { not: "takes the protection of the whole stack away" },
    },
    // The page's last section, in commands.
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
        // In place of kubeseal and its controller, which make a Secret of it in the end.
        with: { "kubeseal -o yaml > postgres-password-2026-11.yaml": "kubectl apply -f -" },
        shows: /postgres-password-2026-11 (created|configured)/,
      },
      "apiVersion: external-secrets.io": { not: "the cluster has no External Secrets" },
      "apiVersion: secrets.hashicorp.com": { not: "the cluster has no Vault" },
      "berth:postgres: external:": { not: "there is no second Postgres; infra/stores/stores.test.ts has the config" },
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
      "pulumi config set --path berth:tokenKeys.oldest 2": { not: "ends what other tests have on this stack" },
      "pulumi config set --path berth:tokenKeys.current 4": { not: "ends what other tests have on this stack" },
      "pulumi config set --path berth:tokenKeys.oldest 4": { not: "ends what other tests have on this stack" },
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
      "npm run restore -- --context berth-prod #": { with: local, shows: /the API opens/, seconds: 300 },
      "npm run restore -- --context berth-prod 20261121T013000Z": {
        given: "DUMP=$(npm run -s restore -- --context berth-local --list | grep -oE '[0-9]{8}T[0-9]{6}Z' | tail -1)",
        with: { ...local, "20261121T013000Z": "$DUMP" },
        shows: /the API opens/,
        seconds: 300,
      },
      'eval "$(npm run -s env)"': {},
      "kubectl -n berth exec postgres-0 -c postgres -- dropdb -U berth berth_replaced": {},
      "kubectl -n berth create job shell": {},
      "kubectl -n berth wait --for=condition=Ready": {},
      "POD=$(": {},
      "kubectl -n berth cp 20261121T013000Z": {
        given: "kubectl -n berth cp $POD:/backups/$DUMP $DUMP",
        with: { "20261121T013000Z": "$DUMP" },
      },
      "kubectl -n berth delete job shell": {},
      "pulumi config set protectData false": { not: "the stack dev has it" },
    },
  },
};
