#!/usr/bin/env python3
"""sass_slots.py [ARCH]: how many instructions a photon costs in the loops of bml_cuda.cu, counted from the machine code.

Compiles the Compton part of bml_cuda.cu by nvcc for one architecture (sm_90), disassembles it by nvdisasm, and prints for
each kernel "name slots, of which MUFU, IMAD.WIDE, loads and stores": the instructions of the loop that draws (that with
Philox's 20 wide products or more) over the four photons that it makes. A card issues one of them a cycle and quarter of a
multiprocessor at best. NVCC and NVDISASM name the programs; no card is needed."""
import collections
import os
import re
import subprocess
import sys
import tempfile


def functions(sass):
    """Name -> list of (label or None, opcode, text)."""
    found, name = collections.OrderedDict(), None
    for line in sass.splitlines():
        head = re.match(r'^\.text\.(\S+):', line)
        if head:
            name = head.group(1)
            found[name] = []
            continue
        label = re.match(r'^(\.L_x_\d+|\.L_\w+):', line)
        if label and name:
            found[name].append((label.group(1), None, ''))
        code = re.match(r'^\s+/\*[0-9a-f]+\*/\s+((?:@!?U?P\d+ )?)\s*([A-Z][\w.]*)(.*);', line)
        if code and name:
            found[name].append((None, code.group(2), code.group(3)))
    return found


def drawing_loop(body):
    """The smallest loop with 20 wide products: its opcodes."""
    place = {label: i for i, (label, op, _) in enumerate(body) if label}
    best = None
    for i, (_, op, text) in enumerate(body):
        target = re.search(r'\(?(\.L_\w+)', text) if op and op.startswith('BRA') else None
        if not target or place.get(target.group(1), i) >= i:
            continue
        loop = [o for _, o, _ in body[place[target.group(1)]:i + 1] if o]
        wide = sum(o.startswith(('IMAD.WIDE', 'UIMAD.WIDE')) for o in loop)
        if wide >= 16 and (best is None or len(loop) < len(best)):
            best = loop
    return best


def main():
    arch = sys.argv[1] if len(sys.argv) > 1 else 'sm_90'
    nvcc = os.environ.get('NVCC', 'nvcc')
    nvdisasm = os.environ.get('NVDISASM', 'nvdisasm')
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    text = open(os.path.join(here, 'bml_cuda.cu')).read()
    text = text[:text.index('/* >> SSC: tables')] + '#endif\n'
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, 'compton.cu')
        binary = os.path.join(folder, 'compton.cubin')
        open(source, 'w').write(text)
        subprocess.run([nvcc, '-O3', '-std=c++17', '-arch=' + arch, '-cubin', '-w', '-DBML_CUDA_IMPLEMENTATION',
                        '-DBML_CUDA_NO_TRAINING', '-I' + here, '-o', binary, source], check=True)
        sass = subprocess.run([nvdisasm, '-c', binary], check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout
    for name, body in functions(sass).items():
        loop = drawing_loop(body)
        if not loop:
            continue
        short = re.sub(r'^_Z\d+', '', name).split('14bml_cuda__draw')[0]
        kinds = [('MUFU', sum(o.startswith('MUFU') for o in loop)),
                 ('IMAD.WIDE', sum('IMAD.WIDE' in o for o in loop)),
                 ('loads, stores', sum(o.startswith(('LD', 'ST', 'ATOM', 'RED')) for o in loop))]
        print('%-44s %6.1f   %s' % (short, len(loop) / 4, ', '.join('%s %.1f' % (k, n / 4) for k, n in kinds)))


if __name__ == '__main__':
    main()
