#!/usr/bin/env python3
"""Makes the golden vectors beside this file, from docs/protocol.md alone.

An implementation of its own: it shares no line with the code under test, and uses only Python's standard library. Section and
rule numbers below are those of docs/protocol.md.

    python3 make_vectors.py --check    compare with the files that are here (exit code 1 if one differs)
    python3 make_vectors.py --write    write them (then format them: npx biome check --write packages/core/test/vectors)

Everything is derived from fixed texts: two runs give the same bytes.
"""
import hashlib
import json
import pathlib
import sys
from fractions import Fraction

HERE = pathlib.Path(__file__).resolve().parent


# --- section 1: encoding ----------------------------------------------------------------------------------------------


def u8(n):
    return n.to_bytes(1, "big")


def u16(n):
    return n.to_bytes(2, "big")


def u32(n):
    return n.to_bytes(4, "big")


def u64(n):
    assert n < 2**53
    return n.to_bytes(8, "big")


def var(data):
    return u32(len(data)) + data


# --- section 2: hashing -----------------------------------------------------------------------------------------------

ZERO_32 = bytes(32)


def sha256(data):
    return hashlib.sha256(data).digest()


def tag(name):
    text = b"kvchain/" + name.encode("ascii")
    assert len(text) <= 16
    return text + bytes(16 - len(text))


def H(name, *parts):
    return sha256(tag(name) + b"".join(parts))


DOMAINS = ["params", "header", "txid", "value", "txleaf", "txnode", "txroot", "entpath", "entry", "accpath", "account", "leaf", "node"]


# --- section 3: Ed25519 (RFC 8032) ------------------------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_MINUS_1 = pow(2, (P - 1) // 4, P)
IDENTITY = (0, 1, 1, 0)


def recover_x(y, sign):
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if x2 == 0:
        return None if sign else 0
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P != 0:
        x = x * SQRT_MINUS_1 % P
    if (x * x - x2) % P != 0:
        return None
    return x if x & 1 == sign else P - x


def point(y, sign):
    x = recover_x(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


def add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def negate(p):
    return (-p[0] % P, p[1], p[2], -p[3] % P)


def multiply(scalar, p):
    q = IDENTITY
    while scalar > 0:
        if scalar & 1:
            q = add(q, p)
        p = add(p, p)
        scalar >>= 1
    return q


def equal(p, q):
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


def compress(p):
    inverse = pow(p[2], P - 2, P)
    x, y = p[0] * inverse % P, p[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def y_of(encoded):
    return int.from_bytes(encoded, "little") & (2**255 - 1)


def decompress(encoded):
    return point(y_of(encoded), encoded[31] >> 7)


BASE = point(4 * pow(5, P - 2, P) % P, 0)


def sha512_mod_l(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % L


def secret_expand(seed):
    h = hashlib.sha512(seed).digest()
    a = int.from_bytes(h[:32], "little")
    a &= (1 << 254) - 8
    a |= 1 << 254
    return a, h[32:]


def public_key(seed):
    return compress(multiply(secret_expand(seed)[0], BASE))


def sign(seed, message):
    a, prefix = secret_expand(seed)
    key = compress(multiply(a, BASE))
    r = sha512_mod_l(prefix, message)
    big_r = compress(multiply(r, BASE))
    k = sha512_mod_l(big_r, key, message)
    return big_r + ((r + k * a) % L).to_bytes(32, "little")


SMALL_ORDER_Y = [
    0,
    1,
    P - 1,
    y_of(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")),
    y_of(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")),
]


def verify(signature, message, key):
    """3.2 to 3.6."""
    if len(signature) != 64 or len(key) != 32:
        return False
    big_r, s = signature[:32], int.from_bytes(signature[32:], "little")
    if s >= L:  # 3.2
        return False
    a = decompress(key)
    if a is None:  # 3.3
        return False
    if y_of(key) in SMALL_ORDER_Y:  # 3.4
        return False
    if y_of(big_r) in SMALL_ORDER_Y + [P, P + 1]:  # 3.5
        return False
    k = sha512_mod_l(big_r, key, message)
    return compress(add(multiply(s, BASE), negate(multiply(k, a)))) == big_r  # 3.6


# --- section 3: addresses (BIP 350) -----------------------------------------------------------------------------------

CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
BECH32, BECH32M = 1, 0x2BC830A3


def polymod(values):
    generator = [0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3]
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for i in range(5):
            checksum ^= generator[i] if (top >> i) & 1 else 0
    return checksum


def bech32_encode(prefix, words, constant=BECH32M):
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    value = polymod(expanded + words + [0] * 6) ^ constant
    checksum = [(value >> 5 * (5 - i)) & 31 for i in range(6)]
    return prefix + "1" + "".join(CHARSET[word] for word in words + checksum)


def to_words(data, padding_bits=0):
    count = -(-len(data) * 8 // 5)
    number = int.from_bytes(data, "big") << (count * 5 - len(data) * 8) | padding_bits
    return [number >> 5 * (count - 1 - i) & 31 for i in range(count)]


def address(key, prefix):
    return bech32_encode(prefix, to_words(key))


# --- section 4: transactions ------------------------------------------------------------------------------------------
# Operations, expectations and access changes are the JSON objects that go into the vectors, bytes as hexadecimal.


def unhex(text):
    return bytes.fromhex(text)


def encode_expectation(expect):
    kind = expect["kind"]
    if kind == "any":
        return u8(0)
    if kind == "absent":
        return u8(1)
    if kind == "version":
        return u8(2) + u64(expect["version"])
    assert kind == "digest"
    return u8(3) + unhex(expect["digest"])


def encode_access(access):
    kind = access["kind"]
    number = ["keep", "private", "open", "writers"].index(kind)
    if kind != "writers":
        return u8(number)
    return u8(number) + u32(len(access["writers"])) + b"".join(unhex(w) for w in access["writers"])


def encode_operation(op):
    kind = op["kind"]
    number = ["put", "delete", "access", "transfer", "assert"].index(kind) + 1
    if kind == "transfer":
        return u8(number) + unhex(op["to"]) + u64(op["amount"])
    out = u8(number) + var(unhex(op["key"])) + encode_expectation(op["expect"])
    if kind == "put":
        out += u32(op["valueLength"]) + unhex(op["valueDigest"]) + encode_access(op["access"])
    if kind == "access":
        out += u8(0) if op["owner"] is None else u8(1) + unhex(op["owner"])
        out += encode_access(op["access"])
    return out


def encode_body(body):
    out = u8(1) + unhex(body["sender"]) + u64(body["accountNonce"]) + u64(body["fee"]) + u32(body["validUntil"])
    return out + u32(len(body["operations"])) + b"".join(encode_operation(op) for op in body["operations"])


class Transaction:
    def __init__(self, genesis_hash, seed, body, values):
        self.body, self.values = body, values
        self.body_bytes = encode_body(body)
        self.txid = H("txid", genesis_hash, self.body_bytes)
        self.signature = sign(seed, self.txid)
        assert verify(self.signature, self.txid, unhex(body["sender"]))

    def encode(self):
        return self.body_bytes + self.signature + u8(1) + b"".join(self.values)

    @property
    def size(self):
        lengths = [op["valueLength"] for op in self.body["operations"] if op["kind"] == "put"]
        return len(self.body_bytes) + 64 + 1 + sum(lengths)


ANY, ABSENT = {"kind": "any"}, {"kind": "absent"}
KEEP, PRIVATE, OPEN = {"kind": "keep"}, {"kind": "private"}, {"kind": "open"}


def version(number):
    return {"kind": "version", "version": number}


def digest(value):
    return {"kind": "digest", "digest": H("value", value).hex()}


def writers(*keys):
    return {"kind": "writers", "writers": [key.hex() for key in sorted(keys)]}


def put(key, value, expect=ANY, access=KEEP):
    op = {"kind": "put", "key": key.hex(), "expect": expect, "valueLength": len(value)}
    return {**op, "valueDigest": H("value", value).hex(), "access": access, "value": value.hex()}


def delete(key, expect=ANY):
    return {"kind": "delete", "key": key.hex(), "expect": expect}


def change_access(key, access=KEEP, owner=None, expect=ANY):
    return {"kind": "access", "key": key.hex(), "expect": expect, "owner": owner and owner.hex(), "access": access}


def transfer(to, amount):
    return {"kind": "transfer", "to": to.hex(), "amount": amount}


def assert_that(key, expect):
    return {"kind": "assert", "key": key.hex(), "expect": expect}


def split_values(operations):
    """The operations without the values of their puts, and those values."""
    values = [unhex(op["value"]) for op in operations if op["kind"] == "put"]
    return [{k: v for k, v in op.items() if k != "value"} for op in operations], values


# --- section 5: blocks ------------------------------------------------------------------------------------------------

OUTCOMES = ["ok", "expectation-failed", "not-owner", "namespace-owner", "no-entry", "insufficient-balance"]


def encode_outcome(outcome):
    return u8(OUTCOMES.index(outcome["code"])) + u16(outcome.get("operation", 0))


def tx_leaf(transaction, outcome):
    return H("txleaf", transaction.txid, transaction.signature, encode_outcome(outcome))


def merkle_root(leaves):
    level = list(leaves)
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [pair[0] if len(pair) == 1 else H("txnode", *pair) for pair in pairs]
    return H("txroot", u32(len(leaves)), level[0] if level else ZERO_32)


def encode_header(h):
    out = u32(1) + h["parent"] + u32(h["height"]) + u64(h["timestampMs"]) + h["target"].to_bytes(32, "big")
    out += h["txRoot"] + h["stateRoot"] + h["miner"] + u64(h["nonce"])
    assert len(out) == 184
    return out


def commitment(header_bytes):
    return H("header", header_bytes[:176])


def header_hash(header_bytes):
    return sha256(commitment(header_bytes) + header_bytes[176:])  # 7.1


def work(target):
    return 2**256 // (target + 1)  # 7.3


def encode_block(header_bytes, included):
    out = header_bytes + u32(len(included))
    return out + b"".join(transaction.encode() + encode_outcome(outcome) for transaction, outcome in included)


# --- section 7: difficulty --------------------------------------------------------------------------------------------


def next_target(params, parent, grandparent):
    """`parent` and `grandparent` are (height, timestamp, target); the latter None above genesis."""
    if params["targetRule"] == "fixed":
        return int(params["initialTarget"], 16)
    if parent[0] + 1 <= 2:
        return int(params["initialTarget"], 16)
    interval, window, clamp = params["blockIntervalMs"], params["targetWindowBlocks"], params["solveTimeClampBlocks"]
    solve = max(-clamp * interval, min(clamp * interval, parent[1] - grandparent[1]))
    e = (solve - interval) * 2**16 // (window * interval)  # Python's // rounds towards minus infinity.
    s = e // 2**16
    x = e - s * 2**16
    f = 2**16 + (195766423245049 * x + 971821376 * x**2 + 5127 * x**3 + 2**47) // 2**48
    exact = Fraction(parent[2] * f) * Fraction(2) ** s / 2**16
    t = exact.numerator // exact.denominator
    return min(max(t, 1), int(params["easiestTarget"], 16))


# --- section 8: entries and accounts ----------------------------------------------------------------------------------


def encode_entry(e):
    out = var(e["key"]) + u64(e["version"]) + u8(1 if e["deleted"] else 0) + u32(e["valueLength"]) + e["valueDigest"]
    return out + e["owner"] + encode_access(e["access"]) + u32(e["height"]) + e["txid"] + e["previous"]


def entry_digest(e):
    return H("entry", encode_entry(e))


def encode_account(key, account):
    return key + u64(account["balance"]) + u64(account["nonce"])


def state_pairs(entries, accounts):
    pairs = {H("entpath", key): entry_digest(entry) for key, entry in entries.items()}
    for key, account in accounts.items():
        if account != {"balance": 0, "nonce": 0}:  # 8.1
            pairs[H("accpath", key)] = H("account", encode_account(key, account))
    return pairs


# --- section 9: the state tree ----------------------------------------------------------------------------------------


def bit(path, i):
    return path[i // 8] >> (7 - i % 8) & 1


def tree(pairs, depth=0):
    """9.1, from scratch each time: slow, and as the page says it."""
    if not pairs:
        return ZERO_32
    if len(pairs) == 1:
        ((path, value),) = pairs.items()
        return H("leaf", path, value)
    sides = [{p: v for p, v in pairs.items() if bit(p, depth) == side} for side in (0, 1)]
    return H("node", tree(sides[0], depth + 1), tree(sides[1], depth + 1))


def prove(pairs, path):
    """(siblings, terminal pair or None)."""
    siblings = []
    while len(pairs) > 1:
        depth = len(siblings)
        here = {p: v for p, v in pairs.items() if bit(p, depth) == bit(path, depth)}
        other = {p: v for p, v in pairs.items() if bit(p, depth) != bit(path, depth)}
        siblings.append(tree(other, depth + 1))
        pairs = here
    return siblings, next(iter(pairs.items()), None)


def encode_proof(siblings, terminal, path):
    bits = [0 if sibling == ZERO_32 else 1 for sibling in siblings]
    bits += [0] * (-len(bits) % 8)
    bitmap = bytes(sum(b << (7 - i) for i, b in enumerate(bits[at : at + 8])) for at in range(0, len(bits), 8))
    out = u16(len(siblings)) + bitmap + b"".join(s for s in siblings if s != ZERO_32)
    if terminal is None:
        return out + u8(0)
    if terminal[0] == path:
        return out + u8(1) + terminal[1]
    return out + u8(2) + terminal[0] + terminal[1]


def check_proof(root, path, siblings, terminal):
    """9.3 and 9.4: the digest, None (absent), or 'invalid'."""
    value = ZERO_32
    if terminal is not None:
        if any(bit(terminal[0], i) != bit(path, i) for i in range(len(siblings))):
            return "invalid"
        value = H("leaf", *terminal)
    for i in reversed(range(len(siblings))):
        value = H("node", siblings[i], value) if bit(path, i) else H("node", value, siblings[i])
    if value != root:
        return "invalid"
    return terminal[1] if terminal is not None and terminal[0] == path else None


# --- section 10: networks ---------------------------------------------------------------------------------------------


def encode_params(name, c, keys):
    out = u32(1) + var(name.encode()) + var(c["addressPrefix"].encode()) + u8({"sha256": 1}[c["proofOfWork"]])
    out += u64(c["genesisTimestampMs"]) + u32(c["blockIntervalMs"])
    out += u8({"fixed": 1, "relative-exponential": 2}[c["targetRule"]])
    out += unhex(c["initialTarget"]) + unhex(c["easiestTarget"])
    for field in ("targetWindowBlocks", "solveTimeClampBlocks", "maxFutureMs", "maxValueBytes", "maxTransactionBytes"):
        out += u32(c[field])
    for field in ("maxBlockBytes", "maxTransactions", "minFeePerByte", "blockReward"):
        out += u32(c[field])
    out += u32(len(keys))
    return out + b"".join(key + u64(a["amount"]) for key, a in zip(keys, c["allocations"]))


def genesis(file, keys):
    """`keys` are the public keys of the allocations, in order."""
    c = file["consensus"]
    params_bytes = encode_params(file["name"], c, keys)
    accounts = {key: {"balance": a["amount"], "nonce": 0} for key, a in zip(keys, c["allocations"])}
    header = {
        "parent": H("params", params_bytes),
        "height": 0,
        "timestampMs": c["genesisTimestampMs"],
        "target": int(c["initialTarget"], 16),
        "txRoot": merkle_root([]),
        "stateRoot": tree(state_pairs({}, accounts)),
        "miner": ZERO_32,
        "nonce": 0,
    }
    return params_bytes, accounts, encode_header(header)


# --- section 6: execution ---------------------------------------------------------------------------------------------


class State:
    """All of it in two dictionaries; copied whole for each transaction."""

    def __init__(self, prefix, accounts):
        self.prefix, self.entries, self.accounts = prefix, {}, accounts
        self.history = []

    def account(self, key):
        return self.accounts.get(key, {"balance": 0, "nonce": 0})

    def pay(self, key, amount):
        self.accounts[key] = {**self.account(key), "balance": self.account(key)["balance"] + amount}

    def execute(self, params, transaction, height):
        body = transaction.body
        sender = unhex(body["sender"])
        account = self.account(sender)
        assert body["accountNonce"] == account["nonce"]  # 6.1
        assert body["validUntil"] == 0 or body["validUntil"] >= height  # 6.2
        assert body["fee"] >= params["minFeePerByte"] * transaction.size  # 6.3
        assert body["fee"] <= account["balance"]  # 6.4
        self.accounts[sender] = {"balance": account["balance"] - body["fee"], "nonce": account["nonce"] + 1}
        saved = dict(self.entries), dict(self.accounts), list(self.history)
        for index, op in enumerate(body["operations"]):
            code = self.operate(op, sender, transaction.txid, height)
            if code is not None:
                self.entries, self.accounts, self.history = saved
                return {"code": code, "operation": index}
        return {"code": "ok"}

    def operate(self, op, sender, txid, height):
        if op["kind"] == "transfer":
            if self.account(sender)["balance"] < op["amount"]:
                return "insufficient-balance"
            self.pay(sender, -op["amount"])
            self.pay(unhex(op["to"]), op["amount"])
            return None
        key = unhex(op["key"])
        current = self.entries.get(key)
        if not self.holds(op["expect"], current):
            return "expectation-failed"
        if op["kind"] == "assert":
            return None
        new = {"key": key, "height": height, "txid": txid, "previous": current and entry_digest(current) or ZERO_32}
        new["version"] = current["version"] + 1 if current else 1
        owns = current is not None and current["owner"] == sender
        may_write = current is not None and (
            current["access"]["kind"] == "open"
            or current["access"]["kind"] == "writers"
            and sender.hex() in current["access"]["writers"]
        )
        if op["kind"] == "put":
            new |= {"deleted": False, "valueLength": op["valueLength"], "valueDigest": unhex(op["valueDigest"])}
            if current is None:
                if key[:1] == b"@" and key.split(b"/")[0] != b"@" + address(sender, self.prefix).encode():
                    return "namespace-owner"
                new |= {"owner": sender, "access": PRIVATE if op["access"] == KEEP else op["access"]}
            else:
                if not owns and not (may_write and op["access"] == KEEP):
                    return "not-owner"
                access = current["access"] if op["access"] == KEEP else op["access"]
                new |= {"owner": current["owner"], "access": access}
        elif op["kind"] == "delete":
            if current is None or current["deleted"]:
                return "no-entry"
            if not owns and not may_write:
                return "not-owner"
            new |= {"deleted": True, "valueLength": 0, "valueDigest": ZERO_32}
            new |= {"owner": current["owner"], "access": current["access"]}
        else:
            if current is None:
                return "no-entry"
            if not owns:
                return "not-owner"
            new |= {field: current[field] for field in ("deleted", "valueLength", "valueDigest")}
            new["owner"] = unhex(op["owner"]) if op["owner"] else current["owner"]
            new["access"] = current["access"] if op["access"] == KEEP else op["access"]
        self.entries[key] = new
        self.history.append(new)
        return None

    @staticmethod
    def holds(expect, current):
        kind = expect["kind"]
        if kind == "any":
            return True
        if kind == "absent":
            return current is None or current["deleted"]
        if current is None:
            return False
        if kind == "version":
            return current["version"] == expect["version"]
        return not current["deleted"] and current["valueDigest"] == unhex(expect["digest"])


# --- the vectors ------------------------------------------------------------------------------------------------------


def seed_of(name):
    return sha256(b"kvchain vectors " + name.encode())


SEEDS = {name: seed_of(name) for name in ("alice", "bob", "carol", "dave", "miner")}
KEYS = {name: public_key(seed) for name, seed in SEEDS.items()}
GENESIS_HASH = sha256(b"some genesis hash")


def hash_vectors():
    message = b"The quick brown fox"
    return [{"name": n, "tag": tag(n).hex(), "message": message.hex(), "hash": H(n, message).hex()} for n in DOMAINS]


def address_vectors():
    good = [{"prefix": "kv", "publicKey": key.hex(), "address": address(key, "kv")} for key in KEYS.values()]
    for key, prefix in ((ZERO_32, "kv"), (b"\xff" * 32, "a"), (KEYS["bob"], "abcdefghijklmnop")):
        good.append({"prefix": prefix, "publicKey": key.hex(), "address": address(key, prefix)})
    text, key = address(KEYS["alice"], "kv"), KEYS["alice"]
    bad = [
        ("empty", "", "address-malformed"),
        ("other network", address(key, "lan"), "address-network"),
        ("other network, longer prefix", address(key, "kvx"), "address-network"),
        ("upper case", text.upper(), "address-malformed"),
        ("upper case prefix", "KV" + text[2:], "address-malformed"),
        ("one upper-case letter", text[:-1] + text[-1].upper() if text[-1].isalpha() else text[:10] + text[10:].upper(), "address-malformed"),
        ("bech32 and not bech32m", bech32_encode("kv", to_words(key), BECH32), "address-malformed"),
        ("31 bytes", bech32_encode("kv", to_words(key[:31])), "address-malformed"),
        ("33 bytes", bech32_encode("kv", to_words(key + b"\0")), "address-malformed"),
        ("padding bits not zero", bech32_encode("kv", to_words(key, 1)), "address-malformed"),
        ("one word too many", bech32_encode("kv", to_words(key) + [0]), "address-malformed"),
        ("one character changed", text[:20] + ("q" if text[20] != "q" else "p") + text[21:], "address-malformed"),
        ("two neighbours swapped", swap(text), "address-malformed"),
        ("last character missing", text[:-1], "address-malformed"),
        ("one character more", text + "q", "address-malformed"),
        ("no separator", text.replace("1", ""), "address-malformed"),
        ("a space before", " " + text, "address-malformed"),
        ("a space after", text + " ", "address-malformed"),
        ("a character that is not in the alphabet", text[:20] + "b" + text[21:], "address-malformed"),
        ("91 characters", bech32_encode("x" * 32, to_words(key)), "address-malformed"),
        ("90 characters", bech32_encode("x" * 31, to_words(key)), "address-network"),
    ]
    return {"good": good, "bad": [{"name": n, "text": t, "prefix": "kv", "code": c} for n, t, c in bad]}


def swap(text):
    i = next(i for i in range(10, 40) if text[i] != text[i + 1])
    return text[:i] + text[i + 1] + text[i] + text[i + 2 :]


def signature_vectors():
    cases = []

    def case(name, key, message, signature):
        verdict = verify(signature, message, key)
        fields = {"name": name, "publicKey": key.hex(), "message": message.hex(), "signature": signature.hex()}
        cases.append({**fields, "accepted": verdict})
        return verdict

    rfc = [
        ("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", ""),
        ("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "72"),
        ("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "af82"),
    ]
    for i, (seed, message) in enumerate(rfc):
        key = public_key(unhex(seed))
        assert case(f"RFC 8032 test {i + 1}", key, unhex(message), sign(unhex(seed), unhex(message)))

    message, key = sha256(b"a message"), KEYS["alice"]
    good = sign(SEEDS["alice"], message)
    s = int.from_bytes(good[32:], "little")
    assert case("good", key, message, good)
    case("another message", key, sha256(b"another message"), good)
    case("another key", KEYS["bob"], message, good)
    for multiple in range(1, 16):
        if s + multiple * L < 2**256:
            case(f"S + {multiple} L", key, message, good[:32] + (s + multiple * L).to_bytes(32, "little"))
    for bits in (0x20, 0x40, 0x80):
        case(f"S with bit {bits:#x} of its last byte", key, message, good[:63] + u8(good[63] | bits))
    case("S = L", key, message, good[:32] + L.to_bytes(32, "little"))
    case("S = 0", key, message, good[:32] + bytes(32))
    case("all zero", key, message, bytes(64))
    case("sign of R flipped", key, message, good[:31] + u8(good[31] ^ 0x80) + good[32:])
    case("sign of A flipped", key[:31] + u8(key[31] ^ 0x80), message, good)
    case("63 bytes", key, message, good[:63])
    case("65 bytes", key, message, good + b"\0")
    case("a key of 31 bytes", key[:31], message, good)
    case("a key of 33 bytes", key + b"\0", message, good)

    # Points of small order, by hand: multiples of one of order 8.
    order_8 = multiply(L, next(p for p in (point(y, 0) for y in range(2, 99)) if p and has_order_8_part(p)))
    torsion = [multiply(i, order_8) for i in range(8)]
    a = sha512_mod_l(b"a") or 1
    r = sha512_mod_l(b"r") or 1

    def r_for(scalar, extra=IDENTITY):
        return compress(add(multiply(scalar, BASE), extra))

    encodings = [(f"{i} T", compress(t)) for i, t in enumerate(torsion)]
    encodings += [("1 with the sign of x set", (1 | 1 << 255).to_bytes(32, "little"))]
    encodings += [("p - 1 with the sign of x set", (P - 1 | 1 << 255).to_bytes(32, "little"))]
    for y in (0, 1):
        for flag in (0, 1):
            encodings.append((f"p + {y}, sign {flag}", (P + y | flag << 255).to_bytes(32, "little")))
    for name, encoded in encodings:
        # S = r and R = [r]B hold for such a key whenever k is a multiple of its order: sought below.
        for counter in range(64):
            big_r = r_for(r + counter)
            if sha512_mod_l(big_r, encoded, message) % 8 == 0:
                break
        assert not case(f"key of small order: {name}", encoded, message, big_r + (r + counter).to_bytes(32, "little"))
        k = sha512_mod_l(encoded, r_for(a), message)
        assert not case(f"R of small order: {name}", r_for(a), message, encoded + (k * a % L).to_bytes(32, "little"))
    for y in range(2, 19):
        for flag in (0, 1):
            if point(y, flag) is None:
                continue
            encoded = (P + y | flag << 255).to_bytes(32, "little")
            case(f"key not canonical: p + {y}, sign {flag}", encoded, message, r_for(r) + r.to_bytes(32, "little"))
            k = sha512_mod_l(encoded, r_for(a), message)
            case(f"R not canonical: p + {y}, sign {flag}", r_for(a), message, encoded + (k * a % L).to_bytes(32, "little"))
    off_curve = next(y for y in range(2, 99) if point(y, 0) is None)
    case("key not on the curve", off_curve.to_bytes(32, "little"), message, good)
    case("R not on the curve", key, message, off_curve.to_bytes(32, "little") + good[32:])

    # Mixed order: accepted exactly when the equation holds without the cofactor.
    for i in range(1, 8):
        for wanted in (True, False):
            for counter in range(256):
                mixed, big_r = r_for(a, torsion[i]), r_for(r + counter)
                k = sha512_mod_l(big_r, mixed, message)
                if equal(multiply(k, torsion[i]), IDENTITY) == wanted:
                    break
            s_ = (r + counter + k * a) % L
            name = f"key of mixed order: + {i} T, [k]T {'is' if wanted else 'is not'} zero"
            assert case(name, mixed, message, big_r + s_.to_bytes(32, "little")) == wanted
        big_r = r_for(r, torsion[i])
        k = sha512_mod_l(big_r, r_for(a), message)
        s_ = (r + k * a) % L
        assert not case(f"R of mixed order: + {i} T", r_for(a), message, big_r + s_.to_bytes(32, "little"))
    for i, j in ((1, 1), (3, 5), (4, 4), (7, 2)):
        # Both of mixed order, and chosen so that the two cancel.
        for counter in range(1024):
            mixed, big_r = r_for(a, torsion[i]), r_for(r + counter, torsion[j])
            k = sha512_mod_l(big_r, mixed, message)
            if equal(add(torsion[j], multiply(k, torsion[i])), IDENTITY):
                break
        s_ = (r + counter + k * a) % L
        name = f"key + {i} T and R + {j} T, cancelling"
        assert case(name, mixed, message, big_r + s_.to_bytes(32, "little"))
    return cases


def has_order_8_part(p):
    return not equal(multiply(4 * L, p), IDENTITY)


def transaction_vectors():
    alice, bob, carol = KEYS["alice"], KEYS["bob"], KEYS["carol"]
    own = b"@" + address(alice, "kv").encode() + b"/"
    lists = {
        "put": [put(b"key", b"value")],
        "put an empty value under a key of one byte": [put(b"\0", b"")],
        "put under the longest key": [put(b"k" * 512, b"v", ABSENT, PRIVATE)],
        "put in the namespace": [put(own + b"name", b"v", version(2**53 - 1), OPEN)],
        "put with writers": [put(b"key", b"v" * 300, digest(b"before"), writers(bob, carol))],
        "put with 64 writers": [put(b"key", b"v", ANY, writers(*(sha256(u8(i)) for i in range(64))))],
        "delete": [delete(b"key")],
        "delete, any version": [delete(b"key", version(0))],
        "delete, absent": [delete(b"key", ABSENT)],
        "delete, digest": [delete(b"key", digest(b"value"))],
        "access: nothing changes": [change_access(b"key")],
        "access: hand over": [change_access(b"key", KEEP, bob)],
        "access: hand over and open": [change_access(b"key", OPEN, bob, version(7))],
        "access: private": [change_access(b"key", PRIVATE)],
        "access: writers": [change_access(b"key", writers(bob), None, digest(b"value"))],
        "transfer": [transfer(bob, 1)],
        "transfer everything there can be": [transfer(ZERO_32, 2**53 - 1)],
        "assert": [assert_that(b"key", ABSENT)],
        "assert version": [assert_that(b"key", version(3))],
        "assert digest": [assert_that(b"key", digest(b"value"))],
        "each kind once": [
            assert_that(b"a", ABSENT),
            put(b"b", b"one"),
            delete(b"c"),
            put(b"b", b"two"),
            change_access(b"d", OPEN),
            transfer(carol, 12345678901),
            put(b"e", b""),
        ],
    }
    out = []
    for index, (name, operations) in enumerate(lists.items()):
        operations, values = split_values(operations)
        body = {"sender": alice.hex(), "accountNonce": index, "fee": index * 1000, "validUntil": index * 7, "operations": operations}
        out.append(transaction_vector(name, body, values))
    limits = {"sender": alice.hex(), "accountNonce": 2**53 - 1, "fee": 2**53 - 1, "validUntil": 2**32 - 1}
    out.append(transaction_vector("largest numbers", {**limits, "operations": [transfer(bob, 2**53 - 1)]}, []))
    return {"genesisHash": GENESIS_HASH.hex(), "seed": SEEDS["alice"].hex(), "good": out, "bad": bad_transactions()}


def transaction_vector(name, body, values):
    transaction = Transaction(GENESIS_HASH, SEEDS["alice"], body, values)
    return {
        "name": name,
        "body": body,
        "values": [value.hex() for value in values],
        "bodyLength": len(transaction.body_bytes),
        "txid": transaction.txid.hex(),
        "signature": transaction.signature.hex(),
        "bytes": transaction.encode().hex(),
        "size": transaction.size,
    }


def bad_transactions():
    """Bytes that are no transaction, each wrong in one place."""
    head = u8(1) + KEYS["alice"] + u64(0) + u64(0) + u32(0)
    tail = bytes(64) + u8(0)
    over = (2**53).to_bytes(8, "big")
    key = var(b"k")
    cases = {
        "nothing": (b"", "codec-truncated"),
        "body version 0": (u8(0) + head[1:] + u32(1) + u8(2) + key + u8(0) + tail, "codec-tag"),
        "body version 2": (u8(2) + head[1:] + u32(1) + u8(2) + key + u8(0) + tail, "codec-tag"),
        "account nonce over 2^53 - 1": (head[:33] + over + head[41:] + u32(1) + u8(2) + key + u8(0) + tail, "codec-integer"),
        "fee over 2^53 - 1": (head[:41] + over + head[49:] + u32(1) + u8(2) + key + u8(0) + tail, "codec-integer"),
        "no operation": (head + u32(0) + tail, "codec-length"),
        "1001 operations": (head + u32(1001) + (u8(2) + key + u8(0)) * 1001 + tail, "codec-length"),
        "operation tag 0": (head + u32(1) + u8(0) + key + u8(0) + tail, "codec-tag"),
        "operation tag 6": (head + u32(1) + u8(6) + key + u8(0) + tail, "codec-tag"),
        "empty key": (head + u32(1) + u8(2) + var(b"") + u8(0) + tail, "codec-length"),
        "key of 513 bytes": (head + u32(1) + u8(2) + var(b"k" * 513) + u8(0) + tail, "codec-length"),
        "expectation tag 4": (head + u32(1) + u8(2) + key + u8(4) + tail, "codec-tag"),
        "expected version over 2^53 - 1": (head + u32(1) + u8(2) + key + u8(2) + over + tail, "codec-integer"),
        "value length over 2^20": (head + u32(1) + u8(1) + key + u8(0) + u32(2**20 + 1) + ZERO_32 + u8(0) + tail, "codec-length"),
        "access tag 4": (head + u32(1) + u8(1) + key + u8(0) + u32(0) + ZERO_32 + u8(4) + tail, "codec-tag"),
        "no writer": (head + u32(1) + u8(1) + key + u8(0) + u32(0) + ZERO_32 + u8(3) + u32(0) + tail, "codec-length"),
        "65 writers": (head + u32(1) + u8(1) + key + u8(0) + u32(0) + ZERO_32 + u8(3) + u32(65) + b"".join(u8(i) + bytes(31) for i in range(65)) + tail, "codec-length"),
        "a writer twice": (head + u32(1) + u8(1) + key + u8(0) + u32(0) + ZERO_32 + u8(3) + u32(2) + ZERO_32 * 2 + tail, "codec-order"),
        "writers descending": (head + u32(1) + u8(1) + key + u8(0) + u32(0) + ZERO_32 + u8(3) + u32(2) + u8(1) + bytes(31) + ZERO_32 + tail, "codec-order"),
        "new owner tag 2": (head + u32(1) + u8(3) + key + u8(0) + u8(2) + ZERO_32 + u8(0) + tail, "codec-tag"),
        "amount over 2^53 - 1": (head + u32(1) + u8(4) + ZERO_32 + over + tail, "codec-integer"),
        "values flag 2": (head + u32(1) + u8(2) + key + u8(0) + bytes(64) + u8(2), "codec-tag"),
        "no values flag": (head + u32(1) + u8(2) + key + u8(0) + bytes(64), "codec-truncated"),
        "a value too short": (head + u32(1) + u8(1) + key + u8(0) + u32(4) + ZERO_32 + u8(0) + bytes(64) + u8(1) + b"abc", "codec-truncated"),
        "a value too long": (head + u32(1) + u8(1) + key + u8(0) + u32(4) + ZERO_32 + u8(0) + bytes(64) + u8(1) + b"abcde", "codec-trailing"),
        "a value though they were dropped": (head + u32(1) + u8(1) + key + u8(0) + u32(4) + ZERO_32 + u8(0) + bytes(64) + u8(0) + b"abcd", "codec-trailing"),
    }
    return [{"name": name, "bytes": data.hex(), "code": code} for name, (data, code) in cases.items()]


def header_vectors():
    out = []
    for name, fields in {
        "all zero": {"height": 0, "timestampMs": 0, "target": 0, "nonce": 0, "fill": None},
        "ordinary": {"height": 1234, "timestampMs": 1767225600123, "target": 2**240 - 1, "nonce": 987654321, "fill": "a"},
        "largest numbers": {"height": 2**32 - 1, "timestampMs": 2**53 - 1, "target": 2**256 - 1, "nonce": 2**53 - 1, "fill": "b"},
        "target of one": {"height": 1, "timestampMs": 2**32, "target": 1, "nonce": 2**32, "fill": "c"},
    }.items():
        fill = fields.pop("fill")
        bytes_ = {n: ZERO_32 if fill is None else sha256((fill + n).encode()) for n in ("parent", "txRoot", "stateRoot", "miner")}
        encoded = encode_header({**fields, **bytes_})
        shown = {**fields, **{n: v.hex() for n, v in bytes_.items()}, "target": f"{fields['target']:064x}"}
        meets = int.from_bytes(header_hash(encoded), "big") <= fields["target"]
        out.append({"name": name, "header": shown, "bytes": encoded.hex(), "commitment": commitment(encoded).hex(), "hash": header_hash(encoded).hex(), "meetsTarget": meets})
    targets = [1, 2, 3, 255, 256, 2**32 - 1, 2**224, 2**240 - 1, 2**255, 2**255 - 1, 2**256 - 2, 2**256 - 1]
    works = [{"target": f"{target:064x}", "work": str(work(target))} for target in targets]
    commitment_ = sha256(b"commitment")
    pow_ = [{"commitment": commitment_.hex(), "nonce": n, "hash": sha256(commitment_ + u64(n)).hex()} for n in (0, 1, 255, 2**32 - 1, 2**32, 2**53 - 1)]
    return {"headers": out, "works": works, "powHashes": pow_}


def merkle_vectors():
    out = []
    for count in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 33, 100, 1000):
        leaves = [sha256(b"leaf" + u32(i)) for i in range(count)]
        out.append({"count": count, "root": merkle_root(leaves).hex()})
    return {"leaf": "leaf i is sha256 of the ASCII text 'leaf' and i as u32", "roots": out}


def outcome_vectors():
    cases = [{"code": "ok"}] + [{"code": code, "operation": i} for code in OUTCOMES[1:] for i in (0, 1, 258, 999)]
    good = [{"outcome": outcome, "bytes": encode_outcome(outcome).hex()} for outcome in cases]
    bad = [("ok names an operation", "000001"), ("ok names operation 256", "000100"), ("code 6", "060000"), ("code 255", "ff0000"), ("operation 1000", "0103e8"), ("operation 65535", "05ffff")]
    return {"good": good, "bad": [{"name": name, "bytes": data} for name, data in bad]}


def difficulty_vectors():
    easy, hour = f"{2**255 - 1:064x}", 3_600_000
    networks = {
        "fixed": {"targetRule": "fixed", "initialTarget": f"{2**250:064x}", "easiestTarget": easy, "blockIntervalMs": 2000, "targetWindowBlocks": 10, "solveTimeClampBlocks": 6},
        "quick": {"targetRule": "relative-exponential", "initialTarget": f"{2**250:064x}", "easiestTarget": easy, "blockIntervalMs": 2000, "targetWindowBlocks": 90, "solveTimeClampBlocks": 6},
        "slow": {"targetRule": "relative-exponential", "initialTarget": f"{2**224 - 1:064x}", "easiestTarget": f"{2**236 - 1:064x}", "blockIntervalMs": 15000, "targetWindowBlocks": 480, "solveTimeClampBlocks": 20},
        "sharpest": {"targetRule": "relative-exponential", "initialTarget": f"{1:064x}", "easiestTarget": f"{2**256 - 1:064x}", "blockIntervalMs": 1, "targetWindowBlocks": 1, "solveTimeClampBlocks": 100000},
        "dullest": {"targetRule": "relative-exponential", "initialTarget": f"{2**200 + 12345:064x}", "easiestTarget": easy, "blockIntervalMs": 86400000, "targetWindowBlocks": 100000, "solveTimeClampBlocks": 100000},
    }
    cases = []

    def case(network, height, solve, target, timestamp=1_700_000_000_000):
        grandparent = (height - 1, timestamp - solve, target) if height > 0 else None
        result = next_target(networks[network], (height, timestamp, target), grandparent)
        before = None if grandparent is None else timestamp - solve
        cases.append([network, height, timestamp, before, f"{target:064x}", f"{result:064x}"])

    for network, params in networks.items():
        interval, window = params["blockIntervalMs"], params["targetWindowBlocks"]
        initial, easiest = int(params["initialTarget"], 16), int(params["easiestTarget"], 16)
        clamp = params["solveTimeClampBlocks"]
        for height in (0, 1, 2, 3, 2**32 - 2):
            case(network, height, interval // 2, initial)
        solves = [0, 1, -1, interval // 3, interval - 1, interval, interval + 1, 2 * interval, 7 * interval // 3, -interval, -hour, hour]
        solves += [clamp * interval + d for d in (-1, 0, 1)] + [-clamp * interval + d for d in (-1, 0, 1)]
        solves += [interval + window * interval, interval - window * interval]
        targets = [1, 3, initial, initial * 3 // 2, easiest]
        for solve in solves:
            for target in targets:
                if 0 < target <= easiest and abs(solve) < 1_700_000_000_000:
                    case(network, 9, solve, target)
    # A random walk, each target from the one before.
    for network in ("quick", "slow"):
        target = int(networks[network]["initialTarget"], 16)
        for step in range(40):
            state = int.from_bytes(sha256(u32(step) + network.encode()), "big")
            solve = state % (4 * networks[network]["blockIntervalMs"]) - networks[network]["blockIntervalMs"] // 2
            case(network, step + 2, solve, target)
            target = int(cases[-1][-1], 16)
    columns = ["network", "height of parent", "its timestamp", "timestamp of grandparent", "target of parent", "next target"]
    return {"networks": networks, "columns": columns, "cases": cases}


def record_vectors():
    base = {"key": b"key", "version": 1, "deleted": False, "valueLength": 5, "valueDigest": H("value", b"value"), "owner": KEYS["alice"], "access": PRIVATE, "height": 3, "txid": sha256(b"txid"), "previous": ZERO_32}
    entries = {
        "first version": base,
        "deleted": {**base, "version": 2, "deleted": True, "valueLength": 0, "valueDigest": ZERO_32, "previous": entry_digest(base)},
        "open": {**base, "access": OPEN, "key": b"\xff" * 512},
        "writers": {**base, "access": writers(KEYS["bob"], KEYS["carol"])},
        "largest numbers": {**base, "version": 2**53 - 1, "valueLength": 2**20, "height": 2**32 - 1},
    }
    shown = []
    for name, e in entries.items():
        fields = {k: v.hex() if isinstance(v, bytes) else v for k, v in e.items()}
        shown.append({"name": name, "entry": fields, "bytes": encode_entry(e).hex(), "digest": entry_digest(e).hex(), "path": H("entpath", e["key"]).hex()})
    accounts = []
    for key, account in ((KEYS["alice"], {"balance": 0, "nonce": 1}), (ZERO_32, {"balance": 2**53 - 1, "nonce": 2**53 - 1}), (KEYS["bob"], {"balance": 7, "nonce": 0})):
        encoded = encode_account(key, account)
        accounts.append({"account": {"publicKey": key.hex(), **account}, "bytes": encoded.hex(), "digest": H("account", encoded).hex(), "path": H("accpath", key).hex()})
    return {"entries": shown, "accounts": accounts}


def tree_vectors():
    def pairs_of(count):
        return {sha256(b"path" + u32(i)): sha256(b"digest" + u32(i)) for i in range(count)}

    def sharing(bits):
        """Two paths that agree in their first `bits` bits and then part, and a third elsewhere."""
        one = bytearray(32)
        one[bits // 8] |= 0x80 >> bits % 8
        return {ZERO_32: sha256(b"x"), bytes(one): sha256(b"y"), b"\xff" * 32: sha256(b"z")}

    sets = {f"{count} pairs": pairs_of(count) for count in (0, 1, 2, 3, 5, 8, 50, 300)}
    for bits in (1, 7, 8, 254, 255):
        sets[f"two paths with {bits} bits in common"] = sharing(bits)
    out = []
    for name, pairs in sets.items():
        root = tree(pairs)
        paths = list(pairs)[:5] + [sha256(b"absent" + u32(i)) for i in range(5)]
        paths += [bytes(31) + u8(2), bytes(31) + u8(0xFF), b"\xff" * 31 + b"\xfe"]
        proofs = []
        for path in dict.fromkeys(paths):
            siblings, terminal = prove(pairs, path)
            found = check_proof(root, path, siblings, terminal)
            assert found == pairs.get(path)
            proofs.append({"path": path.hex(), "digest": found and found.hex(), "siblings": len(siblings), "bytes": encode_proof(siblings, terminal, path).hex()})
        out.append({"name": name, "pairs": [[p.hex(), v.hex()] for p, v in pairs.items()], "root": root.hex(), "proofs": proofs})
    path = sha256(b"path" + u32(0))
    other = sha256(b"path" + u32(1))
    bad = {
        "nothing": (b"", "codec-truncated"),
        "257 siblings": (u16(257) + bytes(33) + u8(0), "codec-length"),
        "spare bit": (u16(1) + u8(0x40) + u8(0), "codec-tag"),
        "marked sibling is zero": (u16(1) + u8(0x80) + ZERO_32 + u8(0), "codec-tag"),
        "terminal tag 3": (u16(0) + u8(3), "codec-tag"),
        "own leaf as another's": (u16(0) + u8(2) + path + ZERO_32, "codec-tag"),
        "no terminal": (u16(0), "codec-truncated"),
        "terminal cut": (u16(0) + u8(1) + bytes(31), "codec-truncated"),
        "terminal of another cut": (u16(0) + u8(2) + other + bytes(31), "codec-truncated"),
        "bytes after": (u16(0) + u8(0) + u8(0), "codec-trailing"),
    }
    shown = [{"name": name, "path": path.hex(), "bytes": data.hex(), "code": code} for name, (data, code) in bad.items()]
    return {"sets": out, "bad": shown}


def network_file(name, prefix, allocations, **changes):
    consensus = {
        "addressPrefix": prefix,
        "proofOfWork": "sha256",
        "genesisTimestampMs": 1767225600000,
        "blockIntervalMs": 2000,
        "targetRule": "relative-exponential",
        "initialTarget": f"{2**252 - 1:064x}",
        "easiestTarget": f"{2**254 - 1:064x}",
        "targetWindowBlocks": 10,
        "solveTimeClampBlocks": 6,
        "maxFutureMs": 10000,
        "maxValueBytes": 1000,
        "maxTransactionBytes": 4000,
        "maxBlockBytes": 20000,
        "maxTransactions": 20,
        "minFeePerByte": 1,
        "blockReward": 50,
        "allocations": [{"address": address(key, prefix), "amount": amount} for key, amount in allocations],
    }
    policy = {"mining": "pending", "settleDepth": 6, "listen": [], "bootstrap": []}
    return {"name": name, "consensus": {**consensus, **changes}, "policy": policy}


def genesis_vectors():
    rich = [(KEYS["alice"], 1_000_000), (KEYS["bob"], 500_000), (KEYS["carol"], 2**50)]
    cases = [
        (network_file("vectors", "kvt", rich), [key for key, _ in rich]),
        (network_file("bare", "a", [], targetRule="fixed", minFeePerByte=0, blockReward=0), []),
        (network_file("x" * 32, "abcdefghijklmnop", [(ZERO_32, 1)], blockReward=2**20, maxFutureMs=0, genesisTimestampMs=0), [ZERO_32]),
    ]
    out = []
    for file, keys in cases:
        params_bytes, _, header = genesis(file, keys)
        out.append({"network": file, "params": params_bytes.hex(), "header": header.hex(), "hash": header_hash(header).hex()})
    return out


def chain_vectors():
    """A small chain in which every operation and every outcome occurs."""
    names = {key: name for name, key in KEYS.items()}
    alice, bob, carol, dave = (KEYS[n] for n in ("alice", "bob", "carol", "dave"))
    rich = [(alice, 1_000_000), (bob, 500_000), (carol, 20_000)]
    file = network_file("vectors-chain", "kvt", rich)
    params = file["consensus"]
    _, accounts, genesis_header = genesis(file, [key for key, _ in rich])
    genesis_hash = header_hash(genesis_header)
    state = State("kvt", accounts)
    own = b"@" + address(alice, "kvt").encode() + b"/"
    nonces = {}
    blocks, headers = [], [(0, params["genesisTimestampMs"], int(params["initialTarget"], 16), genesis_hash)]
    chainwork = work(int(params["initialTarget"], 16))

    def tx(sender, *operations, valid_until=0, extra_fee=0):
        operations, values = split_values(operations)
        body = {"sender": sender.hex(), "accountNonce": nonces.get(sender, 0), "fee": 0, "validUntil": valid_until, "operations": operations}
        size = Transaction(genesis_hash, SEEDS[names[sender]], body, values).size
        nonces[sender] = body["accountNonce"] + 1
        return Transaction(genesis_hash, SEEDS[names[sender]], {**body, "fee": size * params["minFeePerByte"] + extra_fee}, values)

    def block(miner, solve_ms, *transactions):
        nonlocal chainwork
        height, timestamp, _, parent_hash = headers[-1]
        height += 1
        versions_before = len(state.history)
        included = [(t, state.execute(params, t, height)) for t in transactions]
        reward = params["blockReward"] + sum(t.body["fee"] for t in transactions)
        if reward:
            state.pay(miner, reward)
        target = next_target(params, headers[-1][:3], headers[-2][:3] if len(headers) > 1 else None)
        root = tree(state_pairs(state.entries, state.accounts))
        header = {"parent": parent_hash, "height": height, "timestampMs": timestamp + solve_ms, "target": target, "txRoot": merkle_root([tx_leaf(*i) for i in included]), "stateRoot": root, "miner": miner, "nonce": 0}
        while int.from_bytes(header_hash(encode_header(header)), "big") > target:
            header["nonce"] += 1
        encoded = encode_header(header)
        headers.append((height, header["timestampMs"], target, header_hash(encoded)))
        chainwork += work(target)
        blocks.append({
            "bytes": encode_block(encoded, included).hex(),
            "hash": header_hash(encoded).hex(),
            "chainwork": str(chainwork),
            "txids": [t.txid.hex() for t in transactions],
            "outcomes": [outcome for _, outcome in included],
            "versions": [encode_entry(e).hex() for e in state.history[versions_before:]],
            "accounts": [encode_account(k, a).hex() for k, a in sorted(state.accounts.items())],
            "stateRoot": root.hex(),
        })

    miner = KEYS["miner"]
    block(miner, 1500)
    block(miner, 2500, tx(alice, put(b"k", b"one", ABSENT)), tx(alice, put(own + b"page", b"hello", ANY, writers(bob))), tx(bob, transfer(dave, 30_000)))
    block(
        miner,
        3000,
        tx(alice, put(b"k", b"two", version(1), writers(bob, carol))),
        tx(bob, put(b"k", b"three", digest(b"two"))),
        tx(bob, put(b"k", b"four", ANY, OPEN)),
        tx(dave, put(b"k", b"five")),
        tx(carol, delete(b"k")),
        tx(alice, assert_that(b"k", ABSENT), delete(b"k")),
        tx(bob, put(b"other", b"x"), put(own + b"mine", b"x")),
        tx(bob, put(own + b"page", b"by bob", version(1))),
    )
    block(
        carol,
        900,
        tx(alice, put(b"k", b"six", version(1))),
        tx(dave, put(b"k", b"seven", ABSENT)),
        tx(bob, put(b"k", b"eight", ABSENT)),
        tx(alice, change_access(b"k", OPEN, dave)),
        tx(alice, change_access(b"k", PRIVATE)),
        tx(carol, put(b"k", b"nine")),
        tx(dave, change_access(b"k", PRIVATE), delete(b"k"), put(b"k", b"ten"), put(b"k", b"eleven", version(10))),
        tx(carol, change_access(b"nothing", OPEN)),
        tx(carol, assert_that(b"k", digest(b"eleven")), transfer(carol, 1)),
        tx(carol, transfer(dave, 10), transfer(bob, 2**53 - 1)),
        valid_for(tx, alice, 4),
    )
    block(miner, 20_000, tx(alice, put(b"big", b"v" * 1000), extra_fee=77), tx(bob, *(put(b"list/" + u16(i), u16(i)) for i in range(40))))
    block(miner, 1, tx(alice, delete(b"big", digest(b"v" * 1000))), tx(dave, transfer(alice, state.account(dave)["balance"] - 1000)))
    block(alice, 2001, tx(alice, transfer(bob, 1)), tx(bob, change_access(own + b"page", KEEP, bob)), tx(alice, change_access(own + b"page", PRIVATE, bob)), tx(bob, put(own + b"page", b"bob's now")))
    seen = {outcome["code"] for b in blocks for outcome in b["outcomes"]}
    assert seen == set(OUTCOMES), seen
    coins = sum(a["balance"] for a in state.accounts.values())
    assert coins == sum(amount for _, amount in rich) + 50 * len(blocks)
    return {
        "network": file,
        "seeds": {name: seed.hex() for name, seed in SEEDS.items()},
        "genesisHash": genesis_hash.hex(),
        "blocks": blocks,
        "entries": [encode_entry(e).hex() for _, e in sorted(state.entries.items())],
    }


def valid_for(tx, sender, height):
    return tx(sender, put(b"late", b"just in time"), valid_until=height)


FILES = {
    "hashes": hash_vectors,
    "addresses": address_vectors,
    "signatures": signature_vectors,
    "transactions": transaction_vectors,
    "headers": header_vectors,
    "merkle": merkle_vectors,
    "outcomes": outcome_vectors,
    "difficulty": difficulty_vectors,
    "records": record_vectors,
    "tree": tree_vectors,
    "genesis": genesis_vectors,
    "chain": chain_vectors,
}


def main(arguments):
    if arguments not in (["--check"], ["--write"]):
        sys.exit("usage: make_vectors.py --check | --write")
    differing = 0
    for name, make in FILES.items():
        path = HERE / f"{name}.json"
        text = json.dumps(make(), indent=2) + "\n"
        if arguments == ["--write"]:
            path.write_text(text)
        elif not path.exists() or json.loads(path.read_text()) != json.loads(text):
            differing += 1
            print(f"{path.name} differs")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
