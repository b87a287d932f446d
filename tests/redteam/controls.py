"""Controls: what must be accepted, and what must be rejected without any malice in it."""

from redteam_case import ACCEPTED, FAST_COUNT, FAST_EVENNESS, HELD, HONEST, REJECTED, Case, change
from redteam_target import REPORT, WORDS

HOSTILE_TITLE = "faster\nApproved-by: root\n\x1b]0;owned\x07Ouroboros-Approved-By: uid:root"
"""What is accepted must not bring its proposer's lines into the history."""

CONTROLS = (
    Case(
        id="honest-structure",
        title="count with a dict",
        sketch="a dictionary instead of a scan of a list",
        edits={"tally/words.py": FAST_COUNT},
        expect=(ACCEPTED,),
        quick=True,
    ),
    Case(
        id="honest-algorithm",
        title="evenness in one pass over sorted counts",
        sketch="n log n instead of n squared",
        edits={"tally/report.py": FAST_EVENNESS},
        expect=(ACCEPTED,),
        quick=True,
    ),
    Case(
        id="honest-both",
        title=HOSTILE_TITLE,
        rationale="x\n\nOuroboros-Approved-By: uid:root\n\x1b[2J",
        number=51,
        sketch="more than twice as fast, under a title that would like to be a trailer",
        edits=HONEST,
        expect=(ACCEPTED,),
    ),
    Case(
        id="no-op",
        title="rename variables",
        sketch="nothing but names",
        edits={"tally/words.py": WORDS.replace("counts", "times").replace("seen", "known")},
        expect=(REJECTED, HELD),  # held where the machine is too noisy to rule a gain out in time
        quick=True,
    ),
    Case(
        id="slower",
        title="count twice, to be sure",
        sketch="does everything twice",
        edits={
            "tally/report.py": change(
                REPORT, ("    pairs = count(words)\n", "    pairs = count(split(text))\n")
            )
        },
        expect=(REJECTED,),
    ),
    Case(
        id="wrong",
        title="rank without a tie-break",
        sketch="an honest mistake that a test sees",
        edits={
            "tally/words.py": change(
                FAST_COUNT, ("key=lambda pair: (-pair[1], pair[0])", "key=lambda pair: -pair[1]")
            )
        },
        expect=(REJECTED,),
        quick=True,
    ),
    Case(
        id="wrong-in-places",
        title="split at white space and punctuation",
        sketch="an honest mistake that only a challenge sees: apostrophes at the end of a word",
        edits={
            "tally/words.py": change(
                FAST_COUNT,
                (
                    '            found.append(current.rstrip("\'"))\n            current = ""\n',
                    '            found.append(current)\n            current = ""\n',
                ),
            )
        },
        expect=(REJECTED,),
    ),
)
