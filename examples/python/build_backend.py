"""How pip makes the package (PEP 517), without setuptools: compiles the headers of the checkout into the library, puts it, the
models and the tables beside the modules, and packs the wheel.

    pip install ./examples/python           needs a C compiler ($CC, or cc) and pip 21.3 or newer, which builds in the checkout

$BML_CFLAGS in place of -O3 -march=native: for a wheel that is to run on other machines.
"""
import base64
import glob
import hashlib
import os
import re
import subprocess
import sysconfig
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", ".."))
CC = os.environ.get("CC", "cc").split()
DEPENDS = ("numpy",)


def version():
    with open(os.path.join(ROOT, "Makefile")) as f:
        return re.search(r"^VERSION = (\S+)", f.read(), re.M).group(1)


def works(*flags, text="int main(void) { return 0; }\n"):
    """Whether a small program compiles with these flags."""
    return subprocess.run(CC + list(flags) + ["-x", "c", "-", "-o", os.devnull], input=text, text=True,
                          capture_output=True).returncode == 0


def compile_library(folder):
    """folder/libbml.so.0 from the headers of the checkout."""
    headers = sorted(glob.glob(os.path.join(ROOT, "bml_*.h")) + glob.glob(os.path.join(ROOT, "examples", "common", "bml_*.h")))
    if not any(h.endswith("bml_ssc.h") for h in headers):
        raise SystemExit("bml: the headers are not at %s: install from the checkout, with pip 21.3 or newer" % ROOT)
    if not works():
        raise SystemExit("bml: '%s' compiles nothing; set CC" % " ".join(CC))
    flags = os.environ.get("BML_CFLAGS", "-O3 -march=native").split()
    flags = [f for f in flags if works(f)] + ["-std=c99", "-fPIC", "-fno-math-errno", "-fno-trapping-math"]
    flags += ["-fopenmp"] if works("-fopenmp", text="#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n") else []
    flags += ["-I" + ROOT, "-I" + os.path.join(ROOT, "examples", "common"), '-DBML_VERSION="%s"' % version()]
    libs = ["-lm"]
    if works("-lz", text="#include <zlib.h>\nint main(void) { return 0; }\n"):
        flags, libs = flags + ["-DBML_CLASSIFY_USE_ZLIB"], libs + ["-lz"]
    rooms = [os.path.basename(h)[:-2].upper() for h in headers]
    objects, jobs = [], []
    for header, room in zip(headers, rooms):
        name = os.path.join(folder, room.lower())
        with open(name + ".c", "w") as f:
            f.write('#define %s_IMPLEMENTATION\n#include "%s"\n' % (room, os.path.basename(header)))
        elsewhere = ["-D%s_IMPLEMENTED" % r for r in rooms if r != room]
        jobs.append(CC + flags + elsewhere + ["-c", name + ".c", "-o", name + ".o"])
        objects.append(name + ".o")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(run, jobs))
    with open(os.path.join(folder, "libbml.map"), "w") as f:
        f.write("BML_0 {\n  global: bml_*;\n  local: *;\n};\n")
    target = os.path.join(folder, "libbml.so.0")
    link = ["-shared", "-Wl,-soname,libbml.so.0", "-Wl,-z,defs", "-Wl,--version-script," + os.path.join(folder, "libbml.map")]
    run(CC + [f for f in flags if f == "-fopenmp"] + link + ["-o", target] + objects + libs)
    return target


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit("bml: %s\n%s" % (" ".join(command), done.stderr[-4000:]))


def metadata():
    lines = ["Metadata-Version: 2.1", "Name: bml", "Version: " + version(),
             "Summary: Physics and machine learning of blazars, from single-file C libraries", "Requires-Python: >=3.8"]
    return "\n".join(lines + ["Requires-Dist: " + d for d in DEPENDS]) + "\n"


def tag():
    return "py3-none-" + sysconfig.get_platform().replace("-", "_").replace(".", "_")


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = "bml-%s-%s.whl" % (version(), tag())
    info = "bml-%s.dist-info/" % version()
    with tempfile.TemporaryDirectory() as folder:
        files = {"bml/" + os.path.basename(p): p for p in glob.glob(os.path.join(HERE, "bml", "*.py"))}
        files["bml/libbml.so.0"] = compile_library(folder)
        for p in glob.glob(os.path.join(ROOT, "examples", "models", "*.safetensors")) + glob.glob(
                os.path.join(ROOT, "examples", "data", "ebl_*.csv")):
            files["bml/share/" + os.path.basename(p)] = p
        files[info + "LICENSE"] = os.path.join(ROOT, "LICENSE")
        texts = {info + "METADATA": metadata(),
                 info + "WHEEL": "Wheel-Version: 1.0\nGenerator: bml\nRoot-Is-Purelib: false\nTag: %s\n" % tag()}
        record = []
        with zipfile.ZipFile(os.path.join(wheel_directory, name), "w", zipfile.ZIP_DEFLATED) as z:
            def put(path, data):
                digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                record.append("%s,sha256=%s,%d" % (path, digest, len(data)))
                z.writestr(path, data)
            for path, source in sorted(files.items()):
                with open(source, "rb") as f:
                    put(path, f.read())
            for path, text in sorted(texts.items()):
                put(path, text.encode())
            z.writestr(info + "RECORD", "\n".join(record + [info + "RECORD,,"]) + "\n")
    return name


def build_sdist(sdist_directory, config_settings=None):
    raise SystemExit("bml: there is no source package: install from a checkout")
