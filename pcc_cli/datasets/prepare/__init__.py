"""Folders of meshes and clouds made ready for training: `pcc prepare`.

Four steps, each from a folder to a folder, and all of them in turn (`pipeline`). Every folder has
a manifest that says what each file was made from, how, and its SHA-256.
"""
