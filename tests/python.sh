#!/bin/bash
# python.sh: the Python package with the system's python3 and numpy, against the C programs. Prints like a test program.
for python in python3 /usr/bin/python3; do
    $python -c 'import numpy' 2>/dev/null && break
    python=
done
[ -n "$python" ] || { echo "skip  no python3 with numpy here (Debian: python3-numpy)"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }
if ! ${MAKE:-make} --no-print-directory build/libbml.so build/hello_ssc build/fit_sed >/dev/null; then
    echo "FAIL  the shared library does not compile"
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
fi
export BML_LIBRARY=$PWD/build/libbml.so.0 PYTHONPATH=$PWD/examples/python PYTHONDONTWRITEBYTECODE=1
exec $python tests/python_api.py "$@"
