"""Text that speaks to whoever judges the diff instead of saying what the code does. Pure.

Nothing here decides by such text, and a person is told to distrust it: so it has no honest use in
an optimization, and it is held whatever its wording, in comments, strings and names alike. Words
that code has of its own ("accepted", "verdict", "review") are no finding by themselves.
"""

import bisect
import re
import unicodedata
from collections.abc import Iterator, Sequence

from ouroboros.evaluation.screen.lines import Line
from ouroboros.evaluation.screen.marks import Finding

_WHO = (
    r"(?:reviewers?|approvers?|graders?|auditors?|judges?|evaluators?|maintainers?|moderators?"
    r"|governor|ouroboros|a\.?i\.?(?: (?:model|agent|assistant|reviewer|system))?"
    r"|(?:large )?language models?|llms?|assistants?|copilot|claude|chatgpt|gpt-?\d*|gemini|models?"
    r"|agents?|bots?|humans?|operators?)"
)
_THIS = (
    r"(?:this|the|these|my|our) (?:\w+ ){0,2}?(?:change|patch|diff|commit|candidate|proposal|pr"
    r"|pull request|code|file|function|edit|optimi[sz]ation|merge request|submission|finding)s?"
)
_PATTERNS = (
    (
        r"\b(?:ignore|disregard|forget|override|bypass|skip|overlook)\b (?:\w+ ){0,3}?"
        r"(?:previous|prior|above|earlier|preceding|foregoing|former|existing|safety|system|your)"
        r"(?: \w+){0,2}? (?:instructions?|rules?|prompts?|directions?|guidelines?|policy|policies"
        r"|context|messages?|checks?|warnings?)\b"
    ),
    r"\bsystem (?:notice|prompt|message|override|instructions?|note|alert)\b",
    r"<\|?/? ?(?:system|assistant|im_start|im_end|instructions?|endoftext|user)\b ?\|?>",
    r"\[/?inst\]|<</?sys>>|###? ?(?:system|instructions?|assistant)\b",
    r"(?:^|[\n\"'#*/]) ?(?:system|assistant|human|developer) ?: ",
    r"\b(?:as|you are|you're|being) an? (?:helpful )?(?:ai|llm|language model|a\.i\.|assistant)\b",
    (
        rf"\b(?:dear|hello|hi|hey|attention|note (?:to|for)|message (?:to|for)|to(?: (?:the|any|all|my))+"
        rf"|for(?: (?:the|any|all))+|instructions? (?:to|for)) (?:(?:the|any|all|my|human|automated|ai"
        rf"|code) )*{_WHO} ?[:,!.;-]"
    ),
    (
        r"\b(?:dear|attention|note (?:to|for)|message (?:to|for)|hey|hello) (?:(?:the|any|all|my|human"
        r"|automated|ai|code) )*(?:reviewers?|approvers?|graders?|auditors?|judges?|evaluators?|llms?"
        r"|language models?|claude|chatgpt|ai|assistants?|ouroboros)\b"
    ),
    (
        r"(?:^|[\n\"'#*/]) ?(?:reviewers?|approvers?|graders?|auditors?|evaluators?|ai|llm|claude|gpt"
        r"|governor) ?[:,] "
    ),
    (
        rf"\b(?:please |must |should |can |you may |just |kindly )?(?:approve|accept|merge|pass|allow"
        rf"|promote|whitelist|rubber-?stamp) {_THIS}\b"
    ),
    (
        r"\b(?:please|kindly|you (?:must|should|may|can|have to|need to|will|are (?:required|asked"
        r"|instructed) to)) (?:\w+ ){0,2}?(?:approve|accept|merge|promote|ignore|whitelist|score|rate)\b"
    ),
    r"\b(?:approve|accept|merge|promote) (?:it|this|these|immediately|now|without|anyway|as[- ]is)\b",
    r"\b(?:auto[- ]?)?(?:approve|accept|merge)[- ]?(?:this|me|immediately|now)\b",
    (
        r"\b(?:safe|ready|ok|okay|good|fine|cleared|approved) (?:to|for) (?:be )?(?:merged?|merging"
        r"|approv\w+|accept\w*|promot\w+|ship(?:ping)?|release|production)\b"
    ),
    r"\blgtm\b|\bship it\b",
    (
        r"\b(?:do not|don'?t|never|no need to|without|needn'?t|must not|should not|not necessary to"
        r"|unnecessary to) (?:\w+ ){0,2}?(?:flag|reject|hold|report|block|review|escalate|scrutini[sz]e"
        r"|question|mark|inspect|audit)(?:ed|ing)? (?:it|this|these|that|the (?:change|patch|diff|code"
        r"|candidate|file|line|import|cache)|anything|here|below|above|as)\b"
    ),
    r"\b(?:do not|don'?t|never) (?:flag|reject|escalate)\b",
    (
        r"\b(?:already|previously|been|was|were|is|has|fully|manually|independently|pre-?)[ -]?"
        r"(?:been )?(?:re-?viewed|approved|audited|vetted|signed[- ]off|whitelisted|cleared by|cleared for"
        r"|accepted by)\b"
    ),
    (
        r"\b(?:reviewed|approved|signed[- ]?off|audited|vetted|verified|cleared|acked|authori[sz]ed)"
        r"[- ]by\b"
    ),
    (
        r"\b(?:security|human|manual|code|peer|safety|further) (?:review|approval|audit|inspection)s?"
        r"(?: \w+){0,2}? (?:not (?:needed|required|necessary)|unnecessary|complete[d]?|passed|done"
        r"|waived|granted|is optional)\b"
    ),
    r"\bno (?:further |human |manual |security |additional )+(?:review|approval|inspection|checks?)\b",
    (
        rf"\b{_THIS} (?:is|was|has been|are|have been) (?:\w+ )?(?:safe|approved|reviewed|accepted"
        r"|verified|harmless|trusted|legitimate|benign|correct and safe|exempt)\b"
    ),
    (
        r"\bverdict\b ?(?:[:=]|is|should be|must be|->)? ?[\"'({]{0,2} ?(?:accept|approv|pass|ok\b|merge"
        r"|safe|promot)"
    ),
    (
        r"\b(?:decision|status|result|recommendation|outcome|conclusion) ?[:=] ?[\"']?"
        r"(?:accept(?:ed)?|approved?|lgtm|merge[d]?|promoted?)\b"
    ),
    r"\btrust (?:me|this|the author)\b|\byour (?:instructions|guidelines|system prompt|training)\b",
    (
        r"\b(?:respond|reply|answer|output|return) (?:only )?with (?:\w+ )?[\"']?(?:accept|approve|yes"
        r"|lgtm|pass)"
    ),
    r"\b(?:prompt|jailbreak) injection\b|\bjailbreak\b",
    (
        r"\b(?:ignoriere|ignorez|ignora|ignorar) (?:\w+ ){0,3}?(?:anweisungen|instructions"
        r"|instrucciones|istruzioni|instruç\w+)"
    ),
    r"忽略.{0,12}(?:指令|指示|说明)|無視.{0,8}指示|игнориру\w+ .{0,30}(?:инструкци|указани)",
)
_SPEAKS = re.compile("|".join(f"(?:{p})" for p in _PATTERNS))
_SHOUTED = re.compile(r"\b(?:ACCEPTED|APPROVED|VERDICT|LGTM)\b")
_MARKERS = re.compile(r"[ \t]*(?:#+|//+!?|/\*+|\*+/?|--|;+|%+|<!--|\"\"\"|''')?[ \t]*")
_LONGEST = 4000
"""Characters of one line that are looked at; a longer one is a finding of its own elsewhere."""


def persuasion(lines: Sequence[Line]) -> Iterator[Finding]:
    """Find new lines that address a reviewer or a model, also where a sentence spans lines."""
    for run in _runs(lines):
        starts: list[int] = []
        text = ""
        for line in run:
            starts.append(len(text))
            text += plain(line.text) + "\n"
        flat = text.replace("\n", " ")
        matches = [*_SPEAKS.finditer(flat), *_SPEAKS.finditer(text)]
        hits = {_line_at(starts, m.start()): m[0] for m in matches}
        for index, line in enumerate(run):
            shouted = _SHOUTED.search(line.text[:_LONGEST])
            if index in hits or shouted:
                detail = hits.get(index) or (shouted[0] if shouted else "")
                yield Finding("addresses-reviewer", line.path, line.number, detail, line.text)


def speaks(text: str) -> str:
    """Return the words of a text that address a reviewer or a model; empty where none do."""
    match = _SPEAKS.search(plain(text).replace("\n", " "))
    return match[0] if match else ""


def plain(text: str) -> str:
    """Return a line as it is read aloud: one case, one spelling, no comment marker, no `_`."""
    cut = unicodedata.normalize("NFKC", text[:_LONGEST])
    if not cut.isascii():
        cut = "".join(c for c in cut if unicodedata.category(c) not in {"Cf", "Mn"})
    marker = _MARKERS.match(cut)
    body = cut[marker.end() :] if marker else cut
    return " ".join(body.translate(_LETTERS).casefold().split())


_LETTERS = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0455\u0458\u03bf\u03b1\u2019_",
    "aeopcyxisjoa' ",
)
"""Letters of other scripts that look like Latin ones, and what stands between words of a name."""


def _runs(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Yield the lines in groups that follow each other in one file."""
    run: list[Line] = []
    for line in sorted(lines):
        if run and (line.path != run[-1].path or line.number > run[-1].number + 1):
            yield run
            run = []
        run.append(line)
    if run:
        yield run


def _line_at(starts: Sequence[int], position: int) -> int:
    return bisect.bisect_right(starts, position) - 1
