"""pcc: compress point clouds, meshes and volumes."""

__version__ = "0.1.0"
