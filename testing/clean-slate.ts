/**
 * Runs before each test file of the vitest projects whose files share a process. So each file begins with new modules of this
 * repository, and ends with the real clock, environment and functions. The packages of node_modules stay loaded: to load them again
 * for each file took a third of the time of the project `unit`.
 */
import { afterAll, vi } from "vitest";

vi.resetModules();
const { stackTraceLimit, prepareStackTrace } = Error;

afterAll(() => {
  Object.assign(Error, { stackTraceLimit, prepareStackTrace });
  vi.useRealTimers();
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});
