"""`loumen doctor`: ten small checks, each with its mend. With the daemon running it is asked, for its lines
and cameras are its own; on a stopped box the files and devices are looked at directly.
"""
