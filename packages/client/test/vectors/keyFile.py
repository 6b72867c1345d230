"""Makes a key file of given secrets, after docs/keys.md alone: scrypt and SHA-256 of the standard library, ChaCha20-Poly1305 written out from
RFC 8439. Reads {seed, publicKey, password, salt, nonce, n, r, p} as JSON from standard input, writes the key file."""
import hashlib, json, struct, sys, unicodedata


def rotate(x, n):
    return ((x << n) & 0xFFFFFFFF) | (x >> (32 - n))


def quarter(s, a, b, c, d):
    for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & 0xFFFFFFFF
        s[z] = rotate(s[z] ^ s[x], n)


def block(key, counter, nonce):
    start = list(struct.unpack('<4I', b'expand 32-byte k') + struct.unpack('<8I', key) + (counter,) + struct.unpack('<3I', nonce))
    s = list(start)
    for _ in range(10):
        for i in range(4):
            quarter(s, i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack('<16I', *((a + b) & 0xFFFFFFFF for a, b in zip(s, start)))


def poly1305(message, key):
    r = int.from_bytes(key[:16], 'little') & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for i in range(0, len(message), 16):
        total = (total + int.from_bytes(message[i : i + 16] + b'\x01', 'little')) * r % ((1 << 130) - 5)
    return ((total + int.from_bytes(key[16:32], 'little')) % (1 << 128)).to_bytes(16, 'little')


def padded(data):
    return data + bytes(-len(data) % 16)


def seal(key, nonce, plain, header):
    stream = b''.join(block(key, 1 + i, nonce) for i in range(-(-len(plain) // 64)))
    cipher = bytes(a ^ b for a, b in zip(plain, stream))
    lengths = struct.pack('<QQ', len(header), len(cipher))
    return cipher + poly1305(padded(header) + padded(cipher) + lengths, block(key, 0, nonce)[:32])


def main():
    given = json.load(sys.stdin)
    cost = {name: given[name] for name in ('n', 'r', 'p')}
    password = unicodedata.normalize('NFKC', given['password']).encode()
    key = hashlib.scrypt(password, salt=bytes.fromhex(given['salt']), dklen=32, maxmem=1 << 30, **cost)
    header = {
        'kind': 'kvchain-key',
        'version': 1,
        'publicKey': given['publicKey'],
        'kdf': {'name': 'scrypt', **cost, 'salt': given['salt']},
        'cipher': {'name': 'chacha20-poly1305', 'nonce': given['nonce']},
    }
    text = json.dumps(header, separators=(',', ':'))
    ciphertext = seal(key, bytes.fromhex(given['nonce']), bytes.fromhex(given['seed']), text.encode()).hex()
    check = hashlib.sha256((text + ciphertext).encode()).hexdigest()[:16]
    json.dump({**header, 'ciphertext': ciphertext, 'check': check}, sys.stdout, indent=2)
    print()


main()
