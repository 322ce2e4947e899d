export default class ClosingLine {
    /** A file that could not be loaded, and an error outside of any test, count as a failure each. */
    onTestRunEnd(modules, errors) {
        const tests = modules.flatMap((module) => [...module.children.allTests()]);
        const count = (state) => tests.filter((test) => test.result().state === state).length;
        const broken = errors.length + modules.reduce((sum, module) => sum + module.errors().length, 0);
        process.on("exit", () => console.log(`\n${count("passed")} passed, ${count("failed") + broken} failed`));
    }
}
