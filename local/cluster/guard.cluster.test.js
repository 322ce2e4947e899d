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
import { expect, it } from "vitest";
import { guardCounters } from "./guard.ts";
import { TestNamespace } from "./testing.ts";
/** An address that documentation may use and nobody has. */
const outside = "203.0.113.1";
it("no packet of a pod leaves the machine, even where no network policy forbids it", async () => {
    const env_1 = { stack: [], error: void 0, hasError: false };
    try {
        // not before the guard is seen to be up
        const rules = (await execa("nft", ["list", "table", "inet", "berth_guard"])).stdout;
        expect(rules).toMatch(/hook forward[^}]*jump outgoing/);
        expect(rules).toContain("reject with tcp reset");
        const before = await guardCounters();
        const namespace = __addDisposableResource(env_1, await TestNamespace.create(), true);
        await namespace.startPods([{ name: "pod", script: "setInterval(() => {}, 1000)" }]);
        expect(await namespace.connect("pod", outside, 80)).toBe("ECONNREFUSED");
        const query = `require("dns").promises.lookup("example.com").catch((e) => console.log(e.code))`;
        expect(await namespace.run("pod", query)).toMatch(/EAI_AGAIN|ENOTFOUND/);
        const datagram = `require("dgram").createSocket("udp4").send("x", 53, "${outside}", () => process.exit())`;
        await namespace.run("pod", datagram);
        const after = await guardCounters();
        expect(after.refused - before.refused).toBeGreaterThanOrEqual(2);
        expect(after.leaked).toBe(0);
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
it("no pod gets into the machine's own network, which the guard doesn't watch", async () => {
    const env_2 = { stack: [], error: void 0, hasError: false };
    try {
        const namespace = __addDisposableResource(env_2, await TestNamespace.create(), true);
        const container = { name: "node", image: "any" };
        const pod = {
            apiVersion: "v1",
            kind: "Pod",
            metadata: { name: "pod" },
            spec: { hostNetwork: true, containers: [container] },
        };
        await expect(namespace.apply(pod)).rejects.toThrow(/violates PodSecurity "baseline:latest": .*hostNetwork=true/);
    }
    catch (e_2) {
        env_2.error = e_2;
        env_2.hasError = true;
    }
    finally {
        const result_2 = __disposeResources(env_2);
        if (result_2)
            await result_2;
    }
});
