"""Which language a file is in, and the words by which other languages reach out. Pure.

Python is read as a syntax tree. For everything else a line is all there is: the shapes, the
characters and the text for reviewers are judged alike, reach by the words below, and a note
(`language-neutral`, which holds nothing) says that no more was done.
"""

import re
from collections.abc import Iterator, Sequence

from ouroboros.evaluation.screen.lines import Line
from ouroboros.evaluation.screen.marks import Finding
from ouroboros.vcs.values import Source

_BY_SUFFIX = {
    "Python": ("py", "pyi", "pyw"),
    "Cython": ("pyx", "pxd", "pxi"),
    "C or C++": ("c", "h", "cc", "cpp", "cxx", "hpp", "hh", "hxx", "inl", "m", "mm", "cu"),
    "JavaScript or TypeScript": ("js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx", "vue"),
    "Rust": ("rs",),
    "Go": ("go",),
    "Java or Kotlin": ("java", "kt", "kts", "scala", "groovy", "clj"),
    "C#": ("cs", "fs", "vb"),
    "Ruby": ("rb", "rake"),
    "PHP": ("php",),
    "Perl": ("pl", "pm"),
    "Lua": ("lua",),
    "Julia or R": ("jl", "r"),
    "Swift": ("swift",),
    "Haskell or OCaml": ("hs", "ml", "mli"),
    "Elixir or Erlang": ("ex", "exs", "erl"),
    "Zig or Nim": ("zig", "nim"),
    "shell": ("sh", "bash", "zsh", "fish", "ps1", "bat", "cmd"),
    "SQL": ("sql",),
    "assembly": ("s", "asm"),
}
_LANGUAGES = {suffix: name for name, suffixes in _BY_SUFFIX.items() for suffix in suffixes}
_SHEBANG = re.compile(rb"#![^\n]*?\b(python|bash|sh|zsh|node|perl|ruby|php)[\d.]*\b")

_REACH = re.compile(
    r"""(?x)
    \b(?:child_process|worker_threads|process\.(?:env|argv|exit|binding|hrtime)|performance\.now
      |Date\.now|new\s+(?:Function|Proxy|Worker|Date)|globalThis|__proto__|defineProperty
      |require\(\s*['"](?:node:)?(?:fs|net|http|https|vm|os|dns|tls|cluster|perf_hooks)\b
      |from\s+['"](?:node:)?(?:fs|net|http|https|vm|os|dns|tls|cluster|perf_hooks)\b)
    |\b(?:system|popen|fork|vfork|clone|exec[lv]p?e?|posix_spawn|socket|connect|dlopen|dlsym|ptrace
      |mmap|mprotect|signal|sigaction|atexit|on_exit|getenv|setenv|clock_gettime|gettimeofday
      |pthread_create|syscall|eval|exec|unlink|fopen|open|rename|kill|_exit|longjmp)\s*\(
    |\b(?:__asm__|asm\s+volatile|__attribute__\s*\(\(\s*constructor|LD_PRELOAD|rdtsc)
    |\bstd::(?:process|fs|net|env|time|thread|os)\b|\b(?:libc|winapi)::|\bunsafe\b|\bstatic\s+mut\b
    |\bextern\s+"C"|"(?:os|os/exec|net|net/http|syscall|unsafe|plugin|runtime|time|reflect)"
    |\btime\.(?:Now|Since|Sleep)\b|\bos\.(?:Getenv|Args|Exit|Open|Create|StartProcess)\b
    |\bgo\s+func\b|//go:linkname|\bfunc\s+init\s*\(
    |\b(?:ProcessBuilder|getRuntime|currentTimeMillis|nanoTime|getenv|setAccessible|Unsafe
      |ClassLoader|addShutdownHook|Runtime\.exec|DllImport|Process\.Start|Environment\.GetEnv\w*
      |Stopwatch|Thread|finalize)\b
    |\b(?:Kernel|Process|IO|File|ENV|ObjectSpace|TracePoint|at_exit|instance_eval|class_eval
      |define_method|shell_exec|passthru|proc_open|file_put_contents|curl_exec)\b
    |(?:^|[;&|`$(\s])(?:curl|wget|nc|ncat|ssh|scp|sudo|chmod|chown|nohup|setsid|crontab|kill|rm)\s
    |/dev/(?:tcp|udp)|/proc/|\bcimport\b|\bcdef\s+extern\b|\bnogil\b
    """
)


def language(path: str, content: bytes = b"") -> str:
    """Return the language of a source file; empty for prose, data and what is not known."""
    name = path.rpartition("/")[2]
    suffix = name.rpartition(".")[2].lower() if "." in name else ""
    found = _LANGUAGES.get(suffix, "")
    match = None if found else _SHEBANG.match(content[:200])
    if match:
        return {b"python": "Python", b"node": "JavaScript or TypeScript"}.get(match[1], "a script")
    return found


def is_source(path: str, content: bytes = b"") -> bool:
    """Whether the file is source text in a language that is known here."""
    return language(path, content) != ""


def is_python(path: str, content: bytes = b"") -> bool:
    """Whether the file is read as a Python syntax tree."""
    return language(path, content) == "Python"


def others(sources: Sequence[Source], lines: Sequence[Line]) -> Iterator[Finding]:
    """Judge source files of other languages by their new lines, and say so."""
    foreign = {}
    for source in sources:
        name = language(source.path, source.after or b"")
        if source.after is not None and name not in {"", "Python"}:
            foreign[source.path] = name
            yield Finding("language-neutral", source.path, detail=name)
    for line in lines:
        match = _REACH.search(line.text[:2000]) if line.path in foreign else None
        if match:
            yield Finding("new-reach", line.path, line.number, match[0].strip(), line.text)
