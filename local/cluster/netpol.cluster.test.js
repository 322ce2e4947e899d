var __addDisposableResource = (this && this.__addDisposableResource) || function (env, value, async) {
    if (value !== null && value !== void 0) {
        if (typeof value !== "object" && typeof value !== "function") throw new TypeError("Object expected.");
        var dispose, inner;
        if (async) {
            if (!Symbol.asyncDispose) throw new TypeError("Symbol.asyncDispose is not defined.");
            dispose = value[Symbol.asyncDispose];
        }
        if (dispose === void 0) {
            if (!Symbol.dispose) throw new TypeError("Symbol.dispose is not defined.");
            dispose = value[Symbol.dispose];
            if (async) inner = dispose;
        }
        if (typeof dispose !== "function") throw new TypeError("Object not disposable.");
        if (inner) dispose = function() { try { inner.call(this); } catch (e) { return Promise.reject(e); } };
        env.stack.push({ value: value, dispose: dispose, async: async });
    }
    else if (async) {
        env.stack.push({ async: true });
    }
    return value;
};
var __disposeResources = (this && this.__disposeResources) || (function (SuppressedError) {
    return function (env) {
        function fail(e) {
            env.error = env.hasError ? new SuppressedError(e, env.error, "An error was suppressed during disposal.") : e;
            env.hasError = true;
        }
        var r, s = 0;
        function next() {
            while (r = env.stack.pop()) {
                try {
                    if (!r.async && s === 1) return s = 0, env.stack.push(r), Promise.resolve().then(next);
                    if (r.dispose) {
                        var result = r.dispose.call(r.value);
                        if (r.async) return s |= 2, Promise.resolve(result).then(next, function(e) { fail(e); return next(); });
                    }
                    else s |= 1;
                }
                catch (e) {
                    fail(e);
                }
            }
            if (s === 1) return env.hasError ? Promise.reject(env.error) : Promise.resolve();
            if (env.hasError) throw env.error;
        }
        return next();
    };
})(typeof SuppressedError === "function" ? SuppressedError : function (error, suppressed, message) {
    var e = new Error(message);
    return e.name = "SuppressedError", e.error = error, e.suppressed = suppressed, e;
});
import { execa } from "execa";
import { expect, it, vi } from "vitest";
import { sources } from "./build.ts";
import { TestNamespace } from "./testing.ts";
const policy = (name, spec) => ({
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name },
    spec,
});
const pods = (name) => ({ podSelector: { matchLabels: { name } } });
it("enforces network policies: what is denied by default opens by name, port and peer only", async () => {
    const env_1 = { stack: [], error: void 0, hasError: false };
    try {
        const namespace = __addDisposableResource(env_1, await TestNamespace.create(), true);
        const addresses = await namespace.startPods([
            {
                name: "server",
                script: "for (const port of [8080, 8081]) require('net').createServer((s) => s.end()).listen(port)",
                ports: [{ name: "web", containerPort: 8080 }],
            },
            { name: "friend", script: "setInterval(() => {}, 1000)" },
            { name: "stranger", script: "setInterval(() => {}, 1000)" },
        ]);
        const server = addresses.get("server") ?? "";
        const reaches = (pod, port) => namespace.connect(pod, server, port);
        await vi.waitFor(async () => expect(await reaches("stranger", 8080)).toBe("connected"), { timeout: 10_000 });
        await namespace.apply(policy("default-deny", { podSelector: {}, policyTypes: ["Ingress", "Egress"] }));
        await vi.waitFor(async () => expect(await reaches("friend", 8080)).toBe("timeout"), { timeout: 20_000 });
        await namespace.apply(policy("server", {
            ...pods("server"),
            policyTypes: ["Ingress"],
            ingress: [{ from: [pods("friend")], ports: [{ port: "web" }] }],
        }), policy("friend", { ...pods("friend"), policyTypes: ["Egress"], egress: [{ to: [pods("server")] }] }), policy("stranger", { ...pods("stranger"), policyTypes: ["Egress"], egress: [{}] }));
        await vi.waitFor(async () => expect(await reaches("friend", 8080)).toBe("connected"), { timeout: 20_000 });
        expect(await reaches("friend", 8081)).toBe("timeout");
        expect(await reaches("stranger", 8080)).toBe("timeout");
    }
    catch (e_1) {
        env_1.error = e_1;
        env_1.hasError = true;
    }
    finally {
        const result_1 = __disposeResources(env_1);
        if (result_1)
            await result_1;
    }
});
it("turns policies into rules as its own Go tests say", async () => {
    // built as the program is, so that nothing of Kubernetes is compiled again
    const args = ["test", "-trimpath", "-mod=readonly", "./netpol"];
    const tests = await execa("go", args, {
        cwd: sources,
        env: { CGO_ENABLED: "0", GOFLAGS: "" },
        reject: false,
        all: true,
    });
    expect(tests.exitCode, tests.all).toBe(0);
});
