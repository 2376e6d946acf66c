"""aiosqlite does not wait for the thread of a connection that failed to open, or whose opening was cancelled.

Its answer may come when the test's loop has gone. The thread ends all the same, which is what such tests look at.
"""

import pytest

LATE_THREAD = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
