"""Whether `dvc.yaml` declares what the code of the stages uses: `make check`.

From the bottom up: `declarations` (what is declared, and what is used), `comparison` (where they
differ), `unused` (what nothing uses), `fix` (which writes what is missing), `faults` (all that is
wrong, here and now).
"""
