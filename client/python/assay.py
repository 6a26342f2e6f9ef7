#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A verifier of Assay in one file, written from docs/spec alone; Python 3.10 is all it needs.

    python3 assay.py vectors [--full] DIR|FILE...     check this file against the published vectors
    python3 assay.py verify [--trust BLOCKHASH] [--full] FILE...     check documents, offline

Comments name the rules of docs/spec. Large computations work on lanes: one Python integer holds a
number of each of n places at a fixed distance, so that one addition or product acts on all n.
"""
import hashlib
import json
import math
import os
import re
import struct
import sys
import time
from fractions import Fraction
from functools import lru_cache

MAX_LEAVES = 2**48 - 1  # C-1
ONE = 2**64 - 1  # 1 as a fraction in units of 2^-64

class Refused(Exception):
    """What a rule refuses: `kind` is the vectors' word for it, the message a sentence."""

    def __init__(self, kind, why):
        super().__init__(why)
        self.kind = kind

class Costly(Exception):
    """A recomputation that is not done unasked (F-20)."""

def need(holds, kind, why):
    if not holds:
        raise Refused(kind, why)

# Seeds, messages, streams: W-3 to W-7, C-10

def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()

def message(tag, *fields):
    """spec C-10: tag and fields, each behind its length; integers are LE64, a shape is three."""
    out = b""
    for field in (tag, *fields):
        for v in field if isinstance(field, tuple) else (field,):
            v = v.encode() if isinstance(v, str) else v
            v = v.to_bytes(8, "little") if isinstance(v, int) else v
            out += len(v).to_bytes(4, "little") + v
    return out

def derive(name, *parts):  # W-3: the named seed of W-4
    return sha256(message("assay/1/" + name, *parts))

def spread(n, value, bits=64):  # n lanes that all hold the value
    return int.from_bytes(value.to_bytes(bits // 8, "little") * n, "little")

QUARTERS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
            (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))

def blocks(key, places):
    """The ChaCha8 blocks at a list of (counter, nonce), joined (W-6); lane p is of block p."""
    if len(places) > 2048:  # as many as stay in a processor's cache
        return b"".join(blocks(key, places[i : i + 2048]) for i in range(0, len(places), 2048))
    n, mask = len(places), spread(len(places), 2**32 - 1)
    start = [spread(n, w) for w in struct.unpack("<12I", b"expand 32-byte k" + key)]
    for which, half in ((0, 0), (0, 32), (1, 0), (1, 32)):
        words = [p[which] >> half & 0xFFFFFFFF for p in places]
        start.append(int.from_bytes(struct.pack(f"<{n}Q", *words), "little"))
    x = list(start)
    for _ in range(4):
        for a, b, c, d in QUARTERS:
            for i, j, k, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                x[i] = (x[i] + x[j]) & mask
                w = x[k] ^ x[i]
                x[k] = ((w << turn) | (w >> (32 - turn))) & mask
    out = bytearray(64 * n)
    for i in range(16):
        word = ((x[i] + start[i]) & mask).to_bytes(8 * n, "little")
        for j in range(4):
            out[4 * i + j :: 64] = word[j::8]
    return bytes(out)

def stream(key, nonce, offset, length):  # `length` bytes of stream (key, nonce) from `offset` on
    first, end = offset // 64, -(-(offset + length) // 64)
    return blocks(key, [(c, nonce) for c in range(first, end)])[offset - 64 * first :][:length]

def condense(elements, position):  # W-7: 64 int32 results, the first at `position`, to a word
    word = 0
    for p, c in enumerate(elements, position):
        h = (c + p * 0x9E3779B9) & 0xFFFFFFFF
        h = (h ^ h >> 16) * 0x85EBCA6B & 0xFFFFFFFF
        h = (h ^ h >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
        word += h ^ h >> 16
    return word & 0xFFFFFFFF

# transformer/1: W-9 to W-17

CLASSES = {"nano": (1, 256, 4, 7), "small": (2, 1024, 8, 7),  # id, d, layers, gate shift
           "base": (3, 2048, 16, 6), "large": (4, 4096, 32, 7)}
POWERS = [round(65535 * 2 ** (-i / 256)) for i in range(256)]  # T of W-15, with its hash
POWERS_HASH = "e9b52e382473980ceff474030fed00b7f37aaf629884652565575d696aaded9d"
OFFSET = bytes(b ^ 128 for b in range(256))  # int8 + 128
WEIGHT = bytes(128 if b == 128 else b ^ 128 for b in range(256))  # with -128 read as 0 (W-10)

def clamp(x, c):
    return min(max(x, -c), c)

def rsh(x, s):
    return (x + (1 << (s - 1))) >> s

def recip(r):  # W-13: a reciprocal and its exponent
    e = r.bit_length()
    return min((1 << (30 + e)) // r, 2**31 - 1), e

def rq(x, inv, s):
    return clamp(rsh(x * inv, s), 127)

def shift(k):  # W-9: the shift of a product over k inputs, a power of two
    return 6 + k.bit_length() // 2

def product(weights, vectors):
    """W x for each vector x, of weights as int8 + 128, row by row. Lane r of 32 bits is of row r;
    2^31 a lane keeps sums positive, 128 * sum of x comes off (255 * 128 * 2^16 < 2^31)."""
    cols = len(vectors[0])
    rows = len(weights) // cols
    sums, column, results = [0] * len(vectors), bytearray(4 * rows), []
    for c in range(cols):
        column[::4] = weights[c::cols]
        packed = int.from_bytes(column, "little")
        for t, x in enumerate(vectors):
            sums[t] += packed * x[c]
    for s, x in zip(sums, vectors):
        lanes = (s + spread(rows, 2**31, 32)).to_bytes(4 * rows, "little")
        less = 2**31 + 128 * sum(x)
        results.append([v - less for v in struct.unpack(f"<{rows}I", lanes)])
    return results

def norm(h):  # W-13, for one position
    r = max(1, math.isqrt(sum(v * v for v in h) >> (len(h).bit_length() - 1) << 16))
    inv, e = recip(r)
    return [rq(v, inv, 17 + e) for v in h]

def requant(a, k):  # W-14, for one position, as the next
    s = shift(k)
    return [rq(v, 1, s) for v in a]

def residual(h, a, k):
    s = shift(k) - 9
    return [clamp(v + rsh(w, s), 2**23 - 1) for v, w in zip(h, a)]

def gate(g, u, s):  # W-16, for one position
    return [rq(max(a, 4 * a), b, s) for a, b in zip(g, u)]

def dot(a, b):
    return sum(map(int.__mul__, a, b))

def exponential(z):  # E of W-15
    n = min(z >> 4, 4095)
    return POWERS[n % 256] >> (n // 256)

def attend(q, k, v):  # W-15, for all positions
    out = [[] for _ in q]
    for n in range(0, len(q[0]), 64):
        qs, ks, vs = ([row[n : n + 64] for row in rows] for rows in (q, k, v))
        for i in range(len(q)):
            logits = [dot(qs[i], ks[j]) for j in range(i + 1)]
            m = max(0, *logits)
            w = [exponential(m - a) for a in logits]
            inv, b = recip(exponential(m) + sum(w))
            out[i] += [rq(dot(w, column), inv, 30 + b) for column in zip(*vs[: i + 1])]
    return out

def digest(tag, class_id, h):  # W-17: the digest over all four positions
    flat = [v for row in h for v in row]
    words = [condense(flat[p : p + 64], p) for p in range(0, len(flat), 64)]
    return sha256(tag, bytes([class_id]), struct.pack(f"<{len(words)}I", *words))

@lru_cache(maxsize=28)  # a nano model
def matrix(key, nonce, count):  # So many weights of a matrix, row by row (W-10)
    return stream(key, nonce, 0, count).translate(WEIGHT)

def unit(class_name, seed1, node_seed, segment_seed, nonce, states=None):
    """(norm, digest, middle) of a unit: W-11, W-12, W-17. states takes the values of each layer."""
    class_id, d, layers, gate_shift = CLASSES[class_name]
    weights, embed = (derive(name, seed1, class_name) for name in ("xf/weights", "xf/embed"))
    tokens = struct.unpack("<4Q", derive("input", node_seed, segment_seed, nonce))
    h = [[256 * (b - 128) for b in stream(embed, token, t * d, d).translate(WEIGHT)]
         for t, token in enumerate(tokens)]
    states = [] if states is None else states
    states.append([h])
    for layer in range(layers):
        if layer == layers - 1:
            middle = digest(b"assay/1/xf/middle", class_id, h)

        def times(m, rows, x):
            read = matrix if class_name == "nano" else matrix.__wrapped__
            return product(read(weights, 8 * layer + m, rows * len(x[0])), x)

        x = [norm(row) for row in h]
        q, k, v = ([requant(row, d) for row in times(m, d, x)] for m in (0, 1, 2))
        a = attend(q, k, v)
        h = [residual(*rows, d) for rows in zip(h, times(3, d, a))]
        states.append([x, q, k, v, a, h])
        x = [norm(row) for row in h]
        g, u = ([requant(row, d) for row in times(m, 4 * d, x)] for m in (4, 5))
        z = [gate(*rows, gate_shift) for rows in zip(g, u)]
        h = [residual(*rows, 4 * d) for rows in zip(h, times(6, d, z))]
        states[-1] += [x, g, u, z, h]
    return sum(v * v for v in h[3]), digest(b"assay/1/xf/digest", class_id, h), middle

# matmul/1: W-18 to W-20

def matmul_digest(challenge, number, shape, tile=None):
    """The digest of a unit, or of its tile (i, j)."""
    for n, most in zip(shape, (2**15, 2**16, 2**15)):
        need(n % 64 == 0 and 256 <= n <= most, "shape", f"{n} is no side of a unit")
    m, k, q = shape
    need(m * q >= 2**18, "shape", f"{m}x{k}x{q} has fewer than 2^18 results")
    i, j = tile or (0, 0)
    need(0 <= i < m // 64 and 0 <= j < q // 64, "tile", f"no tile ({i}, {j}) in {m}x{k}x{q}")

    def operand(which, first, count):
        """Rows of A (65) or columns of B (66), as bytes."""
        key = derive("matmul", challenge, number, which)
        return blocks(key, [(c, n) for n in range(first, first + count) for c in range(k // 64)])

    a = operand(65, 64 * i, 64 if tile else m).translate(OFFSET)
    columns = []  # of tiles
    for j in [j] if tile else range(q // 64):
        b = operand(66, 64 * j, 64)
        results = product(a, [struct.unpack(f"{k}b", b[c : c + k]) for c in range(0, 64 * k, k)])
        words = [struct.pack("<I", condense(row, 0)) for row in zip(*results)]
        columns.append([sha256(*words[r : r + 64]) for r in range(0, len(words), 64)])
    return columns[0][0] if tile else tree(leaf_hash(t) for row in zip(*columns) for t in row)

# Trees: C-1 to C-5

def leaf_hash(data):
    return sha256(b"\0", data)

def node_hash(left, right):
    return sha256(b"\1", left, right)

def tree(hashes):
    """The root over leaf hashes: what has no neighbour on a level rises as it is (C-1)."""
    hashes = list(hashes)
    while len(hashes) > 1:
        odd = hashes[len(hashes) & ~1 :]
        hashes = [node_hash(*pair) for pair in zip(hashes[::2], hashes[1::2])] + odd
    return hashes[0] if hashes else sha256()

def climb(fn, sn, path):
    """Each hash of a path with whether it stands to the left: the walk of C-2 and C-3."""
    rest = iter(path)
    while sn > 0:
        if fn % 2 or fn != sn:
            p = next(rest, None)
            need(p, "proof", "the path is too short")
            yield fn % 2, p
        fn, sn = fn // 2, sn // 2
    need(next(rest, None) is None, "proof", "the path is too long")

def check_inclusion(root, size, index, leaf, proof):  # C-2
    need(0 < size <= MAX_LEAVES and 0 <= index < size, "size", f"no leaf {index} of {size}")
    for left, p in climb(index, size - 1, proof):
        leaf = node_hash(p, leaf) if left else node_hash(leaf, p)
    need(leaf == root, "proof", "the path does not lead to the root")

def check_consistency(old_root, old, root, size, proof):  # C-3
    need(0 <= old <= size <= MAX_LEAVES, "size", f"no log of {size} begins with one of {old}")
    if old in (0, size):
        good = not proof and old_root == (root if old else sha256())
        need(good, "proof", "the roots are not those of these sizes")
        return
    fn, sn = old - 1, size - 1
    while fn % 2:
        fn, sn = fn // 2, sn // 2
    proof = [old_root, *proof] if old & (old - 1) == 0 else proof
    need(proof, "proof", "the proof is too short")
    fr = sr = proof[0]
    for left, p in climb(fn, sn, proof[1:]):
        fr, sr = (node_hash(p, fr), node_hash(p, sr)) if left else (fr, node_hash(sr, p))
    need((fr, sr) == (old_root, root), "proof", "the proof does not lead to both roots")

def check_multi(root, size, indices, leaves, proof):  # C-4, C-5
    k, rest = len(indices), iter(proof)
    rising = all(a < b for a, b in zip(indices, indices[1:]))
    need(0 < size <= MAX_LEAVES and k and rising and indices[-1] < size, "size", "no such leaves")
    most = sum(min(2**level, k) for level in range((size - 1).bit_length())) - (k - 1)
    need(len(leaves) == k and len(proof) <= min(most, size - k), "proof", "too many hashes")
    opened = dict(zip(indices, leaves))

    def walk(first, count, inside):
        if not inside:
            h = next(rest, None)
            need(h, "proof", "the proof is too short")
            return h
        if count == 1:
            return opened[first]
        half = 1 << ((count - 1).bit_length() - 1)
        left, right = ([i for i in inside if (i < first + half) == side] for side in (True, False))
        return node_hash(walk(first, half, left), walk(first + half, count - half, right))

    need(walk(0, size, indices) == root, "proof", "the proof does not lead to the root")
    need(next(rest, None) is None, "proof", "the proof is too long")

# Ed25519: C-15

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SMALL = {0, 1, P - 1} | {int.from_bytes(bytes.fromhex(y), "little") for y in (
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")}

def decode_point(b):
    """The point of a canonical encoding (RFC 8032, 5.1.3) as (x, y, 1, x * y), or None."""
    y, sign = int.from_bytes(b, "little") & (2**255 - 1), b[31] >> 7
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if (v * x * x - u) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (v * x * x - u) % P or (x == 0 and sign):
        return None
    x = x if x % 2 == sign else P - x
    return x, y, 1, x * y % P

def encode_point(p):
    x, y = (c * pow(p[2], -1, P) % P for c in p[:2])
    return (y | (x % 2) << 255).to_bytes(32, "little")

def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]), (p[1] + p[0]) * (q[1] + q[0])
    c, d = 2 * D * p[3] * q[3], 2 * p[2] * q[2]
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P

def times(s, p, k=0, q=(0, 1, 1, 0)):  # [s]p + [k]q
    steps, out = (None, p, q, add(p, q)), (0, 1, 1, 0)
    for i in range(255, -1, -1):
        out, step = add(out, out), (s >> i & 1) | (k >> i & 1) << 1
        out = add(out, steps[step]) if step else out
    return out

BASE = decode_point(bytes.fromhex("58" + "66" * 31))

def scalar(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % L

def valid(key, message, signature):  # C-15: whether the signature holds
    if len(key) != 32 or len(signature) != 64:
        return False
    a, s = decode_point(key), int.from_bytes(signature[32:], "little")
    if a is None or a[1] in SMALL or s >= L:
        return False
    k = scalar(signature[:32], key, message)
    return encode_point(times(s, BASE, k, (P - a[0], a[1], 1, P - a[3]))) == signature[:32]

def sign(secret, message):  # (key, signature) of RFC 8032, for the vectors
    h = hashlib.sha512(secret).digest()
    a, r = int.from_bytes(h[:32], "little") & (2**254 - 8) | 2**254, scalar(h[32:], message)
    key, first = encode_point(times(a, BASE)), encode_point(times(r, BASE))
    return key, first + ((r + scalar(first, key, message) * a) % L).to_bytes(32, "little")

def check_signature(key, message, signature, kind="signature"):
    need(valid(key, message, signature), kind, f"no signature of {key.hex()} over its message")

# Draws and statistics

def words(seed):  # the LE64 words of stream (seed, 0)
    for c in range(2**58):
        yield from struct.unpack("<8Q", blocks(seed, [(c, 0)]))

def below(n, source):  # the next uniform number below n
    return next(w for w in source if w < 2**64 - 2**64 % n) % n

def draw(seed, total, n):
    source, taken = words(seed), set()
    if n >= total:
        return list(range(total))
    for j in range(total - n, total):
        t = below(j + 1, source)
        taken.add(j if t in taken else t)
    return sorted(taken)

def stratified(seed, total, n):
    n, source = min(n, total), words(seed)
    edges = [j * total // n for j in range(n + 1)] if n else [0]
    return [a + below(b - a, source) for a, b in zip(edges, edges[1:])]

def distinct(seed, total, n):
    source, out = words(seed), {}
    while len(out) < min(n, total, 4096):
        out[below(total, source)] = True
    return list(out)

def picks(seed, total, n):  # A-5, as the next two
    source = words(seed)
    return [below(total, source) for _ in range(n if total else 0)]

def shuffle(seed, n):
    source, out = words(seed), list(range(n))
    for i in range(n - 1, 0, -1):
        j = below(i + 1, source)
        out[i], out[j] = out[j], out[i]
    return out

def lottery(seed, held, n):
    source, out, held = words(seed), [], list(held or ())
    while len(out) < n and 0 < sum(held) < 2**64:
        left = below(sum(held), source)
        out.append(next(i for i in range(len(held)) if left < sum(held[: i + 1])))
        held[out[-1]] = 0
    return out

def slots_of(index, total, n):  # n of the total slots
    return sorted((index * n + i) % total for i in range(min(total, n)))

def q64(num, den, up=False):  # a fraction in units of 2^-64
    return min(-(-(num << 64) // den) if up else (num << 64) // den, ONE)

def q64_text(v):  # a Q64 as text, of six digits that begin at 10^exponent
    if v in (0, ONE):
        return str(v // ONE)
    x, exponent = Fraction(v, 2**64), 0
    while x * 10**-exponent < 1:
        exponent -= 1
    digits = math.floor(x * 10 ** (5 - exponent) + Fraction(1, 2))
    if digits == 10**6 or exponent < -1 and x * 10 ** (5 - exponent) >= 999_995:
        digits, exponent = 10**5, exponent + 1
    kept = str(digits).rstrip("0")
    if exponent < -4:
        return f"{kept[0]}.{kept[1:]}".rstrip(".") + f"e-{-exponent:02d}"
    return "1" if exponent == 0 else "0." + "0" * (-exponent - 1) + kept

def at_most(n, a, b, x):  # P[Bin(n, a/b) <= x] times b^n
    terms = (math.comb(n, i) * a**i * (b - a) ** (x - i) for i in range(x + 1))
    return (b - a) ** (n - x) * sum(terms)

def tail(n, rate, x):
    if x <= 0 or x > n:
        return ONE if x <= 0 else 0
    if n > 4096 or not 0 <= rate[0] <= rate[1] > 0:
        return ONE
    return q64(rate[1] ** n - at_most(n, *rate, x - 1), rate[1] ** n, up=True)

def threshold(n, rate, bound):  # the least x whose tail is below the bound
    if n > 4096 or not 0 <= rate[0] <= rate[1] > 0 or not 0 <= bound[0] <= bound[1] > 0:
        return n + 1
    whole, over = rate[1] ** n, lambda x: rate[1] ** n - (at_most(n, *rate, x - 1) if x else 0)
    return next((x for x in range(n + 1) if over(x) * bound[1] < bound[0] * whole), n + 1)

def upper(n, rate, x):  # A-10, of eps as a rate
    if x >= n or n > 4096 or not 0 < rate[0] < rate[1]:
        return ONE
    low, high = 0, ONE  # at high the probability is small enough, at low it is not
    while high - low > 1:
        q = (low + high) // 2
        small = at_most(n, q, 2**64, x) * rate[1] <= rate[0] << 64 * n
        low, high = (low, q) if small else (q, high)
    return high

def credited(count, bound):
    return {0: count, ONE: 0}.get(bound, count * (2**64 - bound) >> 64)

def detection(total, forged, n, x):  # at least x are found
    n = min(n, total)
    if x == 0 or n > 4096 or forged > total:
        return ONE if x == 0 else 0
    ways = (math.comb(forged, i) * math.comb(total - forged, n - i) for i in range(min(x, n + 1)))
    return q64(math.comb(total, n) - sum(ways), math.comb(total, n))

def sequential(n, x):  # "fraud", "faulty" or "continue"
    if x > n or n > 4096:
        return "continue"
    num, den = 500**x * 9500 ** (n - x), 9999 ** (n - x)
    return "fraud" if num >= 999_999 * den else "faulty" if num * 999_999 <= den else "continue"

def full_audit(gain, locked, flags):  # A-14, in units of 2^-32
    share = Fraction(2 * 4 ** min(flags, 16) * gain, gain + locked) if locked else 1
    return min(2**32, math.ceil(max(Fraction(1, 20), share) * 2**32))

def caught(n, rate):  # The probability that n picks find one of a share
    return q64(rate[1] ** n - (rate[1] - rate[0]) ** n, rate[1] ** n)

def picks_for(rate, target):
    missed, every = target[1], target[1] - target[0]
    for k in range(4097):
        if missed <= every:
            return k
        missed, every = missed * (rate[1] - rate[0]), every * rate[1]
    return 0

# Power: P-3 to P-5

def powers(old, target, cap=Fraction(1, 4), lift=Fraction(6, 5), move=Fraction(1, 10)):
    """Voting powers by name, of a million, from those before and the weights."""
    whole = sum(target.values())
    if not whole:
        return old
    own = sorted((Fraction(w, whole) for w in target.values() if w), reverse=True)
    rest = [sum(own[k:]) for k in range(len(own))]
    scales = ((1 - k * cap) / rest[k] for k in range(len(own)))
    scale, level = next((s for s, o in zip(scales, own) if s * o <= cap), lift + 1), cap
    if scale > lift:
        levels = ((1 - lift * rest[k]) / k for k in range(1, len(own)))
        level = next((v for v, o in zip(levels, own[1:]) if v >= lift * o), Fraction(1, len(own)))
        scale = lift
    share = {name: min(level, scale * Fraction(w, whole)) for name, w in target.items()}
    before = {name: Fraction(p, sum(old.values())) for name, p in old.items()}
    moves = {name: share.get(name, 0) - before.get(name, 0) for name in {*share, *before}}
    part = min(1, 2 * move / (sum(map(abs, moves.values())) or 1))
    if old:
        share = {name: before.get(name, 0) + part * m for name, m in moves.items()}
    exact = {name: s * 10**6 for name, s in share.items()}
    out = {name: math.floor(e) for name, e in sorted(exact.items())}
    by_rest = sorted(exact, key=lambda name: (out[name] - exact[name], name))
    out |= {name: out[name] + 1 for name in by_rest[: 10**6 - sum(out.values())]}
    return {name: p for name, p in out.items() if p}

# Documents: their spelling (F-1 to F-7) and their fields

SHAPES = """512x256x512 512x512x512 512x1024x512 512x2048x512 1024x1024x1024 1024x2048x1024
    1024x4096x1024 1024x4096x2048 2048x4096x2048 2048x4096x4096 4096x4096x4096 4096x4096x8192
    8192x4096x8192 8192x8192x8192""".split()  # M-3

FIELDS = {  # names=type in order; [] is a list, ? optional, uN below 2^N, N or M-N a length
    "assay-evidence/1": """version,claim,chain=any epoch=u64 class=any seed1,segment_seed=hex32
        participant,node=any segment=u32 nonce=u64 norm=quoted digest=hex32 count=u64
        root,host_key=hex32 signature=hex64 path=[hex32] note=any?""",
    "archive": "root=hex32 commits,index=u64 path=[hex32]",
    "state": "header,app,store=hex1-8192",
    "assay-leaf-receipt/1": """version=any order=order batch=batch
        device_signature,host_signature=0x64""",
    "order": """chain=text1-64 host_key,device_key=0x32 participant=text1-128 epoch=u64 node=node
        class=text1-64 seed1=0x32 segment=u32 segment_seed,audit=0x32""",
    "batch": "first,count=u64 root=0x32",
    "assay-leaf-evidence/1": """version,claim=any order=order samples=u32 nonce=0x32
        last=signed_batch wrong=[wrong] note=text0-256?""",
    "wrong": "leaf=u64 in=signed_batch page=hex0-1280 path=[0x32]",
    "assay-left-out/3": """version,shows=any epoch=u64 node=any segment=u32 leaf=u64 got,want=hex32
        wrong,checked,samples=u64 reason=any evidence=assay-leaf-evidence/1? hidden=any?
        sha256=hex32?""",
    "terms": """chain=text1-64 host_key,device_key,challenge_id,seed,fresh=0x32 kernel=any
        shape=shape duration_ms=u64 issued,expiry=u53 host_nonce_hash=0x32 whole,picks,light=u32
        max_loops=u64 pay_per_tebiop=amount unlock_after,ban_after=u32 forfeits=any""",
    "commit": "loops=u64 compute_time=seconds merkle_root=0x32",
    "draw": "host_nonce=0x32 audit_q32=u64 deadline=u53",
    "outcome": """status=any rounds=u32 checked=u64 bad_share_q64=quoted credited_loops=u64
        ops=quoted pay=amount detection=text1-20""",
    "sample": "index=u64 leaf,digest=0x32 proof=[0x32]",
    "tile": "index,tile=u64 leaf,digest=0x32 proof=[0x32] tile_digest=0x32 tile_proof=[0x32]",
    "assay-mpoc-receipt/1": """version=any terms=terms terms_signature=0x64 commit=commit
        commit_signature=0x64 draw=draw? outcome=outcome reason=text0-200
        committed,proved,entry=u53 wrong_samples=[sample]? wrong_tiles=[tile]?
        host_signature=0x64 device_signature=0x64?""",
    "assay-mpoc-evidence/1": """version,claim=any terms,other_terms=signed_terms?
        commit,other_commit=signed_commit? draw,other_draw=signed_draw? sample=sample?
        tile=tile? receipt,other_receipt=assay-mpoc-receipt/1? note=text0-200?""",
    "assay-mpoc-transfer/1": """version=any chain=text1-64 host_key,device_key=0x32 payout=text1-90
        amount=amount tx_hash=txhash time=u53 host_signature=0x64""",
}
for kind in ("batch", "terms", "commit", "draw"):
    FIELDS[f"signed_{kind}"] = f"{kind}={kind} signature=0x64"
FIELDS["assay-evidence/2"] = FIELDS["assay-evidence/1"].replace(
    "note=", "archive=archive state=state? note=")
FIELDS = {kind: {name: of for names, of in (group.split("=") for group in text.split())
                 for name in names.split(",")} for kind, text in FIELDS.items()}
NUMBER, BITS = "0|[1-9][0-9]{0,38}", {"quoted": 64, "amount": 128}
PATTERNS = {"any": "(?s:.*)", "text": "[ -~]{LENGTH}", "hex": "([0-9a-f]{2}){LENGTH}",
            "0x": "0x([0-9a-f]{2}){LENGTH}", "node": "[a-z0-9-]{1,32}", "txhash": "[0-9A-F]{64}",
            "quoted": NUMBER, "amount": NUMBER, "shape": "|".join(SHAPES)}
VALUES = {"hex": bytes.fromhex, "0x": lambda v: bytes.fromhex(v[2:]), "quoted": int,
          "shape": lambda v: tuple(map(int, v.split("x")))}
LIMITS = {"evidence": 65536, "leaf": 524288, "left": 1048576, "mpoc": 1048576}  # F-5

def spell(v):
    """The one spelling of a JSON value without white space (F-2, F-3). A key that was repeated is
    gone and a float in another form changed, so that neither is the spelling of a file."""
    text = json.dumps(v, ensure_ascii=False, separators=(",", ":"))
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")

def fit(kind, v):
    """A JSON value as a type of FIELDS or PATTERNS (F-3, F-4, F-6). Bytes come from hex, three
    integers from a shape, milliseconds from seconds; an amount stays text."""
    if kind[-1] == "?":
        need(v not in ("", [], None), "file", "what is optional is present and empty")
        kind = kind[:-1]
    if kind[0] == "[":
        need(type(v) is list, "file", "a list is missing")
        return [fit(kind[1:-1], i) for i in v]
    if kind in FIELDS:
        fields = FIELDS[kind]
        need(type(v) is dict and list(v) == [name for name in fields if name in v]
             and all(name in v or of[-1] == "?" for name, of in fields.items()),
             "file", f"the keys are not {', '.join(fields)}")
        return {name: fit(fields[name], i) for name, i in v.items()}
    what, low, high = re.fullmatch(r"(hex|0x|[a-z]+)(\d*)-?(\d*)", kind).groups()
    if what == "u":
        good, out = type(v) is int and 0 <= v < 2 ** int(low), v
    elif what == "seconds":
        out = round(v * 1000) if type(v) in (int, float) and 0 <= v < 10**6 else -1
        good = 0 <= out < 10**9 and out / 1000 == v and (type(v) is int or out % 1000)
    else:
        pattern = PATTERNS[what].replace("LENGTH", f"{low},{high or low}")
        good = type(v) is str and re.fullmatch(pattern, v)
        good = good and (what not in BITS or int(v) < 2 ** BITS[what])
        out = VALUES.get(what, str)(v) if good else v
    need(good, "file", f"{spell(v)[:60]} is no {kind}")
    return out

def read(data):
    """The fields of a document in its one spelling."""
    need(len(data) <= max(LIMITS.values()), "file", "the file is too large")
    try:
        raw = json.loads(data.decode())
        bare = re.sub(rb'("(?:[^"\\]|\\.)*")|[ \t\r\n]+', rb"\1", data)
        need(spell(raw).encode() == bare, "file", "the file is not written in the one spelling")
    except (ValueError, RecursionError) as e:
        raise Refused("file", f"the file is no JSON in UTF-8: {e}") from None
    version = raw.get("version") if type(raw) is dict else None
    need(type(version) is str and version[:6] == "assay-" and version in FIELDS,
         "file", f"version {version!r} is not known")
    limit = LIMITS[re.split("[-/]", version)[1]]
    need(len(data) <= limit, "file", "the file is too large for its kind")
    return fit(version, raw)

# Commitments: C-7 to C-14

def affordable(ops, full):  # F-20: measures this machine where a recomputation may take long
    if ops > 2**28 and not full:
        start = time.monotonic()
        unit("nano", *[bytes(32)] * 3, 0)
        seconds = (time.monotonic() - start) * ops / 2**25
        if seconds > 10:
            raise Costly(f"recomputing takes about {seconds:.0f} s; --full does it all the same")

def recompute(class_name, full, *where):  # The unit at (seed1, Node_Seed, segment_seed, nonce)
    affordable(128 * CLASSES[class_name][1] ** 2 * CLASSES[class_name][2], full)
    return unit(class_name, *where)

def is_node(name):
    return re.fullmatch("[a-z0-9-]{1,32}", name) is not None

def unit_leaf(class_id, node, index, norm, digest):  # C-8
    need(class_id and is_node(node) and index < MAX_LEAVES, "leaf", "the fields form no leaf")
    places = bytes([1, 1, class_id, len(node)]), node.encode(), struct.pack("<QQ", index, norm)
    return b"".join(places) + digest

def read_leaf(b):  # C-8, from bytes to (class id, node, index, norm, digest)
    need(len(b) > 3 and len(b) == 52 + b[3], "leaf", "this is no leaf's length")
    n = 4 + b[3]
    fields = b[2], b[4:n].decode("latin-1"), *struct.unpack("<QQ", b[n : n + 16]), b[n + 16 :]
    need(unit_leaf(*fields) == b, "leaf", "this is not how a leaf is written")
    return fields

def loop_leaf(t, index, digest):  # C-9
    where = struct.pack("<BB3I", 1, 2, *t["shape"]) + t["challenge_id"] + t["device_key"]
    return where + index.to_bytes(8, "little") + digest

def statement(d, version=2):  # C-11, C-12
    need(d["chain"] and d["participant"] and d["class"] and is_node(d["node"]) and d["segment"] > 0,
         "statement", "a text or the segment is none of a statement")
    need(d["count"] <= MAX_LEAVES and (d["count"] or d["root"] == sha256()),
         "statement", "count and root do not belong together")
    seeds = ("seed1", "segment_seed") if version == 2 else ()
    names = "chain", "epoch", "segment", "participant", "node", "class", *seeds, "root", "count"
    return message(f"assay/{version}/commit-statement", *[d[name] for name in names])

def archive_leaf(d):  # C-13
    need(0 < len(d["participant"].encode()) <= 128 and is_node(d["node"]) and d["segment"] > 0
         and 0 < d["count"] <= MAX_LEAVES, "archive", "the fields form no commit")
    names = "participant", "node", "segment", "root", "count", "host_key"
    return message("assay/1/archive-leaf", *[d[name] for name in names])

# Evidence about a leaf, and the chain's state: F-8 to F-13

def check_evidence(d, full=False):
    """spec F-9: what an evidence file shows, without what only the chain knows."""
    version = int(d["version"][-1])
    known = d["class"] in CLASSES and d["claim"] in ("forged", "honest")
    need(known, "file", "class or claim are not known")
    where = CLASSES[d["class"]][0], d["node"], d["nonce"], d["norm"], d["digest"]
    leaf = leaf_hash(unit_leaf(*where))
    check_signature(d["host_key"], statement(d, version), d["signature"], "statement")
    check_inclusion(d["root"], d["count"], d["nonce"], leaf, d["path"])
    if version == 2:
        a = d["archive"]
        leaf = leaf_hash(archive_leaf(d))
        check_inclusion(a["root"], a["commits"], a["index"], leaf, a["path"])
    block = check_state(d) if "state" in d else None
    node_seed = derive("node", d["chain"], d["participant"], d["node"], d["class"])
    want = recompute(d["class"], full, d["seed1"], node_seed, d["segment_seed"], d["nonce"])[:2]
    forged = want != (d["norm"], d["digest"])
    need(forged == (d["claim"] == "forged"), "claim", f"recomputed, the leaf is not {d['claim']}")
    return {"forged": forged, "unbound": version == 1, "want_norm": want[0], "want_digest": want[1],
            "block": block}

def varint(b, at, minimal=True):  # A protobuf varint and the place behind it
    v = shift = 0
    while True:
        need(at < len(b) and shift < 70, "state", "a varint is cut")
        v, shift, at = v | (b[at] & 127) << shift, shift + 7, at + 1
        if b[at - 1] < 128:
            good = v < 2**64 and (b[at - 1] or shift == 7 or not minimal)
            need(good, "state", "a varint is not canonical")
            return v, at

def pack_varint(v):
    return bytes([v]) if v < 128 else bytes([v & 127 | 128]) + pack_varint(v >> 7)

def proto(data, fields):
    """Canonical protobuf. A field: number, v (varint) or b (bytes), ! if required, * if a list."""
    kinds = {int(n): (w, mark) for n, w, mark in re.findall(r"(\d+)([vb])([!*]?)", fields)}
    default = {"v": 0, "b": b"", "v!": None, "b!": None, "v*": (), "b*": ()}
    out, at, last = {n: default[w + mark] for n, (w, mark) in kinds.items()}, 0, 0
    while at < len(data):
        tag, at = varint(data, at)
        n, (wire, mark) = tag >> 3, kinds.get(tag >> 3, "??")
        need(tag & 7 == {"v": 0, "b": 2}.get(wire) and (n > last or n == last and mark == "*"),
             "state", "a field is unknown, repeated or out of order")
        v, at = varint(data, at)
        if wire == "b":
            need(v <= len(data) - at, "state", "a field is cut")
            v, at = data[at : at + v], at + v
        need(v or mark, "state", "a default is written out")
        out[n], last = out[n] + (v,) if mark == "*" else v, n
    need(None not in out.values(), "state", "a field is missing")
    return out

def header(data):  # F-12: the fields of a block's header, and its hash
    h = proto(data, "1b!,2b,3v,4b!,5b!,6b,7b,8b,9b,10b,11b,12b,13b,14b")
    proto(h[1], "1v,2v")
    nanos = proto(h[4], "1v,2v")[2]
    total = proto(proto(h[5], "1b,2b!")[2], "1v,2b")[1]
    good = h[8] and h[3] < 2**63 and total < 2**32 and not 2**31 <= nanos < 2**64 - 2**31
    need(good, "state", "this is no header")
    leaves = {n: b"\x0a" + pack_varint(len(v)) + v if v else b"" for n, v in h.items() if n != 3}
    leaves |= {n: h[n] for n in (1, 4, 5)} | {3: b"\x08" + pack_varint(h[3]) if h[3] else b""}
    return h, tree(leaf_hash(leaves[n]) for n in range(1, 15))

def existence(data, key, iavl):
    """spec F-13: the value that a proof shows for the key, and the root under which it does."""
    p = proto(proto(data, "1b!")[1], "1b,2b,3b!,4b*")
    leaf = proto(p[3], "1v,2v,3v,4v,5b")
    kind = [leaf[n] for n in (1, 2, 3, 4)] == [1, 0, 1, 1] and leaf[5][:1] == b"\0"
    need(p[1] == key and p[2] and kind and len(p[4]) <= 128, "state", "a proof is of another key")

    def behind(prefix, least):
        at = 0
        for i in range(3):
            v, at = varint(prefix, at, False)
            need(v % 2 == 0 and (i or v >= 2 * least), "state", "a prefix is not IAVL's")
        return len(prefix) - at

    need(not iavl or behind(leaf[5], 0) == 0, "state", "the leaf is not IAVL's")
    h = sha256(leaf[5], pack_varint(len(key)), key, b"\x20", sha256(p[2]))
    for n, step in enumerate((proto(s, "1v,2b,3b") for s in p[4]), 1):
        prefix, suffix = step[2], step[3]
        if iavl:
            good = 4 <= len(prefix) <= 45 and behind(prefix, n) in (1, 34) and len(suffix) % 33 == 0
        else:
            good = len(prefix) in (1, 33) and prefix[:1] == b"\1" and len(suffix) % 32 == 0
        need(step[1] == 1 and prefix[:1] != b"\0" and good, "state", "a step is not the tree's")
        h = sha256(prefix, h, suffix)
    return p[2], h

def check_state(d):
    """spec F-11: hash and height of the block that shows the epoch's archive as the file has it."""
    head, block = header(d["state"]["header"])
    root, app = existence(d["state"]["app"], b"sprint", False)
    value, store = existence(d["state"]["store"], b"\x0d" + struct.pack(">Q", d["epoch"]), True)
    need(head[2] == d["chain"].encode() and app == head[11] and store == root,
         "state", "header and proofs do not belong together")
    r, a, n = proto(value, "1v,2b,3b,4b*,5v,6b"), d["archive"], d["segment"]
    need(r[1] == d["epoch"], "state", "the record is of another epoch")
    known = [r[2], r[3], r[4][n - 1] if 0 < n <= len(r[4]) else None, r[5], r[6]]
    need(known == [d["class"].encode(), d["seed1"], d["segment_seed"], a["commits"], a["root"]],
         "other", "the chain's state has other values than the file")
    return block, head[3]

# Leaves between a machine and its host: F-14 to F-16, M-21 to M-23

def batch_message(order, batch):
    good = order["segment"] > 0 and 0 < batch["count"] <= 1000
    need(good and batch["first"] + batch["count"] <= MAX_LEAVES,
         "file", "a batch is empty, too large or beyond the log")
    return message("assay/1/leaf-batch", *order.values(), *batch.values())

def acknowledgement(batch):
    return message("assay/1/leaf-receipt", sha256(batch))

def check_leaf_receipt(d, full=False):  # F-14: the leaves that the host has
    signed = batch_message(d["order"], d["batch"])
    check_signature(d["order"]["device_key"], signed, d["device_signature"])
    check_signature(d["order"]["host_key"], acknowledgement(signed), d["host_signature"])
    return {"kind": "receipt", "leaves": d["batch"]["first"] + d["batch"]["count"],
            "got": bytes(32), "want": bytes(32)}

def asked(nonce, samples, signature, end):  # M-22: the leaves that a host audits
    return draw(derive("leaf-draw", nonce, signature), end, min(samples, 4096))

def check_leaf_evidence(d, full=False):
    """spec F-15: what the evidence shows; got and want are digests of the first wrong leaf."""
    order, last, wrong = d["order"], d["last"], d["wrong"]
    places = [w["leaf"] for w in wrong]
    need(d["claim"] in ("fraud", "faulty") and order["class"] in CLASSES,
         "file", "class or claim are not known")
    need(0 < len(wrong) <= 40 and places == sorted(set(places)),
         "file", "the wrong leaves are not 1 to 40, rising")
    signed = {(*s["batch"].values(), s["signature"]): s for s in [last] + [w["in"] for w in wrong]}
    ends = sorted({(first, first + count) for first, count, _, _ in signed})
    need(len(ends) == len({key[:3] for key in signed})
         and all(a[1] <= b[0] for a, b in zip(ends, ends[1:])), "file", "two batches overlap")
    for s in signed.values():
        check_signature(order["device_key"], batch_message(order, s["batch"]), s["signature"])
    audit = derive("leaf-audit", d["nonce"], d["samples"])
    need(audit == order["audit"], "file", "the nonce is not the one that was announced")
    end = last["batch"]["first"] + last["batch"]["count"]
    drawn = asked(d["nonce"], d["samples"], last["signature"], end)
    node_seed = derive("node", *(order[n] for n in ("chain", "participant", "node", "class")))
    found = []
    for w in wrong:
        first, count, root = w["in"]["batch"].values()
        page, place = divmod(w["leaf"] - first, 32)
        need(w["leaf"] in drawn and 0 <= w["leaf"] - first < count,
             "file", f"leaf {w['leaf']} was not drawn, or is not in its batch")
        need(len(w["page"]) == 40 * min(32, count - 32 * page) and len(w["path"]) <= 5,
             "file", "the page has not its records")
        check_inclusion(root, -(-count // 32), page, leaf_hash(w["page"]), w["path"])
        record = w["page"][40 * place : 40 * place + 40]
        where = order["seed1"], node_seed, order["segment_seed"], w["leaf"]
        norm, digest, _ = recompute(order["class"], full, *where)
        need(record != struct.pack("<Q", norm) + digest, "claim", f"leaf {w['leaf']} is right")
        found.append((record[8:], digest))
    fraud = len(drawn) >= min(d["samples"], 4096) and sequential(len(drawn), len(wrong)) == "fraud"
    need(fraud == (d["claim"] == "fraud"), "claim", f"the leaves do not show {d['claim']}")
    return {"kind": "evidence", "claim": d["claim"], "checked": len(drawn), "wrong": len(wrong),
            "leaf": places[0], "got": found[0][0], "want": found[0][1]}

def check_left_out(d, full=False):
    """spec F-16: what its evidence shows. Without evidence it shows nothing."""
    need("evidence" in d, "nothing", "the file has no evidence: it is the host's word alone")
    e, why = d["evidence"], "a faulty device, or forged: test the machine with assay-worker doctor"
    shown = check_leaf_evidence(e, full)
    if shown["claim"] == "fraud":
        why = "forged: no faulty device errs so often"
    says = {name: shown[name] for name in ("leaf", "got", "want", "wrong", "checked")}
    says |= {name: e["order"][name] for name in ("epoch", "node", "segment")} | {
        "shows": "The machine signed these leaves, and they are not what their units give: "
        "assay verify checks it offline.", "samples": e["samples"], "reason":
        f"{shown['wrong']} of {shown['checked']} leaves are wrong ({why}); "
        "this log is not committed, everything else is"}
    need(says.items() <= {k: v for k, v in d.items() if k != "evidence"}.items()
         and not {"hidden", "sha256"} & d.keys(), "left-out", "its evidence shows something else")
    return shown

# Loops between a machine and its host: F-17 to F-19, M-4 to M-17

def loop_message(*parts):  # What is signed of the last of terms, commit, draw (M-4, M-7, M-9)
    signed = []
    for name, part in zip(("terms", "commit", "draw"), parts):
        hashed = [sha256(m) for m in signed[-1:]]
        signed.append(message("assay/1/mpoc-" + name, *hashed, *part.values()))
    return signed[-1]

def proof_message(t, c, nonce, number, samples, tiles):  # M-15
    fields = [len(samples), len(tiles)]
    for o in samples + tiles:
        fields += [o["index"], o["leaf"], o["digest"], len(o["proof"]), *o["proof"]]
        if "tile" in o:
            fields += [o["tile"], o["tile_digest"], len(o["tile_proof"]), *o["tile_proof"]]
    openings = sha256(message("assay/1/mpoc-openings", *fields))
    return message("assay/1/mpoc-proof", sha256(loop_message(t, c)), nonce, number, openings)

def receipt_message(r):  # M-16
    t, c = r["terms"], r["commit"]
    drawn = loop_message(t, c, r["draw"]) if "draw" in r else b""
    wrong = r.get("wrong_samples", []), r.get("wrong_tiles", [])
    return message("assay/1/mpoc-receipt", r["version"], sha256(loop_message(t, c)),
                   r["terms_signature"], r["commit_signature"], drawn, *r["outcome"].values(),
                   *(r[n] for n in ("reason", "committed", "proved", "entry")),
                   proof_message(t, c, bytes(32), 0, *wrong))

def check_terms(t):  # M-4, M-5
    bounds = {"duration_ms": (1, 120_000), "whole": (0, 10), "picks": (1, 512),
              "light": (1, t["picks"]), "max_loops": (1, 100_000), "unlock_after": (0, 10_000),
              "ban_after": (1, 1000), "pay_per_tebiop": (0, 2**104 - 1)}
    bad = [name for name, (low, high) in bounds.items() if not low <= int(t[name]) <= high]
    need(not bad, "terms", f"{', '.join(bad)} outside the bounds")
    need(t["duration_ms"] <= t["expiry"] - t["issued"] <= 3_600_000,
         "terms", "they expire before the work can be done, or more than an hour after")
    need(t["kernel"] == "matmul/1" and t["forfeits"] == "locked",
         "terms", "kernel is not matmul/1, or forfeits not locked")
    rest = t["host_key"], t["device_key"], t["fresh"]
    need(t["challenge_id"] == derive("mpoc-challenge", t["chain"], *rest)
         and t["seed"] == derive("mpoc", t["chain"], t["challenge_id"], *rest),
         "terms", "challenge_id or seed do not follow")

def check_commit(t, c):  # M-7
    need(0 < c["loops"] <= t["max_loops"], "commit", "the number of loops is outside the terms")

def follows(t, d):  # M-9: whether a draw does
    hashed = derive("mpoc-nonce", t["challenge_id"], d["host_nonce"]) == t["host_nonce_hash"]
    return hashed and d["audit_q32"] <= 2**32 and d["deadline"] >= t["issued"]

class Audit:
    """What is audited of a commit under a draw: M-10 to M-13."""

    def __init__(self, t, c, d):
        drawn = t["challenge_id"], c["merkle_root"], c["loops"], d["host_nonce"]
        self.key, self.picks_a_round = derive("mpoc-draw", *drawn), t["picks"]
        self.tiles = t["shape"][0] * t["shape"][2] // 4096
        self.all_tiles = c["loops"] * self.tiles
        chance = int.from_bytes(derive("mpoc-audit", self.key)[:4], "little")
        self.full = chance < d["audit_q32"]
        self.first = t["picks"] if self.full else t["light"]
        n = min(c["loops"], max(10, -(-c["loops"] // 100)))
        self.samples = stratified(derive("mpoc-samples", self.key), c["loops"], n)
        whole = draw(derive("mpoc-whole", self.key), n, t["whole"] if self.full else 0)
        self.whole = [self.samples[i] for i in whole]

    def looks(self, rounds):
        """How many picks so many rounds have."""
        n = self.first + (rounds - 1) * self.picks_a_round if rounds else 0
        return min(n, self.all_tiles, 4096)

    def picks(self, first, end):
        """The (loop, tile) pairs of rounds first to end - 1."""
        numbers = distinct(derive("mpoc-picks", self.key), self.all_tiles, self.looks(end))
        return sorted(divmod(n, self.tiles) for n in numbers[self.looks(first) :])

def check_opening(t, c, o):  # M-14: an opened sample or tile is in the log
    leaf = leaf_hash(loop_leaf(t, o["index"], o["digest"]))
    need(o["leaf"] == leaf, "opening", "the leaf is not that of the loop")
    check_inclusion(c["merkle_root"], c["loops"], o["index"], o["leaf"], o["proof"])
    if "tile" in o:
        tiles, leaf = t["shape"][0] * t["shape"][2] // 4096, leaf_hash(o["tile_digest"])
        check_inclusion(o["digest"], tiles, o["tile"], leaf, o["tile_proof"])

def is_wrong(t, o, full):  # Whether an opening is not what the work gives
    m, k, q = t["shape"]
    tile, signed = None, o["digest"]
    if "tile" in o:
        tile, signed = divmod(o["tile"], q // 64), o["tile_digest"]
    affordable(2 * k * (4096 if tile else m * q) // 4, full)  # four times as fast as a unit
    return matmul_digest(t["seed"], o["index"], t["shape"], tile) != signed

def check_authentic(r):  # M-17: form and signatures of a receipt
    t, c, whole = r["terms"], r["commit"], receipt_message(r)
    known = r["outcome"]["status"] in ("accepted", "faulty", "rejected", "failed", "late")
    need(known and len(r.get("wrong_samples", [])) <= 10 and len(r.get("wrong_tiles", [])) <= 40,
         "file", "there is no such status, or there are too many openings")
    check_terms(t)
    check_commit(t, c)
    check_signature(t["host_key"], loop_message(t), r["terms_signature"])
    check_signature(t["device_key"], loop_message(t, c), r["commit_signature"])
    check_signature(t["host_key"], whole, r["host_signature"])
    if "device_signature" in r:
        back = message("assay/1/mpoc-countersign", sha256(whole))
        check_signature(t["device_key"], back, r["device_signature"])
    return whole

def outcome_of(t, c, audit, rounds, wrong, clean):
    """spec M-17: (status, bad share, credited loops) after so many rounds; "" if undecided."""
    checked = audit.looks(rounds)
    if clean:
        return ("accepted", 0, c["loops"]) if rounds == 1 else ("", 0, 0)
    decided = sequential(checked, wrong)
    if decided == "fraud":
        return "rejected", 0, 0
    left = rounds < 4096 // t["picks"] and audit.looks(rounds + 1) > checked
    if decided == "continue" and left:
        return "", 0, 0
    bad = upper(checked, (1, 1000), wrong)
    return "faulty", bad, credited(c["loops"], bad)

def check_receipt(r, full=False):  # M-17: that a receipt is authentic and holds
    check_authentic(r)
    t, c, o = r["terms"], r["commit"], r["outcome"]
    samples, tiles = r.get("wrong_samples", []), r.get("wrong_tiles", [])
    nothing = not samples + tiles and list(o.values())[1:] == [0, 0, 0, 0, 0, "0", "0"]

    def holds(fact, why):
        need(fact, "host", f"the host signed a receipt that does not hold: {why}")

    holds(r["committed"] >= t["issued"], "the commit is older than its terms")
    if "draw" not in r:
        late = r["proved"] == 0 and r["committed"] > t["expiry"]
        holds(o["status"] == "late" and nothing and late, "without a draw it is late, nothing else")
        return {"shown": "late"}
    d = r["draw"]
    holds(follows(t, d), "the draw does not follow")
    holds(r["committed"] <= t["expiry"] and r["committed"] <= d["deadline"], "the commit is late")
    if o["status"] == "failed":
        holds(nothing, "failed and nothing else")
        return {"shown": "failed"}
    audit, rounds = Audit(t, c, d), o["rounds"]
    holds(r["proved"] >= r["committed"], "the proof is older than the commit")
    holds(0 < rounds <= 4096 // t["picks"], f"there are no {rounds} rounds")
    opened, places = [(x["index"], x["tile"]) for x in tiles], [x["index"] for x in samples]
    holds(set(opened) <= set(audit.picks(0, rounds)) and len(set(opened)) == len(tiles)
          and set(places) <= set(audit.whole) and places == sorted(set(places)),
          "an opening was not asked for, or stands twice")
    wrong, checked = len(tiles), audit.looks(rounds)
    status, bad, good = outcome_of(t, c, audit, rounds, wrong, not samples + tiles)
    ops = good * 2 * math.prod(t["shape"])
    pay = str(int(t["pay_per_tebiop"]) * ops >> 40)
    detected = q64_text(detection(audit.all_tiles, -(-audit.all_tiles // 20), checked, 1))
    holds(list(o.values()) == [status, rounds, checked, bad, good, ops, pay, detected],
          "the outcome is not what follows")
    for before in range(1, rounds if status == "faulty" else 1):
        seen = sum(x in set(audit.picks(0, before)) for x in opened)
        undecided = not outcome_of(t, c, audit, before, seen, not samples and not seen)[0]
        holds(undecided, "it was decided in an earlier round")
    for x in samples + tiles:
        try:
            check_opening(t, c, x)
        except Refused as e:
            holds(False, f"an opening is not of the log: {e}")
        holds(is_wrong(t, x, full), f"loop {x['index']} is what the work gives")
    return {"shown": status}

CLAIMS = {  # F-18: fields, and what they show
    "forged": ("terms commit sample|terms commit tile",
               "the device signed a log with a loop that is not what the work gives"),
    "honest": ("terms commit sample|terms commit tile",
               "the loop is what the work gives, which accuses nobody"),
    "two-commits": ("terms commit other_commit", "the device signed two commits to one challenge"),
    "two-terms": ("terms other_terms", "the host signed two different terms of one challenge"),
    "bad-draw": ("terms commit draw", "the host signed a draw that does not follow"),
    "two-draws": ("terms commit draw other_draw", "the host signed two draws for one commit"),
    "two-receipts": ("receipt other_receipt", "the host signed two receipts of one commit")}

def check_loop_evidence(e, full=False):  # F-18: the claim that the evidence shows
    claim, names = e["claim"], [name for name in e if name not in ("version", "claim", "note")]
    need(claim in CLAIMS, "file", f"there is no claim {claim!r}")
    need(" ".join(names) in CLAIMS[claim][0].split("|"), "file", f"claim {claim} has other fields")
    if claim == "two-receipts":
        r, other = e["receipt"], e["other_receipt"]
        differ = check_authentic(r) != check_authentic(other)
        one = loop_message(r["terms"], r["commit"]) == loop_message(other["terms"], other["commit"])
        need(differ and one, "claim", "these are not two receipts of one commit")
        return {"shown": claim, "says": CLAIMS[claim][1]}
    t, c = e["terms"]["terms"], e.get("commit", {}).get("commit")
    for name in names:
        kind, signed = name.removeprefix("other_"), e[name]
        if kind == "terms":
            check_terms(signed["terms"])
            host = signed["terms"]["host_key"]
            check_signature(host, loop_message(signed["terms"]), signed["signature"])
        elif kind == "commit":
            check_commit(t, signed["commit"])
            check_signature(t["device_key"], loop_message(t, signed["commit"]), signed["signature"])
        elif kind == "draw":
            check_signature(t["host_key"], loop_message(t, c, signed["draw"]), signed["signature"])
        else:
            check_opening(t, c, signed)
    last = e[names[-1]]
    if claim in ("forged", "honest"):
        shown = is_wrong(t, last, full) == (claim == "forged")
    elif claim == "bad-draw":
        shown = not follows(t, last["draw"])
    else:
        one, other = e[kind][kind], last[kind]
        shown = one != other and (kind != "terms" or one["challenge_id"] == other["challenge_id"])
    need(shown, "claim", f"what is signed does not show {claim}")
    return {"shown": claim, "says": CLAIMS[claim][1]}

def transfer_message(d):  # F-19: all but the signature at the end
    return message("assay/1/mpoc-transfer", *list(d.values())[:-1])

def check_transfer(d, full=False):
    signed = transfer_message(d)
    check_signature(d["host_key"], signed, d["host_signature"])
    return {"message": signed, "signature": d["host_signature"]}

# assay.py verify

KEYS = "that the keys are those of the host and the machine that you know"
WRONG_LEAVES = "the machine signed {wrong} wrong leaves of {checked} drawn ({claim})"
DOCUMENTS = {  # by version: the check, what is proven, what is taken from the file
    "assay-evidence": (
        check_evidence, "leaf {nonce} of node {node}, segment {segment}, epoch {epoch}, of "
        "{participant} is {claim}", ("that the key is the participant's",
        "that the seeds are the epoch's", "that the chain accepted the commit")),
    "assay-leaf-receipt": (
        check_leaf_receipt, "the host has {leaves} leaves of node {order[node]}, segment "
        "{order[segment]}, epoch {order[epoch]}", (KEYS,)),
    "assay-leaf-evidence": (check_leaf_evidence, WRONG_LEAVES, (KEYS, "the seeds of the order")),
    "assay-left-out": (check_left_out, WRONG_LEAVES, (KEYS, "the seeds of the order")),
    "assay-mpoc-receipt": (
        check_receipt, "the host judged {commit[loops]} loops as {shown} and credits "
        "{outcome[pay]} acpc for {outcome[credited_loops]}",
        (KEYS, "the times, which are the host's")),
    "assay-mpoc-evidence": (check_loop_evidence, "{says}", (KEYS,)),
    "assay-mpoc-transfer": (
        check_transfer, "the host states that transaction {tx_hash} paid {amount} acpc to {payout}",
        (KEYS, "that the chain has the transaction"))}

def check(d, full=False):
    """What a document of any kind shows, by name (F-7)."""
    return DOCUMENTS[d["version"].split("/")[0]][0](d, full)

def show(d, trust, full):
    """(exit code, what the document proves, what is taken from it) (F-10)."""
    kind = d["version"].split("/")[0]
    need(not trust or kind == "assay-evidence", "other", "--trust: this document knows no chain")
    found, (_, says, taken) = check(d, full), DOCUMENTS[kind]
    says, block = says.format(**d | found), found.get("block")
    need(not trust or not block or block[0] == trust, "other", "the file stands on another block")
    if kind != "assay-evidence" or trust and block:
        return 0, says, taken if kind != "assay-evidence" else ()
    if block:
        taken += (f"block {block[0].hex().upper()} at height {block[1]}: compare it with the hash "
                  "that a node of yours has, and give that to --trust",)
    if found["unbound"]:
        taken += ("version 1 binds no seeds: it convicts nobody",)
    return 2, says, taken

def verify(files, trust, full):
    """Checks files and returns the gravest exit code: 1 not proven, 3 not checked, 2 taken, 0."""
    codes = set()
    for name in files:
        try:
            with open(name, "rb") as f:
                data = f.read(max(LIMITS.values()) + 4).removeprefix(b"\xef\xbb\xbf")
            code, says, taken = show(read(data), trust, full)
            print(f"{name}: {'holds' if code else 'proven'}: {says}")
            for t in taken:
                print(f"  taken from the file: {t}")
        except (Refused, OSError) as e:
            code = print(f"{name}: not proven: {e}") or 1
        except Costly as e:
            code = print(f"{name}: not checked: {e}") or 3
        codes.add(code)
    return next(c for c in (1, 3, 2, 0) if c in codes)

# assay.py vectors: functions that compute a case's `out` from what its `in` gives under their names

TEXTS = set("chain participant node class voter role matrix function step file".split())
NUMBERS = set("""height epoch segment number nonce offset length count bound total forged n x unit
    held first""".split())
SEED_PARTS = {  # W-4, by the names that seed.json has; seeds0 is the first of seeds
    "chain height seeds": "beacon-alpha beacon-mix", "chain height seeds bytes": "beacon-value",
    "chain epoch seeds": "sprint-1 sprint-2 lottery", "seeds0 segment seeds1": "segment",
    "chain participant node class": "node", "seeds number": "input share leaf-audit",
    "seeds class": "xf/weights xf/embed", "seeds number matrix": "matmul",
    "chain epoch participant seeds": "samples recheck", "chain epoch voter seeds": "owed check",
    "chain epoch round participant seeds": "committee", "seeds bytes": "leaf-draw",
    "chain epoch round voter seeds bytes": "verdict",
    "chain epoch voter participant node segment number seeds": "middle",
    "chain participant epoch height seeds": "heartbeat", "chain bytes seeds": "mpoc-challenge",
    "chain role participant bytes": "possession", "chain seeds0 bytes seeds1": "mpoc",
    "seeds": "mpoc-nonce mpoc-samples mpoc-whole mpoc-audit mpoc-picks",
    "seeds0 seeds1 number seeds2": "mpoc-draw",
    "bytes0 chain participant bytes1 node epoch segment": "leaf-nonce"}

def vector_seed(function, given):
    if function == "segment" and given["segment"] == 1:
        return given["seeds"][0]  # W-5
    values = {"seeds": [], "bytes": []} | given | {"matrix": ord(given.get("matrix", "A"))}
    parts = []
    for name in next(names for names, of in SEED_PARTS.items() if function in of.split()).split():
        v = values.get(name.rstrip("012"), "" if name in TEXTS else 0)
        v = v[int(name[-1])] if name[-1] in "012" else v
        parts += v if isinstance(v, list) else [v]
    return derive(function, *parts)[: 8 if function == "middle" else 32]

def vector_transformer(class_name, seed1, node_seed, segment_seed, nonce):
    need(sha256(struct.pack("<256H", *POWERS)).hex() == POWERS_HASH, "table", "T of W-15 differs")
    gives = unit(class_name, seed1, node_seed, segment_seed, nonce)
    return dict(zip(("norm", "digest", "middle"), gives))

def vector_states(class_name, seed1, node_seed, segment_seed, nonce):
    states, names = [], ("x", "q", "k", "v", "a", "h", "x2", "g", "u", "z", "h2")
    _, digest, _ = unit(class_name, seed1, node_seed, segment_seed, nonce, states)
    states = [[sha256(*(struct.pack("<i", v) for row in rows for v in row)) for rows in state]
              for state in states]
    layers = [dict(zip(names, state)) for state in states[1:]]
    return {"h": states[0][0], "layers": layers, "digest": digest}

def vector_step(step, given):
    four = {name: [v[i : i + len(v) // 4] for i in range(0, len(v), len(v) // 4)]
            for name, v in given.items() if isinstance(v, list) and len(v) % 4 == 0}
    if step == "norm":
        return [v for row in four["h"] for v in norm(row)]
    if step == "attend":
        return [v for row in attend(four["q"], four["key"], four["v"]) for v in row]
    if step == "gate":
        return gate(given["g"], given["u"], CLASSES[given["class"]][3])
    return call({"requant": requant, "residual": residual}[step], given)

def vector_leaf(file):
    names = ("class", "node", "index", "norm", "digest")
    leaf = bytes.fromhex(file)
    return dict(zip(names, read_leaf(leaf))) | {"hash": leaf_hash(leaf)}

def vector_statement(ed25519_seed, given):
    two, one = statement(given), statement(given, 1)
    key, signature = sign(ed25519_seed, two)
    return {"message": two, "key": key, "signature": signature, "message_1": one,
            "signature_1": sign(ed25519_seed, one)[1]}

def vector_archive(archive, commits, index, path, given):
    leaf = archive_leaf(given)
    check_inclusion(archive, commits, index, leaf_hash(leaf), path)
    return {"leaf": leaf, "hash": leaf_hash(leaf)}

def vector_powers(count, bound, old, target, given):
    if "count" in given:
        return {"credited": credited(count, bound)}
    old, target = ({p["id"]: int(p["weight"]) for p in shares or []} for shares in (old, target))
    return {"powers": [{"id": name, "weight": p} for name, p in powers(old, target).items()]}

def shape_for(n):  # M-3, for a device of n operations a second
    ops = [2 * math.prod(map(int, s.split("x"))) for s in SHAPES]
    at = max([0] + [j for j, o in enumerate(ops) if n * 20 >= 2000 * o])
    seconds = 60 if n * 20 < 2000 * ops[0] else 10 if n * 20 > 100_000 * ops[-1] else 20
    loops = min(100_000, n * seconds // ops[at])
    return {"value": loops, "shape": SHAPES[at], "duration_ms": 1000 * seconds}

FUNCTIONS = {  # by `function`: what `out` names the value, and what computes it
    "tail": ("value", tail), "threshold": ("value", threshold), "upper": ("value", upper),
    "detection": ("value", detection), "sequential": ("decision", sequential),
    "k": ("value", picks_for), "caught": ("value", caught),
    "adaptive": ("value", lambda n, x, count: full_audit(n, x, count)),
    "stratified": ("drawn", lambda seed, n, count: stratified(seed, n, count)),
    "distinct": ("drawn", lambda seed, n, count: distinct(seed, n, count))}

def vector_function(function, n, given):
    if function == "shape":
        return shape_for(n)
    name, compute = FUNCTIONS[function]
    v = call(compute, given)
    return {name: v, "text": q64_text(v) if name == "value" else ""}

def vector_draw(function, given):
    named = {"picks": picks, "shuffle": shuffle, "lottery": lottery}
    return call(named.get(function, slots_of if "index" in given else draw), given)

def vector_state(file):
    d = read(file.encode())
    need("state" in d, "state", "the file shows no state")
    return dict(zip(("block", "height"), check_state(d)))

def vector_delivery(host_ed25519_seed, device_ed25519_seed, order, samples, first, records):
    host, device = (sign(secret, b"")[0] for secret in (host_ed25519_seed, device_ed25519_seed))
    order = fit("order", order) | {"host_key": host, "device_key": device}
    names = "chain", "participant", "device_key", "node", "epoch", "segment"
    nonce = derive("leaf-nonce", host_ed25519_seed, *(order[n] for n in names))
    order["audit"] = derive("leaf-audit", nonce, samples)
    count, pages = len(records) // 40, range(0, len(records), 1280)
    root = tree(leaf_hash(records[p : p + 1280]) for p in pages)
    signed = batch_message(order, {"first": first, "count": count, "root": root})
    signature = sign(device_ed25519_seed, signed)[1]
    return {"nonce": nonce, "audit": order["audit"], "root": root, "message": signed,
            "device_signature": signature,
            "host_signature": sign(host_ed25519_seed, acknowledgement(signed))[1],
            "questions": asked(nonce, samples, signature, first + count)}

def vector_mpoc(host_ed25519_seed, device_ed25519_seed, terms, commit, draw, index, digest):
    t, c, d = fit("terms", terms), fit("commit", commit), fit("draw", draw)
    check_terms(t)
    check_commit(t, c)
    need(follows(t, d), "draw", "the draw does not follow")
    audit, leaf, out = Audit(t, c, d), loop_leaf(t, index, digest), {}
    for name, signed, secret in (("terms", loop_message(t), host_ed25519_seed),
                                 ("commit", loop_message(t, c), device_ed25519_seed),
                                 ("draw", loop_message(t, c, d), host_ed25519_seed)):
        out |= {name + "_message": signed, name + "_signature": sign(secret, signed)[1]}
    first, second = ([{"index": i, "tile": j} for i, j in audit.picks(n, n + 1)] for n in (0, 1))
    return out | {"leaf": leaf, "leaf_hash": leaf_hash(leaf), "full": audit.full,
                  "samples": audit.samples, "whole": sorted(audit.whole), "picks": first,
                  "picks_of_round_1": second, "message_of_a_proof_without_openings":
                  proof_message(t, c, d["host_nonce"], 0, [], [])}

def vector_document(file):
    return check(read(file.encode()))

def vector_transfer(host_ed25519_seed, transfer, file):
    if not file:
        need(transfer["version"] == "assay-mpoc-transfer/1", "file", "this is another version")
        signed = transfer_message(fit(transfer["version"], transfer))
        transfer["host_signature"] = "0x" + sign(host_ed25519_seed, signed)[1].hex()
        file = json.dumps(transfer, indent=2, ensure_ascii=False) + "\n"
    return check(read(file.encode())) | {"file": file}

VECTORS = {  # by the name of the file
    "seed": vector_seed, "prf": stream, "condense": condense, "transformer": vector_transformer,
    "matmul": lambda challenge, unit, m, k, q, tile: {
        "digest": matmul_digest(challenge, unit, (m, k, q), tile)},
    "transformer_steps": vector_step, "transformer_states": vector_states,
    "transformer_small": vector_transformer, "transformer_base": vector_transformer,
    "leaf": vector_leaf, "statement": vector_statement,
    "signature": lambda key, message, signature: {"valid": valid(key, message, signature)},
    "archive": vector_archive, "inclusion": check_inclusion, "consistency": check_consistency,
    "multi": check_multi, "draw": vector_draw, "statistics": vector_function,
    "powers": vector_powers, "mpoc_audit": vector_function,
    "spelling": lambda file, spaces: read(bytes.fromhex(file) + b" " * spaces) and None,
    "evidence": vector_document, "evidence_state": vector_state, "left_out": vector_document,
    "delivery": vector_delivery, "delivery_files": vector_document, "mpoc": vector_mpoc,
    "mpoc_files": vector_document, "mpoc_transfer": vector_transfer}
LONG = {"transformer_small", "transformer_base"}  # of a folder, with --full: minutes

def value_of(name, v):
    """A value of `in`: hex becomes bytes, an integer may stand in quotes, a list may be null."""
    if isinstance(v, list) or v is None:
        return [value_of(name, i) for i in v or []]
    if not isinstance(v, str) or name in TEXTS:
        return v
    return int(v) if name in NUMBERS else bytes.fromhex(v.removeprefix("0x"))

def call(function, given):
    """Calls with what the case gives under the names of the parameters; `given` is all of it."""
    given = given | {"given": given, "class_name": given.get("class")}
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    return function(*(given.get(name, 0) for name in names))

def plain(v):
    """A value as vectors write it, without what they may write in two ways."""
    if isinstance(v, (list, tuple, type(None))):
        return [plain(i) for i in v or ()]
    if isinstance(v, dict):
        return {name: plain(i) for name, i in v.items()}
    v = v.hex() if isinstance(v, bytes) else v
    return v if isinstance(v, bool) else str(v).removeprefix("0x")

def check_case(file, case):
    """"" where a case holds, else why not."""
    given, want = case["in"], case["out"]
    given = given if isinstance(given, dict) else {"file": given}
    kind = want.get("error", "") if isinstance(want, dict) else ""
    try:
        got = call(VECTORS[file], {name: value_of(name, v) for name, v in given.items()})
    except Refused as e:
        return "" if e.kind == kind else f"refused as {e.kind!r} ({e}), not {kind!r}"
    if isinstance(want, dict):  # the error is compared apart, and a reason is for people
        want = {name: v for name, v in want.items() if name not in ("error", "reason")}
        got = {name: v for name, v in (got or {}).items() if name in want}
    if kind:
        return f"accepted, not refused as {kind!r}"
    return "" if plain(got) == plain(want) else f"gives {plain(got)}, not {want}"[:600]

def vectors(paths, full):
    """Checks files of vectors, or a folder of them, and returns the exit code."""
    if len(paths) == 1 and os.path.isdir(paths[0]):
        names = [name for name in VECTORS if full or name not in LONG]
        paths = [os.path.join(paths[0], name + ".json") for name in names]
    ok = failed = 0
    for path in paths:
        name, about, start = os.path.basename(path).removesuffix(".json"), "", time.monotonic()
        try:
            with open(path, "rb") as f:
                document = json.load(f)
            why = {case["name"]: check_case(name, case) for case in document["cases"]}
            about = document["about"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
            why = {type(e).__name__: str(e)}
        wrong = {case: reason for case, reason in why.items() if reason}
        for case, reason in wrong.items():
            print(f"FAILED {path}: {case}: {reason}")
        ok, failed, took = ok + len(why) - len(wrong), failed + len(wrong), time.monotonic() - start
        print(f"{path}: {len(why) - len(wrong)} ok, {len(wrong)} failed, {took:.1f} s: {about}")
    print(f"{ok} ok, {failed} failed")
    return 1 if failed or not ok else 0

def main(args):
    """Runs a command line and returns the exit code."""
    full, trust = "--full" in args, None
    command, *args = [a for a in args if a != "--full"] or [""]
    if command == "verify" and "--trust" in args[:-1]:
        at = args.index("--trust")
        trust, args = args[at + 1], args[:at] + args[at + 2 :]
        if not re.fullmatch("[0-9a-fA-F]{64}", trust):
            print("--trust wants the hash of a block, 64 hex digits", file=sys.stderr)
            return 1
        trust = bytes.fromhex(trust)
    if command not in ("verify", "vectors") or not args or args[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 1
    return vectors(args, full) if command == "vectors" else verify(args, trust, full)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
