"""The front-end: two ear signals in, interaural cues out. Needs JAX, NumPy and SciPy alone.

Begin with `reference`: the equations as plain loops. The other modules compute the same, faster:

filter_design        centre frequencies and sections of the filters
block_design         the same filters as matrices over blocks of samples
block_filter         runs them
sound_checks         refuses sounds that are none
auditory_model       filterbank and hair cell of whole sounds
periphery            the same block by block
correlation_settings the constants of the interaural cross-correlation
running_correlation  its sums, hop by hop: what long and short hops share
long_hops            hops of more than 2 D samples, D the longest lag
short_hops           hops of at most 2 D
lag_cues             from the sums to cues: the best lag, and what is read there
programs             how scans are compiled and run, on one device and on several
cue_scan             filterbank, hair cell and correlation as one scan
cues, cue_plot       the result and its picture
binaural_feature     cues of whole sounds
streaming            cues of sounds that arrive block by block
segment_plan         how a long sound is cut
segments             cues of long sounds, several parts side by side
"""

HAIR_CELLS = ("roman", "none", "halfwave", "envelope", "lindemann", "breebaart", "bernstein")
