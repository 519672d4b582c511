"""A second codebook, written as the standards and docs/codebook.md read and sharing no line with the product's."""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC


def ff1_encrypt(key: bytes, numeral_string: str) -> str:
    """SP 800-38G algorithm 7 with radix 10 and an empty tweak, step by step, for halves of up to 9 digits."""
    n = len(numeral_string)
    u = n // 2
    v = n - u
    a, b = numeral_string[:u], numeral_string[u:]
    half_bytes = -(-((10**v - 1).bit_length()) // 8)
    d = 4 * -(-half_bytes // 4) + 4
    p = bytes([1, 2, 1, 0, 0, 10, 10, u % 256]) + n.to_bytes(4, "big") + bytes(4)
    for i in range(10):
        q = bytes((-half_bytes - 1) % 16) + bytes([i]) + int(b).to_bytes(half_bytes, "big")
        cbc = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor()
        s = (cbc.update(p + q) + cbc.finalize())[-16:][:d]
        m = u if i % 2 == 0 else v
        c = (int(a) + int.from_bytes(s, "big")) % 10**m
        a, b = b, str(c).zfill(m)
    return a + b


def code(*, permutation_key: bytes, tag_key: bytes, tag_key_id: int, layout: int, serial: int) -> str:
    """Return the code of a layout's serial."""
    permuted = ff1_encrypt(permutation_key, str(serial).zfill(layout - 9))
    mac = CMAC(algorithms.AES(tag_key))
    mac.update(bytes([1, layout]) + tag_key_id.to_bytes(2, "big") + int(permuted).to_bytes(8, "big"))
    tag = int.from_bytes(mac.finalize()[:8], "big") % 10**7
    body = permuted + str(tag).zfill(7)
    for check in range(2, 99):
        whole = body + str(check).zfill(2)
        if int(whole) % 97 == 1:
            return whole
    raise AssertionError("ISO 7064 always has a check value")
