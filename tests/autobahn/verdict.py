"""Judges a report of the Autobahn|Testsuite: lists every case that failed, and exits with 1 if there is one."""
from __future__ import print_function

import io
import json
import sys

PASSED = ("OK", "NON-STRICT", "INFORMATIONAL")
# Sections 1 to 7 and 10. Fewer means that the run broke off.
EXPECTED_CASES = 247

with io.open(sys.argv[1], encoding="utf-8") as report:
    cases = json.load(report)["ws-echo"]

failed = [
    "  %s: %s, on closing %s" % (name, case["behavior"], case["behaviorClose"])
    for name, case in sorted(cases.items(), key=lambda item: [int(n) for n in item[0].split(".")])
    if case["behavior"] not in PASSED or case["behaviorClose"] not in PASSED
]
print("Autobahn: %d cases, %d failed" % (len(cases), len(failed)))
print("\n".join(failed), end="\n" if failed else "")
if len(cases) < EXPECTED_CASES:
    print("Autobahn: %d cases are missing" % (EXPECTED_CASES - len(cases)))
sys.exit(bool(failed) or len(cases) < EXPECTED_CASES)
