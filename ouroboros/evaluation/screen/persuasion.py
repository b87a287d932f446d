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
    r"(?:reviewers?|approvers?|graders?|auditors?|judges?|evaluators?|maintainers?"
    r"|moderators?|governor|ouroboros|a\.?i\.?(?: (?:model|agent|assistant|reviewer"
    r"|system))?|(?:large )?language models?|llms?|assistants?|copilot|claude|chatgpt"
    r"|gpt-?\d*|gemini|models?|agents?|bots?|humans?|operators?)"
)
_THIS = (
    r"(?:this|the|these|my|our) (?:\w+ ){0,2}?(?:change|patch|diff|commit|candidate"
    r"|proposal|pr|pull request|code|file|function|edit|optimi[sz]ation|merge request"
    r"|submission|finding)s?"
)
_PATTERNS = (
    (
        r"\b(?:ignore|disregard|forget|override|bypass|skip"
        r"|overlook)\b (?:\w+ ){0,3}?(?:previous|prior|above|earlier|preceding|foregoing"
        r"|former|existing|safety|system|your)(?: \w+){0,2}? (?:instructions?|rules?|prompts?"
        r"|directions?|guidelines?|policy|policies|context|messages?|checks?|warnings?)\b"
    ),
    r"\bsystem (?:notice|prompt|message|override|instructions?|note|alert)\b",
    r"<\|?/? ?(?:system|assistant|im[ _]start|im_end|instructions?|endoftext|user)\b ?\|?>",
    r"\[/?inst\]|<</?sys>>|###? ?(?:system|instructions?|assistant)\b",
    r"(?:^|[\n\"'#*/]) ?(?:system|assistant|human|developer) ?: ",
    (
        r"\b(?:as|you are|you're|being) an? (?:helpful )?(?:ai|llm|language model|a\.i\."
        r"|assistant)\b"
    ),
    (
        r"\b(?:dear|hello|hi|hey|attention|note (?:to|for)|message (?:to|for)|to(?: (?:the"
        r"|any|all|my))+|for(?: (?:the|any|all))+|instructions? (?:to|for)) (?:(?:the|any|all"
        r"|my|human|automated|ai|code) )*<WHO> ?[:,!.;-]"
    ),
    (
        r"\b(?:dear|attention|note (?:to|for)|message (?:to|for)|hey|hello) (?:(?:the|any|all"
        r"|my|human|automated|ai|code) )*(?:reviewers?|approvers?|graders?|auditors?|judges?"
        r"|evaluators?|llms?|language models?|claude|chatgpt|ai|assistants?|ouroboros)\b"
    ),
    (
        r"(?:^|[\n\"'#*/]) ?(?:reviewers?|approvers?|graders?|auditors?|evaluators?|ai|llm"
        r"|claude|gpt|governor) ?[:,] "
    ),
    (
        r"\b(?:please |must |should |can |you may |just |kindly )?(?:approve|accept|merge"
        r"|pass|allow|promote|whitelist|rubber-?stamp) <THIS>\b"
    ),
    (
        r"\b(?:please|kindly|you (?:must|should|may|can|have to|need to|will|are (?:required"
        r"|asked|instructed) to)) (?:\w+ ){0,2}?(?:approve|accept|merge|promote|ignore"
        r"|whitelist|score|rate)\b"
    ),
    (
        r"\b(?:approve|accept|merge|promote) (?:it|this|these|immediately|now|without|anyway"
        r"|as[- ]is)\b"
    ),
    r"\b(?:auto[- ]?)?(?:approve|accept|merge)[- ]?(?:this|me|immediately|now)\b",
    (
        r"\b(?:safe|ready|ok|okay|good|fine|cleared|approved) (?:to|for) (?:be )?(?:merged?"
        r"|merging|approv\w+|accept\w*|promot\w+|ship(?:ping)?|release|production)\b"
    ),
    r"\blgtm\b|\bship it\b",
    (
        r"\b(?:do not|don'?t|never|no need to|without|needn'?t|must not|should not"
        r"|not necessary to|unnecessary to) (?:\w+ ){0,2}?(?:flag|reject|hold|report|block"
        r"|review|escalate|scrutini[sz]e|question|mark|inspect|audit)(?:ed|ing)? (?:it|this"
        r"|these|that|the (?:change|patch|diff|code|candidate|file|line|import|cache)"
        r"|anything|here|below|above|as)\b"
    ),
    r"\b(?:do not|don'?t|never) (?:flag|reject|escalate)\b",
    (
        r"\b(?:already|previously|been|was|were|is|has|fully|manually|independently"
        r"|pre-?)[ -]?(?:been )?(?:re-?viewed|approved|audited|vetted|signed[- ]off"
        r"|whitelisted|cleared by|cleared for|accepted by)\b"
    ),
    (
        r"\b(?:reviewed|approved|signed[- ]?off|audited|vetted|verified|cleared|acked"
        r"|authori[sz]ed)[- ]by\b"
    ),
    (
        r"\b(?:security|human|manual|code|peer|safety|further) (?:review|approval|audit"
        r"|inspection)s?(?: \w+){0,2}? (?:not (?:needed|required|necessary)|unnecessary"
        r"|complete[d]?|passed|done|waived|granted|is optional)\b"
    ),
    (
        r"\bno (?:further |human |manual |security |additional )+(?:review|approval"
        r"|inspection|checks?)\b"
    ),
    (
        r"\b<THIS> (?:is|was|has been|are|have been) (?:\w+ )?(?:safe(?! to (?!merge|approve"
        r"|accept|promote))|approved|reviewed|accepted|verified|harmless|trusted|legitimate"
        r"|benign|correct and safe|exempt)\b"
    ),
    (
        r"\bverdict\b[\"']? ?(?:[:=]|is|should be|must be|->)? ?[\"'({]{0,2} ?(?:accept"
        r"|approv|pass|ok\b|merge|safe|promot)"
    ),
    (
        r"\b(?:(?:decision|recommendation|conclusion) ?[:=]|(?:status|result"
        r"|outcome) ?:) ?[\"']?(?:accept(?:ed)?|approved?|lgtm|merge[d]?|promoted?)\b"
    ),
    (
        r"\btrust (?:me|this|the author)\b|\byour (?:instructions|guidelines|system prompt"
        r"|training)\b"
    ),
    (
        r"\b(?:respond|reply|answer|output|return) (?:only )?with (?:\w+ )?[\"']?(?:accept"
        r"|approve|yes|lgtm|pass)"
    ),
    r"\b(?:prompt|jailbreak) injection\b|\bjailbreak\b",
    (
        r"\b(?:ignoriere|ignorez|ignora|ignorar) (?:\w+ ){0,3}?(?:anweisungen|instructions"
        r"|instrucciones|istruzioni|instruç\w+)"
    ),
    r"忽略.{0,12}(?:指令|指示|说明)|無視.{0,8}指示|игнориру\w+ .{0,30}(?:инструкци|указани)",
)
_SPEAKS = re.compile(
    "|".join(f"(?:{p})" for p in _PATTERNS)
    .replace("<WHO>", _WHO)
    .replace("<THIS>", _THIS)
    .replace(" ", r"\s")  # a sentence may go on in the next line
)
_PIECE = 16_000
_OVERLAP = 400
_SHOUTED = re.compile(r"\b(?:ACCEPTED|APPROVED|VERDICT|LGTM)\b")
_MARKERS = re.compile(r"[ \t]*(?:#+|//+!?|/\*+|\*+/?|--|;+|%+|<!--|\"\"\"|''')?[ \t]*")


def persuasion(lines: Sequence[Line]) -> Iterator[Finding]:
    """Find new lines that address a reviewer or a model, also where a sentence spans lines."""
    for run in _runs(lines):
        starts: list[int] = []
        text = ""
        for line in run:
            starts.append(len(text))
            words = plain(line.text)
            text += f"{words}\n" if words else ""
        hits = {_line_at(starts, m.start()): m[0] for m in _SPEAKS.finditer(text)}
        for index, line in enumerate(run):
            shouted = _SHOUTED.search(line.text)
            if index in hits or shouted:
                detail = hits.get(index) or (shouted[0] if shouted else "")
                yield Finding("addresses-reviewer", line.path, line.number, detail, line.text)


def speaks(text: str) -> str:
    """Return the words of a text that address a reviewer or a model; empty where none do."""
    for start in range(0, len(text), _PIECE - _OVERLAP):
        match = _SPEAKS.search(plain(text[start : start + _PIECE]))
        if match:
            return match[0]
    return ""


def plain(text: str) -> str:
    """Return a line as it is read aloud: one case, one spelling, no comment marker, no `_`."""
    cut = unicodedata.normalize("NFKC", text)
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
    """Yield the lines in groups that follow each other in one file, none of them very long.

    A search holds up the whole engine while it lasts, so that it gets a few pages at a time; two
    neighbouring groups share lines, for the sentence that lies across them.
    """
    run: list[Line] = []
    size = 0
    for line in (piece for whole in sorted(lines) for piece in _pieces(whole)):
        if run and (line.path != run[-1].path or line.number > run[-1].number + 1):
            yield run
            run, size = [], 0
        elif size > _PIECE:
            yield run
            run = run[-3:] if sum(len(one.text) for one in run[-3:]) < _PIECE else []
            size = sum(len(one.text) for one in run)
        run.append(line)
        size += len(line.text)
    if run:
        yield run


def _pieces(line: Line) -> Iterator[Line]:
    """Yield a line in pieces that overlap."""
    for start in range(0, max(1, len(line.text)), _PIECE - _OVERLAP):
        yield line._replace(text=line.text[start : start + _PIECE])


def _line_at(starts: Sequence[int], position: int) -> int:
    return bisect.bisect_right(starts, position) - 1
