"""Damages files."""

import pickletools
import random


def mutants(good: bytes, count: int, seed: int):
    """Cut short, flipped, overwritten, with bytes put in or taken out, lengthened."""
    rng = random.Random(seed)
    while count:
        bytes_ = bytearray(good)
        at = rng.randrange(len(bytes_))
        match rng.randrange(6):
            case 0:
                del bytes_[at:]
            case 1:
                bytes_[at] ^= 1 << rng.randrange(8)
            case 2:
                for _ in range(rng.randrange(1, 20)):
                    bytes_[rng.randrange(len(bytes_))] = rng.randrange(256)
            case 3:
                bytes_[at:at] = rng.randbytes(rng.randrange(1, 9))
            case 4:
                del bytes_[at : at + rng.randrange(1, 9)]
            case 5:
                bytes_ += rng.randbytes(rng.randrange(1, 9))
        if bytes_ != good:
            count -= 1
            yield bytes(bytes_)


def pickle_mutants(good: bytes, count: int, seed: int):
    """Pickles whose instructions are left out, repeated, exchanged or moved."""
    rng = random.Random(seed)
    starts = [position for _, _, position in pickletools.genops(good)]
    parts = [good[a:b] for a, b in zip(starts, [*starts[1:], len(good)], strict=True)]
    while count:
        changed = list(parts)
        for _ in range(rng.randrange(1, 4)):
            at, other = rng.randrange(len(changed)), rng.randrange(len(changed))
            match rng.randrange(4):
                case 0:
                    del changed[at]
                case 1:
                    changed[at:at] = changed[at : at + 5] * rng.randrange(1, 200)
                case 2:
                    changed[at], changed[other] = changed[other], changed[at]
                case 3:
                    changed.insert(at, changed[other])
        if changed != parts:
            count -= 1
            yield b"".join(changed)
