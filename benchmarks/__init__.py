"""The pipeline measured against the plain script it replaces; not part of the tests."""
