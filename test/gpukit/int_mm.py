# SPDX-License-Identifier: Apache-2.0
#
# Measures torch._int_mm, the int8 product of PyTorch, and prints one line of JSON. Without torch, or where torch
# has no such product on this machine, the line says why. Every product is compared with exact sums first.
import json
import time


def say(**answer):
    print(json.dumps(answer), flush=True)


def measure(torch, device, n, seconds):
    a = torch.randint(-128, 128, (n, n), dtype=torch.int8, device=device)
    b = torch.randint(-128, 128, (n, n), dtype=torch.int8, device=device).t().contiguous().t()
    c = torch._int_mm(a, b)
    row = (a[n // 2].cpu().to(torch.int64).unsqueeze(0) @ b.cpu().to(torch.int64)).squeeze(0)
    exact = bool((c[n // 2].cpu().to(torch.int64) == row).all())
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    times, wait_until = 1, time.perf_counter() + seconds
    best = 0.0
    while time.perf_counter() < wait_until:
        wait()
        began = time.perf_counter()
        for _ in range(times):
            torch._int_mm(a, b)
        wait()
        took = time.perf_counter() - began
        best = max(best, 2.0 * n * n * n * times / took / 1e12)
        if took < 0.1:
            times *= 2
    return {"shape": f"{n}x{n}x{n}", "tops": best, "exact": exact}


try:
    import torch

    cuda = torch.cuda.is_available()
    device = "cuda" if cuda else "cpu"
    name = torch.cuda.get_device_name(0) if cuda else torch.backends.cpu.get_cpu_capability()
    sizes = (1024, 4096, 8192) if cuda else (1024,)
    say(version=torch.__version__, device=name, int_mm=[measure(torch, device, n, 3.0) for n in sizes])
except Exception as e:
    say(why=f"{type(e).__name__}: {e}")
