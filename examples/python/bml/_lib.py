"""Finds the library, compares its structures with ours, and turns statuses into exceptions."""
import ctypes
import os

import numpy as np

from . import _abi

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKOUT = os.path.normpath(os.path.join(HERE, "..", "..", ".."))


class Error(RuntimeError):
    """What a bml function refused: the header's own text. .status is its number, .room the header ("ssc", "nn", ...)."""

    def __init__(self, text, room="", status=0):
        super().__init__(text)
        self.room, self.status = room, status


class BadArgument(Error, ValueError):
    """An argument is missing, NaN, or out of range."""


class NoMemory(Error, MemoryError):
    """Out of memory."""


def _candidates():
    if os.environ.get("BML_LIBRARY"):
        return [os.environ["BML_LIBRARY"]]
    return [os.path.join(HERE, "libbml.so.0"), os.path.join(CHECKOUT, "build", "libbml.so.0"), "libbml.so.0"]


def _open():
    tried = []
    for path in _candidates():
        if os.path.isabs(path) and not os.path.exists(path):
            tried.append(path)
            continue
        try:
            return ctypes.CDLL(path), path
        except OSError as e:
            tried.append("%s (%s)" % (path, e))
    raise ImportError("bml: the library was not found; 'make shared' in the checkout, or 'pip install ./examples/python', makes "
                      "it. Tried: " + "; ".join(tried))


class _Entry(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("offset", ctypes.c_size_t), ("size", ctypes.c_size_t)]


def _differences(lib):
    """What the library's own table of its structures says against _abi.py: a list of names."""
    n = ctypes.c_int()
    lib.bml_layout.restype = ctypes.POINTER(_Entry)
    lib.bml_layout.argtypes = [ctypes.POINTER(ctypes.c_int)]
    table = lib.bml_layout(ctypes.byref(n))
    there = {table[i].name.decode(): (table[i].offset, table[i].size) for i in range(n.value)}
    wrong = []
    for name, version in _abi.VERSIONS.items():
        if there.get(name, (0, 0))[1] != version:
            wrong.append("%s is %d, not %d" % (name, there.get(name, (0, 0))[1], version))
    for c in _abi.STRUCTURES:
        if there.get(c.__name__, (0, 0))[1] != ctypes.sizeof(c):
            wrong.append("%s: %d bytes, not %d" % (c.__name__, there.get(c.__name__, (0, 0))[1], ctypes.sizeof(c)))
        for member, _ in c._fields_:
            ours = (getattr(c, member).offset, getattr(c, member).size)
            if there.get(c.__name__ + "." + member) != ours:
                wrong.append("%s.%s" % (c.__name__, member))
    return wrong


def _declare(lib):
    missing = []
    for name, (result, arguments) in _abi.FUNCTIONS.items():
        try:
            f = getattr(lib, name)
        except AttributeError:
            missing.append(name)
            continue
        f.restype, f.argtypes = result, arguments
    return missing


lib, library_path = _open()
if not hasattr(lib, "bml_layout"):
    raise ImportError("bml: %s is no library of this kind: it lacks bml_layout" % library_path)
_wrong = _differences(lib) or ["no function " + name for name in _declare(lib)]
if _wrong:
    raise ImportError("bml: %s does not fit this package (make shared, or install it again): %s%s" % (
        library_path, "; ".join(_wrong[:8]), "; ..." if len(_wrong) > 8 else ""))


class Why:
    """A buffer for a reason. `.buffer` goes to C as the last argument."""

    def __init__(self):
        self.buffer = ctypes.cast(ctypes.create_string_buffer(512), ctypes.c_void_p)

    @property
    def text(self):
        return ctypes.string_at(self.buffer).decode("utf-8", "replace")


def failure(room, status, reason=""):
    """The exception for a status."""
    text = getattr(lib, "bml_%s_strerror" % room)(status).decode()
    if reason:
        text = reason if status == -1 or room in ("sed", "onnx") else "%s: %s" % (text, reason)
    kind = {-1: BadArgument, -2: NoMemory}.get(status, Error)
    return kind(text, room, status)


def check(room, status, reason="", allow=()):
    """Raises for a status that is not OK nor in `allow`; returns it."""
    if status and status not in allow:
        raise failure(room, status, reason.text if isinstance(reason, Why) else reason)
    return status


def numbers(a, what="an array"):
    """A float64 array of anything that numpy takes for real numbers; text, complex numbers and None are refused."""
    out = np.asarray(a)
    if out.dtype.kind not in "biuf":
        raise BadArgument("%s: real numbers are needed, not %s" % (what, "None" if a is None else out.dtype))
    return out.astype(np.float64, copy=False)


def spread(a, n, what):
    """[n] of one number, or of n of them."""
    out = numbers(a, what)
    if out.shape not in ((), (1,), (n,)):
        raise BadArgument("%s has shape %s, where one number or %d are needed" % (what, out.shape, n))
    return np.ascontiguousarray(np.broadcast_to(out, n))


def whole(n, what, least=0):
    """A whole number, not below `least`."""
    try:
        out = int(n)
    except (TypeError, ValueError):
        out = None
    if out is None or out != n or out < least:
        raise BadArgument("%s = %r: must be a whole number, %d or more" % (what, n, least))
    return out


def doubles(a, *shape):
    """A C-contiguous float64 array of this shape; -1 in the shape: any."""
    return _array(a, np.float64, shape)


def floats(a, *shape):
    return _array(a, np.float32, shape)


def _array(a, dtype, shape):
    out = np.ascontiguousarray(numbers(a), dtype=dtype)
    if shape and (out.ndim != len(shape) or any(s not in (-1, n) for s, n in zip(shape, out.shape))):
        raise BadArgument("an array of shape %s, where %s is needed" % (out.shape, tuple("n" if s < 0 else s for s in shape)))
    return out


def pointer(a):
    """The address of an array's first number, or None."""
    return None if a is None else a.ctypes.data


def view(address, dtype, *shape):
    """A copy of numbers that C owns."""
    count = int(np.prod(shape))
    if not address or count == 0:
        return np.zeros(shape, dtype)
    size = count * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_char * size).from_address(address), dtype=dtype, count=count).reshape(shape).copy()


_CODES = {ctypes.c_double: "f8", ctypes.c_float: "f4", ctypes.c_int: "i4", ctypes.c_long: "i%d" % ctypes.sizeof(ctypes.c_long),
          ctypes.c_size_t: "u%d" % ctypes.sizeof(ctypes.c_size_t), ctypes.c_uint32: "u4", ctypes.c_uint64: "u8",
          ctypes.c_short: "i2", ctypes.c_ubyte: "u1"}


def record(structure):
    """The numpy dtype of a structure; pointers are integers."""
    names, formats, offsets = [], [], []
    for name, kind in structure._fields_:
        names.append(name)
        offsets.append(getattr(structure, name).offset)
        formats.append(_CODES.get(kind, "V%d" % ctypes.sizeof(kind) if issubclass(kind, (ctypes.Structure, ctypes.Array))
                                  else "u%d" % ctypes.sizeof(ctypes.c_void_p)))
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": ctypes.sizeof(structure)})


class Callback:
    """A Python function as C sees it: what it raises is kept, and raised again by `settle` when C has come back."""

    def __init__(self):
        self.error = None
        self.kept = []

    def keep(self, kind, f):
        """A C function that calls f; f's exceptions are kept, and it then returns `failed`."""
        def call(*arguments):
            if self.error is not None:
                return self.failed
            try:
                return f(*arguments)
            except BaseException as e:  # KeyboardInterrupt, too: it must pass through C
                self.error = e
                return self.failed
        made = kind(call)
        self.kept.append(made)
        return made

    failed = None

    def settle(self):
        if self.error is not None:
            error, self.error = self.error, None
            raise error


def share(name):
    """The path of a file that goes with the package: a model, or a table of the background light."""
    for folder in (os.path.join(HERE, "share"), os.path.join(CHECKOUT, "examples", "models"),
                   os.path.join(CHECKOUT, "examples", "data")):
        path = os.path.join(folder, name)
        if os.path.exists(path):
            return path
    return None


def threads(n):
    """n, or 0 for all."""
    if n is None:
        return 0
    return whole(n, "threads")


def choice(what, word, words):
    """The number of a word; a number goes through."""
    if isinstance(word, str):
        if word not in words:
            raise BadArgument("%s = '%s': must be one of %s" % (what, word, ", ".join(words)))
        return words.index(word) if isinstance(words, (list, tuple)) else words[word]
    if not isinstance(word, (int, np.integer)):
        raise BadArgument("%s = %r: must be one of %s" % (what, word, ", ".join(words)))
    return int(word)
