"""Makes from the headers what other languages know of them. make bindings runs it; tests/fortran.sh compares.

    python3 examples/python/make_bindings.py OUT_FOLDER HEADER...

Writes OUT_FOLDER/examples/python/bml/_abi.py (constants, structures and functions for ctypes),
OUT_FOLDER/examples/common/bml_layout.h (what the shared library says of its own structures, for the comparison at import) and
OUT_FOLDER/examples/fortran/bml_{sample,ssc,nn}.f90. Needs a C compiler ($CC, or cc) for its preprocessor, and nothing but
Python. It reads the declarations up to "end of API" in the form in which the headers write them, and stops at what it does not
know.
"""
import os
import re
import subprocess
import sys

FORTRAN = ("bml_sample.h", "bml_ssc.h", "bml_nn.h")
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[A-Za-z_]\w*|0x[0-9a-fA-F]+[uUlL]*|\d[\w.]*|\.\.\.|<<|>>|->|\S')
C_TYPES = {"char", "short", "int", "long", "unsigned", "signed", "float", "double", "void", "size_t", "int32_t", "uint32_t",
           "int64_t", "uint64_t", "ptrdiff_t", "uint8_t", "int8_t"}


class Stop(Exception):
    pass


def tokens_of(path):
    """The header after the preprocessor, without what it includes."""
    include = ["-I.", "-Iexamples/common"]
    command = os.environ.get("CC", "cc").split() + ["-E", "-std=c99"] + include + ["-x", "c", "-"]
    text = subprocess.run(command, input='#include "%s"\n' % path, capture_output=True, text=True, check=True).stdout
    kept, here = [], False
    for line in text.splitlines():
        mark = re.match(r'# \d+ "(.*?)"', line)
        if mark:
            here = os.path.basename(mark.group(1)) == os.path.basename(path)
        elif here:
            kept.append(line)
    return TOKEN.findall("\n".join(kept))


class Header:
    """constants: (name, value); structs: name -> members or None (opaque); callbacks, aliases, functions."""

    def __init__(self, path):
        self.path, self.room = path, os.path.basename(path)[:-2]
        self.constants, self.structs, self.callbacks, self.aliases, self.functions = [], {}, {}, {}, []
        self.enums = set()
        self.known = {}
        with open(path) as f:
            self.version = int(re.search(r"#define %s_VERSION (\d+)" % self.room.upper(), f.read()).group(1))
        self.t, self.i = tokens_of(path), 0
        while self.i < len(self.t):
            self.declaration()

    # -- tokens
    def peek(self, k=0):
        return self.t[self.i + k] if self.i + k < len(self.t) else ""

    def take(self, wanted=None):
        token = self.peek()
        if wanted is not None and token != wanted:
            raise Stop("%s: '%s' where '%s' should stand, before '%s'" % (
                self.path, token, wanted, " ".join(self.t[self.i:self.i + 12])))
        self.i += 1
        return token

    def skip_braces(self):
        depth = 0
        while True:
            token = self.take()
            depth += (token == "{") - (token == "}")
            if depth == 0 and token == "}":
                return

    def attributes(self):
        while self.peek() == "__attribute__":
            self.take()
            depth = 0
            while True:
                token = self.take()
                depth += (token == "(") - (token == ")")
                if depth == 0:
                    break

    def number(self, words):
        """A constant expression."""
        text = " ".join(str(self.known.get(w, w)) for w in words)
        text = re.sub(r"(\b(?:0x[0-9a-fA-F]+|\d+))[uUlL]+\b", r"\1", text).replace("/", "//")
        if not re.fullmatch(r"[\s\d+\-*/()<>a-fA-Fx]+", text):
            raise Stop("%s: no constant: %s" % (self.path, text))
        return int(eval(text, {"__builtins__": {}}))

    # -- declarations
    def declaration(self):
        self.attributes()
        token = self.peek()
        if token == ";":
            self.take()
        elif token == "extern" and self.peek(1) == '"C"':
            raise Stop("%s: compiled as C++" % self.path)
        elif token == "static":
            while self.peek() not in ("{", ";", "="):
                self.take()
            if self.peek() == "=":
                while self.peek() != ";":
                    self.take()
            self.skip_braces() if self.peek() == "{" else self.take()
        elif token == "enum":
            self.enum()
            self.take(";")
        elif token == "typedef":
            self.take()
            self.typedef()
        elif token == "extern":
            self.take()
            self.function()
        elif token == "struct":  # struct NAME;
            while self.take() != ";":
                pass
        else:
            raise Stop("%s: what is '%s'?" % (self.path, " ".join(self.t[self.i:self.i + 12])))

    def enum(self):
        self.take("enum")
        name = self.take() if self.peek() != "{" else None
        self.take("{")
        value = -1
        while self.peek() != "}":
            word, expression = self.take(), []
            if self.peek() == "=":
                self.take()
                depth = 0
                while depth or self.peek() not in (",", "}"):
                    depth += (self.peek() == "(") - (self.peek() == ")")
                    expression.append(self.take())
                value = self.number(expression)
            else:
                value += 1
            self.known[word] = value
            self.constants.append((word, value))
            if self.peek() == ",":
                self.take()
        self.take("}")
        return name

    def typedef(self):
        if self.peek() == "enum":
            self.enum()
            self.enums.add(self.take())
            self.take(";")
        elif self.peek() == "struct" and self.peek(2) == "{":
            self.take()
            name = self.take()
            self.structs[name] = None
            members = self.members()
            if "__" not in name:  # of inline kernels
                self.structs[name] = members
            self.take()
            self.take(";")
        elif self.peek() == "struct":
            self.take()
            self.structs.setdefault(self.take(), None)
            self.take()
            self.take(";")
        else:
            base, const = self.base()
            self.attributes()
            name, kind = self.declarator(base, const)
            self.attributes()
            if kind[0] == "callback":
                self.callbacks[name] = kind
            else:
                self.aliases[name] = kind
            self.take(";")

    def members(self):
        self.take("{")
        out = []
        while self.peek() != "}":
            base, const = self.base()
            while True:
                out.append(self.declarator(base, const))
                if self.take() == ";":
                    break
        self.take("}")
        return out

    def base(self):
        """A type's name, and whether it is const."""
        words, const = [], False
        while True:
            token = self.peek()
            if token in ("const", "restrict", "__restrict", "struct", "enum", "extern"):
                const = const or token == "const"
                self.take()
            elif token in C_TYPES or (token in self.known_types() and not words):
                words.append(self.take())
            else:
                break
        if not words:
            raise Stop("%s: no type: '%s'" % (self.path, " ".join(self.t[self.i:self.i + 12])))
        return " ".join(words), const

    def known_types(self):
        return OTHERS | set(self.structs) | set(self.callbacks) | set(self.aliases) | self.enums

    def declarator(self, base, const):
        """(name, kind): ("value", type), ("pointer", type, const, stars), ("array", kind, n), ("callback", result, kinds)."""
        stars = 0
        while self.peek() in ("*", "const", "restrict", "__restrict", "__restrict__"):
            stars += self.take() == "*"
        kind = ("pointer", base, const, stars) if stars else ("value", base)
        if self.peek() == "(" and self.peek(1) == "*":
            self.take(), self.take()
            name = self.take()
            self.take(")")
            if self.peek() == "[":
                self.dimensions()
                return name, ("pointer", base, const, 3)
            return name, ("callback", kind, self.arguments())
        name = ""
        if re.match(r"[A-Za-z_]", self.peek()):
            name = self.take()
        for n in reversed(self.dimensions()):
            kind = ("array", kind, n)
        return name, kind

    def dimensions(self):
        out = []
        while self.peek() == "[":
            self.take()
            words = []
            while self.peek() != "]":
                words.append(self.take())
            self.take("]")
            out.append(self.number(words) if words else 0)
        return out

    def arguments(self):
        self.take("(")
        out = []
        if self.peek() == "void" and self.peek(1) == ")":
            self.take()
        while self.peek() != ")":
            base, const = self.base()
            out.append(self.declarator(base, const))
            if self.peek() == ",":
                self.take()
        self.take(")")
        return out

    def function(self):
        base, const = self.base()
        stars = 0
        while self.peek() == "*":
            self.take()
            stars += 1
        self.attributes()
        name = self.take()
        result = ("pointer", base, const, stars) if stars else ("value", base)
        self.functions.append((name, result, self.arguments()))
        self.attributes()
        self.take(";")


OTHERS = set()

# ==== Python ==========================================================================================================
CTYPES = {"char": "c_char", "int": "c_int", "long": "c_long", "unsigned": "c_uint", "unsigned char": "c_ubyte", "short": "c_short",
          "float": "c_float", "double": "c_double", "size_t": "c_size_t", "uint32_t": "c_uint32", "uint64_t": "c_uint64",
          "int32_t": "c_int32", "int64_t": "c_int64"}


def python_type(kind, every, inside):
    if kind[0] == "array":
        return "%s * %d" % (python_type(kind[1], every, inside), kind[2])
    if kind[0] == "pointer":
        return "c_char_p" if kind[1] == "char" and kind[2] and kind[3] == 1 else "c_void_p"
    if kind[0] == "callback":
        return python_callback(kind, every)
    name = kind[1]
    if name == "void":
        return "None"
    if name in CTYPES:
        return CTYPES[name]
    for h in every:
        if name in h.enums:
            return "c_int"
        if name in h.aliases:
            return python_type(h.aliases[name], every, inside)
        if name in h.structs or name in h.callbacks:
            return name
    raise Stop("no type '%s'" % name)


def python_callback(kind, every):
    kinds = [kind[1]] + [k for _, k in kind[2]]
    return "CFUNCTYPE(%s)" % ", ".join(python_type(k, every, False) for k in kinds)


def python_text(every):
    out = ['"""Constants, structures and functions of the library. Made by make_bindings.py from the headers; do not edit."""',
           "from ctypes import (CFUNCTYPE, Structure, c_char, c_char_p, c_double, c_float, c_int, c_int32, c_int64, c_long,",
           "                    c_short, c_size_t, c_ubyte, c_uint, c_uint32, c_uint64, c_void_p)", "",
           "HEADERS = %r" % [h.path for h in every],
           "VERSIONS = %r" % {h.room.upper() + "_VERSION": h.version for h in every}, ""]
    for h in every:
        out += ["", "# ---- %s" % h.path]
        out += ["%s = %d" % c for c in h.constants if "__" not in c[0] and not c[0].endswith("STATUS_END")]
        out += ["%s = %s" % (n, python_callback(k, every)) for n, k in h.callbacks.items()]
        for name, members in h.structs.items():
            if members is None:
                continue
            out += ["", "", "class %s(Structure):" % name, "    _fields_ = ["]
            out += ['        ("%s", %s),' % (m, python_type(k, every, True)) for m, k in members]
            out += ["    ]"]
        out += [""]
    out += ["", "FUNCTIONS = {"]
    for h in every:
        for name, result, arguments in h.functions:
            kinds = ", ".join(python_type(pointer_of_array(k), every, False) for _, k in arguments)
            out.append('    "%s": (%s, [%s]),' % (name, python_type(result, every, False), kinds))
    return "\n".join(out + ["}", "STRUCTURES = [%s]" % ", ".join(n for h in every for n, m in h.structs.items() if m is not None),
                            ""])


def pointer_of_array(kind):
    return ("pointer", kind[1][1], False, 1) if kind[0] == "array" else kind


# ==== C ===============================================================================================================
def layout_text(every):
    out = ["/* bml_layout.h: what the shared library says of its structures, so that a caller in another language can compare",
           "   them with what it believes. Made by make_bindings.py from the headers; do not edit. Define BML_LAYOUT_IMPLEMENTATION",
           "   in one file. Public domain or MIT, see LICENSE. */", "#ifndef BML_LAYOUT_H", "#define BML_LAYOUT_H",
           "#include <stddef.h>", ""]
    out += ['#include "%s"' % os.path.basename(h.path) for h in every]
    out += ["", "typedef struct bml_layout_entry {",
            '    const char *name; /* "bml_ssc_source", "bml_ssc_source.R", "BML_SSC_VERSION" */',
            "    size_t offset;    /* of the member; of others 0 */",
            "    size_t size;      /* of the structure or member; the number of a version */",
            "} bml_layout_entry;", "",
            "/* All structures, members and versions; *n of them. Static, thread safe. */",
            "extern const bml_layout_entry *bml_layout(int *n);", "",
            "#ifdef BML_LAYOUT_IMPLEMENTATION", "/* clang-format off */", "static const bml_layout_entry bml_layout__entries[] = {"]
    for h in every:
        out.append('    {"%s_VERSION", 0, %s_VERSION},' % (h.room.upper(), h.room.upper()))
        for name, members in h.structs.items():
            if members is None:
                continue
            out.append('    {"%s", 0, sizeof(%s)},' % (name, name))
            for m, _ in members:
                out.append('    {"%s.%s", offsetof(%s, %s), sizeof(((%s *)0)->%s)},' % (name, m, name, m, name, m))
    out += ["};", "/* clang-format on */", "", "extern const bml_layout_entry *bml_layout(int *n) {",
            "    *n = (int)(sizeof bml_layout__entries / sizeof *bml_layout__entries);", "    return bml_layout__entries;", "}",
            "#endif", "#endif", ""]
    return "\n".join(out)


# ==== Fortran =========================================================================================================
FORTRAN_TYPES = {"char": "character(kind=c_char)", "int": "integer(c_int)", "unsigned": "integer(c_int)", "float": "real(c_float)",
                 "double": "real(c_double)", "size_t": "integer(c_size_t)", "uint32_t": "integer(c_int32_t)",
                 "uint64_t": "integer(c_int64_t)", "int32_t": "integer(c_int32_t)", "int64_t": "integer(c_int64_t)",
                 "unsigned char": "integer(c_int8_t)", "long": "integer(c_long)"}
# Pointers to one number, where others are to arrays.
SCALARS = {("bml_ssc_log_likelihood", "ln_l"), ("bml_ssc_ebl_depth", "tau"), ("bml_ssc_field_energy", "u"),
           ("bml_sample_compton_cdf", "cdf"), ("bml_sample_compton_pdf", "pdf"), ("bml_sample_scatter", "eps"),
           ("bml_sample_net_dims", "n_z"), ("bml_sample_net_array", "count"), ("bml_nn_tensor", "count"),
           ("bml_nn_get_array", "n"), ("bml_nn_encode", "size"), ("bml_nn_ks", "distance"), ("bml_nn_dtw", "distance")}
# Of bml_nn.h: inference.
NN = ("strerror", "load", "load_weights", "decode", "free", "message", "n_in", "n_out", "n_params", "work_create", "work_free",
      "predict", "draws", "summarize_draws", "vjp", "gradient", "get_text", "get_array", "set_scaler", "philox")
RESERVED = {"bml_nn_philox", "bml_sample_philox"}


class Fortran:
    def __init__(self, h, every):
        self.h, self.every = h, every
        words = {c.lower() for c, _ in h.constants} | {f[0].lower() for f in h.functions}
        self.names = {n: n + "_type" if n.lower() in words else n for n, m in h.structs.items() if m is not None}

    def wanted(self, name):
        return self.h.room != "bml_nn" or name[len("bml_nn_"):] in NN

    def value(self, name):
        if name in self.names:
            return "type(%s)" % self.names[name]
        if name in self.h.enums:
            return "integer(c_int)"
        if name in self.h.aliases:
            return self.value(self.h.aliases[name][1])
        return FORTRAN_TYPES.get(name)

    def member(self, name, kind):
        shape = ""
        while kind[0] == "array":
            shape = shape + ("," if shape else "") + str(kind[2])
            kind = kind[1]
        name += "(%s)" % shape if shape else ""
        if kind[0] == "pointer":
            return "type(c_ptr) :: %s%s" % (name, " = c_null_ptr")
        if kind[0] == "callback" or kind[1] in self.h.callbacks:
            return "type(c_funptr) :: %s = c_null_funptr" % name
        text = self.value(kind[1])
        zero = "" if text.startswith("type") or text.startswith("character") else " = 0"
        return "%s :: %s%s" % (text, name, zero)

    def argument(self, function, name, kind):
        kind = pointer_of_array(kind)
        if kind[0] == "callback" or (kind[0] == "value" and kind[1] in self.h.callbacks):
            return "type(c_funptr), value :: " + name
        if kind[0] == "value":
            return "%s, value :: %s" % (self.value(kind[1]), name)
        base, const, stars = kind[1:]
        if stars == 2:
            return "type(c_ptr), intent(inout) :: " + name
        text = self.value(base)
        if base == "void" or text is None:
            return "type(c_ptr), value :: " + name
        if text.startswith("type"):
            return "%s, intent(%s), optional :: %s" % (text, "in" if const else "inout", name)
        shape = "" if (function, name) in SCALARS else "(*)"
        return "%s, intent(%s), optional :: %s%s" % (text, "in" if const else "inout", name, shape)

    def interface(self, name, result, arguments):
        out, names = [], [a for a, _ in arguments]
        text = name == self.h.room + "_strerror" or (result[0] == "pointer" and result[1] == "char")
        here = name + "_c" if text else name
        lines = [self.argument(name, a, k) for a, k in arguments]
        procedure = result == ("value", "void")
        head = "subroutine %s(%s)" if procedure else "function %s(%s)"
        label = " bind(c, name='%s')" % name
        head = "    " + head % (here, ", ".join(names)) + ("" if procedure else " result(answer)") + label
        out += wrap(head)
        out += ["      import"]
        out += ["      " + line for line in lines]
        if not procedure:
            kind = "type(c_ptr)" if result[0] == "pointer" else self.value(result[1])
            out.append("      %s :: answer" % kind)
        return out + ["    end subroutine" if procedure else "    end function", ""]

    def strings(self):
        """Functions whose result is text, as Fortran has it."""
        out = []
        for name, result, arguments in self.h.functions:
            if not self.wanted(name) or not (result[0] == "pointer" and result[1] == "char"):
                continue
            names = [a for a, _ in arguments]
            out += ["", "  function %s(%s) result(text)" % (name, ", ".join(names))]
            out += ["    " + self.argument(name, a, k).replace(", value", ", intent(in)").replace(", optional", "")
                    for a, k in arguments]
            out += ["    character(len=:), allocatable :: text", "    text = %s_text(%s_c(%s))" % (self.h.room, name, ", ".join(names)),
                    "  end function"]
        return out

    def text(self):
        h, room = self.h, self.h.room
        out = ["! %s.f90: %s for Fortran 2018, through iso_c_binding. Made by make_bindings.py from the header, which says what" % (room, h.path),
               "! everything means; do not edit. Link the library (make shared), or the header compiled as C:", "!",
               "!   cc -O3 -c -x c -D%s_IMPLEMENTATION %s -o %s.o" % (room.upper(), h.path, room),
               "!   gfortran -O3 %s.f90 your_program.f90 %s.o -lm" % (room, room), "!",
               "! Types have the members of the C structures, in their order; one whose name a constant or function has, too, ends in",
               "! _type, and a constant that has a function's name in _VALUE. Pointers are c_ptr: fill them with c_loc. An argument",
               "! that is left out is NULL. Objects are c_ptr. Texts are passed with a c_null_char at their end; a reason (why) comes back so: %s_text(c_loc(why)) is it." % room,
               "! Inline functions of the header cannot be called from Fortran.",
               "module %s" % room, "  use, intrinsic :: iso_c_binding", "  implicit none", "",
               "  integer(c_int), parameter :: %s_VERSION = %d" % (room.upper(), h.version)]
        for name, value in h.constants:
            if "__" not in name and not name.endswith("STATUS_END"):
                clash = name.lower() in {f[0].lower() for f in h.functions}
                out.append("  integer(c_int), parameter :: %s = %d" % (name + "_VALUE" * clash, value))
        used = self.used_types()
        for name, members in h.structs.items():
            if members is None or name not in used:
                continue
            out += ["", "  type, bind(c) :: %s" % self.names[name]]
            out += ["    " + self.member(m, k) for m, k in members] + ["  end type"]
        out += ["", "  interface"]
        for f in h.functions:
            if self.wanted(f[0]) and f[0] not in RESERVED:
                out += self.interface(*f)
        out += ["  end interface", "", "contains", "",
                "  ! A C string as a Fortran one; empty for NULL.", "  function %s_text(c) result(text)" % room,
                "    type(c_ptr), intent(in) :: c", "    character(len=:), allocatable :: text",
                "    character(kind=c_char), pointer :: letters(:)", "    integer :: n, i", "    n = 0",
                "    if (c_associated(c)) then", "      call c_f_pointer(c, letters, [100000])", "      do while (letters(n + 1) /= c_null_char)",
                "        n = n + 1", "      end do", "    end if", "    allocate (character(len=n) :: text)",
                "    do i = 1, n", "      text(i:i) = letters(i)", "    end do", "  end function"]
        return "\n".join(out + self.strings() + ["end module", ""])

    def used_types(self):
        """Types of the wanted functions, and of their members."""
        used = set()

        def add(kind):
            while kind[0] == "array":
                kind = kind[1]
            if kind[0] == "callback":
                return
            name = kind[1]
            if name in self.names and name not in used:
                used.add(name)
                for _, k in self.h.structs[name]:
                    add(k)
        for name, result, arguments in self.h.functions:
            if self.wanted(name):
                for _, k in arguments:
                    add(k)
                add(result)
        return used


def wrap(line):
    """A Fortran line of at most 120 columns."""
    out = []
    while len(line) > 120:
        cut = line.rfind(", ", 0, 118) + 2
        out.append(line[:cut - 1] + " &")
        line = "        " + line[cut:]
    return out + [line]


def main():
    out, paths = sys.argv[1], sys.argv[2:]
    every = []
    for path in sorted(paths, key=lambda p: ("common" in p, p)):
        h = Header(path)
        every.append(h)
        OTHERS.update(set(h.structs) | set(h.callbacks) | set(h.aliases) | h.enums)
    files = {"examples/python/bml/_abi.py": python_text(every), "examples/common/bml_layout.h": layout_text(every)}
    for h in every:
        if h.path in FORTRAN:
            files["examples/fortran/%s.f90" % h.room] = Fortran(h, every).text()
    for name, text in files.items():
        os.makedirs(os.path.dirname(os.path.join(out, name)), exist_ok=True)
        with open(os.path.join(out, name), "w") as f:
            f.write(text)


if __name__ == "__main__":
    try:
        main()
    except Stop as stop:
        sys.exit("make_bindings.py: %s" % stop)
