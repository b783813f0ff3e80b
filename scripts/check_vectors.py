#!/usr/bin/env python3
"""Tries docs/vectors against the specification (docs/PROTOCOL.md) with Python's standard library alone: it shares no line with the code
that wrote them. Ed25519 is RFC 8032, section 5.1.7; BLAKE3 is the reference for inputs of one chunk (1,024 bytes); codes are hashlib's
scrypt. What is sealed (presences, frames) is not opened here: those ciphers are not in the library.
"""

import base64, hashlib, json, pathlib, struct, sys

HERE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "vectors"

# Ed25519 -----------------------------------------------------------------------------------------------------------------------------
P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
I = pow(2, (P - 1) // 4, P)


def add(a, b):
    x, y = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    c, d = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = y - x, d - c, d + c, y + x
    return e * f % P, g * h % P, f * g % P, e * h % P


def mul(s, point):
    out = (0, 1, 1, 0)
    while s:
        if s & 1:
            out = add(out, point)
        point, s = add(point, point), s >> 1
    return out


def x_of(y, sign):
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * I % P
    assert (x * x - x2) % P == 0, "not a point"
    return P - x if x & 1 != sign else x


def point(raw):
    y = int.from_bytes(raw, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    x = x_of(y, sign)
    return x, y, 1, x * y % P


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE = (x_of(BASE_Y, 0), BASE_Y, 1, x_of(BASE_Y, 0) * BASE_Y % P)


def verifies(key, message, sig):
    s = int.from_bytes(sig[32:], "little")
    h = int.from_bytes(hashlib.sha512(sig[:32] + key + message).digest(), "little") % Q
    left, right = mul(s, BASE), add(point(sig[:32]), mul(h, point(key)))
    same = (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0
    return s < Q and same


def public(seed):
    h = hashlib.sha512(seed).digest()
    a = int.from_bytes(h[:32], "little") & (1 << 254) - 8 | 1 << 254
    x, y, z, _ = mul(a, BASE)
    z = pow(z, P - 2, P)
    x, y = x * z % P, y * z % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


# BLAKE3, one chunk -------------------------------------------------------------------------------------------------------------------
IV = [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19]
ORDER = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
START, END, ROOT, CONTEXT, MATERIAL = 1, 2, 8, 32, 64


def compress(cv, words, length, flags):
    v = cv + IV[:4] + [0, 0, length, flags]

    def turn(x, n):
        return (x >> n | x << 32 - n) & 0xFFFFFFFF

    def mix(a, b, c, d, x, y):
        v[a] = v[a] + v[b] + x & 0xFFFFFFFF
        v[d] = turn(v[d] ^ v[a], 16)
        v[c] = v[c] + v[d] & 0xFFFFFFFF
        v[b] = turn(v[b] ^ v[c], 12)
        v[a] = v[a] + v[b] + y & 0xFFFFFFFF
        v[d] = turn(v[d] ^ v[a], 8)
        v[c] = v[c] + v[d] & 0xFFFFFFFF
        v[b] = turn(v[b] ^ v[c], 7)

    m = words
    for turn_number in range(7):
        for i, (a, b, c, d) in enumerate([(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12),
                                          (2, 7, 8, 13), (3, 4, 9, 14)]):
            mix(a, b, c, d, m[2 * i], m[2 * i + 1])
        m = [m[i] for i in ORDER]
    return [v[i] ^ v[i + 8] for i in range(8)]


def blake3(data, key=IV, flags=0):
    assert len(data) <= 1024, "more than one chunk"
    blocks = [data[i:i + 64] for i in range(0, len(data), 64)] or [b""]
    cv = list(key)
    for i, block in enumerate(blocks):
        last = i == len(blocks) - 1
        mode = flags | (START if i == 0 else 0) | (END | ROOT if last else 0)
        cv = compress(cv, list(struct.unpack("<16I", block.ljust(64, b"\0"))), len(block), mode)
    return struct.pack("<8I", *cv)


def derive_key(context, material):
    key = struct.unpack("<8I", blake3(context.encode(), flags=CONTEXT))
    return blake3(material, key, MATERIAL)


# ristretto255 (RFC 9496) and CPace (draft-irtf-cfrg-cpace), as initiator and responder --------------------------------------------------
ONE_MINUS_D_SQ = (1 - D * D) % P
D_MINUS_ONE_SQ = (D - 1) ** 2 % P


def sqrt_ratio(u, v):
    r = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    check = v * r * r % P
    if check in [-u % P, -u * I % P]:
        r = r * I % P
    return check in [u % P, -u % P], P - r if r & 1 else r


SQRT_AD_MINUS_ONE = 25063068953384623474111414158702152701244531502492656460079210482610430750235
INVSQRT_A_MINUS_D = 54469307008909316920995813868745141605393597292927456921205312896311721017578
assert SQRT_AD_MINUS_ONE**2 % P == (-D - 1) % P and INVSQRT_A_MINUS_D**2 * (-1 - D) % P == 1


def elligator(raw):
    r = int.from_bytes(raw, "little") % 2**255
    r = I * r * r % P
    u, v = (r + 1) * ONE_MINUS_D_SQ % P, (-1 - r * D) * (r + D) % P
    square, s = sqrt_ratio(u, v)
    if not square:
        s = s * (int.from_bytes(raw, "little") % 2**255) % P
        s, c = (s if s & 1 else -s % P), r
    else:
        c = P - 1
    n = (c * (r - 1) * D_MINUS_ONE_SQ - v) % P
    w = 2 * s * v % P, n * SQRT_AD_MINUS_ONE % P, (1 - s * s) % P, (1 + s * s) % P
    return w[0] * w[3] % P, w[2] * w[1] % P, w[1] * w[3] % P, w[0] * w[2] % P


def ristretto(point):
    x, y, z, t = point
    u1, u2 = (z + y) * (z - y) % P, x * y % P
    _, inverse = sqrt_ratio(1, u1 * u2 * u2 % P)
    den1, den2 = inverse * u1 % P, inverse * u2 % P
    z_inv = den1 * den2 * t % P
    rotate = t * z_inv % P & 1
    if rotate:
        x, y, den2 = y * I % P, x * I % P, den1 * INVSQRT_A_MINUS_D % P
    if x * z_inv % P & 1:
        y = -y % P
    s = den2 * (z - y) % P
    return (P - s if s & 1 else s).to_bytes(32, "little")


def lv(*parts):
    assert all(len(part) < 128 for part in parts)
    return b"".join(bytes([len(part)]) + part for part in parts)


def cpace_generator(password, channel, sid):
    pad = max(0, 128 - 1 - len(lv(password)) - len(lv(b"CPaceRistretto255")))
    h = hashlib.sha512(lv(b"CPaceRistretto255", password, bytes(pad), channel, sid)).digest()
    return add(elligator(h[:32]), elligator(h[32:]))


# The vectors -------------------------------------------------------------------------------------------------------------------------
def read(name):
    return json.loads((HERE / f"{name}.json").read_text())


def raw(text):
    return bytes.fromhex(text)


def check(what, holds):
    global checked
    checked += 1
    if not holds:
        sys.exit(f"{what}: NOT as specified")


def check_signed(what, label, room, signer, signed):
    payload = raw(signed["payload"])
    check(f"{what}, signature", verifies(raw(signer), label.encode() + b"\0" + raw(room) + payload, raw(signed["sig"])))
    check(f"{what}, bit of the signature", not verifies(raw(signer), label.encode() + b"\1" + raw(room) + payload, raw(signed["sig"])))
    if len(payload) <= 1024:
        check(f"{what}, hash", blake3(payload) == raw(signed["hash"]))


def unbase64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


checked = 0
check("BLAKE3 of nothing", blake3(b"").hex() == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262")

codes = read("codes")
for vector in codes["call"]:
    out = hashlib.scrypt(raw(vector["epoch_authenticator"]) + raw(vector["room"]), salt=b"conclave call code v1", n=2**14, r=8, p=2, dklen=64)
    groups = [int.from_bytes(out[i:i + 5], "big") % 10**5 for i in range(0, 30, 5)]
    check("call code", " ".join(f"{group:05}" for group in groups) == vector["code"])

links = read("links")
for vector in links["join"]:
    bytes_ = unbase64(vector["text"].removeprefix("conclave://join/1#"))
    check("link, checksum", blake3(b"conclave/join/1" + bytes_[:-4])[:4] == bytes_[-4:])
    check("link, fields", all(raw(vector[key]) in bytes_ for key in ["room", "topic_key", "inviter", "admin", "invite_seed"]))
    check("link, addresses", all(hint["address"].encode() in bytes_ for hint in vector["hints"]))
    check("link, invite key", public(raw(vector["invite_seed"])) == raw(vector["invite_key"]))
for vector in links["device"]:
    bytes_ = unbase64(vector["text"].removeprefix("conclave://device/1#"))
    # map(2), 0: bytes(32), 1: bytes(32)
    check("device code", bytes_[:-4] == b"\xa2\x00\x58\x20" + raw(vector["device"]) + b"\x01\x58\x20" + raw(vector["seal_key"]))
    check("device code, checksum", derive_key("conclave 2026 linking checksum v1", bytes_[:-4])[:4] == bytes_[-4:])

acl = read("acl")
check("room of the founding operation", acl["ops"][0]["signed"]["hash"] == acl["room"])
for op in acl["ops"]:
    check_signed(f"ACL {op['kind']}", acl["label"], acl["room"], acl["author"], op["signed"])
for before, op in zip(acl["ops"], acl["ops"][1:]):
    check("ACL parent", raw(before["signed"]["hash"]) in raw(op["signed"]["payload"]))

oplog = read("oplog")
for op in oplog["ops"]:
    check_signed("op", oplog["label"], oplog["room"], oplog["author"], op["signed"])
    check("op, padding", len(raw(op["signed"]["payload"])) % 256 == 0)

dtls = read("dtls")
for vector in dtls["bindings"]:
    role = {"offer": b"\0", "answer": b"\1"}[vector["role"]]
    parts = [vector["call"], vector["signer"], vector["peer"], vector["fingerprint"]]
    signed = b"".join(map(raw, parts)) + role + raw(vector["peer_nonce"])
    check("binding", signed == raw(vector["signed"]))
    check("binding, signature", verifies(raw(vector["signer"]), dtls["label"].encode() + b"\0" + raw(dtls["room"]) + signed, raw(vector["sig"])))

sframe = read("sframe")
for vector in sframe["key_ids"]:
    session = int.from_bytes(raw(vector["session"])[:2], "big")
    check("key id", session << 18 | vector["leaf"] << 8 | vector["epoch"] & 0xFF == vector["kid"])
for vector in sframe["frames"]:
    # RFC 9605, 4.3: X=1 and the length of the key id less one, Y=0 and the counter, which is below 8.
    kid = sframe["kid"].to_bytes((sframe["kid"].bit_length() + 7) // 8, "big")
    header = bytes([0x80 | len(kid) - 1 << 4 | vector["counter"]]) + kid
    check("frame, header", raw(vector["sealed"]).startswith(header))
    check("frame, length", len(raw(vector["sealed"])) == len(header) + len(raw(vector["frame"])) + 16)

session = read("session")
given = session["session"]
made = derive_key("conclave 2026 session id v1", raw(session["room"]) + raw(given["writer"]) + raw(given["random"]))
check("session id", made == raw(given["id"]))
shown = derive_key("conclave 2026 session authenticator v1", raw(session["authenticator"]["epoch_authenticator"]))
check("authenticator", shown == raw(session["authenticator"]["shown"]))
for message in session["messages"]:
    check_signed(message["label"], message["label"], session["room"], message["signer"], message["signed"])

check("ristretto255, RFC 9496 A.1", ristretto(BASE).hex() == "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76")
for vector in read("spoken")["runs"]:
    channel = b"conclave/speak/1" + raw(vector["hearer"]) + raw(vector["speaker"])
    generator = cpace_generator(vector["code"].encode(), channel, raw(vector["sid"]))
    ours, theirs = (int.from_bytes(raw(vector[key]), "little") % Q for key in ["hearer_random", "speaker_random"])
    shares = ristretto(mul(ours, generator)), ristretto(mul(theirs, generator))
    check("spoken code, shares", shares == (raw(vector["hearer_share"]), raw(vector["speaker_share"])))
    secret = ristretto(mul(ours * theirs % Q, generator))
    transcript = lv(shares[0], b"") + lv(shares[1], b"")
    isk = hashlib.sha512(lv(b"CPaceRistretto255_ISK", raw(vector["sid"]), secret) + transcript).digest()
    for side in ["hearer", "speaker"]:
        check(f"spoken code, tag of the {side}", derive_key(f"conclave 2026 speak {side} tag v1", isk) == raw(vector[f"{side}_tag"]))

# The whiteboard ----------------------------------------------------------------------------------------------------------------------
def varint(bytes_, at):
    value = shift = 0
    while True:
        byte = bytes_[at]
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
        if not byte & 0x80:
            return value, at


def columns(packed):
    count, at = varint(packed, 1)
    found = []
    for _ in range(3 if packed[0] else 2):
        last, column = 0, []
        for _ in range(count):
            value, at = varint(packed, at)
            last += value >> 1 ^ -(value & 1)
            column.append(last)
        found.append(column)
    check("points, all bytes", at == len(packed))
    return [list(point) for point in zip(*found)]


def style_of(packed):
    """A CBOR map of small numbers to unsigned numbers or a bool (RFC 8949)."""
    check("style, map", packed[0] >> 5 == 5)
    found, at = {}, 1
    for _ in range(packed[0] & 31):
        key, kind, low = packed[at], packed[at + 1] >> 5, packed[at + 1] & 31
        at += 2
        if kind == 7:
            found[key] = low == 21
        else:
            check("style, number", kind == 0)
            extra = {24: 1, 25: 2, 26: 4}.get(low, 0)
            found[key] = int.from_bytes(packed[at:at + extra], "big") if extra else low
            at += extra
    check("style, all bytes", at == len(packed))
    return found


def colour(text):
    return int(text[1:].ljust(8, "f"), 16)


board = read("board")
for vector in board["points"]:
    packed = raw(vector["packed"])
    check("points", columns(packed) == [point[:3 if packed[0] else 2] for point in vector["points"]])
plain = board["styles"][0]["style"]
for vector in board["styles"]:
    s, names = vector["style"], {"dash": ["solid", "dashed", "dotted"], "align": ["left", "center", "right"],
                                 "head": ["none", "arrow", "triangle", "dot", "bar"]}
    wanted = {0: (colour, "stroke"), 1: (colour, "fill"), 2: (lambda px: round(px * 8), "width"), 3: (names["dash"].index, "dash"),
              4: (int, "opacity"), 5: (lambda px: round(px * 8), "font_size"), 6: (names["align"].index, "align"), 7: (bool, "round"),
              8: (names["head"].index, "start"), 9: (names["head"].index, "end")}
    differs = {key: make(s[name]) for key, (make, name) in wanted.items() if s[name] != plain[name]}
    check("style", style_of(raw(vector["packed"])) == differs)
t = board["transform"]
moved = struct.pack("<5f", t["x"], t["y"], t["w"], t["h"], t["angle"])
before = None
for vector in board["page"]["changes"]:
    change = raw(vector["change"])
    check("change, magic and type", change[:4] == b"\x85\x6f\x4a\x83" and change[8] == 1)
    digest = hashlib.sha256(change[8:]).digest()
    check("change, checksum and hash", change[4:8] == digest[:4] and digest == raw(vector["hash"]))
    length, at = varint(change, 9)
    check("change, length", at + length == len(change))
    check("change, one dependency", change[at] == 1 and (before is None or change[at + 1:at + 33] == before))
    check("change, actor", change[at + 33] == 16 and change[at + 34:at + 50] == raw(board["page"]["actor"]))
    before = digest
check("change, transform", moved in raw(board["page"]["changes"][-1]["change"]))

print(f"{checked} checks of docs/vectors hold")
