"""What a person sees of a verdict: the block in a terminal, records as JSON lines, plots, and a page.

Everything here reads a `Report` or a record of one, and judges nothing.
"""
