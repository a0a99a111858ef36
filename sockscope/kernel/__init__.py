"""Floor 1: bytes in, plain records out. Standard library only; no caching, no judgement."""
