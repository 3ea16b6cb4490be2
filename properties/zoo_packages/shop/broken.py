"""A module that cannot be imported: it calls what nobody has installed. It would have a def backward()."""

import no_such_module_anywhere

no_such_module_anywhere.start()


def backward(dout):
    """Never defined."""
    return dout
