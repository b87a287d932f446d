"""Versions of the target: the only room that speaks git; blocking, plain values in and out."""
