"""Judges a report of the Autobahn|Testsuite: lists every case that did not pass, and exits with 1 if there is one."""
from __future__ import print_function

import io
import json
import sys
from collections import Counter

# Sections 1 to 7, 10, 12 and 13. Fewer means that the run broke off.
EXPECTED_CASES = 463

# Cases that the suite itself never judges, as RFC 6455 leaves them open, and what ws-echo does. NON-STRICT is
# reached nowhere, so none is let through: whoever has a reason for one adds it here.
NOT_JUDGED = {
    "7.1.6": "256 KiB of text, another text, Close, Ping in one go: both texts come back, then Close, no Pong",
    "7.13.1": "Close with code 5000, which no range of codes holds: answered with 1002",
    "7.13.2": "Close with code 65535, likewise",
}

with io.open(sys.argv[1], encoding="utf-8") as report:
    cases = json.load(report)["ws-echo"]

failed = []
for name, case in sorted(cases.items(), key=lambda item: [int(n) for n in item[0].split(".")]):
    passed = "INFORMATIONAL" if name in NOT_JUDGED else "OK"
    if case["behavior"] != passed or case["behaviorClose"] != passed:
        failed.append("  %s: %s, on closing %s" % (name, case["behavior"], case["behaviorClose"]))
counts = Counter(case["behavior"] for case in cases.values())
summary = ", ".join("%d %s" % (n, behavior) for behavior, n in sorted(counts.items(), reverse=True))
print("Autobahn: %d cases (%s), %d did not pass" % (len(cases), summary, len(failed)))
print("\n".join(failed), end="\n" if failed else "")
if len(cases) != EXPECTED_CASES:
    print("Autobahn: %d cases were expected" % EXPECTED_CASES)
sys.exit(bool(failed) or len(cases) != EXPECTED_CASES)
