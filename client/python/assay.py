#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A verifier of Assay in one file, written from docs/spec alone; the standard library is all it needs (Python 3.10).

    python3 assay.py vectors DIR|FILE...     check this file against the published vectors (test/vectors)
    python3 assay.py verify [--trust BLOCKHASH] [--full] FILE...     check documents, offline

Comments name the rules of docs/spec that a part implements. Large computations work on lanes: one Python integer
holds a number of each of n places at a fixed distance, so that one addition or multiplication acts on all n.
"""
import hashlib
import json
import math
import os
import re
import struct
import sys
import time
from collections import Counter
from decimal import Decimal
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
    """Refuses with `kind` and `why` unless `holds`."""
    if not holds:
        raise Refused(kind, why)

# Seeds, messages, streams: W-3 to W-7, C-10

def sha256(*parts):
    """SHA-256 over the parts joined."""
    return hashlib.sha256(b"".join(parts)).digest()

def message(tag, *fields):
    """spec C-10: the tag and the fields, each behind its length; integers are LE64."""
    out = []
    for f in (tag, *fields):
        b = f.to_bytes(8, "little") if isinstance(f, int) else f.encode() if isinstance(f, str) else f
        out += [len(b).to_bytes(4, "little"), b]
    return b"".join(out)

def seed(name, *parts):
    """spec W-3: the named seed of W-4."""
    return sha256(message("assay/1/" + name, *parts))

def spread(n, value, bits=64):
    """n lanes that all hold the value."""
    return int.from_bytes(value.to_bytes(bits // 8, "little") * n, "little")

def lanes(values):
    """Lanes of 64 bits, from unsigned integers."""
    return int.from_bytes(struct.pack(f"<{len(values)}Q", *values), "little")

QUARTERS = [(i, i + 4, i + 8, i + 12) for i in range(4)] + [(i, (i + 1) % 4 + 4, (i + 2) % 4 + 8, (i + 3) % 4 + 12) for i in range(4)]

def blocks(key, places):
    """The 64-byte ChaCha8 blocks at a list of (counter, nonce), joined (W-6). Lane p of word i belongs to block p."""
    if len(places) > 2048:  # as many as stay in a processor's cache
        return b"".join(blocks(key, places[i : i + 2048]) for i in range(0, len(places), 2048))
    n, low = len(places), 0xFFFFFFFF
    mask = spread(n, low)
    start = [spread(n, w) for w in (0x61707865, 0x3320646E, 0x79622D32, 0x6B206574, *struct.unpack("<8I", key))]
    for which in (0, 1):
        start += [lanes([p[which] & low for p in places]), lanes([p[which] >> 32 for p in places])]
    x = list(start)
    for _ in range(4):
        for a, b, c, d in QUARTERS:
            for first, second, third, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                x[first] = (x[first] + x[second]) & mask
                w = x[third] ^ x[first]
                x[third] = ((w << turn) | (w >> (32 - turn))) & mask
    out = bytearray(64 * n)
    for i in range(16):
        word = ((x[i] + start[i]) & mask).to_bytes(8 * n, "little")
        for j in range(4):
            out[4 * i + j :: 64] = word[j::8]
    return bytes(out)

def stream(key, nonce, offset, length):
    """`length` bytes of stream (key, nonce) from `offset` on."""
    first = offset // 64
    return blocks(key, [(c, nonce) for c in range(first, -(-(offset + length) // 64))])[offset - 64 * first :][:length]

def fmix(h, mask):
    """fmix32 of W-7 in every lane of 64 bits; mask has 32 ones a lane."""
    h = ((h ^ (h >> 16) & mask) * 0x85EBCA6B) & mask
    h = ((h ^ (h >> 13) & mask) * 0xC2B2AE35) & mask
    return h ^ (h >> 16) & mask

def condense(results, position):
    """spec W-7: 64 int32 results, the first at `position`, to a word."""
    return sum(fmix((c + (position + i) * 0x9E3779B9) & 0xFFFFFFFF, 0xFFFFFFFF) for i, c in enumerate(results)) & 0xFFFFFFFF

# transformer/1: W-9 to W-17

CLASSES = {"nano": (1, 256, 4, 7), "small": (2, 1024, 8, 7), "base": (3, 2048, 16, 6), "large": (4, 4096, 32, 7)}  # id, d, layers, gate shift
POWERS = [round(65535 * 2 ** (-i / 256)) for i in range(256)]  # T of W-15, whose hash the rule gives: vectors checks it
POWERS_HASH = "e9b52e382473980ceff474030fed00b7f37aaf629884652565575d696aaded9d"
WEIGHT = bytes(128 if b == 128 else b ^ 128 for b in range(256))  # int8 + 128, with -128 read as 0 (W-10)

def clamp(x, c):
    return min(max(x, -c), c)

def rsh(x, s):
    return (x + (1 << (s - 1))) >> s

def recip(r):
    """spec W-13: a reciprocal and its exponent."""
    e = r.bit_length()
    return min((1 << (30 + e)) // r, 2**31 - 1), e

def rq(x, inv, s):
    return clamp(rsh(x * inv, s), 127)

def shift(k):
    """spec W-9: the shift of a product over k inputs, a power of two."""
    return 6 + k.bit_length() // 2

def matrix(key, nonce, rows, cols):
    """A matrix's weights, row by row, as int8 + 128."""
    return stream(key, nonce, 0, rows * cols).translate(WEIGHT)

kept_matrix = lru_cache(maxsize=28)(matrix)  # a nano model

def product(weights, vectors):
    """W x for each vector x. Column c of W is one integer of lanes of 32 bits, times x[c]; at the end 2^31 a lane
    makes all sums positive and 128 * sum of x is taken off again. Sums stay below 2^30 (255 * 127 * 2^14)."""
    cols = len(vectors[0])
    rows = len(weights) // cols
    sums, column = [0] * len(vectors), bytearray(4 * rows)
    for c in range(cols):
        column[::4] = weights[c::cols]
        packed = int.from_bytes(column, "little")
        for t, x in enumerate(vectors):
            sums[t] += packed * x[c]
    bias, results = spread(rows, 2**31, 32), []
    for s, x in zip(sums, vectors):
        less = 2**31 + 128 * sum(x)
        results.append([v - less for v in struct.unpack(f"<{rows}I", (s + bias).to_bytes(4 * rows, "little"))])
    return results

def norm(h):
    """spec W-13, for one position."""
    r = max(1, math.isqrt(sum(v * v for v in h) >> (len(h).bit_length() - 1) << 16))
    inv, e = recip(r)
    return [rq(v, inv, 17 + e) for v in h]

def requant(sums, k):
    s = shift(k)
    return [[clamp(rsh(a, s), 127) for a in row] for row in sums]

def residual(h, sums, k):
    s = shift(k) - 9
    return [[clamp(v + rsh(a, s), 2**23 - 1) for v, a in zip(*rows)] for rows in zip(h, sums)]

def exponential(z):
    """E of W-15."""
    n = min(z >> 4, 4095)
    return POWERS[n % 256] >> (n // 256)

def attend(q, k, v):
    """spec W-15."""
    out = [[] for _ in q]
    for n in range(0, len(q[0]), 64):
        head = slice(n, n + 64)
        for i in range(len(q)):
            logits = [sum(map(int.__mul__, q[i][head], k[j][head])) for j in range(i + 1)]
            m = max(0, *logits)
            w = [exponential(m - a) for a in logits]
            inv, b = recip(exponential(m) + sum(w))
            out[i] += [rq(sum(map(int.__mul__, w, column)), inv, 30 + b) for column in zip(*(v[j][head] for j in range(i + 1)))]
    return out

def gate(g, u, s):
    """spec W-16, for one position."""
    return [clamp(rsh(max(a, 4 * a) * b, s), 127) for a, b in zip(g, u)]

def digest(tag, class_id, h):
    """spec W-17: the digest over all four positions."""
    flat = [v for row in h for v in row]
    return sha256(tag, bytes([class_id]), b"".join(struct.pack("<I", condense(flat[p : p + 64], p)) for p in range(0, len(flat), 64)))

def unit(class_name, seed1, node_seed, segment_seed, nonce):
    """(norm, digest, middle) of a unit of transformer/1."""
    class_id, d, layers, gate_shift = CLASSES[class_name]
    weights = seed("xf/weights", seed1, class_name)
    tokens = struct.unpack("<4Q", seed("input", node_seed, segment_seed, nonce))
    embed = seed("xf/embed", seed1, class_name)
    h = [[256 * (b - 128) for b in stream(embed, token, t * d, d).translate(WEIGHT)] for t, token in enumerate(tokens)]
    for layer in range(layers):
        if layer == layers - 1:
            middle = digest(b"assay/1/xf/middle", class_id, h)

        def times(m, x, rows=d):
            return product((kept_matrix if class_name == "nano" else matrix)(weights, 8 * layer + m, rows, len(x[0])), x)

        x = [norm(row) for row in h]
        q, k, v = (requant(times(m, x), d) for m in (0, 1, 2))
        h = residual(h, times(3, attend(q, k, v)), d)
        x = [norm(row) for row in h]
        g, u = (requant(times(m, x, 4 * d), d) for m in (4, 5))
        h = residual(h, times(6, [gate(*rows, gate_shift) for rows in zip(g, u)]), 4 * d)
    return sum(v * v for v in h[3]), digest(b"assay/1/xf/digest", class_id, h), middle

# matmul/1: W-18 to W-20

def check_shape(m, k, q):
    for n, most in ((m, 2**15), (k, 2**16), (q, 2**15)):
        need(n % 64 == 0 and 256 <= n <= most, "shape", f"{m}x{k}x{q} has a side that is no multiple of 64 from 256 to {most}")
    need(m * q >= 2**18, "shape", f"{m}x{k}x{q} has fewer than 2^18 results")

def operand(challenge, number, which, nonces, k):
    """Rows of A or columns of B as bytes, int8 as they are."""
    key = seed("matmul", challenge, number, which)
    data = blocks(key, [(c, nonce) for nonce in nonces for c in range(k // 64)])
    return [data[i : i + k] for i in range(0, len(data), k)]

def tile_digests(challenge, number, shape, tile_rows, tile_cols):
    """Digests of the tiles in these rows and columns of tiles, row by row. Lane r holds result r of a column of C: of
    32 bits while it is summed, where 2^31 keeps all in range (255 * 128 * 2^16 < 2^31), of 64 to condense."""
    k = shape[1]
    a = b"".join(operand(challenge, number, 65, [64 * i + y for i in tile_rows for y in range(64)], k))
    n = len(a) // k
    mask, bias, digests, spaced, wide = spread(n, 0xFFFFFFFF), spread(n, 2**31, 32), {}, bytearray(4 * n), bytearray(8 * n)
    a = a.translate(bytes(b ^ 128 for b in range(256)))
    columns = []
    for c in range(k):
        spaced[::4] = a[c::k]
        columns.append(int.from_bytes(spaced, "little"))
    for j in tile_cols:
        words = 0
        for p, b in enumerate(operand(challenge, number, 66, range(64 * j, 64 * j + 64), k)):
            b = struct.unpack(f"{k}b", b)
            c = (sum(map(int.__mul__, columns, b)) + bias).to_bytes(4 * n, "little")
            for i in range(4):
                wide[i::8] = c[i::4]
            c = int.from_bytes(wide, "little") + spread(n, (p * 0x9E3779B9 - 128 * sum(b) - 2**31) % 2**32)
            words += fmix(c & mask, mask)
        words = (words & mask).to_bytes(8 * n, "little")
        words = b"".join(words[i : i + 4] for i in range(0, 8 * n, 8))
        for i in range(n // 64):
            digests[i, j] = sha256(words[256 * i : 256 * i + 256])
    return [digests[i, j] for i in range(n // 64) for j in tile_cols]

def tile_digest(challenge, number, shape, i, j):
    """The digest of tile (i, j)."""
    check_shape(*shape)
    need(0 <= i < shape[0] // 64 and 0 <= j < shape[2] // 64, "tile", f"tile ({i}, {j}) is not in a unit of {shape}")
    return tile_digests(challenge, number, shape, [i], [j])[0]

def unit_digest(challenge, number, shape):
    """The digest of a unit of matmul/1."""
    check_shape(*shape)
    return tree([leaf_hash(t) for t in tile_digests(challenge, number, shape, range(shape[0] // 64), range(shape[2] // 64))])

# Trees: C-1 to C-5

def leaf_hash(data):
    return sha256(b"\0", data)

def node_hash(left, right):
    return sha256(b"\1", left, right)

def tree(hashes):
    """The root over leaf hashes; what has no neighbour on a level rises as it is, which is RFC 6962's split."""
    while len(hashes) > 1:
        hashes = [node_hash(*hashes[i : i + 2]) if i + 1 < len(hashes) else hashes[i] for i in range(0, len(hashes), 2)]
    return hashes[0] if hashes else sha256()

def check_inclusion(root, size, index, leaf, path):
    """spec C-2."""
    need(0 < size <= MAX_LEAVES and 0 <= index < size, "size", f"there is no leaf {index} in a tree of {size}")
    fn, sn, h, path = index, size - 1, leaf, list(path)
    while sn > 0:
        if fn % 2 or fn != sn:
            need(path, "proof", "the path is too short")
            p = path.pop(0)
            h = node_hash(p, h) if fn % 2 else node_hash(h, p)
        fn, sn = fn // 2, sn // 2
    need(not path and h == root, "proof", "the path does not lead to the root")

def check_consistency(old_root, old, root, size, proof):
    """spec C-3."""
    need(0 <= old <= size <= MAX_LEAVES, "size", f"a log of {size} does not begin with one of {old}")
    if old in (0, size):
        need(not proof and old_root == (root if old else sha256()), "proof", "the roots are not those of these sizes")
        return
    fn, sn, proof = old - 1, size - 1, list(proof)
    while fn % 2:
        fn, sn = fn // 2, sn // 2
    need(proof, "proof", "the proof is too short")
    fr = sr = old_root if old & (old - 1) == 0 else proof.pop(0)
    while sn > 0:
        if fn % 2 or fn != sn:
            need(proof, "proof", "the proof is too short")
            p = proof.pop(0)
            fr, sr = (node_hash(p, fr), node_hash(p, sr)) if fn % 2 else (fr, node_hash(sr, p))
        fn, sn = fn // 2, sn // 2
    need(not proof and (fr, sr) == (old_root, root), "proof", "the proof does not lead to both roots")

def check_multi(root, size, indices, leaves, proof):
    """spec C-4, C-5."""
    k = len(indices)
    need(0 < size <= MAX_LEAVES and k and indices[-1] < size and all(a < b for a, b in zip(indices, indices[1:])),
         "size", "the indices do not rise within the tree")
    bound = min(sum(min(2**level, k) for level in range((size - 1).bit_length())) - (k - 1), size - k)
    need(len(leaves) == k and len(proof) <= bound, "proof", f"{k} leaves of {size} take at most {bound} hashes")
    opened, rest = dict(zip(indices, leaves)), iter(proof)

    def walk(first, count, inside):
        if not inside:
            h = next(rest, None)
            need(h, "proof", "the proof is too short")
            return h
        if count == 1:
            return opened[first]
        left = 1 << ((count - 1).bit_length() - 1)
        here, there = ([i for i in inside if (i < first + left) == side] for side in (True, False))
        return node_hash(walk(first, left, here), walk(first + left, count - left, there))

    need(walk(0, size, indices) == root and next(rest, None) is None, "proof", "the proof does not lead to the root")

# Ed25519: C-15

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SMALL = {1, P - 1, 0} | {int.from_bytes(bytes.fromhex(y), "little") for y in (
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")}

def decode_point(b):
    """The point of a canonical encoding (RFC 8032, 5.1.3) as (x, y, 1, x * y), or None."""
    y = int.from_bytes(b, "little") & (2**255 - 1)
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if (v * x * x - u) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (v * x * x - u) % P or (x == 0 and b[31] >> 7):
        return None
    x = P - x if x % 2 != b[31] >> 7 else x
    return x, y, 1, x * y % P

def encode_point(p):
    x, y = (c * pow(p[2], -1, P) % P for c in p[:2])
    return (y | (x % 2) << 255).to_bytes(32, "little")

def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * D * p[3] * q[3] % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P

def two_products(s, p, k, q):
    """[s]p + [k]q."""
    both, out = {1: p, 2: q, 3: add(p, q)}, (0, 1, 1, 0)
    for i in range(255, -1, -1):
        out = add(out, out)
        which = (s >> i & 1) | (k >> i & 1) << 1
        out = add(out, both[which]) if which else out
    return out

BASE = decode_point(bytes.fromhex("58" + "66" * 31))

def scalar(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % L

def valid(key, msg, signature):
    """spec C-15: whether the signature holds."""
    if len(key) != 32 or len(signature) != 64 or int.from_bytes(key, "little") & (2**255 - 1) in SMALL:
        return False
    a, s = decode_point(key), int.from_bytes(signature[32:], "little")
    if a is None or s >= L:
        return False
    minus_a = P - a[0], a[1], 1, P - a[3]
    return encode_point(two_products(s, BASE, scalar(signature[:32], key, msg), minus_a)) == signature[:32]

def sign(secret, msg):
    """(key, signature) of RFC 8032, for the vectors."""
    h = hashlib.sha512(secret).digest()
    a = int.from_bytes(h[:32], "little") & (2**254 - 8) | 2**254
    key = encode_point(two_products(a, BASE, 0, BASE))
    r = scalar(h[32:], msg)
    first = encode_point(two_products(r, BASE, 0, BASE))
    return key, first + ((r + scalar(first, key, msg) * a) % L).to_bytes(32, "little")

def check_signature(key, msg, signature, whose, kind="signature"):
    need(valid(key, msg, signature), kind, f"the signature is not {whose}'s over this")

# Audit

def words(key):
    """spec A-1: the LE64 words of stream (key, 0)."""
    for c in range(2**58):
        yield from struct.unpack("<8Q", blocks(key, [(c, 0)]))

def below(n, source):
    """spec A-1: the next uniform number below n."""
    return next(w for w in source if w < 2**64 - 2**64 % n) % n

def draw(key, total, n):
    """spec A-2."""
    source, taken = words(key), set()
    if n >= total:
        return list(range(total))
    for j in range(total - n, total):
        t = below(j + 1, source)
        taken.add(j if t in taken else t)
    return sorted(taken)

def stratified(key, total, n):
    """spec A-3."""
    n, source = min(n, total), words(key)
    edges = [j * total // n for j in range(n + 1)] if n else [0]
    return [a + below(b - a, source) for a, b in zip(edges, edges[1:])]

def distinct(key, total, n):
    """spec A-4."""
    source, out = words(key), {}
    while len(out) < min(n, total, 4096):
        out[below(total, source)] = True
    return list(out)

def slots_of(sample, slots, replicas):
    """spec A-6."""
    return sorted((sample * replicas + i) % slots for i in range(min(slots, replicas)))

def is_rate(a, b):
    return 0 <= a <= b != 0

def q64(num, den, up=False):
    """spec A-7: a fraction in units of 2^-64."""
    return min(-(-(num << 64) // den) if up else (num << 64) // den, ONE)

def q64_text(v):
    """spec A-7: a Q64 as text."""
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
        return kept[0] + ("." + kept[1:] if kept[1:] else "") + f"e-{-exponent:02d}"
    return "1" if exponent == 0 else "0." + "0" * (-exponent - 1) + kept

def at_most(n, a, b, x):
    """P[Bin(n, a/b) <= x] times b^n."""
    return (b - a) ** (n - x) * sum(math.comb(n, i) * a**i * (b - a) ** (x - i) for i in range(x + 1))

def tail(n, a, b, x):
    """spec A-8, of the rate a/b."""
    if x > n or x <= 0 or n > 4096 or not is_rate(a, b):
        return 0 if 0 < n < x and n <= 4096 and is_rate(a, b) else ONE
    return q64(b**n - at_most(n, a, b, x - 1), b**n, up=True)

def threshold(n, a, b, c, d):
    """spec A-8: the least x whose tail at the rate a/b is below c/d."""
    if n > 4096 or not is_rate(a, b) or not is_rate(c, d):
        return n + 1
    return next((x for x in range(n + 1) if (b**n - (at_most(n, a, b, x - 1) if x else 0)) * d < c * b**n), n + 1)

def upper(n, c, d, x):
    """spec A-10, for eps = c/d."""
    if x >= n or n > 4096 or not 0 < c < d:
        return ONE
    low, high = 0, ONE  # at high the probability is small enough, at low it is not
    while high - low > 1:
        q = (low + high) // 2
        low, high = (low, q) if at_most(n, q, 2**64, x) * d <= c << 64 * n else (q, high)
    return high

def credited(count, bound):
    """spec A-11."""
    return {0: count, ONE: 0}.get(bound, count * (2**64 - bound) >> 64)

def detection(total, forged, n, t):
    """spec A-12."""
    n = min(n, total)
    if t == 0 or n > 4096 or forged > total:
        return ONE if t == 0 else 0
    missed = sum(math.comb(forged, i) * math.comb(total - forged, n - i) for i in range(min(t, n + 1)))
    return q64(math.comb(total, n) - missed, math.comb(total, n))

def sequential(n, x):
    """spec A-13: "fraud", "faulty" or "continue"."""
    if x > n or n > 4096:
        return "continue"
    num, den = 500**x * 9500 ** (n - x), 9999 ** (n - x)
    return "fraud" if num >= 999_999 * den else "faulty" if num * 999_999 <= den else "continue"

def full_audit(gain, locked, flags):
    """spec A-14, in units of 2^-32."""
    if locked == 0:
        return 2**32
    return min(2**32, -(-max(Fraction(1, 20), Fraction(2 * 4 ** min(flags, 16) * gain, gain + locked)) * 2**32 // 1))

def picks_for(a, b, c, d):
    """spec A-15, for f = a/b and the target c/d."""
    missed, all_ = 1, 1
    for k in range(4097):
        if d * (all_ - missed) >= c * all_:
            return k
        missed, all_ = missed * (b - a), all_ * b
    return 0

# Power: P-3 to P-5

def powers(old, target, cap=Fraction(1, 4), lift=Fraction(6, 5), move=Fraction(1, 10), total=10**6):
    """Voting powers by name, from those before and the weights."""
    whole = sum(target.values())
    own = sorted((Fraction(w, whole) for w in target.values() if w), reverse=True) if whole else []
    if not whole:
        return old
    rest = [sum(own[k:]) for k in range(len(own) + 1)]
    scale = next((s for k in range(len(own)) if (s := (1 - k * cap) / rest[k]) * own[k] <= cap), lift + 1)
    level = cap
    if scale > lift:
        scale = lift
        level = next((v for k in range(1, len(own)) if (v := (1 - lift * rest[k]) / k) >= lift * own[k]), Fraction(1, len(own)))
    share = {name: min(level, scale * Fraction(w, whole)) for name, w in target.items()}
    before = {name: Fraction(p, sum(old.values())) for name, p in old.items()}
    moves = {name: share.get(name, 0) - before.get(name, 0) for name in {*share, *before}}
    moved = sum(map(abs, moves.values())) / 2
    if old:
        share = {name: before.get(name, 0) + m * min(1, move / moved if moved else 1) for name, m in moves.items()}
    exact = {name: s * total for name, s in sorted(share.items())}
    out = {name: math.floor(e) for name, e in exact.items()}
    for name in sorted(exact, key=lambda name: (out[name] - exact[name], name))[: total - sum(out.values())]:
        out[name] += 1
    return {name: p for name, p in out.items() if p}

# Documents: their spelling (F-1 to F-7) and their fields

SHAPES = """512x256x512 512x512x512 512x1024x512 512x2048x512 1024x1024x1024 1024x2048x1024 1024x4096x1024
    1024x4096x2048 2048x4096x2048 2048x4096x4096 4096x4096x4096 4096x4096x8192 8192x4096x8192 8192x8192x8192""".split()  # M-3

FIELDS = {  # name=type, in order; ? is optional, [] a list; u53 is at most 2^53 - 1
    "assay-evidence/2": """version=any claim=any chain=any epoch=u64 class=any seed1=hex32 segment_seed=hex32 participant=any
        node=any segment=u32 nonce=u64 norm=quoted digest=hex32 count=u64 root=hex32 host_key=hex32 signature=hex64
        path=[hex32] archive=archive state?=state note?=any""",
    "archive": "root=hex32 commits=u64 index=u64 path=[hex32]",
    "state": "header=hex1-8192 app=hex1-8192 store=hex1-8192",
    "assay-leaf-receipt/1": "version=any order=order batch=batch device_signature=0x64 host_signature=0x64",
    "order": """chain=text1-64 host_key=0x32 device_key=0x32 participant=text1-128 epoch=u64 node=node class=text1-64
        seed1=0x32 segment=u32 segment_seed=0x32 audit=0x32""",
    "batch": "first=u64 count=u64 root=0x32",
    "signed batch": "batch=batch signature=0x64",
    "assay-leaf-evidence/1": """version=any claim=any order=order samples=u32 nonce=0x32 last=signed_batch wrong=[wrong]
        note?=text0-256""",
    "wrong": "leaf=u64 in=signed_batch page=hex0-1280 path=[0x32]",
    "assay-left-out/3": """version=any shows=any epoch=u64 node=any segment=u32 leaf=u64 got=hex32 want=hex32 wrong=u64
        checked=u64 samples=u64 reason=any evidence?=assay-leaf-evidence/1 hidden?=any sha256?=hex32""",
    "terms": """chain=text1-64 host_key=0x32 device_key=0x32 challenge_id=0x32 seed=0x32 fresh=0x32 kernel=any shape=shape
        duration_ms=u64 issued=u53 expiry=u53 host_nonce_hash=0x32 whole=u32 picks=u32 light=u32 max_loops=u64
        pay_per_tebiop=amount unlock_after=u32 ban_after=u32 forfeits=any""",
    "commit": "loops=u64 compute_time=seconds merkle_root=0x32",
    "draw": "host_nonce=0x32 audit_q32=u64 deadline=u53",
    "outcome": """status=any rounds=u32 checked=u64 bad_share_q64=quoted credited_loops=u64 ops=quoted pay=amount
        detection=text1-20""",
    "sample": "index=u64 leaf=0x32 digest=0x32 proof=[0x32]",
    "tile": "index=u64 tile=u64 leaf=0x32 digest=0x32 proof=[0x32] tile_digest=0x32 tile_proof=[0x32]",
    "assay-mpoc-receipt/1": """version=any terms=terms terms_signature=0x64 commit=commit commit_signature=0x64 draw?=draw
        outcome=outcome reason=text0-200 committed=u53 proved=u53 entry=u53 wrong_samples?=[sample] wrong_tiles?=[tile]
        host_signature=0x64 device_signature?=0x64""",
    "signed_terms": "terms=terms signature=0x64",
    "signed_commit": "commit=commit signature=0x64",
    "signed_draw": "draw=draw signature=0x64",
    "assay-mpoc-evidence/1": """version=any claim=any terms?=signed_terms other_terms?=signed_terms commit?=signed_commit
        other_commit?=signed_commit draw?=signed_draw other_draw?=signed_draw sample?=sample tile?=tile
        receipt?=assay-mpoc-receipt/1 other_receipt?=assay-mpoc-receipt/1 note?=text0-200""",
    "assay-mpoc-transfer/1": """version=any chain=text1-64 host_key=0x32 device_key=0x32 payout=text1-90 amount=amount
        tx_hash=txhash time=u53 host_signature=0x64""",
}
FIELDS["signed_batch"] = FIELDS.pop("signed batch")
FIELDS["assay-evidence/1"] = FIELDS["assay-evidence/2"].replace("archive=archive state?=state ", "")
LIMITS = {"evidence": 65536, "leaf": 524288, "left": 1048576, "mpoc": 1048576}  # F-5, by the second word of the version
ESCAPES = {i: f"\\u{i:04x}" for i in [*range(32), 0x2028, 0x2029]} | dict(zip(b'"\\\b\f\n\r\t', ('\\"', "\\\\", "\\b", "\\f", "\\n", "\\r", "\\t")))

class Object(dict):
    """A JSON object that keeps its keys as they were written, repeated ones too."""

    def __init__(self, pairs):
        super().__init__(pairs)
        self.pairs = pairs

def spell(v, pad=None):
    """The one spelling of a JSON value: without white space, or as programs write it for pad = ""."""
    line, inner = ("", None) if pad is None else ("\n" + pad, pad + "  ")
    if isinstance(v, str):
        return '"' + v.translate(ESCAPES) + '"'
    if isinstance(v, Decimal):
        return f"{v:f}".rstrip("0").rstrip(".")
    if not isinstance(v, (list, Object)):
        return json.dumps(v)
    items = [spell(i, inner) for i in v] if isinstance(v, list) else [spell(k) + (":" if pad is None else ": ") + spell(i, inner) for k, i in v.pairs]
    first, last = "[]" if isinstance(v, list) else "{}"
    return first + ",".join((line and line + "  ") + i for i in items) + (line if items else "") + last

def parse(data):
    """JSON as Object, list, str, int and Decimal."""
    return json.loads(data.decode(), object_pairs_hook=Object, parse_float=Decimal, parse_constant=lambda name: need(False, "file", name))

def fit(kind, v):
    """A JSON value as one of a type of FIELDS, or of its scalars (F-3, F-6); hex becomes bytes, seconds milliseconds."""
    if kind[0] == "[":
        need(type(v) is list, "file", "a list is missing")
        return [fit(kind[1:-1], i) for i in v]
    if kind in FIELDS:
        need(isinstance(v, Object), "file", "an object is missing")
        out, rest = {}, list(v.pairs)
        for name, of in (f.split("=") for f in FIELDS[kind].split()):
            if rest and rest[0][0] == name.rstrip("?"):
                value = rest.pop(0)[1]
                need(name[-1] != "?" or value not in ("", [], None), "file", f"{name[:-1]} is present and empty")
                out[name.rstrip("?")] = fit(of, value)
            else:
                need(name[-1] == "?", "file", f"{name} is not where it belongs")
        need(not rest, "file", f"{rest and rest[0][0]} does not belong there")
        return out
    text, number = v if type(v) is str else "", v if type(v) is int else -1
    what, low, high = re.fullmatch(r"(hex|0x|text|u|[a-z]+)(\d*)-?(\d*)", kind).groups()
    low, high = int(low or 0), int(high or low or 0)
    if what == "any":
        good, out = type(v) is str, v
    elif what == "u":
        good, out = 0 <= number < 2**low, number
    elif what in ("quoted", "amount"):
        good = re.fullmatch("0|[1-9][0-9]{0,38}", text) and int(text) < (2**64 if what == "quoted" else 2**128)
        out = int(text) if good else 0
    elif what in ("hex", "0x"):
        good = re.fullmatch(("0x" if what == "0x" else "") + "((?:[0-9a-f]{2}){%d,%d})" % (low, high), text)
        out = bytes.fromhex(good[1]) if good else b""
    elif what == "seconds":
        good = type(v) in (int, Decimal) and 0 <= v * 1000 < 10**9 and v * 1000 == int(v * 1000)
        out = int(v * 1000) if good else 0
    else:
        pattern = {"text": "[ -~]{%d,%d}" % (low, high), "node": "[a-z0-9-]{1,32}", "txhash": "[0-9A-F]{64}", "shape": "|".join(SHAPES)}[what]
        good = re.fullmatch(pattern, text) if type(v) is str else None
        out = tuple(map(int, text.split("x"))) if good and what == "shape" else text
    need(good, "file", f"{spell(v)[:60]} is no {kind}")
    return out

def read(data):
    """The fields of a document in its one spelling."""
    need(len(data) <= max(LIMITS.values()), "file", "the file is too large")
    try:
        raw = parse(data)
        bare = re.sub(rb'("(?:[^"\\]|\\.)*")|[ \t\r\n]+', rb"\1", data)
        need(spell(raw).encode() == bare, "file", "the file is not written in the one spelling")
    except (ValueError, RecursionError) as e:
        raise Refused("file", f"the file is no JSON in UTF-8: {e}") from None
    version = raw.get("version") if isinstance(raw, Object) else None
    need(type(version) is str and version.startswith("assay-") and version in FIELDS, "file", f"version {version!r} is not known")
    need(len(data) <= LIMITS[version.split("-")[1].split("/")[0]], "file", "the file is too large for its kind")
    return fit(version, raw) | {"raw": raw}

# Commitments: C-7 to C-14

def affordable(ops, full):
    """spec F-20: measures this machine where a recomputation of so many operations may take long."""
    if not full and ops > 2**28:
        start = time.monotonic()
        unit("nano", *[bytes(32)] * 3, 0)
        seconds = (time.monotonic() - start) * ops / 2**25
        if seconds > 10:
            raise Costly(f"recomputing takes about {seconds:.0f} s; --full does it all the same")

def recompute(class_name, full, *where):
    """The unit at (seed1, Node_Seed, segment_seed, nonce)."""
    affordable(128 * CLASSES[class_name][1] ** 2 * CLASSES[class_name][2], full)
    return unit(class_name, *where)

def is_node(name):
    return re.fullmatch("[a-z0-9-]{1,32}", name) is not None

def unit_leaf(class_id, node, index, norm, digest):
    """spec C-8."""
    need(class_id and is_node(node) and index < MAX_LEAVES, "leaf", "node or index is none of a leaf")
    return bytes([1, 1, class_id, len(node)]) + node.encode() + struct.pack("<QQ", index, norm) + digest

def read_leaf(b):
    """spec C-8, from bytes to (class id, node, index, norm, digest)."""
    n = b[3] if len(b) > 3 else 0
    need(len(b) == 52 + n, "leaf", "this is no leaf's length")
    fields = b[2], b[4 : 4 + n].decode("latin-1"), *struct.unpack("<QQ", b[4 + n : 20 + n]), b[20 + n :]
    need(unit_leaf(*fields) == b, "leaf", "this is not how a leaf is written")
    return fields

def loop_leaf(shape, challenge, device, index, digest):
    """spec C-9."""
    return struct.pack("<BB3I", 1, 2, *shape) + challenge + device + index.to_bytes(8, "little") + digest

def statement(d, version=2):
    """spec C-11, C-12."""
    need(d["chain"] and d["participant"] and d["class"] and is_node(d["node"]) and d["segment"] > 0 and d["count"] <= MAX_LEAVES
         and (d["count"] or d["root"] == sha256()), "statement", "the fields form no statement")
    seeds = [d["seed1"], d["segment_seed"]] if version == 2 else []
    where = [d[name] for name in ("chain", "epoch", "segment", "participant", "node", "class")]
    return message(f"assay/{version}/commit-statement", *where, *seeds, d["root"], d["count"])

def archive_leaf(d):
    """spec C-13."""
    need(0 < len(d["participant"].encode()) <= 128 and is_node(d["node"]) and d["segment"] > 0 and 0 < d["count"] <= MAX_LEAVES,
         "archive", "the fields form no commit")
    return message("assay/1/archive-leaf", *[d[name] for name in ("participant", "node", "segment", "root", "count", "host_key")])

# Evidence about a leaf, and the chain's state: F-8 to F-13

def check_evidence(d, full=False):
    """spec F-9: what an evidence file shows, without what only the chain knows."""
    version = int(d["version"][-1])
    need(d["class"] in CLASSES and d["claim"] in ("forged", "honest"), "file", "no such class or claim")
    leaf = leaf_hash(unit_leaf(CLASSES[d["class"]][0], d["node"], d["nonce"], d["norm"], d["digest"]))
    check_signature(d["host_key"], statement(d, version), d["signature"], "the host", "statement")
    check_inclusion(d["root"], d["count"], d["nonce"], leaf, d["path"])
    if version == 2:
        a = d["archive"]
        check_inclusion(a["root"], a["commits"], a["index"], leaf_hash(archive_leaf(d)), a["path"])
    block = check_state(d) if "state" in d else None
    node_seed = seed("node", d["chain"], d["participant"], d["node"], d["class"])
    norm, digest, _ = recompute(d["class"], full, d["seed1"], node_seed, d["segment_seed"], d["nonce"])
    forged = (norm, digest) != (d["norm"], d["digest"])
    need(forged == (d["claim"] == "forged"), "claim", f"recomputed, the leaf is {'forged' if forged else 'honest'}")
    return {"forged": forged, "unbound": version == 1, "want_norm": norm, "want_digest": digest, "block": block}

def varint(b, at, minimal=True):
    """A protobuf varint and the place behind it."""
    v = shift = 0
    while True:
        need(at < len(b) and shift < 70, "state", "a varint is cut")
        v, shift, at = v | (b[at] & 127) << shift, shift + 7, at + 1
        if b[at - 1] < 128:
            need(v < 2**64 and (b[at - 1] or shift == 7 or not minimal), "state", "a varint is not canonical")
            return v, at

def proto(data, fields):
    """Canonical protobuf. fields: number, v (varint) or b (bytes), then ! for always present, * for repeated."""
    kinds, out, at, last = {int(f[:-2]): f[-2:] for f in (f if f[-1] in "!*" else f + " " for f in fields.split(","))}, {}, 0, 0
    while at < len(data):
        tag, at = varint(data, at)
        number, kind = tag >> 3, kinds.get(tag >> 3, "? ")
        need(tag & 7 == {"v": 0, "b": 2, "?": -1}[kind[0]] and (number > last or number == last and kind[1] == "*"),
             "state", "a field is unknown, repeated or out of order")
        value, at = varint(data, at)
        if kind[0] == "b":
            need(value <= len(data) - at, "state", "a field is cut")
            value, at = data[at : at + value], at + value
        need(value or kind[1] != " ", "state", "a default is written out")
        out[number] = out.get(number, []) + [value] if kind[1] == "*" else value
        last = number
    need(all(k[1] != "!" or n in out for n, k in kinds.items()), "state", "a field is missing")
    return {n: out.get(n, [] if k[1] == "*" else 0 if k[0] == "v" else b"") for n, k in kinds.items()}

def pack_varint(v):
    return bytes([v]) if v < 128 else bytes([v & 127 | 128]) + pack_varint(v >> 7)

def header(data):
    """spec F-12: the fields of a block's header, and its hash."""
    h = proto(data, "1b!,2b,3v,4b!,5b!,6b,7b,8b,9b,10b,11b,12b,13b,14b")
    proto(h[1], "1v,2v")
    nanos = proto(h[4], "1v,2v")[2]
    total = proto(proto(h[5], "1b,2b!")[2], "1v,2b")[1]
    need(h[8] and h[3] < 2**63 and total < 2**32 and (nanos < 2**31 or nanos >= 2**64 - 2**31), "state", "this is no header")
    packed = {n: b"\x0a" + pack_varint(len(v)) + v if v else b"" for n, v in h.items() if n not in (1, 3, 4, 5)}
    packed |= {n: h[n] for n in (1, 4, 5)} | {3: b"\x08" + pack_varint(h[3]) if h[3] else b""}
    return h, tree([leaf_hash(packed[n]) for n in range(1, 15)])

def existence(data, key, iavl):
    """spec F-13: the value that a proof shows for the key, and the root under which it does."""
    p = proto(proto(data, "1b!")[1], "1b,2b,3b!,4b*")
    leaf = proto(p[3], "1v,2v,3v,4v,5b")
    need(p[1] == key and p[2] and [leaf[n] for n in (1, 2, 3, 4)] == [1, 0, 1, 1] and leaf[5][:1] == b"\0" and len(p[4]) <= 128,
         "state", "the proof is of another kind or key")

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
    """spec F-11: the hash and the height of the block that shows the epoch's archive as the file has it."""
    head, block = header(d["state"]["header"])
    root, app = existence(d["state"]["app"], b"sprint", False)
    value, store = existence(d["state"]["store"], b"\x0d" + struct.pack(">Q", d["epoch"]), True)
    need(head[2] == d["chain"].encode() and app == head[11] and store == root,
         "state", "header and proofs do not belong together")
    r = proto(value, "1v,2b,3b,4b*,5v,6b")
    need(r[1] == d["epoch"], "state", "the record is of another epoch")
    seeds, n = r[4], d["segment"]
    need(0 < n <= len(seeds) and seeds[n - 1] == d["segment_seed"] and [r[i] for i in (2, 3, 5, 6)] == [
        d["class"].encode(), d["seed1"], d["archive"]["commits"], d["archive"]["root"]], "other", "the chain's state has other values than the file")
    return block, head[3]

# Leaves between a machine and its host: F-14 to F-16, M-21 to M-23

def batch_message(order, batch):
    need(order["segment"] > 0 and 0 < batch["count"] <= 1000 and batch["first"] + batch["count"] <= MAX_LEAVES,
         "file", "the batch is none of a log")
    return message("assay/1/leaf-batch", *order.values(), *batch.values())

def acknowledgement(batch):
    return message("assay/1/leaf-receipt", sha256(batch))

def check_leaf_receipt(d):
    """spec F-14: the number of leaves that the host has."""
    msg = batch_message(d["order"], d["batch"])
    check_signature(d["order"]["device_key"], msg, d["device_signature"], "the device")
    check_signature(d["order"]["host_key"], acknowledgement(msg), d["host_signature"], "the host")
    return d["batch"]["first"] + d["batch"]["count"]

def asked(nonce, samples, signature, end):
    """spec M-22: the leaves that a host audits."""
    return draw(seed("leaf-draw", nonce, signature), end, min(samples, 4096))

def check_leaf_evidence(d, full=False):
    """spec F-15: (claim, number drawn, number wrong, the first wrong leaf, its digests as signed and as computed)."""
    order, last, wrong = d["order"], d["last"], d["wrong"]
    need(d["claim"] in ("fraud", "faulty") and order["class"] in CLASSES and 0 < len(wrong) <= 40,
         "file", "no such claim or class, or no wrong leaf")
    need(all(a["leaf"] < b["leaf"] for a, b in zip(wrong, wrong[1:])), "file", "the leaves do not rise")
    signed = {(*s["batch"].values(), s["signature"]): s for s in [last] + [w["in"] for w in wrong]}
    batches = sorted({s[:3] for s in signed})
    need(all(a[0] + a[1] <= b[0] for a, b in zip(batches, batches[1:])), "file", "two batches overlap")
    for s in signed.values():
        check_signature(order["device_key"], batch_message(order, s["batch"]), s["signature"], "the device")
    need(seed("leaf-audit", d["nonce"], d["samples"]) == order["audit"], "file", "the nonce is not the one that was announced")
    drawn = asked(d["nonce"], d["samples"], last["signature"], last["batch"]["first"] + last["batch"]["count"])
    node_seed = seed("node", order["chain"], order["participant"], order["node"], order["class"])
    found = []
    for w in wrong:
        first, count = w["in"]["batch"]["first"], w["in"]["batch"]["count"]
        page, place = divmod(w["leaf"] - first, 32)
        need(w["leaf"] in drawn and 0 <= w["leaf"] - first < count,
             "file", f"leaf {w['leaf']} was not drawn or is not in its batch")
        need(len(w["page"]) == 40 * min(32, count - 32 * page) and len(w["path"]) <= 5, "file", "the page has not its records")
        check_inclusion(w["in"]["batch"]["root"], -(-count // 32), page, leaf_hash(w["page"]), w["path"])
        record = w["page"][40 * place : 40 * place + 40]
        norm, digest, _ = recompute(order["class"], full, order["seed1"], node_seed, order["segment_seed"], w["leaf"])
        need(record != struct.pack("<Q", norm) + digest, "claim", f"leaf {w['leaf']} is what its unit gives")
        found.append((record[8:], digest))
    fraud = len(drawn) >= min(d["samples"], 4096) and sequential(len(drawn), len(wrong)) == "fraud"
    need(fraud == (d["claim"] == "fraud"), "claim", f"{len(wrong)} of {len(drawn)} do not show {d['claim']}")
    return d["claim"], len(drawn), len(wrong), wrong[0]["leaf"], *found[0]

def check_left_out(d, full=False):
    """spec F-16: what its evidence shows. Without evidence it shows nothing."""
    e = d.get("evidence")
    need(e, "nothing", "the file holds no evidence: that leaves are wrong is the host's word")
    claim, drawn, wrong, leaf, got, want = shown = check_leaf_evidence(e, full)
    why = "forged: no faulty device errs so often" if claim == "fraud" else "a faulty device, or forged: test the machine with assay-worker doctor"
    says = {"shows": "The machine signed these leaves, and they are not what their units give: assay verify checks it offline.",
            "leaf": leaf, "got": got, "want": want, "wrong": wrong, "checked": drawn, "samples": e["samples"],
            "reason": f"{wrong} of {drawn} leaves are wrong ({why}); this log is not committed, everything else is"}
    says |= {name: e["order"][name] for name in ("epoch", "node", "segment")}
    need(all(d[name] == v for name, v in says.items()) and not {"hidden", "sha256"} & d.keys(),
         "left-out", "the file says something else than its evidence shows")
    return shown

# Loops between a machine and its host: F-17 to F-19, M-4 to M-17

def terms_message(t):
    fields = t | {"pay_per_tebiop": str(t["pay_per_tebiop"])}
    return message("assay/1/mpoc-terms", *(f for v in fields.values() for f in (v if isinstance(v, tuple) else (v,))))

def commit_message(terms, c):
    return message("assay/1/mpoc-commit", sha256(terms), *c.values())

def draw_message(commit, d):
    return message("assay/1/mpoc-draw", sha256(commit), *d.values())

def proof_message(commit, nonce, number, samples, tiles):
    """spec M-15."""
    fields = [len(samples), len(tiles)]
    for o in samples + tiles:
        fields += [o["index"], o["leaf"], o["digest"], len(o["proof"]), *o["proof"]]
        if "tile" in o:
            fields += [o["tile"], o["tile_digest"], len(o["tile_proof"]), *o["tile_proof"]]
    return message("assay/1/mpoc-proof", sha256(commit), nonce, number, sha256(message("assay/1/mpoc-openings", *fields)))

def receipt_message(r):
    """spec M-16."""
    commit = commit_message(terms_message(r["terms"]), r["commit"])
    drawn = draw_message(commit, r["draw"]) if "draw" in r else b""
    outcome = r["outcome"] | {"pay": str(r["outcome"]["pay"])}
    openings = proof_message(commit, bytes(32), 0, r.get("wrong_samples", []), r.get("wrong_tiles", []))
    return message("assay/1/mpoc-receipt", r["version"], sha256(commit), r["terms_signature"], r["commit_signature"], drawn,
                   *outcome.values(), r["reason"], r["committed"], r["proved"], r["entry"], openings)

def check_terms(t):
    """spec M-4, M-5."""
    bounds = (("duration_ms", 1, 120_000), ("whole", 0, 10), ("picks", 1, 512), ("light", 1, t["picks"]), ("max_loops", 1, 100_000),
              ("unlock_after", 0, 10_000), ("ban_after", 1, 1000), ("pay_per_tebiop", 0, 2**104 - 1))
    bad = [name for name, low, high in bounds if not low <= t[name] <= high]
    need(not bad, "terms", f"{', '.join(bad)} outside the bounds")
    need(t["duration_ms"] <= t["expiry"] - t["issued"] <= 3_600_000 and t["kernel"] == "matmul/1" and t["forfeits"] == "locked",
         "terms", "expiry, kernel or forfeits are none of terms")
    between = t["host_key"], t["device_key"]
    need(t["challenge_id"] == seed("mpoc-challenge", t["chain"], *between, t["fresh"])
         and t["seed"] == seed("mpoc", t["chain"], t["challenge_id"], *between, t["fresh"]), "terms", "challenge_id or seed do not follow")

def check_commit(t, c):
    """spec M-7."""
    need(0 < c["loops"] <= t["max_loops"], "commit", "the number of loops is outside the terms")

def follows(t, d):
    """spec M-9: whether a draw does."""
    return seed("mpoc-nonce", t["challenge_id"], d["host_nonce"]) == t["host_nonce_hash"] and d["audit_q32"] <= 2**32 and d["deadline"] >= t["issued"]

class Audit:
    """What is audited of a commit under a draw: M-10 to M-13."""

    def __init__(self, t, c, d):
        self.key, self.picks_a_round = seed("mpoc-draw", t["challenge_id"], c["merkle_root"], c["loops"], d["host_nonce"]), t["picks"]
        self.tiles = t["shape"][0] * t["shape"][2] // 4096
        self.all_tiles = c["loops"] * self.tiles
        self.full = int.from_bytes(seed("mpoc-audit", self.key)[:4], "little") < d["audit_q32"]
        self.first = t["picks"] if self.full else t["light"]
        n = min(c["loops"], max(10, -(-c["loops"] // 100)))
        self.samples = stratified(seed("mpoc-samples", self.key), c["loops"], n)
        self.whole = [self.samples[i] for i in draw(seed("mpoc-whole", self.key), n, t["whole"])] if self.full else []

    def looks(self, rounds):
        """How many picks so many rounds have."""
        return min(self.first + (rounds - 1) * self.picks_a_round, self.all_tiles, 4096) if rounds else 0

    def picks(self, first, end):
        """The (loop, tile) pairs of rounds first to end - 1."""
        numbers = distinct(seed("mpoc-picks", self.key), self.all_tiles, self.looks(end))[self.looks(first) :]
        return sorted(divmod(n, self.tiles) for n in numbers)

def check_opening(t, c, o):
    """spec M-14: an opened sample or tile is in the log."""
    need(o["leaf"] == leaf_hash(loop_leaf(t["shape"], t["challenge_id"], t["device_key"], o["index"], o["digest"])),
         "opening", "the leaf is not that of the loop")
    check_inclusion(c["merkle_root"], c["loops"], o["index"], o["leaf"], o["proof"])
    if "tile" in o:
        check_inclusion(o["digest"], t["shape"][0] * t["shape"][2] // 4096, o["tile"], leaf_hash(o["tile_digest"]), o["tile_proof"])

def is_wrong(t, o, full):
    """Whether an opening is not what the work gives."""
    m, k, q = t["shape"]
    affordable(2 * k * (4096 if "tile" in o else m * q) // 4, full)  # four times as fast as a unit of transformer/1
    if "tile" in o:
        return tile_digest(t["seed"], o["index"], t["shape"], *divmod(o["tile"], q // 64)) != o["tile_digest"]
    return unit_digest(t["seed"], o["index"], t["shape"]) != o["digest"]

def check_authentic(r):
    """spec M-17: form and signatures of a receipt."""
    t, c = r["terms"], r["commit"]
    need(r["outcome"]["status"] in ("accepted", "faulty", "rejected", "failed", "late"), "file", "there is no such status")
    need(1 <= len(r.get("wrong_samples", "1")) <= 10 and 1 <= len(r.get("wrong_tiles", "1")) <= 40, "file", "too many openings")
    check_terms(t)
    check_commit(t, c)
    msg, whole = terms_message(t), receipt_message(r)
    check_signature(t["host_key"], msg, r["terms_signature"], "the host")
    check_signature(t["device_key"], commit_message(msg, c), r["commit_signature"], "the device")
    check_signature(t["host_key"], whole, r["host_signature"], "the host")
    if "device_signature" in r:
        check_signature(t["device_key"], message("assay/1/mpoc-countersign", sha256(whole)), r["device_signature"], "the device")
    return whole

def outcome_of(t, c, audit, rounds, wrong, clean):
    """spec M-17: (status, bad share, credited loops) after so many rounds; status "" where nothing is decided."""
    checked = audit.looks(rounds)
    if clean:
        return ("accepted", 0, c["loops"]) if rounds == 1 else ("", 0, 0)
    decided = sequential(checked, wrong)
    if decided == "fraud":
        return "rejected", 0, 0
    if decided == "continue" and rounds < 4096 // t["picks"] and audit.looks(rounds + 1) > checked:
        return "", 0, 0
    bad = upper(checked, 1, 1000, wrong)
    return "faulty", bad, credited(c["loops"], bad)

def check_receipt(r, full=False):
    """spec M-17: the status that an authentic receipt shows."""
    check_authentic(r)
    t, c, o = r["terms"], r["commit"], r["outcome"]
    samples, tiles = r.get("wrong_samples", []), r.get("wrong_tiles", [])
    nothing = not samples and not tiles and list(o.values())[1:] == [0, 0, 0, 0, 0, 0, "0"]

    def holds(fact, why):
        need(fact, "host", f"the host signed a receipt that does not hold: {why}")

    holds(r["committed"] >= t["issued"], "the commit is older than its terms")
    if "draw" not in r:
        holds(o["status"] == "late" and nothing and r["proved"] == 0 and r["committed"] > t["expiry"],
              "without a draw it is late and nothing else")
        return "late"
    d = r["draw"]
    holds(follows(t, d) and r["committed"] <= t["expiry"] and r["committed"] <= d["deadline"],
          "the draw does not follow, or the times do not")
    if o["status"] == "failed":
        holds(nothing, "failed and nothing else")
        return "failed"
    audit, rounds, wrong = Audit(t, c, d), o["rounds"], len(tiles)
    holds(r["proved"] >= r["committed"] and 0 < rounds <= 4096 // t["picks"] and o["checked"] == audit.looks(rounds),
          "the rounds are not those of the draw")
    asked_tiles, opened = set(audit.picks(0, rounds)), [(x["index"], x["tile"]) for x in tiles]
    places = [x["index"] for x in samples]
    holds(set(opened) <= asked_tiles and len(set(opened)) == wrong and set(places) <= set(audit.whole) and places == sorted(set(places)),
          "an opening was not asked for")
    status, bad, good = outcome_of(t, c, audit, rounds, wrong, not samples and not tiles)
    ops = good * 2 * math.prod(t["shape"])
    detected = q64_text(detection(audit.all_tiles, -(-audit.all_tiles // 20), o["checked"], 1))
    holds(list(o.values()) == [status, rounds, o["checked"], bad, good, ops, t["pay_per_tebiop"] * ops >> 40, detected],
          "the outcome is not what follows")
    for before in range(1, rounds if status == "faulty" else 1):
        seen = sum(x in set(audit.picks(0, before)) for x in opened)
        holds(not outcome_of(t, c, audit, before, seen, not samples and not seen)[0], "it was decided in an earlier round")
    for x in samples + tiles:
        try:
            check_opening(t, c, x)
        except Refused as e:
            holds(False, f"an opening is not of the log: {e}")
        holds(is_wrong(t, x, full), f"loop {x['index']} is what the work gives")
    return status

SAYS = {"forged": "the device signed a log with a loop that is not what the work gives", "honest": "the loop is what the work gives, which accuses nobody",
        "two-commits": "the device signed two different commits to one challenge", "two-terms": "the host signed two different terms of one challenge",
        "bad-draw": "the host signed a draw that does not follow", "two-draws": "the host signed two different draws for one commit",
        "two-receipts": "the host signed two different receipts of one commit"}
CLAIMS = {"forged": "terms commit", "honest": "terms commit", "two-commits": "terms commit other_commit", "two-terms": "terms other_terms",
          "bad-draw": "terms commit draw", "two-draws": "terms commit draw other_draw", "two-receipts": "receipt other_receipt"}

def check_loop_evidence(e, full=False):
    """spec F-18: the claim that the evidence shows."""
    claim, has = e["claim"], set(e) - {"version", "claim", "note", "raw"}
    need(claim in CLAIMS, "file", f"there is no claim {claim!r}")
    opened = {"sample", "tile"} & has if claim in ("forged", "honest") else set()
    need(has - opened == set(CLAIMS[claim].split()) and (claim not in ("forged", "honest") or len(opened) == 1),
         "file", f"these are not the fields of {claim}")
    if claim == "two-receipts":
        r, other = e["receipt"], e["other_receipt"]
        first, second = check_authentic(r), check_authentic(other)
        commits = {commit_message(terms_message(x["terms"]), x["commit"]) for x in (r, other)}
        need(len(commits) == 1 and first != second,
             "claim", "these are not two receipts of one commit")
        return claim
    t, terms = e["terms"]["terms"], terms_message(e["terms"]["terms"])
    commit = commit_message(terms, e["commit"]["commit"]) if "commit" in e else b""
    for name in (n for n in e if n in has - opened):
        kind = name.removeprefix("other_")
        fields, signature = e[name][kind], e[name]["signature"]
        if kind == "terms":
            check_terms(fields)
            check_signature(fields["host_key"], terms_message(fields), signature, "the host")
        elif kind == "commit":
            check_commit(t, fields)
            check_signature(t["device_key"], commit_message(terms, fields), signature, "the device")
        else:
            check_signature(t["host_key"], draw_message(commit, fields), signature, "the host")
    if opened:
        o = e[opened.pop()]
        check_opening(t, e["commit"]["commit"], o)
        need(is_wrong(t, o, full) == (claim == "forged"), "claim", f"loop {o['index']} was recomputed and is not {claim}")
    elif claim == "two-terms":
        other = e["other_terms"]["terms"]
        need(other["challenge_id"] == t["challenge_id"] and other != t,
             "claim", "these are not two different terms of one challenge")
    elif claim == "bad-draw":
        need(not follows(t, e["draw"]["draw"]), "claim", "the draw follows")
    else:
        kind = claim.removeprefix("two-")[:-1]
        need(e[kind][kind] != e["other_" + kind][kind], "claim", f"the two {kind}s are one")
    return claim

def transfer_message(d):
    """spec F-19."""
    return message("assay/1/mpoc-transfer", *[str(v) if k == "amount" else v for k, v in d.items() if k not in ("host_signature", "raw")])

# assay.py verify

def show(d, trust, full):
    """(exit code, what the document proves, what is taken from it) (F-10)."""
    kind = d["version"].split("/")[0]
    need(not trust or kind == "assay-evidence", "other", "--trust compares evidence with a block; this document knows no chain")
    keys = ["that the keys are those of the host and the machine that you know"]
    if kind == "assay-evidence":
        found = check_evidence(d, full)
        block = found["block"]
        need(not trust or not block or block[0] == trust, "other", "the file does not stand on the block that you trust")
        taken = [] if trust and block else ["that the key is the participant's", "that the seeds are the epoch's", "that the chain accepted the commit"]
        taken += ["version 1 binds no seeds: it convicts nobody"] if found["unbound"] else []
        if block and not trust:
            taken.append(f"the block {block[0].hex().upper()} at height {block[1]}: compare it and give it to --trust")
        where = f"node {d['node']}, segment {d['segment']}, epoch {d['epoch']}, of {d['participant']}"
        return 2 if taken else 0, f"leaf {d['nonce']} of {where} is {d['claim']}", taken
    if kind == "assay-leaf-receipt":
        return 0, f"the host has {check_leaf_receipt(d)} leaves of node {d['order']['node']}, epoch {d['order']['epoch']}, segment {d['order']['segment']}", keys
    if kind in ("assay-leaf-evidence", "assay-left-out"):
        found = check_left_out(d, full) if kind == "assay-left-out" else check_leaf_evidence(d, full)
        return 0, f"the machine signed {found[2]} wrong leaves of {found[1]} that were drawn ({found[0]}); the first is {found[3]}", keys + ["the seeds of the order"]
    if kind == "assay-mpoc-receipt":
        status = check_receipt(d, full)
        o = d["outcome"]
        says = f"the host judged {d['commit']['loops']} loops as {status} and credits {o['pay']} acpc for {o['credited_loops']}"
        return 0, says, keys + ["the times, which are the host's"]
    if kind == "assay-mpoc-evidence":
        return 0, SAYS[check_loop_evidence(d, full)], keys
    check_signature(d["host_key"], transfer_message(d), d["host_signature"], "the host")
    return 0, f"the host states that transaction {d['tx_hash']} paid {d['amount']} acpc to {d['payout']}", keys + ["that the chain has the transaction"]

def verify(files, trust, full):
    """Checks files and returns the exit code: the gravest of 0 proven, 2 taken from the file, 3 not checked, 1 not proven."""
    codes = set()
    for name in files:
        try:
            with open(name, "rb") as f:
                data = f.read(max(LIMITS.values()) + 4).removeprefix(b"\xef\xbb\xbf")
            code, says, taken = show(read(data), trust, full)
            print(f"{name}: {'holds' if code else 'proven'}: {says}")
            print(*(f"  taken from the file: {t}" for t in taken), sep="\n", end="\n" if taken else "")
        except (Refused, OSError) as e:
            code = print(f"{name}: not proven: {e}") or 1
        except Costly as e:
            code = print(f"{name}: not checked: {e}") or 3
        codes.add(code)
    return next(c for c in (1, 3, 2, 0) if c in codes)

# assay.py vectors: each function computes a case's `out` from its `in`

def hexes(v):
    """Bytes from hex, in lists too."""
    return [hexes(i) for i in v] if isinstance(v, list) else bytes.fromhex(v.removeprefix("0x")) if v else b""

def whole(i, *names):
    """Integers that may stand in quotes or be left out."""
    return [int(i.get(name, 0)) for name in names]

SEED_PARTS = {  # W-4, by the names that seed.json has
    "beacon-alpha": "chain height seeds", "beacon-value": "chain height seeds bytes", "beacon-mix": "chain height seeds", "sprint-1": "chain epoch seeds",
    "sprint-2": "chain epoch seeds", "segment": "seeds0 segment seeds1", "node": "chain participant node class", "input": "seeds number",
    "xf/weights": "seeds class", "xf/embed": "seeds class", "matmul": "seeds number matrix", "samples": "chain epoch participant seeds",
    "committee": "chain epoch round participant seeds", "share": "seeds number", "lottery": "chain epoch seeds", "owed": "chain epoch voter seeds",
    "check": "chain epoch voter seeds", "recheck": "chain epoch participant seeds", "verdict": "chain epoch round voter seeds bytes",
    "middle": "chain epoch voter participant node segment number seeds", "heartbeat": "chain participant epoch height seeds",
    "possession": "chain role participant bytes", "mpoc-challenge": "chain bytes seeds", "mpoc": "chain seeds0 bytes seeds1", "mpoc-nonce": "seeds",
    "mpoc-draw": "seeds0 seeds1 number seeds2", "mpoc-samples": "seeds", "mpoc-whole": "seeds", "mpoc-audit": "seeds", "mpoc-picks": "seeds",
    "leaf-nonce": "bytes0 chain participant bytes1 node epoch segment", "leaf-audit": "seeds number", "leaf-draw": "seeds bytes"}

def vector_seed(i):
    parts, given = [], {"seeds": hexes(i.get("seeds", [])), "bytes": hexes(i.get("bytes", []))}
    if i["function"] == "segment" and i["segment"] == 1:
        return given["seeds"][0]  # W-5
    for name in SEED_PARTS[i["function"]].split():
        many, one = name[:5], name[5:]
        if many in given:
            parts += [given[many][int(one)]] if one else given[many]
        elif name == "matrix":
            parts.append(ord(i["matrix"]))
        else:
            parts += whole(i, name) if name in ("height", "epoch", "segment", "round", "number") else [i.get(name, "")]
    return seed(i["function"], *parts)[: 8 if i["function"] == "middle" else 32]

def vector_transformer(i):
    need(sha256(b"".join(t.to_bytes(2, "little") for t in POWERS)).hex() == POWERS_HASH, "table", "T of W-15 is another one")
    return dict(zip(("norm", "digest", "middle"), unit(i["class"], *hexes([i["seed1"], i["node_seed"], i["segment_seed"]]), int(i["nonce"]))))

def vector_step(i):
    def positions(name):
        n = len(i[name]) // 4
        return [i[name][p : p + n] for p in range(0, 4 * n, n)]

    out = {"norm": lambda: map(norm, positions("h")), "attend": lambda: attend(*map(positions, ("q", "key", "v"))),
           "requant": lambda: requant([i["a"]], i["k"]), "residual": lambda: residual([i["h"]], [i["a"]], i["k"]),
           "gate": lambda: [gate(i["g"], i["u"], CLASSES[i["class"]][3])]}[i["step"]]()
    return [v for row in out for v in row]

def vector_matmul(i):
    where = hexes(i["challenge"]), int(i["unit"]), (i["m"], i["k"], i["q"])
    return {"digest": tile_digest(*where, *i["tile"]) if "tile" in i else unit_digest(*where)}

def vector_leaf(i):
    names = ("class", "node", "index", "norm", "digest")
    return dict(zip(names, read_leaf(hexes(i)))) | {"hash": leaf_hash(hexes(i))}

def vector_statement(i):
    d = i | dict(zip(("epoch", "count"), whole(i, "epoch", "count"))) | {n: hexes(i[n]) for n in ("seed1", "segment_seed", "root")}
    one, two = statement(d, 1), statement(d)
    key, signature = sign(hexes(i["ed25519_seed"]), two)
    return {"message": two, "key": key, "signature": signature, "message_1": one, "signature_1": sign(hexes(i["ed25519_seed"]), one)[1]}

def vector_archive(i):
    leaf = archive_leaf(i | {"count": int(i["count"]), "root": hexes(i["root"]), "host_key": hexes(i["host_key"])})
    check_inclusion(hexes(i["archive"]), i["commits"], i["index"], leaf_hash(leaf), hexes(i["path"] or []))
    return {"leaf": leaf, "hash": leaf_hash(leaf)}

def vector_draw(i):
    total, n = whole(i, "total", "n")
    return slots_of(i["index"], total, n) if "index" in i else draw(hexes(i["seed"]), total, n)

def vector_statistics(i):
    function, n, x, rate, bound = i["function"], i["n"], i.get("x", 0), i["rate"], i["bound"]
    if function == "threshold":
        return {"value": threshold(n, *rate, *bound)}
    v = tail(n, *rate, x) if function == "tail" else upper(n, *rate, x) if function == "upper" else detection(*whole(i, "total", "forged"), n, x)
    return {"value": v, "text": q64_text(v)}

def vector_powers(i):
    if "count" in i:
        return {"credited": credited(*whole(i, "count", "bound"))}
    old, target = ({p["id"]: int(p["weight"]) for p in i.get(name, [])} for name in ("old", "target"))
    return {"powers": [{"id": name, "weight": p} for name, p in powers(old, target).items()]}

def vector_audit(i):
    (n, x, count), function, key = whole(i, "n", "x", "count"), i["function"], hexes(i["seed"])
    if function == "shape":
        ops = [2 * math.prod(map(int, s.split("x"))) for s in SHAPES]
        s = max([0] + [j for j, o in enumerate(ops) if n * 20 >= 2000 * o])
        seconds = 60 if n * 20 < 2000 * ops[0] else 10 if n * 20 > 100_000 * ops[-1] else 20
        return {"value": min(100_000, n * seconds // ops[s]), "shape": SHAPES[s], "duration_ms": 1000 * seconds}
    return {"sequential": lambda: {"decision": sequential(n, x)}, "adaptive": lambda: {"value": full_audit(n, x, count)},
            "k": lambda: {"value": picks_for(*i["rate"], *i["target"])},
            "caught": lambda: {"value": q64(i["rate"][1] ** n - (i["rate"][1] - i["rate"][0]) ** n, i["rate"][1] ** n)},
            "stratified": lambda: {"drawn": stratified(key, n, count)}, "distinct": lambda: {"drawn": distinct(key, n, count)}}[function]()

def vector_evidence(i):
    return {k: v for k, v in check_evidence(read(i.encode())).items() if k != "block"}

def vector_state(i):
    d = read(i["file"].encode())
    need("state" in d, "state", "the file shows no state")
    return dict(zip(("block", "height"), check_state(d)))

def vector_delivery(i):
    (secret, key), device = ((s, sign(s, b"")[0]) for s in hexes([i["host_ed25519_seed"], i["device_ed25519_seed"]]))
    device_secret, device = device
    order, records = fit("order", i["order"]) | {"host_key": key, "device_key": device}, hexes(i["records"])
    nonce = seed("leaf-nonce", secret, *(order[n] for n in ("chain", "participant", "device_key", "node", "epoch", "segment")))
    order["audit"] = seed("leaf-audit", nonce, i["samples"])
    batch = {"first": int(i["first"]), "count": len(records) // 40, "root": tree([leaf_hash(records[p : p + 1280]) for p in range(0, len(records), 1280)])}
    msg = batch_message(order, batch)
    signature = sign(device_secret, msg)[1]
    return {"nonce": nonce, "audit": order["audit"], "root": batch["root"], "message": msg, "device_signature": signature,
            "host_signature": sign(secret, acknowledgement(msg))[1], "questions": asked(nonce, i["samples"], signature, batch["first"] + batch["count"])}

def vector_leaf_file(i):
    d = read(i["file"].encode())
    if d["version"] == "assay-leaf-receipt/1":
        check_leaf_receipt(d)
        return {"kind": "receipt", "got": bytes(32), "want": bytes(32)}
    claim, checked, wrong, leaf, got, want = check_leaf_evidence(d)
    return {"kind": "evidence", "claim": claim, "checked": checked, "wrong": wrong, "leaf": leaf, "got": got, "want": want}

def vector_mpoc(i):
    t, c, d = fit("terms", i["terms"]), fit("commit", i["commit"]), fit("draw", i["draw"])
    check_terms(t)
    check_commit(t, c)
    need(follows(t, d), "draw", "the draw does not follow")
    host, device = hexes([i["host_ed25519_seed"], i["device_ed25519_seed"]])
    terms, audit = terms_message(t), Audit(t, c, d)
    commit = commit_message(terms, c)
    drawn, leaf = draw_message(commit, d), loop_leaf(t["shape"], t["challenge_id"], t["device_key"], i["index"], hexes(i["digest"]))
    pairs = [[{"index": a, "tile": b} for a, b in audit.picks(n, n + 1)] for n in (0, 1)]
    return {"terms_message": terms, "terms_signature": sign(host, terms)[1], "commit_message": commit, "commit_signature": sign(device, commit)[1],
            "draw_message": drawn, "draw_signature": sign(host, drawn)[1], "leaf": leaf, "leaf_hash": leaf_hash(leaf), "full": audit.full,
            "samples": audit.samples, "whole": sorted(audit.whole), "picks": pairs[0], "picks_of_round_1": pairs[1],
            "message_of_a_proof_without_openings": proof_message(commit, d["host_nonce"], 0, [], [])}

def vector_mpoc_file(i):
    d = read(i.encode())
    return {"shown": (check_receipt if "receipt" in d["version"] else check_loop_evidence)(d)}

def vector_transfer(i):
    text = i.get("file")
    if not text:
        need(i["transfer"]["version"] == "assay-mpoc-transfer/1", "file", "this is another version")
        signature = sign(hexes(i["host_ed25519_seed"]), transfer_message(fit("assay-mpoc-transfer/1", i["transfer"])))[1]
        text = spell(Object([*i["transfer"].pairs[:-1], ("host_signature", "0x" + signature.hex())]), "") + "\n"
    d = read(text.encode())
    check_signature(d["host_key"], transfer_message(d), d["host_signature"], "the host")
    return {"message": transfer_message(d), "signature": d["host_signature"], "file": text}

VECTORS = {
    "seed": vector_seed, "prf": lambda i: stream(hexes(i["key"]), *whole(i, "nonce", "offset", "length")),
    "condense": lambda i: condense(i["elements"], i["position"]), "transformer": vector_transformer,
    "transformer_steps": vector_step, "matmul": vector_matmul, "leaf": vector_leaf,
    "signature": lambda i: {"valid": valid(*hexes([i["key"], i["message"], i["signature"]]))}, "statement": vector_statement, "archive": vector_archive,
    "inclusion": lambda i: check_inclusion(hexes(i["root"]), i["size"], i["index"], hexes(i["leaf"]), hexes(i["proof"] or [])),
    "consistency": lambda i: check_consistency(hexes(i["old_root"]), i["old"], hexes(i["root"]), i["size"], hexes(i["proof"] or [])),
    "multi": lambda i: check_multi(hexes(i["root"]), i["size"], i["indices"] or [], hexes(i["leaves"] or []), hexes(i["proof"] or [])),
    "draw": vector_draw, "statistics": vector_statistics, "powers": vector_powers, "mpoc_audit": vector_audit,
    "spelling": lambda i: read(hexes(i["file"]) + b" " * i.get("spaces", 0)) and None, "evidence": vector_evidence, "evidence_state": vector_state,
    "left_out": lambda i: {"claim": check_left_out(read(i["file"].encode()))[0]},
    "delivery": vector_delivery, "delivery_files": vector_leaf_file, "mpoc": vector_mpoc, "mpoc_files": vector_mpoc_file, "mpoc_transfer": vector_transfer}
FOR_PEOPLE = {"error", "reason"}  # of `out`: the kind is compared apart, the reason is a sentence

def same(want, got):
    """Whether a value of a vector is the computed one; what is left out is 0, false or empty."""
    if isinstance(got, bytes):
        return isinstance(want, str) and want.removeprefix("0x") == got.hex()
    if isinstance(got, (list, tuple)):
        return len(want or []) == len(got) and all(map(same, want or [], got))
    if isinstance(got, dict):
        return isinstance(want, dict) and set(want) - FOR_PEOPLE <= set(got) and all(same(want[k], v) if k in want else not v for k, v in got.items())
    return got is want if isinstance(got, bool) else (got is None or str(want) == str(got)) and not isinstance(want, bool)

def check_case(file, case):
    """"" where a case holds, else why not."""
    want = case["out"]
    kind = want.get("error", "") if isinstance(want, dict) else ""
    try:
        got, refused = VECTORS[file](case["in"]), ""
    except Refused as e:
        got, refused = e, e.kind
    if refused != kind:
        return f"refused as {refused!r} ({got}), not {kind!r}" if refused else f"accepted, not refused as {kind!r}"
    return "" if refused or same(want, {} if got is None else got) else f"gives {got}, not {want}"[:600]

def vectors(paths):
    """Checks files of vectors, or a folder of them all, and returns the exit code."""
    if len(paths) == 1 and os.path.isdir(paths[0]):
        paths = [os.path.join(paths[0], name + ".json") for name in VECTORS]
    total = Counter()
    for path in paths:
        name, start, count = os.path.basename(path).removesuffix(".json"), time.monotonic(), Counter()
        try:
            with open(path, "rb") as f:
                document = parse(f.read())
            for case in document["cases"]:
                why = check_case(name, case)
                count["failed" if why else "ok"] += 1
                print(f"FAILED {path}: {case['name']}: {why}" if why else "", end="\n" if why else "")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
            count["failed"] += 1
            print(f"FAILED {path}: {type(e).__name__}: {e}")
        print(f"{path}: {count['ok']} ok, {count['failed']} failed, {time.monotonic() - start:.1f} s: {document['about'] if count['ok'] else ''}")
        total += count
    print(f"{total['ok']} ok, {total['failed']} failed")
    return 1 if total["failed"] or not total["ok"] else 0

def main(args):
    """Runs a command line and returns the exit code."""
    command, args, trust = (args or [""])[0], args[1:], None
    full = "--full" in args
    args = [a for a in args if a != "--full"]
    if command == "verify" and "--trust" in args[:-1]:
        at = args.index("--trust")
        trust, args = args[at + 1], args[:at] + args[at + 2 :]
        if not re.fullmatch("[0-9a-fA-F]{64}", trust):
            print("--trust wants the hash of a block, 64 hex digits", file=sys.stderr)
            return 1
    if command not in ("verify", "vectors") or not args or args[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 1
    return vectors(args) if command == "vectors" else verify(args, trust and bytes.fromhex(trust), full)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
