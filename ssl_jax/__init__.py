"""Binaural sound-source localisation in JAX: filterbank, hair cell, cues, database, networks."""
