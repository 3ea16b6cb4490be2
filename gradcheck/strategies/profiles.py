"""Hypothesis profiles, registered when :func:`register` is called and never at import.

=========  ========  ==========================================================================
profile    examples  for
=========  ========  ==========================================================================
dev        50        a developer's inner loop
ci         200       every push: the same examples each time, no database
nightly    2000      new examples each night, failures kept and printed as blobs
fuzz       20000     a campaign on a machine of its own
=========  ========  ==========================================================================

Every profile has the default profile as its parent. Without one, a profile inherits from whatever is loaded, and under
``CI=true`` Hypothesis loads its own ``ci`` profile: derandomised and without a database. A nightly run would then
replay one frozen set of examples for ever.
"""

from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

NAMES = ("dev", "ci", "nightly", "fuzz")


def register() -> None:
    """Register the four profiles under ``gradcheck-dev`` … ``gradcheck-fuzz``; load one with ``settings.load_profile``.

    Deadlines are off: a gradient check's time depends on the machine and on the size drawn, neither of which is a bug.

    >>> register()
    >>> settings.get_profile("gradcheck-nightly").derandomize
    False
    """
    default = settings.get_profile("default")
    # An example that is slow to draw or to check says nothing about the gradient under test.
    patient = [HealthCheck.too_slow, HealthCheck.data_too_large]
    # Where the default profile was made under CI its database is None; the long runs must remember what they found.
    remember = DirectoryBasedExampleDatabase(".hypothesis/examples")
    settings.register_profile("gradcheck-dev", parent=default, max_examples=50, deadline=None)
    settings.register_profile(
        "gradcheck-ci", parent=default, max_examples=200, deadline=None, derandomize=True, database=None
    )
    for name, examples in (("nightly", 2_000), ("fuzz", 20_000)):
        settings.register_profile(
            f"gradcheck-{name}",
            parent=default,
            max_examples=examples,
            deadline=None,
            derandomize=False,
            database=remember,
            print_blob=True,
            suppress_health_check=patient,
        )
