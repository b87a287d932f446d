"""Makes the inputs of a challenge, from a seed; runs on the baseline's tree, with none of the
candidate's code in sight.

Usage: `_ouroboros_inputs.py KIND CALL FILE.py:function`, asked over the channel. KIND is `call` or
`command`; without the last word, inputs are drawn from the annotations of CALL with hypothesis.
Question `I` is a JSON object of `seed` and `count`; the answer `i` holds, as parts, how many inputs
repeat an earlier one, and then each input: a pickle of arguments, or JSON of a command's arguments
and standard input.
"""
# ruff: noqa: PTH109, PTH110, PTH118, BLE001, D205, RUF005, TRY301 - the target's interpreter, old and quick to start; whatever a generator raises is told

import base64
import hashlib
import importlib.util
import inspect
import json
import os
import pickle
import random
import sys
import typing
import warnings
from typing import Any

from _ouroboros_frames import Channel, join  # type: ignore[import-not-found] # beside this file, inside
from _ouroboros_worker import failure, find, open_path  # type: ignore[import-not-found] # the same

_TRIES = 20
_EMPTY = inspect.Parameter.empty


class Refusal(Exception):  # noqa: N818 - it is told to a person, and no error of ours
    """Something that the user must change."""


def by_generator(name: str, kind: str) -> Any:
    """Return a maker of inputs that asks a function of the tree."""
    generate = _function(name)

    def make(seed: Any, count: Any) -> Any:
        rng = random.Random(seed)  # noqa: S311 - the seed is secret, and a generator wants a Random
        for _ in range(count * _TRIES):
            yield _packed(generate(rng), kind, name)

    return make


def _function(name: str) -> Any:
    file, _, function = name.partition(":")
    path = os.path.join(os.getcwd(), file)
    if not os.path.exists(path):
        raise Refusal("There is no file %s in the target." % file)  # noqa: UP031 - old interpreters
    # Under the name by which the worker can import it, for inputs of classes that it defines.
    module = file[: -len(".py")].replace("/", ".")
    spec = importlib.util.spec_from_file_location(module, path)
    assert spec is not None  # noqa: S101 - the file exists and ends in .py
    assert spec.loader is not None  # noqa: S101 - the same
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[module] = loaded
    spec.loader.exec_module(loaded)
    return getattr(loaded, function)


def _packed(value: Any, kind: str, name: str) -> bytes:
    if kind == "command":
        good = isinstance(value, tuple) and len(value) == 2  # noqa: PLR2004 - arguments and input
        if not good or not isinstance(value[1], bytes) or not isinstance(value[0], (list, tuple)):
            text = "%s must return a tuple of a list of arguments and the bytes of standard input."
            raise Refusal(text % name)
        arguments = [str(argument) for argument in value[0]]
        stdin = base64.b64encode(value[1]).decode()
        return json.dumps({"arguments": arguments, "stdin": stdin}).encode()
    if not isinstance(value, (tuple, dict)):
        text = (
            "%s must return the arguments of one call as a tuple, not %s; one argument is `(x,)`."
        )
        raise Refusal(text % (name, type(value).__name__))
    args, kwargs = (value, {}) if isinstance(value, tuple) else ((), value)
    return pickle.dumps((tuple(args), dict(kwargs)), 4)


def by_annotations(call: str) -> Any:
    """Return a maker of inputs that draws from the types of a function's parameters."""
    try:
        import hypothesis
        from hypothesis import strategies
    except ImportError:
        text = (
            "hypothesis is not installed in the target's environment, and without it no inputs "
            "can be drawn from annotations: install it there, or name a generator as inputs."
        )
        raise Refusal(text) from None
    whole = _strategy(call, strategies)

    def make(seed: Any, count: Any) -> Any:
        drawn: Any = []

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=2 * count + 5,
            phases=[hypothesis.Phase.generate],
            database=None,
            deadline=None,
            derandomize=False,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(whole)
        def draw(value: Any) -> None:
            drawn.append(pickle.dumps(value, 4))

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            draw()
        # It begins with the simplest; a challenge wants those no more than the others.
        random.Random(seed).shuffle(drawn)  # noqa: S311 - the seed is secret
        return drawn

    return make


def _strategy(call: str, strategies: Any) -> Any:
    function = find(call)
    first: Any = ()
    path = call.partition(":")[2]
    if "." in path and inspect.isfunction(function):
        owner = find(call.rpartition(".")[0])
        if not isinstance(vars(owner).get(path.rpartition(".")[2]), staticmethod):
            first = (strategies.from_type(owner),)
    hints = typing.get_type_hints(function)
    positional: Any = list(first)
    named = {}
    parameters = list(inspect.signature(function).parameters.values())[len(first) :]
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.name not in hints:
            if parameter.default is not _EMPTY:
                break
            text = (
                "The parameter %r of %s has no annotation, so that no inputs can be drawn for it: "
                "annotate it, or name a generator as inputs."
            )
            raise Refusal(text % (parameter.name, call))
        strategy = strategies.from_type(hints[parameter.name])
        if parameter.kind is parameter.KEYWORD_ONLY:
            named[parameter.name] = strategy
        else:
            positional.append(strategy)
    return strategies.tuples(strategies.tuples(*positional), strategies.fixed_dictionaries(named))


def choose(inputs: Any, count: int, seen: Any) -> Any:
    """Return `count` inputs, new ones as far as there are, and how many are not."""
    fresh: Any = []
    again: Any = []
    for data in inputs:
        digest = hashlib.sha256(data).digest()
        if digest in seen:
            again.append(data)
        else:
            seen.add(digest)
            fresh.append(data)
        if len(fresh) == count:
            break
    missing = count - len(fresh)
    if missing and not (fresh or again):
        raise Refusal("The generator made no input at all.")
    pool = again or fresh
    return fresh + [pool[i % len(pool)] for i in range(missing)], missing


def main() -> None:
    """Find the generator, and serve."""
    kind, call, name = sys.argv[1:4]
    channel = Channel(int(os.environ.pop("OUROBOROS_RESULT_FD")))
    sys.argv[1:] = []
    open_path()
    make: Any = None
    problem: Any = None
    try:
        make = by_generator(name, kind) if name else by_annotations(call)
    except BaseException as found:
        problem = found
    seen: Any = set()
    while True:
        question = channel.ask()
        if question is None:
            return
        try:
            if problem is not None:
                raise problem
            wanted = json.loads(question[1])
            inputs = make(int(wanted["seed"], 16), wanted["count"])
            chosen, repeated = choose(inputs, wanted["count"], seen)
            channel.answer(b"i", join([b"%d" % repeated] + chosen))
        except Refusal as refusal:
            channel.answer(b"e", str(refusal).encode("utf-8", "replace"))
        except BaseException as found:
            channel.answer(b"e", failure(found))


if __name__ == "__main__":
    main()
