"""Conformance checks of techniques: for the tests of a plugin, and for `ltbench check`.

One line in a test file creates a test for each check and each setting of the parameters:

    from ltbench.testing import checks
    from my_package.my_loss import MyLoss

    test_my_loss = checks(MyLoss)

A class is checked with its defaults and with other values of each parameter; an instance, as in
`checks(MyLoss(gamma=1))`, only as given. `conformance` returns the results as findings. The checks need neither data
nor network access.
"""

from __future__ import annotations

from ltbench.testing.conformance import checks, conformance
from ltbench.testing.finding import Finding

__all__ = ["Finding", "checks", "conformance"]
