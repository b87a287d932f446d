"""All transformations; a new one is a class with `name`, `prior` and `find`, and a row here."""

from ouroboros.proposers.codemod.accumulators import (
    InsertFront,
    ListConcat,
    SeenSet,
    StringJoin,
)
from ouroboros.proposers.codemod.caching import CacheResult
from ouroboros.proposers.codemod.copies import FlatDeepcopy, LoopCopy
from ouroboros.proposers.codemod.exits import AnyInsteadOfList, EarlyBreak
from ouroboros.proposers.codemod.grouping import SetdefaultAppend
from ouroboros.proposers.codemod.hoisting import CountOnce, InvariantCall, SelfAttribute
from ouroboros.proposers.codemod.membership import (
    ConstantMembership,
    CopyMembership,
    LiteralMembership,
    LocalMembership,
)
from ouroboros.proposers.codemod.queues import DequeQueue
from ouroboros.proposers.codemod.regexes import HoistRegex
from ouroboros.proposers.codemod.transformation import Transformation

TRANSFORMATIONS: tuple[Transformation, ...] = (
    SeenSet(),
    ListConcat(),
    FlatDeepcopy(),
    InvariantCall(),
    LocalMembership(),
    CountOnce(),
    InsertFront(),
    DequeQueue(),
    EarlyBreak(),
    CopyMembership(),
    AnyInsteadOfList(),
    ConstantMembership(),
    HoistRegex(),
    LiteralMembership(),
    LoopCopy(),
    StringJoin(),
    SetdefaultAppend(),
    CacheResult(),
    SelfAttribute(),
)
