/** Ends a test run with the plain line `N passed, N failed`, and fails a run that left a test out unasked. */
module.exports = class ClosingLineReporter {
  #skipped = 0;
  #isFiltered;

  constructor({ testNamePattern }) {
    this.#isFiltered = Boolean(testNamePattern);
  }

  onRunComplete(_contexts, results) {
    this.#skipped = results.numPendingTests + results.numTodoTests;
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    process.stdout.write(`${results.numPassedTests} passed, ${failed} failed\n`);
  }

  getLastError() {
    if (this.#skipped === 0 || this.#isFiltered) return undefined;
    return new Error(`${this.#skipped} tests were left out: every test must run.`);
  }
};
