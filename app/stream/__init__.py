"""The stream: Quix Streams over micro-batches, and landing them in the lake exactly once."""

import warnings

from authlib.deprecate import AuthlibDeprecationWarning

# Quix imports a module of Authlib that warns of its own future: nothing that a user of ours can act on. Authlib
# puts a filter of its own in front when it is imported, so ours has to come after that.
warnings.filterwarnings("ignore", category=AuthlibDeprecationWarning)
