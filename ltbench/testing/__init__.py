"""What a technique has to hold, as checks: for the tests of a plugin's author, and for `ltbench check`.

In a test file one line is a whole test function, with a test for each check and for each setting of the parameters:

    from ltbench.testing import checks
    from my_package.my_loss import MyLoss

    test_my_loss = checks(MyLoss)

A class is examined with its defaults and with other values of each parameter; a value, as in `checks(MyLoss(gamma=1))`,
as it is. `conformance` is the same as a function that returns findings. No data and no network are needed.
"""

from __future__ import annotations

from ltbench.testing.conformance import checks, conformance
from ltbench.testing.finding import Finding

__all__ = ["Finding", "checks", "conformance"]
