"""The front-end: two ear signals in, interaural cues out. Needs JAX, NumPy and SciPy alone.

Begin with `reference`: the equations as plain loops. The other modules compute the same, faster:

filter_design        centre frequencies and sections of the filters
block_design         the same filters as matrices over blocks of samples
block_filter         runs them
sound_checks         refuses sounds that are none
auditory_model       filterbank and hair cell of whole sounds
periphery            the same block by block
correlation_settings the constants of the interaural cross-correlation
lag_cues             from its sums to cues: the best lag, and what is read there
running_correlation  that correlation, hop by hop
long_hops            hops longer than all lags
short_hops           shorter ones
cue_scan             filterbank, hair cell and correlation as one scan
cues, cue_plot       the result and its picture
binaural_feature     cues of whole sounds
streaming            cues of sounds that arrive block by block
segments             cues of long sounds, several parts side by side
"""

HAIR_CELLS = ("roman", "none", "halfwave", "envelope", "lindemann", "breebaart", "bernstein")
