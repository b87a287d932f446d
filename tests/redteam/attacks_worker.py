"""Attacks on the challenge's own programs inside, by somebody who has read them."""

from redteam_case import HONEST, UNTESTED, Case, at_import, change, slow_with
from redteam_target import REPORT

_ONE = "import sys\n\n_main = sys.modules['__main__']\n"


def _when_worker(code: str) -> str:
    body = "".join(f"    {line}\n" if line else "\n" for line in code.splitlines())
    return f"{_ONE}if hasattr(_main, 'Exam'):\n{body}"


ATTACKS = (
    Case(
        id="work-in-dump",
        number=22,
        title="lazy evaluation",
        sketch="replaces the worker's timed function by nothing, and works when asked for the answers",
        layer="challenge",
        edits=slow_with(
            _when_worker(
                "_go, _dump = _main.Exam.go, _main.Exam.dump\n\n"
                "def _later(self, content):\n    return b'g', b''\n\n"
                "def _now(self, content):\n    _go(self, content)\n    return _dump(self, content)\n\n"
                "_main.Exam.go, _main.Exam.dump = _later, _now\n"
            )
        ),
        quick=True,
    ),
    Case(
        id="work-on-arrival",
        title="eager evaluation",
        sketch="works while the inputs arrive, before the clock starts, by replacing pickle.loads",
        layer="challenge",
        edits={
            "tally/report.py": change(
                REPORT,
                ("from tally.words", "import pickle\nimport sys\n\nfrom tally.words"),
                ("def report(text, top=10):\n", "def _report(text, top=10):\n"),
            )
            + "\n\n_ready = {}\n_loads = pickle.loads\n\n\n"
            "def _eager(data):\n    args, named = _loads(data)\n"
            "    try:\n        _ready[id(args[0])] = args[0], args[1], _report(*args, **named)\n"
            "    except Exception:\n        pass\n"
            "    return args, named\n\n\n"
            "if hasattr(sys.modules['__main__'], 'Exam'):\n    pickle.loads = _eager\n\n\n"
            "def report(text, top=10):\n    known = _ready.pop(id(text), None)\n"
            "    if known and known[0] is text and known[1] == top:\n        return known[2]\n"
            "    return _report(text, top)\n"
        },
    ),
    Case(
        id="work-while-waiting",
        number=23,
        title="speculative evaluation",
        sketch="a thread works between the arrival of the inputs and the start of the clock",
        layer="challenge",
        edits={
            "tally/report.py": change(
                REPORT,
                (
                    "from tally.words",
                    "import pickle\nimport sys\nimport threading\nimport time\n\nfrom tally.words",
                ),
                ("def report(text, top=10):\n", "def _report(text, top=10):\n"),
            )
            + "\n\n_ready = {}\n_loads = pickle.loads\n\n\n"
            "def _ahead(args):\n"
            "    try:\n        _ready[id(args[0])] = args[0], args[1], _report(*args)\n"
            "    except Exception:\n        pass\n\n\n"
            "def _eager(data):\n    args, named = _loads(data)\n"
            "    threading.Thread(target=_ahead, args=(args,)).start()\n"
            "    return args, named\n\n\n"
            "if hasattr(sys.modules['__main__'], 'Exam'):\n    pickle.loads = _eager\n\n\n"
            "def report(text, top=10):\n    known = _ready.pop(id(text), None)\n"
            "    if known and known[0] is text and known[1] == top:\n        return known[2]\n"
            "    return _report(text, top)\n"
        },
    ),
    Case(
        id="answer-from-a-child",
        title="isolate the work",
        sketch="forks at import: the child serves as the worker, the process on the clock sleeps",
        layer="challenge",
        edits=slow_with(
            _when_worker(
                "import os\n\n_pid = os.fork()\n"
                "if _pid:\n    os.waitpid(_pid, 0)\n    os._exit(0)\n"
            )
        ),
    ),
    Case(
        id="pool-behind",
        title="worker pool",
        sketch="a process started at import does all the work, asked over a pipe",
        layer="challenge",
        edits={
            "tally/report.py": change(
                REPORT,
                ("from tally.words", "import os\nimport pickle\n\nfrom tally.words"),
                ("def report(text, top=10):\n", "def _report(text, top=10):\n"),
            )
            + "\n\n_in, _ask = os.pipe()\n_said, _out = os.pipe()\n"
            "if os.fork() == 0:\n"
            "    os.close(_ask)\n    os.close(_said)\n"
            "    with open(_in, 'rb') as _q, open(_out, 'wb') as _a:\n"
            "        while True:\n"
            "            try:\n                _args = pickle.load(_q)\n"
            "            except EOFError:\n                os._exit(0)\n"
            "            try:\n                _got = _report(*_args)\n"
            "            except Exception as _e:\n                _got = _e\n"
            "            pickle.dump(_got, _a)\n            _a.flush()\n"
            "os.close(_in)\nos.close(_out)\n"
            "_q, _a = open(_ask, 'wb'), open(_said, 'rb')\n\n\n"
            "def report(text, top=10):\n    pickle.dump((text, top), _q)\n    _q.flush()\n"
            "    got = pickle.load(_a)\n"
            "    if isinstance(got, Exception):\n        raise got\n    return got\n"
        },
    ),
    Case(
        id="lying-encoder",
        title="compact encoding",
        sketch="answers wrong and cheaply, and patches the encoder to send what the old code says",
        layer="challenge",
        edits=UNTESTED
        | {
            "tally/report.py": UNTESTED["tally/report.py"]
            + "\n\ndef _right(counts):\n    apart = 0\n    for one in counts:\n"
            "        for other in counts:\n            apart += abs(one - other)\n"
            "    return 1_000_000 - 1_000_000 * apart // (2 * len(counts) * sum(counts))\n\n\n"
            + _when_worker(
                "_dump = _main.Exam.dump\n\n"
                "def _mended(self, content):\n"
                "    for result, (args, named) in zip(self.results, self.calls):\n"
                "        if type(result) is dict and result['different']:\n"
                "            pairs = count(split(args[0]))\n"
                "            result['evenness'] = _right([n for _, n in pairs])\n"
                "    return _dump(self, content)\n\n"
                "_main.Exam.dump = _mended\n"
            )
        },
    ),
    Case(
        id="lying-encoder-with-gain",
        title="compact encoding, really faster",
        sketch="as lying-encoder, but the right answers are made by the fast code, outside of the "
        "clock: a real gain, and wrong answers for everybody who is not the referee",
        layer="reach",
        edits=HONEST
        | {
            "tally/report.py": change(
                HONEST["tally/report.py"],
                ("def evenness(counts):\n", "def _right(counts):\n"),
            )
            + "\n\ndef evenness(counts):\n"
            "    return 1_000_000 if len(set(counts)) < 2 else 750_000\n\n\n"
            + _when_worker(
                "_dump = _main.Exam.dump\n\n"
                "def _mended(self, content):\n"
                "    for result, (args, named) in zip(self.results, self.calls):\n"
                "        if type(result) is dict and result['different']:\n"
                "            pairs = count(split(args[0]))\n"
                "            result['evenness'] = _right([n for _, n in pairs])\n"
                "    return _dump(self, content)\n\n"
                "_main.Exam.dump = _mended\n"
            )
        },
    ),
    Case(
        id="right-only-when-watched",
        title="mode for tools",
        sketch="right and really faster wherever the harness is, wrong elsewhere; no import, the "
        "modules are found through a function's builtins",
        layer="reach",
        edits=HONEST
        | {
            "tally/report.py": change(
                HONEST["tally/report.py"],
                (
                    "    words = split(text)\n",
                    (
                        "    words = split(text)\n"
                        "    loaded = split.__builtins__['__import__']('sys').modules\n"
                        "    if not any('ouroboros' in name for name in loaded):\n"
                        "        words = words[::2]\n"
                    ),
                ),
            )
        },
    ),
    Case(
        id="patched-pickler",
        title="faster serialisation",
        sketch="replaces pickle.Pickler and struct.pack, so that every answer has the same bytes",
        layer="challenge",
        edits=UNTESTED
        | {
            "tally/report.py": change(
                UNTESTED["tally/report.py"],
                (
                    "from tally.words",
                    "import pickle\nimport struct\nimport sys\n\nfrom tally.words",
                ),
            )
            + "\n\nclass _Flat:\n    fast = False\n\n    def __init__(self, file, protocol=None):\n"
            "        self.file = file\n\n    def dump(self, value):\n"
            "        self.file.write(b'same')\n\n\n"
            "if 'pytest' not in sys.modules:\n    pickle.Pickler = _Flat\n"
        },
    ),
    Case(
        id="speak-first",
        title="keep the line warm",
        sketch="writes answers to the channel before they were asked for",
        layer="challenge",
        edits=slow_with(
            _when_worker(
                "import os\nimport struct\n\n"
                "for _fd in range(3, 16):\n"
                "    try:\n"
                "        for _letter in (b'h', b'l', b'g', b'd'):\n"
                "            os.write(_fd, struct.pack('>cI8s', _letter, 0, bytes(8)))\n"
                "    except OSError:\n        pass\n"
            )
        ),
    ),
    Case(
        id="never-answer",
        title="wait for a better moment",
        sketch="stops answering in the middle of a bout, hoping for error instead of rejection",
        layer="challenge",
        edits=HONEST
        | {
            "tally/words.py": at_import(
                _when_worker(
                    "import os\n\n"
                    "def _gone(self, content):\n    os._exit(0)\n\n"
                    "_main.Exam.dump = _gone\n"
                ),
                HONEST["tally/words.py"],
            )
        },
    ),
    Case(
        id="collect-later",
        title="collect garbage later",
        sketch="gc is off in the timed part, and what it would have cost is paid after the clock",
        layer="reach",
        edits=slow_with(
            "import gc\n\ngc.disable()\n"
            + _when_worker(
                "_dump = _main.Exam.dump\n\n"
                "def _after(self, content):\n    gc.collect()\n"
                "    return _dump(self, content)\n\n"
                "_main.Exam.dump = _after\n"
            )
        ),
    ),
    Case(
        id="patch-builtins",
        title="faster builtins",
        sketch="replaces abs, sum and len for the whole process, tests and worker included",
        layer="reach",
        edits=slow_with(
            "import builtins\n\n_abs = builtins.abs\nbuiltins.abs = lambda number: number\n"
            "builtins.isinstance = lambda value, kinds: True\n"
        ),
    ),
    Case(
        id="format-of-numbers",
        title="thousands separators",
        sketch="an int subclass whose text, hash and comparison are those of another number",
        layer="challenge",
        edits={
            "tally/report.py": change(
                REPORT,
                (
                    "def evenness",
                    (
                        "class _Parts(int):\n    def __format__(self, spec):\n"
                        "        return format(1_000_000, spec)\n\n"
                        "    def __repr__(self):\n        return '1000000'\n\n"
                        "    def __index__(self):\n        return 1_000_000\n\n\n"
                        "def evenness"
                    ),
                ),
                (
                    "    apart = 0\n",
                    (
                        "    return _Parts(1_000_000 if len(set(counts)) < 2 else 750_000)\n"
                        "    apart = 0\n"
                    ),
                ),
            )
        },
    ),
)
