"""Solids as signed distances, and surfaces made of them."""
