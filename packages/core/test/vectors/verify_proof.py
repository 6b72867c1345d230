#!/usr/bin/env python3
"""Verifies kvchain proof files, from docs/proofs.md and docs/protocol.md alone.

An implementation of its own: it shares no line with the code under test, and uses only Python's standard library. "P8" is a rule
of docs/proofs.md, "5.4" one of docs/protocol.md.

    python3 verify_proof.py [--genesis HEX] FILE...

Prints one JSON object a line, one line a file. Exit code 0 if every proof holds, 1 if one does not, 2 for a wrong command line.
"""
import hashlib
import json
import re
import sys

ZERO_32 = bytes(32)
MAX_INTEGER = 2**53 - 1
MAGIC = bytes.fromhex("6b7670726f6f6600")
HEADER_BYTES = 184


class ProofError(Exception):
    """The proof does not hold. Its first argument is the code."""


class Malformed(Exception):
    """Bytes that are no encoding."""


def need(condition, code, text):
    if not condition:
        raise ProofError(code, text)


# --- protocol.md, sections 1 and 2 ------------------------------------------------------------------------------------


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def bytes(self, length):
        if length > len(self.data) - self.at:
            raise Malformed("truncated")
        self.at += length
        return self.data[self.at - length : self.at]

    def uint(self, size):
        value = int.from_bytes(self.bytes(size), "big")
        if value > MAX_INTEGER:
            raise Malformed("integer")
        return value

    def count(self, low, high):
        value = self.uint(4)
        if not low <= value <= high:
            raise Malformed("length")
        return value

    def var(self, low, high):
        return self.bytes(self.count(low, high))

    def tag(self, *known):
        value = self.uint(1)
        if value not in known:
            raise Malformed("tag")
        return value

    def end(self):
        if self.at != len(self.data):
            raise Malformed("trailing")


def whole(data, read):
    """What `read` makes of all of `data`."""
    reader = Reader(data)
    value = read(reader)
    reader.end()
    return value


def sha256(data):
    return hashlib.sha256(data).digest()


def H(name, *parts):
    tag = b"kvchain/" + name.encode("ascii")
    return sha256(tag + bytes(16 - len(tag)) + b"".join(parts))


# --- sections 5, 7: headers -------------------------------------------------------------------------------------------


def read_header(reader):
    if reader.uint(4) != 1:
        raise Malformed("version")
    return {
        "parent": reader.bytes(32),
        "height": reader.uint(4),
        "timestamp": reader.uint(8),
        "target": int.from_bytes(reader.bytes(32), "big"),
        "txRoot": reader.bytes(32),
        "stateRoot": reader.bytes(32),
        "miner": reader.bytes(32),
        "nonce": reader.uint(8),
    }


def header_hash(data):
    """5, 7.1: commitment and nonce, as they stand in the header's bytes."""
    return sha256(H("header", data[:176]) + data[176:])


def work(target):
    return 2**256 // (target + 1)


def next_target(params, parent, grandparent):
    """7.4, 7.5."""
    if params["targetRule"] == 1 or parent["height"] < 2:
        return params["initialTarget"]
    interval, window, clamp = params["blockIntervalMs"], params["targetWindowBlocks"], params["solveTimeClampBlocks"]
    solve = parent["timestamp"] - grandparent["timestamp"]
    solve = max(-clamp * interval, min(clamp * interval, solve))
    e = (solve - interval) * 2**16 // (window * interval)
    s = e // 2**16
    x = e - s * 2**16
    f = 2**16 + (195766423245049 * x + 971821376 * x**2 + 5127 * x**3 + 2**47) // 2**48
    shift = 16 - s
    t = parent["target"] * f
    t = t >> shift if shift >= 0 else t << -shift
    return min(max(t, 1), params["easiestTarget"])


# --- section 8: entries -----------------------------------------------------------------------------------------------


def read_entry(reader):
    entry = {"key": reader.var(1, 512), "version": reader.uint(8), "deleted": reader.tag(0, 1) == 1}
    entry["valueLength"] = reader.count(0, 2**20)
    entry["valueDigest"] = reader.bytes(32)
    entry["owner"] = reader.bytes(32)
    if reader.tag(1, 2, 3) == 3:
        writers = [reader.bytes(32) for _ in range(reader.count(1, 64))]
        if any(a >= b for a, b in zip(writers, writers[1:])):
            raise Malformed("order")
    entry["height"] = reader.uint(4)
    entry["txid"] = reader.bytes(32)
    entry["previous"] = reader.bytes(32)
    return entry


# --- section 9: the state tree ----------------------------------------------------------------------------------------


def bit(path, i):
    return path[i // 8] >> (7 - i % 8) & 1


def read_path(path):
    """Reads the proof bytes for a path: siblings, and the terminal (None, or path and digest)."""

    def read(reader):
        count = reader.uint(2)
        if count > 256:
            raise Malformed("length")
        bitmap = reader.bytes((count + 7) // 8)
        siblings = []
        for i in range(8 * len(bitmap)):
            marked = bit(bitmap, i)
            if i >= count:
                if marked:
                    raise Malformed("spare bit")
                continue
            siblings.append(reader.bytes(32) if marked else ZERO_32)
            if marked and siblings[-1] == ZERO_32:
                raise Malformed("marked and zero")
        tag = reader.tag(0, 1, 2)
        if tag == 0:
            return siblings, None
        if tag == 1:
            return siblings, (path, reader.bytes(32))
        other = reader.bytes(32)
        if other == path:
            raise Malformed("own leaf")
        return siblings, (other, reader.bytes(32))

    return read


def shown(root, path, siblings, terminal):
    """9.3, 9.4: the digest at the path, or None for absent."""
    h, digest = ZERO_32, None
    if terminal is not None:
        place, leaf_digest = terminal
        need(all(bit(place, i) == bit(path, i) for i in range(len(siblings))), "proof-tree", "a leaf of elsewhere")
        h = H("leaf", place, leaf_digest)
        if place == path:
            digest = leaf_digest
    for i in range(len(siblings) - 1, -1, -1):
        h = H("node", siblings[i], h) if bit(path, i) else H("node", h, siblings[i])
    need(h == root, "proof-tree", "the path does not lead to the state root")
    return digest


def tree_root(pairs, depth=0):
    """9.1, 9.2."""
    if not pairs:
        return ZERO_32
    if len(pairs) == 1:
        return H("leaf", *pairs[0])
    sides = [[pair for pair in pairs if bit(pair[0], depth) == side] for side in (0, 1)]
    return H("node", tree_root(sides[0], depth + 1), tree_root(sides[1], depth + 1))


# --- section 10: networks ---------------------------------------------------------------------------------------------

BOUNDS = [
    ("targetWindowBlocks", 1, 100_000),
    ("solveTimeClampBlocks", 1, 100_000),
    ("maxFutureMs", 0, 86_400_000),
    ("maxValueBytes", 1, 999_995),
    ("maxTransactionBytes", 256, 999_996),
    ("maxBlockBytes", 1024, 2**24),
    ("maxTransactions", 1, 100_000),
    ("minFeePerByte", 0, 1_000_000),
    ("blockReward", 0, 2**20),
]


def read_params(reader):
    """10.2; each field within its bounds."""

    def check(condition):
        if not condition:
            raise Malformed("bounds")

    check(reader.uint(4) == 1)
    params = {"name": reader.var(1, 32), "prefix": reader.var(1, 16)}
    check(re.fullmatch(rb"[a-z][a-z0-9-]{0,31}", params["name"]))
    check(re.fullmatch(rb"[a-z]{1,16}", params["prefix"]))
    reader.tag(1)
    params["genesisTimestampMs"] = reader.uint(8)
    params["blockIntervalMs"] = reader.uint(4)
    check(1 <= params["blockIntervalMs"] <= 86_400_000)
    params["targetRule"] = reader.tag(1, 2)
    params["initialTarget"] = int.from_bytes(reader.bytes(32), "big")
    params["easiestTarget"] = int.from_bytes(reader.bytes(32), "big")
    check(1 <= params["initialTarget"] <= params["easiestTarget"])
    for name, low, high in BOUNDS:
        params[name] = reader.uint(4)
        check(low <= params[name] <= high)
    check(params["maxValueBytes"] < params["maxTransactionBytes"] < params["maxBlockBytes"])
    accounts = [(reader.bytes(32), reader.uint(8)) for _ in range(reader.count(0, 10_000))]
    check(all(amount >= 1 for _, amount in accounts))
    check(len({key for key, _ in accounts}) == len(accounts))
    check(params["blockReward"] * 2**32 + sum(amount for _, amount in accounts) <= MAX_INTEGER)
    params["accounts"] = accounts
    return params


def genesis_header(params, parameter_bytes):
    """10.3, 10.4: the header's bytes."""
    pairs = []
    for key, amount in params["accounts"]:
        account = key + amount.to_bytes(8, "big") + (0).to_bytes(8, "big")
        pairs.append((H("accpath", key), H("account", account)))
    fields = [
        (1).to_bytes(4, "big"),
        H("params", parameter_bytes),
        (0).to_bytes(4, "big"),
        params["genesisTimestampMs"].to_bytes(8, "big"),
        params["initialTarget"].to_bytes(32, "big"),
        H("txroot", (0).to_bytes(4, "big"), ZERO_32),
        tree_root(pairs),
        ZERO_32,
        (0).to_bytes(8, "big"),
    ]
    return b"".join(fields)


# --- proofs.md --------------------------------------------------------------------------------------------------------


def read_record(reader):
    entry_bytes = reader.var(151, 2714)
    entry = whole(entry_bytes, read_entry)
    flag = reader.tag(0, 1)
    # P1
    if (entry["deleted"] and flag == 1) or (not entry["deleted"] and entry["valueLength"] == 0 and flag == 0):
        raise Malformed("value flag")
    value = reader.bytes(entry["valueLength"]) if flag else None
    return {"entry": entry, "digest": H("entry", entry_bytes), "value": value}


def read_file(data):
    """P2 to P4."""
    need(data[:8] == MAGIC, "proof-magic", "no proof file")
    reader = Reader(data)
    reader.bytes(8)
    need(reader.uint(4) == 1, "proof-version", "another version")
    kind = reader.tag(1, 2)
    parameters = reader.var(1, 400178)
    key = reader.var(1, 512)
    height = reader.uint(4)
    path = H("entpath", key)
    siblings, terminal = whole(reader.var(3, 8291), read_path(path))
    records = [read_record(reader) for _ in range(reader.count(0, 1 if kind == 1 else 2**20))]
    headers = [reader.bytes(HEADER_BYTES) for _ in range(reader.count(0, 2**22))]
    reader.end()
    return kind, parameters, key, height, path, siblings, terminal, records, headers


def check_chain(params, genesis, height, headers):
    """P7 to P15: the claim's block, the tip, work and chainwork."""
    n = len(headers)
    first = 1 if n == 0 else whole(headers[0], read_header)["height"]
    tip_height = first + n - 1
    need(first == 1 or (height >= 4 and first == height - 2), "proof-range", "the headers begin at another height")
    need(height <= tip_height, "proof-range", "the claim is above the headers")
    is_whole = first == 1
    ancestors = [genesis] if is_whole else []
    claimed = genesis if is_whole and height == 0 else None
    total = genesis["work"]
    on_claim = genesis["work"] if claimed else 0
    for i, data in enumerate(headers):
        header = whole(data, read_header)
        need(header["height"] == first + i, "proof-height", f"height {first + i} is due")
        parent = ancestors[-1] if ancestors else None
        if parent:
            need(header["parent"] == parent["hash"], "proof-link", f"height {first + i}: not the child")
        need(1 <= header["target"] <= params["easiestTarget"], "proof-target", f"height {first + i}: impossible target")
        header["hash"] = header_hash(data)
        need(int.from_bytes(header["hash"], "big") <= header["target"], "proof-work", f"height {first + i}: no work")
        if parent and (len(ancestors) >= 2 or parent["height"] == 0):
            due = next_target(params, parent, ancestors[-2] if len(ancestors) >= 2 else None)
            need(header["target"] == due, "proof-target", f"height {first + i}: another target is due")
        if ancestors:
            need(header["timestamp"] > ancestors[-1]["timestamp"], "proof-time", f"height {first + i}: too old")
        header["work"] = work(header["target"])
        total += header["work"]
        if header["height"] >= height:
            on_claim += header["work"]
        if header["height"] == height:
            claimed = header
        ancestors = ancestors[-1:] + [header]
    return claimed, ancestors[-1], on_claim, total if is_whole else None


def check_record(key, height, record):
    """P18 to P20."""
    entry = record["entry"]
    need(entry["key"] == key, "proof-entry", "an entry of another key")
    possible = (
        entry["version"] >= 1
        and (entry["previous"] == ZERO_32) == (entry["version"] == 1)
        and 1 <= entry["height"] <= height
    )
    if entry["deleted"]:
        possible = possible and entry["version"] >= 2 and entry["valueLength"] == 0 and entry["valueDigest"] == ZERO_32
    need(possible, "proof-entry", "an entry that cannot have been made")
    if record["value"] is not None:
        need(H("value", record["value"]) == entry["valueDigest"], "proof-value", "another value")


def check_history(records):
    """P21, P22."""
    before = None
    for number, record in enumerate(records, 1):
        entry = record["entry"]
        need(entry["version"] == number, "proof-history", f"version {number} is due")
        if before is not None:
            is_next = entry["height"] >= before["entry"]["height"] and entry["previous"] == before["digest"]
            need(is_next, "proof-history", f"version {number} does not follow")
        before = record


def verify(data, trusted=None):
    """The report of a proof that holds; raises ProofError."""
    try:
        return verify_encoded(data, trusted)
    except Malformed as error:
        raise ProofError("proof-malformed", str(error)) from error


def verify_encoded(data, trusted):
    kind, parameters, key, height, path, siblings, terminal, records, headers = read_file(data)
    try:
        params = whole(parameters, read_params)
    except Malformed as error:
        raise ProofError("proof-network", str(error)) from error
    genesis_bytes = genesis_header(params, parameters)
    genesis = whole(genesis_bytes, read_header)
    genesis.update(hash=header_hash(genesis_bytes), work=work(genesis["target"]))
    need(trusted is None or genesis["hash"] == trusted, "proof-genesis", "another network")
    claimed, tip, on_claim, total = check_chain(params, genesis, height, headers)
    digest = shown(claimed["stateRoot"], path, siblings, terminal)
    last = records[-1] if records else None
    need((last["digest"] if last else None) == digest, "proof-claim", "the state holds something else")
    for record in records:
        check_record(key, height, record)
    if kind == 2:
        check_history(records)
    entry = last and last["entry"]
    value = last and last["value"]
    return {
        "holds": True,
        "kind": "entry" if kind == 1 else "history",
        "network": params["name"].decode("ascii"),
        "genesis": genesis["hash"].hex(),
        "key": key.hex(),
        "claim": "absent" if entry is None else "deleted" if entry["deleted"] else "present",
        "version": entry and entry["version"],
        "value": None if value is None else value.hex(),
        "valueDigest": entry and entry["valueDigest"].hex(),
        "txid": entry and entry["txid"].hex(),
        "height": height,
        "blockHash": claimed["hash"].hex(),
        "tip": {"height": tip["height"], "hash": tip["hash"].hex(), "timestampMs": tip["timestamp"]},
        "confirmations": tip["height"] - height + 1,
        "work": str(on_claim),
        "chainwork": None if total is None else str(total),
        "versions": len(records),
    }


def main(arguments):
    trusted = None
    if arguments[:1] == ["--genesis"] and len(arguments) > 1:
        trusted = bytes.fromhex(arguments[1])
        arguments = arguments[2:]
    if not arguments:
        print("usage: verify_proof.py [--genesis HEX] FILE...", file=sys.stderr)
        return 2
    failed = 0
    for name in arguments:
        with open(name, "rb") as file:
            data = file.read()
        try:
            report = verify(data, trusted)
        except ProofError as error:
            failed = 1
            report = {"holds": False, "code": error.args[0], "text": error.args[1]}
        print(json.dumps({"file": name, **report}))
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
