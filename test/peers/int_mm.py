# SPDX-License-Identifier: Apache-2.0
#
# torch._int_mm for the peers benchmark. Commands come as lines, "load" with two matrices of bytes after it; each is
# answered with a line of JSON. Everything is measured here, and nothing is answered before the process is at rest.
import json
import sys
import time


def say(**answer):
    print(json.dumps(answer), flush=True)


def rest():
    while True:
        before = time.process_time()
        time.sleep(0.002)
        if time.process_time() - before < 0.0002:
            return


def matrix(n):
    return torch.frombuffer(bytearray(sys.stdin.buffer.read(n * n)), dtype=torch.int8).view(n, n)


try:
    import torch

    torch._int_mm(torch.ones(32, 32, dtype=torch.int8), torch.ones(32, 32, dtype=torch.int8))
    say(version=torch.__version__, kernel=torch.backends.cpu.get_cpu_capability())
except Exception as e:
    say(error=f"{type(e).__name__}: {e}")
    sys.exit()

for line in sys.stdin.buffer:
    command, *args = line.split()
    args = [int(x) for x in args]
    if command == b"threads":
        torch.set_num_threads(args[0])
        say()
    elif command == b"load":
        a, b = matrix(args[0]), matrix(args[0])
        say()
    elif command == b"multiply":
        now = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
        began = now()
        for _ in range(args[0]):
            c = torch._int_mm(a, b)
        seconds = now() - began
        rest()
        say(seconds=seconds)
    elif command == b"row":
        say(row=c[args[0]].tolist())
