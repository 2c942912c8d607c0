// Clusters in which something fails, or somebody means harm. `harness.mjs` describes the command line.

import { describe } from "node:test";
import faults from "./faults.mjs";
import hostile from "./hostile.mjs";
import reports from "./reports.mjs";

// Each test has a Redis and nodes of its own, and waits most of the time.
describe("faulty cluster", { concurrency: 9 }, () => {
  faults();
  reports();
  hostile();
});
