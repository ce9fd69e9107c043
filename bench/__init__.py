"""Benchmarks: what crewmix costs, as ratios and CPU figures of one run on one machine.

`make bench` runs them all, `make bench ARGS="overlap startup"` some.
"""
