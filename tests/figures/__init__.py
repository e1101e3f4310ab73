"""Tests of pipeline.figures."""
