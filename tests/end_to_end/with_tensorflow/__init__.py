"""Tests of what the network, its training or its answers have to do with."""
