"""Which names of Python and its library reach out of a computation. Pure; tables only.

A list of what is harmless, not of what is dangerous, wherever that can be: a module of the standard
library that is not named here is a finding when it is newly imported.
"""

import sys


def words(text: str) -> frozenset[str]:
    """Return the words of a text; for long tables."""
    return frozenset(text.split())


PURE_MODULES = words(
    """
    __future__ abc array bisect calendar cmath collections colorsys contextlib
    copy csv dataclasses decimal difflib enum fractions functools graphlib heapq html
    itertools json keyword math numbers operator random re statistics string stringprep struct
    textwrap typing typing_extensions unicodedata
    """
)
"""Modules whose import is no finding."""

LIBRARY = sys.stdlib_module_names

HARMLESS = {
    "os": words(
        """
        path.join path.split path.splitext path.basename path.dirname path.normpath
        path.commonprefix path.sep path.isabs path.splitdrive path.normcase sep fspath linesep
        extsep curdir pardir altsep PathLike
        """
    ),
    "posixpath": words(
        """
        join split splitext basename dirname normpath sep
        """
    ),
    "sys": words(
        """
        intern maxsize maxunicode version_info byteorder float_info hash_info int_info getsizeof
        """
    ),
    "datetime": words(
        """
        timedelta datetime date time timezone tzinfo UTC MINYEAR MAXYEAR timezone.utc
        datetime.fromisoformat datetime.strptime datetime.combine datetime.min datetime.max
        date.fromisoformat date.fromordinal datetime.fromordinal date.min date.max timedelta.max
        """
    ),
    "io": frozenset({"StringIO", "BytesIO", "SEEK_SET", "SEEK_CUR", "SEEK_END"}),
    "logging": words(
        """
        getLogger Logger DEBUG INFO WARNING ERROR CRITICAL NullHandler debug info warning error
        critical exception log
        """
    ),
    "warnings": frozenset({"warn"}),
    "types": frozenset({"MappingProxyType", "NoneType", "EllipsisType"}),
    "pathlib": frozenset({"PurePath", "PurePosixPath", "PureWindowsPath", "Path"}),
    "urllib": words(
        """
        parse.unquote parse.unquote_plus parse.quote parse.quote_plus parse.urlsplit
        parse.urlparse parse.urlunsplit parse.urlunparse parse.parse_qs parse.parse_qsl
        parse.urlencode parse.urljoin parse.urldefrag parse.SplitResult parse.ParseResult
        parse.unquote_to_bytes
        """
    ),
    "asyncio": words(
        """
        gather sleep wait wait_for as_completed Queue Lock Event timeout Semaphore TaskGroup
        CancelledError TimeoutError Future Task
        """
    ),
    "codecs": frozenset({"BOM_UTF8", "BOM_UTF16_LE", "BOM_UTF16_BE"}),
}
"""Names of other modules that do not reach out, nor what is read of them."""

NOT_PURE = {
    "contextlib": frozenset({"redirect_stdout", "redirect_stderr", "chdir"}),
    "dataclasses": frozenset({"make_dataclass"}),
    "typing": frozenset({"get_type_hints", "ForwardRef"}),
    "string": frozenset({"Formatter"}),
    "random": frozenset({"SystemRandom", "seed", "setstate", "getstate"}),
    "functools": frozenset({"singledispatch", "singledispatchmethod"}),
    "json": frozenset({"load", "dump"}),
}
"""Names of the pure modules that do reach out, or that change what others see."""

IMPURE = LIBRARY - PURE_MODULES
"""The other modules of the standard library."""

REACHING = words(
    """
    os sys subprocess socket builtins ctypes cffi importlib atexit gc multiprocessing threading
    thread shutil pickle marshal mmap tempfile posix nt pathlib posixsubprocess runpy weakref
    copyreg linecache __main__
    """
)
"""Modules that are recognised also as an attribute of another one: `random._os`, `logging.sys`."""

TEST_TOOLS = words(
    """
    pytest _pytest pluggy hypothesis unittest nose mock coverage doctest timeit pyperf asv
    """
)

BUILTINS = words(
    """
    SystemExit KeyboardInterrupt GeneratorExit
    open eval exec compile __import__ globals vars locals input print breakpoint exit quit dir
    __builtins__ __loader__ __spec__ __file__ __path__ __cached__ __debug__ __build_class__
    copyright
    """
)
"""Built-in names whose every use is a finding."""

BY_NAME = frozenset({"getattr", "setattr", "delattr", "hasattr"})
"""Built-in names that are a finding unless they are called with a constant, ordinary name."""

FRAMES = words(
    """
    f_back f_locals f_globals f_builtins f_code f_trace f_lineno gi_frame gi_code gi_yieldfrom
    cr_frame cr_code cr_await ag_frame ag_code tb_frame tb_next tb_lasti co_code co_consts
    co_names co_filename _getframe _current_frames settrace setprofile func_globals
    """
)
DUNDERS = words(
    """
    __subclasses__ __globals__ __builtins__ __code__ __closure__ __dict__ __bases__ __base__
    __mro__ mro __getattribute__ __getattr__ __defaults__ __kwdefaults__ __self__ __func__
    __wrapped__ __loader__ __spec__ __import__ __reduce__ __reduce_ex__ __setattr__ __delattr__
    __traceback__ __context__ __cause__ __setstate__ __getstate__ __subclasshook__ __del__
    __init_subclass__ __set_name__ __prepare__ __instancecheck__ __file__ __subclasscheck__
    __build_class__ __annotations__ __slots__ __weakref__ __set__ __delete__ __get__ __cached__
    __path__ __call__
    """
)
"""Attributes by which code walks from a value to the interpreter."""

METHODS = words(
    """
    setLevel disable addHandler removeHandler basicConfig captureWarnings currentframe
    write_text write_bytes read_text read_bytes unlink rmdir mkdir touch chmod symlink_to
    hardlink_to iterdir rglob expanduser popen Popen system fork killpg _exit check_output
    check_call load_module exec_module import_module urlopen sendall connect gethostbyname
    getenv environ putenv start_new_thread register_at_fork perf_counter process_time
    perf_counter_ns monotonic monotonic_ns utcnow run_in_executor create_subprocess_exec
    create_subprocess_shell to_thread ensure_future now today open fdopen
    """
)
"""Methods that are a finding whatever they are called on."""

RESULT_OPERATORS = words(
    """
    eq ne lt le gt ge hash bool instancecheck subclasscheck class getattr getattribute setattr
    delattr reduce reduce_ex getstate del setstate getnewargs getnewargs_ex copy deepcopy
    init_subclass set_name subclasshook prepare new call get set delete str format bytes int
    float complex index length_hint missing dir sizeof class_getitem mro_entries fspath await
    aiter anext buffer release_buffer dict rich_repr coerce cmp nonzero abs round trunc divmod
    pow
    """
)
"""`__NAME__` methods by which an object answers for itself instead of being the plain value."""

MUTATORS = words(
    """
    append appendleft add update setdefault pop popleft popitem clear extend extendleft insert
    remove discard sort reverse rotate __setitem__ __delitem__ __iadd__ __ior__ move_to_end
    subtract difference_update intersection_update symmetric_difference_update send write
    __setattr__ __delattr__ put put_nowait set fromlist frombytes
    """
)

CHANGING_CALLS = words(
    """
    heappush heappop heapify heapreplace heappushpop insort insort_left insort_right setitem
    delitem iadd ior iand isub ixor iconcat shuffle next
    """
)
"""Functions of the library that change their first argument."""

CONTAINERS = words(
    """
    dict list set bytearray defaultdict OrderedDict deque Counter ChainMap UserDict UserList
    WeakValueDictionary WeakKeyDictionary WeakSet SimpleNamespace local array iter count cycle
    Queue LRUCache
    """
)
"""Calls that make something empty that can be filled later."""

CACHES = words(
    """
    cache lru_cache cached_property cachedmethod memoize memoized memoise memoised cached
    alru_cache ttl_cache lfu_cache
    """
)

IMPORT_CALLS = words(
    """
    re.compile re.escape struct.Struct struct.calcsize collections.namedtuple typing.TypeVar
    typing.ParamSpec typing.NewType typing.NamedTuple typing.cast typing.TypedDict
    typing.TypeVarTuple logging.getLogger operator.itemgetter operator.attrgetter
    operator.methodcaller enum.auto enum.Enum enum.IntEnum enum.Flag dataclasses.field
    dataclasses.dataclass string.Template functools.partial functools.cmp_to_key
    types.MappingProxyType fractions.Fraction decimal.Decimal datetime.timedelta
    datetime.datetime datetime.date sys.intern pathlib.PurePath pathlib.PurePosixPath
    textwrap.dedent typing_extensions.TypeVar datetime.time datetime.timezone
    """
)
"""Calls at import that only make a constant."""

IMPORT_BUILTINS = words(
    """
    object
    frozenset tuple set dict list sorted len range str int float bytes complex bool min max abs
    ord chr round zip enumerate property staticmethod classmethod super slice isinstance
    issubclass reversed divmod hash repr type
    """
)
BUILTIN_TYPES = frozenset(
    {"str", "bytes", "dict", "frozenset", "int", "float", "tuple", "bytearray"}
)

DECORATORS = words(
    """
    staticmethod classmethod property dataclass dataclasses.dataclass wraps abc.abstractmethod
    typing.overload typing.final typing.override typing.runtime_checkable typing.no_type_check
    functools.wraps contextlib.contextmanager typing_extensions.override enum.unique
    typing.dataclass_transform
    """
)
"""Decorators that leave what a function computes as it is."""

VALUE_TYPES = words(
    """
    str int float complex bool bytes bytearray list dict tuple set frozenset type object_
    UserDict UserList UserString defaultdict deque OrderedDict Counter ChainMap Mapping
    MutableMapping Sequence Set MutableSequence MutableSet Iterator Generator Collection Decimal
    Fraction ModuleType Number Integral Real ABCMeta EnumMeta date datetime timedelta array
    Hashable ByteString Buffer
    """
)
LAZY_CALLS = words(
    """
    map filter zip iter reversed enumerate memoryview range chain islice starmap groupby
    accumulate partial proxy count
    """
)
