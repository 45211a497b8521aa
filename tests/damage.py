"""Damages files."""

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
