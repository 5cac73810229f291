"""`python -m app` as a file, for hosts that start one (a Hugging Face Space runs app.py)."""

import sys

from app.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
