"""A package of layers as somebody might write them: some right, some wrong in a setting that is not the default."""
