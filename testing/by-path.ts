/** A vitest sequencer, which decides the order of test files. */
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * The files of each project run in the order of their paths, in every checkout. Vitest's own order depends on earlier
 * failures, durations and sizes. So Vitest's order would differ between clones, and a failure that depends on the order could
 * not be reproduced. Where two processes share a project's files, the next file still runs in the process that is free first.
 */
export class ByPath extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const group = ({ project }: TestSpecification) => project.config.sequence.groupOrder;
    return [...files].sort((a, b) => group(a) - group(b) || (a.moduleId < b.moduleId ? -1 : 1));
  }
}
