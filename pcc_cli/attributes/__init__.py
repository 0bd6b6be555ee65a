"""Attributes: what points, vertices and faces carry beside their place."""
