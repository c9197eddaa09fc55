"""
The torture: `make torture` runs every attack in full, and prints what each found.

`python tests/torture 3 8` runs some rows; `TORTURE_SEED=7` repeats a run, and
`TORTURE_BRIEF=1` runs the part of each that `make test` does.
"""

import os
import secrets
import signal
import sys
import time

from row import Scale, find_rows


def main():
    # So that everything that was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    wanted = {int(word) for word in sys.argv[1:]}
    seed = int(os.environ.get("TORTURE_SEED") or secrets.randbelow(1_000_000))
    scale = Scale(is_full=not os.environ.get("TORTURE_BRIEF"), seed=seed)
    print(f"seed {seed}\n", flush=True)
    fallen = [
        row.number
        for row in find_rows()
        if not wanted or row.number in wanted
        if not _run(row, scale)
    ]
    print(f"short: {', '.join(map(str, fallen))}" if fallen else "all rows hold")
    sys.exit(bool(fallen))


def _run(row, scale):
    print(f"{row.number:2}  {row.attack}", flush=True)
    started = time.monotonic()
    findings = []
    for finding in row.run(scale):
        findings.append(finding)
        print(f"    {_verdict(finding):6}{finding.what}: {finding.figure}", flush=True)
    print(f"    in {time.monotonic() - started:.0f} s\n", flush=True)
    return all(finding.holds is not False for finding in findings)


def _verdict(finding):
    return {True: "holds", False: "SHORT", None: ""}[finding.holds]


if __name__ == "__main__":
    main()
