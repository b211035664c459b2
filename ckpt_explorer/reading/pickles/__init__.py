"""Pickles, described and never run: the walker, what torch and NumPy put into them, and what they would have imported."""
