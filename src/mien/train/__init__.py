"""The training floor: one loop, and the parts it is made of. Comes with the extra ``train``."""
