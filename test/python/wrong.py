# SPDX-License-Identifier: Apache-2.0
"""Wrong implementations, each of which has to fail a vector.

    python3 wrong.py DIR long|SEED     all of them, or 30 by a seed

Each is client/python/assay.py with one text replaced: a limit dropped, a shift off by one, a check left out. The named
file of vectors should show it; where it does not, all others are tried. The exit code is 1 if one fails nothing.
"""
import functools
import os
import random
import sys
import types

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "client", "python", "assay.py")

# what is wrong; the file that shows it; the text; what stands there instead
WRONG = [
    # seeds, streams, units
    ("a seed without lengths", "seed", "out += [len(b).to_bytes(4, \"little\"), b]", "out += [b]"),
    ("a seed with big-endian integers", "seed", "f.to_bytes(8, \"little\")", "f.to_bytes(8, \"big\")"),
    ("a seed without its prefix", "seed", "message(\"assay/1/\" + name, *parts)", "message(name, *parts)"),
    ("the parts of node swapped", "seed", "\"node\": \"chain participant node class\"", "\"node\": \"chain node participant class\""),
    ("the parts of middle swapped", "seed", "\"chain epoch voter participant node", "\"chain epoch participant voter node"),
    ("segment 1 with a beacon value", "seed", "and i[\"segment\"] == 1", "and i[\"segment\"] == 0"),
    ("20 rounds", "prf", "for _ in range(4):", "for _ in range(10):"),
    ("a counter of 32 bits", "prf", "lanes([p[which] >> 32 for p in places])", "lanes([p[which] >> 32 if which else 0 for p in places])"),
    ("a nonce of 32 bits", "prf", "lanes([p[which] >> 32 for p in places])", "lanes([0 if which else p[which] >> 32 for p in places])"),
    ("a stream from its block's beginning", "prf", "[offset - 64 * first :]", "[0:]"),
    ("condensing without positions", "condense", "fmix((c + (position + i) * 0x9E3779B9) &", "fmix(c &"),
    ("-128 as a weight", "transformer", "bytes(128 if b == 128 else b ^ 128 for b in range(256))", "bytes(b ^ 128 for b in range(256))"),
    ("weights in another order", "transformer", "8 * layer + m, rows", "7 * layer + m, rows"),
    ("shifts that round down", "transformer", "return (x + (1 << (s - 1))) >> s", "return x >> s"),
    ("shifts off by one", "transformer", "return 6 + k.bit_length() // 2", "return 6 + (k.bit_length() + 1) // 2"),
    ("eight bits more in the stream", "transformer", "s = shift(k) - 9", "s = shift(k) - 8"),
    ("int8 to -128", "transformer_steps", "return min(max(x, -c), c)", "return min(max(x, -c - 1), c)"),
    ("the residual stream without a limit", "transformer_steps", "clamp(v + rsh(a, s), 2**23 - 1)", "v + rsh(a, s)"),
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
    ("A and B swapped", "matmul", "operand(challenge, number, 65, [64", "operand(challenge, number, 66, [64"),
    ("tiles by column", "matmul", "for i in range(n // 64) for j in tile_cols]", "for j in tile_cols for i in range(n // 64)]"),
    ("units of any size", "matmul", "need(m * q >= 2**18", "need(m * q >= 2**16"),
    # trees and commitments
    ("leaves without a prefix", "leaf", "sha256(b\"\\0\", data)", "sha256(data)"),
    ("nodes without a prefix", "inclusion", "sha256(b\"\\1\", left, right)", "sha256(left, right)"),
    ("a last leaf that is doubled", "evidence_state", "else hashes[i] for i", "else node_hash(hashes[i], hashes[i]) for i"),
    ("a path with hashes to spare", "inclusion", "need(not path and h == root", "need(h == root"),
    ("a tree above 2^48 - 1", "inclusion", "need(0 < size <= MAX_LEAVES and 0", "need(0 < size and 0"),
    ("a consistency proof that shows the new root alone", "consistency", "(fr, sr) == (old_root, root)", "sr == root"),
    ("an empty log with a root", "consistency", "(root if old else sha256())", "(root if old else old_root)"),
    ("a multiproof with hashes to spare", "multi", " and next(rest, None) is None, \"proof\"", ", \"proof\""),
    ("indices that repeat", "multi", "all(a < b for a, b in zip(indices", "all(a <= b for a, b in zip(indices"),
    ("a leaf of class 0", "leaf", "need(class_id and is_node", "need(is_node"),
    ("a node of 33", "leaf", "return re.fullmatch(\"[a-z0-9-]{1,32}\"", "return re.fullmatch(\"[a-z0-9-]{1,33}\""),
    ("a leaf beyond the largest log", "leaf", "index < MAX_LEAVES", "index <= MAX_LEAVES"),
    ("a log that is empty and has a root", "statement", "(d[\"count\"] or d[\"root\"] == sha256())", "True"),
    ("a statement of segment 0", "statement", "d[\"segment\"] > 0 and d[\"count\"] <= MAX_LEAVES\n", "d[\"count\"] <= MAX_LEAVES\n"),
    ("a commit of no leaves in the archive", "archive", "and 0 < d[\"count\"] <= MAX_LEAVES", "and 0 <= d[\"count\"] <= MAX_LEAVES"),
    # signatures
    ("S above the order", "signature", "if a is None or s >= L:", "if a is None:"),
    ("keys of small order", "signature", " or int.from_bytes(key, \"little\") & (2**255 - 1) in SMALL:", ":"),
    ("keys of order 8", "signature", "in SMALL:", "in (0, 1, P - 1):"),
    ("y above p", "signature", "if y >= P or (v", "if (v"),
    ("R in any spelling", "signature", "minus_a)) == signature[:32]", "minus_a)) == (int.from_bytes(signature[:32], \"little\") % 2**255 % P | signature[31] >> 7 << 255).to_bytes(32, \"little\")"),
    ("R with the cofactor", "signature", "minus_a)) == signature[:32]", "minus_a)) == signature[:32] or two_products(8, two_products(s, BASE, scalar(signature[:32], key, msg), minus_a), 0, BASE)[0] == 0"),
    ("signatures of any length", "signature", "if len(key) != 32 or len(signature) != 64 or", "if len(key) != 32 or"),
    # draws and statistics
    ("a draw with a bias", "draw", "return next(w for w in source if w < 2**64 - 2**64 % n) % n", "return next(source) % n"),
    ("Floyd's method without its second choice", "draw", "taken.add(j if t in taken else t)", "taken.add(t)"),
    ("a draw that reads all", "mpoc_audit", "a + below(b - a, source)", "a + below(b - a + 1, source)"),
    ("a sample in order", "mpoc_audit", "    return list(out)\n", "    return sorted(out)\n"),
    ("slots that begin at 0", "draw", "(sample * replicas + i) % slots", "i % slots"),
    ("a tail that is rounded down", "statistics", "b**n, up=True)", "b**n)"),
    ("a tail above x", "statistics", "at_most(n, a, b, x - 1), b**n", "at_most(n, a, b, x), b**n"),
    ("texts of six digits at every edge", "statistics", "if digits == 10**6 or exponent < -1 and x * 10 ** (5 - exponent) >= 999_995:", "if digits == 10**6:"),
    ("0.0001 with an exponent", "statistics", "if exponent < -4:", "if exponent < -3:"),
    ("a threshold at the bound", "statistics", "next((x for x in range(n + 1) if", "next((x + 1 for x in range(n + 1) if"),
    ("an upper bound of below", "statistics", "    return high\n\ndef credited", "    return low\n\ndef credited"),
    ("a detection that is rounded up", "statistics", "q64(math.comb(total, n) - missed, math.comb(total, n))", "q64(math.comb(total, n) - missed, math.comb(total, n), True)"),
    ("a sequential test of other errors", "mpoc_audit", "num >= 999_999 * den", "num >= 99_999 * den"),
    ("faulty before it is sure", "mpoc_audit", "num * 999_999 <= den", "num * 900_000 <= den"),
    ("an audit rounded down", "mpoc_audit", "-(-max(Fraction(1, 20)", "+(+max(Fraction(1, 20)"),
    ("flags that double", "mpoc_audit", "2 * 4 ** min", "2 * 2 ** min"),
    ("credit rounded up", "powers", "count * (2**64 - bound) >> 64)", "-(-count * (2**64 - bound) >> 64))"),
    ("powers without a lift", "powers", "lift=Fraction(6, 5)", "lift=Fraction(1)"),
    ("powers without a limit of moves", "powers", "min(1, move / moved if moved else 1)", "1"),
    ("remainders by name", "powers", "(out[name] - exact[name], name)", "name"),
    # spelling
    ("sizes without white space", "spelling", "need(len(data) <= LIMITS[version", "need(len(spell(raw)) <= LIMITS[version"),
    ("U+2028 as it is", "spelling", "[*range(32), 0x2028, 0x2029]", "[*range(32)]"),
    ("a backspace by number", "spelling", "b'\"\\\\\\b\\f\\n", "b'\"\\\\\\x01\\f\\n"),
    ("another spelling", "spelling", "need(spell(raw).encode() == bare", "need(True"),
    ("empty optional keys", "spelling", "need(name[-1] != \"?\" or value not in", "need(True or value not in"),
    ("keys that nobody knows", "spelling", "need(not rest, \"file\", f\"{rest and", "need(True, \"file\", f\"{rest and"),
    ("integers of any size", "spelling", "0 <= number < 2**low", "0 <= number"),
    ("numbers with leading zeros", "spelling", "\"0|[1-9][0-9]{0,38}\"", "\"[0-9]{1,39}\""),
    ("hex in capitals", "spelling", "(?:[0-9a-f]{2})", "(?:[0-9a-fA-F]{2})"),
    # evidence
    ("a statement that nobody signed", "evidence", "    need(valid(key, msg, signature), kind,", "    need(True, kind,"),
    ("an archive that is not compared", "evidence", "check_inclusion(a[\"root\"], a[\"commits\"]", "(a[\"root\"], a[\"commits\"]"),
    ("any claim", "evidence", "need(forged == (d[\"claim\"] == \"forged\")", "need(True"),
    ("a norm that is not compared", "evidence", "forged = (norm, digest) != (d[\"norm\"], d[\"digest\"])", "forged = digest != d[\"digest\"]"),
    ("version 1 that convicts", "evidence", "\"unbound\": version == 1", "\"unbound\": False"),
    ("a state under another header", "evidence_state", "and app == head[11] and", "and"),
    ("two proofs that are not one", "evidence_state", " and store == root,", ","),
    ("a header of another chain", "evidence_state", "need(head[2] == d[\"chain\"].encode() and app", "need(app"),
    ("a header without validators", "evidence_state", "need(h[8] and h[3]", "need(h[3]"),
    ("protobuf with unknown fields", "evidence_state", "kinds.get(tag >> 3, \"? \")", "kinds.get(tag >> 3, \"b*\" if tag & 7 else \"v*\")"),
    ("a segment that was not", "evidence_state", "need(0 < n <= len(seeds) and seeds[n - 1] == d[\"segment_seed\"] and [r[i]", "need([r[i]"),
    ("steps of any length", "evidence_state", "len(prefix) in (1, 33) and", ""),
    ("IAVL's heights unread", "evidence_state", "i or v >= 2 * least", "True"),
    # leaves
    ("a receipt that the host did not sign", "delivery_files", "check_signature(d[\"order\"][\"host_key\"], ack", "(d[\"order\"][\"host_key\"], ack"),
    ("leaves that were not drawn", "delivery_files", "need(w[\"leaf\"] in drawn and 0", "need(0"),
    ("a nonce that was not announced", "delivery_files", "need(seed(\"leaf-audit\", d[\"nonce\"], d[\"samples\"]) == order[\"audit\"]", "need(True"),
    ("batches that overlap", "delivery_files", "need(all(a[0] + a[1] <= b[0]", "need(True or all(a[0] + a[1] <= b[0]"),
    ("records that the device did not sign", "delivery_files", "check_inclusion(w[\"in\"][\"batch\"][\"root\"],", "(w[\"in\"][\"batch\"][\"root\"],"),
    ("leaves that are right", "delivery_files", "need(record != struct.pack(\"<Q\", norm) + digest, \"claim\"", "need(True, \"claim\""),
    ("any leaf claim", "delivery_files", "need(fraud == (d[\"claim\"] == \"fraud\")", "need(True"),
    ("files that say something else than their evidence", "left_out", "need(all(d[name] == v for name, v in says.items()) and not", "need(not"),
    ("files that hide something beside evidence", "left_out", " and not {\"hidden\", \"sha256\"} & d.keys(),", ","),
    ("a batch of 1,001", "delivery", "0 < batch[\"count\"] <= 1000", "0 < batch[\"count\"] <= 1001"),
    ("pages of 16", "delivery", "range(0, len(records), 1280)", "range(0, len(records), 640)"),
    # loops
    ("terms without bounds", "mpoc", "bad = [name for name, low, high in bounds if not low <= t[name] <= high]", "bad = []"),
    ("terms whose seed does not follow", "mpoc", "         and t[\"seed\"] == seed(\"mpoc\"", "         and True or t[\"seed\"] == seed(\"mpoc\""),
    ("commits of any length", "mpoc", "need(0 < c[\"loops\"] <= t[\"max_loops\"]", "need(0 < c[\"loops\"]"),
    ("draws above one", "mpoc", "and d[\"audit_q32\"] <= 2**32", ""),
    ("nine samples", "mpoc", "max(10, -(-c[\"loops\"] // 100))", "max(9, -(-c[\"loops\"] // 100))"),
    ("picks by loops", "mpoc", "sorted(divmod(n, self.tiles) for n in numbers)", "sorted((n % c, n // c) for n in numbers for c in [self.all_tiles // self.tiles])"),
    ("later rounds that begin anew", "mpoc", "[self.looks(first) :]", "[: self.looks(end) - self.looks(first)]"),
    ("rejections without evidence", "mpoc_files", "holds(list(o.values()) == [status", "holds(True or list(o.values()) == [status"),
    ("openings that are right", "mpoc_files", "need(is_wrong(t, o, full) == (claim == \"forged\")", "need(True"),
    ("a bad share of another certainty", "mpoc_files", "upper(checked, 1, 1000, wrong)", "upper(checked, 1, 100, wrong)"),
    ("a fault that is decided late", "mpoc_files", "range(1, rounds if status == \"faulty\" else 1)", "range(0)"),
    ("a detection of another share", "mpoc_files", "-(-audit.all_tiles // 20)", "-(-audit.all_tiles // 25)"),
    ("commits from before their terms", "mpoc_files", "holds(r[\"committed\"] >= t[\"issued\"]", "holds(True"),
    ("late in time", "mpoc_files", " and r[\"committed\"] > t[\"expiry\"],", ","),
    ("late and proved", "mpoc_files", "and nothing and r[\"proved\"] == 0 and", "and nothing and"),
    ("commits after expiry", "mpoc_files", "and r[\"committed\"] <= t[\"expiry\"] and", "and"),
    ("draws that are due before the commit", "mpoc_files", " and r[\"committed\"] <= d[\"deadline\"],", ","),
    ("failed and more", "mpoc_files", "holds(nothing, \"failed", "holds(True, \"failed"),
    ("proofs from before the commit", "mpoc_files", "holds(r[\"proved\"] >= r[\"committed\"] and 0", "holds(0"),
    ("tiles that count twice", "mpoc_files", "len(set(opened)) == wrong and", ""),
    ("tiles that are not in the log", "mpoc_files", "            check_opening(t, c, x)\n", "            pass\n"),
    ("a unit's tiles unread", "mpoc_files", "    if \"tile\" in o:\n        check_inclusion(", "    if \"tile\" in o:\n        ("),
    ("terms that nobody signed", "mpoc_files", "check_signature(t[\"host_key\"], msg, r[\"terms_signature\"]", "(t[\"host_key\"], msg, r[\"terms_signature\"]"),
    ("commits that nobody signed", "mpoc_files", "check_signature(t[\"device_key\"], commit_message(msg, c)", "(t[\"device_key\"], commit_message(msg, c)"),
    ("receipts that nobody signed", "mpoc_files", "check_signature(t[\"host_key\"], whole, r", "(t[\"host_key\"], whole, r"),
    ("signed back by anyone", "mpoc_files", "check_signature(t[\"device_key\"], message(", "(t[\"device_key\"], message("),
    ("draws that follow", "mpoc_files", "need(not follows(t, e[\"draw\"][\"draw\"])", "need(follows(t, e[\"draw\"][\"draw\"])"),
    ("an amount as a number", "mpoc", "t | {\"pay_per_tebiop\": str(t[\"pay_per_tebiop\"])}", "t | {\"pay_per_tebiop\": t[\"pay_per_tebiop\"]}"),
    ("terms that are the same", "mpoc_files", " and other != t,", ","),
    ("transfers that the host did not sign", "mpoc_transfer", "check_signature(d[\"host_key\"], transfer_message(d), d[\"host_signature\"], \"the host\")\n    return {", "return {"),
    ("transactions in small letters", "mpoc_transfer", "\"txhash\": \"[0-9A-F]{64}\"", "\"txhash\": \"[0-9A-Fa-f]{64}\""),
]

# the same, where what is wrong is slow: a unit that the right program refuses is computed
SLOW = [
    ("a depth above 2^16", "matmul", "(k, 2**16)", "(k, 2**17)"),
    ("a side above 2^15", "matmul", "((m, 2**15)", "((m, 2**16)"),
]


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
        with open(os.path.join(folder, name + ".json"), "rb") as f:
            cases[name] = right.parse(f.read())["cases"]
        # what is refused comes first: it takes less time, and most that is wrong shows there
        cases[name].sort(key=lambda case: not (isinstance(case["out"], dict) and case["out"].get("error")))
    work = {name: functools.cache(getattr(right, name)) for name in ("unit", "tile_digest", "unit_digest")}
    passing = 0
    wrong = WRONG + SLOW if which == "long" else random.Random(which).sample(WRONG, 30)
    for what, shown, old, new in wrong:
        module = broken(source, old, new)
        module.Object = right.Object  # the cases are read once
        if shown in ("evidence", "delivery_files", "left_out", "mpoc_files"):  # and their units and tiles are computed once
            vars(module).update(work)
        first = failing(module, shown, cases.get(shown, []))
        other = None if first else next((n for n in cases if failing(module, n, cases[n])), None)
        passing += not first and not other
        print(f"{what}: {f'{shown}.json: {first}' if first else f'{other}.json, not {shown}.json' if other else 'FAILS NOTHING'}")
    print(f"{len(wrong)} wrong implementations, {passing} fail nothing")
    return 1 if passing else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
