"""The front-end: two ear signals in, interaural cues out. Pure JAX; needs nothing else of the package."""

HAIR_CELLS = ("roman", "none", "halfwave", "envelope", "lindemann", "breebaart", "bernstein")
