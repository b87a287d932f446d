"""Challenges: baseline and candidate answer the same secret, fresh inputs, and we hold the clock.

A test can be forged by code that knows the test runner, a benchmark by code that remembers its
input. Here neither helps. The inputs are drawn anew for each round from the system's randomness, by
a process that has none of the candidate's code; the expected results are made by the baseline and
never enter the candidate's process; what comes back is compared here, in type and bytes; and the
time is that of the very calls whose results are compared, stamped outside.

    examiner (baseline's tree, no candidate code): seed -> inputs, opaque bytes
      referee, a thread of the engine: load -> go (timed) -> dump, on one side after the other
        worker of the baseline            worker of the candidate
      bytes equal? -> one pair of samples for the governor's sequential test

`frames` and `peer` talk with one sandboxed process, `examiner` has inputs made, `referee` holds one
bout, `bout` starts its processes and says whose fault it is when they break, `function` and
`program` are the two kinds of contestants.
"""
