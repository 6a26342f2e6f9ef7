# SPDX-License-Identifier: Apache-2.0
"""Wrong implementations, each of which has to fail a vector.

    python3 wrong.py DIR long|SEED     all of them, or 30 by a seed

Each is client/python/assay.py with one text replaced: a limit dropped, a shift off by one, a check left out. The named
file of vectors should show it; where it does not, all others are tried. The exit code is 1 if one fails nothing.
"""
import functools
import json
import os
import random
import sys
import types

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "client", "python", "assay.py")

# what is wrong; the file that shows it; the text; what stands there instead
WRONG = [
    # seeds, streams, units
    ("a seed without lengths", "seed", "out += len(v).to_bytes(4, \"little\") + v", "out += v"),
    ("a seed with big-endian integers", "seed", "v.to_bytes(8, \"little\") if", "v.to_bytes(8, \"big\") if"),
    ("a seed without its prefix", "seed", "message(\"assay/1/\" + name, *parts)", "message(name, *parts)"),
    ("the parts of node swapped", "seed", "\"chain participant node class\": \"node\"", "\"chain node participant class\": \"node\""),
    ("the parts of middle swapped", "seed", "\"chain epoch voter participant node", "\"chain epoch participant voter node"),
    ("segment 1 with a beacon value", "seed", "and given[\"segment\"] == 1", "and given[\"segment\"] == 0"),
    ("20 rounds", "prf", "for _ in range(4):", "for _ in range(10):"),
    ("a counter of 32 bits", "prf", "((0, 0), (0, 32), (1, 0), (1, 32))", "((0, 0), (0, 64), (1, 0), (1, 32))"),
    ("a nonce of 32 bits", "prf", "((0, 0), (0, 32), (1, 0), (1, 32))", "((0, 0), (0, 32), (1, 0), (1, 64))"),
    ("a stream from its block's beginning", "prf", "[offset - 64 * first :]", "[0:]"),
    ("condensing without positions", "condense", "h = (c + p * 0x9E3779B9) & 0xFFFFFFFF", "h = c & 0xFFFFFFFF"),
    ("-128 as a weight", "transformer", "bytes(128 if b == 128 else b ^ 128 for b in range(256))", "bytes(b ^ 128 for b in range(256))"),
    ("weights in another order", "transformer", "8 * layer + m, rows", "7 * layer + m, rows"),
    ("shifts that round down", "transformer", "return (x + (1 << (s - 1))) >> s", "return x >> s"),
    ("shifts off by one", "transformer", "return 6 + k.bit_length() // 2", "return 6 + (k.bit_length() + 1) // 2"),
    ("eight bits more in the stream", "transformer", "s = shift(k) - 9", "s = shift(k) - 8"),
    ("int8 to -128", "transformer_steps", "return min(max(x, -c), c)", "return min(max(x, -c - 1), c)"),
    ("the residual stream without a limit", "transformer_steps", "clamp(v + rsh(w, s), 2**23 - 1)", "v + rsh(w, s)"),
    ("a reciprocal without a limit", "transformer_steps", "min((1 << (30 + e)) // r, 2**31 - 1), e", "(1 << (30 + e)) // r, e"),
    ("an exponent without a limit", "transformer_steps", "n = min(z >> 4, 4095)", "n = z >> 4"),
    ("a norm that divides by 0", "transformer_steps", "max(1, math.isqrt", "max(0, math.isqrt"),
    ("attention without a sink", "transformer", "recip(exponential(m) + sum(w))", "recip(sum(w))"),
    ("a sink that has no part in the maximum", "transformer_steps", "m = max(0, *logits)", "m = max(-2**40, *logits)"),
    ("attention to what comes", "transformer", "for j in range(i + 1)]\n            m", "for j in range(len(q))]\n            m"),
    ("a gate without its slope", "transformer", "max(a, 4 * a)", "max(a, 2 * a)"),
    ("nano's gate shift", "transformer", "(1, 256, 4, 7)", "(1, 256, 4, 6)"),
    ("small's gate shift", "transformer_steps", "(2, 1024, 8, 7)", "(2, 1024, 8, 6)"),
    ("base's gate shift", "transformer_steps", "(3, 2048, 16, 6)", "(3, 2048, 16, 7)"),
    ("large's gate shift", "transformer_steps", "(4, 4096, 32, 7)", "(4, 4096, 32, 6)"),
    ("the middle digest of layer 1", "transformer", "if layer == layers - 1:", "if layer == 1:"),
    ("a norm of all positions", "transformer", "sum(v * v for v in h[3])", "sum(v * v for row in h for v in row)"),
    ("queries and keys swapped", "transformer_states", "for m in (0, 1, 2))", "for m in (1, 0, 2))"),
    ("a layer without its second norm", "transformer_states", "        x = [norm(row) for row in h]\n        g, u", "        g, u"),
    ("A and B swapped", "matmul", "a = operand(65, 64", "a = operand(66, 64"),
    ("tiles by column", "matmul", "tree(leaf_hash(t) for row in zip(*columns) for t in row)", "tree(leaf_hash(t) for column in columns for t in column)"),
    ("units of any size", "matmul", "need(m * q >= 2**18", "need(m * q >= 2**16"),
    # trees and commitments
    ("leaves without a prefix", "leaf", "sha256(b\"\\0\", data)", "sha256(data)"),
    ("nodes without a prefix", "inclusion", "sha256(b\"\\1\", left, right)", "sha256(left, right)"),
    ("a last leaf that is doubled", "evidence_state", "hashes[1::2])] + odd", "hashes[1::2])] + [node_hash(h, h) for h in odd]"),
    ("a path with hashes to spare", "inclusion", "    need(next(rest, None) is None, \"proof\", \"the path is too long\")\n", ""),
    ("a tree above 2^48 - 1", "inclusion", "need(0 < size <= MAX_LEAVES and 0", "need(0 < size and 0"),
    ("a consistency proof that shows the new root alone", "consistency", "(fr, sr) == (old_root, root)", "sr == root"),
    ("an empty log with a root", "consistency", "(root if old else sha256())", "(root if old else old_root)"),
    ("a multiproof with hashes to spare", "multi", "    need(next(rest, None) is None, \"proof\", \"the proof is too long\")\n", ""),
    ("indices that repeat", "multi", "all(a < b for a, b in zip(indices", "all(a <= b for a, b in zip(indices"),
    ("a leaf of class 0", "leaf", "need(class_id and is_node", "need(is_node"),
    ("a node of 33", "leaf", "return re.fullmatch(\"[a-z0-9-]{1,32}\"", "return re.fullmatch(\"[a-z0-9-]{1,33}\""),
    ("a leaf beyond the largest log", "leaf", "index < MAX_LEAVES", "index <= MAX_LEAVES"),
    ("a log that is empty and has a root", "statement", "(d[\"count\"] or d[\"root\"] == sha256())", "True"),
    ("a statement of segment 0", "statement", "is_node(d[\"node\"]) and d[\"segment\"] > 0,", "is_node(d[\"node\"]),"),
    ("a commit of no leaves in the archive", "archive", "and 0 < d[\"count\"] <= MAX_LEAVES", "and 0 <= d[\"count\"] <= MAX_LEAVES"),
    # signatures
    ("S above the order", "signature", "in SMALL or s >= L:", "in SMALL:"),
    ("keys of small order", "signature", " or a[1] in SMALL or", " or"),
    ("keys of order 8", "signature", "a[1] in SMALL", "a[1] in (0, 1, P - 1)"),
    ("y above p", "signature", "if y >= P or (v", "if (v"),
    ("R in any spelling", "signature", "P - a[3]))) == signature[:32]", "P - a[3]))) == (int.from_bytes(signature[:32], \"little\") % 2**255 % P | signature[31] >> 7 << 255).to_bytes(32, \"little\")"),
    ("R with the cofactor", "signature", "P - a[3]))) == signature[:32]", "P - a[3]))) == signature[:32] or times(8, times(s, BASE, k, (P - a[0], a[1], 1, P - a[3])))[0] == 0"),
    ("signatures of any length", "signature", "if len(key) != 32 or len(signature) != 64:", "if len(key) != 32:"),
    # draws and statistics
    ("a draw with a bias", "draw", "return next(w for w in source if w < 2**64 - 2**64 % n) % n", "return next(source) % n"),
    ("Floyd's method without its second choice", "draw", "taken.add(j if t in taken else t)", "taken.add(t)"),
    ("a draw that reads all", "mpoc_audit", "a + below(b - a, source)", "a + below(b - a + 1, source)"),
    ("a sample in order", "mpoc_audit", "    return list(out)\n", "    return sorted(out)\n"),
    ("slots that begin at 0", "draw", "(index * n + i) % total", "i % total"),
    ("picks that never repeat", "draw", "[below(total, source) for _ in range(n if total else 0)]", "distinct(seed, total, n)"),
    ("a shuffle from the front", "draw", "for i in range(n - 1, 0, -1):", "for i in range(1, n):"),
    ("a lottery that puts tickets back", "draw", "        held[out[-1]] = 0\n", ""),
    ("a lottery over 2^64", "draw", "0 < sum(held) < 2**64", "0 < sum(held)"),
    ("a tail that is rounded down", "statistics", "rate[1] ** n, up=True)", "rate[1] ** n)"),
    ("a tail above x", "statistics", "at_most(n, *rate, x - 1), rate[1] ** n, up", "at_most(n, *rate, x), rate[1] ** n, up"),
    ("texts of six digits at every edge", "statistics", "if digits == 10**6 or exponent < -1 and x * 10 ** (5 - exponent) >= 999_995:", "if digits == 10**6:"),
    ("0.0001 with an exponent", "statistics", "if exponent < -4:", "if exponent < -3:"),
    ("a threshold at the bound", "statistics", "next((x for x in range(n + 1) if", "next((x + 1 for x in range(n + 1) if"),
    ("a bound above one", "statistics", " or not 0 <= bound[0] <= bound[1] > 0:", ":"),
    ("an upper bound of below", "statistics", "    return high\n\ndef credited", "    return low\n\ndef credited"),
    ("a detection that is rounded up", "statistics", "sum(ways), math.comb(total, n))", "sum(ways), math.comb(total, n), True)"),
    ("a sequential test of other errors", "mpoc_audit", "num >= 999_999 * den", "num >= 99_999 * den"),
    ("faulty before it is sure", "mpoc_audit", "num * 999_999 <= den", "num * 900_000 <= den"),
    ("an audit rounded down", "mpoc_audit", "math.ceil(max(", "math.floor(max("),
    ("flags that double", "mpoc_audit", "2 * 4 ** min", "2 * 2 ** min"),
    ("credit rounded up", "powers", "count * (2**64 - bound) >> 64)", "-(-count * (2**64 - bound) >> 64))"),
    ("powers without a lift", "powers", "lift=Fraction(6, 5)", "lift=Fraction(1)"),
    ("powers without a limit of moves", "powers", "part = min(1, 2 * move", "part = 1 or min(1, 2 * move"),
    ("remainders by name", "powers", "(out[name] - exact[name], name)", "name"),
    # spelling
    ("sizes without white space", "spelling", "need(len(data) <= limit,", "need(len(bare) <= limit,"),
    ("U+2028 as it is", "spelling", ".replace(\"\\u2028\", \"\\\\u2028\")", ""),
    ("a backspace by number", "spelling", "    return text.replace(\"\\u2028\"", "    return text.replace(\"\\\\b\", \"\\\\u0008\").replace(\"\\u2028\""),
    ("another spelling", "spelling", "need(spell(raw).encode() == bare", "need(True"),
    ("what is not ASCII by number", "spelling", "ensure_ascii=False, separators", "ensure_ascii=True, separators"),
    ("lists that are null", "spelling", "        need(type(v) is list, \"file\", \"a list is missing\")\n", "        v = v or []\n"),
    ("seconds as they come", "mpoc_files", "and (type(v) is int or out % 1000)", ""),
    ("empty optional keys", "spelling", "need(v not in (\"\", [], None), \"file\"", "need(True, \"file\""),
    ("keys that nobody knows", "spelling", "list(v) == [name for name in fields if name in v]", "[name for name in v if name in fields] == [name for name in fields if name in v]"),
    ("integers of any size", "spelling", "0 <= v < 2 ** int(low)", "0 <= v"),
    ("numbers with leading zeros", "spelling", "\"0|[1-9][0-9]{0,38}\"", "\"[0-9]{1,39}\""),
    ("hex in capitals", "spelling", "\"hex\": \"([0-9a-f]{2})", "\"hex\": \"([0-9a-fA-F]{2})"),
    # evidence
    ("a statement that nobody signed", "evidence", "    need(valid(key, message, signature), kind,", "    need(True, kind,"),
    ("an archive that is not compared", "evidence", "check_inclusion(a[\"root\"], a[\"commits\"]", "(a[\"root\"], a[\"commits\"]"),
    ("any claim", "evidence", "need(forged == (d[\"claim\"] == \"forged\")", "need(True"),
    ("a norm that is not compared", "evidence", "forged = want != (d[\"norm\"], d[\"digest\"])", "forged = want[1] != d[\"digest\"]"),
    ("version 1 that convicts", "evidence", "\"unbound\": version == 1", "\"unbound\": False"),
    ("a state under another header", "evidence_state", "and app == head[11] and", "and"),
    ("two proofs that are not one", "evidence_state", " and store == root,", ","),
    ("a header of another chain", "evidence_state", "need(head[2] == d[\"chain\"].encode() and app", "need(app"),
    ("a header without validators", "evidence_state", "good = h[8] and h[3]", "good = h[3]"),
    ("protobuf with unknown fields", "evidence_state", "kinds.get(tag >> 3, \"??\")", "kinds.get(tag >> 3, (\"b\" if tag & 7 else \"v\", \"!\"))"),
    ("a segment that was not", "evidence_state", "r[4][n - 1] if 0 < n <= len(r[4]) else None", "d[\"segment_seed\"]"),
    ("steps of any length", "evidence_state", "len(prefix) in (1, 33) and", ""),
    ("IAVL's heights unread", "evidence_state", "i or v >= 2 * least", "True"),
    # leaves
    ("a receipt that the host did not sign", "delivery_files", "check_signature(d[\"order\"][\"host_key\"], ack", "(d[\"order\"][\"host_key\"], ack"),
    ("leaves that were not drawn", "delivery_files", "need(w[\"leaf\"] in drawn and 0", "need(0"),
    ("a nonce that was not announced", "delivery_files", "need(audit == order[\"audit\"]", "need(True"),
    ("batches that overlap", "delivery_files", "and all(a[1] <= b[0] for a, b in zip(ends, ends[1:])), \"file\"", ", \"file\""),
    ("records that the device did not sign", "delivery_files", "check_inclusion(root, -(-count", "(root, -(-count"),
    ("leaves that are right", "delivery_files", "need(record != struct.pack(\"<Q\", norm) + digest, \"claim\"", "need(True, \"claim\""),
    ("any leaf claim", "delivery_files", "need(fraud == (d[\"claim\"] == \"fraud\")", "need(True"),
    ("files that say something else than their evidence", "left_out", "need(says.items() <= {k: v for k, v in d.items() if k != \"evidence\"}.items()\n         and not", "need(not"),
    ("files that hide something beside evidence", "left_out", " and not {\"hidden\", \"sha256\"} & d.keys(),", ","),
    ("a batch of 1,001", "delivery", "0 < batch[\"count\"] <= 1000", "0 < batch[\"count\"] <= 1001"),
    ("pages of 16", "delivery", "range(0, len(records), 1280)", "range(0, len(records), 640)"),
    # loops
    ("terms without bounds", "mpoc", "if not low <= int(t[name]) <= high]", "if not low <= int(t[name])]"),
    ("terms whose seed does not follow", "mpoc", "         and t[\"seed\"] == derive(\"mpoc\"", "         and True or t[\"seed\"] == derive(\"mpoc\""),
    ("commits of any length", "mpoc", "need(0 < c[\"loops\"] <= t[\"max_loops\"]", "need(0 < c[\"loops\"]"),
    ("draws above one", "mpoc", "and d[\"audit_q32\"] <= 2**32", ""),
    ("nine samples", "mpoc", "max(10, -(-c[\"loops\"] // 100))", "max(9, -(-c[\"loops\"] // 100))"),
    ("picks by loops", "mpoc", "sorted(divmod(n, self.tiles) for n in numbers[self.looks(first) :])", "sorted((n % c, n // c) for n in numbers[self.looks(first) :] for c in [self.all_tiles // self.tiles])"),
    ("later rounds that begin again", "mpoc", "numbers[self.looks(first) :]", "numbers[: self.looks(end) - self.looks(first)]"),
    ("rejections without evidence", "mpoc_files", "holds(list(o.values()) == [status", "holds(True or list(o.values()) == [status"),
    ("openings that are right", "mpoc_files", "shown = is_wrong(t, last, full) == (claim == \"forged\")", "shown = True"),
    ("a bad share of another certainty", "mpoc_files", "upper(checked, (1, 1000), wrong)", "upper(checked, (1, 100), wrong)"),
    ("a fault that is decided late", "mpoc_files", "range(1, rounds if status == \"faulty\" else 1)", "range(0)"),
    ("a detection of another share", "mpoc_files", "-(-audit.all_tiles // 20)", "-(-audit.all_tiles // 25)"),
    ("commits from before their terms", "mpoc_files", "holds(r[\"committed\"] >= t[\"issued\"]", "holds(True"),
    ("late in time", "mpoc_files", "late = r[\"proved\"] == 0 and r[\"committed\"] > t[\"expiry\"]", "late = r[\"proved\"] == 0"),
    ("late and proved", "mpoc_files", "late = r[\"proved\"] == 0 and r", "late = r"),
    ("commits after expiry", "mpoc_files", "holds(r[\"committed\"] <= t[\"expiry\"] and r", "holds(r"),
    ("draws that are due before the commit", "mpoc_files", " and r[\"committed\"] <= d[\"deadline\"],", ","),
    ("failed and more", "mpoc_files", "holds(nothing, \"failed", "holds(True, \"failed"),
    ("proofs from before the commit", "mpoc_files", "holds(r[\"proved\"] >= r[\"committed\"], ", "holds(True, "),
    ("tiles that count twice", "mpoc_files", "and len(set(opened)) == len(tiles)\n", "\n"),
    ("tiles that are not in the log", "mpoc_files", "            check_opening(t, c, x)\n", "            pass\n"),
    ("a unit's tiles unread", "mpoc_files", "        check_inclusion(o[\"digest\"], tiles", "        (o[\"digest\"], tiles"),
    ("terms that nobody signed", "mpoc_files", "check_signature(t[\"host_key\"], loop_message(t), r", "(t[\"host_key\"], loop_message(t), r"),
    ("commits that nobody signed", "mpoc_files", "check_signature(t[\"device_key\"], loop_message(t, c), r", "(t[\"device_key\"], loop_message(t, c), r"),
    ("receipts that nobody signed", "mpoc_files", "check_signature(t[\"host_key\"], whole, r", "(t[\"host_key\"], whole, r"),
    ("signed back by anyone", "mpoc_files", "check_signature(t[\"device_key\"], back", "(t[\"device_key\"], back"),
    ("draws that follow", "mpoc_files", "shown = not follows(", "shown = follows("),
    ("an amount as a number", "mpoc", "out = VALUES.get(what, str)(v) if good else v", "out = VALUES.get(what, int if what == \"amount\" else str)(v) if good else v"),
    ("terms that are the same", "mpoc_files", "shown = one != other and (", "shown = ("),
    ("transfers that the host did not sign", "mpoc_transfer", "    check_signature(d[\"host_key\"], signed, d[\"host_signature\"])\n    return {\"message\": signed, \"sig", "    return {\"message\": signed, \"sig"),
    ("transactions in small letters", "mpoc_transfer", "\"txhash\": \"[0-9A-F]{64}\"", "\"txhash\": \"[0-9A-Fa-f]{64}\""),
]

# the same, where what is wrong is slow: a unit that the right program refuses is computed, or a large one
SLOW = [
    ("seven layers in small", "transformer_small", "(2, 1024, 8, 7)", "(2, 1024, 7, 7)"),
    ("a depth above 2^16", "matmul", "(2**15, 2**16, 2**15)", "(2**15, 2**17, 2**15)"),
    ("a side above 2^15", "matmul", "(2**15, 2**16, 2**15)", "(2**16, 2**16, 2**15)"),
]


def orders(program):
    """Of every list of a seed's parts, one whose first two are swapped."""
    for names, of in program.SEED_PARTS.items():
        first, second, *rest = *names.split(), ""
        if second:
            swapped = " ".join([second, first, *rest]).rstrip()
            yield f"{second} before {first} in {of}", "seed", f'"{names}": "{of}"', f'"{swapped}": "{of}"'


def broken(source, old, new):
    """assay.py with one text replaced, as a module."""
    if source.count(old) != 1:
        raise SystemExit(f"{source.count(old)} times in assay.py: {old!r}")
    module = types.ModuleType("wrong")
    exec(compile(source.replace(old, new), "wrong", "exec"), module.__dict__)
    return module


def failing(module, name, cases):
    """The first case that the module fails, or None."""
    for case in cases:
        try:
            if module.check_case(name, case):
                return case["name"]
        except Exception:  # a wrong program may break off on a vector, which fails it
            return case["name"]
    return None


def main(folder, which):
    """Tries all, and returns the exit code."""
    with open(PROGRAM, encoding="utf-8") as f:
        source = f.read()
    right = broken(source, "def vectors(", "def vectors(")
    cases = {}
    for name in right.VECTORS:
        if name in right.LONG and which != "long":
            continue
        with open(os.path.join(folder, name + ".json"), "rb") as f:
            cases[name] = json.load(f)["cases"]
        # what is refused comes first: it takes less time, and most that is wrong shows there
        cases[name].sort(key=lambda case: not (isinstance(case["out"], dict) and case["out"].get("error")))
    work = {name: functools.cache(getattr(right, name)) for name in ("unit", "matmul_digest")}
    passing = 0
    quick = [*WRONG, *orders(right)]
    wrong = quick + SLOW if which == "long" else random.Random(which).sample(quick, 30)
    for what, shown, old, new in wrong:
        module = broken(source, old, new)
        if shown in ("evidence", "delivery_files", "left_out", "mpoc_files"):  # and their units and tiles are computed once
            vars(module).update(work)
        first = failing(module, shown, cases.get(shown, []))
        other = None if first else next((n for n in cases if failing(module, n, cases[n])), None)
        passing += not first and not other
        print(f"{what}: {f'{shown}.json: {first}' if first else f'{other}.json, not {shown}.json' if other else 'FAILS NOTHING'}")
    print(f"{len(wrong)} wrong implementations of {len(quick + SLOW)}, {passing} fail nothing")
    return 1 if passing else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
