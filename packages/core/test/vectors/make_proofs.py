#!/usr/bin/env python3
"""Makes proofs.json, from docs/proofs.md and docs/protocol.md alone: proof files with what they prove, and such as fail, with the code.

It builds on make_vectors.py beside it and shares no line with the code under test. Rule numbers are those of docs/proofs.md.

    python3 make_proofs.py --check    compare with the file that is here (exit code 1 if it differs)
    python3 make_proofs.py --write    write it (then format it: npx biome check --write packages/core/test/vectors)

Everything is derived from fixed texts: two runs give the same bytes.
"""
import json
import sys

from make_vectors import (
    H,
    HERE,
    KEYS,
    OPEN,
    PRIVATE,
    ZERO_32,
    encode_entry,
    encode_header,
    encode_proof,
    entry_digest,
    genesis,
    header_hash,
    merkle_root,
    network_file,
    next_target,
    prove,
    sha256,
    state_pairs,
    tree,
    u8,
    u32,
    var,
    work,
    writers,
)

MAGIC = bytes.fromhex("6b7670726f6f6600")


class Chain:
    """Blocks with entries put straight into the state; only headers and states matter to a proof."""

    def __init__(self):
        rich = [(KEYS["alice"], 1_000_000), (KEYS["bob"], 5)]
        target = f"{2**246 - 1:064x}"
        self.file = network_file("vectors-proofs", "kvt", rich, initialTarget=target, easiestTarget=f"{2**250:064x}")
        self.params, self.accounts, header = genesis(self.file, [key for key, _ in rich])
        self.genesis_hash = header_hash(header)
        c = self.file["consensus"]
        # Height, timestamp, target, hash, bytes; and the pairs of the state after each block.
        self.headers = [(0, c["genesisTimestampMs"], int(c["initialTarget"], 16), self.genesis_hash, header)]
        self.states = [state_pairs({}, self.accounts)]
        self.entries, self.versions, self.values = {}, [], {}

    def put(self, key, value, access=PRIVATE):
        """The next version; value None deletes."""
        before = self.entries.get(key)
        entry = {
            "key": key,
            "version": before["version"] + 1 if before else 1,
            "deleted": value is None,
            "valueLength": len(value or b""),
            "valueDigest": ZERO_32 if value is None else H("value", value),
            "owner": KEYS["alice"],
            "access": access,
            "height": len(self.headers),
            "txid": sha256(b"txid" + u32(len(self.versions))),
            "previous": entry_digest(before) if before else ZERO_32,
        }
        self.entries[key] = entry
        self.versions.append(entry)
        if value is not None:
            self.values[entry["valueDigest"]] = value

    def block(self, solve_ms=2000):
        height, timestamp, _, parent, _ = self.headers[-1]
        target = next_target(self.file["consensus"], self.headers[-1][:3], self.headers[-2][:3] if height else None)
        pairs = state_pairs(self.entries, self.accounts)
        header = {"parent": parent, "height": height + 1, "timestampMs": timestamp + solve_ms, "target": target}
        header.update(txRoot=merkle_root([]), stateRoot=tree(pairs), miner=KEYS["miner"], nonce=0)
        self.headers.append(solved(header))
        self.states.append(pairs)

    def claim(self, key, height, kind=1, values=True):
        history = [entry for entry in self.versions if entry["key"] == key and entry["height"] <= height]
        records = history if kind == 2 else history[-1:]
        siblings, terminal = prove(self.states[height], H("entpath", key))
        claim = {"kind": kind, "params": self.params, "key": key, "height": height}
        claim["path"] = encode_proof(siblings, terminal, H("entpath", key))
        claim["records"] = [(encode_entry(e), self.value(e, values)) for e in records]
        return claim

    def value(self, entry, values):
        if entry["deleted"] or (not values and entry["valueLength"] > 0):
            return None
        return self.values[entry["valueDigest"]]

    def headers_for(self, height, whole=False, tip=None):
        first = 1 if whole or height <= 3 else height - 2
        return [row[4] for row in self.headers[first : (len(self.headers) - 1 if tip is None else tip) + 1]]

    def report(self, key, height, kind=1, values=True, whole=False, tip=None):
        """Section 3, from what is known of the chain and not from the file."""
        tip = len(self.headers) - 1 if tip is None else tip
        history = [entry for entry in self.versions if entry["key"] == key and entry["height"] <= height]
        last = history[-1] if history else None
        value = last and self.value(last, values)
        is_whole = whole or height <= 3
        return {
            "kind": "entry" if kind == 1 else "history",
            "network": "vectors-proofs",
            "genesis": self.genesis_hash.hex(),
            "key": key.hex(),
            "claim": "absent" if last is None else "deleted" if last["deleted"] else "present",
            "version": last and last["version"],
            "value": None if value is None else value.hex(),
            "height": height,
            "blockHash": self.headers[height][3].hex(),
            "tipHeight": tip,
            "tipHash": self.headers[tip][3].hex(),
            "tipTimestampMs": self.headers[tip][1],
            "confirmations": tip - height + 1,
            "work": str(sum(work(row[2]) for row in self.headers[height : tip + 1])),
            "chainwork": str(sum(work(row[2]) for row in self.headers[: tip + 1])) if is_whole else None,
            "versions": len(history) if kind == 2 else len(history[-1:]),
        }


def solved(header):
    """With the first nonce whose hash meets the target."""
    header = {**header, "nonce": 0}
    while int.from_bytes(header_hash(encode_header(header)), "big") > header["target"]:
        header["nonce"] += 1
    data = encode_header(header)
    return (header["height"], header["timestampMs"], header["target"], header_hash(data), data)


def encode(claim, headers):
    out = MAGIC + u32(1) + u8(claim["kind"]) + var(claim["params"]) + var(claim["key"]) + u32(claim["height"])
    out += var(claim["path"]) + u32(len(claim["records"]))
    for entry, value in claim["records"]:
        out += var(entry) + (u8(0) if value is None else u8(1) + value)
    return out + u32(len(headers)) + b"".join(headers)


def story():
    chain = Chain()
    steps = {
        1: [(b"k", b"one")],
        2: [(b"list/" + u8(i), u8(i)) for i in range(16)],
        4: [(b"k", b"two", writers(KEYS["bob"], KEYS["carol"])), (b"gone", b"x")],
        5: [(b"gone", None)],
        6: [(b"k", b"", OPEN)],
        7: [(b"k", None, OPEN)],
        9: [(b"k", b"three"), (b"k", b"four")],
        15: [(b"\xff" * 512, b"v" * 700)],
        22: [(b"late", b"riser")],
    }
    for height in range(1, 26):
        for step in steps.get(height, []):
            chain.put(*step)
        chain.block(500 * (1 + height % 7))
    return chain


def good_proofs(chain):
    cases = {
        "present, two headers below": (b"k", 20, {}),
        "present, at the tip": (b"late", 25, {}),
        "present, at the height where it was made": (b"late", 22, {}),
        "present, the tip being the claim's block": (b"k", 14, {"tip": 14}),
        "present, the longest key": (b"\xff" * 512, 18, {}),
        "present, a value of no bytes": (b"k", 6, {}),
        "present, the value left out": (b"k", 19, {"values": False}),
        "present, the whole chain": (b"k", 24, {"whole": True}),
        "present, the lowest height without the whole chain": (b"k", 4, {}),
        "present, the highest height that has it anyway": (b"k", 3, {}),
        "deleted": (b"gone", 21, {}),
        "absent": (b"never", 23, {}),
        "absent, written later": (b"late", 21, {}),
        "absent, at genesis": (b"k", 0, {}),
        "absent, at genesis with nothing on top": (b"k", 0, {"tip": 0}),
        "history": (b"k", 23, {"kind": 2}),
        "history up to a deletion, values left out": (b"k", 7, {"kind": 2, "values": False}),
        "history of what was never written": (b"never", 20, {"kind": 2}),
        "history, the whole chain": (b"gone", 25, {"kind": 2, "whole": True}),
    }
    out = []
    for name, (key, height, options) in cases.items():
        claim = chain.claim(key, height, options.get("kind", 1), options.get("values", True))
        headers = chain.headers_for(height, options.get("whole", False), options.get("tip"))
        out.append({"name": name, "bytes": encode(claim, headers).hex(), "report": chain.report(key, height, **options)})
    return out


def bad_proofs(chain):
    """Each wrong in one place."""
    claim, headers = chain.claim(b"k", 20), chain.headers_for(20, tip=25)
    history = chain.claim(b"k", 20, 2)
    good = encode(claim, headers)
    ((entry, value),) = claim["records"]
    last = {"parent": header_hash(headers[-2]), "height": 25, "timestampMs": chain.headers[25][1]}
    last.update(target=chain.headers[25][2], txRoot=merkle_root([]), stateRoot=ZERO_32, miner=KEYS["miner"], nonce=0)
    swapped = headers[:4] + [headers[5], headers[4]] + headers[6:]
    records = history["records"]
    empty = chain.claim(b"k", 6)
    deleted = chain.claim(b"gone", 21)

    def retold(**changes):
        return encode(claim, headers[:-1] + [solved({**last, **changes})[4]])

    cases = {
        "nothing": (b"", "proof-magic"),
        "seven bytes": (MAGIC[:7], "proof-magic"),
        "another magic": (b"K" + good[1:], "proof-magic"),
        "version 2": (good[:11] + u8(2) + good[12:], "proof-version"),
        "nothing after the magic": (MAGIC, "proof-malformed"),
        "kind 0": (good[:12] + u8(0) + good[13:], "proof-malformed"),
        "kind 3": (good[:12] + u8(3) + good[13:], "proof-malformed"),
        "the last byte missing": (good[:-1], "proof-malformed"),
        "a byte too many": (good + u8(0), "proof-malformed"),
        "a key of no bytes": (encode({**claim, "key": b""}, headers), "proof-malformed"),
        "two records of one entry": (encode({**claim, "records": [(entry, value)] * 2}, headers), "proof-malformed"),
        "a byte after the path": (encode({**claim, "path": claim["path"] + u8(0)}, headers), "proof-malformed"),
        "a byte after the entry": (encode({**claim, "records": [(entry + u8(0), value)]}, headers), "proof-malformed"),
        "an empty value left out": (encode({**empty, "records": [(empty["records"][0][0], None)]}, chain.headers_for(6, tip=7)), "proof-malformed"),
        "a value of a deleted entry": (encode({**deleted, "records": [(deleted["records"][0][0], b"")]}, chain.headers_for(21, tip=21)), "proof-malformed"),
        "a header of version 2": (encode(claim, headers[:5] + [u32(2) + headers[5][4:]] + headers[6:]), "proof-malformed"),
        "parameters of no network": (encode({**claim, "params": claim["params"][:-8] + bytes(8)}, headers), "proof-network"),
        "parameters of another network": (encode({**claim, "params": claim["params"][:-1] + u8(6)}, headers), "proof-genesis"),
        "a header too few below": (encode(claim, headers[1:]), "proof-range"),
        "a header too many below": (encode(claim, [chain.headers[17][4]] + headers), "proof-range"),
        "a claim above the headers": (encode(claim, headers[:2]), "proof-range"),
        "no headers": (encode(claim, []), "proof-range"),
        "a header dropped": (encode(claim, headers[:4] + headers[5:]), "proof-height"),
        "headers swapped": (encode(claim, swapped), "proof-height"),
        "another parent": (retold(parent=ZERO_32), "proof-link"),
        "an impossible target": (retold(target=2**250 + 1), "proof-target"),
        "an easier target than is due": (retold(target=last["target"] + 1), "proof-target"),
        "a hash above the target": (encode(claim, headers[:-1] + [unsolved(last)]), "proof-work"),
        "a timestamp that is its parent's": (retold(timestampMs=chain.headers[24][1]), "proof-time"),
        "the path of another height": (encode({**claim, "path": chain.claim(b"k", 12)["path"]}, headers), "proof-tree"),
        "another key": (encode({**claim, "key": b"j"}, headers), "proof-tree"),
        "an older version": (encode({**claim, "records": records[-2:-1]}, headers), "proof-claim"),
        "no record of what is there": (encode({**claim, "records": []}, headers), "proof-claim"),
        "a record of what is not there": (encode({**chain.claim(b"late", 21), "records": chain.claim(b"late", 22)["records"]}, chain.headers_for(21, tip=21)), "proof-claim"),
        "another value": (encode({**claim, "records": [(entry, b"FOUR")]}, headers), "proof-value"),
        "a history without its beginning": (encode({**history, "records": records[1:]}, headers), "proof-history"),
        "a history with a gap": (encode({**history, "records": records[:2] + records[3:]}, headers), "proof-history"),
        "a history with another first version": (encode({**history, "records": [(records[0][0].replace(KEYS["alice"], KEYS["bob"]), None)] + records[1:]}, headers), "proof-history"),
    }
    lies = {
        "an entry of version 0": {"version": 0},
        "a first version that replaces another": {"previous": sha256(b"previous")},
        "an entry of a later height": {"height": 27},
        "an entry of another key": {"key": b"j"},
        "a deleted entry with a value": {"version": 2, "previous": sha256(b"previous"), "deleted": True},
    }
    for name, changes in lies.items():
        cases[name] = (lie(chain, changes), "proof-entry")
    return [{"name": name, "bytes": data.hex(), "code": code} for name, (data, code) in cases.items()]


def unsolved(header):
    header = {**header, "nonce": 0}
    while int.from_bytes(header_hash(encode_header(header)), "big") <= header["target"]:
        header["nonce"] += 1
    return encode_header(header)


def lie(chain, changes):
    """A block on top whose miner put an impossible entry under k into the state."""
    entry = {**chain.versions[0], **changes}
    path = H("entpath", b"k")
    pairs = {path: entry_digest(entry)}
    height, timestamp, _, parent, _ = chain.headers[-1]
    target = next_target(chain.file["consensus"], chain.headers[-1][:3], chain.headers[-2][:3])
    header = {"parent": parent, "height": height + 1, "timestampMs": timestamp + 2000, "target": target}
    header.update(txRoot=merkle_root([]), stateRoot=tree(pairs), miner=KEYS["miner"], nonce=0)
    siblings, terminal = prove(pairs, path)
    claim = {"kind": 1, "params": chain.params, "key": b"k", "height": height + 1}
    claim.update(path=encode_proof(siblings, terminal, path), records=[(encode_entry(entry), None)])
    return encode(claim, [row[4] for row in chain.headers[height - 1 :]] + [solved(header)[4]])


def vectors():
    chain = story()
    return {
        "network": chain.file,
        "genesisHash": chain.genesis_hash.hex(),
        "proofs": good_proofs(chain),
        "bad": bad_proofs(chain),
    }


def main(arguments):
    if arguments not in (["--check"], ["--write"]):
        sys.exit("usage: make_proofs.py --check | --write")
    path = HERE / "proofs.json"
    text = json.dumps(vectors(), indent=2) + "\n"
    if arguments == ["--write"]:
        path.write_text(text)
    elif not path.exists() or json.loads(path.read_text()) != json.loads(text):
        sys.exit(f"{path.name} differs")


if __name__ == "__main__":
    main(sys.argv[1:])
