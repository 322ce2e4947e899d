/** A graph of tasks. A task begins when the tasks that it needs are done and, if it computes, when a processor is free. */
import { step, stoppable } from "./steps.ts";

export interface Task {
  /** The task's name in the step's lines. */
  title: string;
  /** The names of the tasks that must be done before this task begins. Default: none. */
  needs?: string[];
  /** Whether the task computes for most of its time. Other tasks mostly wait for a network or a process. Default: false. */
  computes?: boolean;
  /**
   * Whether the task has nothing to do. Called when the task could begin. An idle task counts as done and prints nothing.
   * Default: false.
   */
  idle?: () => boolean;
  run: () => Promise<unknown>;
}

export type Tasks = Record<string, Task>;

/** When a task began and ended, in milliseconds. */
export interface Times {
  begin: number;
  end: number;
}

/** How many tasks may compute at the same time. A task keeps sometimes more and sometimes less than one core busy. */
const processors = 2;

/** The tasks to begin now, in the order of the list. Pure. */
export function startable(tasks: Tasks, begun: ReadonlySet<string>, done: ReadonlySet<string>): string[] {
  const computing = [...begun].filter((name) => tasks[name]?.computes && !done.has(name)).length;
  let free = processors - computing;
  return Object.entries(tasks)
    .filter(([name, { needs = [] }]) => !begun.has(name) && needs.every((need) => done.has(need)))
    .filter(([, { computes = false }]) => !computes || free-- > 0)
    .map(([name]) => name);
}

/** The chain of tasks that decided when the last task ended. Pure. */
export function criticalPath(tasks: Tasks, times: ReadonlyMap<string, Times>): string[] {
  const at = (name: string) => times.get(name) as Times;
  const latest = (names: string[]) => names.sort((a, b) => at(b).end - at(a).end)[0];
  // A task that computes may have waited for a free processor, until another task that computes has ended.
  const before = (name: string) =>
    latest(
      [...times.keys()].filter(
        (other) =>
          at(other).end <= at(name).begin &&
          (tasks[name]?.needs?.includes(other) || (tasks[name]?.computes && tasks[other]?.computes)),
      ),
    );
  const path: string[] = [];
  for (let name = latest([...times.keys()]); name !== undefined; name = before(name)) path.unshift(name);
  return path;
}

/**
 * Runs all tasks. When a task fails, `stopSignal` asks the running tasks to stop, and no further task begins. After all
 * running tasks have ended, the error of the task that failed first is thrown.
 * @returns when each task began and ended; idle tasks are missing
 */
export async function runGraph(tasks: Tasks): Promise<Map<string, Times>> {
  const done = new Set<string>();
  const times = new Map<string, Times>();
  const running = new Map<string, Promise<void>>();
  const stop = new AbortController();

  const run = async (name: string, { title, run }: Task) => {
    const begin = performance.now();
    try {
      await stoppable(stop.signal, () => step(title, run));
      done.add(name);
      times.set(name, { begin, end: performance.now() });
    } catch (error) {
      stop.abort(error); // only the first call has an effect
    }
    running.delete(name);
  };

  for (;;) {
    const names = stop.signal.aborted ? [] : startable(tasks, new Set([...running.keys(), ...done]), done);
    for (const name of names) {
      const task = tasks[name] as Task;
      if (task.idle?.()) done.add(name);
      else running.set(name, run(name, task));
    }
    if (running.size > 0) await Promise.race(running.values());
    else if (names.length === 0) break;
  }
  stop.signal.throwIfAborted();
  const left = Object.keys(tasks).filter((name) => !done.has(name));
  if (left.length > 0) throw new Error(`no task does the work that these tasks need: ${left.join(", ")}`);
  return times;
}

/** The critical path as one line, for example `Critical path: Pulumi 12 s → Stack dev 80 s`. Pure. */
export function pathLine(tasks: Tasks, times: ReadonlyMap<string, Times>): string {
  const steps = criticalPath(tasks, times).map((name) => {
    const { begin, end } = times.get(name) as Times;
    return `${tasks[name]?.title} ${((end - begin) / 1000).toFixed(0)} s`;
  });
  return `Critical path: ${steps.join(" → ")}`;
}
