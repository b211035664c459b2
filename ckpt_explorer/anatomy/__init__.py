"""What a residual network is made of, read from shapes and nesting: layers, blocks, networks, and each one's place."""

from ckpt_explorer.anatomy.anatomy import Anatomy, Place, Placed, anatomies_of, anatomy_of

__all__ = ["Anatomy", "Place", "Placed", "anatomies_of", "anatomy_of"]
